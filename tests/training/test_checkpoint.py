"""Checkpoints: whole, the last two, and the newest that verifies."""

from pathlib import Path

import pytest
import torch

from scratchlm.training.checkpoint import Progress, load_checkpoint, save_best, save_checkpoint
from scratchlm.training.optimizer import build_optimizer
from tests.training.conftest import tiny_config, tiny_model


def trained(steps: int):
    model = tiny_model(dropout=0.0)
    optimizer = build_optimizer(model, tiny_config())
    for _ in range(steps):
        model(torch.arange(4)[None]).sum().backward()
        optimizer.step()
    return model, optimizer


def save(folder: Path, step: int) -> None:
    model, optimizer = trained(step)
    save_checkpoint(folder, model, optimizer, Progress(step=step, rows=[{"step": step, "val_loss": 0.1 + 0.2}]))


def test_a_round_trip_keeps_every_bit(tmp_path: Path):
    save(tmp_path, 2)
    model, optimizer = trained(2)
    fresh, fresh_optimizer = trained(0)
    progress = load_checkpoint(tmp_path, fresh, fresh_optimizer, keep_best=False)
    assert progress == Progress(step=2, rows=[{"step": 2, "val_loss": 0.1 + 0.2}])
    assert all(map(torch.equal, fresh.state_dict().values(), model.state_dict().values()))
    ours, theirs = (each.state_dict()["state"] for each in (fresh_optimizer, optimizer))
    assert ours.keys() == theirs.keys()
    for index, values in theirs.items():
        assert all(torch.equal(ours[index][name], tensor) for name, tensor in values.items())


def test_only_the_last_two_are_kept(tmp_path: Path):
    for step in (1, 2, 3):
        save(tmp_path, step)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000002", "step-00000003"]


@pytest.mark.parametrize("file", ["model.safetensors", "optimizer.safetensors", "progress.json", "manifest.json"])
def test_a_damaged_checkpoint_is_skipped_with_a_line(tmp_path: Path, file: str, capsys: pytest.CaptureFixture[str]):
    save(tmp_path, 1)
    save(tmp_path, 2)
    damaged = tmp_path / "step-00000002" / file
    damaged.write_bytes(damaged.read_bytes()[:-3])
    assert load_checkpoint(tmp_path, *trained(0), keep_best=False).step == 1
    assert f"step-00000002/{file}" in capsys.readouterr().err


def test_a_damaged_checkpoint_is_set_aside_and_neither_kept_nor_counted(tmp_path: Path):
    save(tmp_path, 1)
    save(tmp_path, 4)
    (tmp_path / "step-00000004/progress.json").write_text("{")
    assert load_checkpoint(tmp_path, *trained(0), keep_best=False).step == 1
    save(tmp_path, 2)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["damaged-step-00000004", "step-00000001", "step-00000002"]


def test_best_weights_stay_as_long_as_a_checkpoint_names_them(tmp_path: Path):
    model, optimizer = trained(0)
    for step, best_step in ((1, 1), (2, 2), (3, 2), (4, 2)):
        save_best(tmp_path, model, best_step)
        save_checkpoint(tmp_path, model, optimizer, Progress(step=step, best_step=best_step))
        assert load_checkpoint(tmp_path, model, optimizer, keep_best=True).best_step == best_step
    assert [path.name for path in tmp_path.glob("best-*")] == ["best-00000002"]


def test_a_checkpoint_without_its_best_weights_is_skipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    model, optimizer = trained(0)
    for step in (1, 2):
        save_best(tmp_path, model, step)
        save_checkpoint(tmp_path, model, optimizer, Progress(step=step, best_step=step))
    (tmp_path / "best-00000002/model.safetensors").write_bytes(b"")
    assert load_checkpoint(tmp_path, model, optimizer, keep_best=True).step == 1
    assert "best-00000002/model.safetensors" in capsys.readouterr().err


def test_without_a_checkpoint_a_training_begins(tmp_path: Path):
    assert load_checkpoint(tmp_path, *trained(0), keep_best=False) == Progress()


def test_nothing_is_pickled(tmp_path: Path):
    save(tmp_path, 1)
    assert {path.suffix for path in tmp_path.rglob("*") if path.is_file()} == {".safetensors", ".json"}
