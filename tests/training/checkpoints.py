"""Two checkpoints of a small training, and the step of the one that is loaded."""

from pathlib import Path

import torch
from torch import nn

from scratchlm.training.checkpoint import Progress, load_checkpoint, save_checkpoint


def _training() -> tuple[nn.Module, torch.optim.Optimizer]:
    model = nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(3)).sum().backward()
    optimizer.step()
    return model, optimizer


def save_two(folder: Path) -> Path:
    """Save checkpoints of step 1 and 2; returns the folder of the second."""
    for step in (1, 2):
        save_checkpoint(folder, *_training(), Progress(step=step))
    return folder / "step-00000002"


def load_newest(folder: Path) -> int:
    """The step of the newest checkpoint that verifies."""
    return load_checkpoint(folder, *_training(), keep_best=False).step
