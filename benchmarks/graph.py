"""What the graph costs beside the work of its stages: their start-up, and DVC's `repro` with nothing to do.

`python -m benchmarks.graph` imports what each stage does in fresh processes and says which packages take the time, then
compares a `dvc repro` that runs nothing with that of as many empty stages. `--cold` also runs the whole graph of the
last commit, with no cache. Everything runs in temporary folders; the checkout is not touched.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.limits import describe_machine
from benchmarks.side_by_side import ROOT, Contestant, Figures, run_in_turn, table
from scratchlm.artifacts import read_json
from scratchlm.params import read_yaml

PACKAGES = ("torch", "pandas", "sklearn", "scipy", "numpy", "tensorflow")
# What main imports besides, with the sample's parameters.
LATER = {"export_gpt2": "tensorflow", "judge_responses": "scratchlm.judging.local_judge"}
DVC = (sys.executable, "-m", "dvc")


def stages_of_the_graph() -> list[str]:
    """The scripts of the stages that dvc.lock has, in its order; an item of a matrix is a process of its own."""
    return [name.split("@")[0] for name in read_yaml(ROOT / "dvc.lock")["stages"]]


def start_up(stage: str, rounds: int) -> Figures:
    """Median seconds of a process that only imports what a stage does, and the share that each package has of it."""
    modules = ", ".join(filter(None, [f"pipeline.{stage}", LATER.get(stage)]))
    command = [sys.executable, "-c", f"import {modules}"]
    seconds = statistics.median(_seconds(command, ROOT) for _ in range(rounds))
    timed = [sys.executable, "-X", "importtime", *command[1:]]
    log = subprocess.run(timed, cwd=ROOT, env=_environment(), check=True, capture_output=True, text=True).stderr
    microseconds = own_microseconds(log)
    return {"seconds": seconds, **{name: microseconds[name] / microseconds.total() for name in PACKAGES}}


def own_microseconds(log: str) -> Counter[str]:
    """The time that the modules of each package took themselves, of what `python -X importtime` prints."""
    spent: Counter[str] = Counter()
    for line in log.splitlines():
        own, _, module = line.removeprefix("import time:").split("|") if line.count("|") == 2 else ("", "", "")
        if own.strip().isdecimal():
            spent[module.strip().split(".")[0]] += int(own)
    return spent


def start_up_table(figures: Mapping[str, Figures], stages: Sequence[str]) -> str:
    """Markdown: a row a stage, the slowest first, and the sum over the processes of the whole graph."""
    rows = ["| stage | seconds | " + " | ".join(PACKAGES) + " |", "|---" * (len(PACKAGES) + 2) + "|"]
    for stage in sorted(figures, key=lambda stage: -figures[stage]["seconds"]):
        shares = [f"{figures[stage][name]:.0%}" if figures[stage][name] >= 0.005 else "" for name in PACKAGES]
        rows.append(f"| {stage} | {figures[stage]['seconds']:.2f} | " + " | ".join(shares) + " |")
    total = sum(figures[stage]["seconds"] for stage in stages)
    return "\n".join([*rows, f"| all {len(stages)} | {total:.1f} |" + " |" * len(PACKAGES)])


def make_empty_graph(folder: Path, length: int) -> None:
    """A repository whose stages, each after the one before it, only touch a file, and have run."""
    _run(["git", "init", "-q"], folder)
    _run([*DVC, "init", "-q"], folder)
    (folder / ".dvc/config").write_bytes((ROOT / ".dvc/config").read_bytes())  # no analytics, no check for updates
    lines = ["stages:"]
    for number in range(length):
        lines += [f"  stage_{number}:", f"    cmd: touch out_{number}", f"    outs: [out_{number}]"]
        lines += [f"    deps: [out_{number - 1}]"] if number else []
    (folder / "dvc.yaml").write_text("\n".join(lines) + "\n")
    _run([*DVC, "repro", "-q"], folder)


def clone(folder: Path) -> None:
    """The last commit of this project, as a repository with the settings of its own and an empty cache."""
    _run(["git", "clone", "-q", ROOT, folder], ROOT)


def take_outputs(folder: Path) -> None:
    """Give a clone the outputs of this checkout's cache; ends the program if some are missing or out of date."""
    _run([*DVC, "config", "--local", "cache.dir", ROOT / ".dvc/cache"], folder)
    commands = ([*DVC, "checkout", "-q"], [*DVC, "repro", "--dry"])
    done = [subprocess.run(each, cwd=folder, env=_environment(), capture_output=True, text=True) for each in commands]
    if any(each.returncode for each in done) or "Running stage" in done[-1].stdout:
        sys.exit("the last commit's dvc.lock is not up to date; run `dvc repro` and commit, or measure with --cold.")


def cold_table(folder: Path, seconds: float) -> str:
    """Markdown: what each stage worked in a run of the whole graph, the longest first, and all besides."""
    runs = {path.stem: read_json(path)["seconds"] for path in (folder / "metrics/runs").glob("*.json")}
    rows = ["| stage | seconds |", "|---|---|"]
    rows += [f"| {name} | {runs[name]:.1f} |" for name in sorted(runs, key=lambda name: -runs[name])]
    rows += [f"| start-up of the stages, DVC | {seconds - sum(runs.values()):.1f} |", f"| all | {seconds:.1f} |"]
    return "\n".join(rows)


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": "src"}


def _run(command: Sequence[str | Path], folder: Path) -> None:
    subprocess.run(command, cwd=folder, env=_environment(), check=True, stdout=sys.stderr)


def _seconds(command: Sequence[str | Path], folder: Path) -> float:
    start = time.perf_counter()
    _run(command, folder)
    return time.perf_counter() - start


def compare_repro(folder: Path, length: int, rounds: int) -> str:
    """The table of `dvc root`, and of `dvc repro` with nothing to do, of empty stages and of ours in `folder`."""
    with tempfile.TemporaryDirectory() as empty:
        make_empty_graph(Path(empty), length)
        contestants = [
            Contestant(f"dvc repro, {length} empty stages", [*DVC, "repro", "-q"], Path(empty), read=lambda _: {}),
            Contestant("dvc root: its start alone", [*DVC, "root"], Path(empty), read=lambda _: {}),
            Contestant("dvc repro, this graph", [*DVC, "repro", "-q"], folder, read=lambda _: {}),
        ]
        return "\n".join(table(run_in_turn(contestants, rounds), {"seconds": "seconds", "peak_mb": "MB"}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cold", action="store_true", help="run the whole graph too, with no cache: minutes")
    arguments = parser.parse_args()
    stages = stages_of_the_graph()
    print(describe_machine(), end="\n\n")
    print(start_up_table({stage: start_up(stage, arguments.rounds) for stage in set(stages)}, stages), end="\n\n")
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "scratchlm"
        clone(project)
        if arguments.cold:
            print(cold_table(project, _seconds([*DVC, "repro"], project)), end="\n\n")
        else:
            take_outputs(project)
        print(compare_repro(project, len(stages), arguments.rounds))


if __name__ == "__main__":
    main()
