"""The files of a corpus and their documents, streamed: JSON and Arrow through `datasets`, other formats directly."""

import csv
import glob
import gzip
import json
import lzma
import re
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import IO, Any

from scratchlm.artifacts import check_fields
from scratchlm.checksums import MANIFEST, read_sealed, verify_file
from scratchlm.errors import UserError

# Together these keep every process below 1 GB: benchmarks/shard_memory.py.
ROW_BYTES = 2**25  # of one document in a table; a text file may have any size
BLOCK = 2**20  # characters of a text file that are in memory at a time
BOOK_BYTES = 2**25  # no book of Project Gutenberg is longer
PARQUET_ROWS = 256  # at a time
PARQUET_PAGE_ROWS = 1024  # writers look at the size of a page after so many rows, and a page is read whole
PARQUET_PAGE_BYTES = 2**27
PARQUET_BUFFER = 2**20

GUTENBERG_TEXT = re.compile(
    r"\*{3} ?START OF TH(?:E|IS) PROJECT GUTENBERG.*?\*{3}(.*)\*{3} ?END OF TH(?:E|IS) PROJECT GUTENBERG", re.DOTALL
)
FILE_FIELDS = {"name": str, "url": str, "bytes": int, "sha256": str, "licence": str}
SEPARATORS = {".csv": ",", ".tsv": "\t"}
# With its defaults one number among the texts makes `datasets` put every text into quotation marks.
LOADERS: dict[str, dict[str, Any]] = {".json": {"on_mixed_types": None, "parse_agent_traces": False}, ".arrow": {}}

Document = Iterable[str]  # a text as its parts in order, of any length, which can be gone through several times


def corpus_files(directory: Path) -> list[dict[str, Any]]:
    """The manifest's entry of each file of a corpus, by name: name, url, bytes, sha256, licence."""
    files = read_sealed(directory / MANIFEST, {"files": list})["files"]
    for number, file in enumerate(files, start=1):
        check_fields(f"{directory / MANIFEST}, file {number}", file, FILE_FIELDS)
    return sorted(files, key=lambda file: file["name"])


def verified_file(directory: Path, file: Mapping[str, Any]) -> Path:
    """The path of a file of a corpus, by its entry in the manifest, once size and sha256 were compared: UserError."""
    path = directory / file["name"]
    verify_file(path, file["bytes"], file["sha256"])
    return path


def read_documents(path: Path) -> Iterator[Document]:
    """The documents of a corpus file in order, without the empty ones.

    UserError names the file if it is damaged, has no column or field `text`, or holds what is no UTF-8 text.
    """
    read = find_reader(path.name)
    if read is TextFile:
        if any(text := TextFile(path)):
            yield text
        return
    with closing(read(path)) as values:
        for number, value in enumerate(values, start=1):
            if text := _check_text(value, path, number):
                yield [text]


def find_reader(name: str) -> Callable[[Path], Any]:
    """What goes through the texts of a file, by the end of its name; UserError lists the formats."""
    readers: dict[str, Callable[[Path], Any]] = {
        ".parquet": _read_parquet,
        ".txt": TextFile,
        **dict.fromkeys([".jsonl", ".jsonl.gz", ".jsonl.xz"], _read_jsonl),
        **dict.fromkeys(SEPARATORS, _read_csv),
        **dict.fromkeys(LOADERS, _read_with_datasets),
    }
    for suffix, reader in readers.items():
        if name.endswith(suffix):
            return reader
    raise UserError(f"{name} ends in {Path(name).suffix!r}, a corpus file in one of {', '.join(readers)}; convert it.")


