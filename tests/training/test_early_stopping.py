"""A training ends when its validation loss no longer improves."""

import pytest

from scratchlm.models.gpt import GPT
from tests.training.conftest import Training
from tests.training.stopping import StopError, stopping_at
from tests.training.weights import assert_same, weights


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
