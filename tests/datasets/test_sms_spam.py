"""SMS messages: the splits are those of the book or better, and no message stands in two of the written files."""

from pathlib import Path

import pandas as pd
import pytest

from scratchlm.datasets.sms_spam import (
    SPLITS,
    Key,
    SplitConfig,
    class_balance,
    group_key,
    length_histogram,
    read_classes,
    read_split,
    read_splits,
    split_sms_spam,
    write_sms_spam,
)
from scratchlm.datasets.sms_spam_reading import ReadConfig, read_sms_spam
from scratchlm.errors import UserError
from tests.datasets.test_sms_spam_reading import ODD_TEXTS

LABELS = ["ham", "spam"]
QUOTED = ReadConfig(labels=LABELS, separator="tab", quoting="csv", columns=None)
CONFIG = SplitConfig(
    seed=0, group_by="masked_digits", balance="undersample", split="stratified", train_fraction=0.7, val_fraction=0.1
)
BOOK = CONFIG.model_copy(update={"seed": 123, "group_by": "none", "split": "book"})


def prepare_as_book(path: Path) -> dict[str, pd.DataFrame]:
    """What the code of the book's chapter 6 does to UCI's file."""
    messages = pd.read_csv(path, sep="\t", header=None, names=["label", "text"])
    spam = messages[messages["label"] == "spam"]
    ham = messages[messages["label"] == "ham"].sample(len(spam), random_state=123)
    shuffled = pd.concat([ham, spam]).sample(frac=1, random_state=123).reset_index(drop=True)
    train_end = int(len(shuffled) * 0.7)
    val_end = train_end + int(len(shuffled) * 0.1)
    return {"train": shuffled[:train_end], "val": shuffled[train_end:val_end], "test": shuffled[val_end:]}


def some_messages(ham: int, spam: int) -> pd.DataFrame:
    rows = [("ham", f"{'see you ' * number}") for number in range(1, ham + 1)]
    return pd.DataFrame(
        rows + [("spam", f"{'win ' * number}") for number in range(1, spam + 1)], columns=["label", "text"]
    )


@pytest.mark.parametrize(("group_by", "spam"), [("text", 653), ("normalized", 642), ("masked_digits", 623)])
def test_no_text_stands_in_two_splits(uci: pd.DataFrame, group_by: Key, spam: int):
    frames, counts = split_sms_spam(uci, LABELS, CONFIG.model_copy(update={"group_by": group_by}))
    keys = [group_key(text, group_by) for frame in frames.values() for text in frame["text"]]
    assert len(keys) == len(set(keys)) == counts["distinct_ham"] + counts["distinct_spam"]
    assert counts["distinct_spam"] == spam
    assert counts[f"leaks_{group_by}"] == counts["leaks_text"] == 0


def test_splits_are_balanced_stratified_and_complete(uci: pd.DataFrame):
    frames, counts = split_sms_spam(uci, LABELS, CONFIG)
    assert {name: frame["label"].value_counts().to_dict() for name, frame in frames.items()} == {
        "train": {"ham": 436, "spam": 436},
        "val": {"ham": 62, "spam": 62},
        "test": {"ham": 125, "spam": 125},
        "unused": {"ham": 3894},
    }
    assert (counts["messages"], counts["raw_ham"], counts["raw_spam"], counts["duplicate_rows"]) == (
        5574,
        4827,
        747,
        403,
    )
    assert (counts["unused_ham"], counts["unused_spam"]) == (3894, 0)


@pytest.mark.parametrize("split", ["stratified", "book"])
def test_balancing_val_and_test_alone_trains_on_all_that_they_leave_over(uci: pd.DataFrame, split: str):
    balanced, _ = split_sms_spam(uci, LABELS, CONFIG.model_copy(update={"split": split}))
    config = CONFIG.model_copy(update={"split": split, "balance": "undersample_eval"})
    frames, counts = split_sms_spam(uci, LABELS, config)
    for name in ("val", "test"):
        pd.testing.assert_frame_equal(frames[name], balanced[name])
    assert set(frames["train"].index) == {*balanced["train"].index, *balanced["unused"].index}
    assert counts["train_ham"] == counts["distinct_ham"] - counts["val_ham"] - counts["test_ham"]
    assert (counts["unused_ham"], counts["leaks_masked_digits"]) == (0, 0)


