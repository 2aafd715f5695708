"""AdamW with weight decay on matrices only, and the learning rate as a pure function of the step."""

import math
from typing import Literal

from pydantic import Field
from torch import nn
from torch.optim import AdamW, Optimizer

from scratchlm.params import Schema


class OptimizerConfig(Schema):
    """How weights move; the learning rate warms up linearly and decays along a cosine or a line."""

    learning_rate: float = Field(gt=0)
    schedule: Literal["cosine", "linear"]
    min_learning_rate_ratio: float = Field(ge=0, le=1)
    warmup_steps: int = Field(ge=0)
    weight_decay: float = Field(ge=0)
    beta1: float = Field(ge=0, lt=1)
    beta2: float = Field(ge=0, lt=1)
    max_grad_norm: float = Field(gt=0)


def build_optimizer(model: nn.Module, config: OptimizerConfig) -> Optimizer:
    """AdamW over the parameters that train; biases, gains and other vectors do not decay."""
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trainable if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in trainable if p.ndim < 2], "weight_decay": 0.0},
    ]
    return AdamW(groups, lr=config.learning_rate, betas=(config.beta1, config.beta2), fused=True)


def learning_rate(step: int, steps: int, config: OptimizerConfig) -> float:
    """The rate of step 0..steps-1: linear from learning_rate / warmup_steps, then `schedule` to the minimum ratio."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    progress = (step - config.warmup_steps) / max(1, steps - config.warmup_steps)
    share = 0.5 * (1 + math.cos(math.pi * progress)) if config.schedule == "cosine" else 1 - progress
    return config.learning_rate * (config.min_learning_rate_ratio + (1 - config.min_learning_rate_ratio) * share)


def set_learning_rate(optimizer: Optimizer, rate: float) -> None:
    """Give every parameter group the same rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate
