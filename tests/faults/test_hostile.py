"""Hostile files, a few of what `python -m tests.faults.campaign hostile` reads."""

from pathlib import Path

import pytest

from tests.faults.hostile import FORMATS, try_format
from tests.faults.hostile_formats.format import Format


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_a_hostile_file_is_read_or_refused_in_one_line(tmp_path: Path, form: Format):
    faults, refused = try_format(form, 30, tmp_path / "files", seed=1)
    assert faults == []
    assert refused >= 3
