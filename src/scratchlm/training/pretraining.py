"""Training on token shards, with samples of text on the way; pretraining is that of a GPT with random weights."""

from pathlib import Path
from typing import Any

import torch
from pydantic import Field

from scratchlm.datasets.shards import TokenShards
from scratchlm.datasets.tokenizers import Tokenizer
from scratchlm.errors import UserError
from scratchlm.models.gpt import GPT
from scratchlm.models.gpt_config import GPTConfig, GPTShape
from scratchlm.models.sampling import SamplingConfig
from scratchlm.processes import process_count
from scratchlm.training.batches import TokenBatches
from scratchlm.training.checkpoint import Progress
from scratchlm.training.device import pick_device
from scratchlm.training.evaluation import BATCH_TOKENS, evaluate_tokens
from scratchlm.training.loop import TrainingConfig, train
from scratchlm.training.losses import next_token_loss
from scratchlm.training.memory import check_memory
from scratchlm.training.parallel import Strategy
from scratchlm.training.ranks import process_group
from scratchlm.training.samples import continue_prompts
from scratchlm.training.signals import StopRequest


class TokenTrainingConfig(TrainingConfig):
    """How long a model trains on token shards, and what is looked at on the way."""

    steps: int = Field(gt=0)
    batch_tokens: int = Field(gt=0)
    eval_tokens: int = Field(gt=0)
    strategy: Strategy
    sample_prompts: list[str]
    sample: SamplingConfig

    @property
    def shards(self) -> int:
        """Over how many processes weights, gradients and the optimizer's state are spread."""
        return process_count() if self.strategy == "fsdp" else 1


class PretrainingConfig(TokenTrainingConfig, GPTShape):
    """Shape of the model, and how it trains."""


def pretrain(
    config: PretrainingConfig, shards: TokenShards, tokenizer: Tokenizer, folder: Path
) -> tuple[GPT, Progress, dict[str, float]]:
    """Train on the `train` split, resuming from `folder`; return the model, what was recorded, and the run's speed.

    Of several processes only the first returns.
    """
    shape = config.model_dump(include=set(GPTShape.model_fields))
    gpt_config, device = GPTConfig(vocab_size=shards.vocab_size, **shape), pick_device()
    with torch.device("meta"):
        shapes = GPT(gpt_config)
    rows, columns = config.micro_batch_size, config.context_length
    check_memory("pretrain", shapes, device, rows, columns, config.precision, BATCH_TOKENS, shards=config.shards)
    model = GPT(gpt_config)
    model.init_weights(config.seed)
    model.to(device)
    progress, speed = train_on_tokens(model, config, config.context_length, shards, tokenizer, folder)
    return model.eval(), progress, speed


def train_on_tokens(
    model: GPT, config: TokenTrainingConfig, seq_len: int, shards: TokenShards, tokenizer: Tokenizer, folder: Path
) -> tuple[Progress, dict[str, float]]:
    """Train in place on windows of `seq_len` tokens of the `train` split, as `train` does.

    Of several processes only the first returns.
    """
    batches = TokenBatches(shards, seq_len, config.batch_tokens, config.micro_batch_size, config.seed)
    check_division(batches.micro_steps(0), config)
    stop = StopRequest()

    def evaluate(model: GPT) -> dict[str, float]:
        return evaluate_tokens(model, shards, "val", seq_len, config.eval_tokens, stop)

    def sample(model: GPT) -> list[dict[str, Any]]:
        return continue_prompts(model, tokenizer, config.sample_prompts, config.sample)

    with process_group():
        return train(
            model, batches, next_token_loss, evaluate, config, config.steps, folder, sample, config.strategy, stop
        )


def check_division(micro_batches: int, config: TokenTrainingConfig) -> None:
    """UserError if the processes cannot have equal shares of a step, or a strategy that the optimizer cannot follow."""
    if micro_batches % process_count():
        raise UserError(
            f"a step of {config.batch_tokens} tokens is {micro_batches} micro-batches of {config.micro_batch_size} "
            f"windows, which {process_count()} processes cannot share; change micro_batch_size, batch_tokens or the "
            "number of processes."
        )
    if process_count() > 1 and config.strategy == "fsdp" and config.optimizer == "muon":
        raise UserError("muon needs whole matrices, which fsdp cuts; set strategy: ddp or optimizer: adamw.")
