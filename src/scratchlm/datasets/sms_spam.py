"""SMS spam: extract, read, deduplicate by group, balance, split; no message stands in two of the files."""

import csv
import re
import unicodedata
import zipfile
import zlib
from collections import Counter
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
BIN_WIDTH, LAST_BIN = 20, 1_000  # characters

GroupBy = Literal["text", "normalized", "masked_digits"]


class SplitConfig(Schema):
    """How messages are grouped, balanced and split."""

    seed: int = Field(ge=0)
    group_by: GroupBy
    balance: Literal["undersample"]
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


def read_sms_spam(path: Path) -> pd.DataFrame:
    """Read lines of `label<TAB>text`, where a quote is an ordinary character, as columns label and text."""
    try:
        lines = path.read_bytes().decode("utf-8-sig").split("\n")
    except FileNotFoundError:
        raise UserError(f"{path} is missing; run `dvc repro` to make it.") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8: {error}") from None
    rows = []
    for number, line in enumerate(lines, start=1):
        label, _, text = line.removesuffix("\r").partition("\t")
        if label in LABELS and text.strip():
            rows.append((label, text))
        elif line.strip():
            raise UserError(f"{path}, line {number} is {line[:40]!r}, but it should be ham or spam, a tab and a text.")
    return pd.DataFrame(rows, columns=list(COLUMNS))


def group_key(text: str, group_by: GroupBy) -> str:
    """What the messages of a group share: the text; its NFKC form, case and spacing aside; or that with digits as 0."""
    if group_by == "text":
        return text
    normalized = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return re.sub(r"\d", "0", normalized) if group_by == "masked_digits" else normalized


def split_sms_spam(messages: pd.DataFrame, config: SplitConfig) -> tuple[dict[str, pd.DataFrame], dict[str, int]]:
    """The frames train, val, test (balanced, stratified, shuffled) and unused_ham, and the counts of what was done."""
    distinct, conflicting_groups = _deduplicate(messages, config.group_by)
    rng = np.random.default_rng(config.seed)
    labels = distinct["label"].to_numpy()
    ham, spam = (rng.permutation(np.flatnonzero(labels == label)) for label in LABELS)
    if len(ham) < len(spam):
        raise UserError(
            f"balance is undersample, but there are {len(ham):,} distinct ham and {len(spam):,} spam messages; "
            "add ham, or remove spam."
        )
    ham, unused = ham[: len(spam)], np.sort(ham[len(spam) :])
    fractions = config.train_fraction, config.val_fraction
    parts = zip(cut(ham.tolist(), *fractions, what="ham"), cut(spam.tolist(), *fractions, what="spam"), strict=True)
    rows = [rng.permutation([*ham_part, *spam_part]) for ham_part, spam_part in parts]
    frames = {name: distinct.iloc[positions] for name, positions in zip(SPLITS, [*rows, unused], strict=True)}
    leaks = {f"leaks_{key}": _count_leaks(frames, key) for key in get_args(GroupBy)}
    assert leaks["leaks_text"] == leaks[f"leaks_{config.group_by}"] == 0, "a group stands in two splits"
    return frames, _count(messages, distinct, frames) | {"conflicting_groups": conflicting_groups} | leaks


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


def _deduplicate(messages: pd.DataFrame, group_by: GroupBy) -> tuple[pd.DataFrame, int]:
    """The first message of each group, and the number of groups dropped because they have both labels."""
    groups: dict[str, list[int]] = {}
    for row, text in enumerate(messages["text"]):
        groups.setdefault(group_key(text, group_by), []).append(row)
    labels = messages["label"].tolist()
    kept = [rows[0] for rows in groups.values() if len({labels[row] for row in rows}) == 1]
    return messages.iloc[kept], len(groups) - len(kept)


def _count_leaks(frames: dict[str, pd.DataFrame], group_by: GroupBy) -> int:
    """The number of group keys that stand in more than one of the frames."""
    keys = Counter(key for frame in frames.values() for key in {group_key(text, group_by) for text in frame["text"]})
    return sum(count > 1 for count in keys.values())


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
