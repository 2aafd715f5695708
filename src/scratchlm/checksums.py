"""sha256 of files, of folders in their manifests, and of JSON objects in themselves: what changed is noticed."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scratchlm.artifacts import check_fields, json_text, read_object, write_text
from scratchlm.errors import UserError

MANIFEST = "manifest.json"
SEAL = "seal"  # the last field of a sealed JSON object: the sha256 of the object without it


def sha256_file(path: Path) -> str:
    """The sha256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_json(value: Any) -> str:
    """The sha256 of a JSON value, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, allow_nan=False).encode()).hexdigest()


def has_sha256(path: Path, sha256: str) -> bool:
    """Whether a file is there and whole."""
    return path.is_file() and sha256_file(path) == sha256


def write_sealed(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON object atomically with its own sha256, by which `read_sealed` knows every altered byte."""
    write_text(path, json_text({**value, SEAL: _seal(value)}))


def read_sealed(path: Path, fields: Mapping[str, type]) -> dict[str, Any]:
    """Read what `write_sealed` wrote, without the seal, as `read_object` does; UserError for any altered byte."""
    value = read_object(path, {})
    seal = value.pop(SEAL, None)
    try:
        is_whole = seal == _seal(value) and path.read_bytes() == json_text({**value, SEAL: seal}).encode()
    except (ValueError, RecursionError):  # of NaN, of half a surrogate pair, of brackets too deep: never written here
        is_whole = False
    if not is_whole:
        raise UserError(f"{path} is not as it was written: its sha256 is not the one in its last line; make it again.")
    check_fields(str(path), value, fields)
    return value


def _seal(value: Mapping[str, Any]) -> str:
    return hashlib.sha256(json_text(value).encode()).hexdigest()


def write_manifest(directory: Path, known: Mapping[str, str] | None = None) -> None:
    """Write `manifest.json` with size and sha256 of every other file of the directory, last.

    `known` is the sha256 of files, by their relative names, that need not be read again.
    """
    files = sorted(path for path in directory.rglob("*") if path.is_file() and path.name != MANIFEST)
    entries = {}
    for path in files:
        name = path.relative_to(directory).as_posix()
        sha256 = known[name] if known and name in known else sha256_file(path)
        entries[name] = {"bytes": path.stat().st_size, "sha256": sha256}
    write_sealed(directory / MANIFEST, {"files": entries})


def verify_manifest(directory: Path, but: Sequence[str] = ()) -> dict[str, str]:
    """Compare size and sha256 of every file with `manifest.json`; UserError names the first file that differs.

    Of the files named by `but` sizes alone are compared. Returns the sha256 of each file by its relative name: what
    determines a stage that reads the directory.
    """
    if not directory.is_dir():
        raise UserError(f"{directory} is missing; run `dvc repro` to make it.")
    entries = read_sealed(directory / MANIFEST, {"files": dict})["files"]
    for name, expected in entries.items():
        check_fields(f"{directory / MANIFEST}, {name}", expected, {"bytes": int, "sha256": str})
        verify_file(directory / name, expected["bytes"], None if name in but else expected["sha256"])
    return {name: expected["sha256"] for name, expected in entries.items()}


def write_sha256(path: Path) -> None:
    """Record the sha256 of a file that stands alone beside it, in `NAME.sha256`, as sha256sum(1) does."""
    write_text(_sha256_path(path), f"{sha256_file(path)}  {path.name}\n")


def verify_sha256(path: Path) -> None:
    """UserError unless a file has the sha256 that `write_sha256` recorded of it."""
    record = _sha256_path(path)
    for file in (path, record):
        if not file.is_file():
            raise UserError(f"{file} is missing; run `dvc repro` to make it.")
    if record.read_bytes() != f"{(found := sha256_file(path))}  {path.name}\n".encode():
        raise UserError(f"{path} has sha256 {found[:12]}..., which is not the one in {record}; make both again.")


def verify_file(path: Path, size: int, sha256: str | None) -> None:
    """Compare a file with its recorded size in bytes and sha256 (None: size alone); UserError says what differs."""
    if not path.is_file():
        raise UserError(f"{path} is missing, though its manifest.json lists it; make the directory again.")
    if path.stat().st_size != size:
        raise UserError(
            f"{path} has {path.stat().st_size:,} bytes, its manifest says {size:,}; make the directory again."
        )
    if sha256 is not None and (found := sha256_file(path)) != sha256:
        raise UserError(
            f"{path} has sha256 {found[:12]}..., its manifest says {sha256[:12]}...; make the directory again."
        )


def _sha256_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")
