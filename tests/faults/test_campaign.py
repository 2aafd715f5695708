"""A short version of each part of the campaign that no other test has, and the table that it prints."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import campaign, two_at_once
from tests.faults.campaign import Subject, run_subject
from tests.faults.dvc_kills import outputs, start_anew
from tests.faults.dvc_project import DvcProject
from tests.faults.full_disk import limit_files
from tests.faults.kills import newest_step
from tests.faults.result import Result
from tests.faults.writers import RESPONSES, TRAINING

SHORT = {"kills": 2, "resume": 4, "stop_signals": 2}
SUBJECTS = {subject.name: subject for subject in campaign.SUBJECTS}


@pytest.mark.parametrize("name", SHORT)
def test_a_short_campaign_loses_nothing(name: str, tmp_path: Path):
    for result in run_subject(SUBJECTS[name], SHORT[name], tmp_path / name, seed=0):
        assert not result.failed, result.row()


@pytest.mark.parametrize("writer", [TRAINING, RESPONSES], ids=lambda writer: writer.stage)
def test_a_file_that_finds_no_room_at_any_byte_is_one_line_and_the_next_run_goes_on(writer, tmp_path: Path):
    result = limit_files(writer, 2, tmp_path / writer.stage)
    assert not result.failed, result.row()


def test_a_reader_beside_a_writer_gets_a_whole_model_or_a_line(tmp_path: Path):
    result = two_at_once.read_beside_writer(20, tmp_path)
    assert not result.failed, result.row()


def test_a_training_beside_the_same_training_says_so_and_changes_nothing(tmp_path: Path):
    result = two_at_once.train_beside_training(1, tmp_path)
    assert not result.failed, result.row()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dvc_kills", "two_at_once", "full_disk"])
def test_what_needs_dvc_or_a_disk_of_its_own_loses_nothing(name: str, tmp_path: Path):
    for result in run_subject(SUBJECTS[name], 1, tmp_path / name, seed=0):
        assert not result.failed, result.row()


@pytest.mark.slow
def test_an_experiment_in_another_folder_goes_on_after_a_kill_to_the_same_bytes(tmp_path: Path):
    project = DvcProject(tmp_path / "project", steps=200)
    killed = project.start("dvc", "exp", "run", "--temp")
    while newest_step(project.path) < 20:
        assert killed.poll() is None, killed.communicate()[0]
        time.sleep(0.01)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    output = project.finish(project.start("dvc", "exp", "run", "--temp", "--name", "again"))
    assert "step 20/200" not in output
    assert "step 200/200" in output
    project.finish(project.start("dvc", "exp", "apply", "again"))
    resumed = outputs(project)
    start_anew(project)
    project.finish(project.start("dvc", "repro"))
    assert resumed == {name: sha256 for name, sha256 in outputs(project).items() if name in resumed}
    assert "data/models/pretrained/model.safetensors" in resumed


def run(count: int, folder: Path, seed: int) -> Iterator[Result]:
    """A subject that loses one of its own, and as many as it tries in another way."""
    yield Result("another way", count, count, contrast=True)
    yield Result("ours", count, int(count > 3), note=f"seed {seed}")


@pytest.mark.parametrize(("count", "code"), [(3, 0), (4, 1)])
def test_the_table_has_a_row_each_and_a_loss_of_ours_is_the_exit_code(
    count: int, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(campaign, "SUBJECTS", (Subject("made up", 10, __name__),))
    monkeypatch.setattr(sys, "argv", ["campaign", "made up", "--count", str(count), "--seed", "7"])
    with pytest.raises(SystemExit) as end:
        campaign.main()
    assert end.value.code == code
    assert capsys.readouterr().out.splitlines()[2:] == [
        f"| another way | {count} | {count} | 0 |  |",
        f"| ours | {count} | {code} | 0 | seed 7 |",
    ]


def test_an_unknown_subject_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(sys, "argv", ["campaign", "kils"])
    with pytest.raises(SystemExit):
        campaign.main()
    assert "no subject kils; there are kills, " in capsys.readouterr().err
