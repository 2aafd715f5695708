"""SMS messages: deduplicate by group, balance, split; with groups, no message stands in two of the files."""

import csv
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from pydantic import Field

from scratchlm.artifacts import atomic_file, read_json, write_json
from scratchlm.checksums import write_manifest
from scratchlm.datasets.splits import cut
from scratchlm.errors import UserError
from scratchlm.params import Schema

SPLITS = ("train", "val", "test", "unused")
CLASSES = "classes.json"
BIN_WIDTH, LAST_BIN = 20, 1_000  # characters

Key = Literal["text", "normalized", "masked_digits"]


class SplitConfig(Schema):
    """How messages are grouped, balanced and split.

    `undersample_eval` has the val and test of `undersample`, and trains on all that these leave over.
    """

    seed: int = Field(ge=0, lt=2**32)  # pandas takes no more
    group_by: Literal["none", Key]
    balance: Literal["undersample", "undersample_eval", "none"]
    split: Literal["stratified", "book"]
    train_fraction: float = Field(gt=0, lt=1)
    val_fraction: float = Field(gt=0, lt=1)


def group_key(text: str, group_by: Key) -> str:
    """What the messages of a group share: the text; its NFKC form, case and spacing aside; or that with digits as 0."""
    if group_by == "text":
        return text
    normalized = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return re.sub(r"\d", "0", normalized) if group_by == "masked_digits" else normalized


def split_sms_spam(
    messages: pd.DataFrame, classes: Sequence[str], config: SplitConfig
) -> tuple[dict[str, pd.DataFrame], dict[str, int]]:
    """The frames train, val, test and unused (what balancing leaves over), and the counts of what was done."""
    distinct, conflicting_groups = _deduplicate(messages, config.group_by)
    labels = distinct["label"].to_numpy()
    rows = {label: np.flatnonzero(labels == label) for label in classes}
    if empty := [label for label in classes if not len(rows[label])]:
        raise UserError(f"no message is labelled {empty[0]!r}; add some, or take it out of prepare_sms_spam.labels.")
    choose = _choose_as_book if config.split == "book" else _choose_stratified
    chosen = choose(rows, config)
    if config.balance == "undersample_eval":
        train, val, test, unused = chosen
        chosen = [sorted([*train, *unused]), val, test, []]
    frames = {name: distinct.iloc[members] for name, members in zip(SPLITS, chosen, strict=True)}
    leaks = {f"leaks_{key}": _count_leaks(frames, key) for key in get_args(Key)}
    if config.group_by != "none":
        assert leaks["leaks_text"] == leaks[f"leaks_{config.group_by}"] == 0, "a group stands in two splits"
    counts = {"messages": len(messages), "duplicate_rows": int(messages.duplicated().to_numpy().sum())}
    for part, frame in {"raw": messages, "distinct": distinct, **frames}.items():
        counts |= _count_labels(frame, classes, part)
    counts |= {"conflicting_groups": conflicting_groups} | leaks
    return frames, counts | _count_test_in_train(frames, classes)


def _choose_stratified(rows: Mapping[str, np.ndarray], config: SplitConfig) -> list[Sequence[int]]:
    """The rows of each of SPLITS, where train, val and test have the same shares of every class."""
    rng = np.random.default_rng(config.seed)
    shuffled = {label: rng.permutation(rows[label]) for label in rows}
    size = _class_size(rows, config)
    fractions = config.train_fraction, config.val_fraction
    parts = [cut(shuffled[label][:size].tolist(), *fractions, what=label) for label in rows]
    unused = np.sort(np.concatenate([shuffled[label][size:] for label in rows]))
    return [*(rng.permutation(np.concatenate(part)).tolist() for part in zip(*parts, strict=True)), unused.tolist()]


def _choose_as_book(rows: Mapping[str, np.ndarray], config: SplitConfig) -> list[Sequence[int]]:
    """The rows of each of SPLITS, drawn by pandas as in chapter 6 of Build a Large Language Model (From Scratch)."""
    size, seed = _class_size(rows, config), config.seed
    classes = [pd.Series(members) for members in rows.values()]
    used = [members.sample(size, random_state=seed) if len(members) > size else members for members in classes]
    shuffled = pd.concat(used).sample(frac=1, random_state=seed).tolist()
    parts = cut(shuffled, config.train_fraction, config.val_fraction, what="messages", truncate=True)
    for label, members in rows.items():
        if not all(np.isin(members, part).any() for part in parts):
            raise UserError(f"split: book puts no {label} into train, val or test; add some, or set split: stratified.")
    return [*parts, np.setdiff1d(pd.concat(classes), shuffled).tolist()]


def _class_size(rows: Mapping[str, np.ndarray], config: SplitConfig) -> int:
    """How many rows of each class are used at most."""
    sizes = [len(members) for members in rows.values()]
    return max(sizes) if config.balance == "none" else min(sizes)


