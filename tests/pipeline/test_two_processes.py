"""One command for any number of processes, and what it makes is the same."""

import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest

from scratchlm.artifacts import read_json, read_jsonl
from scratchlm.checksums import verify_manifest
from scratchlm.errors import UserError
from scratchlm.stages import run_stage
from scratchlm.training.pretraining import TokenTrainingConfig, check_division
from scratchlm.training.ranks import is_lost_connection, stopping_with_others
from scratchlm.training.signals import stop_on_signal
from tests.conftest import Workspace
from tests.pipeline.tiny_pretraining import (
    LONG_SAMPLES,
    LONG_STEPS,
    LONGER,
    STAGE,
    TOGETHER,
    TORCHRUN,
    interrupt,
    kill_one,
    newest_step,
    prepare,
)
from tests.records import sha256_directory
from tests.tiny_model import greedy
from tests.training.conftest import tiny_config

SECONDS = 25  # from a signal to the end of a process on a busy machine; torch kills what hangs after 30 or more
MODEL, METRICS = Path("data/models/pretrained"), Path("metrics/pretrain.json")


def metrics_of(workspace: Workspace, **environment: str) -> dict[str, float]:
    done = workspace.run("pretrain", SCRATCHLM_RESUME="fresh", **environment)
    assert done.returncode == 0, done.stderr
    every, steps = (workspace.params["pretrain"][key] for key in ("eval_every_steps", "steps"))
    lines = [line.split(":")[0] for line in done.stderr.splitlines()]
    assert lines == [f"step {step}/{steps}" for step in range(every, steps + 1, every)], done.stderr
    return read_json(METRICS)


def test_two_processes_make_the_model_of_one_under_the_same_command(workspace: Workspace):
    prepare(workspace, steps=12, eval_every_steps=4)
    alone, texts = metrics_of(workspace), read_jsonl(Path("data/samples/pretrain.jsonl"))
    shutil.rmtree("data/models")
    together = metrics_of(workspace, **TOGETHER)
    assert together == pytest.approx(alone, rel=1e-5)
    assert read_jsonl(Path("data/samples/pretrain.jsonl")) == texts
    verify_manifest(MODEL)
    assert len(list(Path(".work/pretrain").glob("*.lock"))) == 1


def token_config(**changes: object) -> TokenTrainingConfig:
    values = {"steps": 1, "batch_tokens": 64, "eval_tokens": 64, "strategy": "ddp", "sample_prompts": []}
    return TokenTrainingConfig.model_validate(tiny_config().model_dump() | values | {"sample": greedy(1)} | changes)


