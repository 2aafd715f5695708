"""A short version of each part of the campaign that no other test has, and the table that it prints."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import campaign, two_at_once
from tests.faults.campaign import Subject, run_subject
from tests.faults.full_disk import limit_files
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
