"""Kill -9 of one of two processes that train together; run again, they end with the bytes of an undisturbed run."""

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import Workspace
from tests.faults.result import Result
from tests.pipeline.tiny_pretraining import TOGETHER, kill_one, prepare
from tests.records import sha256_directory

MODEL = "data/models/pretrained"


def run(count: int, folder: Path, seed: int) -> Iterator[Result]:
    """Kill `count` processes of trainings with copies, and as many of trainings with shards."""
    for strategy in ("ddp", "fsdp"):
        yield kill_processes(count, folder / strategy, seed, strategy)


def kill_processes(count: int, folder: Path, seed: int, strategy: str) -> Result:
    """Kill and run again until a training ends, and begin the next one, until so many were killed."""
    folder.mkdir(parents=True)
    workspace, draw = Workspace(folder), random.Random(seed)
    prepare(workspace, strategy=strategy)
    undisturbed = finish(workspace)
    tried = lost = 0
    while tried < count:
        shutil.rmtree(folder / ".work")
        before = tried
        while tried < count and (killed := kill_one(workspace, draw, **TOGETHER)) is not None:
            tried += 1
            lost += killed.returncode == 0  # a job that lost a process did not succeed
        if finish(workspace) != undisturbed:
            lost += max(1, tried - before)
    return Result(f"one of two processes, {strategy}, kill -9", tried, lost)


def finish(workspace: Workspace) -> dict[str, str]:
    """Let the training end; the hashes of the model, empty if it did not."""
    done = workspace.run("pretrain", **TOGETHER)
    return sha256_directory(workspace.path / MODEL) if done.returncode == 0 else {}
