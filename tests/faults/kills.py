"""Kill -9 at random moments of each writer; the next run ends with the bytes of an undisturbed one.

Half of the moments are spread evenly over the run, the other half fall on a random write or shortly after it.
"""

import hashlib
import os
import random
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import nn
from torch.optim import Optimizer

import scratchlm.training.loop
from scratchlm.artifacts import read_json
from scratchlm.training.checkpoint import Progress
from tests.faults.result import Result
from tests.faults.writers import CONVERSION, LOG, RESPONSES, SHARDS, STEPS, TRAINING, Running, Writer, results
from tests.file_server import Answer, FileServer

AFTER_WRITE = 0.004  # seconds, at most, from the write that was drawn to the kill
FILES = {f"/{name}.txt": f"The text of {name}. ".encode() * 60 for name in "abc"}
SLOW = Answer(pause=0.0001)  # a byte
OVERWRITTEN = "checkpoint.pt"


@dataclass
class Undisturbed:
    """What a run that nothing disturbs writes, how long it takes, and how many writes it makes."""

    results: dict[str, str]
    seconds: float
    writes: int


@dataclass
class Count:
    """What became of the kills."""

    tried: int = 0
    in_write: int = 0
    lost: int = 0
    manual: int = 0
    reasons: list[str] = field(default_factory=list)

    def result(self, what: str) -> Result:
        """The row of the table."""
        note = f"{self.in_write} of them in the middle of a write"
        return Result(f"kill -9: {what}", self.tried, self.lost, self.manual, "; ".join([note, *self.reasons[:3]]))


def run(count: int, folder: Path, seed: int) -> Iterator[Result]:
    """Kill each writer so often, and beside them a training that overwrites its checkpoint in place."""
    for writer in (TRAINING, SHARDS, CONVERSION, RESPONSES):
        yield kill_writer(writer, count, folder / writer.stage, seed).result(writer.what)
    yield kill_download(count, folder / "fetch_corpus", seed).result("download")
    yield kill_overwriting(count, folder / "overwriting", seed)


def kill_writer(
    writer: Writer, count: int, folder: Path, seed: int, before: Callable[[bool], None] = lambda disturbed: None
) -> Count:
    """Kill a writer so often, each time in a fresh project, and let it run again; `before` every run it is called."""
    template = writer.make_project(folder / "template")
    before(True)
    undisturbed = measure(writer, template, folder / "undisturbed")
    moments, counted = random.Random(seed), Count()
    project = folder / "project"
    for number in range(count):
        shutil.rmtree(project, ignore_errors=True)
        shutil.copytree(template, project)
        before(True)
        begun = kill_at_random(partial(Running, writer, project), undisturbed, moments, at_write=number % 2 == 1)
        counted.tried += 1
        counted.in_write += is_within_write(project)
        kept = newest_step(project)
        before(False)
        code = Running(writer, project).wait()
        counted.manual += code != 0
        if code != 0:
            counted.lost += 1
            counted.reasons.append((project / LOG).read_text().strip().rpartition("\n")[2])
        elif (found := results(project)) != undisturbed.results:
            names = {name for name, _ in found.items() ^ undisturbed.results.items()}
            counted.lost += 1
            counted.reasons.append(f"other bytes in {', '.join(sorted(names))}")
        elif writer is TRAINING and not (kept >= begun - 1 and steps_run(project) == STEPS - kept):
            counted.lost += 1
            counted.reasons.append(f"checkpoint {begun} was begun, {kept} was there, {steps_run(project)} steps ran")
    return counted


def measure(writer: Writer, template: Path, project: Path) -> Undisturbed:
    """Run a writer once for its results and its time, and count its writes."""
    shutil.copytree(template, project)
    running, start = Running(writer, project), time.perf_counter()
    assert running.wait() == 0, (project / LOG).read_text()
    return Undisturbed(results(project), time.perf_counter() - start, running.writes)


def kill_at_random(
    running: Callable[[int | None], Running], undisturbed: Undisturbed, moments: random.Random, at_write: bool
) -> int:
    """Start a run and kill it; returns how many checkpoints it had begun to rename into place."""
    write, waits, pause = moments.randint(1, undisturbed.writes), moments.random() < 0.5, moments.random()
    process = running(write if at_write and waits else None)
    if at_write:
        process.wait_for_write(write)
        time.sleep(0 if waits else pause * AFTER_WRITE)
    else:
        time.sleep(pause * undisturbed.seconds)
    process.kill()
    return process.checkpoints


def is_within_write(project: Path) -> bool:
    """Whether something half written lies in a project."""
    return any(project.rglob("*.partial")) or any(project.glob(".work/downloads/*.json"))


def newest_step(project: Path, stage: str = "pretrain") -> int:
    """The step of the newest checkpoint of a training, 0 without one."""
    return max((int(path.name.removeprefix("step-")) for path in project.glob(f".work/{stage}/*/step-*")), default=0)


def steps_run(project: Path, stage: str = "pretrain") -> int:
    """How many steps the last run of a training took."""
    return read_json(project / f"metrics/runs/{stage}.json")["steps_run"]


def kill_download(count: int, folder: Path, seed: int) -> Count:
    """Kill the stage that fetches three files from a slow server."""
    with FileServer() as server:
        server.files = FILES
        hashes = {name: hashlib.sha256(text).hexdigest() for name, text in FILES.items()}
        sources = [{"url": server.url + name, "sha256": sha256} for name, sha256 in hashes.items()]
        writer = Writer("download", "fetch_corpus", lambda folder: None, params={"sources": sources})

        def be_slow(disturbed: bool) -> None:
            server.script = [SLOW] * len(FILES) if disturbed else []

        return kill_writer(writer, count, folder, seed, be_slow)


def kill_overwriting(count: int, folder: Path, seed: int) -> Result:
    """Kill the same training, made to write each checkpoint over the one before: is there one that can be read?"""
    template = TRAINING.make_project(folder / "template")
    shutil.copytree(template, folder / "undisturbed")
    running, start = Running(TRAINING, folder / "undisturbed", change=overwrite_checkpoints), time.perf_counter()
    assert running.wait() == 0, (folder / "undisturbed" / LOG).read_text()
    undisturbed = Undisturbed({}, time.perf_counter() - start, running.writes)
    moments, lost, project = random.Random(seed), 0, folder / "project"
    for number in range(count):
        shutil.rmtree(project, ignore_errors=True)
        shutil.copytree(template, project)
        start_run = partial(Running, TRAINING, project, change=overwrite_checkpoints)
        kill_at_random(start_run, undisturbed, moments, at_write=number % 2 == 1)
        lost += any(not is_readable(file) for file in project.glob(f".work/pretrain/*/{OVERWRITTEN}"))
    what = "kill -9: the same training with `torch.save` over the last checkpoint"
    return Result(what, count, lost, note="for comparison, by the same killer", contrast=True)


def overwrite_checkpoints() -> None:
    """Replace what saves a checkpoint by what most trainings do."""

    def save(folder: Path, model: nn.Module, optimizer: Optimizer, progress: Progress) -> None:
        state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "progress": asdict(progress)}
        sys.audit("open", str(folder / OVERWRITTEN), "w", os.O_WRONLY)  # torch opens files without telling
        torch.save(state, folder / OVERWRITTEN)

    scratchlm.training.loop.save_checkpoint = save


def is_readable(file: Path) -> bool:
    """Whether a checkpoint of torch.save can be loaded."""
    try:
        torch.load(file, weights_only=True)
    except (RuntimeError, EOFError, OSError, UnpicklingError):
        return False
    return True
