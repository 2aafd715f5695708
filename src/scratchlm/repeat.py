"""The same stages on several splits: one DVC experiment a split, and the table of what they measured."""

import functools
import operator
import statistics
from collections.abc import Iterator, Sequence
from typing import Any

from scratchlm.experiments import (
    Metrics,
    code_changes,
    read_project_params,
    run_experiments,
    series_name,
    with_params,
)
from scratchlm.statistics import paired_difference

TARGETS = ("finetune_classifier", "score_sms_baselines")

Row = dict[str, float]


def repeat(splits: int, seed_params: Sequence[str], jobs: int) -> list[Row]:
    """Run one experiment for each seed 0..splits-1, but for those that have run; return the accuracies of all.

    `seed_params` name the parameters that take the seed; one that is a list takes the list of this seed alone.
    """
    params = read_project_params()
    series = series_name("repeat", with_params(params, dict.fromkeys(seed_params)), code_changes())
    changes = {f"{series}-{seed}": [_change(params, key, seed) for key in seed_params] for seed in range(splits)}
    metrics = run_experiments(changes, TARGETS, jobs)
    return [_row(seed, metrics[name]) for seed, name in enumerate(changes)]


def summarize(rows: Sequence[Row]) -> dict[str, float]:
    """Mean and standard deviation over the splits, and the paired difference with its 95 % bootstrap interval."""
    summary: dict[str, float] = {"splits": len(rows)}
    for key in ("accuracy", "tfidf_accuracy"):
        values = [row[key] for row in rows]
        summary |= {f"{key}_mean": statistics.fmean(values), f"{key}_std": statistics.stdev(values)}
        summary |= {f"{key}_min": min(values), f"{key}_max": max(values)}
    paired = paired_difference([row["accuracy"] for row in rows], [row["tfidf_accuracy"] for row in rows])
    return summary | {f"difference_{key}": value for key, value in paired.items()}


def repeat_table(rows: Sequence[Row]) -> Iterator[str]:
    """A line a split, then what `summarize` makes of them."""
    summary = summarize(rows)
    yield f"{'seed':>6}{'accuracy':>12}{'TF-IDF':>12}{'difference':>12}"
    for row in rows:
        yield f"{row['seed']:>6}{row['accuracy']:>12.2%}{row['tfidf_accuracy']:>12.2%}{row['difference']:>+12.2%}"
    for name in ("mean", "std", "min", "max"):
        yield f"{name:>6}{summary[f'accuracy_{name}']:>12.2%}{summary[f'tfidf_accuracy_{name}']:>12.2%}"
    mean, low, high = (summary[f"difference_{key}"] for key in ("mean", "low", "high"))
    yield f"paired difference to TF-IDF {mean:+.2%}, 95 % interval over the splits {low:+.2%} to {high:+.2%}"


def _change(params: Any, key: str, seed: int) -> str:
    """What `dvc exp run -S` takes to set a parameter to a seed."""
    value = functools.reduce(operator.getitem, key.split("."), params)
    return f"{key}=[{seed}]" if isinstance(value, list) else f"{key}={seed}"


def _row(seed: int, metrics: Metrics) -> Row:
    ours, baselines = (metrics[stage] for stage in TARGETS)
    accuracy, tfidf = ours["accuracy"], baselines["tfidf_accuracy"]
    return {"seed": seed, "accuracy": accuracy, "tfidf_accuracy": tfidf, "difference": accuracy - tfidf}
