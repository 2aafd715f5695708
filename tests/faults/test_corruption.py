"""Altered files, a few of what `python -m tests.faults.campaign corruption` alters."""

from pathlib import Path

from tests.faults.corruption import run


def test_the_stage_that_reads_an_altered_file_names_it_first(tmp_path: Path):
    files, checkpoints, _ = run(40, tmp_path, seed=1)
    assert (files.tried, files.lost) == (40, 0), files.note
    assert (checkpoints.tried, checkpoints.lost) == (4, 0), checkpoints.note
