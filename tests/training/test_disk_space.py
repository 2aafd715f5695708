"""The disk that a training needs is known before its first step."""

import pytest

from scratchlm.errors import UserError
from tests.training.conftest import Training, tiny_model
from tests.training.stopping import stopping_at


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
