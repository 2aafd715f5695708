"""Cross-entropy over a large vocabulary; on a CPU in the memory of its logits, a few rows at a time, for its caches."""

from typing import Any

import torch
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

CHUNK_NUMBERS = 2**20  # logits that are worked on at a time: 4 MB in float32


def cross_entropy_sum(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The sum of `cross_entropy` over its rows."""
    return cross_entropy(logits, targets).sum()


def cross_entropy(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Each -log softmax(logits)[target] in nats (N,), for logits (N, V) and targets (N,), computed in float32.

    On a CPU with gradients the logits are used up: their memory holds the gradient.
    """
    if logits.device.type != "cpu" or torch.compiler.is_compiling():
        return F.cross_entropy(logits.float(), targets, reduction="none")
    return _CrossEntropy.apply(logits, targets)


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        losses = []
        rows = max(1, CHUNK_NUMBERS // logits.shape[1])
        for part, wanted in zip(logits.split(rows), targets.split(rows), strict=True):
            exact = part.to(torch.promote_types(part.dtype, torch.float32))
            probabilities = exact.softmax(dim=-1)
            # log sum exp(x) = max x - log max softmax(x), of which the last lies between 1 / V and 1.
            log_sum = exact.amax(dim=-1) - probabilities.amax(dim=-1).log()
            losses.append(log_sum - exact.gather(1, wanted[:, None])[:, 0])
            if ctx.needs_input_grad[0]:
                part.copy_(probabilities)
        ctx.save_for_backward(logits, targets)
        return torch.cat(losses)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:  # pyright: ignore
        probabilities, targets = ctx.saved_tensors
        rows = max(1, CHUNK_NUMBERS // probabilities.shape[1])
        for part, wanted, factors in zip(
            probabilities.split(rows), targets.split(rows), gradient.split(rows), strict=True
        ):
            part.scatter_add_(1, wanted[:, None], part.new_full((len(part), 1), -1.0))
            part.mul_(factors[:, None])
        return probabilities, None
