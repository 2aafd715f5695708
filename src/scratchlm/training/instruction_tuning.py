"""Fine-tuning a GPT to answer instructions."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from scratchlm.datasets.chat_templates import ChatTemplate
from scratchlm.datasets.prompts import Prompt, encode_prompt, format_prompt
from scratchlm.datasets.tokenizers import Tokenizer
from scratchlm.errors import UserError
from scratchlm.models.gpt import GPT
from scratchlm.models.lora import add_lora
from scratchlm.models.sampling import SamplingConfig
from scratchlm.models.trainable import GPTPart, set_trainable
from scratchlm.training.batches import IGNORED, Example, ExampleBatches
from scratchlm.training.checkpoint import Progress
from scratchlm.training.device import pick_device
from scratchlm.training.evaluation import evaluate_examples
from scratchlm.training.finetuning import FinetuningConfig, check_length
from scratchlm.training.loop import TrainingConfig, train
from scratchlm.training.losses import language_model_loss
from scratchlm.training.memory import check_memory
from scratchlm.training.samples import continue_prompts

SAMPLES = 3  # validation entries answered at each evaluation

Entry = Mapping[str, str]


class InstructionConfig(FinetuningConfig, TrainingConfig):
    """How an entry is asked, and what becomes of those of more than `max_tokens`; the loss counts the response, or
    the prompt too.
    """

    prompt: Prompt
    train: GPTPart
    too_long: Literal["leave_out", "truncate", "error"]
    loss_on: Literal["response", "all"]
    sample: SamplingConfig


def instruction_example(
    entry: Entry, template: ChatTemplate, tokenizer: Tokenizer, loss_on: Literal["response", "all"]
) -> Example:
    """The example of an entry, asked as its prompt and answered as its output."""
    return response_example(encode_prompt(entry, template, tokenizer), entry["output"], tokenizer, loss_on)


def response_example(
    prompt: Sequence[int], response: str, tokenizer: Tokenizer, loss_on: Literal["response", "all"] = "response"
) -> Example:
    """Prompt, response and end of text, and for each token the next one as target where the loss counts it.

    Prompt and response are encoded apart, as at generation, where the response is not there yet.
    """
    sequence = [*prompt, *tokenizer.encode(response), tokenizer.eot_id]
    ignored = len(prompt) - 1 if loss_on == "response" else 0
    return Example(sequence[:-1], [IGNORED] * ignored + sequence[ignored + 1 :])


def fit_to_length(
    split: str, entries: Sequence[Entry], template: ChatTemplate, tokenizer: Tokenizer, config: InstructionConfig
) -> tuple[list[tuple[Entry, Example]], dict[str, int]]:
    """The entries of a split that train, with their examples of at most `max_tokens`, and how many were too long.

    `truncate` cuts the end of the response, and with it the end of text; a prompt that leaves no room for a response
    is left out all the same. With `error`, UserError names the longest entry.
    """
    pairs = [(entry, instruction_example(entry, template, tokenizer, config.loss_on)) for entry in entries]
    lengths = [len(example.tokens) for _, example in pairs]
    too_long = sum(length > config.max_tokens for length in lengths)
    if too_long and config.too_long == "error":
        raise UserError(
            f"{too_long} of the {len(entries)} entries of {split} have more than {config.max_tokens} tokens, entry "
            f"{lengths.index(max(lengths)) + 1} has {max(lengths)}; raise finetune_instruct.max_tokens, shorten them, "
            "or set finetune_instruct.too_long: leave_out."
        )
    fitting = [
        (entry, example) for entry, whole in pairs if (example := _fit(entry, whole, template, tokenizer, config))
    ]
    if not fitting:
        raise UserError(
            f"no entry of {split} fits into {config.max_tokens} tokens; raise finetune_instruct.max_tokens."
        )
    return fitting, {f"{split}_too_long": too_long, f"{split}_left_out": len(entries) - len(fitting)}


def _fit(
    entry: Entry, example: Example, template: ChatTemplate, tokenizer: Tokenizer, config: InstructionConfig
) -> Example | None:
    if len(example.tokens) <= config.max_tokens:
        return example
    prompt_fits = len(encode_prompt(entry, template, tokenizer)) < config.max_tokens
    if config.too_long == "truncate" and prompt_fits:
        assert not isinstance(example.target, int)
        return Example(example.tokens[: config.max_tokens], example.target[: config.max_tokens])
    return None


class InstructionTuning:
    """A base model with the entries that fit `max_tokens`.

    `counts` says how many of each split did not, and which share of the tokens that the training computes is padding.
    """

    def __init__(
        self,
        config: InstructionConfig,
        base: GPT,
        template: ChatTemplate,
        tokenizer: Tokenizer,
        splits: Mapping[str, Sequence[Entry]],
    ) -> None:
        check_length(config.max_tokens, "finetune_instruct.max_tokens", base, config.base)
        self.config, self.model, self.template, self.tokenizer = config, base, template, tokenizer
        if config.train == "lora":
            add_lora(base, config.lora, config.seed)
        set_trainable(base, config.train)
        base.to(pick_device())
        fitted = {name: fit_to_length(name, splits[name], template, tokenizer, config) for name in ("train", "val")}
        self.examples = {name: [example for _, example in pairs] for name, (pairs, _) in fitted.items()}
        self.sampled = [entry for entry, _ in fitted["val"][0][:SAMPLES]]
        rows, pad_id = config.micro_batch_size, tokenizer.eot_id
        self.batches = ExampleBatches(self.examples["train"], config.batch_size, rows, config.seed, pad_id)
        padding = {"padding_rate": self.batches.padding_rate(config.epochs)}
        self.counts: dict[str, float] = fitted["train"][1] | fitted["val"][1] | padding

    def fit(self, folder: Path) -> tuple[Progress, dict[str, float]]:
        """Train, resuming from `folder`; return what was recorded and the run's speed."""
        config, pad_id = self.config, self.tokenizer.eot_id
        rows, columns = config.micro_batch_size, config.max_tokens
        check_memory("finetune_instruct", self.model, pick_device(), rows, columns, config.precision)

        def evaluate(model: GPT) -> dict[str, float]:
            return evaluate_examples(model, self.examples["val"], config.micro_batch_size, pad_id)

        def sample(model: GPT) -> list[dict[str, Any]]:
            prompts = [format_prompt(entry, self.template) for entry in self.sampled]
            encoded = [encode_prompt(entry, self.template, self.tokenizer) for entry in self.sampled]
            return continue_prompts(model, self.tokenizer, prompts, config.sample, encoded)

        steps = config.epochs * self.batches.steps_per_epoch
        return train(self.model, self.batches, language_model_loss, evaluate, config, steps, folder, sample)
