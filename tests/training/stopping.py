"""A loss that ends a training in the middle of a step."""

import torch

from scratchlm.models.gpt import GPT
from scratchlm.training.batches import Batch
from scratchlm.training.losses import language_model_loss


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
