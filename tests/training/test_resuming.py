"""A training that is stopped goes on where it was and ends with the same bits."""

import os
import signal
import time
from pathlib import Path

import pytest
import torch

from scratchlm.models.gpt import GPT
from scratchlm.training.batches import Batch
from scratchlm.training.evaluation import evaluate_tokens
from scratchlm.training.losses import language_model_loss
from tests.records import sha256_directory
from tests.training.conftest import LENGTH, STEPS, MemoryShards, Training
from tests.training.stopping import StopError, stopping_at
from tests.training.weights import assert_same, weights


@pytest.mark.parametrize("micro_batch", range(1, 2 * STEPS + 1))
@pytest.mark.parametrize(("optimizer", "save_every_steps"), [("adamw", 1), ("adamw", 4), ("muon", 3)])
def test_a_run_stopped_at_any_micro_batch_ends_bit_identical(
    run_training: Training, micro_batch: int, optimizer: str, save_every_steps: int, tmp_path: Path
):
    settings = {"optimizer": optimizer, "save_every_steps": save_every_steps}
    model, progress = run_training("whole", **settings)
    with pytest.raises(StopError):
        run_training("stopped", loss_fn=stopping_at(micro_batch), **settings)
    resumed, resumed_progress = run_training("stopped", **settings)
    assert_same(weights(resumed), weights(model))
    assert resumed_progress == progress
    assert last_state(tmp_path / "stopped") == last_state(tmp_path / "whole")


def last_state(folder: Path) -> dict[str, str]:
    """The files of the last checkpoint: parameters, optimizer, everything that was logged."""
    return sha256_directory(folder / f"step-{STEPS:08d}")


def test_a_finished_training_is_not_repeated(run_training: Training):
    model, _ = run_training()
    again, _ = run_training(loss_fn=stopping_at(1))
    assert_same(weights(again), weights(model))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_the_next_run_goes_on(run_training: Training, number: int):
    whole, progress = run_training("whole", save_every_steps=100)
    steps = 0

    def loss_fn(model: GPT, batch: Batch) -> torch.Tensor:
        nonlocal steps
        steps += 1
        if steps == 5:  # the first micro-batch of the third step
            os.kill(os.getpid(), number)
        return language_model_loss(model, batch)

    with pytest.raises(KeyboardInterrupt):
        run_training("stopped", loss_fn=loss_fn, save_every_steps=100)
    steps = 100
    resumed, resumed_progress = run_training("stopped", loss_fn=loss_fn, save_every_steps=100)
    assert steps == 100 + 2 * (STEPS - 3)
    assert_same(weights(resumed), weights(whole))
    assert resumed_progress == progress
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("evaluation", [1, 2, 3])
def test_a_signal_breaks_an_evaluation_off_and_the_next_run_begins_with_it(
    run_training: Training, number: int, evaluation: int, shards: MemoryShards
):
    settings = {"save_every_steps": 100, "keep": "best"}
    whole, progress = run_training("whole", **settings)
    evaluated = 0

    def evaluate(model: GPT) -> dict[str, float]:
        nonlocal evaluated
        evaluated += 1
        if evaluated == evaluation:
            os.kill(os.getpid(), number)
            time.sleep(60)
        return evaluate_tokens(model, shards, "val", LENGTH)  # pyright: ignore[reportArgumentType]

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_training("stopped", evaluate=evaluate, **settings)
    assert time.monotonic() - start < 30
    resumed, resumed_progress = run_training("stopped", **settings)
    assert_same(weights(resumed), weights(whole))
    assert resumed_progress == progress
