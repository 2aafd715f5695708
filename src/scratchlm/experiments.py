"""DVC experiments by name: those that have not run yet are queued and run, and the metrics of all are read."""

import copy
import csv
import io
import json
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from scratchlm.checksums import sha256_file, sha256_json
from scratchlm.errors import UserError
from scratchlm.params import PARAMS, project_root, read_yaml

CODE = (".", ":!params.yaml", ":!dvc.lock", ":!metrics")  # of what git tracks, that which may change results
NEW_CODE = ("pipeline", "src")  # where a file that git does not track yet may change them
STDERR = 2  # where what DVC and the stages print goes: stdout is for the table

Metrics = Mapping[str, Mapping[str, float]]  # by file
Params = Mapping[str, Any]


def series_name(prefix: str, params: Params, code: Sequence[Any]) -> str:
    """A name for all that determines the results: other `params` or `code_changes` are a new series of experiments."""
    return f"{prefix}-{sha256_json([params, *code])[:8]}"


def code_changes() -> tuple[str, dict[str, str]]:
    """What differs from the commit: git's diff, and the sha256 of code that git does not track."""
    new_code = {name: sha256_file(project_root() / name) for name in _untracked_code()}
    return _output("git", "diff", "HEAD", "--", *CODE), new_code


def read_project_params() -> dict[str, Any]:
    """All sections of params.yaml, without a schema."""
    return read_yaml(project_root() / PARAMS)


def with_params(params: Params, changes: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of all sections with other values under dotted keys; UserError names a key that is not there."""
    changed: Any = copy.deepcopy(params)
    for key, value in changes.items():
        section = changed
        *parents, last = key.split(".")
        for name in parents:
            section = section.get(name) if isinstance(section, dict) else None
        if not isinstance(section, dict) or last not in section:
            raise UserError(f"{key} is no parameter of {PARAMS}; name one such as prepare_sms_spam.seed.")
        section[last] = value
    return changed


def run_experiments(changes: Mapping[str, Sequence[str]], targets: Sequence[str], jobs: int = 1) -> dict[str, Metrics]:
    """Queue and run each named experiment that has not run, and return the metrics of all.

    `changes` are what `dvc exp run -S` takes, by the name of the experiment. Experiments run in folders of their own,
    with the parameters and the code of this one, and leave this one alone; a call that was interrupted or killed goes
    on. UserError names those that failed.
    """
    done, waiting = _read_experiments()
    if missing := {name: settings for name, settings in changes.items() if name not in done}:
        for _ in range(2):  # DVC ends what outlived its worker, and then counts it as failed
            if not (abandoned := _abandoned()):
                break
            _dvc("queue", "kill", *abandoned)
            _, waiting = _read_experiments()
        for name, settings in missing.items():
            if name not in waiting:
                _queue(name, settings, targets)
        _dvc("exp", "run", "--run-all", "--jobs", str(jobs))
        _dvc("queue", "stop", "--quiet")  # an idle worker would run the next call in the environment of this one
        done, _ = _read_experiments()
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


def _abandoned() -> list[str]:
    """The tasks of DVC's queue that run no more, as its worker was killed: DVC would wait for them without end."""
    *rows, workers = _output(sys.executable, "-m", "dvc", "queue", "status").splitlines()
    running = [row.split()[0] for row in rows if row.endswith("Running")]
    return running if workers.startswith("Worker status: 0 active") else []


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


def _read_experiments() -> tuple[dict[str, Metrics], set[str]]:
    """On the current commit the metrics of each experiment that ended well, and which are queued or running."""
    head = _output("git", "rev-parse", "HEAD").strip()
    revisions = json.loads(_output(sys.executable, "-m", "dvc", "exp", "show", "--json"))
    done: dict[str, Metrics] = {}
    waiting = set()
    for entry in (entry for found in revisions if found["rev"] == head for entry in found["experiments"] or []):
        state, data = (entry.get("executor") or {}).get("state"), entry["revs"][0]["data"]
        if state in {"queued", "running"}:
            waiting.add(entry["name"])
        elif state != "failed" and data:
            metrics = {Path(file).stem: found["data"] for file, found in data["metrics"].items() if "data" in found}
            done[entry["name"]] = metrics  # of a stage that has not run yet, dvc.yaml lists a file that is not there
    return done, waiting


def _output(*command: str) -> str:
    done = subprocess.run(command, cwd=project_root(), capture_output=True, text=True)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise UserError(
            f"`{' '.join(command[:3])}` failed ({reason}); experiments need a git commit and a DVC repository."
        )
    return done.stdout