def write_sms_spam(directory: Path, frames: Mapping[str, pd.DataFrame], classes: Sequence[str]) -> None:
    """Write a CSV a split, with columns label and text, the names of the classes in their order, and their manifest."""
    for name, frame in frames.items():
        with atomic_file(directory / f"{name}.csv") as partial:
            # All quoted: before Python 3.13 a lone carriage return would stand unquoted and end the line for readers.
            frame.to_csv(partial, index=False, lineterminator="\n", quoting=csv.QUOTE_ALL)
    write_json(directory / CLASSES, list(classes))
    write_manifest(directory)


def read_classes(directory: Path) -> list[str]:
    """The names of the classes of a folder of `write_sms_spam`; the last of two is the positive one."""
    classes = read_json(directory / CLASSES)
    if not isinstance(classes, list) or len(classes) < 2 or not all(isinstance(name, str) for name in classes):
        raise UserError(f"{directory / CLASSES} is no list of the names of classes; run `dvc repro` to make it again.")
    return classes


def read_split(path: Path, columns: Sequence[str] = ("label", "text")) -> pd.DataFrame:
    """Read a CSV of `write_sms_spam`, or one with more columns; a message such as `NA` stays a text."""
    if not path.is_file():
        raise UserError(f"{path} is missing; run `dvc repro` to make it.")
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    except ValueError as error:  # not UTF-8, no columns, or rows of several lengths
        raise UserError(f"{path} is no CSV in UTF-8: {error}; run `dvc repro` to make it again.") from None
    if missing := set(columns) - set(frame.columns):
        raise UserError(f"{path} has no column {min(missing)}; run `dvc repro` to make it again.")
    return frame


def read_splits(directory: Path) -> dict[str, pd.DataFrame]:
    """Every split of a folder of `write_sms_spam`; UserError if a label is none of its classes, or a split is empty."""
    classes, splits = read_classes(directory), {name: read_split(directory / f"{name}.csv") for name in SPLITS}
    for name, frame in splits.items():
        if frame.empty and name != "unused":
            raise UserError(f"{directory}/{name}.csv has no messages; run `dvc repro` to make it again.")
        if unknown := set(frame["label"]) - set(classes):
            raise UserError(
                f"{directory}/{name}.csv has the label {min(unknown)!r}, which is none of the classes "
                f"{', '.join(classes)}; run `dvc repro` to make it again."
            )
    return splits


def length_histogram(messages: pd.DataFrame, classes: Sequence[str]) -> list[dict[str, Any]]:
    """Messages by length and label: bins of 20 characters, named by their lower end, the last one open."""
    lengths = [min(len(text), LAST_BIN) // BIN_WIDTH * BIN_WIDTH for text in messages["text"]]
    counts = Counter(zip(lengths, messages["label"], strict=True))
    return [
        {"length": length, "label": label, "messages": counts[length, label]}
        for length in range(0, max(lengths) + 1, BIN_WIDTH)
        for label in classes
    ]


def class_balance(counts: Mapping[str, int], classes: Sequence[str]) -> list[dict[str, Any]]:
    """Messages by part and label, from the counts of `split_sms_spam`."""
    return [
        {"part": part, "label": label, "messages": counts[f"{part}_{label}"]}
        for part in ("raw", "distinct", *SPLITS)
        for label in classes
    ]


def _deduplicate(messages: pd.DataFrame, group_by: Literal["none", Key]) -> tuple[pd.DataFrame, int]:
    """The first message of each group, and the number of groups dropped because they have several labels."""
    if group_by == "none":
        return messages, 0
    groups: dict[str, list[int]] = {}
    for row, text in enumerate(messages["text"]):
        groups.setdefault(group_key(text, group_by), []).append(row)
    labels = messages["label"].tolist()
    kept = [rows[0] for rows in groups.values() if len({labels[row] for row in rows}) == 1]
    return messages.iloc[kept], len(groups) - len(kept)


def _count_leaks(frames: Mapping[str, pd.DataFrame], group_by: Key) -> int:
    """The number of group keys that stand in more than one of the frames."""
    keys = Counter(key for frame in frames.values() for key in {group_key(text, group_by) for text in frame["text"]})
    return sum(count > 1 for count in keys.values())


def _count_test_in_train(frames: Mapping[str, pd.DataFrame], classes: Sequence[str]) -> dict[str, int]:
    """Test messages whose very text was trained on."""
    trained_on = set(frames["train"]["text"])
    repeated = frames["test"].iloc[[row for row, text in enumerate(frames["test"]["text"]) if text in trained_on]]
    return {"test_in_train": len(repeated)} | _count_labels(repeated, classes, "test_in_train")


def _count_labels(messages: pd.DataFrame, classes: Sequence[str], part: str) -> dict[str, int]:
    counts = Counter(messages["label"])
    return {f"{part}_{label}": counts[label] for label in classes}
