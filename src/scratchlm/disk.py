"""Room on a disk: asked for before much is written, and one line with path and bytes where it ends all the same."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scratchlm.errors import UserError

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
REMEDY = "free space there, then run again."


def require_space(folder: Path, size: int, name: str) -> None:
    """UserError if `size` bytes more, of `name`, do not fit on the disk of `folder`, which need not be there yet."""
    if size > (free := free_space(folder)):
        raise UserError(f"{name} needs {size:,} bytes in {folder}, where {free:,} are free; {REMEDY}")


def free_space(folder: Path) -> int:
    """The bytes that a user may still write on the disk of a folder, or of the nearest one above it that is there."""
    return shutil.disk_usage(next(place for place in (folder, *folder.absolute().parents) if place.exists())).free


@contextmanager
def full_disk_named(path: Path, size: int | None = None) -> Iterator[None]:
    """An error of a full disk within the block becomes a UserError that names the file and the bytes that it needs.

    Without a `size` these are more than what was written of it, or of all files of the directory.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        needed = f"{size:,}" if size is not None else f"more than {_size(path):,}"
        free = free_space(path.parent)
        raise UserError(
            f"{path} needs {needed} bytes: {os.strerror(error.errno)}, {free:,} are free; {REMEDY}"
        ) from None


def _size(path: Path) -> int:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)
