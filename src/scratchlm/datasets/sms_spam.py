"""SMS spam: extract, read, deduplicate by group, balance, split; with groups, no message stands in two of the files."""

import csv
import io
import re
import unicodedata
import zipfile
import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pandas as pd
from pydantic import Field

from scratchlm.artifacts import atomic_file
from scratchlm.datasets.splits import cut
from scratchlm.errors import UserError
from scratchlm.params import Schema

LABELS = ("ham", "spam")
COLUMNS = ("label", "text")
SPLITS = ("train", "val", "test", "unused_ham")
ARCHIVE_MEMBER = "SMSSpamCollection"
MAX_BYTES = 64 * 2**20
SEPARATORS = {"tab": "\t", "comma": ","}
BIN_WIDTH, LAST_BIN = 20, 1_000  # characters

Key = Literal["text", "normalized", "masked_digits"]


class Columns(Schema):
    """The names of the two columns in a header."""

    label: str = Field(min_length=1)
    text: str = Field(min_length=1)


class ReadConfig(Schema):
    """How the file of messages is written; without `columns` it has no header, but a label and a text a line."""

    separator: Literal["tab", "comma"]
    quoting: Literal["none", "csv"]
    columns: Columns | None


class SplitConfig(Schema):
    """How messages are grouped, balanced and split."""

    seed: int = Field(ge=0, lt=2**32)  # pandas takes no more
    group_by: Literal["none", Key]
    balance: Literal["undersample", "none"]
    split: Literal["stratified", "book"]
    train_fraction: float = Field(gt=0, lt=1)
    val_fraction: float = Field(gt=0, lt=1)


def extract_sms_spam(download: Path, target: Path) -> None:
    """Write the tab-separated messages of a download, UCI's zip or the plain file, to `target`."""
    content = _read_member(download) if zipfile.is_zipfile(download) else download.read_bytes()
    with atomic_file(target) as partial:
        partial.write_bytes(content)


