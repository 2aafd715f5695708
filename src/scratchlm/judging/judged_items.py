"""What was judged, an answer a row: its score beside the kind of its instruction and its own length."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

ITEM_COLUMNS = ["id", "kind", "words", "score"]

_WORD = re.compile(r"[^\W\d_]+")


def judged_items(answers: Sequence[Mapping[str, Any]], scores: Sequence[float | None]) -> list[dict[str, Any]]:
    """The answers whose judgement could be read, in ITEM_COLUMNS; a score each."""
    return [
        {
            "id": answer["id"],
            "kind": instruction_kind(answer["instruction"]),
            "words": len(answer["response"].split()),
            "score": score,
        }
        for answer, score in zip(answers, scores, strict=True)
        if score is not None
    ]


def instruction_kind(instruction: str) -> str:
    """The first word in small letters, in most instructions the verb; `none` where there is no word."""
    match = _WORD.search(instruction)
    return match[0].casefold() if match else "none"
