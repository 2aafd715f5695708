"""Instructions in the Alpaca schema: read, deduplicate, split."""

import json
from codecs import BOM_UTF8
from collections import Counter
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from scratchlm.artifacts import read_json, read_json_lines, write_jsonl, write_manifest
from scratchlm.datasets.near_duplicates import near_duplicate_pairs
from scratchlm.datasets.splits import cut
from scratchlm.errors import UserError
from scratchlm.params import Schema

FIELDS = ("instruction", "input", "output")
SPLITS = ("train", "val", "test")

Entry = dict[str, str]
Place = tuple[str, int]  # split and row


class SplitConfig(Schema):
    """How instructions are deduplicated, ordered and split."""

    seed: int = Field(ge=0)
    duplicates: Literal["drop", "keep"]
    near_duplicates: Literal["drop", "keep"]
    near_duplicate_threshold: float = Field(gt=0, le=1)
    order: Literal["shuffled", "file"]
    train_fraction: float = Field(gt=0, lt=1)
    val_fraction: float = Field(gt=0, lt=1)


def read_instructions(path: Path) -> list[Entry]:
    """Read a JSON array or JSON Lines of objects with instruction, output and, if any, input, and no other field."""
    is_array = path.is_file() and path.read_bytes().removeprefix(BOM_UTF8).lstrip().startswith(b"[")
    entries = enumerate(read_json(path), start=1) if is_array else read_json_lines(path)
    place = f"{path}, {'entry' if is_array else 'line'}"
    read = [_read_entry(f"{place} {number}", entry) for number, entry in entries]
    if not read:
        raise UserError(f"{path} has no entries; make it again, or name another fetch_instructions.source.")
    return read


def _read_entry(place: str, entry: object) -> Entry:
    if not isinstance(entry, dict):
        raise UserError(f"{place} is {json.dumps(entry)[:40]}, but it should be an object.")
    read = {name: entry.get(name, "") for name in FIELDS}
    for name, value in read.items():
        if not isinstance(value, str):
            raise UserError(f"{place}: {name} is {json.dumps(value)[:40]}, but it should be a text.")
        if name != "input" and not value.strip():
            raise UserError(f"{place} has no {name}; add it, or remove the entry.")
        if any("\ud800" <= character <= "\udfff" for character in value):  # JSON can write half of a pair alone
            raise UserError(f"{place}: {name} is not valid Unicode; correct its \\ud... escapes.")
    return read


def split_instructions(entries: list[Entry], config: SplitConfig) -> tuple[dict[str, list[Entry]], dict[str, int]]:
    """The entries of train, val and test, and the counts of what was done."""
    distinct: dict[tuple[str, str], Entry] = {}
    for entry in entries:
        distinct.setdefault(_key(entry), entry)
    rows = entries if config.duplicates == "keep" else list(distinct.values())
    splits = _cut(rows, config)
    pairs = _near_duplicates(splits, config.near_duplicate_threshold)
    resembling_later = {first for first, second in pairs if first[0] != second[0]}
    dropped = resembling_later if config.near_duplicates == "drop" else set()
    splits = _drop(splits, dropped)
    counts = {"entries": len(entries), "distinct": len(distinct), "duplicates": len(entries) - len(distinct)}
    counts |= {name: len(part) for name, part in splits.items()} | _count_leaks(splits)
    assert counts["leaks"] == 0 or config.duplicates == "keep", "an (instruction, input) stands in two splits"
    left = [pair for pair in pairs if not dropped.intersection(pair)]
    return splits, counts | {
        "near_duplicates": len(resembling_later),
        "near_duplicates_dropped": len(dropped),
        "near_duplicates_within_split": len({second for first, second in left if first[0] == second[0]}),
        "test_near_train": len({test for train, test in left if (train[0], test[0]) == ("train", "test")}),
    }


def _cut(rows: list[Entry], config: SplitConfig) -> dict[str, list[Entry]]:
    """The splits of the shuffled entries; or in the order of the file and of the book: train, test, val."""
    if config.order == "shuffled":
        rows = [rows[index] for index in np.random.default_rng(config.seed).permutation(len(rows))]
    train, val, test = map(list, cut(rows, config.train_fraction, config.val_fraction, what="entries"))
    if config.order == "file":
        rest = val + test
        test, val = rest[: len(test)], rest[len(test) :]
    return dict(zip(SPLITS, (train, val, test), strict=True))


def _near_duplicates(splits: dict[str, list[Entry]], threshold: float) -> list[tuple[Place, Place]]:
    """The pairs of near-duplicates by instruction and input, in the order train, val, test and then by row."""
    places = [(name, row) for name in SPLITS for row in range(len(splits[name]))]
    texts = ["\n".join(_key(splits[name][row])) for name, row in places]
    return [(places[first], places[second]) for first, second in near_duplicate_pairs(texts, threshold)]


def _drop(splits: dict[str, list[Entry]], rows: set[Place]) -> dict[str, list[Entry]]:
    kept = {name: [entry for row, entry in enumerate(part) if (name, row) not in rows] for name, part in splits.items()}
    for name, part in kept.items():
        if not part:
            raise UserError(
                f"every entry of {name} resembles one of a later split; raise "
                "prepare_instructions.near_duplicate_threshold, or set near_duplicates: keep."
            )
    return kept


def _count_leaks(splits: dict[str, list[Entry]]) -> dict[str, int]:
    """Each (instruction, input) that stands in two splits, and the test entries whose own stands in train."""
    keys = {name: [_key(entry) for entry in part] for name, part in splits.items()}
    distinct = [set(part) for part in keys.values()]
    trained_on = set(keys["train"])
    return {
        "leaks": sum(count > 1 for count in Counter(key for part in distinct for key in part).values()),
        "test_in_train": sum(key in trained_on for key in keys["test"]),
    }


def write_instructions(directory: Path, splits: dict[str, list[Entry]]) -> None:
    """Write one JSONL file a split, and their manifest."""
    for name, entries in splits.items():
        write_jsonl(directory / f"{name}.jsonl", entries)
    write_manifest(directory)


def _key(entry: Entry) -> tuple[str, str]:
    return entry["instruction"], entry["input"]
