"""How a judge's raw replies become a score from 0 to 100; a change here scores again, and asks nobody again."""

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from scratchlm.errors import UserError
from scratchlm.judging.reply_form import UnreadableReplyError, check_points, read_form
from scratchlm.judging.rubric import DIGIT, POINTS


def read_points(reply: str) -> float:
    """The score of a reply in the form that was asked for, or of the first JSON object with a score among its words."""
    try:
        return read_form(reply)
    except UnreadableReplyError:
        if (value := _first_object(reply)) is None:
            raise
        return check_points(value["score"])


def read_expectation(reply: str) -> float:
    """The expected score under the probabilities that a local judge gave to the digits 0 to 9; 9 counts as 100."""
    try:
        probabilities = [float(p) for p in json.loads(reply)["digit_probabilities"]]
    except (ValueError, KeyError, TypeError):
        raise UnreadableReplyError("it does not hold the probabilities of the ten digits") from None
    if not (total := math.fsum(probabilities)) > 0:
        raise UnreadableReplyError("no digit has a probability above 0")
    return math.fsum(digit * p for digit, p in enumerate(probabilities)) / total * 100 / 9


READERS: dict[str, Callable[[str], float]] = {POINTS.version: read_points, DIGIT.version: read_expectation}


def read_score(row: Mapping[str, Any]) -> float | None:
    """The score of a row of replies.jsonl, 0 to 100, as its rubric reads it now; None where no reply is readable."""
    if row["rubric"] not in READERS:
        raise UserError(
            f"item {row['id']} was judged by the rubric {row['rubric']!r}, which is not known; judge again."
        )
    for reply in map(str, row["replies"]):
        try:
            return READERS[row["rubric"]](reply)
        except UnreadableReplyError:
            continue
    return None


def _first_object(reply: str) -> dict[str, Any] | None:
    decoder = json.JSONDecoder()
    for start in (match.start() for match in re.finditer(r"{", reply)):
        try:
            value, _ = decoder.raw_decode(reply, start)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict) and "score" in value:
            return value
    return None
