"""The file of messages: UCI's and one's own are read whole, and what is of another form is one line that names it."""

import zipfile
from pathlib import Path

import pandas as pd
import pytest

from scratchlm.datasets import sms_spam_reading
from scratchlm.datasets.sms_spam_reading import SEPARATORS, Columns, ReadConfig, extract_sms_spam, read_sms_spam
from scratchlm.errors import UserError

PLAIN = ReadConfig(labels=["ham", "spam"], separator="tab", quoting="none", columns=None)
QUOTED = PLAIN.model_copy(update={"quoting": "csv"})
NAMED = PLAIN.model_copy(update={"columns": Columns(label="class", text="message")})
ODD_TEXTS = [
    '"',
    'a "b", c',
    "a,b",
    "NA",
    "null",
    " lead",
    "trail ",
    "a\tb",
    "a\rb",
    "a\u2028b\x85c",
    "\\n",
    "=1+1",
    "1e5",
    "é",
]


def write_lines(path: Path, *lines: str) -> Path:
    path.write_bytes("".join(line + "\n" for line in lines).encode())
    return path


def test_the_uci_file_is_read_whole(uci: pd.DataFrame):
    assert uci["label"].value_counts().to_dict() == {"ham": 4827, "spam": 747}
    assert uci.duplicated().to_list().count(True) == 403
    assert len(set(uci["text"])) == 5171


def test_odd_texts_are_read_as_they_are(tmp_path: Path):
    path = write_lines(tmp_path / "raw.tsv", *("ham\t" + text for text in ODD_TEXTS))
    assert read_sms_spam(path, PLAIN)["text"].tolist() == ODD_TEXTS


def test_windows_files_are_read_as_others(tmp_path: Path):
    path = write_lines(tmp_path / "raw.tsv", "\ufeffham\thello\r", "spam\twin\r", "\r")
    assert read_sms_spam(path, PLAIN).to_numpy().tolist() == [["ham", "hello"], ["spam", "win"]]


def test_with_quoting_a_field_spans_lines_as_pandas_reads_it(tmp_path: Path):
    path = write_lines(tmp_path / "raw.tsv", 'ham\t"one', 'ham\ttwo" three', "spam\tNA", 'ham\ta "b"')
    expected = [["ham", "one\nham\ttwo three"], ["spam", "NA"], ["ham", 'a "b"']]
    assert read_sms_spam(path, QUOTED).to_numpy().tolist() == expected


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["ham\thello", 'ham\t"never closed'], "quoting csv.*EOF inside string"),
        (["ham\thello", "ham\ta\tb"], "quoting csv.*Expected 2 fields in line 2, saw 3"),
        (["ham\thello", "spam"], "record 2 is 'spam"),
        ([], "quoting csv.*No columns"),
    ],
)
def test_what_quoting_cannot_read_is_one_line(tmp_path: Path, lines: list[str], message: str):
    with pytest.raises(UserError, match=message):
        read_sms_spam(write_lines(tmp_path / "raw.tsv", *lines), QUOTED)


@pytest.mark.parametrize("separator", ["tab", "comma"])
@pytest.mark.parametrize("quoting", ["none", "csv"])
def test_named_columns_stand_in_any_order_among_others(tmp_path: Path, separator: str, quoting: str):
    lines = ["id;message;class", "1;see you;ham", "", "2;win;spam"]
    path = write_lines(tmp_path / "raw", *(line.replace(";", SEPARATORS[separator]) for line in lines))
    config = NAMED.model_copy(update={"separator": separator, "quoting": quoting})
    assert read_sms_spam(path, config).to_numpy().tolist() == [["ham", "see you"], ["spam", "win"]]


