"""What a format of hostile files is, and how a file gets into its folder."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

Read = Callable[[], object]
Make = Callable[[Path, int, random.Random], Read]  # puts a file into a folder, and says how it is read


@dataclass(frozen=True)
class Format:
    """`prepare` makes good files once, in a folder of its own; a reader may write files named in `writes`."""

    name: str
    prepare: Callable[[Path], Make]
    writes: frozenset[str] = field(default_factory=frozenset)


def named_file(content: bytes, path: Path, read: Callable[[Path], object]) -> Read:
    """Write a file, and say how it is read."""
    path.write_bytes(content)
    return partial(read, path)


def copy_files(folder: Path, place: Path) -> None:
    """Copy the files of a folder."""
    for file in folder.iterdir():
        (place / file.name).write_bytes(file.read_bytes())
