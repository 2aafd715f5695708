"""The stage pretrain: killed at any moment and run again, it ends with the bytes of an undisturbed run."""

import shutil
import signal
import time
from pathlib import Path

import pytest

from scratchlm.artifacts import read_json, read_jsonl
from scratchlm.models.storage import load_gpt
from tests.conftest import Workspace
from tests.pipeline.tiny_pretraining import newest_step, prepare, start_until_saved
from tests.records import renew_record, sha256_directory

STEPS = 120
OUTPUTS = ("data/models/pretrained", "data/samples", "metrics/plots")


@pytest.fixture(autouse=True)
def project(workspace: Workspace) -> None:
    """A training that is saved again and again."""
    prepare(workspace, steps=STEPS, batch_tokens=128, eval_every_steps=40)


def hashes() -> list[dict[str, str]]:
    return [sha256_directory(Path(path)) for path in OUTPUTS]


def forget_outputs() -> None:
    for path in OUTPUTS:
        shutil.rmtree(path)


def test_a_killed_run_ends_with_the_same_bytes(workspace: Workspace):
    assert workspace.run("pretrain", SCRATCHLM_RESUME="fresh").returncode == 0
    undisturbed, metrics = hashes(), read_json(Path("metrics/pretrain.json"))
    assert metrics["val_loss"] < 3.0
    assert [row["step"] for row in read_jsonl(Path("data/samples/pretrain.jsonl"))] == [40, 80, 120]
    load_gpt(Path("data/models/pretrained"))
    forget_outputs()
    (state,) = Path(".work/pretrain").glob("*/")
    for path in [*state.glob("step-*"), state / "finished"]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for delay in (0.0, 0.05, 0.1):
        before = newest_step(workspace.path)
        stage = start_until_saved(workspace)
        time.sleep(delay)
        stage.send_signal(signal.SIGKILL)
        assert stage.wait().returncode == -signal.SIGKILL, "it ended before it was killed"
        assert before < newest_step(workspace.path) < STEPS
    done = workspace.run("pretrain")
    assert done.returncode == 0, done.stderr
    assert hashes() == undisturbed
    assert read_json(Path("metrics/pretrain.json")) == metrics


def test_truncated_shards_are_one_line(workspace: Workspace):
    shard = Path("data/tokens/train-00001.bin")
    shard.write_bytes(shard.read_bytes()[:-2])
    done = workspace.run("pretrain")
    assert done.returncode == 1
    assert done.stderr.startswith("pretrain: data/tokens/train-00001.bin has ")
    assert len(done.stderr.splitlines()) == 1
    assert not Path("data/models").exists()


def test_shards_of_another_tokenizer_are_one_line(workspace: Workspace):
    tokenizer = Path("data/tokenizer/tokenizer.json")
    tokenizer.write_text(tokenizer.read_text().replace("\n", " \n", 1))
    renew_record(tokenizer)
    done = workspace.run("pretrain")
    assert done.returncode == 1
    assert done.stderr.startswith("pretrain: data/tokens was made with the tokenizer ")
    assert len(done.stderr.splitlines()) == 1
