"""Fine-tuning a GPT to answer instructions."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from scratchlm.datasets.instructions import format_prompt
from scratchlm.datasets.tokenizers import Tokenizer
from scratchlm.models.gpt import GPT
from scratchlm.models.lora import LoRAConfig, add_lora
from scratchlm.models.sampling import SamplingConfig, generate
from scratchlm.models.trainable import set_trainable
from scratchlm.training.batches import ExampleBatches
from scratchlm.training.checkpoint import Progress
from scratchlm.training.device import pick_device
from scratchlm.training.evaluation import evaluate_examples
from scratchlm.training.examples import instruction_examples
from scratchlm.training.loop import TrainingConfig, train
from scratchlm.training.losses import language_model_loss

SAMPLES = 3  # validation entries answered at each evaluation


class InstructionConfig(TrainingConfig):
    """Which part of which base trains, how long, on which tokens, and how it answers on the way."""

    base: str
    train: Literal["all", "last_block", "lora"]
    lora: LoRAConfig
    dropout: float = Field(ge=0, lt=1)
    epochs: int = Field(gt=0)
    batch_size: int = Field(gt=0)
    max_tokens: int = Field(gt=0)
    loss_on: Literal["response", "all"]
    sample: SamplingConfig


def finetune_instruct(
    config: InstructionConfig,
    model: GPT,
    tokenizer: Tokenizer,
    splits: Mapping[str, Sequence[Mapping[str, str]]],
    folder: Path,
) -> tuple[Progress, dict[str, float]]:
    """Train `model` in place on `splits["train"]`, resuming from `folder`; return the record and the run's speed."""
    if config.train == "lora":
        add_lora(model, config.lora, config.seed)
    set_trainable(model, config.train)
    model.to(pick_device())
    examples = {
        name: instruction_examples(splits[name], tokenizer, config.max_tokens, config.loss_on)
        for name in ("train", "val")
    }
    pad_id = tokenizer.eot_id
    batches = ExampleBatches(examples["train"], config.batch_size, config.micro_batch_size, config.seed, pad_id)

    def evaluate(model: GPT) -> dict[str, float]:
        return evaluate_examples(model, examples["val"], config.micro_batch_size, pad_id)

    def sample(model: GPT) -> list[dict[str, Any]]:
        prompts = [format_prompt(entry) for entry in splits["val"][:SAMPLES]]
        answers = generate(model, [tokenizer.encode(prompt) for prompt in prompts], config.sample, tokenizer.eot_id)
        return [
            {"prompt": prompt, "text": tokenizer.decode(tokens)}
            for prompt, tokens in zip(prompts, answers, strict=True)
        ]

    steps = config.epochs * batches.steps_per_epoch
    return train(model, batches, language_model_loss, evaluate, config, steps, folder, sample)
