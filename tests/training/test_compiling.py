"""A compiled training is that of plain code."""

from functools import partial

import pytest
import torch

from scratchlm.models.gpt import GPT
from tests.training.conftest import Training, tiny_model
from tests.training.stopping import StopError
from tests.training.weights import assert_same, weights


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
