"""Kill -9 under `dvc repro`: the whole process group, DVC alone, and DVC between the end of a stage and its hashing."""

import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from tests.faults.dvc_project import DvcProject
from tests.faults.kills import newest_step, steps_run
from tests.faults.result import Result
from tests.faults.writers import results

STEPS = 200
RUNNING = "another pretrain in this folder is running"
NOTES = {
    "the whole process group": "the next `dvc repro` goes on from the last checkpoint",
    "DVC alone": "the stage works on; `dvc repro` says so in one line until it has ended",
    "DVC before it hashes": "the next `dvc repro` takes no step",
}


def run(count: int, folder: Path, seed: int) -> Iterator[Result]:
    """Kill each of the three so often, and repeat `dvc repro`."""
    project = DvcProject(folder / "project", STEPS)
    project.finish(project.start("dvc", "repro"))
    expected = outputs(project)
    moments = random.Random(seed)
    kills = {"the whole process group": kill_group, "DVC alone": kill_dvc_alone, "DVC before it hashes": kill_at_end}
    for what, kill in kills.items():
        lost = manual = 0
        for _ in range(count):
            start_anew(project)
            held = kill(project, moments)
            kept = newest_step(project.path)
            again = project.start("dvc", "repro")
            again.communicate()
            manual += again.returncode != 0
            right = again.returncode == 0 and outputs(project) == expected and steps_run(project.path) == STEPS - kept
            lost += not (held and right)
        yield Result(f"kill -9 under `dvc repro`: {what}", count, lost, manual, NOTES[what])


def outputs(project: DvcProject) -> dict[str, str]:
    """What the stage wrote."""
    files = results(project.path)
    return {name: sha256 for name, sha256 in files.items() if name.startswith(("data/", "metrics/"))}


def start_anew(project: DvcProject) -> None:
    """Forget what a run left."""
    for name in (".work", "metrics", "data/models", "data/samples", ".dvc/cache"):
        shutil.rmtree(project.path / name, ignore_errors=True)
    (project.path / "dvc.lock").unlink(missing_ok=True)


def kill_group(project: DvcProject, moments: random.Random) -> bool:
    """Kill DVC and the stage at once, some time after the first checkpoint."""
    process = project.start("dvc", "repro")
    project.wait_for(".work/pretrain/*/step-*", process)
    time.sleep(moments.random())
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return newest_step(project.path) > 0


def kill_dvc_alone(project: DvcProject, moments: random.Random) -> bool:
    """Kill DVC and leave the stage: another `dvc repro` says in one line that it still works, until it has ended."""
    process = project.start("dvc", "repro")
    project.wait_for(".work/pretrain/*/step-*", process)
    (stage,) = (each for each in psutil.Process(process.pid).children(recursive=True) if "python" in each.name())
    stage.suspend()  # or it might end before it is seen
    process.kill()
    process.wait()  # for DVC, a process that nobody has waited for would still run
    second = project.start("dvc", "repro")
    output, _ = second.communicate()
    said = [line for line in output.splitlines() if RUNNING in line]
    stage.resume()
    process.communicate()  # when the stage has closed the output, too
    while stage.is_running():
        time.sleep(0.01)
    return second.returncode != 0 and len(said) == 1 and "Traceback" not in output


def kill_at_end(project: DvcProject, moments: random.Random) -> bool:
    """Kill DVC and the stage when the stage has written its outputs, and DVC has not hashed them."""
    process = project.start("dvc", "repro")
    project.wait_for(".work/pretrain/*/finished", process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return not (project.path / "dvc.lock").exists()
