"""Preferences: the book's file stands in the splits of its instructions, and no prompt in two of them."""

import json
from pathlib import Path

import pytest

from scratchlm.datasets.entries import SPLITS, write_splits
from scratchlm.datasets.instructions import SplitConfig, read_instructions, split_instructions
from scratchlm.datasets.preferences import PreferenceSplitConfig, read_preferences, split_preferences
from scratchlm.datasets.sources import INSTRUCTIONS, PREFERENCES
from scratchlm.errors import UserError

CONFIG = PreferenceSplitConfig(seed=0, train_fraction=0.6, val_fraction=0.2)
NO_INSTRUCTIONS: dict[str, list[dict[str, str]]] = {name: [] for name in SPLITS}


def preference(number: int, chosen: str = "yes", rejected: str = "no") -> dict[str, str]:
    return {"instruction": f"Ask {number}.", "input": "", "chosen": chosen, "rejected": rejected}


def keys(entries: list[dict[str, str]]) -> set[tuple[str, str]]:
    return {(entry["instruction"], entry["input"]) for entry in entries}


def test_the_books_preferences_follow_the_split_of_its_instructions(mirror: Path):
    files = [mirror / table["book"].urls[0].removeprefix("https://") for table in (INSTRUCTIONS, PREFERENCES)]
    cut = {"seed": 0, "duplicates": "drop", "near_duplicates": "keep", "near_duplicate_threshold": 0.8}
    config = SplitConfig.model_validate(cut | {"order": "shuffled", "train_fraction": 0.85, "val_fraction": 0.05})
    instructions, _ = split_instructions(read_instructions(files[0]), config)
    splits, counts = split_preferences(read_preferences(files[1]), instructions, CONFIG)
    assert (counts["preferences"], counts["undecided"], counts["new_instructions"]) == (1100, 6, 0)
    for name in SPLITS:
        assert keys(splits[name]) <= keys(instructions[name])
    assert sum(map(len, splits.values())) == 1100 - counts["repeated"] - counts["undecided"]
    assert set(splits["train"][0]) == {"instruction", "input", "chosen", "rejected"}


def test_the_sample_is_split_as_the_instructions_that_it_was_written_for(tmp_path: Path):
    sample = Path(__file__).resolve().parents[2] / "data/sample"
    read = read_instructions(sample / "instructions.json")
    entries = [entry for row, entry in enumerate(read) if not keys([entry]) & keys(read[:row])]
    instructions = {"train": entries[:300], "val": entries[300:350], "test": entries[350:]}
    splits, counts = split_preferences(read_preferences(sample / "preferences.json"), instructions, CONFIG)
    assert (counts["new_instructions"], counts["contradictory"], counts["undecided"]) == (0, 0, 0)
    assert [keys(splits[name]) for name in SPLITS] == [keys(instructions[name]) for name in SPLITS]


def test_other_instructions_are_cut_and_all_preferences_of_one_stand_together():
    entries = [preference(number, rejected=f"no {answer}") for number in range(50) for answer in range(3)]
    splits, counts = split_preferences(entries, NO_INSTRUCTIONS, CONFIG)
    assert [len(splits[name]) for name in SPLITS] == [90, 30, 30]
    parts = [keys(splits[name]) for name in SPLITS]
    assert [parts[first] & parts[second] for first, second in ((0, 1), (0, 2), (1, 2))] == [set()] * 3
    assert (counts["new_instructions"], counts["known_instructions"]) == (50, 0)


def test_repeated_and_undecided_preferences_are_dropped_and_contradictory_ones_counted():
    entries = [preference(number) for number in range(10)]
    odd = [preference(0), preference(1, "same", "same"), preference(2, "no", "yes")]
    splits, counts = split_preferences([*entries, *odd], NO_INSTRUCTIONS, CONFIG)
    assert (counts["repeated"], counts["undecided"], counts["contradictory"]) == (1, 1, 1)
    assert sum(map(len, splits.values())) == 11


def test_a_split_without_a_preference_is_one_line():
    instructions = NO_INSTRUCTIONS | {"train": [{"instruction": "Ask 0.", "input": "", "output": "yes"}]}
    with pytest.raises(UserError, match="no preference stands in val"):
        split_preferences([preference(0)], instructions, CONFIG)


def test_what_is_written_is_read_again(tmp_path: Path):
    splits, _ = split_preferences([preference(number) for number in range(10)], NO_INSTRUCTIONS, CONFIG)
    write_splits(tmp_path, splits)
    assert {name: read_preferences(tmp_path / f"{name}.jsonl") for name in SPLITS} == splits


def test_a_preference_without_a_rejected_response_is_named(tmp_path: Path):
    path = tmp_path / "own.json"
    path.write_text(json.dumps([preference(1), preference(0, rejected=" ")]))
    with pytest.raises(UserError, match="entry 2 has no rejected"):
        read_preferences(path)


def test_an_empty_file_names_the_parameter_that_chose_it(tmp_path: Path):
    (tmp_path / "own.jsonl").write_text("\n")
    with pytest.raises(UserError, match=r"has no entries; make it again, or name another fetch_preferences\.source"):
        read_preferences(tmp_path / "own.jsonl")
