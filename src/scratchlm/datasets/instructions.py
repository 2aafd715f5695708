"""Instructions in the Alpaca schema: read, deduplicate, split."""

from collections import Counter
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from scratchlm.datasets.entries import SPLITS, Entry, entry_key, read_entries
from scratchlm.datasets.near_duplicates import near_duplicate_pairs
from scratchlm.datasets.splits import cut
from scratchlm.errors import UserError
from scratchlm.params import Schema, Seed

Place = tuple[str, int]  # split and row


class SplitConfig(Schema):
    """How instructions are deduplicated, ordered and split."""

    seed: Seed
    duplicates: Literal["drop", "keep"]
    near_duplicates: Literal["drop", "keep"]
    near_duplicate_threshold: float = Field(gt=0, le=1)
    order: Literal["shuffled", "file"]
    train_fraction: float = Field(gt=0, lt=1)
    val_fraction: float = Field(gt=0, lt=1)


def read_instructions(path: Path) -> list[Entry]:
    """Read a JSON array or JSON Lines of objects with instruction, output and, if any, input, and no other field."""
    return read_entries(path, ("instruction", "input", "output"), source="fetch_instructions.source")


def split_instructions(entries: list[Entry], config: SplitConfig) -> tuple[dict[str, list[Entry]], dict[str, int]]:
    """The entries of train, val and test, and the counts of what was done."""
    distinct: dict[tuple[str, str], Entry] = {}
    for entry in entries:
        distinct.setdefault(entry_key(entry), entry)
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
    texts = ["\n".join(entry_key(splits[name][row])) for name, row in places]
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
    keys = {name: [entry_key(entry) for entry in part] for name, part in splits.items()}
    distinct = [set(part) for part in keys.values()]
    trained_on = set(keys["train"])
    return {
        "leaks": sum(count > 1 for count in Counter(key for part in distinct for key in part).values()),
        "test_in_train": sum(key in trained_on for key in keys["test"]),
    }