def test_the_book_split_is_that_of_the_book_with_its_leaks(uci_file: Path):
    messages = read_sms_spam(uci_file, QUOTED)
    frames, counts = split_sms_spam(messages, LABELS, BOOK)
    for name, expected in prepare_as_book(uci_file).items():
        assert frames[name].to_numpy().tolist() == expected.to_numpy().tolist()
    assert [len(frames[name]) for name in ("train", "val", "test")] == [1045, 149, 300]
    assert (counts["messages"], counts["test_in_train"], counts["test_in_train_spam"]) == (5572, 37, 33)
    assert counts["test_ham"] + counts["test_spam"] == 300
    assert counts["unused_ham"] == 4825 - 747
    assert len(messages) == sum(len(frame) for frame in frames.values())


def test_grouping_takes_the_leak_out_of_the_book_split(uci_file: Path):
    grouped = BOOK.model_copy(update={"group_by": "masked_digits"})
    _, counts = split_sms_spam(read_sms_spam(uci_file, QUOTED), LABELS, grouped)
    assert counts["test_in_train"] == counts["leaks_text"] == counts["leaks_masked_digits"] == 0


def test_without_groups_leaks_are_counted_and_every_message_is_kept(uci: pd.DataFrame):
    frames, counts = split_sms_spam(uci, LABELS, CONFIG.model_copy(update={"group_by": "none"}))
    assert sum(len(frame) for frame in frames.values()) == 5574
    trained_on = set(frames["train"]["text"])
    assert counts["test_in_train"] == sum(text in trained_on for text in frames["test"]["text"]) > 0
    assert counts["leaks_text"] > 0


def test_labels_are_mixed_within_a_split(uci: pd.DataFrame):
    frames, _ = split_sms_spam(uci, LABELS, CONFIG)
    assert frames["test"]["label"].iloc[:50].nunique() == 2


def test_the_seed_alone_determines_the_split(uci: pd.DataFrame):
    first, again, other = (
        split_sms_spam(uci, LABELS, CONFIG.model_copy(update={"seed": seed}))[0]["train"] for seed in (0, 0, 1)
    )
    assert first.equals(again)
    assert set(first["text"]) != set(other["text"])


def test_groups_are_as_wide_as_asked():
    near = ["Call  08712 NOW", "call 08713 now", "ＣＡＬＬ 08712 now"]
    assert len({group_key(text, "text") for text in near}) == 3
    assert len({group_key(text, "normalized") for text in near}) == 2
    assert {group_key(text, "masked_digits") for text in near} == {"call 00000 now"}


def test_a_group_with_both_labels_is_dropped_and_counted():
    conflict = pd.DataFrame([("ham", "Free!"), ("spam", "free!")], columns=["label", "text"])
    frames, counts = split_sms_spam(pd.concat([some_messages(20, 15), conflict]), LABELS, CONFIG)
    assert counts["conflicting_groups"] == 1
    assert not any("free!" in frame["text"].str.casefold().tolist() for frame in frames.values())


@pytest.mark.parametrize("split", ["stratified", "book"])
def test_every_class_is_cut_to_the_smallest_and_the_rest_is_unused(split: str):
    eggs = pd.DataFrame({"label": "eggs", "text": ["an egg " * number for number in range(1, 31)]})
    messages, classes = pd.concat([some_messages(40, 20), eggs]), ["eggs", "ham", "spam"]
    frames, counts = split_sms_spam(messages, classes, CONFIG.model_copy(update={"split": split}))
    for label in classes:
        assert sum(counts[f"{name}_{label}"] for name in ("train", "val", "test")) == 20
    assert [counts[f"unused_{label}"] for label in classes] == [10, 20, 0]
    assert sorted(text for frame in frames.values() for text in frame["text"]) == sorted(messages["text"])
    if split == "stratified":
        assert [counts[f"{name}_eggs"] for name in ("train", "val", "test")] == [14, 2, 4]


def test_a_class_without_messages_is_named():
    with pytest.raises(UserError, match=r"no message is labelled 'eggs'.*prepare_sms_spam.labels"):
        split_sms_spam(some_messages(10, 12), [*LABELS, "eggs"], CONFIG)


