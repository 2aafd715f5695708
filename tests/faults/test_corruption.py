"""Altered files, a few of what `python -m tests.faults.campaign corruption` alters."""

from pathlib import Path

import pytest

from scratchlm.checksums import MANIFEST, read_sealed, verify_sha256, write_sealed, write_sha256
from scratchlm.errors import UserError
from tests.faults.corruption import run


def test_the_stage_that_reads_an_altered_file_names_it_first(tmp_path: Path):
    files, checkpoints, _ = run(40, tmp_path, seed=1)
    assert (files.tried, files.lost) == (40, 0), files.note
    assert (checkpoints.tried, checkpoints.lost) == (4, 0), checkpoints.note


def test_every_altered_byte_of_a_sealed_object_is_noticed(tmp_path: Path):
    path = tmp_path / MANIFEST
    write_sealed(path, {"dtype": "uint16", "tokens": 70, "text": "caf\u00e9"})
    whole = path.read_bytes()
    assert read_sealed(path, {"tokens": int}) == {"dtype": "uint16", "tokens": 70, "text": "caf\u00e9"}
    for place, byte in enumerate(whole):
        for bit in range(8):
            path.write_bytes(whole[:place] + bytes([byte ^ 1 << bit]) + whole[place + 1 :])
            with pytest.raises(UserError, match=MANIFEST):
                read_sealed(path, {"tokens": int})
        path.write_bytes(whole[:place])
        with pytest.raises(UserError, match=MANIFEST):
            read_sealed(path, {"tokens": int})


def test_a_file_that_stands_alone_has_its_sha256_beside_it(tmp_path: Path):
    path = tmp_path / "a.tsv"
    path.write_text("ham\thi\n")
    write_sha256(path)
    verify_sha256(path)
    path.write_text("ham\tho\n")
    with pytest.raises(UserError, match=r"a.tsv has sha256 .*, which is not the one in .*a.tsv.sha256"):
        verify_sha256(path)
    path.with_name("a.tsv.sha256").unlink()
    with pytest.raises(UserError, match=r"a.tsv.sha256 is missing"):
        verify_sha256(path)
