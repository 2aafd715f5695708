"""The form of reply that a judge is asked for, and what it is told when its reply has another."""

import json
import re
from typing import Any

REPLY_REQUEST = (
    'Reply with one sentence of reasoning and, on the last line, "SCORE: n"; or, where JSON is asked for, '
    'with {"reason": "...", "score": n}.'
)
REPLY_SCHEMA = {
    "type": "object",
    "properties": {"reason": {"type": "string"}, "score": {"type": "integer", "minimum": 0, "maximum": 100}},
    "required": ["reason", "score"],
    "additionalProperties": False,
}

_FENCE = re.compile(r"\s*```(?:json)?\s*\n(.*?)\n?```\s*", re.DOTALL)
_SCORE_LINE = re.compile(r"\bscore\b[\s*_`\"]*[:=](.*)", re.IGNORECASE)
_EMPHASIS = re.compile(r"[*_`\"]")
# `85`, `85.`, `85/100`, `85 out of 100`, and words without a further digit; neither `8/10` nor `80-90` nor `85.5`.
_POINTS = re.compile(r"(-?\d{1,9})(?:\s*(?:/|out of|of)\s*100)?\b\.?(\D*)")


class UnreadableReplyError(ValueError):
    """What is wrong with a reply, in words that can be quoted to the judge."""


def request_again(error: UnreadableReplyError) -> str:
    """What the judge is told when its reply could not be read."""
    return (
        f"Your reply could not be read: {error}. Reply again, with the last line SCORE: n, n an integer from 0 to 100."
    )


def read_form(reply: str) -> float:
    """The integer score of a reply: of the JSON object that it is, of its last `SCORE: n`, or the reply itself."""
    if (value := _json_object(reply)) is not None:
        return check_points(value.get("score"))
    lines = _SCORE_LINE.findall(reply)
    text = _EMPHASIS.sub("", lines[-1] if lines else reply).strip()
    match = _POINTS.fullmatch(text)
    if not match or (match[2] and not lines):
        raise UnreadableReplyError(f"{text[:40]!r} is no integer score" if lines else "it has no line SCORE: n")
    return check_points(int(match[1]))


def _json_object(reply: str) -> dict[str, Any] | None:
    fenced = _FENCE.fullmatch(reply)
    try:
        value = json.loads(fenced[1] if fenced else reply)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def check_points(score: Any) -> float:
    """The score, if it is an integer from 0 to 100; UnreadableReplyError if not."""
    if isinstance(score, bool) or not isinstance(score, int | float):
        raise UnreadableReplyError(f"the score {score!r} is no integer")
    if not 0 <= score <= 100:
        raise UnreadableReplyError(f"the score {score} is not between 0 and 100")
    if score != int(score):
        raise UnreadableReplyError(f"the score {score} is no integer")
    return float(score)
