"""SIGTERM and SIGINT while a model trains, is evaluated, writes samples, or is saved; and a second one right after."""

import importlib
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from tests.faults.kills import newest_step
from tests.faults.result import Result
from tests.faults.writers import LOG, PRETRAIN, Running, Writer, prepare_shards, results

SAVED_EVERY = 4
TRAINING = Writer("", "pretrain", prepare_shards, params=PRETRAIN | {"save_every_steps": SAVED_EVERY})
REACHED = Path(".work/reached")  # a file that says so
SECONDS = 5.0
INTERRUPTED = 130
# What a phase calls, at which of its calls and for how many seconds it lasts, and the step that must have been saved.
PHASES: dict[str, tuple[str, str, int, float, int]] = {
    "training": ("scratchlm.training.pretraining", "next_token_loss", 5, 0.2, 3),  # the first micro-batch of step 3
    "evaluation": ("scratchlm.training.pretraining", "evaluate_tokens", 1, 600.0, 5),
    "sampling": ("scratchlm.training.pretraining", "continue_prompts", 1, 600.0, 5),
    "saving": ("scratchlm.training.loop", "save_checkpoint", 1, 0.2, SAVED_EVERY + 1),  # heard one step later
}


def run(count: int, folder: Path, seed: int) -> Iterator[Result]:
    """Send so many signals in each phase: SIGTERM and SIGINT in turn, every fourth time both a moment apart."""
    template = TRAINING.make_project(folder / "template")
    undisturbed = folder / "undisturbed"
    shutil.copytree(template, undisturbed)
    assert Running(TRAINING, undisturbed).wait() == 0, (undisturbed / LOG).read_text()
    expected = results(undisturbed)
    for phase in PHASES:
        yield send_signals(phase, count, template, folder / "project", expected)


def send_signals(phase: str, count: int, template: Path, project: Path, expected: dict[str, str]) -> Result:
    """Send so many signals in one phase."""
    lost, manual, slowest = 0, 0, 0.0
    for number in range(count):
        shutil.rmtree(project, ignore_errors=True)
        shutil.copytree(template, project)
        twice = number % 4 == 3
        code, seconds = interrupt(phase, (signal.SIGTERM, signal.SIGINT)[number % 2], twice, project)
        slowest = max(slowest, seconds)
        saved = twice or (code == INTERRUPTED and newest_step(project) == PHASES[phase][-1])
        again = Running(TRAINING, project).wait()
        manual += again != 0
        lost += not (code != 0 and saved and seconds < SECONDS and again == 0 and results(project) == expected)
    note = f"slowest end {slowest:.1f} s after the signal"
    return Result(f"SIGTERM and SIGINT during {phase}", count, lost, manual, note)


def interrupt(phase: str, number: signal.Signals, twice: bool, project: Path) -> tuple[int, float]:
    """Start the training, send the signal in the phase, perhaps twice; the exit code, and the seconds until the end."""
    running = Running(TRAINING, project, change=partial(prolong, *PHASES[phase][:4]))
    while not (project / REACHED).exists():
        time.sleep(0.005)
    start, process = time.perf_counter(), running.process.pid
    assert process is not None
    os.kill(process, number)
    if twice:
        time.sleep(0.05)
        with suppress(ProcessLookupError):  # where the first one has ended it already
            os.kill(process, number)
    return running.wait(), time.perf_counter() - start


def prolong(module_name: str, name: str, at_call: int, seconds: float) -> None:
    """Let one call of a function last so long, and leave a file when it begins."""
    module = importlib.import_module(module_name)
    function: Callable[..., Any] = getattr(module, name)
    calls = 0

    def prolonged(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == at_call:
            REACHED.touch()
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                time.sleep(0.01)
        return function(*arguments)

    setattr(module, name, prolonged)
