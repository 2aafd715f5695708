"""The figures made of a judge's scores: the mean and its bounds, the agreement with other figures, the histogram."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats

from scratchlm.errors import UserError
from scratchlm.statistics import bootstrap_interval


def summarize_scores(scores: Sequence[float | None], max_unparsed_rate: float) -> dict[str, float]:
    """The mean of the parsed scores with its bootstrap interval, and the mean with the unparsed as 0 and as 100.

    UserError if more than `max_unparsed_rate` of the items, or all of them, are unparsed.
    """
    parsed = [score for score in scores if score is not None]
    unparsed = len(scores) - len(parsed)
    if not parsed or unparsed > max_unparsed_rate * len(scores):
        raise UserError(
            f"{unparsed} of {len(scores)} judgements could not be read, more than score_judgements.max_unparsed_rate "
            f"{max_unparsed_rate}; see status `unparsed` in the replies, and take another judge or raise the limit."
        )
    ci_low, ci_high = bootstrap_interval(parsed)
    return {
        "items": len(scores),
        "unparsed": unparsed,
        "score": math.fsum(parsed) / len(parsed),
        "score_ci_low": ci_low,
        "score_ci_high": ci_high,
        "score_low": math.fsum(parsed) / len(scores),
        "score_high": (math.fsum(parsed) + 100 * unparsed) / len(scores),
    }


def rank_agreement(scores: Sequence[float | None], others: Sequence[float]) -> float | None:
    """Spearman's rank correlation of the parsed scores with another figure of the items; None if one is constant."""
    pairs = np.array([(score, other) for score, other in zip(scores, others, strict=True) if score is not None])
    if len(pairs) < 2 or not np.ptp(pairs, axis=0).all():
        return None
    correlation: Any = stats.spearmanr(pairs)
    return float(correlation.statistic)


def histogram(scores: Sequence[float | None]) -> list[dict[str, int]]:
    """How many scores lie in each tenth of the scale; the last one includes 100."""
    tenths = [min(int(score // 10), 9) for score in scores if score is not None]
    return [
        {"score_from": 10 * tenth, "score_to": 10 * tenth + 10, "count": tenths.count(tenth)} for tenth in range(10)
    ]
