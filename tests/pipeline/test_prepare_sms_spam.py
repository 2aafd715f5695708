"""The stage prepare_sms_spam, as DVC runs it."""

from pathlib import Path

from scratchlm.artifacts import read_json
from scratchlm.checksums import write_sha256
from scratchlm.datasets.sms_spam import read_split
from scratchlm.params import read_yaml
from tests.conftest import ROOT, Workspace


def test_counts_are_those_of_the_files_written(workspace: Workspace):
    raw = workspace.path / "data/raw/sms_spam.tsv"
    raw.parent.mkdir()
    # Letters tell the messages apart: digits are masked.
    words = [first + second for first in "abcdefgh" for second in "abcde"]
    lines = [f"ham\tsee you at {word}" for word in words] + [f"spam\twin a {word}" for word in words[:20]]
    raw.write_text("".join(f"{line}\n" for line in [*lines, "ham\tSee you at AA"]))
    write_sha256(raw)
    assert workspace.run("prepare_sms_spam").returncode == 0
    sizes = {
        name: len(read_split(workspace.path / f"data/sms_spam/{name}.csv"))
        for name in ("train", "val", "test", "unused")
    }
    assert sizes == {"train": 28, "val": 4, "test": 8, "unused": 20}
    metrics = read_json(workspace.path / "metrics/prepare_sms_spam.json")
    assert (metrics["messages"], metrics["distinct_ham"], metrics["train_spam"], metrics["leaks_text"]) == (
        61,
        40,
        14,
        0,
    )
    plots = workspace.path / "metrics/plots"
    assert (
        plots / "prepare_sms_spam_lengths.csv"
    ).read_text() == '"length","label","messages"\n0,"ham",41\n0,"spam",20\n'
    assert '"train","spam",14\n' in (plots / "prepare_sms_spam_classes.csv").read_text()


def test_the_recipe_book_split_gives_the_counts_of_the_book(workspace: Workspace, mirror: Path):
    for stage in ("fetch_sms_spam", "prepare_sms_spam"):
        for key, value in read_yaml(ROOT / "recipes/book-split.yaml")[stage].items():
            workspace.set(f"{stage}.{key}", value)
        assert workspace.run(stage).returncode == 0
    metrics = read_json(workspace.path / "metrics/prepare_sms_spam.json")
    sizes = [metrics[f"{name}_ham"] + metrics[f"{name}_spam"] for name in ("train", "val", "test")]
    assert (metrics["messages"], sizes) == (5572, [1045, 149, 300])
    assert (metrics["test_in_train"], metrics["test_in_train_spam"]) == (37, 33)


def test_a_wrong_choice_is_one_line_with_the_choices(workspace: Workspace):
    workspace.set("prepare_sms_spam.group_by", "words")
    result = workspace.run("prepare_sms_spam")
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert "group_by is 'words', but it should be 'none', 'text', 'normalized' or 'masked_digits'" in result.stderr