def test_what_pandas_writes_as_csv_is_read_back(uci: pd.DataFrame, tmp_path: Path):
    uci.rename(columns={"label": "class", "text": "message"}).to_csv(tmp_path / "own.csv", index=False)
    config = NAMED.model_copy(update={"separator": "comma", "quoting": "csv"})
    assert read_sms_spam(tmp_path / "own.csv", config).equals(uci)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["id\tclass\ttext"], "0 columns named 'message'.*has id, class, text"),
        (["class\tmessage\tmessage"], "2 columns named 'message'"),
        ([], "0 columns named 'class'.*has none"),
        (["class\tmessage", "ham\ta\tb"], "line 2 is .* should be 2 fields separated by a tab"),
    ],
)
def test_columns_that_are_not_there_are_named(tmp_path: Path, lines: list[str], message: str):
    with pytest.raises(UserError, match=message):
        read_sms_spam(write_lines(tmp_path / "raw.tsv", *lines), NAMED)


def test_any_number_of_classes_is_read_and_an_unknown_label_is_named_with_the_parameter(tmp_path: Path):
    path = write_lines(tmp_path / "raw.tsv", "ham\thello", "eggs\tthree", "spam\twin")
    three = PLAIN.model_copy(update={"labels": ["spam", "ham", "eggs"]})
    assert read_sms_spam(path, three)["label"].tolist() == ["ham", "eggs", "spam"]
    with pytest.raises(UserError, match=r"line 2 has the label 'eggs', .* prepare_sms_spam.labels \[ham, spam\]"):
        read_sms_spam(path, PLAIN)


@pytest.mark.parametrize("line", ["ham hello", "ham\t", "ham\t ", "spam"])
def test_a_line_of_another_form_is_named(tmp_path: Path, line: str):
    path = write_lines(tmp_path / "raw.tsv", "ham\thello", line)
    with pytest.raises(UserError, match="line 2 is"):
        read_sms_spam(path, PLAIN)


@pytest.mark.parametrize("content", ["ham\t£100\n".encode("latin-1"), "ham\thi\n".encode("utf-16")])
@pytest.mark.parametrize("config", [PLAIN, QUOTED, NAMED])
def test_a_file_in_another_encoding_is_one_line_that_says_how_to_convert_it(
    tmp_path: Path, content: bytes, config: ReadConfig
):
    (tmp_path / "raw.tsv").write_bytes(content)
    with pytest.raises(UserError, match=r"is not UTF-8.* `iconv -f LATIN1 -t UTF-8`, from UTF-16 with"):
        read_sms_spam(tmp_path / "raw.tsv", config)


@pytest.mark.parametrize("config", [QUOTED, NAMED])
def test_a_byte_order_mark_is_no_part_of_the_first_field(tmp_path: Path, config: ReadConfig):
    path = write_lines(tmp_path / "raw.tsv", "\ufeff" + "class\tmessage" * (config is NAMED), "ham\thello")
    assert read_sms_spam(path, config).to_numpy().tolist() == [["ham", "hello"]]


def test_a_plain_file_needs_no_archive(tmp_path: Path):
    extract_sms_spam(write_lines(tmp_path / "plain", "ham\thello"), tmp_path / "raw/out.tsv")
    assert (tmp_path / "raw/out.tsv").read_bytes() == b"ham\thello\n"


def test_an_archive_that_is_too_large_broken_or_another_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sms_spam_reading, "MAX_BYTES", 1_000)
    bomb, other, broken = (tmp_path / name for name in ("bomb.zip", "other.zip", "broken.zip"))
    for path, member in {bomb: sms_spam_reading.ARCHIVE_MEMBER, other: "../evil"}.items():
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(member, b"ham\thello\n" * 1_000)
    broken.write_bytes(bomb.read_bytes().replace(b"SMSSpamCollection", b"SMSSpamCollectiom", 1))
    for path, message in {bomb: "larger than 1,000 bytes", other: "no member", broken: "cannot be read"}.items():
        with pytest.raises(UserError, match=message):
            extract_sms_spam(path, tmp_path / "out.tsv")
    assert not (tmp_path / "out.tsv").exists()
