"""Instructions: the book's file is deduplicated and split without leaks; the prompt is the book's."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from scratchlm.datasets.entries import write_splits
from scratchlm.datasets.instructions import SplitConfig, read_instructions, split_instructions
from scratchlm.errors import UserError

BOOK = "raw.githubusercontent.com/rasbt/LLMs-from-scratch/main/ch07/01_main-chapter-code/instruction-data.json"
CONFIG = SplitConfig(
    seed=0,
    duplicates="drop",
    near_duplicates="keep",
    near_duplicate_threshold=0.8,
    order="shuffled",
    train_fraction=0.85,
    val_fraction=0.05,
)
ENTRY = {"instruction": "Name the capital.", "input": "France", "output": "Paris."}


def write_entries(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value))
    return path


def test_the_books_file_splits_without_leaks(shared: Path):
    splits, counts = split_instructions(read_instructions(shared / "mirror" / BOOK), CONFIG)
    assert counts == {
        "entries": 1100, "distinct": 1075, "duplicates": 25, "train": 914, "val": 54, "test": 107, "leaks": 0,
        "test_in_train": 0, "near_duplicates": 10, "near_duplicates_dropped": 0, "near_duplicates_within_split": 24,
        "test_near_train": 8,
    }  # fmt: skip
    pairs = [(entry["instruction"], entry["input"]) for part in splits.values() for entry in part]
    assert len(pairs) == len(set(pairs)) == 1075


def test_the_seed_alone_determines_the_split(shared: Path):
    entries = read_instructions(shared / "mirror" / BOOK)
    first, again, other = (
        split_instructions(entries, CONFIG.model_copy(update={"seed": seed}))[0]["test"] for seed in (0, 0, 1)
    )
    assert first == again != other


def test_the_first_of_equal_entries_is_kept():
    entries = [{"instruction": f"Count to {n % 30}.", "input": "", "output": str(n)} for n in range(60)]
    splits, counts = split_instructions(entries, CONFIG)
    assert counts["duplicates"] == 30
    assert {int(entry["output"]) for part in splits.values() for entry in part} == set(range(30))


def test_the_order_of_the_file_is_the_split_of_the_book(shared: Path):
    entries = json.loads((shared / "mirror" / BOOK).read_text())
    as_book = CONFIG.model_copy(update={"order": "file", "duplicates": "keep"})
    splits, counts = split_instructions(read_instructions(shared / "mirror" / BOOK), as_book)
    train_end = int(len(entries) * 0.85)
    test_end = train_end + int(len(entries) * 0.1)
    assert splits == {"train": entries[:train_end], "test": entries[train_end:test_end], "val": entries[test_end:]}
    assert (counts["train"], counts["test"], counts["val"], counts["test_in_train"]) == (935, 110, 55, 2)


def ngrams(entry: dict[str, str]) -> set[str]:
    """The character 5-grams of a prompt, case and spacing aside."""
    text = " ".join(f"{entry['instruction']} {entry['input']}".casefold().split())
    return {text[start : start + 5] for start in range(len(text) - 4)}


def resembles(entry: set[str], others: list[set[str]]) -> bool:
    """Whether one of the others has a Jaccard similarity of at least 0.8 to an entry, by the definition."""
    return any(9 * len(entry & other) >= 4 * (len(entry) + len(other)) for other in others)


def count_near_duplicates(splits: dict[str, list[dict[str, str]]]) -> dict[str, int]:
    """The counts of the metrics, entry by entry."""
    train, val, test = ([ngrams(entry) for entry in splits[name]] for name in ("train", "val", "test"))
    later = [(entry, val + test) for entry in train] + [(entry, test) for entry in val]
    within = [(entry, part[:row]) for part in (train, val, test) for row, entry in enumerate(part)]
    return {
        "near_duplicates": sum(resembles(*pair) for pair in later),
        "near_duplicates_within_split": sum(resembles(*pair) for pair in within),
        "test_near_train": sum(resembles(entry, train) for entry in test),
    }


def test_dropping_near_duplicates_leaves_none_across_splits_and_the_test_set_whole(shared: Path):
    entries = read_instructions(shared / "mirror" / BOOK)
    kept, found = split_instructions(entries, CONFIG)
    dropped, counts = split_instructions(entries, CONFIG.model_copy(update={"near_duplicates": "drop"}))
    expected = count_near_duplicates(kept)
    assert min(expected.values()) > 0
    assert expected.items() <= found.items()
    left = count_near_duplicates(dropped)
    assert (left["near_duplicates"], left["test_near_train"]) == (0, 0)
    assert left.items() <= counts.items() | {("near_duplicates", 0)}
    assert dropped["test"] == kept["test"]
    assert counts["near_duplicates_dropped"] == found["near_duplicates"]
    assert counts["train"] + counts["val"] + counts["test"] == 1075 - found["near_duplicates"]


def test_a_split_that_resembles_the_others_whole_is_an_error():
    entries = [{"instruction": f"Count all the sheep to number {n}.", "input": "", "output": "."} for n in range(100)]
    changes = {"near_duplicates": "drop", "near_duplicate_threshold": 0.5}
    with pytest.raises(UserError, match="every entry of train resembles one of a later split"):
        split_instructions(entries, CONFIG.model_copy(update=changes))


def test_a_missing_input_is_empty_and_other_fields_are_left_out(tmp_path: Path):
    path = write_entries(tmp_path / "own.json", [{"instruction": "Greet.", "output": "Hello.", "text": "..."}])
    assert read_instructions(path) == [{"instruction": "Greet.", "input": "", "output": "Hello."}]


def test_an_entry_without_an_output_is_named(tmp_path: Path):
    with pytest.raises(UserError, match="entry 2 has no output"):
        read_instructions(write_entries(tmp_path / "own.json", [ENTRY, {"instruction": "Greet."}]))


def test_an_empty_file_names_the_parameter_that_chose_it(tmp_path: Path):
    with pytest.raises(UserError, match=r"has no entries; make it again, or name another fetch_instructions\.source"):
        read_instructions(write_entries(tmp_path / "own.json", []))


def test_other_tools_read_the_splits_of_the_books_file_as_alpaca_json(shared: Path, tmp_path: Path):
    """What TRL, axolotl and LLaMA-Factory call: `datasets` reads three columns of texts; pandas reads the same."""
    from datasets import Value, disable_progress_bars, load_dataset

    disable_progress_bars()
    splits, _ = split_instructions(read_instructions(shared / "mirror" / BOOK), CONFIG)
    write_splits(tmp_path / "splits", splits)
    files = {name: str(tmp_path / f"splits/{name}.jsonl") for name in splits}
    read = load_dataset("json", data_files=files, cache_dir=str(tmp_path / "cache"))
    for name, entries in splits.items():
        assert read[name].features == {field: Value("string") for field in ("instruction", "input", "output")}
        assert read[name].to_list() == entries
        assert pd.read_json(files[name], lines=True, dtype=False).to_dict("records") == entries