class TextFile:
    """A text file as one document: without BOM, with `\\n` line ends, read anew in blocks whenever it is gone through.

    Where Project Gutenberg marked the text of a book in the file, that text alone.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def __iter__(self) -> Iterator[str]:
        if self._path.stat().st_size > BOOK_BYTES:
            yield from self._blocks()
        else:
            text = "".join(self._blocks())
            book = GUTENBERG_TEXT.search(text)
            yield book[1].strip() + "\n" if book else text

    def _blocks(self) -> Iterator[str]:
        try:
            with self._path.open(encoding="utf-8-sig") as file:
                while block := file.read(BLOCK):
                    if "\0" in block:
                        raise UserError(f"{self._path} has NUL characters, as UTF-16 has; convert it to UTF-8 text.")
                    yield block
        except UnicodeDecodeError as error:
            raise _no_utf8(self._path, error) from None


def _read_parquet(path: Path) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # The buffer keeps pyarrow from reading a column of a row group at once.
        with pq.ParquetFile(path, pre_buffer=False, buffer_size=PARQUET_BUFFER) as file:
            if "text" not in file.schema_arrow.names:
                raise _no_text_column(path, file.schema_arrow.names)
            _check_page_sizes(file.metadata, path)
            for batch in file.iter_batches(PARQUET_ROWS, columns=["text"]):
                yield from (value.as_py() for value in batch.column(0))  # one at a time in memory
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # of the disk: pyarrow's own has no number
            raise
        raise UserError(f"{path} is no readable Parquet file: {error}; fetch it again.") from None


def _check_page_sizes(metadata: Any, path: Path) -> None:
    for index in range(metadata.num_row_groups):
        group = metadata.row_group(index)
        page_bytes = group.total_byte_size * min(PARQUET_PAGE_ROWS, group.num_rows) // max(1, group.num_rows)
        if page_bytes > PARQUET_PAGE_BYTES:
            raise UserError(
                f"{path} has some {page_bytes / 2**20:,.0f} MiB a page, more than the {PARQUET_PAGE_BYTES >> 20} that "
                "are read at a time; write it with a smaller row_group_size."
            )


def _read_jsonl(path: Path) -> Iterator[Any]:
    openers: dict[str, Any] = {".gz": gzip.open, ".xz": lzma.open}
    try:
        with openers.get(path.suffix, open)(path, "rb") as file:
            for number, line in enumerate(_read_lines(file, path), start=1):
                if line.strip():
                    yield _parse_row(line, path, number)
    except (EOFError, gzip.BadGzipFile, lzma.LZMAError, zlib.error) as error:
        raise UserError(f"{path} cannot be unpacked: {error}; fetch it again.") from None


def _parse_row(line: bytes, path: Path, number: int) -> Any:
    try:
        row = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
    except (ValueError, RecursionError) as error:  # of UTF-8 or of JSON
        raise UserError(f"{path}, line {number} is no JSON in UTF-8: {error}") from None
    return row.get("text") if isinstance(row, dict) else None


def _read_csv(path: Path) -> Iterator[Any]:
    former_limit = csv.field_size_limit(ROW_BYTES)  # of the whole process
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(_read_lines(file, path), delimiter=SEPARATORS[path.suffix], strict=True)
            if rows.fieldnames and "text" not in rows.fieldnames:
                raise _no_text_column(path, rows.fieldnames)
            for row in rows:
                if None in row:
                    raise UserError(
                        f"{path}, line {rows.line_num} has more fields than the header; quote texts with separators."
                    )
                yield row["text"]
    except UnicodeDecodeError as error:
        raise _no_utf8(path, error) from None
    except csv.Error as error:
        raise UserError(f"{path} is no readable {path.suffix} file: {error}; correct or convert it.") from None
    finally:
        csv.field_size_limit(former_limit)


def _read_lines(file: IO[Any], path: Path) -> Iterator[Any]:
    """The lines of a table's file; UserError for one that cannot be held in memory."""
    while line := file.readline(ROW_BYTES + 1):
        if len(line) > ROW_BYTES:
            raise UserError(f"{path} has a line of more than {ROW_BYTES:,} bytes; split it, or make it a .txt file.")
        yield line


def _read_with_datasets(path: Path) -> Iterator[Any]:
    """The rows of a table, streamed; nothing is asked of a server, and nothing is left in a cache."""
    import pyarrow as pa
    from datasets import config, load_dataset
    from datasets.utils import logging

    config.HF_HUB_OFFLINE = True  # else `load_dataset` tells Hugging Face about every call
    logging.set_verbosity(logging.CRITICAL)  # what it logs it also raises
    size = path.stat().st_size
    if size == 0:
        return
    if path.suffix == ".json" and size > ROW_BYTES:
        raise UserError(f"{path} has {size:,} bytes, and {ROW_BYTES:,} can be read at once; convert it to .jsonl.")
    loader, options = path.suffix[1:], LOADERS[path.suffix]
    with tempfile.TemporaryDirectory() as cache:
        try:
            rows = load_dataset(
                loader, data_files=glob.escape(str(path)), split="train", streaming=True, cache_dir=cache, **options
            )
            for row in rows:
                if "text" not in row:
                    raise _no_text_column(path, row)
                yield row["text"]
        except (ValueError, LookupError, OSError, pa.ArrowException) as error:
            reason = " ".join(str(error).split())
            raise UserError(f"{path} is no readable {path.suffix} file: {reason}; correct or convert it.") from None


def _no_text_column(path: Path, names: Iterable[str]) -> UserError:
    return UserError(f"{path} has no column `text`, only {', '.join(names)}; rename one.")


def _no_utf8(path: Path, error: UnicodeDecodeError) -> UserError:
    return UserError(
        f"{path} is no UTF-8 text: byte {error.object[error.start]:#04x}, {error.reason}; convert it, from Latin-1 "
        f"with `iconv -f latin1 -t utf-8`, from UTF-16 with `iconv -f utf-16 -t utf-8`."
    )


def _check_text(value: Any, path: Path, number: int) -> str:
    if not isinstance(value, str):
        raise UserError(
            f"{path}: the `text` of document {number} is {value!r}, not a string; drop or correct that document."
        )
    try:
        size = len(value.encode())
    except UnicodeEncodeError as error:
        raise UserError(f"{path}: document {number} is no UTF-8 text ({error}); replace the surrogate.") from None
    if size > ROW_BYTES:
        raise UserError(
            f"{path}: document {number} has {size:,} bytes, and a row of a table may have {ROW_BYTES:,}; split it, or "
            "make it a .txt file."
        )
    return value
