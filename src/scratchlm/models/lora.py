"""LoRA (Hu et al. 2021) on every projection of a GPT: added, merged, and saved in PEFT's file format."""

import copy
import math
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from torch import nn

from scratchlm.artifacts import atomic_directory, write_json
from scratchlm.checksums import write_manifest
from scratchlm.models.classifier import GPTClassifier, Readout
from scratchlm.models.gpt import GPT, Projection
from scratchlm.models.model_directory import METADATA
from scratchlm.models.storage import save_model, tensor_name
from scratchlm.models.tensor_file import save_tensors
from scratchlm.params import Schema


class LoRAConfig(Schema):
    """The rank of the update and its weight: W + alpha / r * A B."""

    r: int = Field(gt=0)
    alpha: float = Field(gt=0)


class LoRAProjection(Projection):
    """A projection, whose parameters it takes over, plus an update of rank r that begins as zero."""

    def __init__(self, base: Projection, config: LoRAConfig, generator: torch.Generator) -> None:
        n_in, n_out = base.weight.shape
        nn.Module.__init__(self)
        self.weight, self.bias, self.config = base.weight, base.bias, config
        bound = 1 / math.sqrt(n_in)  # as nn.Linear: kaiming_uniform with a = sqrt(5)
        lora_a = (2 * torch.rand(config.r, n_in, generator=generator) - 1) * bound
        self.lora_A = nn.Parameter(lora_a.to(base.weight))  # (r, in), PEFT's layout
        self.lora_B = nn.Parameter(base.weight.new_zeros(n_out, config.r))  # (out, r)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) + self.config.alpha / self.config.r * (x @ self.lora_A.T @ self.lora_B.T)

    def matrix(self) -> torch.Tensor:
        update = self.config.alpha / self.config.r * (self.lora_B @ self.lora_A)  # (out, in)
        return self.weight + update.T  # (in, out)

    def merged(self) -> Projection:
        """A plain projection that computes the same."""
        n_in, n_out = self.weight.shape
        merged = Projection(n_in, n_out).to(self.weight)
        with torch.no_grad():
            merged.weight.copy_(self.matrix())
            merged.bias.copy_(self.bias)
        return merged


def add_lora(model: GPT | GPTClassifier, config: LoRAConfig, seed: int) -> None:
    """Give every projection an update, drawn as a function of `seed` alone; `set_trainable` then freezes the rest."""
    generator = torch.Generator().manual_seed(seed)
    for parent, name, projection in _projections(model):
        setattr(parent, name, LoRAProjection(projection, config, generator))


def merge_lora(model: GPT | GPTClassifier) -> None:
    """Add every update to its weights and make the projections plain again; a model without LoRA stays as it is."""
    for parent, name, projection in _projections(model):
        if isinstance(projection, LoRAProjection):
            setattr(parent, name, projection.merged())


def save_adapter(model: GPT | GPTClassifier, directory: Path, base_model: str) -> None:
    """Write the updates, and a classifier's head, as PEFT does; `base_model` is the directory they are for."""
    lora = {name: module for _, name, module in _projections(model) if isinstance(module, LoRAProjection)}
    config = next(iter(lora.values())).config
    is_classifier = isinstance(model, GPTClassifier)
    tensors = {
        f"base_model.model.{tensor_name(model, _peft_name(name))}": tensor.to("cpu", torch.float32).contiguous()
        for name, tensor in model.state_dict().items()
        if ".lora_" in name or name == "score.weight"
    }
    with atomic_directory(directory) as partial:
        write_json(
            partial / "adapter_config.json",
            {
                "peft_type": "LORA",
                "task_type": "SEQ_CLS" if is_classifier else "CAUSAL_LM",
                "base_model_name_or_path": base_model,
                "r": config.r,
                "lora_alpha": config.alpha,
                "lora_dropout": 0.0,
                "target_modules": sorted(lora),
                "modules_to_save": ["score"] if is_classifier else None,
                "fan_in_fan_out": True,
                "bias": "none",
                "inference_mode": True,
            },
        )
        save_tensors(tensors, partial / "adapter_model.safetensors", metadata=METADATA)
        write_manifest(partial)


def save_with_adapter(model: GPT | GPTClassifier, directory: Path, base_model: str | None, **saving: Any) -> None:
    """Write a model directory as `save_model(..., **saving)` does, with LoRA merged and its adapter in `adapter/`.

    There is no `adapter/` where no `base_model` holds the weights that it is for, nor for a classifier that PEFT, on
    Hugging Face's class, would compute in another way.
    """
    has_lora = any(isinstance(module, LoRAProjection) for module in model.modules())
    merged = copy.deepcopy(model) if has_lora else model
    merge_lora(merged)
    save_model(merged, directory, **saving)
    if has_lora and base_model and not (isinstance(model, GPTClassifier) and model.readout != Readout()):
        save_adapter(model, directory / "adapter", base_model)


def _peft_name(name: str) -> str:
    return f"{name}.weight" if ".lora_" in name else name


def _projections(model: nn.Module) -> list[tuple[nn.Module, str, Projection]]:
    """Each projection with its parent and its name in it."""
    return [
        (parent, name, child)
        for parent in model.modules()
        for name, child in parent.named_children()
        if isinstance(child, Projection)
    ]