def _read_member(archive: Path) -> bytes:
    try:
        with zipfile.ZipFile(archive) as members, members.open(ARCHIVE_MEMBER) as member:
            content = member.read(MAX_BYTES + 1)
    except KeyError:
        raise UserError(f"the archive has no member {ARCHIVE_MEMBER}; give UCI's archive or a plain file.") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
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
        if len(fields) != width or fields[label_at] not in LABELS or not fields[text_at].strip():
            unit, found = "record" if config.quoting == "csv" else "line", SEPARATORS[config.separator].join(fields)
            raise UserError(
                f"{path}, {unit} {number} is {found[:40]!r}, but it should be {width} fields separated by a "
                f"{config.separator}, ham or spam and a text among them."
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
        raise UserError(f"{path} is not UTF-8: {error}") from None
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


def group_key(text: str, group_by: Key) -> str:
    """What the messages of a group share: the text; its NFKC form, case and spacing aside; or that with digits as 0."""
    if group_by == "text":
        return text
    normalized = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return re.sub(r"\d", "0", normalized) if group_by == "masked_digits" else normalized


def split_sms_spam(messages: pd.DataFrame, config: SplitConfig) -> tuple[dict[str, pd.DataFrame], dict[str, int]]:
    """The frames train, val, test and unused_ham (empty without balancing), and the counts of what was done."""
    distinct, conflicting_groups = _deduplicate(messages, config.group_by)
    labels = distinct["label"].to_numpy()
    ham, spam = (np.flatnonzero(labels == label) for label in LABELS)
    if config.balance == "undersample" and len(ham) < len(spam):
        raise UserError(
            f"balance is undersample, but there are {len(ham):,} distinct ham and {len(spam):,} spam messages; "
            "add ham, remove spam, or set balance: none."
        )
    choose = _choose_as_book if config.split == "book" else _choose_stratified
    frames = {name: distinct.iloc[rows] for name, rows in zip(SPLITS, choose(ham, spam, config), strict=True)}
    leaks = {f"leaks_{key}": _count_leaks(frames, key) for key in get_args(Key)}
    if config.group_by != "none":
        assert leaks["leaks_text"] == leaks[f"leaks_{config.group_by}"] == 0, "a group stands in two splits"
    counts = _count(messages, distinct, frames) | {"conflicting_groups": conflicting_groups}
    return frames, counts | leaks | _count_test_in_train(frames)


def _choose_stratified(ham: np.ndarray, spam: np.ndarray, config: SplitConfig) -> list[Sequence[int]]:
    """The rows of each of SPLITS, where every split has the same shares of ham and spam."""
    rng = np.random.default_rng(config.seed)
    ham, spam = rng.permutation(ham), rng.permutation(spam)
    ham, unused = np.split(ham, [_ham_to_use(ham, spam, config)])
    fractions = config.train_fraction, config.val_fraction
    parts = zip(cut(ham.tolist(), *fractions, what="ham"), cut(spam.tolist(), *fractions, what="spam"), strict=True)
    return [
        *(rng.permutation([*ham_part, *spam_part]).tolist() for ham_part, spam_part in parts),
        np.sort(unused).tolist(),
    ]


def _choose_as_book(ham: np.ndarray, spam: np.ndarray, config: SplitConfig) -> list[Sequence[int]]:
    """The rows of each of SPLITS, drawn by pandas as in chapter 6 of Build a Large Language Model (From Scratch)."""
    used = pd.Series(ham).sample(_ham_to_use(ham, spam, config), random_state=config.seed)
    shuffled = pd.concat([used, pd.Series(spam)]).sample(frac=1, random_state=config.seed).tolist()
    parts = cut(shuffled, config.train_fraction, config.val_fraction, what="messages", truncate=True)
    return [*parts, np.setdiff1d(ham, used).tolist()]


def _ham_to_use(ham: np.ndarray, spam: np.ndarray, config: SplitConfig) -> int:
    return len(spam) if config.balance == "undersample" else len(ham)


def write_sms_spam(directory: Path, frames: dict[str, pd.DataFrame]) -> None:
    """Write one CSV a split, with columns label and text."""
    for name, frame in frames.items():
        with atomic_file(directory / f"{name}.csv") as partial:
            # All quoted: before Python 3.13 a lone carriage return would stand unquoted and end the line for readers.
            frame.to_csv(partial, index=False, lineterminator="\n", quoting=csv.QUOTE_ALL)


def read_split(path: Path) -> pd.DataFrame:
    """Read a CSV of `write_sms_spam`; a message such as `NA` stays a text."""
    if not path.is_file():
        raise UserError(f"{path} is missing; run `dvc repro` to make it.")
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def length_histogram(messages: pd.DataFrame) -> list[dict[str, int]]:
    """Ham and spam messages by length: bins of 20 characters, named by their lower end, the last one open."""
    lengths = [min(len(text), LAST_BIN) // BIN_WIDTH * BIN_WIDTH for text in messages["text"]]
    counts = Counter(zip(lengths, messages["label"], strict=True))
    return [
        {"length": length} | {label: counts[length, label] for label in LABELS}
        for length in range(0, max(lengths) + 1, BIN_WIDTH)
    ]


def _deduplicate(messages: pd.DataFrame, group_by: Literal["none", Key]) -> tuple[pd.DataFrame, int]:
    """The first message of each group, and the number of groups dropped because they have both labels."""
    if group_by == "none":
        return messages, 0
    groups: dict[str, list[int]] = {}
    for row, text in enumerate(messages["text"]):
        groups.setdefault(group_key(text, group_by), []).append(row)
    labels = messages["label"].tolist()
    kept = [rows[0] for rows in groups.values() if len({labels[row] for row in rows}) == 1]
    return messages.iloc[kept], len(groups) - len(kept)


def _count_leaks(frames: dict[str, pd.DataFrame], group_by: Key) -> int:
    """The number of group keys that stand in more than one of the frames."""
    keys = Counter(key for frame in frames.values() for key in {group_key(text, group_by) for text in frame["text"]})
    return sum(count > 1 for count in keys.values())


def _count_test_in_train(frames: dict[str, pd.DataFrame]) -> dict[str, int]:
    """Test messages whose very text was trained on."""
    test, trained_on = frames["test"], set(frames["train"]["text"])
    labels = [label for label, text in zip(test["label"], test["text"], strict=True) if text in trained_on]
    return {"test_in_train": len(labels), "test_in_train_spam": labels.count("spam")}


def _count(messages: pd.DataFrame, distinct: pd.DataFrame, frames: dict[str, pd.DataFrame]) -> dict[str, int]:
    counts = {"messages": len(messages), **_count_labels(messages, "")}
    counts["duplicate_rows"] = int(messages.duplicated().to_numpy().sum())
    counts |= _count_labels(distinct, "distinct_")
    for name in ("train", "val", "test"):
        counts |= _count_labels(frames[name], f"{name}_")
    return counts | {"unused_ham": len(frames["unused_ham"])}


def _count_labels(messages: pd.DataFrame, prefix: str) -> dict[str, int]:
    counts = Counter(messages["label"])
    return {f"{prefix}{label}": counts[label] for label in LABELS}
