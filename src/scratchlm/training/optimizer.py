"""AdamW or Muon with weight decay on matrices only, and the learning rate as a pure function of the step."""

import math
from collections import defaultdict
from typing import Literal

import torch
from pydantic import Field
from torch import nn
from torch.optim import Optimizer

from scratchlm.params import Schema
from scratchlm.training.adamw import AdamW
from scratchlm.training.muon import Muon


class OptimizerConfig(Schema):
    """How weights move; the learning rate warms up linearly and decays along a cosine or a line."""

    optimizer: Literal["adamw", "muon"]
    precision: Literal["float32", "bfloat16"]
    learning_rate: float = Field(gt=0)
    schedule: Literal["cosine", "linear"]
    min_learning_rate_ratio: float = Field(ge=0, le=1)
    warmup_steps: int = Field(ge=0)
    weight_decay: float = Field(ge=0)
    beta1: float = Field(ge=0, lt=1)
    beta2: float = Field(ge=0, lt=1)
    max_grad_norm: float = Field(gt=0)


def build_optimizer(model: nn.Module, config: OptimizerConfig) -> Optimizer:
    """AdamW or Muon over the parameters that train; biases, gains and other vectors do not decay."""
    groups: dict[tuple[bool, int], list[nn.Parameter]] = defaultdict(list)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            matrices = count_block_matrices(name, parameter) if config.optimizer == "muon" else 0
            groups[parameter.ndim >= 2, matrices].append(parameter)
    settings = [
        {"params": parameters, "weight_decay": config.weight_decay if decays else 0.0, "matrices": matrices}
        for (decays, matrices), parameters in groups.items()
    ]
    adamw = {"lr": config.learning_rate, "betas": (config.beta1, config.beta2), "fused": True}
    if config.optimizer == "adamw":
        return AdamW(settings, **adamw)
    return Muon(settings, getattr(torch, config.precision), **adamw)


def count_block_matrices(name: str, parameter: nn.Parameter) -> int:
    """How many matrices of a block a parameter of a GPT holds side by side; 0 for embeddings, heads and vectors."""
    if parameter.ndim != 2 or not name.removeprefix("trunk.").startswith("h."):
        return 0
    return 3 if name.endswith("c_attn.weight") else 1  # queries, keys and values


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
