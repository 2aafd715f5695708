"""The disk that a training needs is known before its first step."""

from pathlib import Path

import pytest
import torch
from torch import nn

from scratchlm.errors import UserError
from scratchlm.training.disk_space import check_disk_space, needed_bytes
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


def test_the_best_weights_need_room_in_each_checkpoint_and_frozen_ones_only_in_the_model():
    model = nn.Linear(4, 3, dtype=torch.float32)  # 48 bytes of weights, 12 of biases
    model.weight.requires_grad = False
    assert needed_bytes(model, keep_best=False) == 3 * 3 * 12 + 60
    assert needed_bytes(model, keep_best=True) == 3 * 4 * 12 + 60


def test_the_bytes_are_those_of_the_type_and_a_tied_matrix_counts_once():
    model = nn.Sequential(nn.Embedding(5, 2, dtype=torch.bfloat16), nn.Linear(2, 5, bias=False, dtype=torch.bfloat16))
    model[1].weight = model[0].weight
    assert needed_bytes(model, keep_best=False) == 10 * 20


def test_what_stands_in_the_folder_already_is_not_needed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    model = nn.Linear(4, 3)
    needed = needed_bytes(model, keep_best=False)
    (tmp_path / "step-00000001").mkdir()
    (tmp_path / "step-00000001/model.safetensors").write_bytes(bytes(100))
    monkeypatch.setattr("scratchlm.disk.free_space", lambda folder: needed - 100)
    check_disk_space(tmp_path, model, keep_best=False)
    monkeypatch.setattr("scratchlm.disk.free_space", lambda folder: needed - 101)
    with pytest.raises(UserError, match=f"needs {needed - 100:,} bytes in {tmp_path}, where {needed - 101:,} are free"):
        check_disk_space(tmp_path, model, keep_best=False)


def test_a_damaged_checkpoint_that_was_set_aside_leaves_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    model = nn.Linear(4, 3)
    (tmp_path / "damaged-step-00000001").mkdir()
    (tmp_path / "damaged-step-00000001/model.safetensors").write_bytes(bytes(100))
    monkeypatch.setattr("scratchlm.disk.free_space", lambda folder: needed_bytes(model, keep_best=False) - 1)
    with pytest.raises(UserError, match="checkpoints and model"):
        check_disk_space(tmp_path, model, keep_best=False)
