"""A disk without room is one line that names the path and the bytes that it needs."""

import errno
import os
from pathlib import Path

import pytest

from scratchlm.artifacts import atomic_file, write_bytes
from scratchlm.disk import free_space, full_disk_named, require_space
from scratchlm.errors import UserError
from tests.full_files import files_up_to


def test_what_does_not_fit_is_refused_with_the_bytes(tmp_path: Path):
    folder = tmp_path / "not/made/yet"
    require_space(folder, free_space(tmp_path) // 2, "it")
    with pytest.raises(
        UserError, match=r"^model needs 1,000,000,000,000,000,000 bytes in .*yet, where [\d,]+ are free"
    ):
        require_space(folder, 10**18, "model")


def test_a_write_that_ends_early_names_the_file_and_all_its_bytes(tmp_path: Path):
    path = tmp_path / "file"
    path.write_text("old")
    with files_up_to(100), pytest.raises(UserError, match=r"\.file\.partial needs 1,000,000 bytes: File too large, "):
        write_bytes(path, bytes(1_000_000))
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("file", "old")]


def test_a_file_of_unknown_size_needs_more_than_was_written(tmp_path: Path):
    def write() -> None:
        with atomic_file(tmp_path / "file") as partial, partial.open("wb") as file:
            for _ in range(100):
                file.write(bytes(10_000))

    with files_up_to(15_000), pytest.raises(UserError, match=r"needs more than 15,000 bytes: File too large"):
        write()


def test_other_errors_stay_what_they_are(tmp_path: Path):
    with pytest.raises(PermissionError), full_disk_named(tmp_path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), "x")
