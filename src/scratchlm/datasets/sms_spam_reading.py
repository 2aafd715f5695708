"""The file of SMS messages: extract it from a download, and read it in the form that the parameters name."""

import io
import lzma
import zipfile
import zlib
from pathlib import Path
from typing import Annotated, Literal

import pandas as pd
from pydantic import Field, field_validator

from scratchlm.artifacts import atomic_file
from scratchlm.errors import UserError
from scratchlm.params import Schema

COLUMNS = ("label", "text")
ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06")  # a cut archive has its beginning
ARCHIVE_MEMBER = "SMSSpamCollection"
MAX_BYTES = 64 * 2**20
# What zipfile raises of an archive: OSError of a place before its beginning, ValueError of one beyond any file's end.
DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    OSError,
    ValueError,
)
SEPARATORS = {"tab": "\t", "comma": ","}


class Columns(Schema):
    """The names of the two columns in a header."""

    label: str = Field(min_length=1)
    text: str = Field(min_length=1)


class ReadConfig(Schema):
    """How the file of messages is written; without `columns` it has no header, but a label and a text a line."""

    labels: list[Annotated[str, Field(min_length=1)]] = Field(min_length=2)
    separator: Literal["tab", "comma"]
    quoting: Literal["none", "csv"]
    columns: Columns | None

    @field_validator("labels")
    @classmethod
    def _check_labels(cls, labels: list[str]) -> list[str]:
        if len(set(labels)) < len(labels):
            raise ValueError("should name each class once")
        return labels


def extract_sms_spam(download: Path, target: Path) -> None:
    """Write the tab-separated messages of a download, UCI's zip or the plain file, to `target`."""
    content = download.read_bytes()
    if content.startswith(ZIP_STARTS):
        content = _read_member(download)
    with atomic_file(target) as partial:
        partial.write_bytes(content)


def _read_member(archive: Path) -> bytes:
    try:
        with zipfile.ZipFile(archive) as members, members.open(ARCHIVE_MEMBER) as member:
            content = member.read(MAX_BYTES + 1)
    except KeyError:
        raise UserError(f"the archive has no member {ARCHIVE_MEMBER}; give UCI's archive or a plain file.") from None
    except DAMAGE as error:
        raise UserError(f"the archive cannot be read ({error}); download it again.") from None
    if len(content) > MAX_BYTES:
        raise UserError(f"{ARCHIVE_MEMBER} in the archive is larger than {MAX_BYTES:,} bytes; give a plain file.")
    return content


def read_sms_spam(path: Path, config: ReadConfig) -> pd.DataFrame:
    """Read the messages as columns label and text; UserError names the file and the first line of another form."""
    numbered = enumerate(_read_records(path, config), start=1)
    records = [(number, fields) for number, fields in numbered if any(map(str.strip, fields))]
    width, label_at, text_at = len(COLUMNS), 0, 1
    if config.columns:
        header = records.pop(0)[1] if records else []
        width, (label_at, text_at) = len(header), _find_columns(path, header, config.columns)
    rows = []
    for number, fields in records:
        unit = "record" if config.quoting == "csv" else "line"
        if len(fields) != width or not fields[text_at].strip():
            found = SEPARATORS[config.separator].join(fields)
            raise UserError(
                f"{path}, {unit} {number} is {found[:40]!r}, but it should be {width} fields separated by a "
                f"{config.separator}, a label and a text among them."
            )
        if fields[label_at] not in config.labels:
            raise UserError(
                f"{path}, {unit} {number} has the label {fields[label_at][:40]!r}, which is not among "
                f"prepare_sms_spam.labels [{', '.join(config.labels)}]; correct it, or list it there."
            )
        rows.append((fields[label_at], fields[text_at]))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _read_records(path: Path, config: ReadConfig) -> list[list[str]]:
    """The fields of each line, or of each quoted record."""
    try:
        content = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{path} is missing; run `dvc repro` to make it.") from None
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is not UTF-8: {error}; convert it, from Latin-1 with `iconv -f LATIN1 -t UTF-8`, from UTF-16 "
            "with `iconv -f UTF-16 -t UTF-8`."
        ) from None
    separator = SEPARATORS[config.separator]
    if config.quoting == "csv":
        return _split_quoted(path, content, separator)
    most = -1 if config.columns else 1  # without a header, all that follows the label is text
    return [line.removesuffix("\r").split(separator, most) for line in content.split("\n")]


def _split_quoted(path: Path, content: str, separator: str) -> list[list[str]]:
    """The fields of each record, where quotes enclose a field and line ends within it, as pandas reads by default."""
    try:
        frame = pd.read_csv(io.StringIO(content), sep=separator, header=None, dtype=str, keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise UserError(
            f"{path} cannot be read with quoting csv: {error}; correct it, or change prepare_sms_spam.quoting."
        ) from None
    return frame.fillna("").to_numpy().tolist()


def _find_columns(path: Path, header: list[str], columns: Columns) -> tuple[int, int]:
    for name in (columns.label, columns.text):
        if header.count(name) != 1:
            raise UserError(
                f"{path} has {header.count(name)} columns named {name!r}, it should have one; its first line has "
                f"{', '.join(header) or 'none'}: change prepare_sms_spam.columns or separator."
            )
    return header.index(columns.label), header.index(columns.text)
