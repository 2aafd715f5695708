"""Files are whole or absent, and what is read from them is checked."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scratchlm.artifacts import (
    atomic_directory,
    atomic_file,
    evenly_spaced,
    read_json,
    read_jsonl,
    write_csv,
    write_json,
    write_jsonl,
)
from scratchlm.errors import UserError


def test_a_failed_write_leaves_the_old_file(tmp_path: Path):
    path = tmp_path / "file.txt"
    path.write_text("old")

    def fail() -> None:
        with atomic_file(path) as partial:
            partial.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_directory_is_replaced_whole(tmp_path: Path):
    path = tmp_path / "folder"
    path.mkdir()
    (path / "stale").touch()
    (tmp_path / ".folder.partial").mkdir()
    (tmp_path / ".folder.partial/of-a-killed-run").touch()
    with atomic_directory(path) as partial:
        (partial / "fresh").write_text("1")
    assert [file.name for file in path.iterdir()] == ["fresh"]
    assert list(tmp_path.iterdir()) == [path]


def test_the_old_directory_is_whole_until_the_new_one_is(tmp_path: Path):
    path = tmp_path / "folder"
    for name in ("first", "second"):
        with atomic_directory(path) as partial:
            (partial / name).touch()
    assert [file.name for file in path.iterdir()] == ["second"]
    (tmp_path / ".folder.old").mkdir()
    (tmp_path / ".folder.old/of-a-killed-run").touch()
    with atomic_directory(path) as partial:
        (partial / "third").touch()
        assert [file.name for file in path.iterdir()] == ["second"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_directory_leaves_the_old_one_and_nothing_else(tmp_path: Path):
    path = tmp_path / "folder"
    path.mkdir()

    def fail() -> None:
        with atomic_directory(path) as partial:
            (partial / "half").touch()
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        fail()
    assert list(tmp_path.iterdir()) == [path]


def test_a_curve_is_thinned_from_end_to_end():
    assert evenly_spaced([1, 2, 3], 5) == [1, 2, 3]
    thinned = evenly_spaced(range(5_000), 1_000)
    assert (len(thinned), thinned[0], thinned[-1]) == (1_000, 0, 4_999)
    assert thinned == sorted(set(thinned))


def test_json_refuses_nan_and_keeps_the_old_file(tmp_path: Path):
    path = tmp_path / "metrics.json"
    write_json(path, {"loss": 1.5})
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(path, {"loss": math.nan})
    assert read_json(path) == {"loss": 1.5}


def test_jsonl_round_trips_any_text(tmp_path: Path):
    rows = [{"text": 'line\nbreak, "quote", \u2028 separator'}, {"text": ""}]
    write_jsonl(tmp_path / "rows.jsonl", rows)
    assert read_jsonl(tmp_path / "rows.jsonl") == rows


@pytest.mark.parametrize("content", [b'\xef\xbb\xbf{"a": 1}\n{"a": 2}\n', b'{"a": 1}\r\n\r\n{"a": 2}\n\n'])
def test_a_byte_order_mark_and_blank_lines_are_no_rows(tmp_path: Path, content: bytes):
    (tmp_path / "rows.jsonl").write_bytes(content)
    assert read_jsonl(tmp_path / "rows.jsonl") == [{"a": 1}, {"a": 2}]


def test_csv_quotes_texts_and_takes_the_named_columns(tmp_path: Path):
    write_csv(tmp_path / "rows.csv", [{"a": 1, "b": "x\r,y", "c": 2.5}], ["a", "b"])
    assert (tmp_path / "rows.csv").read_bytes() == b'"a","b"\n1,"x\r,y"\n'


BROKEN = {"cut": b"{", "UTF-16": b"\xff\xfe", "nested too deep": b"[" * 100_000, "number too long": b"1" * 5_000}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("read", [read_json, read_jsonl])
def test_a_broken_json_file_is_named(tmp_path: Path, content: bytes, read: Callable[[Path], Any]):
    (tmp_path / "broken.json").write_bytes(content)
    with pytest.raises(UserError, match=r"broken\.json"):
        read(tmp_path / "broken.json")


def test_a_broken_line_is_named(tmp_path: Path):
    (tmp_path / "rows.jsonl").write_text('{"a": 1}\n{"a":\n')
    with pytest.raises(UserError, match="line 2"):
        read_jsonl(tmp_path / "rows.jsonl")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[1]", r"line 3 is \[1\], but it should be an object"),
        ('{"id": 1}', "line 3 has no text"),
        ('{"id": "1", "text": ""}', 'line 3: id is "1", not an integer'),
        ('{"id": true, "text": ""}', "line 3: id is true, not an integer"),
        ('{"id": 1, "text": null}', "line 3: text is null, not a text"),
        ('{"id": 1, "text": "", "share": "0.5"}', 'line 3: share is "0.5", not a number'),
        ('{"id": 1, "text": "\\ud83d", "share": 1}', "line 3: text is not valid Unicode"),
    ],
)
def test_a_line_with_other_fields_is_named_with_the_field(tmp_path: Path, line: str, message: str):
    path, fields = tmp_path / "rows.jsonl", {"id": int, "text": str, "share": float}
    path.write_text('{"id": 0, "text": "a", "share": 1, "more": null}\n\n')
    assert len(read_jsonl(path, fields)) == 1
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(UserError, match=rf"rows\.jsonl, {message}"):
        read_jsonl(path, fields)
