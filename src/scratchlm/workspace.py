"""`.work/`: where long stages keep what a kill must not lose, locked and keyed by what determines the result."""

import fcntl
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

from scratchlm.artifacts import read_json, write_json
from scratchlm.checksums import sha256_file, sha256_json
from scratchlm.errors import UserError
from scratchlm.params import project_root
from scratchlm.processes import is_first_process

STATE_FORMAT = 1
CODE = "code.json"
FINISHED, OTHER_CODE = "finished", "other-code"  # empty files that mark a state
PACKAGE = Path(__file__).resolve().parent


def work_root() -> Path:
    """The folder of all resumable state of this project."""
    return project_root() / ".work"


@contextmanager
def work_folder(stage: str, inputs: Mapping[str, Any], *, finishes: bool = True) -> Iterator[Path]:
    """Lock and yield `.work/<stage>/<fingerprint of the inputs>/`; finished states of other fingerprints are removed.

    `inputs` is JSON: the stage's parameters and the sha256 of what it reads, nothing about device, paths or code.
    The block ends when the stage's outputs are written: its state is then finished, unless `finishes` is False. The
    code that wrote a state is hashed beside it. A finished state is started anew by other code; an unfinished one stops
    with UserError unless $SCRATCHLM_RESUME is `other-code` (go on) or `fresh` (start anew). Of several processes of one
    stage the first does all this, and the others learn the name of the folder.
    """
    fingerprint = sha256_json({"format": STATE_FORMAT, **inputs})[:16]
    folder = work_root() / stage / fingerprint
    if not is_first_process():
        yield folder
        return
    folder.mkdir(parents=True, exist_ok=True)
    with _locked_state(folder, stage):
        _remove_others(folder)
        _check_code(folder)
        (folder / FINISHED).unlink(missing_ok=True)
        yield folder
        if finishes:
            (folder / FINISHED).touch()


@contextmanager
def joined_work_folder(folder: Path) -> Iterator[None]:
    """Work in a folder that `work_folder` made beside others that do the same; until all end, it lets nobody in.

    UserError while somebody is in it through `work_folder`, or if the code is no longer the one it was made with.
    """
    with _locked_state(folder, folder.parent.name, fcntl.LOCK_SH):
        if changed := _changed_code(folder):
            raise UserError(
                f"{', '.join(changed)} changed since {folder} was made; start again, with "
                "SCRATCHLM_RESUME=other-code to keep what is there."
            )
        yield


def resumed_with_other_code(folder: Path) -> bool:
    """Whether this run went on from a state that other code wrote; `folder` is the state's or stands in it."""
    return any((place / OTHER_CODE).exists() for place in (folder, folder.parent))


def _check_code(folder: Path) -> None:
    choice = os.environ.get("SCRATCHLM_RESUME", "")
    if choice not in {"", "other-code", "fresh"}:
        raise UserError(f"SCRATCHLM_RESUME is {choice!r}; it may be `other-code` or `fresh`.")
    changed = _changed_code(folder)
    resumable = any(path.name != CODE for path in folder.iterdir()) and not (folder / FINISHED).exists()
    if choice == "fresh" or (changed and not choice and not resumable):
        _empty(folder)
    elif changed and not choice:
        raise UserError(
            f"{folder} was written by other code ({', '.join(changed)} changed); "
            "set SCRATCHLM_RESUME=other-code to go on from it, or SCRATCHLM_RESUME=fresh to start anew."
        )
    elif changed:
        (folder / OTHER_CODE).touch()
    write_json(folder / CODE, {path.relative_to(PACKAGE).as_posix(): sha256_file(path) for path in _imported_files()})


def _changed_code(folder: Path) -> list[str]:
    record = folder / CODE
    recorded = read_json(record) if record.exists() else {}
    return [name for name, sha256 in recorded.items() if _sha256_or_none(PACKAGE / name) != sha256]


def _imported_files() -> list[Path]:
    ours = [module for name, module in sys.modules.items() if name.partition(".")[0] == PACKAGE.name]
    return sorted(Path(file).resolve() for module in ours if (file := module.__file__))


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _sha256_or_none(path: Path) -> str | None:
    return sha256_file(path) if path.exists() else None


def _remove_others(folder: Path) -> None:
    for finished in folder.parent.glob(f"*/{FINISHED}"):
        if finished.parent != folder:
            # An experiment beside this one may be writing its outputs from there.
            with suppress(UserError), _locked_state(finished.parent, finished.parent.name):
                shutil.rmtree(finished.parent)


def _locked_state(folder: Path, stage: str, kind: int = fcntl.LOCK_EX) -> AbstractContextManager[None]:
    # The lock file stands beside the folder, so that the folder can be removed while it is held.
    return locked(folder.with_name(f"{folder.name}.lock"), f"{stage} with the same parameters", kind)


@contextmanager
def locked(lock: Path, what: str, kind: int = fcntl.LOCK_EX) -> Iterator[None]:
    """Hold the lock file for as long as the block runs; UserError if another process, one of `what`, holds it.

    The system lets go of it when its process ends, however that ends.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a+") as file:  # NFS shares a lock only on what can be read
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"another {what} is running ({lock} is locked); wait for it or stop it.") from None
        yield
