"""The documents in a corpus file: Parquet, JSONL and text are read directly, CSV, JSON and Arrow through `datasets`."""

import glob
import gzip
import json
import lzma
import re
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from scratchlm.errors import UserError

PARQUET_BATCH = 256  # documents
GUTENBERG_TEXT = re.compile(
    r"\*{3} ?START OF TH(?:E|IS) PROJECT GUTENBERG.*?\*{3}(.*)\*{3} ?END OF TH(?:E|IS) PROJECT GUTENBERG", re.DOTALL
)
# Without these pandas takes the text `NA` for none, and `007` for a number.
CSV_OPTIONS = {"converters": {"text": str}, "keep_default_na": False}
# With its defaults one number among the texts makes `datasets` put every text into quotation marks.
JSON_OPTIONS = {"on_mixed_types": None, "parse_agent_traces": False}
LOADERS: dict[str, tuple[str, dict[str, Any]]] = {
    ".csv": ("csv", CSV_OPTIONS),
    ".tsv": ("csv", CSV_OPTIONS | {"sep": "\t"}),
    ".json": ("json", JSON_OPTIONS),
    ".arrow": ("arrow", {}),
}


def read_documents(path: Path) -> Iterator[str]:
    """The documents of a corpus file in order, without the empty ones.

    UserError names the file if it is damaged, has no column or field `text`, or holds what is no UTF-8 text.
    """
    for number, text in enumerate(find_reader(path.name)(path), start=1):
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise UserError(f"{path}: document {number} is no UTF-8 text ({error}); replace the surrogate.") from None
        if text:
            yield text


def find_reader(name: str) -> Callable[[Path], Iterator[str]]:
    """The reader of a file's format by the end of its name; UserError lists the formats."""
    readers = {
        ".parquet": _read_parquet,
        ".txt": _read_text,
        **dict.fromkeys([".jsonl", ".jsonl.gz", ".jsonl.xz"], _read_jsonl),
        **dict.fromkeys(LOADERS, _read_with_datasets),
    }
    for suffix, reader in readers.items():
        if name.endswith(suffix):
            return reader
    raise UserError(f"{name} ends in {Path(name).suffix!r}, a corpus file in one of {', '.join(readers)}; convert it.")


def _read_parquet(path: Path) -> Iterator[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            if "text" not in file.schema_arrow.names:
                raise _no_text_column(path, file.schema_arrow.names)
            for batch in file.iter_batches(PARQUET_BATCH, columns=["text"]):
                for row in batch.column(0).to_pylist():
                    yield _check_text(row, path)
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise UserError(f"{path} is no readable Parquet file: {error}; fetch it again.") from None


def _read_jsonl(path: Path) -> Iterator[str]:
    for number, line in enumerate(_read_lines(path), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line.decode())
        except ValueError as error:  # of UTF-8 or of JSON
            raise UserError(f"{path}, line {number} is no JSON in UTF-8: {error}") from None
        yield _check_text(row.get("text") if isinstance(row, dict) else None, path)


def _read_lines(path: Path) -> Iterator[bytes]:
    """The lines of a file, unpacked where its name ends in .gz or .xz."""
    openers: dict[str, Any] = {".gz": gzip.open, ".xz": lzma.open}
    try:
        with openers.get(path.suffix, open)(path, "rb") as file:
            yield from file
    except (EOFError, gzip.BadGzipFile, lzma.LZMAError, zlib.error) as error:
        raise UserError(f"{path} cannot be unpacked: {error}; fetch it again.") from None


def _read_text(path: Path) -> Iterator[str]:
    """The whole file as one document: without BOM, `\\n` line ends, without Project Gutenberg's header and footer."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is no UTF-8 text: {error}; convert it.") from None
    book = GUTENBERG_TEXT.search(text)
    yield book[1].strip() + "\n" if book else text


def _read_with_datasets(path: Path) -> Iterator[str]:
    """The rows of a table, streamed; nothing is asked of a server, and nothing is left in a cache."""
    import pyarrow as pa
    from datasets import config, load_dataset
    from datasets.utils import logging

    config.HF_HUB_OFFLINE = True  # else `load_dataset` tells Hugging Face about every call
    logging.set_verbosity(logging.CRITICAL)  # what it logs it also raises
    loader, options = LOADERS[path.suffix]
    if path.stat().st_size == 0:
        return
    with tempfile.TemporaryDirectory() as cache:
        try:
            rows = load_dataset(
                loader, data_files=glob.escape(str(path)), split="train", streaming=True, cache_dir=cache, **options
            )
            for row in rows:
                if "text" not in row:
                    raise _no_text_column(path, row)
                if "__index_level_0__" in row:  # pandas takes fields without a header for row labels
                    raise UserError(f"{path} has rows with more fields than its header; quote texts with separators.")
                yield _check_text(row["text"], path)
        except (ValueError, LookupError, OSError, pa.ArrowException) as error:
            reason = " ".join(str(error).split())
            raise UserError(f"{path} is no readable {path.suffix} file: {reason}; correct or convert it.") from None


def _no_text_column(path: Path, names: Iterable[str]) -> UserError:
    return UserError(f"{path} has no column `text`, only {', '.join(names)}; rename one.")


def _check_text(value: Any, path: Path) -> str:
    if not isinstance(value, str):
        raise UserError(f"{path}: the `text` of a document is {value!r}, not a string; drop or correct that document.")
    return value
