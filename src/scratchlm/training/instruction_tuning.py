"""Fine-tuning a GPT to answer instructions."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from scratchlm.datasets.instructions import format_prompt
from scratchlm.datasets.tokenizers import Tokenizer
from scratchlm.errors import UserError
from scratchlm.models.gpt import GPT
from scratchlm.models.lora import add_lora
from scratchlm.models.sampling import SamplingConfig
from scratchlm.models.trainable import set_trainable
from scratchlm.training.batches import IGNORED, Example, ExampleBatches
from scratchlm.training.checkpoint import Progress
from scratchlm.training.device import pick_device
from scratchlm.training.evaluation import evaluate_examples
from scratchlm.training.finetuning import FinetuningConfig, check_length
from scratchlm.training.loop import train
from scratchlm.training.losses import language_model_loss
from scratchlm.training.samples import continue_prompts

SAMPLES = 3  # validation entries answered at each evaluation


class InstructionConfig(FinetuningConfig):
    """Entries of more than `max_tokens` are left out; the loss counts the response, or the prompt too."""

    train: Literal["all", "last_block", "lora"]
    loss_on: Literal["response", "all"]
    sample: SamplingConfig


def instruction_example(entry: Mapping[str, str], tokenizer: Tokenizer, loss_on: Literal["response", "all"]) -> Example:
    """Prompt, response and end of text, and for each token the next one as target where the loss counts it.

    Prompt and response are encoded apart, as at generation, where the response is not there yet.
    """
    prompt = tokenizer.encode(format_prompt(entry))
    sequence = [*prompt, *tokenizer.encode(entry["output"]), tokenizer.eot_id]
    ignored = len(prompt) - 1 if loss_on == "response" else 0
    return Example(sequence[:-1], [IGNORED] * ignored + sequence[ignored + 1 :])


class InstructionTuning:
    """A base model with the entries that fit `max_tokens`; `left_out` counts the others of both splits."""

    def __init__(
        self,
        config: InstructionConfig,
        base: GPT,
        tokenizer: Tokenizer,
        splits: Mapping[str, Sequence[Mapping[str, str]]],
    ) -> None:
        check_length(config, base, "finetune_instruct")
        self.config, self.model, self.tokenizer = config, base, tokenizer
        if config.train == "lora":
            add_lora(base, config.lora, config.seed)
        set_trainable(base, config.train)
        base.to(pick_device())
        pairs = {
            name: [(entry, instruction_example(entry, tokenizer, config.loss_on)) for entry in splits[name]]
            for name in ("train", "val")
        }
        kept = {name: [pair for pair in pairs[name] if len(pair[1].tokens) <= config.max_tokens] for name in pairs}
        self.left_out = sum(len(pairs[name]) - len(kept[name]) for name in pairs)
        self.examples = {name: [example for _, example in kept[name]] for name in kept}
        self.sampled = [entry for entry, _ in kept["val"][:SAMPLES]]
        if not self.examples["val"]:
            raise UserError(
                f"no entry of the validation split has at most {config.max_tokens} tokens; "
                "raise finetune_instruct.max_tokens."
            )

    def fit(self, folder: Path) -> tuple[Progress, dict[str, float]]:
        """Train, resuming from `folder`; return what was recorded and the run's speed."""
        config, pad_id = self.config, self.tokenizer.eot_id
        batches = ExampleBatches(
            self.examples["train"], config.batch_size, config.micro_batch_size, config.seed, pad_id
        )

        def evaluate(model: GPT) -> dict[str, float]:
            return evaluate_examples(model, self.examples["val"], config.micro_batch_size, pad_id)

        def sample(model: GPT) -> list[dict[str, Any]]:
            return continue_prompts(model, self.tokenizer, list(map(format_prompt, self.sampled)), config.sample)

        steps = config.epochs * batches.steps_per_epoch
        return train(self.model, batches, language_model_loss, evaluate, config, steps, folder, sample)
