"""Trainings of the tiny model, run under torchrun by `test_parallel.py` and in its own process alone.

`torchrun ... rank_runs.py FOLDER NAME...` makes these runs in FOLDER; their outcomes lie there as NAME.json.
"""

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
from scratchlm.training.ranks import process_group, rank
from tests.training.conftest import LENGTH, STEPS, MemoryShards, tiny_config, tiny_model

STOPPED_AT = 3  # of the run that a signal ends
SETTINGS: dict[str, dict[str, Any]] = {
    "ddp": {},
    "fsdp": {"strategy": "fsdp"},
    "muon": {"optimizer": "muon"},
    "best": {"strategy": "fsdp", "keep": "best"},
    "compiled": {"compile": True},
    "compiled-fsdp": {"compile": True, "strategy": "fsdp"},
}


def run(folder: Path, name: str, strategy: str = "ddp", stop_step: int | None = None, **changes: Any) -> None:
    """Train with dropout in FOLDER/NAME, and write what was recorded or why it ended, and the weights.

    With `stop_step` the last process gets SIGTERM in that step; with `broken` its loss is not finite.
    """
    broken, batches_seen = changes.pop("broken", None), []
    shards, config = MemoryShards(), tiny_config(eval_every_steps=1, **changes)
    model = tiny_model()
    batches = RecordedBatches(batches_seen, shards, config.micro_batch_size, config.seed)

    def loss_fn(model: GPT, batch: Batch) -> torch.Tensor:
        loss = next_token_loss(model, batch)
        if torch.compiler.is_compiling() or not is_last():
            return loss
        if batches.step + 1 == stop_step:
            os.kill(os.getpid(), signal.SIGTERM)
        return loss * broken if broken is not None and batches.step == 2 else loss

    def evaluate(model: GPT) -> dict[str, float]:
        return evaluate_tokens(model, shards, "val", LENGTH)

    def sample(model: GPT) -> list[dict[str, Any]]:
        return [{"text": str(int(model(torch.zeros(1, 1, dtype=torch.long)).argmax()))}]

    (folder / name).mkdir(exist_ok=True)
    outcome: dict[str, Any] = {}
    try:
        progress, _ = train(model, batches, loss_fn, evaluate, config, STEPS, folder / name, sample, strategy)
        outcome = asdict(progress)
        if rank() == 0:
            save_weights(folder / f"{name}.safetensors", model)
    except (UserError, KeyboardInterrupt) as error:
        outcome["error"] = str(error) or type(error).__name__
    outcome["batches"] = batches_seen
    write_json(folder / f"{name}-{rank()}.json", outcome)


class RecordedBatches(TokenBatches):
    """Four windows a step, and which micro-batches this process took."""

    def __init__(self, seen: list[list[int]], shards: MemoryShards, micro_batch_size: int, seed: int) -> None:
        super().__init__(shards, LENGTH, 8 * LENGTH, micro_batch_size, seed)  # pyright: ignore
        self.seen, self.step = seen, 0

    def micro_batch(self, step: int, micro_step: int) -> Batch:
        self.step = step
        batch = super().micro_batch(step, micro_step)
        self.seen.append([step, micro_step, int(batch.tokens.sum())])
        return batch


def is_last() -> bool:
    """Whether this is the process of the highest number."""
    return torch.distributed.is_initialized() and rank() == torch.distributed.get_world_size() - 1


def main(folder: Path, names: list[str]) -> None:
    with process_group():
        for name in names:
            run_named(folder, name)


def run_named(folder: Path, name: str) -> None:
    """`NAME`, `NAME:stop` or `NAME:nan`."""
    kind, _, change = name.partition(":")
    settings = dict(SETTINGS[kind])
    if change == "stop":
        run(folder, kind, stop_step=STOPPED_AT, **settings)
    elif change:
        run(folder, f"{kind}-{change}", broken=float(change), **settings)
    else:
        run(folder, kind, **settings)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
