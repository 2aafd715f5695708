"""The probabilities of the grades in a reply whose tokens came with the likeliest ones at their places."""

import math
import re
from collections.abc import Mapping, Sequence
from itertools import accumulate

_GRADE = re.compile(r"(?:\bscore\b[\s*_`\"]*[:=][\s*_`\"]*|\A\s*)(\d)(?!\d)", re.IGNORECASE)


def grade_probabilities(tokens: Sequence[tuple[str, Mapping[str, float]]], maximum: int) -> list[float] | None:
    """The probability of each grade from 0 to `maximum` (one digit) where the reply has its last score.

    They do not add up to 1: other tokens have the rest. None where there is no score, or no grade among the likeliest.
    """
    places = list(_GRADE.finditer("".join(token for token, _ in tokens)))
    if not places:
        return None
    ends = accumulate(len(token) for token, _ in tokens)
    likeliest = next(tops for end, (_, tops) in zip(ends, tokens, strict=True) if end > places[-1].start(1))
    probabilities = [0.0] * (maximum + 1)
    for token, logprob in likeliest.items():
        grade = token.strip(' "*_`\n')
        if len(grade) == 1 and grade in "0123456789"[: maximum + 1]:
            probabilities[int(grade)] = min(1.0, probabilities[int(grade)] + math.exp(logprob))
    return probabilities if any(probabilities) else None
