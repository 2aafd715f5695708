"""Kill -9 in every micro-batch of a training: parameters, optimizer and losses end as those of an undisturbed one."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import scratchlm.training.loop
from scratchlm.artifacts import write_jsonl
from scratchlm.checksums import write_manifest
from tests.faults.kills import newest_step, steps_run
from tests.faults.result import Result
from tests.faults.writers import LOG, PRETRAIN, Running, Writer, prepare_shards, results
from tests.records import sha256_directory
from tests.tiny_model import save_tiny_model, tiny_gpt

MICRO_STEPS = 2  # of a step
EXAMPLES = 8


def run(count: int, folder: Path, seed: int) -> Iterator[Result]:
    """Kill pretraining and instruction tuning once in each of so many micro-batches, dropout on, for several epochs."""
    steps = max(2, count // MICRO_STEPS)
    params = PRETRAIN | {"steps": steps, "save_every_steps": 1}
    yield stop_everywhere(Writer("pretraining", "pretrain", prepare_shards, params=params), steps, folder / "pretrain")
    steps_per_epoch = EXAMPLES // 4
    epochs = -(-steps // steps_per_epoch)
    params = {"epochs": epochs, "batch_size": 4, "micro_batch_size": 2, "dropout": 0.1, "max_tokens": 160}
    params |= {"save_every_steps": 1, "eval_every_steps": 5, "sample": PRETRAIN["sample"]}
    tuning = Writer("instruction tuning", "finetune_instruct", prepare_instructions, params=params)
    yield stop_everywhere(tuning, epochs * steps_per_epoch, folder / "finetune_instruct")


def prepare_instructions(folder: Path) -> None:
    """A base model, and a few entries of several lengths."""
    save_tiny_model(folder / "data/models/gpt2-roundtrip", tiny_gpt(context_length=160))
    for name, count in {"train": EXAMPLES, "val": 2}.items():
        entries = [{"instruction": "Add.", "input": "", "output": "1" * (n % 5 + 1)} for n in range(count)]
        write_jsonl(folder / f"data/instructions/{name}.jsonl", entries)
    write_manifest(folder / "data/instructions")


def stop_everywhere(writer: Writer, steps: int, folder: Path) -> Result:
    """Kill the training in each micro-batch of each step, and compare what the next run leaves, its state included."""
    template = writer.make_project(folder / "template")
    shutil.copytree(template, folder / "undisturbed")
    assert Running(writer, folder / "undisturbed").wait() == 0, (folder / "undisturbed" / LOG).read_text()
    expected = everything(folder / "undisturbed", writer.stage)
    lost, manual, project = 0, 0, folder / "project"
    for micro_batch in range(steps * MICRO_STEPS):
        shutil.copytree(template, project)
        killed = Running(writer, project, change=partial(kill_in_micro_batch, micro_batch)).wait()
        kept = newest_step(project, writer.stage)
        again = Running(writer, project).wait()
        manual += again != 0
        right = again == 0 and everything(project, writer.stage) == expected
        resumed = kept == micro_batch // MICRO_STEPS and again == 0 and steps_run(project, writer.stage) == steps - kept
        lost += not (killed == -signal.SIGKILL and right and resumed)
        shutil.rmtree(project)
    what = f"kill -9 in every micro-batch of {steps} steps, dropout on: {writer.what}"
    return Result(what, steps * MICRO_STEPS, lost, manual, "optimizer state and logged losses compared too")


def everything(project: Path, stage: str) -> dict[str, str]:
    """What a training wrote, the state in its last checkpoint included: parameters, optimizer, all that was logged."""
    (checkpoint,) = sorted(project.glob(f".work/{stage}/*/step-*"))[-1:]
    return results(project) | sha256_directory(checkpoint)


def kill_in_micro_batch(number: int) -> None:
    """Let the process die where the micro-batch with this number begins."""
    seeds: Callable[..., Any] = scratchlm.training.loop.dropout_seed
    seen = -1

    def dropout_seed(*arguments: int) -> int:
        nonlocal seen
        seen += 1
        if seen == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return seeds(*arguments)

    scratchlm.training.loop.dropout_seed = dropout_seed
