"""Files of items, one a line: the answers to a test set, and what a judge replied about each."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scratchlm.artifacts import read_jsonl
from scratchlm.errors import UserError

ANSWER = {"id": int, "instruction": str, "input": str, "output": str, "response": str}
REPLY = {"id": int, "rubric": str, "replies": list}


def read_answers(path: Path) -> list[dict[str, Any]]:
    """The entries of a test set with a model's `response`; UserError if one lacks a field, or two have one `id`."""
    return _read_items(path, ANSWER)


def read_replies(path: Path, answers: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The raw replies of a judge about these answers; UserError as of `read_answers`, and for any other item."""
    rows = _read_items(path, REPLY)
    if others := {row["id"] for row in rows} - {answer["id"] for answer in answers}:
        raise UserError(f"{path} judges item {min(others)}, which no answer has; run `dvc repro` to judge again.")
    return rows


def _read_items(path: Path, fields: dict[str, type]) -> list[dict[str, Any]]:
    rows = read_jsonl(path, fields)
    if not rows:
        raise UserError(f"{path} has no items; run `dvc repro` to make it again.")
    seen = set()
    for row in rows:
        if row["id"] in seen:
            raise UserError(f"{path} has the id {row['id']} twice; remove one of the two lines.")
        seen.add(row["id"])
    return rows
