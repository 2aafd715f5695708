"""Entries: read from an array or from lines, refused where they are no objects of texts, and read back as written."""

import json
from pathlib import Path
from typing import Any

import pytest

from scratchlm.artifacts import read_jsonl, write_jsonl
from scratchlm.datasets.entries import Entry, read_entries, write_splits
from scratchlm.errors import UserError

ENTRY = {"instruction": "Name the capital.", "input": "France", "output": "Paris."}


def write(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value))
    return path


def read(path: Path) -> list[Entry]:
    return read_entries(path, tuple(ENTRY), source="fetch.source")


def test_the_named_fields_are_kept_and_an_input_may_be_missing(tmp_path: Path):
    path = write(tmp_path / "own.json", [{"instruction": "Greet.", "output": "Hello.", "text": "..."}])
    assert read(path) == [{"instruction": "Greet.", "input": "", "output": "Hello."}]
    assert read_entries(path, ("text",), source="fetch.source") == [{"text": "..."}]


def test_json_lines_are_read_as_an_array_is(tmp_path: Path):
    entries = [ENTRY, ENTRY | {"instruction": "[Greet] in one\u2028line.", "output": "Hello\n"}]
    write_jsonl(tmp_path / "own.jsonl", entries)
    array = write(tmp_path / "own.json", entries)
    assert read(tmp_path / "own.jsonl") == read(array) == entries


@pytest.mark.parametrize("name", ["own.json", "own.jsonl"])
def test_a_byte_order_mark_is_no_part_of_the_entries(tmp_path: Path, name: str):
    text = json.dumps([ENTRY]) if name == "own.json" else json.dumps(ENTRY) + "\n"
    (tmp_path / name).write_text(text, encoding="utf-8-sig")
    assert read(tmp_path / name) == [ENTRY]


def test_a_broken_line_is_named(tmp_path: Path):
    (tmp_path / "own.jsonl").write_text(json.dumps(ENTRY) + "\n{")
    with pytest.raises(UserError, match="line 2 is no valid JSON"):
        read(tmp_path / "own.jsonl")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"instruction": "Greet."}, "line 1 has no output"),
        ("Greet.", 'line 1 is "Greet.", but it should be an object'),
        ([ENTRY, "Greet."], 'entry 2 is "Greet.", but it should be an object'),
        ([ENTRY, {"instruction": "Greet."}], "entry 2 has no output"),
        ([ENTRY, ENTRY | {"instruction": " "}], "entry 2 has no instruction"),
        ([ENTRY | {"output": 3}], "entry 1: output is 3, but it should be a text"),
        ([ENTRY | {"input": None}], "entry 1: input is null"),
        ([ENTRY, ENTRY | {"input": "\ud83d"}], "entry 2: input is not valid Unicode"),
    ],
)
def test_a_wrong_entry_is_named(tmp_path: Path, value: Any, message: str):
    with pytest.raises(UserError, match=message):
        read(write(tmp_path / "own.json", value))


def test_written_splits_are_read_back(tmp_path: Path):
    entries = [ENTRY | {"output": text} for text in ("a\nb", "\u2028\x85", '"', "é", "a\r\n")]
    write_splits(tmp_path, {"train": entries, "val": [], "test": entries[:1]})
    assert read_jsonl(tmp_path / "train.jsonl") == entries
    assert read_jsonl(tmp_path / "val.jsonl") == []
