"""Intervals for what a run measured: Wilson for proportions, bootstrap for means, differences and other statistics."""

from collections.abc import Callable, Sequence

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
RESAMPLES = 10_000
STATISTIC_RESAMPLES = 1_000  # each calls a function


def wilson_interval(successes: int, total: int) -> tuple[float, float]:
    """The 95 % Wilson score interval of a proportion (Wilson 1927); (0, 1) when nothing was counted."""
    if total == 0:
        return 0.0, 1.0
    interval = stats.binomtest(successes, total).proportion_ci(CONFIDENCE, method="wilson")
    return float(interval.low), float(interval.high)


def bootstrap_interval(values: Sequence[float], seed: int = 0) -> tuple[float, float]:
    """The 95 % percentile bootstrap interval of a mean (Efron 1979), the same for the same seed."""
    data = np.asarray(values, dtype=float)
    if len(data) < 2 or np.ptp(data) == 0:
        mean = float(data.mean()) if len(data) else 0.0
        return mean, mean
    result = stats.bootstrap(
        (data,), np.mean, n_resamples=RESAMPLES, batch=1_000, method="percentile", rng=np.random.default_rng(seed)
    )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)


def stratified_bootstrap_interval(
    statistic: Callable[[np.ndarray], float], strata: np.ndarray, seed: int = 0
) -> tuple[float, float]:
    """The 95 % percentile bootstrap interval of a statistic of row numbers, the same for the same seed.

    Rows are drawn within each stratum, so that each keeps its size (as in pROC, Robin et al. 2011).
    """
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]
    values = [
        statistic(np.concatenate([rng.choice(rows, len(rows)) for rows in members])) for _ in range(STATISTIC_RESAMPLES)
    ]
    low, high = np.quantile(values, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def paired_difference(ours: Sequence[float], theirs: Sequence[float], seed: int = 0) -> dict[str, float]:
    """Mean of ours - theirs over the same items with its bootstrap interval; keys `mean`, `low`, `high`."""
    differences = np.asarray(ours, dtype=float) - np.asarray(theirs, dtype=float)
    low, high = bootstrap_interval(differences.tolist(), seed)
    return {"mean": float(differences.mean()), "low": low, "high": high}
