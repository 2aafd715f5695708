"""A stage ends with one line and a code, and leaves its timings outside DVC's sight."""

import os
import signal
from pathlib import Path

import pytest

from scratchlm.artifacts import read_json
from scratchlm.errors import UserError
from scratchlm.stages import run_stage


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def raising(error: BaseException):
    def main() -> None:
        raise error

    return main


def test_facts_of_a_run_are_written():
    run_stage("stage", lambda: {"tokens_per_second": 5.0})
    facts = read_json(Path("metrics/runs/stage.json"))
    assert facts["tokens_per_second"] == 5.0
    assert facts["peak_memory_bytes"] > 1_000_000


def test_a_user_error_is_one_line(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit, match=r"^stage: two lines in one\.$") as end:
        run_stage("stage", raising(UserError("two lines\nin one.")))
    assert end.value.code not in (0, None)


def test_a_full_disk_is_one_line():
    with pytest.raises(SystemExit, match="No space left"):
        run_stage("stage", raising(OSError(28, "No space left on device", "data/x")))


def test_an_interrupt_exits_with_130():
    with pytest.raises(SystemExit) as end:
        run_stage("stage", raising(KeyboardInterrupt()))
    assert end.value.code == 130


def test_sigterm_is_an_interrupt_too_and_its_handler_goes_again():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as end:
        run_stage("stage", lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert end.value.code == 130
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_stage_beside_the_same_stage_in_one_folder_is_one_line():
    def beside() -> None:
        run_stage("stage", lambda: None, "other-item")
        with pytest.raises(SystemExit, match=r"^stage: another stage item in this folder is running \("):
            run_stage("stage", lambda: None, "item")

    run_stage("stage", beside, "item")
    run_stage("stage", lambda: None, "item")


def test_a_fault_of_ours_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        run_stage("stage", raising(ZeroDivisionError()))
