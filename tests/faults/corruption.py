"""Files of every kind, altered between two stages: the stage that reads one must name it before it uses it.

The stages' own `main` runs in this process; of every fiftieth fault, the stage's own command.
"""

import contextlib
import io
import os
import random
import shutil
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from scratchlm.errors import UserError
from tests.conftest import Workspace
from tests.faults.corruptible_project import STAGES, make_project
from tests.faults.result import Result
from tests.training.checkpoints import load_newest, save_two

COMMAND_EVERY = 50
KINDS = ("flip", "truncate", "swap", "delete")


def run(count: int, folder: Path, seed: int) -> Iterator[Result]:
    """Alter `count` files that stages read, a tenth as many of checkpoints, and for contrast of bare safetensors."""
    rng = random.Random(seed)
    project = make_project(folder / "project")
    with _inside(project):
        missed = [line for number in range(count) if (line := corrupt_input(project, rng, number))]
    yield Result("file altered between two stages", count, len(missed), note="; ".join(missed[:3]))
    tried = max(1, count // 10)
    missed = [line for _ in range(tried) if (line := corrupt_checkpoint(folder / "state", rng))]
    yield Result("checkpoint altered", tried, len(missed), note="; ".join(missed[:3]))
    passed = sum(_safetensors_alone(folder / "bare.safetensors", rng) for _ in range(tried))
    yield Result("one bit of a safetensors file read by its library", tried, passed, contrast=True)


def corrupt_input(project: Workspace, rng: random.Random, number: int) -> str:
    """Alter a file that a stage reads, run the stage, and put it back; what went wrong, if anything did."""
    stage = rng.choice(list(STAGES))
    inputs = [project.path / name for name in STAGES[stage]]
    files = sorted(
        file for path in inputs for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file()
    )
    kind = rng.choice(KINDS)
    file = rng.choice(files)
    other = rng.choice([each for each in files if each.read_bytes() != file.read_bytes()])
    touched = [file, other] if kind == "swap" else [file]
    kept = {path: path.read_bytes() for path in touched}
    alter(kind, touched, rng)
    try:
        line = _run_command(project, stage) if number % COMMAND_EVERY == 0 else _run_main(stage)
    finally:
        for path, content in kept.items():
            path.write_bytes(content)
        shutil.rmtree(project.path / ".work", ignore_errors=True)
    is_named = line is not None and any(path.name in line for path in touched)
    return "" if is_named else f"{stage}: {kind} of {file.relative_to(project.path)} gave {line!r}"


def alter(kind: str, files: list[Path], rng: random.Random) -> None:
    """Flip a bit, cut the end off, take the contents of another file, or be gone."""
    content = files[0].read_bytes()
    if kind == "flip":
        changed = bytearray(content)
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
        files[0].write_bytes(changed)
    elif kind == "truncate":
        files[0].write_bytes(content[: rng.randrange(len(content))])
    elif kind == "swap":
        files[0].write_bytes(files[1].read_bytes())
        files[1].write_bytes(content)
    else:
        files[0].unlink()


def corrupt_checkpoint(folder: Path, rng: random.Random) -> str:
    """Alter a file of the newer of two checkpoints: the older one must be loaded, and the line name the file."""
    shutil.rmtree(folder, ignore_errors=True)
    newest = save_two(folder)
    files = sorted(newest.iterdir())
    file, other = rng.sample(files, 2)
    alter(rng.choice(KINDS), [file, other], rng)
    with contextlib.redirect_stderr(io.StringIO()) as lines:
        step = load_newest(folder)
    is_named = any(path.name in lines.getvalue() for path in (file, other))
    return "" if step == 1 and is_named else f"{file.name}: step {step}, {lines.getvalue()!r}"


def _safetensors_alone(path: Path, rng: random.Random) -> bool:
    """Whether a flipped bit of the values passes unnoticed."""
    save_file({"w": np.zeros(1_000, np.float32)}, path)
    content = bytearray(path.read_bytes())
    content[-1 - rng.randrange(4_000)] ^= 1 << rng.randrange(8)
    path.write_bytes(content)
    return bool(load_file(path)["w"].any())


def _run_main(stage: str) -> str | None:
    """The line of a stage that refuses, or None."""
    name, *arguments = stage.split()
    sys.argv[:] = [name, *arguments]
    try:
        import_module(f"pipeline.{name}").main()
    except UserError as error:
        return str(error)
    return None


def _run_command(project: Workspace, stage: str) -> str | None:
    name, *arguments = stage.split()
    done = project.run(name, *arguments)
    is_refused = done.returncode == 1 and done.stdout == "" and done.stderr.count("\n") == 1
    return done.stderr if is_refused else None


@contextlib.contextmanager
def _inside(project: Workspace) -> Iterator[None]:
    """The project as the working folder and $DVC_ROOT of this process."""
    arguments, root = list(sys.argv), os.environ.get("DVC_ROOT")
    os.environ["DVC_ROOT"] = str(project.path)
    try:
        with contextlib.chdir(project.path):
            yield
    finally:
        sys.argv[:] = arguments
        os.environ.pop("DVC_ROOT") if root is None else os.environ.update(DVC_ROOT=root)
