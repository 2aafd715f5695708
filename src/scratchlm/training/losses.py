"""Sums of cross-entropy over a micro-batch; the loop divides by the targets of the whole step."""

import torch
from torch.nn import functional as F

from scratchlm.models.classifier import GPTClassifier
from scratchlm.models.gpt import GPT
from scratchlm.training.batches import IGNORED, Batch


def language_model_loss(model: GPT, batch: Batch) -> torch.Tensor:
    """Sum of next-token losses in nats; logits are computed only where there is a target."""
    hidden = model.hidden(batch.tokens)  # (B, T, C)
    wanted = batch.targets != IGNORED  # (B, T)
    logits = model.logits(hidden[wanted])  # (N, V)
    return F.cross_entropy(logits.float(), batch.targets[wanted], reduction="sum")


def classification_loss(model: GPTClassifier, batch: Batch) -> torch.Tensor:
    """Sum of class losses in nats."""
    logits = model(batch.tokens, batch.lengths)  # (B, K)
    return F.cross_entropy(logits.float(), batch.targets, reduction="sum")