def test_a_class_that_the_book_split_leaves_out_of_a_part_is_named():
    with pytest.raises(UserError, match=r"no spam into train, val or test.*stratified"):
        split_sms_spam(some_messages(40, 1), LABELS, BOOK.model_copy(update={"balance": "none"}))


@pytest.mark.parametrize("split", ["stratified", "book"])
def test_without_balancing_every_message_is_in_a_split(uci: pd.DataFrame, split: str, tmp_path: Path):
    frames, counts = split_sms_spam(uci, LABELS, CONFIG.model_copy(update={"balance": "none", "split": split}))
    used = {label: sum(counts[f"{name}_{label}"] for name in ("train", "val", "test")) for label in ("ham", "spam")}
    assert used == {"ham": counts["distinct_ham"], "spam": counts["distinct_spam"]}
    assert counts["unused_ham"] == counts["leaks_masked_digits"] == 0
    write_sms_spam(tmp_path, frames, LABELS)
    assert (tmp_path / "unused.csv").read_text() == '"label","text"\n'
    assert read_split(tmp_path / "unused.csv").shape == (0, 2)


def test_without_balancing_stratified_splits_have_the_shares_of_the_whole(uci: pd.DataFrame):
    _, counts = split_sms_spam(uci, LABELS, CONFIG.model_copy(update={"balance": "none"}))
    assert [(counts[f"{name}_ham"], counts[f"{name}_spam"]) for name in ("train", "val", "test")] == [
        (3162, 436), (452, 62), (903, 125),
    ]  # fmt: skip


def test_without_balancing_there_may_be_more_spam_than_ham():
    _, counts = split_sms_spam(some_messages(10, 12), LABELS, CONFIG.model_copy(update={"balance": "none"}))
    assert (counts["train_ham"], counts["train_spam"]) == (7, 8)


def test_odd_texts_survive_files_and_any_csv_reader(tmp_path: Path):
    messages = pd.DataFrame({"label": "ham", "text": ODD_TEXTS})
    write_sms_spam(tmp_path, {"train": messages}, LABELS)
    assert read_classes(tmp_path) == LABELS
    assert read_split(tmp_path / "train.csv").to_dict() == messages.to_dict()
    plain = pd.read_csv(tmp_path / "train.csv", keep_default_na=False)
    assert plain["text"].tolist() == ODD_TEXTS


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "train.csv is no CSV in UTF-8: No columns"),
        (b"label,text\nham,caf\xe9\n", "train.csv is no CSV in UTF-8: 'utf-8' codec can't decode"),
        (b"label,text\nham,a,b\nham,a,b,c\n", "train.csv is no CSV in UTF-8: "),
        (b"label,body\nham,hi\n", "train.csv has no column text"),
        (b"label,text\nspm,hi\n", "train.csv has the label 'spm', which is none of the classes ham, spam"),
    ],
)
def test_a_split_that_somebody_edited_is_one_line(tmp_path: Path, content: bytes, message: str):
    write_sms_spam(tmp_path, dict.fromkeys(SPLITS, some_messages(2, 2)), LABELS)
    assert len(read_splits(tmp_path)["train"]) == 4
    (tmp_path / "train.csv").write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_splits(tmp_path)


def test_the_histogram_counts_every_message(uci: pd.DataFrame):
    rows = pd.DataFrame(length_histogram(uci, LABELS))
    assert rows.groupby("label")["messages"].sum().to_dict() == {"ham": 4827, "spam": 747}
    assert rows["length"].tolist()[:5] == [0, 0, 20, 20, 40]
    longest = pd.DataFrame({"label": ["spam"], "text": ["x" * 10**6]})
    assert length_histogram(longest, LABELS)[-1] == {"length": 1_000, "label": "spam", "messages": 1}


def test_the_balance_has_every_part_and_class(uci: pd.DataFrame):
    _, counts = split_sms_spam(uci, LABELS, CONFIG)
    rows = pd.DataFrame(class_balance(counts, LABELS)).pivot(index="part", columns="label", values="messages")
    assert rows.loc["raw"].to_dict() == {"ham": 4827, "spam": 747}
    assert rows.loc[["train", "val", "test", "unused"]].sum().to_dict() == rows.loc["distinct"].to_dict()
