"""Muon (Jordan et al. 2024): matrices move by their momentum made orthogonal, everything else by AdamW."""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.optim import Optimizer

from scratchlm.training.adamw import AdamW

# https://kellerjordan.github.io/posts/muon: the steps and the coefficients of the iteration.
ITERATIONS = 5
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
EPS = 1e-7
UPDATE_RMS = 0.2  # that of AdamW's updates (Liu et al. 2025, section 2.2): both work at one learning rate
BATCH_NUMBERS = 2**24  # in matrices of one shape that are made orthogonal together: small ones at once, memory bounded


class Muon(AdamW):
    """Muon for groups whose parameters hold `matrices` matrices side by side, AdamW for groups where that is 0.

    The scaling is symmetric: a matrix and its transpose move alike. The momentum, Nesterov's, is the first of AdamW's
    betas. `dtype` is that of the Newton-Schulz iteration.
    """

    def __init__(self, groups: Sequence[Mapping[str, Any]], dtype: torch.dtype, **adamw: Any) -> None:
        super().__init__([dict(group) for group in groups], **adamw)
        self.dtype = dtype

    def __setstate__(self, state: dict[str, Any]) -> None:
        Optimizer.__setstate__(self, state)  # that of AdamW expects a count of steps in every state

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Apply one step; the gradients of the matrices are used up by it."""
        by_shape: dict[torch.Size, list[tuple[torch.Tensor, torch.Tensor, float]]] = defaultdict(list)
        for group in self.param_groups:
            for parameter in group["params"] if group["matrices"] else []:
                if parameter.grad is None:
                    continue
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                whole = self._direction(parameter, group["betas"][0])
                pairs = [tensor.chunk(group["matrices"], dim=1) for tensor in (parameter, whole)]
                for matrix, direction in zip(*pairs, strict=True):
                    wide = (matrix, direction) if matrix.shape[0] <= matrix.shape[1] else (matrix.mT, direction.mT)
                    by_shape[wide[0].shape].append((*wide, group["lr"]))
                parameter.grad = None  # what has no gradient is left alone by AdamW
        for shape, members in by_shape.items():
            size = max(1, BATCH_NUMBERS // shape.numel())
            for first in range(0, len(members), size):
                self._move(members[first : first + size])
        return super().step(closure)

    def _direction(self, parameter: torch.Tensor, beta: float) -> torch.Tensor:
        assert parameter.grad is not None
        momentum = self.state[parameter].setdefault("momentum", torch.zeros_like(parameter))
        momentum.lerp_(parameter.grad, 1 - beta)
        return parameter.grad.lerp(momentum, beta)

    def _move(self, members: Sequence[tuple[torch.Tensor, torch.Tensor, float]]) -> None:
        updates = orthogonalize(torch.stack([direction.to(self.dtype) for _, direction, _ in members]))  # (N, R, C)
        for (matrix, _, rate), update in zip(members, updates, strict=True):
            matrix.sub_(update, alpha=rate * UPDATE_RMS * math.sqrt(max(matrix.shape)))


def orthogonalize(matrices: torch.Tensor) -> torch.Tensor:
    """Matrices (N, R, C), R <= C, with singular values moved to about 1 (0.7 to 1.2) by a Newton-Schulz iteration."""
    a, b, c = COEFFICIENTS
    x = matrices / matrices.norm(dim=(-2, -1), keepdim=True).clamp(min=EPS)
    for _ in range(ITERATIONS):
        gram = x @ x.mT  # (N, R, R)
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x
