"""The stage pretrain at a tiny shape, started until it has saved, and kill -9 for one of its processes."""

import random
import time
from pathlib import Path
from subprocess import CompletedProcess

import psutil

from tests.conftest import Workspace
from tests.corpora import write_byte_tokenizer, write_shards
from tests.forks import ForkedStage

SETTINGS = {
    "n_layer": 1,
    "n_head": 2,
    "n_embd": 16,
    "context_length": 32,
    "dropout": 0.1,
    "steps": 60,
    "batch_tokens": 256,
    "micro_batch_size": 2,
    "eval_every_steps": 20,
    "learning_rate": 1e-2,
    "save_every_steps": 2,
    "sample_prompts": ["a"],
}
TOGETHER = {"SCRATCHLM_PROCESSES": "2", "OMP_NUM_THREADS": "1"}


def prepare(workspace: Workspace, **settings: object) -> None:
    """Shards of a text that a small model can learn."""
    for key, value in {**SETTINGS, **settings}.items():
        workspace.set(f"pretrain.{key}", value)
    tokenizer = write_byte_tokenizer(workspace.path / "data/tokenizer")
    texts = ["the cat sat on the mat. " * 20] * 20
    write_shards(workspace.path / "data/tokens", tokenizer, {"train": texts, "val": texts[:2]}, shard_tokens=4_000)


def start_until_saved(workspace: Workspace, **environment: str) -> ForkedStage:
    """Start the stage, and wait until it has saved once more than before."""
    before = newest_step(workspace.path)
    stage = workspace.start("pretrain", **environment)
    while newest_step(workspace.path) == before and stage.is_running():
        time.sleep(0.001)
    return stage


def kill_one(workspace: Workspace, draw: random.Random, **environment: str) -> CompletedProcess[str] | None:
    """Start the stage and kill one of its processes after a save; what came of it, None if it ended before."""
    stage = start_until_saved(workspace, **environment)
    time.sleep(draw.uniform(0, 0.3))
    try:
        ranks = psutil.Process(stage.pid).children() or [psutil.Process(stage.pid)]
        draw.choice(ranks).kill()
    except psutil.NoSuchProcess:
        stage.wait()
        return None
    return stage.wait(timeout_seconds=120)


def newest_step(project: Path) -> int:
    """The newest checkpoint of the stage."""
    steps = (project / ".work/pretrain").glob("*/step-*")
    return max((int(path.name.removeprefix("step-")) for path in steps), default=0)
