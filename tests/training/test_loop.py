"""A training is a pure function of its inputs, however often it is stopped."""

import os
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from scratchlm.errors import UserError
from scratchlm.models.gpt import GPT
from scratchlm.training.batches import Batch, TokenBatches
from scratchlm.training.evaluation import evaluate_tokens
from scratchlm.training.loop import take_step
from scratchlm.training.losses import language_model_loss, next_token_loss
from scratchlm.training.optimizer import build_optimizer
from tests.records import sha256_directory
from tests.training.conftest import LENGTH, STEPS, MemoryShards, Training, tiny_config, tiny_model


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


class ReadNumbers(TorchDispatchMode):
    """Counts the tensors whose value Python asks for: on an accelerator each of them waits for all work before it."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.is_nonzero.default):
            self.sizes.append(args[0].numel())
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_step_reads_no_single_number_from_its_device(
    optimizer: str, shards: MemoryShards, monkeypatch: pytest.MonkeyPatch
):
    model, config = tiny_model(), tiny_config(optimizer=optimizer)
    batches = TokenBatches(shards, LENGTH, 4 * LENGTH, config.micro_batch_size, config.seed)
    lists: list[int] = []
    tolist = torch.Tensor.tolist
    monkeypatch.setattr(torch.Tensor, "tolist", lambda tensor: lists.append(tensor.numel()) or tolist(tensor))
    with ReadNumbers() as read:
        take_step(model, batches, next_token_loss, build_optimizer(model, config), config, step=0, steps=STEPS)
    assert (read.sizes, lists) == ([], [3])  # two losses and the norm


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_before_the_step(run_training: Training, value: float):
    def loss_fn(model: GPT, batch: Batch) -> torch.Tensor:
        return language_model_loss(model, batch) * value

    model = tiny_model()
    before = weights(model)
    with pytest.raises(UserError, match=r"step 0: the loss of micro-batch 0 is (nan|inf); the step was not applied"):
        run_training(model=model, loss_fn=loss_fn)
    assert_same(weights(model), before)


def spoil_gradient(model: GPT, value: float) -> None:
    model.h[0].mlp.c_fc.weight.register_hook(lambda gradient: gradient * value)


def spoil_embedding(model: GPT, value: float) -> None:
    model.wte.register_forward_hook(lambda module, inputs, output: output * value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoil_gradient, r"step 2: the norm of the gradient of micro-batches 0 to 1 is (nan|inf)"),
        (spoil_embedding, r"step 2: the loss of micro-batch 0 is (nan|inf)"),
    ],
)
@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_what_is_not_finite_stops_within_its_step(
    run_training: Training, spoil: Callable[[GPT, float], None], message: str, value: float, optimizer: str
):
    model = tiny_model()
    _, applied = run_training(model=model, steps=2, optimizer=optimizer)
    before = weights(model)
    spoil(model, value)
    with pytest.raises(UserError, match=f"{message}; the step was not applied"):
        run_training(model=model, optimizer=optimizer)
    assert_same(weights(model), before)
    _, progress = run_training(optimizer=optimizer)
    assert progress.rows[0] == applied.rows[0]
    assert progress.step == STEPS


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
        return evaluate_tokens(model, shards, "val", LENGTH)

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_training("stopped", evaluate=evaluate, **settings)
    assert time.monotonic() - start < 30
    resumed, resumed_progress = run_training("stopped", **settings)
    assert_same(weights(resumed), weights(whole))
    assert resumed_progress == progress


def test_a_training_that_does_not_fit_on_the_disk_is_refused_before_its_first_step(
    run_training: Training, monkeypatch: pytest.MonkeyPatch
):
    model = tiny_model()
    size = 4 * model.num_parameters()
    needed = 3 * 3 * size + size  # weights and two moments in three checkpoints, and the model
    monkeypatch.setattr("scratchlm.disk.free_space", lambda folder: needed - 1)
    with pytest.raises(UserError, match=rf"this training, checkpoints and model, needs {needed:,} bytes in "):
        run_training("small", loss_fn=stopping_at(1))
    monkeypatch.setattr("scratchlm.disk.free_space", lambda folder: needed)
    run_training("large")
    monkeypatch.setattr("scratchlm.disk.free_space", lambda folder: size)
    with pytest.raises(UserError, match="checkpoints and model"):
        run_training("small", loss_fn=stopping_at(1))


def test_bfloat16_computes_the_loss_of_float32_weights_in_less_precision(run_training: Training):
    dtypes = set()

    def loss_fn(model: GPT, batch: Batch) -> torch.Tensor:
        loss = language_model_loss(model, batch)
        dtypes.update([model.h[0].mlp.c_fc(model.wte(batch.tokens)).dtype, loss.dtype])
        return loss

    _, full = run_training("float32", model=tiny_model(dropout=0.0))
    model, half = run_training("bfloat16", model=tiny_model(dropout=0.0), precision="bfloat16", loss_fn=loss_fn)
    assert dtypes == {torch.bfloat16, torch.float32}
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert half.rows[-1]["val_loss"] == pytest.approx(full.rows[-1]["val_loss"], rel=0.02)
    assert half.rows[-1]["val_loss"] != full.rows[-1]["val_loss"]


def growing_norm(model: GPT) -> dict[str, float]:
    """A validation loss that is a function of the weights and gets worse with every evaluation of `run_training`."""
    return {"val_loss": model.wte.weight.norm().item()}


def test_a_training_stops_when_so_many_evaluations_brought_no_better_loss(run_training: Training):
    _, patient = run_training("patient", evaluate=growing_norm, steps=40, patience_evals=3, learning_rate=0.1)
    assert [row["step"] for row in patient.rows] == [2, 4, 6, 8]
    assert (patient.best_step, patient.step, patient.stopped_early) == (2, 8, True)
    summary = patient.summary()
    assert (summary["steps"], summary["stopped_early"]) == (8, True)
    _, whole = run_training("whole", evaluate=growing_norm, steps=8, learning_rate=0.1)
    assert (whole.step, whole.stopped_early) == (8, False)


def test_an_improvement_starts_the_count_of_evaluations_anew(run_training: Training):
    losses = iter([0.5, 0.6, 0.4, 0.4, 0.45, 0.1])
    _, progress = run_training(steps=40, patience_evals=2, evaluate=lambda model: {"val_loss": next(losses)})
    assert (progress.best_step, progress.step, progress.stopped_early) == (6, 10, True)


@pytest.mark.parametrize("keep", ["last", "best"])
@pytest.mark.parametrize("micro_batch", range(1, 17, 3))
def test_an_early_stop_comes_at_the_same_step_however_often_the_run_was_stopped(
    run_training: Training, micro_batch: int, keep: str
):
    settings = {"evaluate": growing_norm, "steps": 40, "patience_evals": 3, "learning_rate": 0.1, "keep": keep}
    model, progress = run_training("whole", save_every_steps=3, **settings)
    with pytest.raises(StopError):
        run_training("stopped", save_every_steps=3, loss_fn=stopping_at(micro_batch), **settings)
    resumed, resumed_progress = run_training("stopped", save_every_steps=3, **settings)
    assert_same(weights(resumed), weights(model))
    assert resumed_progress == progress
    again, _ = run_training("stopped", save_every_steps=3, loss_fn=stopping_at(1), **settings)
    assert_same(weights(again), weights(model))


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
def test_a_compiled_training_has_the_losses_and_the_names_of_a_plain_one(
    run_training: Training, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))  # the graphs, but not the code
    plain, expected = run_training("plain", model=tiny_model(dropout=0.0))
    model, progress = run_training("compiled", model=tiny_model(dropout=0.0), compile=True)
    for ours, theirs in zip(progress.rows, expected.rows, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-5)
    assert list(model.state_dict()) == list(plain.state_dict())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
def test_compiled_code_has_the_losses_of_plain_code_and_is_resumed_bit_identical(run_training: Training):
    _, expected = run_training("plain", model=tiny_model(dropout=0.0))
    _, progress = run_training("compiled", model=tiny_model(dropout=0.0), compile=True)
    for ours, theirs in zip(progress.rows, expected.rows, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-5)
    whole, _ = run_training("dropout", compile=True)
    evaluated = 0

    def evaluate(model: GPT) -> dict[str, float]:
        nonlocal evaluated
        evaluated += 1
        if evaluated == 2:
            raise StopError
        return {"val_loss": 1.0}

    with pytest.raises(StopError):
        run_training("stopped", compile=True, evaluate=evaluate)
    resumed, _ = run_training("stopped", compile=True)
    assert_same(weights(resumed), weights(whole))
