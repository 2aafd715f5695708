"""Every format gives the same documents, whatever characters they hold, and a damaged file is named."""

import bz2
import csv
import gc
import gzip
import json
import lzma
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scratchlm.datasets import documents
from scratchlm.datasets.documents import read_documents
from scratchlm.errors import UserError
from tests.corpora import read_texts

TEXTS = ["one\n", "zwei\u2028", "three 3️⃣\r\n", "<|endoftext|>", "NA", "null", "007", "1.50", "a\rb", '"q", x\ty', " b "]
ROWS = [{"id": n, "text": text} for n, text in enumerate(["", *TEXTS])]
TABLE = pa.Table.from_pylist(ROWS)
LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS).encode()


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any, **options: Any) -> None:
        pytest.fail(f"asked the network for {arguments[:2]}")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def write_csv(path: Path, separator: str) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=separator, quoting=csv.QUOTE_NONNUMERIC)
        writer.writerows([["id", "text"], *(row.values() for row in ROWS)])


def write_arrow(path: Path, make_writer: Callable[[str, pa.Schema], Any]) -> None:
    with make_writer(str(path), TABLE.schema) as writer:
        writer.write_table(TABLE)


WRITERS: dict[str, Callable[[Path], Any]] = {
    "a.parquet": lambda path: pq.write_table(TABLE, path),
    "a.jsonl": lambda path: path.write_bytes(LINES),
    "a.jsonl.gz": lambda path: path.write_bytes(gzip.compress(LINES)),
    "a.jsonl.xz": lambda path: path.write_bytes(lzma.compress(LINES)),
    "a.json": lambda path: path.write_text(json.dumps(ROWS)),
    "indented.json": lambda path: path.write_text(json.dumps(ROWS, indent=2)),
    "a.csv": lambda path: write_csv(path, ","),
    "a.tsv": lambda path: write_csv(path, "\t"),
    "stream.arrow": lambda path: write_arrow(path, pa.ipc.new_stream),
    "file.arrow": lambda path: write_arrow(path, pa.ipc.new_file),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_documents(name: str, tmp_path: Path, no_network: None):
    WRITERS[name](tmp_path / name)
    assert read_texts(tmp_path / name) == TEXTS


def test_a_text_file_is_one_document(tmp_path: Path):
    for index, text in enumerate(TEXTS[:2]):
        (tmp_path / f"{index}.txt").write_bytes(text.encode())
        assert read_texts(tmp_path / f"{index}.txt") == [text]


def test_the_package_datasets_leaves_nothing_in_the_home_folder(tmp_path: Path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(ROWS))
    code = f"from scratchlm.datasets.documents import *; print(len(list(read_documents(Path({str(path)!r})))))"
    home, temporary = tmp_path / "home", tmp_path / "tmp"
    home.mkdir()
    temporary.mkdir()
    environment = {"HOME": str(home), "TMPDIR": str(temporary)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == (f"{len(TEXTS)}\n", "")
    assert list(home.rglob("*")) == list(temporary.rglob("*")) == []


@pytest.mark.parametrize("name", ["a[1]*.csv", "__a b.csv", ".a.csv"])
def test_a_name_is_a_name_and_no_pattern(name: str, tmp_path: Path):
    write_csv(tmp_path / name, ",")
    assert read_texts(tmp_path / name) == TEXTS


def test_a_column_may_change_its_type_far_down_a_csv(tmp_path: Path):
    rows = [f"{n},{n}" for n in range(10_500)]  # of 10,000 lines a chunk
    (tmp_path / "a.csv").write_text("\n".join(["id,text", *rows, "x,last\n"]))
    assert read_texts(tmp_path / "a.csv") == [*map(str, range(10_500)), "last"]


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl", ".json", ".csv", ".arrow", ".txt"])
def test_an_empty_file_has_no_documents(suffix: str, tmp_path: Path):
    path = tmp_path / f"a{suffix}"
    path.touch()
    if suffix == ".parquet":
        pq.write_table(TABLE[:0], path)
    assert read_texts(path) == []


def test_a_gutenberg_book_is_read_without_bom_carriage_returns_header_and_footer(mirror: Path):
    (book,) = read_texts(mirror / "www.gutenberg.org/cache/epub/1661/pg1661.txt")
    assert book.startswith("The Adventures of Sherlock Holmes\n\nby Arthur Conan Doyle\n")
    assert book.endswith("considerable success.\n")
    assert "\r" not in book
    assert "Gutenberg" not in book


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "a.txt",
            b"caf\xe9",
            r"a\.txt is no UTF-8 text: byte 0xe9, .*; convert it, from Latin-1 with `iconv -f latin1",
        ),
        (
            "a.txt",
            "caf\xe9".encode("utf-16"),
            r"a\.txt is no UTF-8 text: byte 0xff, .* from UTF-16 with `iconv -f utf-16",
        ),
        ("a.txt", "cafe".encode("utf-16-le"), r"a\.txt has NUL characters, as UTF-16 has; convert it to UTF-8"),
        ("a.jsonl", '{"text": "a"}'.encode("utf-16"), r"a\.jsonl, line 1 is no JSON in UTF-8"),
        ("a.jsonl", '{"text": "a"}'.encode("utf-16-le"), r"a\.jsonl, line 1 is no JSON in UTF-8"),
        ("a.jsonl", b"[" * 10**5, r"a\.jsonl, line 1 is no JSON in UTF-8: maximum recursion"),
        ("a.csv", "text\ncaf\xe9\n".encode("utf-16"), r"a\.csv is no UTF-8 text: byte 0xff"),
        ("a.jsonl", b'{"text": "a"}\n{"text": "caf\xe9"}\n', r"a\.jsonl, line 2 is no JSON in UTF-8"),
        ("a.jsonl", b'{"text": "a"}\n{"text": "b"\n', r"a\.jsonl, line 2 is no JSON"),
        ("a.jsonl", b'{"body": "a"}\n', r"a\.jsonl: the `text` of document 1 is None"),
        ("a.jsonl", b'"a"\n', r"a\.jsonl: the `text` of document 1 is None"),
        ("a.jsonl", b'{"text": "\\ud800"}\n', r"a\.jsonl: document 1 is no UTF-8 text .*surrogate"),
        ("a.jsonl.gz", b"no", r"a\.jsonl\.gz cannot be unpacked: Not a gzipped file"),
        ("a.jsonl.gz", gzip.compress(LINES)[:-9], r"a\.jsonl\.gz cannot be unpacked: Compressed file ended"),
        ("a.jsonl.xz", b"no", r"a\.jsonl\.xz cannot be unpacked"),
        ("a.jsonl.xz", lzma.compress(LINES)[:-9], r"a\.jsonl\.xz cannot be unpacked: Compressed file ended"),
        ("a.jsonl.bz2", bz2.compress(LINES), r"a\.jsonl\.bz2 ends in '\.bz2', a corpus file in one of \.parquet"),
        ("a.parquet", b"PAR1", r"a\.parquet is no readable Parquet file"),
        ("a.csv", b"id,body\n1,a\n", r"a\.csv has no column `text`, only id, body; rename one"),
        ("a.csv", b"text\na, b\n", r"a\.csv, line 2 has more fields than the header; quote texts"),
        ("a.csv", b"text\na\nb, c\n", r"a\.csv, line 3 has more fields than the header; quote texts"),
        ("a.csv", b"id,text\n1\n", r"a\.csv: the `text` of document 1 is None, not a string"),
        ("a.csv", b'text\n"a\nb\n', r"a\.csv is no readable \.csv file: unexpected end of data"),
        ("a.csv", b"text\ncaf\xe9\n", r"a\.csv is no UTF-8 text: byte 0xe9"),
        ("a.json", b'[{"body": "a"}]', r"a\.json has no column `text`, only body"),
        ("a.json", b'[{"text": "a"}, {"text": 5}]', r"a\.json is no readable \.json file: "),
        ("a.json", b'[{"text": 5}]', r"a\.json: the `text` of document 1 is 5, not a string"),
        ("a.json", b'[{"text": "2020-01-01"}]', r"a\.json: the `text` of document 1 is datetime.* not a string"),
        ("a.json", b'[{"text": "a"}', r"a\.json is no readable \.json file: "),
        ("a.arrow", b"ARROW", r"a\.arrow is no readable \.arrow file: "),
    ],
)
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_a_damaged_file_is_named_in_one_line(
    name: str, content: bytes, message: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        read_texts(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""
    del caught
    gc.collect()  # `datasets` leaves the file to the garbage collector, which warns


def test_a_table_without_texts_is_named(tmp_path: Path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"body": ["a"]}), path)
    with pytest.raises(UserError, match=r"a\.parquet has no column `text`, only body"):
        read_texts(path)
    pq.write_table(pa.table({"text": ["a", None]}), path)
    with pytest.raises(UserError, match=r"a\.parquet: the `text` of document 2 is None"):
        read_texts(path)


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.tsv", "a.json", "a.txt"])
def test_a_byte_order_mark_is_no_part_of_a_text(name: str, tmp_path: Path):
    content = {"a.jsonl": '{"text": "one"}\n', "a.json": '[{"text": "one"}]', "a.txt": "one"}.get(name, "text\none\n")
    (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + content.encode())
    assert read_texts(tmp_path / name) == ["one"]


