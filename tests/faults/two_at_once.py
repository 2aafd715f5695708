"""Two at once: two `dvc repro`, two trainings of one fingerprint, a reader beside a writer."""

import itertools
import multiprocessing
import shutil
import time
from collections.abc import Iterator
from multiprocessing.synchronize import Event
from pathlib import Path

import torch

from scratchlm.errors import UserError
from scratchlm.models.gpt import GPT
from scratchlm.models.storage import load_gpt
from tests.faults.dvc_project import DvcProject
from tests.faults.result import Result
from tests.faults.writers import LOG, TRAINING, Running, results
from tests.tiny_model import save_tiny_model, tiny_gpt

REPROS = 5  # as each takes seconds
DVC_LINES = ("Unable to acquire lock", "is busy, it is being blocked by")  # of its lock, and of its lock of the outputs
BESIDE = "is running ("


def run(count: int, folder: Path, seed: int) -> Iterator[Result]:
    """Read so often beside a writer, start so many trainings beside one, and fewer `dvc repro`."""
    yield read_beside_writer(count, folder / "reading")
    yield train_beside_training(count, folder / "training")
    yield repro_beside_repro(min(count, REPROS), folder / "repro")


def read_beside_writer(count: int, folder: Path) -> Result:
    """Load a model directory while two models take turns in it: each time one of them, whole, or one line."""
    models = make_models()
    directory = save_tiny_model(folder / "model", models[0])
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    writer = context.Process(target=write_in_turn, args=(directory, stop))
    writer.start()
    whole = refused = lost = 0
    expected = [model.wte.weight for model in models]
    try:
        while whole + refused + lost < count:
            try:
                found = load_gpt(directory).wte.weight
                right = any(torch.equal(found, weight) for weight in expected)
                whole, lost = whole + right, lost + (not right)
            except (UserError, FileNotFoundError):
                refused += 1
            time.sleep(0.001)
    finally:
        stop.set()
        writer.join()
    note = f"{whole} read a whole model, {refused} got a line"
    return Result("a reader of a model directory beside its writer", count, lost, note=note)


def make_models() -> list[GPT]:
    """Two models of one shape."""
    models = [tiny_gpt(), tiny_gpt()]
    models[1].init_weights(seed=1)
    return models


def write_in_turn(directory: Path, stop: Event) -> None:
    """Save one model and the other into the same directory until told to stop."""
    for model in itertools.cycle(make_models()):
        if stop.is_set():
            return
        shutil.rmtree(directory.with_name(f"{directory.name}-tokenizer"), ignore_errors=True)
        save_tiny_model(directory, model)
        time.sleep(0.005)


def train_beside_training(count: int, folder: Path) -> Result:
    """Start the same training a second time, while the first one waits at each of its writes."""
    template = TRAINING.make_project(folder / "template")
    shutil.copytree(template, folder / "undisturbed")
    alone = Running(TRAINING, folder / "undisturbed")
    assert alone.wait() == 0, (folder / "undisturbed" / LOG).read_text()
    expected = results(folder / "undisturbed")
    lost, project = 0, folder / "project"
    for number in range(count):
        shutil.copytree(template, project)
        first = Running(TRAINING, project)
        first.wait_for_write(3 + number % (alone.writes - 3))  # when it holds its locks
        code = Running(TRAINING, project).wait()
        refused = code == 1 and BESIDE in (project / LOG).read_text()
        was_over = code == 0  # the first one had ended before the second began
        lost += not ((refused or was_over) and first.wait() == 0 and results(project) == expected)
        shutil.rmtree(project)
    return Result("a training beside the same training", count, lost, note="the second says so and ends")


def repro_beside_repro(count: int, folder: Path) -> Result:
    """Start `dvc repro` in a checkout where one is at work."""
    lost = 0
    for number in range(count):
        project = DvcProject(folder / str(number), steps=60)
        first = project.start("dvc", "repro")
        project.wait_for(".work/pretrain/*/step-*", first)
        second = project.start("dvc", "repro")
        output, _ = second.communicate()
        refused = second.returncode != 0 and any(line in output for line in (*DVC_LINES, BESIDE))
        project.finish(first)
        unchanged = "didn't change" in project.finish(project.start("dvc", "repro"))
        lost += not (refused and unchanged)
    return Result("`dvc repro` beside `dvc repro`", count, lost, note="the second says so and ends")
