"""The sha256 of files that a test writes in the place of a stage, as the stage records them, and of whole folders."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scratchlm.artifacts import read_json, write_csv, write_jsonl
from scratchlm.checksums import MANIFEST, SEAL, sha256_file, write_manifest, write_sealed, write_sha256


def renew_record(path: Path) -> None:
    """Record a file anew where the stage that writes it does so, if it was recorded there before."""
    manifest = path.with_name(MANIFEST)
    if path != manifest and manifest.exists() and path.name in read_json(manifest).get("files", []):
        write_manifest(path.parent)
    elif path.with_name(f"{path.name}.sha256").exists():
        write_sha256(path)


def edit_sealed(path: Path, **values: Any) -> None:
    """Give fields of a sealed JSON object other values, and seal it again."""
    old = {name: value for name, value in read_json(path).items() if name != SEAL}
    write_sealed(path, {**old, **values})


def record_jsonl(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a JSONL file and its sha256 beside it."""
    write_jsonl(path, rows)
    write_sha256(path)


def record_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a CSV and its sha256 beside it."""
    write_csv(path, rows, list(rows[0]))
    write_sha256(path)


def list_jsonl(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a JSONL file and the manifest of its folder."""
    write_jsonl(path, rows)
    write_manifest(path.parent)


def sha256_directory(directory: Path) -> dict[str, str]:
    """The sha256 of every file of a directory by its relative name."""
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    return {path.relative_to(directory).as_posix(): sha256_file(path) for path in files}
