"""A training is a pure function of its inputs."""

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from scratchlm.models.gpt import GPT
from scratchlm.training.batches import Batch, TokenBatches
from scratchlm.training.loop import accumulate_gradients, take_step
from scratchlm.training.losses import language_model_loss, next_token_loss
from scratchlm.training.optimizer import build_optimizer, learning_rate, set_learning_rate
from tests.training.conftest import LENGTH, STEPS, MemoryShards, Training, tiny_config, tiny_model
from tests.training.weights import assert_same, weights


def test_two_runs_end_with_the_same_bits(run_training: Training):
    model, progress = run_training("first")
    again, progress_again = run_training("second")
    assert_same(weights(model), weights(again))
    assert progress == progress_again
    assert [row["step"] for row in progress.rows] == [2, 4, 6]
    assert [entry["step"] for entry in progress.samples] == [2, 4, 6]


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
    batches = TokenBatches(shards, LENGTH, 4 * LENGTH, config.micro_batch_size, config.seed)  # pyright: ignore[reportArgumentType]
    lists: list[int] = []
    tolist = torch.Tensor.tolist
    monkeypatch.setattr(torch.Tensor, "tolist", lambda tensor: lists.append(tensor.numel()) or tolist(tensor))
    with ReadNumbers() as read:
        take_step(model, batches, next_token_loss, build_optimizer(model, config), config, step=0, steps=STEPS)
    assert (read.sizes, lists) == ([], [3])  # two losses and the norm


@pytest.mark.parametrize("max_grad_norm", [1e-2, 1e2], ids=["clipped", "as it is"])
def test_a_gradient_is_clipped_as_pytorch_clips_it(max_grad_norm: float, shards: MemoryShards):
    config = tiny_config(max_grad_norm=max_grad_norm)
    batches = TokenBatches(shards, LENGTH, 4 * LENGTH, config.micro_batch_size, config.seed)  # pyright: ignore[reportArgumentType]
    ours, theirs = tiny_model(dropout=0.0), tiny_model(dropout=0.0)
    _, norm, _, _ = take_step(
        ours, batches, next_token_loss, build_optimizer(ours, config), config, step=0, steps=STEPS
    )
    accumulate_gradients(theirs, batches, next_token_loss, config, step=0)
    expected = torch.nn.utils.clip_grad_norm_(theirs.parameters(), max_grad_norm)
    optimizer = build_optimizer(theirs, config)
    set_learning_rate(optimizer, learning_rate(0, STEPS, config))
    optimizer.step()
    assert 1e-2 < norm < 1e2
    assert norm == float(expected)
    assert_same(weights(ours), weights(theirs))


def test_bfloat16_computes_the_loss_of_float32_weights_in_less_precision(run_training: Training):
    dtypes = set()

    def loss_fn(model: GPT, batch: Batch) -> torch.Tensor:
        loss = language_model_loss(model, batch)
        dtypes.update([model.h[0].mlp.c_fc(model.wte(batch.tokens)).dtype, loss.dtype])  # pyright: ignore
        return loss

    _, full = run_training("float32", model=tiny_model(dropout=0.0))
    model, half = run_training("bfloat16", model=tiny_model(dropout=0.0), precision="bfloat16", loss_fn=loss_fn)
    assert dtypes == {torch.bfloat16, torch.float32}
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert half.rows[-1]["val_loss"] == pytest.approx(full.rows[-1]["val_loss"], rel=0.02)
    assert half.rows[-1]["val_loss"] != full.rows[-1]["val_loss"]
