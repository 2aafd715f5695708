"""A training in two processes is the training of one: same batches, same losses, the same end after any change."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from scratchlm.artifacts import read_json
from scratchlm.checksums import verify_manifest
from tests.conftest import ROOT
from tests.training.conftest import STEPS
from tests.training.rank_runs import MICRO_STEPS, run

KINDS: dict[str, dict[str, Any]] = {
    "ddp": {},
    "fsdp": {"strategy": "fsdp"},
    "muon": {"optimizer": "muon"},
    "best": {"strategy": "fsdp", "keep": "best"},
}
CHANGING = ("ddp", "fsdp")  # runs that go from one process to two and back
ALONE_UNTIL, TOGETHER_UNTIL = 1, 3  # the steps in which they get a signal
LEFT = 2  # after so many steps an evaluation is left because of one


def torchrun(folder: Path, runs: list[dict[str, Any]]) -> None:
    """Make runs in two processes, one after the other."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    paths = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    done = subprocess.run(
        [*command, "-m", "tests.training.rank_runs", str(folder), json.dumps(runs)],
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All runs: alone, in two processes, and from one to the other."""
    folder = tmp_path_factory.mktemp("runs")
    for name, settings in KINDS.items():
        run(folder, f"{name}-alone", **{**settings, "strategy": "ddp"})
    for name in CHANGING:
        run(folder, f"{name}-changing", name, signal_in=ALONE_UNTIL)  # pyright: ignore[reportArgumentType]
    together = [{"name": name, **settings} for name, settings in KINDS.items()]
    together += [{"name": f"{name}-changing", "strategy": name, "signal_in": TOGETHER_UNTIL} for name in CHANGING]
    together += [{"name": f"{name}-infinite", "strategy": name, "infinite_in": 2} for name in CHANGING]
    together += [{"name": f"{name}-left", "strategy": name, "signal_in_evaluation_after": LEFT} for name in CHANGING]
    torchrun(folder, together)
    for name in CHANGING:
        run(folder, f"{name}-changing", name)  # pyright: ignore[reportArgumentType]
        run(folder, f"{name}-left", name)  # pyright: ignore[reportArgumentType]
    return folder


def assert_equal_rows(ours: dict[str, Any], theirs: dict[str, Any], limit: float) -> None:
    """Losses and norms of two runs differ by no more than `limit`, all else not at all."""
    assert len(ours["rows"]) == len(theirs["rows"]) == STEPS
    for row, expected in zip(ours["rows"], theirs["rows"], strict=True):
        assert row == pytest.approx(expected, abs=limit, rel=limit)
    assert ours["samples"] == theirs["samples"]
    assert ours["best_step"] == theirs["best_step"]


@pytest.mark.parametrize("name", KINDS)
def test_two_processes_have_the_losses_of_one_dropout_included(folder: Path, name: str):
    alone = read_json(folder / f"{name}-alone-0-of-1.json")["progress"]
    together = read_json(folder / f"{name}-0-of-2.json")["progress"]
    assert_equal_rows(together, alone, 1e-6)
    weights, expected = (load_file(folder / f"{run}.safetensors") for run in (name, f"{name}-alone"))
    assert weights.keys() == expected.keys()
    for key, tensor in expected.items():  # Adam's first steps divide rounding by rounding
        assert weights[key].sub(tensor).abs().max() < 1e-3, key


@pytest.mark.parametrize("name", KINDS)
def test_the_processes_share_the_micro_batches_of_one(folder: Path, name: str):
    alone = read_json(folder / f"{name}-alone-0-of-1.json")["taken"]
    first, second = (read_json(folder / f"{name}-{rank}-of-2.json")["taken"] for rank in (0, 1))
    assert sorted(first + second) == alone
    assert len(alone) == STEPS * MICRO_STEPS
    assert {micro_step % 2 for _, micro_step, _ in first} == {0}


@pytest.mark.parametrize("name", CHANGING)
def test_a_signal_to_one_process_stops_all_after_the_same_step(folder: Path, name: str):
    for rank in (0, 1):
        outcome = read_json(folder / f"{name}-changing-{rank}-of-2.json")
        assert outcome["error"] == "KeyboardInterrupt"
        assert {step for step, _, _ in outcome["taken"]} == set(range(ALONE_UNTIL + 1, TOGETHER_UNTIL + 1))


@pytest.mark.parametrize("name", CHANGING)
def test_a_signal_to_one_process_ends_the_evaluation_of_all_and_the_next_run_begins_with_it(folder: Path, name: str):
    for rank in (0, 1):
        outcome = read_json(folder / f"{name}-left-{rank}-of-2.json")
        assert outcome["error"] == "KeyboardInterrupt"
        assert outcome["taken"][-1][0] + 1 == LEFT
    resumed = read_json(folder / f"{name}-left-0-of-1.json")
    assert resumed["taken"][0][0] == LEFT
    assert_equal_rows(resumed["progress"], read_json(folder / f"{name}-alone-0-of-1.json")["progress"], 1e-5)


@pytest.mark.parametrize("name", CHANGING)
def test_a_run_that_changes_its_number_of_processes_has_the_losses_of_one_that_does_not(folder: Path, name: str):
    alone = read_json(folder / f"{name}-alone-0-of-1.json")["progress"]
    changing = read_json(folder / f"{name}-changing-0-of-1.json")["progress"]
    assert_equal_rows(changing, alone, 1e-5)


@pytest.mark.parametrize("name", CHANGING)
def test_an_infinite_loss_in_one_process_stops_all_before_the_step(folder: Path, name: str):
    for rank in (0, 1):
        error = read_json(folder / f"{name}-infinite-{rank}-of-2.json")["error"]
        assert error.startswith("step 2: the loss of micro-batch 1 is inf; the step was not applied")
    assert sorted(path.name for path in (folder / f"{name}-infinite").iterdir()) == ["step-00000001", "step-00000002"]


def test_checkpoints_in_shards_are_the_last_two_verify_and_hold_nothing_pickled(folder: Path):
    kept = sorted((folder / "fsdp").iterdir())
    assert [path.name for path in kept] == [f"step-{STEPS - 1:08d}", f"step-{STEPS:08d}"]
    for checkpoint in kept:
        verify_manifest(checkpoint)
        suffixes = sorted(path.suffix for path in checkpoint.iterdir())
        assert suffixes == [".json", ".json", ".safetensors", ".safetensors"]
        sizes = [path.stat().st_size for path in checkpoint.glob("*.safetensors")]
        assert max(sizes) < 1.5 * min(sizes)
