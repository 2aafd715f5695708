"""A training is a pure function of its inputs, however often it is stopped."""

import os
import signal

import numpy as np
import pytest
import torch

from scratchlm.errors import UserError
from scratchlm.models.gpt import GPT
from scratchlm.training.batches import Batch
from scratchlm.training.losses import language_model_loss
from tests.training.conftest import STEPS, MemoryShards, Training, tiny_model


def weights(model: GPT) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def assert_same(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> None:
    for name, tensor in ours.items():
        assert torch.equal(tensor, theirs[name]), name


class StopError(Exception):
    """Ends a training in the middle of a step, as a kill would."""


def stopping_at(calls: int):
    """A loss that raises at its n-th micro-batch."""
    seen = 0

    def loss_fn(model: GPT, batch: Batch) -> torch.Tensor:
        nonlocal seen
        seen += 1
        if seen == calls:
            raise StopError
        return language_model_loss(model, batch)

    return loss_fn


def test_two_runs_end_with_the_same_bits(run_training: Training):
    model, progress = run_training("first")
    again, progress_again = run_training("second")
    assert_same(weights(model), weights(again))
    assert progress == progress_again
    assert [row["step"] for row in progress.rows] == [2, 4, 6]
    assert [entry["step"] for entry in progress.samples] == [2, 4, 6]


@pytest.mark.parametrize("micro_batch", range(1, 2 * STEPS + 1))
@pytest.mark.parametrize("save_every_steps", [1, 4])
def test_a_run_stopped_at_any_micro_batch_ends_bit_identical(
    run_training: Training, micro_batch: int, save_every_steps: int
):
    model, progress = run_training("whole", save_every_steps=save_every_steps)
    with pytest.raises(StopError):
        run_training("stopped", loss_fn=stopping_at(micro_batch), save_every_steps=save_every_steps)
    resumed, resumed_progress = run_training("stopped", save_every_steps=save_every_steps)
    assert_same(weights(resumed), weights(model))
    assert resumed_progress == progress


def test_a_finished_training_is_not_repeated(run_training: Training):
    model, _ = run_training()
    again, _ = run_training(loss_fn=stopping_at(1))
    assert_same(weights(again), weights(model))


def test_accumulated_gradients_equal_those_of_one_batch(run_training: Training):
    _, small = run_training("small", model=tiny_model(dropout=0.0), micro_batch_size=1)
    _, large = run_training("large", model=tiny_model(dropout=0.0), micro_batch_size=4)
    for ours, theirs in zip(small.rows, large.rows, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-5)


def test_the_last_weights_or_the_best_on_validation_are_kept(run_training: Training):
    losses, seen = iter([0.3, 0.1, 0.2]), []

    def evaluate(model: GPT) -> dict[str, float]:
        seen.append(weights(model))
        return {"val_loss": next(losses)}

    best, progress = run_training("best", keep="best", evaluate=evaluate)
    assert (progress.best_loss, progress.best_step) == (0.1, 4)
    assert_same(weights(best), seen[1])
    last, _ = run_training("last")
    assert_same(weights(last), seen[2])
    assert not torch.equal(best.wte.weight, last.wte.weight)


def test_training_lowers_the_loss(run_training: Training, shards: MemoryShards):
    shards.splits["train"] = np.arange(500) % 17
    _, progress = run_training(steps=60, eval_every_steps=10, save_every_steps=60)
    losses = [row["train_loss"] for row in progress.rows]
    assert losses[-1] < 1.0 < losses[0]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_before_the_step(run_training: Training, value: float):
    def loss_fn(model: GPT, batch: Batch) -> torch.Tensor:
        return language_model_loss(model, batch) * value

    model = tiny_model()
    before = weights(model)
    with pytest.raises(UserError, match=r"step 0: the loss of micro-batch 0 is (nan|inf); the step was not applied"):
        run_training(model=model, loss_fn=loss_fn)
    assert_same(weights(model), before)


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


def test_bfloat16_stays_near_float32(run_training: Training):
    _, full = run_training("float32", model=tiny_model(dropout=0.0))
    _, half = run_training("bfloat16", model=tiny_model(dropout=0.0), precision="bfloat16")
    assert half.rows[-1]["val_loss"] == pytest.approx(full.rows[-1]["val_loss"], rel=0.02)
