"""Resumable state: found again by the same inputs, locked, and never continued by other code unasked."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from scratchlm.artifacts import read_json, write_json
from scratchlm.errors import UserError
from scratchlm.workspace import resumed_with_other_code, work_folder, work_root


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    return tmp_path


def test_the_same_inputs_find_the_same_state():
    with work_folder("stage", {"seed": 1, "rate": 0.5}) as folder:
        (folder / "state").write_text("kept")
    with work_folder("stage", {"rate": 0.5, "seed": 1}) as folder:
        assert (folder / "state").read_text() == "kept"
        assert not resumed_with_other_code(folder)


def test_other_inputs_remove_a_finished_state():
    with work_folder("stage", {"seed": 1}) as first:
        pass
    with work_folder("stage", {"seed": 2}) as second:
        assert second != first
        assert not first.exists()


def test_other_inputs_leave_an_unfinished_state_to_be_resumed():
    folder = leave_unfinished_state()
    with work_folder("stage", {"seed": 2}):
        assert (folder / "state").exists()


def test_a_second_process_gets_one_line(project: Path):
    code = "from scratchlm.workspace import work_folder\nwith work_folder('stage', {'seed': 1}): print('in')"
    with work_folder("stage", {"seed": 1}):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ))
    assert "another stage with the same parameters is running" in done.stderr.splitlines()[-1]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ))
    assert done.stdout == "in\n"


def test_the_state_of_an_experiment_at_work_is_left_alone():
    with work_folder("stage", {"seed": 1}) as first, work_folder("stage", {"seed": 2}):
        assert first.exists()


def change_code(folder: Path) -> None:
    record = read_json(folder / "code.json")
    write_json(folder / "code.json", {**record, "errors.py": "0" * 64})


def leave_unfinished_state() -> Path:
    with suppress(KeyboardInterrupt), work_folder("stage", {}) as folder:
        (folder / "state").touch()
        raise KeyboardInterrupt
    return folder


def test_a_finished_state_of_other_code_is_started_anew():
    with work_folder("stage", {}) as folder:
        (folder / "state").touch()
    change_code(folder)
    with work_folder("stage", {}) as folder:
        assert not (folder / "state").exists()


def test_an_unfinished_state_of_other_code_stops_and_names_the_files_that_changed(monkeypatch: pytest.MonkeyPatch):
    folder = leave_unfinished_state()
    change_code(folder)
    with pytest.raises(UserError, match=r"errors\.py changed"), work_folder("stage", {}):
        pass
    monkeypatch.setenv("SCRATCHLM_RESUME", "other-code")
    with work_folder("stage", {}) as folder:
        assert (folder / "state").exists()
        assert resumed_with_other_code(folder)


def test_a_crash_before_the_first_state_asks_nothing():
    with suppress(KeyboardInterrupt), work_folder("stage", {}) as folder:
        raise KeyboardInterrupt
    change_code(folder)
    with work_folder("stage", {}):
        pass


def test_fresh_starts_anew(monkeypatch: pytest.MonkeyPatch):
    change_code(leave_unfinished_state())
    monkeypatch.setenv("SCRATCHLM_RESUME", "fresh")
    with work_folder("stage", {}) as folder:
        assert not (folder / "state").exists()
    assert work_root().name == ".work"


def test_an_unknown_wish_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SCRATCHLM_RESUME", "please")
    with pytest.raises(UserError, match="SCRATCHLM_RESUME is 'please'"), work_folder("stage", {}):
        pass
