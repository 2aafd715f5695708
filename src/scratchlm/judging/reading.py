"""How a judge's raw replies become a score from 0 to 100; a change here scores again, and asks nobody again."""

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from scratchlm.errors import UserError
from scratchlm.judging.reply_form import Reply, UnreadableReplyError, check_points, json_object, read_form, reply_text

VERBATIM = "verbatim"  # the status of an answer that is the reference and was not shown to the judge


def read_points(reply: Reply, maximum: int) -> float:
    """The score of a reply in the form that was asked for, or of the first JSON object with a score among its words."""
    try:
        return read_form(reply, maximum)
    except UnreadableReplyError:
        if (value := _first_object(reply_text(reply))) is None:
            raise
        return check_points(value["score"], maximum)


def read_expectation(reply: Reply, maximum: int) -> float:
    """The expected grade under the probabilities that a judge gave to the grades 0 to `maximum`."""
    probabilities = reply.get("probabilities")
    if not isinstance(probabilities, list) or len(probabilities) != maximum + 1:
        raise UnreadableReplyError(f"it does not hold the probabilities of the grades 0 to {maximum}")
    if not all(isinstance(p, int | float) and 0 <= p <= 1 for p in probabilities):
        raise UnreadableReplyError("it holds a probability that is no number from 0 to 1")
    if not (total := math.fsum(probabilities)) > 0:
        raise UnreadableReplyError("no grade has a probability above 0")
    return math.fsum(grade * p for grade, p in enumerate(probabilities)) / total


READERS: dict[str, Callable[[Reply, int], float]] = {"reply": read_points, "expected": read_expectation}


def read_score(row: Mapping[str, Any]) -> float | None:
    """The score of a row of replies.jsonl, 0 to 100, from its first readable reply; None where none is readable."""
    if row["reading"] not in READERS:
        raise UserError(f"item {row['id']} is to be read as {row['reading']!r}, which is not known; judge again.")
    if row["status"] == VERBATIM:
        return 100.0
    for reply in row["replies"]:
        try:
            return 100 * READERS[row["reading"]](reply, row["maximum"]) / row["maximum"]
        except UnreadableReplyError:
            continue
    return None


def read_scores(rows: Iterable[Mapping[str, Any]]) -> dict[int, list[float | None]]:
    """The scores of the samples of each item, by its id."""
    scores: dict[int, list[float | None]] = {}
    for row in rows:
        scores.setdefault(row["id"], []).append(read_score(row))
    return scores


def read_reason(row: Mapping[str, Any]) -> str:
    """The judge's reason in the last reply of a row: of its JSON or tool call, or the words before the score."""
    if not row["replies"]:
        return ""
    reply = row["replies"][-1]
    for text in (reply.get("content") or "", reply.get("tool") or ""):
        if (value := json_object(text)) is not None and isinstance(value.get("reason"), str):
            return value["reason"].strip()
    return re.sub(r"[\s*_`]*\bscore\b\W*\d[^\n]*\s*$", "", reply_text(reply), flags=re.IGNORECASE).strip()


def _first_object(text: str) -> dict[str, Any] | None:
    decoder = json.JSONDecoder()
    for start in (match.start() for match in re.finditer(r"{", text)):
        try:
            value, _ = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict) and "score" in value:
            return value
    return None