@pytest.fixture
def third_of_three(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment that torchrun gives."""
    for key, value in {"RANK": 2, "LOCAL_RANK": 2, "WORLD_SIZE": 3, "LOCAL_WORLD_SIZE": 3}.items():
        monkeypatch.setenv(key, str(value))


@pytest.mark.usefixtures("third_of_three")
def test_a_step_that_cannot_be_shared_is_one_line():
    check_division(6, token_config())
    with pytest.raises(
        UserError, match="a step of 64 tokens is 4 micro-batches of 2 windows, which 3 processes cannot"
    ):
        check_division(4, token_config())


@pytest.mark.usefixtures("third_of_three")
def test_muon_in_shards_is_refused():
    check_division(3, token_config(optimizer="muon"))
    with pytest.raises(UserError, match="muon needs whole matrices, which fsdp cuts; set strategy: ddp or optimizer"):
        check_division(3, token_config(optimizer="muon", strategy="fsdp"))


@pytest.mark.usefixtures("third_of_three")
def test_other_stages_run_in_one_process():
    with pytest.raises(SystemExit, match="finetune_classifier: this stage runs in one process"):
        run_stage("finetune_classifier", lambda: None)


def test_only_a_lost_connection_is_taken_for_one():
    lost = "[/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:6131"
    assert is_lost_connection(RuntimeError(lost))
    assert not is_lost_connection(RuntimeError("The size of tensor a (3) must match the size of tensor b (4)"))


def test_a_process_that_went_away_after_a_signal_was_ended_by_a_second_one():
    lost = RuntimeError("gloo/transport/tcp/pair.cc:547] Connection closed by peer")
    with stop_on_signal() as stop:
        with pytest.raises(RuntimeError), stopping_with_others(stop):
            raise lost
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt), stopping_with_others(stop):
            raise lost
        with pytest.raises(RuntimeError, match="size of tensor"), stopping_with_others(stop):
            raise RuntimeError("The size of tensor a (3) must match")


@pytest.mark.slow
def test_what_cannot_be_shared_is_one_line_of_all_processes(workspace: Workspace):
    prepare(workspace, micro_batch_size=8)
    done = workspace.run("pretrain", **TOGETHER)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("pretrain: a step of 256 tokens is 1 micro-batches")


@pytest.mark.slow
def test_a_shard_that_the_first_process_finds_damaged_is_one_line_and_ends_those_that_wait_for_it(workspace: Workspace):
    prepare(workspace)
    shard = Path("data/tokens/train-00000.bin")
    shard.write_bytes(bytes(shard.stat().st_size))
    start = time.perf_counter()
    done = workspace.run("pretrain", **TOGETHER)
    assert time.perf_counter() - start < 30  # after which torch would kill what heard no signal
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith(f"pretrain: {shard} has sha256 ")


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_a_killed_process_ends_the_others_and_the_rerun_ends_bit_identical(workspace: Workspace, strategy: str):
    prepare(workspace, strategy=strategy)
    metrics = metrics_of(workspace, **TOGETHER)
    undisturbed = sha256_directory(MODEL)
    shutil.rmtree(".work")
    killed = kill_one(workspace, random.Random(0), **TOGETHER)
    assert killed is not None
    assert killed.returncode != 0
    assert 0 < newest_step(workspace.path) < 60
    told = [line for line in killed.stderr.splitlines() if not line.startswith("step ")]
    assert len(told) <= 1, killed.stderr
    assert workspace.run("pretrain", **TOGETHER).returncode == 0
    assert sha256_directory(MODEL) == undisturbed
    assert read_json(METRICS) == metrics


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [STAGE, TORCHRUN], ids=["python", "torchrun"])
def test_a_signal_saves_in_all_processes_and_the_rerun_ends_bit_identical(workspace: Workspace, arguments: list[str]):
    prepare(workspace, **LONGER)
    assert workspace.run("pretrain", **TOGETHER).returncode == 0
    undisturbed = sha256_directory(MODEL)
    shutil.rmtree(".work")
    for number in (signal.SIGTERM, signal.SIGINT):
        code, stderr, seconds = interrupt(workspace, [number], arguments)
        assert code == (130 if arguments == STAGE else 1), stderr
        assert newest_step(workspace.path) % LONGER["save_every_steps"] > 0
        assert seconds < SECONDS
        told = [line for line in stderr.splitlines() if line.startswith("pretrain: ")]
        assert told == ["pretrain: interrupted; the next run goes on from here."], stderr
        if arguments == STAGE:
            assert all(line.startswith(("step ", "pretrain: ")) for line in stderr.splitlines()), stderr
    assert workspace.run("pretrain", **TOGETHER).returncode == 0
    assert sha256_directory(MODEL) == undisturbed


@pytest.mark.slow
def test_a_signal_while_one_process_writes_samples_ends_them_at_once(workspace: Workspace):
    prepare(workspace, **LONG_SAMPLES)
    code, stderr, seconds = interrupt(workspace, [signal.SIGTERM], pause=1.0)
    assert (code, newest_step(workspace.path)) == (130, LONG_SAMPLES["steps"]), stderr
    assert seconds < SECONDS


@pytest.mark.slow
def test_a_second_signal_ends_all_processes_at_once_and_the_rerun_ends_bit_identical(workspace: Workspace):
    prepare(workspace, **LONG_STEPS)
    assert workspace.run("pretrain", **TOGETHER).returncode == 0
    undisturbed = sha256_directory(MODEL)
    shutil.rmtree(".work")
    code, stderr, seconds = interrupt(workspace, [signal.SIGTERM, signal.SIGTERM])
    assert (code, newest_step(workspace.path)) == (130, 1), stderr
    assert seconds < SECONDS
    assert workspace.run("pretrain", **TOGETHER).returncode == 0
    assert sha256_directory(MODEL) == undisturbed


@pytest.mark.slow
def test_two_processes_then_one_then_two_end_as_one(workspace: Workspace):
    prepare(workspace, strategy="fsdp")
    alone = metrics_of(workspace)
    shutil.rmtree(".work")
    for environment in (TOGETHER, {}):
        assert kill_one(workspace, random.Random(1), **environment) is not None
    assert 0 < newest_step(workspace.path) < 60
    done = workspace.run("pretrain", **TOGETHER)
    assert done.returncode == 0, done.stderr
    assert read_json(METRICS) == pytest.approx(alone, rel=1e-5)
