"""Entries of instructions and of preferences: objects of texts, read from JSON, checked, and written split by split."""

import json
from codecs import BOM_UTF8
from collections.abc import Mapping, Sequence
from pathlib import Path

from scratchlm.artifacts import read_json, read_json_lines, write_jsonl
from scratchlm.checksums import write_manifest
from scratchlm.errors import UserError

SPLITS = ("train", "val", "test")

Entry = dict[str, str]
Key = tuple[str, str]


def read_entries(path: Path, fields: Sequence[str], source: str) -> list[Entry]:
    """Read a JSON array or JSON Lines of objects of texts, and keep these fields; all but `input` must say something.

    UserError names the entry that is wrong, or, of a file without any, the parameter `source` that chose it.
    """
    is_array = path.is_file() and path.read_bytes().removeprefix(BOM_UTF8).lstrip().startswith(b"[")
    entries = enumerate(read_json(path), start=1) if is_array else read_json_lines(path)
    place = f"{path}, {'entry' if is_array else 'line'}"
    read = [_read_entry(f"{place} {number}", entry, fields) for number, entry in entries]
    if not read:
        raise UserError(f"{path} has no entries; make it again, or name another {source}.")
    return read


def _read_entry(place: str, entry: object, fields: Sequence[str]) -> Entry:
    if not isinstance(entry, dict):
        raise UserError(f"{place} is {json.dumps(entry)[:40]}, but it should be an object.")
    read = {name: entry.get(name, "") for name in fields}
    for name, value in read.items():
        if not isinstance(value, str):
            raise UserError(f"{place}: {name} is {json.dumps(value)[:40]}, but it should be a text.")
        if name != "input" and not value.strip():
            raise UserError(f"{place} has no {name}; add it, or remove the entry.")
        if any("\ud800" <= character <= "\udfff" for character in value):  # JSON can write half of a pair alone
            raise UserError(f"{place}: {name} is not valid Unicode; correct its \\ud... escapes.")
    return read


def entry_key(entry: Entry) -> Key:
    """What is asked: entries that share it must not stand in two splits."""
    return entry["instruction"], entry["input"]


def write_splits(directory: Path, splits: Mapping[str, Sequence[Entry]]) -> None:
    """Write one JSONL file a split, and their manifest."""
    for name, entries in splits.items():
        write_jsonl(directory / f"{name}.jsonl", entries)
    write_manifest(directory)
