"""Files of items, one a line: the answers to a test set, and what a judge replied about each."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scratchlm.artifacts import read_jsonl
from scratchlm.errors import UserError

ANSWER = {"id": int, "instruction": str, "input": str, "output": str, "response": str}
REPLY = {"id": int, "sample": int, "rubric": str, "maximum": int, "reading": str, "status": str}
REPLY |= {"model": str, "replies": list}
HOSTILE = {**REPLY, "question": int, "attack": int}


def read_answers(path: Path) -> list[dict[str, Any]]:
    """The entries of a test set with a model's `response`; UserError if one lacks a field, or two have one `id`."""
    return _read_items(path, ANSWER, ("id",))


def read_replies(path: Path, answers: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The raw replies of one judge about these answers, a row a sample.

    UserError as of `read_answers`, for any other item, for an answer without a judgement, and for rows that are read on
    different scales: they would be mixed in one mean.
    """
    rows = _read_replies(path, REPLY)
    known, judged = {answer["id"] for answer in answers}, {row["id"] for row in rows}
    if others := judged - known:
        raise UserError(f"{path} judges item {min(others)}, which no answer has; run `dvc repro` to judge again.")
    if missing := known - judged:
        raise UserError(f"{path} has no judgement of item {min(missing)}; run `dvc repro` to judge again.")
    return rows


def read_hostile(path: Path) -> list[dict[str, Any]]:
    """The raw replies of a judge about the hostile answers; UserError as of `read_replies`."""
    return _read_replies(path, HOSTILE)


def _read_replies(path: Path, fields: dict[str, type]) -> list[dict[str, Any]]:
    rows = _read_items(path, fields, ("id", "sample"))
    if len({(row["rubric"], row["maximum"], row["reading"]) for row in rows}) > 1:
        raise UserError(f"{path} mixes rubrics or readings, which no mean may; run `dvc repro` to judge again.")
    for row in rows:
        if row["maximum"] < 1 or not all(isinstance(reply, dict) for reply in row["replies"]):
            raise UserError(f"{path}: the row of item {row['id']} is no judgement; run `dvc repro` to judge again.")
    return rows


def _read_items(path: Path, fields: dict[str, type], key: Sequence[str]) -> list[dict[str, Any]]:
    rows = read_jsonl(path, fields)
    if not rows:
        raise UserError(f"{path} has no items; run `dvc repro` to make it again.")
    seen = set()
    for row in rows:
        if (values := tuple(row[name] for name in key)) in seen:
            raise UserError(f"{path} has the id {row['id']} twice; remove one of the two lines.")
        seen.add(values)
    return rows