def test_nul_characters_of_a_row_are_kept(tmp_path: Path):
    (tmp_path / "a.jsonl").write_text('{"text": "a\\u0000b"}\n')
    (tmp_path / "a.csv").write_bytes(b"text\na\0b\n")
    pq.write_table(pa.table({"text": ["a\0b"]}), tmp_path / "a.parquet")
    for name in ("a.jsonl", "a.csv", "a.parquet"):
        assert read_texts(tmp_path / name) == ["a\0b"], name


def test_a_long_text_file_comes_in_blocks_as_often_as_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(documents, "BLOCK", 7)
    monkeypatch.setattr(documents, "BOOK_BYTES", 10)
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeffé\r\n日本\r😀 three\r\n".encode() * 5)
    (document,) = read_documents(path)
    assert len(list(document)) > 5
    assert "".join(document) == "".join(document) == path.read_text(encoding="utf-8-sig")
    path.write_bytes(b"0123456789\xff")
    with pytest.raises(UserError, match=r"a\.txt is no UTF-8 text"):
        "".join(document)


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.csv", "a.json", "a.parquet", "stream.arrow"])
def test_a_row_too_long_for_the_memory_is_refused_in_one_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    WRITERS[name](tmp_path / name)
    size = max(len(text.encode()) for text in TEXTS)
    monkeypatch.setattr(documents, "ROW_BYTES", size - 1)
    with pytest.raises(UserError, match=rf"\b{size - 1}\b") as caught:
        read_texts(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_parquet_file_of_long_texts_needs_small_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    texts = [f"{number}" * 1_000 for number in range(10)]
    monkeypatch.setattr(documents, "PARQUET_PAGE_BYTES", 5_000)
    pq.write_table(pa.table({"text": texts}), tmp_path / "a.parquet")
    with pytest.raises(
        UserError, match=r"a\.parquet has some .* MiB a page, .*; write it with a smaller row_group_size"
    ):
        read_texts(tmp_path / "a.parquet")
    pq.write_table(pa.table({"text": texts}), tmp_path / "b.parquet", row_group_size=2)
    assert read_texts(tmp_path / "b.parquet") == texts
