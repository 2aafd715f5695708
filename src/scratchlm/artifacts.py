"""Files that are either whole or absent: atomic writes, JSON, CSV, JSONL, and sha256 manifests."""

import csv
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scratchlm.disk import full_disk_named
from scratchlm.errors import UserError

MANIFEST = "manifest.json"
JSON_TYPES: dict[type, str] = {str: "a text", int: "an integer", float: "a number", bool: "true or false"}
JSON_TYPES |= {list: "a list", dict: "an object"}
PLOT_ROWS = 1_000  # of a CSV that `dvc plots` draws
SEAL = "seal"  # the last field of a sealed JSON object: the sha256 of the object without it


@contextmanager
def atomic_file(path: Path, size: int | None = None) -> Iterator[Path]:
    """Yield a temporary path beside `path`; what was written there is fsynced and renamed to `path` at the end.

    UserError names the file and the bytes that it needs if the disk is full; `size` is how many, where that is known.
    """
    partial = partial_path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with full_disk_named(partial, size):
            yield partial
            _fsync(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    _fsync(path.parent)


@contextmanager
def atomic_directory(path: Path) -> Iterator[Path]:
    """Yield an empty directory beside `path`; at the end its files are fsynced and it takes the place of `path`.

    A reader of `path` finds the old files, the new ones, or for a moment none: never some of them.
    """
    partial, old = partial_path(path), path.with_name(f".{path.name}.old")
    for leftover in (partial, old):
        shutil.rmtree(leftover, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        with full_disk_named(partial):
            yield partial
            for file in sorted(partial.rglob("*")):
                _fsync(file)
            _fsync(partial)
        if path.exists():
            if not path.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
            path.rename(old)
        partial.rename(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    _fsync(path.parent)
    shutil.rmtree(old, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically, with `\\n` line ends."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically."""
    with atomic_file(path, len(content)) as partial:
        partial.write_bytes(content)


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically; NaN and infinity are refused with ValueError."""
    write_text(path, _json_text(value))


def write_sealed(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON object atomically with its own sha256, by which `read_sealed` knows every altered byte."""
    write_text(path, _json_text({**value, SEAL: _seal(value)}))


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write one JSON object a line, atomically."""
    write_text(path, "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows))


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Write these columns of the rows with a header line, atomically; texts are quoted, numbers are not."""
    with atomic_file(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        # Before Python 3.13 a lone carriage return would stand unquoted and end the line for readers.
        writer = csv.DictWriter(file, columns, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def write_plot(path: Path, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Write a CSV that `dvc plots` draws: at most 1,000 of the rows, evenly spaced from the first to the last."""
    write_csv(path, evenly_spaced(rows, PLOT_ROWS), columns)


def evenly_spaced(rows: Sequence[Any], limit: int) -> list[Any]:
    """At most `limit` rows, the first and the last among them: what a plot in git may hold."""
    if len(rows) <= limit:
        return list(rows)
    return [rows[round(index * (len(rows) - 1) / (limit - 1))] for index in range(limit)]


def read_json(path: Path) -> Any:
    """Read a JSON file; UserError names the file if it is missing or no JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise UserError(f"{path} is missing; run `dvc repro` to make it.") from None
    except (ValueError, RecursionError) as error:  # of UTF-8, of JSON, of a number too long, of brackets too deep
        raise UserError(f"{path} is no valid JSON: {error}") from None


def read_object(path: Path, fields: Mapping[str, type]) -> dict[str, Any]:
    """Read a JSON file of one object with at least these fields; UserError names what is wrong."""
    value = read_json(path)
    check_fields(str(path), value, fields)
    return value


def read_sealed(path: Path, fields: Mapping[str, type]) -> dict[str, Any]:
    """Read what `write_sealed` wrote, without the seal, as `read_object` does; UserError for any altered byte."""
    value = read_object(path, {})
    seal = value.pop(SEAL, None)
    try:
        is_whole = seal == _seal(value) and path.read_bytes() == _json_text({**value, SEAL: seal}).encode()
    except (ValueError, RecursionError):  # of NaN, of half a surrogate pair, of brackets too deep: never written here
        is_whole = False
    if not is_whole:
        raise UserError(f"{path} is not as it was written: its sha256 is not the one in its last line; make it again.")
    check_fields(str(path), value, fields)
    return value


def read_jsonl(path: Path, fields: Mapping[str, type] | None = None) -> list[dict[str, Any]]:
    """Read a file of one JSON object a line, blank lines aside; UserError names the file and the line.

    With `fields`, it also names the first field that an object lacks or has with another type.
    """
    rows = []
    for number, row in read_json_lines(path):
        rows.append(row)
        if fields is not None:
            check_fields(f"{path}, line {number}", row, fields)
    return rows


def read_json_lines(path: Path) -> list[tuple[int, Any]]:
    """The JSON values of a file of one a line, each with the number of its line, blank lines aside."""
    values = []
    try:
        with path.open(encoding="utf-8-sig", newline="\n") as file:  # U+2028 and the like end no line
            lines = list(file)
    except FileNotFoundError:
        raise UserError(f"{path} is missing; run `dvc repro` to make it.") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8: {error}") from None
    for number, line in enumerate(lines, start=1):
        try:
            if line.strip():
                values.append((number, json.loads(line)))
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path}, line {number} is no valid JSON: {error}") from None
    return values


def check_fields(place: str, row: object, fields: Mapping[str, type]) -> None:
    """UserError unless the value that stands at `place` is a JSON object with these fields, of these types."""
    remedy = "correct it, or make the file again."
    if not isinstance(row, dict):
        raise UserError(f"{place} is {json.dumps(row)[:40]}, but it should be an object; {remedy}")
    for name, kind in fields.items():
        if name not in row:
            raise UserError(f"{place} has no {name}; {remedy}")
        value = row[name]
        accepted = (int, float) if kind is float else kind
        if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
            raise UserError(f"{place}: {name} is {json.dumps(value)[:40]}, not {JSON_TYPES[kind]}; {remedy}")
        if isinstance(value, str) and not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
            raise UserError(f"{place}: {name} is not valid Unicode; correct its \\ud... escapes.")


def link_file(source: Path, target: Path) -> None:
    """Give a file a second name without a second copy of its bytes; on another file system, copy it."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in {errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK}:
            raise
        shutil.copyfile(source, target)


def sha256_file(path: Path) -> str:
    """The sha256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_directory(directory: Path) -> dict[str, str]:
    """The sha256 of every file of a directory by its relative name: what determines a stage that reads it."""
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    return {path.relative_to(directory).as_posix(): sha256_file(path) for path in files}


def sha256_json(value: Any) -> str:
    """The sha256 of a JSON value, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, allow_nan=False).encode()).hexdigest()


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


def has_sha256(path: Path, sha256: str) -> bool:
    """Whether a file is there and whole."""
    return path.is_file() and sha256_file(path) == sha256


def _json_text(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _seal(value: Mapping[str, Any]) -> str:
    return hashlib.sha256(_json_text(value).encode()).hexdigest()


def _sha256_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def partial_path(path: Path) -> Path:
    """The one temporary name of `path`: what a kill leaves there, the next run overwrites."""
    return path.with_name(f".{path.name}.partial")


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
