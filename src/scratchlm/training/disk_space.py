"""The disk that a training needs, known from shapes before its first step, and refused where it cannot fit."""

from pathlib import Path

from torch import nn

from scratchlm.disk import require_space
from scratchlm.training.checkpoint import ASIDE, KEPT

MOMENTS = 2  # of AdamW for each weight that trains; no optimizer here keeps more


def check_disk_space(folder: Path, model: nn.Module, keep_best: bool) -> None:
    """UserError if checkpoints in `folder` and the model directory at the end do not fit on the disk of `folder`."""
    kept = [path for path in folder.glob("*") if not path.name.startswith(ASIDE)]  # the others nothing replaces
    there = sum(file.stat().st_size for path in kept for file in [path, *path.rglob("*")] if file.is_file())
    require_space(folder, needed_bytes(model, keep_best) - there, "this training, checkpoints and model,")


def needed_bytes(model: nn.Module, keep_best: bool) -> int:
    """What stands on the disk at most: the checkpoints that are kept, the one that is written, and the model."""
    sizes = [(tensor.numel() * tensor.element_size(), tensor.requires_grad) for tensor in model.parameters()]
    trainable = sum(size for size, trains in sizes if trains)
    checkpoint = trainable * (1 + MOMENTS + keep_best)
    return (KEPT + 1) * checkpoint + sum(size for size, _ in sizes)
