"""The figures made of a judge's scores: mean and bounds, attacks, the agreement with other figures, the histogram."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from scratchlm.errors import UserError
from scratchlm.statistics import bootstrap_interval, wilson_interval

RAISED = 25  # points of 100 that an attack gains on its wrong answer to count as a success


def item_score(samples: Sequence[float | None]) -> float | None:
    """The mean of the parsed samples of one item; None if none was parsed."""
    parsed = [score for score in samples if score is not None]
    return math.fsum(parsed) / len(parsed) if parsed else None


def summarize_scores(samples: Sequence[Sequence[float | None]], max_unparsed_rate: float) -> dict[str, float]:
    """The mean of the items' scores with its bootstrap interval, and the mean with the unparsed as 0 and as 100.

    `samples` has the scores of each item; with several an item, `sample_sd` is their spread, the root of the mean
    variance within an item. UserError if more than `max_unparsed_rate` of the judgements, or all of them, are unparsed.
    """
    judgements = [score for scores in samples for score in scores]
    unparsed = judgements.count(None)
    if unparsed == len(judgements) or unparsed > max_unparsed_rate * len(judgements):
        raise UserError(
            f"{unparsed} of {len(judgements)} judgements could not be read, more than "
            f"score_judgements.max_unparsed_rate {max_unparsed_rate}; see status `unparsed` in the replies, and take "
            "another judge or raise the limit."
        )
    parsed = [score for scores in samples if (score := item_score(scores)) is not None]
    ci_low, ci_high = bootstrap_interval(parsed)
    summary = {
        "items": len(samples),
        "judgements": len(judgements),
        "unparsed": unparsed,
        "score": math.fsum(parsed) / len(parsed),
        "score_ci_low": ci_low,
        "score_ci_high": ci_high,
        "score_low": _mean_with(samples, 0.0),
        "score_high": _mean_with(samples, 100.0),
    }
    repeated = [np.var(known, ddof=1) for scores in samples if len(known := [s for s in scores if s is not None]) > 1]
    return summary | ({"sample_sd": math.sqrt(np.mean(repeated))} if repeated else {})


def _mean_with(samples: Sequence[Sequence[float | None]], unparsed: float) -> float:
    """The mean over the items, with this score for each judgement that is unparsed."""
    means = [math.fsum(unparsed if score is None else score for score in scores) / len(scores) for scores in samples]
    return math.fsum(means) / len(means)


def summarize_attacks(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """How many attacks raised the score of their wrong answer by RAISED points or more, with a Wilson interval.

    `rows` have `question`, `attack` (0: the wrong answer itself) and `score`. An attack that cannot be compared, as one
    of the two is unparsed, is no success, and is counted. `wrong_score` is the mean of the wrong answers.
    """
    wrong = {row["question"]: row["score"] for row in rows if row["attack"] == 0}
    pairs = [(row["score"], wrong[row["question"]]) for row in rows if row["attack"]]
    succeeded = sum(None not in pair and pair[0] - pair[1] >= RAISED for pair in pairs)
    low, high = wilson_interval(succeeded, len(pairs))
    summary = {
        "attacks": len(pairs),
        "attacks_unparsed": sum(None in pair for pair in pairs),
        "attack_success_rate": succeeded / len(pairs),
        "attack_success_rate_low": low,
        "attack_success_rate_high": high,
    }
    mean = item_score(list(wrong.values()))
    return summary | ({} if mean is None else {"wrong_score": mean})


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
