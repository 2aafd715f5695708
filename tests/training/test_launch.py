"""A training stage runs in this process, as one of torchrun's, or in as many as SCRATCHLM_PROCESSES says."""

import subprocess
import sys
from pathlib import Path

import pytest

from scratchlm.artifacts import read_json
from scratchlm.errors import UserError
from scratchlm.training.launch import SECONDS_TO_SPEAK, run_parallel_stage

FACTS = Path("metrics/runs/stage_item.json")
SMALL_STAGE = """
import os, sys
from pathlib import Path
Path(f"{os.environ['RANK']}-of-{os.environ['WORLD_SIZE']}").write_text(" ".join(sys.argv[1:]))
if os.environ["RANK"] == "1":
    code = int(sys.argv[1])
    os.kill(os.getpid(), -code) if code < 0 else sys.exit(code)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, outside of torchrun."""
    monkeypatch.chdir(tmp_path)
    for name in ("SCRATCHLM_PROCESSES", "TORCHELASTIC_RUN_ID", "RANK", "LOCAL_RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def put_under_torchrun(monkeypatch: pytest.MonkeyPatch, rank: int) -> None:
    """The environment of one of two processes that torchrun started."""
    for name, value in {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2}.items():
        monkeypatch.setenv(name, str(value))


def fail() -> None:
    raise UserError("there is no corpus.")


@pytest.mark.parametrize("count", ["0", "two", "-1"])
def test_a_number_of_processes_that_is_none_is_one_line(count: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SCRATCHLM_PROCESSES", count)
    with pytest.raises(SystemExit, match=f"pretrain: SCRATCHLM_PROCESSES is '{count}'; set it to the number"):
        run_parallel_stage("pretrain", lambda: None)


@pytest.mark.parametrize("count", [None, "1"])
def test_one_process_is_this_one(count: str | None, monkeypatch: pytest.MonkeyPatch):
    if count:
        monkeypatch.setenv("SCRATCHLM_PROCESSES", count)
    run_parallel_stage("stage", lambda: {"tokens_per_second": 5.0}, "item")
    assert read_json(FACTS)["tokens_per_second"] == 5.0


@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_of_torchrun_starts_no_others(rank: int, monkeypatch: pytest.MonkeyPatch):
    put_under_torchrun(monkeypatch, rank)
    monkeypatch.setenv("SCRATCHLM_PROCESSES", "2")
    run_parallel_stage("stage", lambda: {"rank": rank}, "item")
    assert read_json(FACTS)["rank"] == rank


@pytest.mark.parametrize(("rank", "waits"), [(0, []), (1, [SECONDS_TO_SPEAK])])
def test_the_first_process_says_what_went_wrong_before_the_others(
    rank: int, waits: list[float], monkeypatch: pytest.MonkeyPatch
):
    waited: list[float] = []
    monkeypatch.setattr("scratchlm.training.launch.time.sleep", waited.append)
    put_under_torchrun(monkeypatch, rank)
    with pytest.raises(SystemExit, match=r"^stage: there is no corpus\.$"):
        run_parallel_stage("stage", fail)
    assert waited == waits


@pytest.mark.parametrize(("argument", "code"), [("0", 0), ("3", 3), ("-9", 1)])
def test_several_processes_get_the_arguments_and_end_with_the_code_of_the_one_that_failed(
    folder: Path, argument: str, code: int, monkeypatch: pytest.MonkeyPatch
):
    (folder / "pipeline").mkdir()
    (folder / "pipeline/__init__.py").touch()
    (folder / "pipeline/stage.py").write_text(SMALL_STAGE)
    monkeypatch.setenv("SCRATCHLM_PROCESSES", "2")
    start = (
        "from scratchlm.training.launch import run_parallel_stage\n"
        f"run_parallel_stage('stage', lambda: print('here'), {argument!r}, 'item')"
    )
    done = subprocess.run([sys.executable, "-c", start], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert (folder / "1-of-2").read_text() == f"{argument} item"
