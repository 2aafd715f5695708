"""DVC experiments by name: those that have not run yet are queued and run, and the metrics of all are read."""

import csv
import io
import json
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from scratchlm.artifacts import sha256_file, sha256_json
from scratchlm.errors import UserError
from scratchlm.params import PARAMS, project_root, read_yaml

CODE = (".", ":!params.yaml", ":!dvc.lock", ":!metrics")  # of what git tracks, that which may change results
NEW_CODE = ("pipeline", "src")  # where a file that git does not track yet may change them
STDERR = 2  # where what DVC and the stages print goes: stdout is for the table

Metrics = Mapping[str, Mapping[str, float]]  # by file
Params = Mapping[str, Any]


def series_name(prefix: str, params: Params) -> str:
    """A name for all that determines the results: a change of code or of `params` is a new series of experiments."""
    new_code = {name: sha256_file(project_root() / name) for name in _untracked_code()}
    return f"{prefix}-{sha256_json([params, _output('git', 'diff', 'HEAD', '--', *CODE), new_code])[:8]}"


def read_project_params() -> dict[str, Any]:
    """All sections of params.yaml, without a schema."""
    return read_yaml(project_root() / PARAMS)


def find_section(params: Any, key: str) -> Any:
    """The mapping in which the last part of a dotted key stands; UserError if there is none."""
    *parents, last = key.split(".")
    for name in parents:
        params = params.get(name) if isinstance(params, dict) else None
    if not isinstance(params, dict) or last not in params:
        raise UserError(f"{key} is no parameter of {PARAMS}; name one such as prepare_sms_spam.seed.")
    return params


def run_experiments(changes: Mapping[str, Sequence[str]], targets: Sequence[str], jobs: int = 1) -> dict[str, Metrics]:
    """Queue and run each named experiment that has not run, and return the metrics of all.

    `changes` are what `dvc exp run -S` takes, by the name of the experiment. Experiments run in folders of their own,
    with the parameters and the code of this one, and leave this one alone; a call that was interrupted goes on.
    UserError names those that failed.
    """
    states = _read_states()
    for name, settings in changes.items():
        if states.get(name) not in {"success", "queued", "running"}:
            _queue(name, settings, targets)
    if any(states.get(name) != "success" for name in changes):
        _dvc("exp", "run", "--run-all", "--jobs", str(jobs))
        _dvc("queue", "stop", "--quiet")  # an idle worker would run the next call in the environment of this one
    done = _read_metrics()
    if failed := [name for name in changes if name not in done]:
        raise UserError(
            f"{len(failed)} of {len(changes)} experiments failed, `dvc queue logs {failed[0]}` says why; "
            "the same command then runs those that are missing."
        )
    return {name: done[name] for name in changes}


def format_records(
    records: Sequence[Mapping[str, Any]],
    form: Literal["table", "csv", "json"],
    table: Iterable[str],
    summary: Mapping[str, float] | None = None,
) -> str:
    """Records as their table, as CSV, or as JSON with their summary, if they have one."""
    if form == "table":
        return "\n".join(table)
    if form == "json":
        return json.dumps({"rows": records} | ({"summary": summary} if summary else {}), indent=2)
    text = io.StringIO()
    writer = csv.DictWriter(text, max(map(list, records), key=len), lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue().removesuffix("\n")


def _queue(name: str, settings: Iterable[str], targets: Sequence[str]) -> None:
    print(f"{name}: {', '.join(settings)}", file=sys.stderr, flush=True)
    options = [argument for change in settings for argument in ("-S", change)]
    # DVC's copy of the project has what git tracks; into it, a new folder must go whole.
    copied = [argument for path in _untracked_code("--directory") for argument in ("--copy-paths", path)]
    _dvc("exp", "run", "--queue", "--quiet", "--name", name, *options, *copied, *targets)


def _untracked_code(*options: str) -> list[str]:
    """The code that git neither tracks nor ignores, file by file unless git's `options` say otherwise."""
    arguments = ["git", "ls-files", "-z", "--others", "--exclude-standard", *options, "--", *NEW_CODE]
    return _output(*arguments).split("\0")[:-1]


def _dvc(*arguments: str) -> None:
    if subprocess.run([sys.executable, "-m", "dvc", *arguments], cwd=project_root(), stdout=STDERR).returncode:
        raise UserError(f"`dvc {' '.join(arguments[:3])}` failed, and says above why; mend it and run this again.")


def _read_states() -> dict[str, str]:
    """success, queued, running or failed, by the name of each experiment on the current commit."""
    states: dict[str, str] = {}
    for entry in _experiments_of_head():
        state = (entry.get("executor") or {}).get("state") or "success"
        if states.get(entry["name"]) != "success":
            states[entry["name"]] = "success" if _metrics(entry) else state
    return states


def _read_metrics() -> dict[str, Metrics]:
    return {entry["name"]: metrics for entry in _experiments_of_head() if (metrics := _metrics(entry))}


def _metrics(entry: Mapping[str, Any]) -> Metrics | None:
    """The metrics of an experiment that has ended well."""
    data = entry["revs"][0]["data"]
    if not data or (entry.get("executor") or {}).get("state") in {"queued", "running", "failed"}:
        return None
    return {Path(file).stem: found["data"] for file, found in data["metrics"].items() if "data" in found}


def _experiments_of_head() -> list[dict[str, Any]]:
    head = _output("git", "rev-parse", "HEAD").strip()
    revisions = json.loads(_output(sys.executable, "-m", "dvc", "exp", "show", "--json"))
    return [entry for revision in revisions if revision["rev"] == head for entry in revision["experiments"] or []]


def _output(*command: str) -> str:
    done = subprocess.run(command, cwd=project_root(), capture_output=True, text=True)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise UserError(
            f"`{' '.join(command[:3])}` failed ({reason}); experiments need a git commit and a DVC repository."
        )
    return done.stdout
