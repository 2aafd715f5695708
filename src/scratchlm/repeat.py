"""The same stages on several splits: one DVC experiment a split, and the table of what they measured."""

import csv
import io
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from scratchlm.artifacts import sha256_file, sha256_json
from scratchlm.errors import UserError
from scratchlm.params import PARAMS, project_root, read_yaml
from scratchlm.statistics import paired_difference

TARGETS = ("finetune_classifier", "score_sms_baselines")
CODE = (".", ":!params.yaml", ":!dvc.lock", ":!metrics")  # of what git tracks, that which may change results
NEW_CODE = ("pipeline", "src")  # where a file that git does not track yet may change them
STDERR = 2  # where what DVC and the stages print goes: stdout is for the table

Row = dict[str, float]


def repeat(splits: int, seed_params: Sequence[str]) -> list[Row]:
    """Run one experiment for each seed 0..splits-1, but for those that have run; return the accuracies of all.

    `seed_params` name the parameters that take the seed; one that is a list takes the list of this seed alone.
    Experiments run in a folder of their own, with the parameters and the code of this one, and leave this one alone.
    """
    params = read_yaml(project_root() / PARAMS)
    series = _series_name(params, seed_params)
    names = {seed: f"{series}-{seed}" for seed in range(splits)}
    done = _read_experiments()
    for seed, name in names.items():
        if name not in done:
            _run_experiment(name, [_change(params, key, seed) for key in seed_params])
    done = _read_experiments()
    return [_row(seed, done[name]) for seed, name in names.items()]


def summarize(rows: Sequence[Row]) -> dict[str, float]:
    """Mean and standard deviation over the splits, and the paired difference with its 95 % bootstrap interval."""
    summary: dict[str, float] = {"splits": len(rows)}
    for key in ("accuracy", "tfidf_accuracy"):
        values = [row[key] for row in rows]
        summary |= {f"{key}_mean": statistics.fmean(values), f"{key}_std": statistics.stdev(values)}
        summary |= {f"{key}_min": min(values), f"{key}_max": max(values)}
    paired = paired_difference([row["accuracy"] for row in rows], [row["tfidf_accuracy"] for row in rows])
    return summary | {f"difference_{key}": value for key, value in paired.items()}


def format_rows(rows: Sequence[Row], form: Literal["table", "csv", "json"]) -> str:
    """The rows, and in a table or JSON what `summarize` makes of them."""
    if form == "csv":
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue().removesuffix("\n")
    if form == "json":
        return json.dumps({"rows": rows, "summary": summarize(rows)}, indent=2)
    return "\n".join(_table(rows))


def _table(rows: Sequence[Row]) -> Iterator[str]:
    summary = summarize(rows)
    yield f"{'seed':>6}{'accuracy':>12}{'TF-IDF':>12}{'difference':>12}"
    for row in rows:
        yield f"{row['seed']:>6}{row['accuracy']:>12.2%}{row['tfidf_accuracy']:>12.2%}{row['difference']:>+12.2%}"
    for name in ("mean", "std", "min", "max"):
        yield f"{name:>6}{summary[f'accuracy_{name}']:>12.2%}{summary[f'tfidf_accuracy_{name}']:>12.2%}"
    mean, low, high = (summary[f"difference_{key}"] for key in ("mean", "low", "high"))
    yield f"paired difference to TF-IDF {mean:+.2%}, 95 % interval over the splits {low:+.2%} to {high:+.2%}"


def _series_name(params: Mapping[str, Any], seed_params: Sequence[str]) -> str:
    """One name for all that determines the results but for the seed: a change of code or parameters is a new series."""
    rest = json.loads(json.dumps(params))
    for key in seed_params:
        _section(rest, key)[key.split(".")[-1]] = None
    new_code = {name: sha256_file(project_root() / name) for name in _untracked_code()}
    return f"repeat-{sha256_json([rest, _git('diff', 'HEAD', '--', *CODE), new_code])[:8]}"


def _untracked_code(*options: str) -> list[str]:
    """The code that git neither tracks nor ignores, file by file unless git's `options` say otherwise."""
    return _git("ls-files", "-z", "--others", "--exclude-standard", *options, "--", *NEW_CODE).split("\0")[:-1]


def _change(params: Mapping[str, Any], key: str, seed: int) -> str:
    """What `dvc exp run -S` takes to set a parameter to a seed."""
    is_list = isinstance(_section(params, key)[key.split(".")[-1]], list)
    return f"{key}=[{seed}]" if is_list else f"{key}={seed}"


def _section(params: Any, key: str) -> Any:
    """The mapping in which the last part of a dotted key stands."""
    *parents, last = key.split(".")
    for name in parents:
        params = params.get(name) if isinstance(params, Mapping) else None
    if not isinstance(params, Mapping) or last not in params:
        raise UserError(f"{key} is no parameter of {PARAMS}; name one such as prepare_sms_spam.seed.")
    return params


def _run_experiment(name: str, changes: Sequence[str]) -> None:
    settings = [argument for change in changes for argument in ("-S", change)]
    # DVC's copy of the project has what git tracks; into it, a new folder must go whole.
    copied = [argument for path in _untracked_code("--directory") for argument in ("--copy-paths", path)]
    command = [sys.executable, "-m", "dvc", "exp", "run", "--temp", "--name", name, *settings, *copied, *TARGETS]
    print(f"{name}: {', '.join(changes)}", file=sys.stderr, flush=True)
    if subprocess.run(command, cwd=project_root(), stdout=STDERR).returncode:
        raise UserError(f"the experiment {name} failed, DVC says above why; `scratchlm repeat` then goes on from it.")


def _read_experiments() -> dict[str, dict[str, Any]]:
    """The metrics of every finished experiment on the current commit, by its name."""
    head = _git("rev-parse", "HEAD").strip()
    revisions = json.loads(_output(sys.executable, "-m", "dvc", "exp", "show", "--json"))
    found = {}
    for revision in revisions:
        for experiment in (revision["experiments"] or []) if revision["rev"] == head else []:
            newest = experiment["revs"][0]
            if newest["data"]:
                found[experiment["name"]] = newest["data"]["metrics"]
    return found


def _row(seed: int, metrics: Mapping[str, Any]) -> Row:
    ours, baselines = (metrics[f"metrics/{stage}.json"]["data"] for stage in TARGETS)
    accuracy, tfidf = ours["accuracy"], baselines["tfidf_accuracy"]
    return {"seed": seed, "accuracy": accuracy, "tfidf_accuracy": tfidf, "difference": accuracy - tfidf}


def _git(*arguments: str) -> str:
    return _output("git", *arguments)


def _output(*command: str) -> str:
    done = subprocess.run(command, cwd=project_root(), capture_output=True, text=True)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise UserError(
            f"`{' '.join(command[:3])}` failed ({reason}); repeat needs a git commit and DVC's experiments."
        )
    return done.stdout
