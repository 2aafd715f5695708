"""The rows of recipes/ablation.yaml, run on several splits as DVC experiments, beside what the book published."""

import statistics
from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from scratchlm.errors import UserError
from scratchlm.experiments import (
    Metrics,
    code_changes,
    read_project_params,
    run_experiments,
    series_name,
    with_params,
)
from scratchlm.params import Schema, project_root, read_yaml
from scratchlm.statistics import bootstrap_interval, paired_difference

ROWS = Path("recipes/ablation.yaml")
STAGE, BASELINES = "finetune_classifier", "score_sms_baselines"
SPLIT_SEED, TRAINING_SEEDS = "prepare_sms_spam.seed", f"{STAGE}.seeds"


class Row(Schema):
    """One setting of the classifier.

    `size` is that of the GPT-2 that it needs, where it is not that of params.yaml; of an `ensemble` so many trainings
    are averaged.
    """

    row: str
    what: str
    published: float | None
    set: dict[str, Any]
    size: str | None = None
    ensemble: int = Field(default=1, ge=1)

    def settings(self) -> dict[str, Any]:
        """The parameters of finetune_classifier that it changes."""
        return self.set if self.size is None else {**self.set, "base": f"gpt2-{self.size}"}


def read_rows(names: Sequence[str]) -> list[Row]:
    """The rows of these names, all if none is given."""
    try:
        rows = [Row.model_validate(row) for row in read_yaml(project_root() / ROWS)["rows"]]
    except (KeyError, TypeError, ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{ROWS} is no list of rows ({reason}); restore it with git.") from None
    if unknown := set(names) - {row.row for row in rows}:
        raise UserError(f"{ROWS} has no row {', '.join(sorted(unknown))}; it has {', '.join(row.row for row in rows)}.")
    return [row for row in rows if not names or row.row in names]


def ablate(splits: int, names: Sequence[str], jobs: int) -> list[dict[str, Any]]:
    """Run each row on the splits 0..splits-1, a split and a training with one seed; return a record for each row.

    The trainings of an ensemble have seeds of their own. Rows of a size that convert_gpt2.names does not have are not
    run, and their record has no accuracy.
    """
    params = read_project_params()
    sizes = params["convert_gpt2"]["names"]
    rows = read_rows(names)
    code = code_changes()
    changes = {row.row: _changes(row, params, code, splits) for row in rows if row.size is None or row.size in sizes}
    metrics = run_experiments(dict(ChainMap(*changes.values())), [STAGE, BASELINES], jobs)
    return [_record(row, [metrics[name] for name in changes.get(row.row, [])]) for row in rows]


def _changes(row: Row, params: Mapping[str, Any], code: Sequence[Any], splits: int) -> dict[str, list[str]]:
    """What `dvc exp run -S` takes, by the name of each experiment: equal settings have one name, whatever their row."""
    settings = {f"{STAGE}.{key}": value for key, value in row.settings().items()}
    without_seeds = with_params(params, settings | {SPLIT_SEED: None, TRAINING_SEEDS: None})
    series = series_name("ablation" if row.ensemble == 1 else f"ablation-{row.ensemble}", without_seeds, code)
    overrides = [f"{key}={_override(value)}" for key, value in settings.items()]
    changes = {}
    for seed in range(splits):
        trainings = ",".join(str(seed * row.ensemble + training) for training in range(row.ensemble))
        changes[f"{series}-{seed}"] = [*overrides, f"{SPLIT_SEED}={seed}", f"{TRAINING_SEEDS}=[{trainings}]"]
    return changes


def _override(value: Any) -> str:
    """A value in the grammar of `dvc exp run -S`, in which `true` is no text."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{_override(item)}" for key, item in value.items()) + "}"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _record(row: Row, runs: Sequence[Metrics]) -> dict[str, Any]:
    record: dict[str, Any] = {"row": row.row, "what": row.what, "published": row.published, "splits": len(runs)}
    if not runs:
        return record
    accuracies = [run[STAGE]["accuracy" if row.ensemble == 1 else "ensemble_accuracy"] for run in runs]
    tfidf = [run[BASELINES]["tfidf_accuracy"] for run in runs]
    low, high = bootstrap_interval(accuracies)
    record |= {"accuracy": statistics.fmean(accuracies), "accuracy_low": low, "accuracy_high": high}
    record |= {"accuracy_std": statistics.stdev(accuracies), "tfidf_accuracy": statistics.fmean(tfidf)}
    difference = paired_difference(accuracies, tfidf)
    return record | {f"difference_to_tfidf_{key}": value for key, value in difference.items()}


def ablation_table(records: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Markdown: published beside ours, each with its 95 % interval over the splits."""
    yield "| row | what | published | ours, mean over the splits | sd | minus TF-IDF |"
    yield "|---|---|---|---|---|---|"
    for record in records:
        published = "" if record["published"] is None else f"{record['published']:.1%}"
        if record["splits"]:
            ours = "{accuracy:.1%} ({accuracy_low:.1%} to {accuracy_high:.1%}) | {accuracy_std:.1%}".format(**record)
            mean, low, high = (record[f"difference_to_tfidf_{key}"] for key in ("mean", "low", "high"))
            cells = f"{ours} | {mean:+.1%} ({low:+.1%} to {high:+.1%})"
        else:
            cells = "not run: convert_gpt2.names lacks the size | |"
        yield f"| {record['row']} | {record['what']} | {published} | {cells} |"
