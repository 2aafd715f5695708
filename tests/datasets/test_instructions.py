"""Instructions: the book's file is deduplicated and split without leaks; the prompt is the book's."""

import json
from pathlib import Path
from typing import Any

import pytest
from jinja2 import Environment

from scratchlm.artifacts import read_jsonl
from scratchlm.datasets.instructions import (
    CHAT_TEMPLATE,
    SplitConfig,
    format_prompt,
    read_instructions,
    split_instructions,
    write_instructions,
)
from scratchlm.errors import UserError

BOOK = "raw.githubusercontent.com/rasbt/LLMs-from-scratch/main/ch07/01_main-chapter-code/instruction-data.json"
CONFIG = SplitConfig(seed=0, train_fraction=0.85, val_fraction=0.05)
ENTRY = {"instruction": "Name the capital.", "input": "France", "output": "Paris."}


def write_entries(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value))
    return path


def test_the_books_file_splits_without_leaks(shared: Path):
    splits, counts = split_instructions(read_instructions(shared / "mirror" / BOOK), CONFIG)
    assert counts == {
        "entries": 1100, "distinct": 1075, "duplicates": 25, "train": 914, "val": 54, "test": 107, "leaks": 0,
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


def test_the_prompt_is_that_of_the_book():
    header = "Below is an instruction that describes a task. Write a response that appropriately completes the request."
    asked = f"{header}\n\n### Instruction:\nName the capital."
    assert format_prompt(ENTRY) == f"{asked}\n\n### Input:\nFrance\n\n### Response:\n"
    assert format_prompt(ENTRY | {"input": ""}) == f"{asked}\n\n### Response:\n"


def test_the_chat_template_gives_the_same_prompt():
    # transformers renders templates with these two settings.
    template = Environment(trim_blocks=True, lstrip_blocks=True).from_string(CHAT_TEMPLATE)
    content = "Name the capital.\n\n### Input:\nFrance"
    message = {"role": "user", "content": content}
    assert template.render(messages=[message], add_generation_prompt=True) == format_prompt(ENTRY)


def test_a_missing_input_is_empty_and_other_fields_are_left_out(tmp_path: Path):
    path = write_entries(tmp_path / "own.json", [{"instruction": "Greet.", "output": "Hello.", "text": "..."}])
    assert read_instructions(path) == [{"instruction": "Greet.", "input": "", "output": "Hello."}]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"instruction": "Greet."}, "holds no JSON array"),
        ([ENTRY, "Greet."], 'entry 2 is "Greet.", but it should be an object'),
        ([ENTRY, {"instruction": "Greet."}], "entry 2 has no output"),
        ([ENTRY, ENTRY | {"instruction": " "}], "entry 2 has no instruction"),
        ([ENTRY | {"output": 3}], "entry 1: output is 3, but it should be a text"),
        ([ENTRY | {"input": None}], "entry 1: input is null"),
    ],
)
def test_a_wrong_entry_is_named(tmp_path: Path, value: Any, message: str):
    with pytest.raises(UserError, match=message):
        read_instructions(write_entries(tmp_path / "own.json", value))


def test_written_splits_are_read_back(tmp_path: Path):
    entries = [ENTRY | {"output": text} for text in ("a\nb", "\u2028\x85", '"', "é", "a\r\n")]
    write_instructions(tmp_path, {"train": entries, "val": [], "test": entries[:1]})
    assert read_jsonl(tmp_path / "train.jsonl") == entries
    assert read_jsonl(tmp_path / "val.jsonl") == []
