"""Sums of losses over a micro-batch; the loop divides by the targets of the whole step."""

from collections.abc import Sequence

import torch
from torch.nn import functional as F

from scratchlm.models.classifier import GPTClassifier
from scratchlm.models.gpt import GPT
from scratchlm.training.batches import IGNORED, Batch
from scratchlm.training.cross_entropy import cross_entropy, cross_entropy_sum


def next_token_loss(model: GPT, batch: Batch) -> torch.Tensor:
    """Sum of next-token losses in nats of a batch in which every token has a target."""
    return cross_entropy_sum(model(batch.tokens).flatten(0, 1), batch.targets.flatten())


def language_model_loss(model: GPT, batch: Batch) -> torch.Tensor:
    """Sum of next-token losses in nats; logits are computed only where there is a target."""
    hidden = model.hidden(batch.tokens)  # (B, T, C)
    wanted = batch.targets != IGNORED  # (B, T)
    return cross_entropy_sum(model.logits(hidden[wanted]), batch.targets[wanted])


def response_log_probabilities(model: GPT, batch: Batch) -> torch.Tensor:
    """The log-probability (B,) of the targets of each row, in nats, summed over them."""
    hidden = model.hidden(batch.tokens)  # (B, T, C)
    wanted = batch.targets != IGNORED  # (B, T)
    losses = cross_entropy(model.logits(hidden[wanted]), batch.targets[wanted])  # (N,)
    return losses.new_zeros(len(wanted)).index_add(0, wanted.nonzero()[:, 0], -losses)


def preference_loss(model: GPT, batch: Batch, beta: float) -> torch.Tensor:
    """Sum of the losses of DPO over the pairs of a batch, whose rows are the chosen responses, then the rejected ones.

    It is -log sigmoid(reward of the chosen - reward of the rejected), the reward of a response being beta times
    log(model / reference) of its tokens and its end (Rafailov et al. 2023, equation 7).
    """
    assert batch.reference is not None
    chosen, rejected = (beta * (response_log_probabilities(model, batch) - batch.reference)).chunk(2)  # (B,)
    return -F.logsigmoid(chosen - rejected).sum()


def classification_loss(model: GPTClassifier, batch: Batch, class_weights: torch.Tensor | None = None) -> torch.Tensor:
    """Sum of class losses in nats, each times the weight (K,) of its class."""
    logits = model(batch.inputs, batch.lengths)  # (B, K)
    return F.cross_entropy(logits.float(), batch.targets, class_weights, reduction="sum")


def balanced_class_weights(targets: Sequence[int], n_classes: int) -> torch.Tensor:
    """Weights (K,) that give every class the same total, 1 on average over the examples (King and Zeng 2001)."""
    counts = torch.bincount(torch.tensor(targets), minlength=n_classes)
    return len(targets) / (n_classes * counts.clamp(min=1))  # a class without examples has no loss to weigh
