"""Instructions in the Alpaca schema: read, deduplicate, split; the one prompt of training, generation and judging."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from pydantic import Field

from scratchlm.artifacts import read_json, write_jsonl
from scratchlm.datasets.splits import cut
from scratchlm.errors import UserError
from scratchlm.params import Schema

FIELDS = ("instruction", "input", "output")
SPLITS = ("train", "val", "test")
HEADER = "Below is an instruction that describes a task. Write a response that appropriately completes the request."

# The same prompt as a chat template (Jinja): a user's message is the instruction, with its input section if any.
CHAT_TEMPLATE = (
    "{{ '" + HEADER + "' }}{% for message in messages %}"
    "{% if message['role'] == 'user' %}{{ '\\n\\n### Instruction:\\n' + message['content'] }}"
    "{% elif message['role'] == 'assistant' %}{{ '\\n\\n### Response:\\n' + message['content'] }}"
    "{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '\\n\\n### Response:\\n' }}{% endif %}"
)

Entry = dict[str, str]


class SplitConfig(Schema):
    """How instructions are split."""

    seed: int = Field(ge=0)
    train_fraction: float = Field(gt=0, lt=1)
    val_fraction: float = Field(gt=0, lt=1)


def format_prompt(entry: Mapping[str, str]) -> str:
    """The Alpaca prompt of the book, up to where the response begins; a section without an input is left out."""
    sections = [HEADER, f"### Instruction:\n{entry['instruction']}"]
    if entry["input"]:
        sections.append(f"### Input:\n{entry['input']}")
    return "\n\n".join([*sections, "### Response:\n"])


def read_instructions(path: Path) -> list[Entry]:
    """Read a JSON array of objects with instruction, output and, if there is one, input; other fields are left out."""
    entries = read_json(path)
    if not isinstance(entries, list):
        raise UserError(f"{path} holds no JSON array; wrap the entries in [ and ].")
    return [_read_entry(path, number, entry) for number, entry in enumerate(entries, start=1)]


def _read_entry(path: Path, number: int, entry: object) -> Entry:
    if not isinstance(entry, dict):
        raise UserError(f"{path}, entry {number} is {json.dumps(entry)[:40]}, but it should be an object.")
    read = {name: entry.get(name, "") for name in FIELDS}
    for name, value in read.items():
        if not isinstance(value, str):
            raise UserError(f"{path}, entry {number}: {name} is {json.dumps(value)[:40]}, but it should be a text.")
        if name != "input" and not value.strip():
            raise UserError(f"{path}, entry {number} has no {name}; add it, or remove the entry.")
    return read


def split_instructions(entries: list[Entry], config: SplitConfig) -> tuple[dict[str, list[Entry]], dict[str, int]]:
    """The first entry of each (instruction, input), shuffled and cut into train, val and test, and the counts."""
    distinct: dict[tuple[str, str], Entry] = {}
    for entry in entries:
        distinct.setdefault(_key(entry), entry)
    rows = list(distinct.values())
    shuffled = [rows[index] for index in np.random.default_rng(config.seed).permutation(len(rows))]
    parts = cut(shuffled, config.train_fraction, config.val_fraction, what="distinct entries")
    splits = {name: list(part) for name, part in zip(SPLITS, parts, strict=True)}
    leaks = len(rows) - len({_key(entry) for part in splits.values() for entry in part})
    assert leaks == 0, "an (instruction, input) stands in two splits"
    counts = {"entries": len(entries), "distinct": len(rows), "duplicates": len(entries) - len(rows)}
    return splits, counts | {name: len(part) for name, part in splits.items()} | {"leaks": leaks}


def write_instructions(directory: Path, splits: dict[str, list[Entry]]) -> None:
    """Write one JSONL file a split."""
    for name, entries in splits.items():
        write_jsonl(directory / f"{name}.jsonl", entries)


def _key(entry: Entry) -> tuple[str, str]:
    return entry["instruction"], entry["input"]
