"""A loss or a gradient that is not finite stops a training before the step is applied."""

from collections.abc import Callable

import pytest
import torch

from scratchlm.errors import UserError
from scratchlm.models.gpt import GPT
from scratchlm.training.batches import Batch
from scratchlm.training.losses import language_model_loss
from tests.training.conftest import STEPS, Training, tiny_model
from tests.training.weights import assert_same, weights


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
    model.h[0].mlp.c_fc.weight.register_hook(lambda gradient: gradient * value)  # pyright: ignore


def spoil_embedding(model: GPT, value: float) -> None:
    model.wte.register_forward_hook(lambda module, inputs, output: output * value)  # pyright: ignore


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
