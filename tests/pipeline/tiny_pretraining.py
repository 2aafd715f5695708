"""The stage pretrain at a tiny shape, started until it has saved, and kill -9 for one of its processes."""

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
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
LONGER = {"steps": 400, "eval_every_steps": 100, "save_every_steps": 100}
LONG_SAMPLES = {"steps": 20, "save_every_steps": 10, "sample_prompts": ["a"] * 3_000}  # some seconds after step 20
LONG_STEPS = {"steps": 4, "eval_every_steps": 4, "save_every_steps": 1, "batch_tokens": 2**17}  # of some seconds
TOGETHER = {"SCRATCHLM_PROCESSES": "2", "OMP_NUM_THREADS": "1"}
STAGE = ("-m", "pipeline.pretrain")
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", *STAGE)


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
    wait_until_saved(workspace, before, stage.is_running)
    return stage


def wait_until_saved(workspace: Workspace, step: int, is_running: Callable[[], bool]) -> None:
    """Return when there is another checkpoint than that of a step, or nothing runs any more."""
    while newest_step(workspace.path) == step and is_running():
        time.sleep(0.001)


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


def interrupt(
    workspace: Workspace, numbers: Sequence[signal.Signals], arguments: Sequence[str] = STAGE, pause: float = 0
) -> tuple[int, str, float]:
    """Start the stage in two processes and send it signals so long after a save, a moment apart.

    Returns exit code, stderr, and the seconds until the end, at which all of its processes have ended.
    """
    before, environment = newest_step(workspace.path), workspace.environment() | TOGETHER
    process = subprocess.Popen(
        [sys.executable, *arguments], cwd=workspace.path, env=environment, stderr=subprocess.PIPE, text=True
    )
    wait_until_saved(workspace, before, lambda: process.poll() is None)
    time.sleep(pause)
    ranks, start = psutil.Process(process.pid).children(), time.perf_counter()
    for number in numbers:
        process.send_signal(number)
        time.sleep(0.05)
    _, stderr = process.communicate(timeout=120)
    seconds = time.perf_counter() - start
    assert not any(rank.is_running() for rank in ranks)
    return process.returncode, stderr, seconds


def newest_step(project: Path) -> int:
    """The newest checkpoint of the stage."""
    steps = (project / ".work/pretrain").glob("*/step-*")
    return max((int(path.name.removeprefix("step-")) for path in steps), default=0)
