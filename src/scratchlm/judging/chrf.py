"""chrF++ (Popovic 2017) of answers against reference answers, 0 to 100, as sacrebleu computes it."""

from collections.abc import Sequence
from functools import cache

from sacrebleu.metrics.chrf import CHRF


def chrf(response: str, reference: str) -> float:
    """chrF++ of one answer."""
    return _chrf().sentence_score(response, [reference]).score


def corpus_chrf(responses: Sequence[str], references: Sequence[str]) -> float:
    """chrF++ of all answers as one text."""
    return _chrf().corpus_score(responses, [references]).score


@cache
def _chrf() -> CHRF:
    return CHRF(word_order=2)
