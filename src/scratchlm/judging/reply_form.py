"""The form of reply that a judge is asked for, and what it is told when its reply has another."""

import json
import re
from collections.abc import Mapping
from typing import Any

# One reply as it came: `content`, and if any `tool` (its arguments), `refusal`, `probabilities` (of the grades).
Reply = Mapping[str, Any]

_FENCE = re.compile(r"\s*```(?:json)?\s*\n(.*?)\n?```\s*", re.DOTALL)
_SCORE_LINE = re.compile(r"\bscore\b[\s*_`\"]*[:=](.*)", re.IGNORECASE)
_EMPHASIS = re.compile(r"[*_`\"]")


class UnreadableReplyError(ValueError):
    """What is wrong with a reply, in words that can be quoted to the judge."""


def reply_request(maximum: int) -> str:
    """The end of the prompt; the same for all forms of reply."""
    return (
        f'Reply with one sentence of reasoning and, on the last line, "SCORE: n", n an integer from 0 to {maximum}; '
        "or, where JSON or a tool is asked for, with that reason and score."
    )


def reply_schema(maximum: int) -> dict[str, Any]:
    """The JSON schema of a reply; an enumeration, as not every server knows bounds."""
    return {
        "type": "object",
        "properties": {
            "reason": {"type": "string"},
            "score": {"type": "integer", "enum": list(range(maximum + 1))},
        },
        "required": ["reason", "score"],
        "additionalProperties": False,
    }


def request_again(error: UnreadableReplyError, maximum: int) -> str:
    """What the judge is told when its reply could not be read."""
    return (
        f"Your reply could not be read: {error}. Reply again, with the last line SCORE: n, "
        f"n an integer from 0 to {maximum}."
    )


def reply_text(reply: Reply) -> str:
    """What the judge said, in words: the content, or what it called the tool with, or its refusal."""
    return reply.get("content") or reply.get("tool") or reply.get("refusal") or ""


def read_form(reply: Reply, maximum: int) -> float:
    """The score of a reply: of the JSON that its content is, of its tool call, of its last `SCORE: n`, in this order.

    A content that is nothing but the number counts too.
    """
    content = reply.get("content") or ""
    for text in (content, reply.get("tool") or ""):
        if (value := json_object(text)) is not None and "score" in value:
            return check_points(value["score"], maximum)
    if not content.strip() and reply.get("refusal"):
        raise UnreadableReplyError("it refuses to grade")
    lines = _SCORE_LINE.findall(content)
    text = _EMPHASIS.sub("", lines[-1] if lines else content).strip()
    match = _points(maximum).fullmatch(text)
    if not match or (match[2] and not lines):
        raise UnreadableReplyError(f"{text[:40]!r} is no integer score" if lines else "it has no line SCORE: n")
    return check_points(int(match[1]), maximum)


def json_object(text: str) -> dict[str, Any] | None:
    """The JSON object that a text is, in a code fence or not."""
    fenced = _FENCE.fullmatch(text)
    try:
        value = json.loads(fenced[1] if fenced else text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def check_points(score: Any, maximum: int) -> float:
    """The score, if it is an integer from 0 to `maximum`; UnreadableReplyError if not."""
    if isinstance(score, bool) or not isinstance(score, int | float):
        raise UnreadableReplyError(f"the score {str(score)[:40]!r} is no integer")
    if not 0 <= score <= maximum:
        raise UnreadableReplyError(f"the score {str(score)[:40]} is not between 0 and {maximum}")
    if score != int(score):
        raise UnreadableReplyError(f"the score {score} is no integer")
    return float(score)


def _points(maximum: int) -> re.Pattern[str]:
    """Of 100: `85`, `85.`, `85/100`, `85 of 100`, and words without a further digit; not `8/10`, `80-90`, `85.5`."""
    return re.compile(rf"(-?\d{{1,9}})(?:\s*(?:/|out of|of)\s*{maximum})?\b\.?(\D*)")
