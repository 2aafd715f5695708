"""A disk that is full at any byte: one line with the path and the bytes needed, and what was whole stays whole.

The disk is a small tmpfs where one can be mounted, which needs root; a limit on the size of files ends a write at any
byte, everywhere.
"""

import os
import re
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

import scratchlm.training.loop
from scratchlm.checksums import verify_manifest
from scratchlm.errors import UserError
from tests.faults.kills import newest_step
from tests.faults.result import Result
from tests.faults.writers import CONVERSION, LOG, RESPONSES, SHARDS, TRAINING, Running, Writer, results

FULL_AT = 6  # the step whose checkpoint finds the disk full
DISK_BYTES = 32_000_000
SMALLEST = 8_192  # bytes of a file: the log of the run has to fit
LINE = re.compile(r"^(\w+): (\S+|this training, \S+ \S+ \S+) needs (more than )?[\d,]+ bytes\b.*; free space there")


def run(count: int, folder: Path, seed: int) -> Iterator[Result]:
    """Fill the disk of checkpoints at so many bytes of one, then limit the files of every writer."""
    yield fill_disk(count, folder / "tmpfs")
    for writer in (TRAINING, SHARDS, CONVERSION, RESPONSES):
        yield limit_files(writer, count, folder / writer.stage)


def fill_disk(count: int, folder: Path) -> Result:
    """A checkpoint does not fit on the disk any more: each time a little more of it does."""
    template = TRAINING.make_project(folder / "template")
    expected = undisturbed(TRAINING, template, folder / "undisturbed")
    (checkpoint,) = (folder / "undisturbed").glob(".work/pretrain/*/step-00000012")
    size = sum(file.stat().st_size for file in checkpoint.iterdir())
    lost, project = 0, folder / "project"
    for room in np.linspace(0, size - 1, count).astype(int):
        shutil.copytree(template, project)
        (project / ".work").mkdir()
        with small_disk(project / ".work"):
            code = Running(TRAINING, project, change=partial(leave_room, int(room))).wait()
            kept = newest_step(project)
            whole = kept == FULL_AT - 1 and is_whole(next(project.glob(f".work/pretrain/*/step-{kept:08d}")))
            one_line = says_what_is_needed(project)
            (project / ".work/filler").unlink(missing_ok=True)
            again = Running(TRAINING, project).wait()
            lost += not (code == 1 and whole and one_line and again == 0 and results(project) == expected)
        shutil.rmtree(project)
    return Result("disk full: at so many bytes of a checkpoint, on a tmpfs", count, lost)


def limit_files(writer: Writer, count: int, folder: Path) -> Result:
    """No file may grow past a limit, each time another one, from the smallest to the largest file of the writer."""
    template = writer.make_project(folder / "template")
    expected = undisturbed(writer, template, folder / "undisturbed")
    written = [path for path in (folder / "undisturbed").rglob("*") if path.is_file() and path.name != "params.yaml"]
    given = {path.relative_to(template) for path in template.rglob("*")}
    largest = max(path.stat().st_size for path in written if path.relative_to(folder / "undisturbed") not in given)
    lost, project = 0, folder / "project"
    for limit in np.linspace(min(SMALLEST, largest // 2), largest - 1, count).astype(int):
        shutil.copytree(template, project)
        code = Running(writer, project, change=partial(limit_file_size, int(limit))).wait()
        half_written = any(project.rglob("*.partial"))
        one_line = says_what_is_needed(project)
        again = Running(writer, project).wait()
        lost += not (code == 1 and one_line and not half_written and again == 0 and results(project) == expected)
        shutil.rmtree(project)
    return Result(f"disk full, by a limit on the size of files: {writer.what}", count, lost)


def undisturbed(writer: Writer, template: Path, project: Path) -> dict[str, str]:
    """What the writer writes where there is room."""
    shutil.copytree(template, project)
    assert Running(writer, project).wait() == 0, (project / LOG).read_text()
    return results(project)


def says_what_is_needed(project: Path) -> bool:
    """Whether a run ended with the line that names path and bytes, and with no traceback."""
    log = (project / LOG).read_text()
    return "Traceback" not in log and LINE.match(log.strip().rpartition("\n")[2]) is not None


def is_whole(checkpoint: Path) -> bool:
    """Whether every file of a checkpoint is what its manifest says."""
    try:
        verify_manifest(checkpoint)
    except UserError:
        return False
    return True


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """Mount a tmpfs there while the block runs."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def leave_room(room: int) -> None:
    """Before a checkpoint is saved, fill the disk of `.work` but for so many bytes, rounded up to pages."""
    save = scratchlm.training.loop.save_checkpoint

    def save_on_full_disk(folder, model, optimizer, progress):
        if progress.step == FULL_AT:
            filler = Path(".work/filler")
            filler.touch()
            with filler.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(".work").free - room)
        save(folder, model, optimizer, progress)

    scratchlm.training.loop.save_checkpoint = save_on_full_disk


def limit_file_size(limit: int) -> None:
    """Let no file grow past so many bytes: what a full disk does, at any byte of a file."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
