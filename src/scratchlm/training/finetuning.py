"""What both fine-tunings share: their parameters, and the check that texts fit the base."""

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


def check_length(config: FinetuningConfig, base: GPT, stage: str) -> None:
    """UserError if `max_tokens` is more than the base can read."""
    if config.max_tokens > base.config.context_length:
        raise UserError(
            f"max_tokens {config.max_tokens} exceeds the {base.config.context_length} positions of "
            f"data/models/{config.base}; lower {stage}.max_tokens."
        )
