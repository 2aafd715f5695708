"""What both fine-tunings share: their parameters; and the check that what trains on a base fits into its context."""

from pydantic import Field

from scratchlm.errors import UserError
from scratchlm.models.gpt import GPT
from scratchlm.models.lora import LoRAConfig
from scratchlm.training.loop import LoopConfig


class FinetuningConfig(LoopConfig):
    """Which base trains, how long, and on texts of which length; `lora` counts where LoRA trains."""

    base: str
    lora: LoRAConfig
    dropout: float = Field(ge=0, lt=1)
    epochs: int = Field(gt=0)
    batch_size: int = Field(gt=0)
    max_tokens: int = Field(gt=0)


def check_length(length: int, param: str, base: GPT, name: str) -> None:
    """UserError if the parameter asks for more tokens at a time than the base of this name can read."""
    if length > base.config.context_length:
        raise UserError(
            f"{param.split('.')[-1]} {length} exceeds the {base.config.context_length} positions of "
            f"data/models/{name}; lower {param}."
        )
