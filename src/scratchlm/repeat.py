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

COLUMNS = {"accuracy": "accuracy", "ensemble_accuracy": "ensemble", "tfidf_accuracy": "TF-IDF"}
DIFFERENCES = {"accuracy": "difference", "ensemble_accuracy": "ensemble_difference"}

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
    """Mean and standard deviation over the splits, and the paired differences with their 95 % bootstrap intervals."""
    summary: dict[str, float] = {"splits": len(rows)}
    tfidf = [row["tfidf_accuracy"] for row in rows]
    for key in _measured(rows):
        values = [row[key] for row in rows]
        summary |= {f"{key}_mean": statistics.fmean(values), f"{key}_std": statistics.stdev(values)}
        summary |= {f"{key}_min": min(values), f"{key}_max": max(values)}
        if key != "tfidf_accuracy":
            paired = paired_difference(values, tfidf)
            summary |= {f"{DIFFERENCES[key]}_{name}": value for name, value in paired.items()}
    return summary


def repeat_table(rows: Sequence[Row]) -> Iterator[str]:
    """A line a split, then what `summarize` makes of them."""
    summary, keys = summarize(rows), _measured(rows)
    yield f"{'seed':>6}" + "".join(f"{COLUMNS[key]:>12}" for key in keys) + f"{'difference':>12}"
    for row in rows:
        yield f"{row['seed']:>6}" + "".join(f"{row[key]:>12.2%}" for key in keys) + f"{row['difference']:>+12.2%}"
    for name in ("mean", "std", "min", "max"):
        yield f"{name:>6}" + "".join(f"{summary[f'{key}_{name}']:>12.2%}" for key in keys)
    for key in keys:
        if key != "tfidf_accuracy":
            mean, low, high = (summary[f"{DIFFERENCES[key]}_{name}"] for name in ("mean", "low", "high"))
            what = "" if key == "accuracy" else " of the ensemble"
            interval = f"95 % interval over the splits {low:+.2%} to {high:+.2%}"
            yield f"paired difference{what} to TF-IDF {mean:+.2%}, {interval}"


def _measured(rows: Sequence[Row]) -> list[str]:
    """Which of the accuracies the rows have: that of an ensemble where the classifier trains with several seeds."""
    return [key for key in COLUMNS if all(key in row for row in rows)]


def _change(params: Any, key: str, seed: int) -> str:
    """What `dvc exp run -S` takes to set a parameter to a seed."""
    value = functools.reduce(operator.getitem, key.split("."), params)
    return f"{key}=[{seed}]" if isinstance(value, list) else f"{key}={seed}"


def _row(seed: int, metrics: Metrics) -> Row:
    ours, baselines = (metrics[stage] for stage in TARGETS)
    accuracy, tfidf = ours["accuracy"], baselines["tfidf_accuracy"]
    row = {"seed": seed, "accuracy": accuracy, "tfidf_accuracy": tfidf, "difference": accuracy - tfidf}
    if "ensemble_accuracy" in ours:
        ensemble = ours["ensemble_accuracy"]
        row |= {"ensemble_accuracy": ensemble, "ensemble_difference": ensemble - tfidf}
    return row
