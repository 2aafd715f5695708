"""The stage pretrain in two processes, and kill -9 for one of them."""

import random
import subprocess
import sys
import time
from pathlib import Path

import psutil

from tests.conftest import Workspace
from tests.corpora import write_byte_tokenizer, write_shards

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


def start_until_saved(workspace: Workspace, **environment: str) -> subprocess.Popen[str]:
    """Start the stage, and wait until it has saved once more than before."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline.pretrain"],
        cwd=workspace.path,
        env=workspace.environment() | environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    before = newest_step(workspace.path)
    while newest_step(workspace.path) == before and process.poll() is None:
        time.sleep(0.001)
    return process


def kill_one(workspace: Workspace, draw: random.Random, **environment: str) -> tuple[int, str] | None:
    """Start the stage and kill one of its processes after a save; its exit code and stderr, None if it ended before."""
    process = start_until_saved(workspace, **environment)
    time.sleep(draw.uniform(0, 0.3))
    try:
        ranks = psutil.Process(process.pid).children() or [psutil.Process(process.pid)]
        draw.choice(ranks).kill()
    except psutil.NoSuchProcess:
        process.communicate()
        return None
    _, stderr = process.communicate(timeout=120)
    return process.returncode, stderr


def newest_step(project: Path) -> int:
    """The newest checkpoint of the stage."""
    steps = (project / ".work/pretrain").glob("*/step-*")
    return max((int(path.name.removeprefix("step-")) for path in steps), default=0)
