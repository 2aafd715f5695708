"""SMS spam: UCI's file is read whole, and no message stands in two of the written files."""

import zipfile
from pathlib import Path

import pandas as pd
import pytest

from scratchlm.datasets import sms_spam
from scratchlm.datasets.sms_spam import (
    SEPARATORS,
    Columns,
    Key,
    ReadConfig,
    SplitConfig,
    extract_sms_spam,
    group_key,
    length_histogram,
    read_sms_spam,
    read_split,
    split_sms_spam,
    write_sms_spam,
)
from scratchlm.errors import UserError

ARCHIVE = "archive.ics.uci.edu/static/public/228/sms+spam+collection.zip"
PLAIN = ReadConfig(separator="tab", quoting="none", columns=None)
QUOTED = PLAIN.model_copy(update={"quoting": "csv"})
NAMED = PLAIN.model_copy(update={"columns": Columns(label="class", text="message")})
CONFIG = SplitConfig(
    seed=0, group_by="masked_digits", balance="undersample", split="stratified", train_fraction=0.7, val_fraction=0.1
)
BOOK = CONFIG.model_copy(update={"seed": 123, "group_by": "none", "split": "book"})
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


@pytest.fixture(scope="module")
def uci_file(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("uci") / "sms_spam.tsv"
    extract_sms_spam(shared / "mirror" / ARCHIVE, path)
    return path


@pytest.fixture(scope="module")
def uci(uci_file: Path) -> pd.DataFrame:
    return read_sms_spam(uci_file, PLAIN)


def prepare_as_book(path: Path) -> dict[str, pd.DataFrame]:
    """What the code of the book's chapter 6 does to UCI's file."""
    messages = pd.read_csv(path, sep="\t", header=None, names=["label", "text"])
    spam = messages[messages["label"] == "spam"]
    ham = messages[messages["label"] == "ham"].sample(len(spam), random_state=123)
    shuffled = pd.concat([ham, spam]).sample(frac=1, random_state=123).reset_index(drop=True)
    train_end = int(len(shuffled) * 0.7)
    val_end = train_end + int(len(shuffled) * 0.1)
    return {"train": shuffled[:train_end], "val": shuffled[train_end:val_end], "test": shuffled[val_end:]}


def some_messages(ham: int, spam: int) -> pd.DataFrame:
    rows = [("ham", f"{'see you ' * number}") for number in range(1, ham + 1)]
    return pd.DataFrame(
        rows + [("spam", f"{'win ' * number}") for number in range(1, spam + 1)], columns=["label", "text"]
    )


def write_lines(path: Path, *lines: str) -> Path:
    path.write_bytes("".join(line + "\n" for line in lines).encode())
    return path


def test_the_uci_file_is_read_whole(uci: pd.DataFrame):
    assert uci["label"].value_counts().to_dict() == {"ham": 4827, "spam": 747}
    assert uci.duplicated().to_list().count(True) == 403
    assert len(set(uci["text"])) == 5171


@pytest.mark.parametrize(("group_by", "spam"), [("text", 653), ("normalized", 642), ("masked_digits", 623)])
def test_no_text_stands_in_two_splits(uci: pd.DataFrame, group_by: Key, spam: int):
    frames, counts = split_sms_spam(uci, CONFIG.model_copy(update={"group_by": group_by}))
    keys = [group_key(text, group_by) for frame in frames.values() for text in frame["text"]]
    assert len(keys) == len(set(keys)) == counts["distinct_ham"] + counts["distinct_spam"]
    assert counts["distinct_spam"] == spam
    assert counts[f"leaks_{group_by}"] == counts["leaks_text"] == 0


def test_splits_are_balanced_stratified_and_complete(uci: pd.DataFrame):
    frames, counts = split_sms_spam(uci, CONFIG)
    assert {name: frame["label"].value_counts().to_dict() for name, frame in frames.items()} == {
        "train": {"ham": 436, "spam": 436},
        "val": {"ham": 62, "spam": 62},
        "test": {"ham": 125, "spam": 125},
        "unused_ham": {"ham": 3894},
    }
    assert (counts["messages"], counts["ham"], counts["spam"], counts["duplicate_rows"]) == (5574, 4827, 747, 403)
    assert counts["unused_ham"] == 3894


def test_the_book_split_is_that_of_the_book_with_its_leaks(uci_file: Path):
    messages = read_sms_spam(uci_file, QUOTED)
    frames, counts = split_sms_spam(messages, BOOK)
    for name, expected in prepare_as_book(uci_file).items():
        assert frames[name].to_numpy().tolist() == expected.to_numpy().tolist()
    assert [len(frames[name]) for name in ("train", "val", "test")] == [1045, 149, 300]
    assert (counts["messages"], counts["test_in_train"], counts["test_in_train_spam"]) == (5572, 37, 33)
    assert counts["test_ham"] + counts["test_spam"] == 300
    assert counts["unused_ham"] == 4825 - 747
    assert len(messages) == sum(len(frame) for frame in frames.values())


def test_grouping_takes_the_leak_out_of_the_book_split(uci_file: Path):
    grouped = BOOK.model_copy(update={"group_by": "masked_digits"})
    _, counts = split_sms_spam(read_sms_spam(uci_file, QUOTED), grouped)
    assert counts["test_in_train"] == counts["leaks_text"] == counts["leaks_masked_digits"] == 0


def test_without_groups_leaks_are_counted_and_every_message_is_kept(uci: pd.DataFrame):
    frames, counts = split_sms_spam(uci, CONFIG.model_copy(update={"group_by": "none"}))
    assert sum(len(frame) for frame in frames.values()) == 5574
    trained_on = set(frames["train"]["text"])
    assert counts["test_in_train"] == sum(text in trained_on for text in frames["test"]["text"]) > 0
    assert counts["leaks_text"] > 0


def test_labels_are_mixed_within_a_split(uci: pd.DataFrame):
    frames, _ = split_sms_spam(uci, CONFIG)
    assert frames["test"]["label"].iloc[:50].nunique() == 2


def test_the_seed_alone_determines_the_split(uci: pd.DataFrame):
    first, again, other = (
        split_sms_spam(uci, CONFIG.model_copy(update={"seed": seed}))[0]["train"] for seed in (0, 0, 1)
    )
    assert first.equals(again)
    assert set(first["text"]) != set(other["text"])


def test_groups_are_as_wide_as_asked():
    near = ["Call  08712 NOW", "call 08713 now", "ＣＡＬＬ 08712 now"]
    assert len({group_key(text, "text") for text in near}) == 3
    assert len({group_key(text, "normalized") for text in near}) == 2
    assert {group_key(text, "masked_digits") for text in near} == {"call 00000 now"}


def test_a_group_with_both_labels_is_dropped_and_counted():
    conflict = pd.DataFrame([("ham", "Free!"), ("spam", "free!")], columns=["label", "text"])
    frames, counts = split_sms_spam(pd.concat([some_messages(20, 15), conflict]), CONFIG)
    assert counts["conflicting_groups"] == 1
    assert not any("free!" in frame["text"].str.casefold().tolist() for frame in frames.values())


def test_more_spam_than_ham_is_refused():
    with pytest.raises(UserError, match="10 distinct ham and 12 spam"):
        split_sms_spam(some_messages(10, 12), CONFIG)


@pytest.mark.parametrize("split", ["stratified", "book"])
def test_without_balancing_every_message_is_in_a_split(uci: pd.DataFrame, split: str, tmp_path: Path):
    frames, counts = split_sms_spam(uci, CONFIG.model_copy(update={"balance": "none", "split": split}))
    used = {label: sum(counts[f"{name}_{label}"] for name in ("train", "val", "test")) for label in ("ham", "spam")}
    assert used == {"ham": counts["distinct_ham"], "spam": counts["distinct_spam"]}
    assert counts["unused_ham"] == counts["leaks_masked_digits"] == 0
    write_sms_spam(tmp_path, frames)
    assert (tmp_path / "unused_ham.csv").read_text() == '"label","text"\n'
    assert read_split(tmp_path / "unused_ham.csv").shape == (0, 2)


def test_without_balancing_stratified_splits_have_the_shares_of_the_whole(uci: pd.DataFrame):
    _, counts = split_sms_spam(uci, CONFIG.model_copy(update={"balance": "none"}))
    assert [(counts[f"{name}_ham"], counts[f"{name}_spam"]) for name in ("train", "val", "test")] == [
        (3162, 436), (452, 62), (903, 125),
    ]  # fmt: skip


def test_without_balancing_there_may_be_more_spam_than_ham():
    _, counts = split_sms_spam(some_messages(10, 12), CONFIG.model_copy(update={"balance": "none"}))
    assert (counts["train_ham"], counts["train_spam"]) == (7, 8)


def test_odd_texts_survive_files_and_any_csv_reader(tmp_path: Path):
    messages = pd.DataFrame({"label": "ham", "text": ODD_TEXTS})
    raw = write_lines(tmp_path / "raw.tsv", *("ham\t" + text for text in ODD_TEXTS))
    assert read_sms_spam(raw, PLAIN)["text"].tolist() == ODD_TEXTS
    write_sms_spam(tmp_path, {"train": messages})
    assert read_split(tmp_path / "train.csv").to_dict() == messages.to_dict()
    plain = pd.read_csv(tmp_path / "train.csv", keep_default_na=False)
    assert plain["text"].tolist() == ODD_TEXTS


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


@pytest.mark.parametrize("line", ["eggs\thello", "ham hello", "ham\t", "ham\t ", "spam"])
def test_a_line_of_another_form_is_named(tmp_path: Path, line: str):
    path = write_lines(tmp_path / "raw.tsv", "ham\thello", line)
    with pytest.raises(UserError, match="line 2 is"):
        read_sms_spam(path, PLAIN)


def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path):
    (tmp_path / "raw.tsv").write_bytes(b"ham\t\xa3100\n")
    with pytest.raises(UserError, match="is not UTF-8"):
        read_sms_spam(tmp_path / "raw.tsv", PLAIN)


