"""Trainings of the tiny model that `test_parallel.py` makes in one process and, under torchrun, in two.

`torchrun ... -m tests.training.rank_runs FOLDER RUNS`: RUNS is JSON, a list of the arguments of `run`.
"""

import json
import os
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from scratchlm.artifacts import write_json
from scratchlm.errors import UserError
from scratchlm.models.gpt import GPT
from scratchlm.training.batches import Batch, TokenBatches
from scratchlm.training.checkpoint import save_weights
from scratchlm.training.evaluation import evaluate_tokens
from scratchlm.training.loop import train
from scratchlm.training.losses import next_token_loss
from scratchlm.training.parallel import Strategy
from scratchlm.training.ranks import process_group, rank, world_size
from scratchlm.training.signals import StopRequest
from tests.training.conftest import LENGTH, STEPS, MemoryShards, tiny_config, tiny_model

MICRO_STEPS = 4


class RecordedBatches(TokenBatches):
    """Micro-batches of two windows, and which of them this process took."""

    def __init__(self, shards: Any, seed: int) -> None:
        super().__init__(shards, LENGTH, 2 * MICRO_STEPS * LENGTH, 2, seed)
        self.taken: list[list[int]] = []

    def micro_batch(self, step: int, micro_step: int) -> Batch:
        batch = super().micro_batch(step, micro_step)
        self.taken.append([step, micro_step, int(batch.tokens.sum())])
        return batch


def run(
    folder: Path,
    name: str,
    strategy: Strategy = "ddp",
    signal_in: int | None = None,
    infinite_in: int | None = None,
    signal_in_evaluation_after: int | None = None,
    **changes: Any,
) -> None:
    """Train with dropout in FOLDER/NAME; each process writes what it recorded to NAME-RANK-of-COUNT.json.

    In step `signal_in`, or in the evaluation after so many steps, the last process gets SIGTERM; in step `infinite_in`
    its loss is infinite.
    """
    shards, config, model = MemoryShards(), tiny_config(eval_every_steps=1, **changes), tiny_model()
    batches, is_last = RecordedBatches(shards, config.seed), rank() == world_size() - 1

    def loss_fn(model: GPT, batch: Batch) -> torch.Tensor:
        loss = next_token_loss(model, batch)
        if torch.compiler.is_compiling() or not is_last:
            return loss
        if batches.taken[-1][:2] == [signal_in, MICRO_STEPS - 1]:
            os.kill(os.getpid(), signal.SIGTERM)
        return loss * torch.inf if batches.taken[-1][0] == infinite_in else loss

    stop = StopRequest()

    def evaluate(model: GPT) -> dict[str, float]:
        if is_last and batches.taken and batches.taken[-1][0] + 1 == signal_in_evaluation_after:
            os.kill(os.getpid(), signal.SIGTERM)
        return evaluate_tokens(model, shards, "val", LENGTH, stop=stop)  # pyright: ignore[reportArgumentType]

    def sample(model: GPT) -> list[dict[str, Any]]:
        return [{"text": str(int(model(torch.zeros(1, 1, dtype=torch.long)).argmax()))}]

    (folder / name).mkdir(exist_ok=True)
    try:
        progress, _ = train(model, batches, loss_fn, evaluate, config, STEPS, folder / name, sample, strategy, stop)
        outcome = {"progress": asdict(progress)}
        if rank() == 0:
            save_weights(folder / f"{name}.safetensors", model)
    except (UserError, KeyboardInterrupt) as error:
        outcome = {"error": str(error) or type(error).__name__}
    write_json(folder / f"{name}-{rank()}-of-{world_size()}.json", {**outcome, "taken": batches.taken})


if __name__ == "__main__":
    with process_group():
        for settings in json.loads(sys.argv[2]):
            run(Path(sys.argv[1]), **settings)