def test_a_plain_file_needs_no_archive(tmp_path: Path):
    extract_sms_spam(write_lines(tmp_path / "plain", "ham\thello"), tmp_path / "raw/out.tsv")
    assert (tmp_path / "raw/out.tsv").read_bytes() == b"ham\thello\n"


def test_an_archive_that_is_too_large_broken_or_another_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sms_spam, "MAX_BYTES", 1_000)
    bomb, other, broken = (tmp_path / name for name in ("bomb.zip", "other.zip", "broken.zip"))
    for path, member in {bomb: sms_spam.ARCHIVE_MEMBER, other: "../evil"}.items():
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(member, b"ham\thello\n" * 1_000)
    broken.write_bytes(bomb.read_bytes().replace(b"SMSSpamCollection", b"SMSSpamCollectiom", 1))
    for path, message in {bomb: "larger than 1,000 bytes", other: "no member", broken: "cannot be read"}.items():
        with pytest.raises(UserError, match=message):
            extract_sms_spam(path, tmp_path / "out.tsv")
    assert not (tmp_path / "out.tsv").exists()


def test_the_histogram_counts_every_message(uci: pd.DataFrame):
    rows = length_histogram(uci)
    assert (sum(row["ham"] for row in rows), sum(row["spam"] for row in rows)) == (4827, 747)
    assert [row["length"] for row in rows[:3]] == [0, 20, 40]
    longest = pd.DataFrame({"label": ["spam"], "text": ["x" * 10**6]})
    assert length_histogram(longest)[-1] == {"length": 1_000, "ham": 0, "spam": 1}
