"""Two runs are compared on the items that both have, with what the difference can tell."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from typer.testing import CliRunner

from scratchlm.artifacts import write_csv, write_jsonl
from scratchlm.cli import cli
from scratchlm.comparison import PREDICTIONS, REPLIES, RESPONSES, compare, items_needed, read_run
from scratchlm.errors import UserError

WORDS = ["red", "green", "blue", "white"]
HOW = {"rubric": "points-100-v1", "maximum": 100, "reading": "reply", "status": "ok"}


def write_run(folder: Path, points: list[int], right: list[bool], first_item: int = 0, model: str = "judge") -> None:
    """A run whose judge gave these points, and whose classifier was right on these messages."""
    items = range(first_item, first_item + len(points))
    answers = [
        {
            "id": index,
            "instruction": f"Instruction {item}",
            "input": "",
            "output": WORDS[item % 4],
            "response": "a " * item,
        }
        for index, item in enumerate(items)
    ]
    replies = [
        {"id": index, "sample": 0, **HOW, "model": model, "replies": [{"content": f"SCORE: {score}"}]}
        for index, score in enumerate(points)
    ]
    messages = [
        {"label": "ham", "predicted": "ham" if is_right else "spam", "text": f"text {index}"}
        for index, is_right in enumerate(right)
    ]
    write_jsonl(folder / RESPONSES, answers)
    write_jsonl(folder / REPLIES, replies)
    write_csv(folder / PREDICTIONS, messages, ["label", "predicted", "text"])


@pytest.fixture(scope="module")
def committed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with one committed run, whose files DVC tracks."""
    folder = tmp_path_factory.mktemp("committed")
    write_run(folder, [10, 20, 30, 40], [True, False, False, True])
    dvc = [sys.executable, "-m", "dvc"]
    for command in (
        ["git", "init", "-q"],
        ["git", "config", "user.email", "test@example.com"],
        ["git", "config", "user.name", "test"],
        [*dvc, "init", "-q"],
        [*dvc, "add", "-q", str(RESPONSES), str(REPLIES), str(PREDICTIONS)],
        ["git", "add", "-A"],
        ["git", "commit", "-qm", "run"],
    ):
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    for path in (RESPONSES, REPLIES, PREDICTIONS):
        (folder / path).unlink()
    return folder


@pytest.fixture
def project(committed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, and another run in the workspace."""
    folder = tmp_path / "project"
    shutil.copytree(committed, folder)
    monkeypatch.setenv("DVC_ROOT", str(folder))
    monkeypatch.chdir(folder)
    write_run(folder, [20, 20, 50, 30], [True, True, False, True])
    return folder


def test_a_committed_run_is_compared_with_the_workspace(project: Path):
    done = CliRunner().invoke(cli, ["compare", "HEAD", "--json"], catch_exceptions=False)
    right, chrf, score = json.loads(done.stdout)["measures"]
    assert (right["first"], right["second"], right["wins"], right["ties"]) == (50, 75, 1, 3)
    assert (chrf["difference"]["mean"], chrf["items_needed"]) == (0, None)
    assert (score["first"], score["second"], score["wins"], score["ties"], score["losses"]) == (25, 30, 2, 1, 1)
    assert score["difference"]["low"] < score["difference"]["mean"] == 5 < score["difference"]["high"]
    lengths = json.loads(done.stdout)["spearman_with_length"]
    assert lengths["HEAD"]["answers, judge's score"] == pytest.approx(1)
    assert lengths["workspace"]["answers, judge's score"] == pytest.approx(
        stats.spearmanr([20, 20, 50, 30], range(4)).statistic
    )
    table = CliRunner().invoke(cli, ["compare", "HEAD"], catch_exceptions=False).stdout.splitlines()
    assert table[4].startswith("| answers, judge's score | 4 | 25.0 | 30.0 | +5.0 (")


def test_items_of_one_run_alone_are_left_out_and_counted(project: Path):
    write_run(project, [20, 20, 50, 30], [True] * 5, first_item=2)
    right, _, score = compare("HEAD", "workspace").measures
    assert (right.items, right.only_one_has) == (4, 1)
    assert (score.items, score.only_one_has, score.first, score.second) == (2, 4, 35, 20)


def test_scores_of_different_judges_are_not_compared(project: Path):
    write_run(project, [20, 20, 50, 30], [True] * 4, model="another")
    compared = compare("HEAD", "workspace")
    assert "answers, judge's score" not in {row.measure for row in compared.measures}
    (note,) = compared.notes
    assert "judged by judge (points-100-v1, reply), workspace by another (points-100-v1, reply)" in note


def test_an_unknown_revision_is_one_line(project: Path):
    with pytest.raises(UserError, match="the run no-such-run cannot be read"):
        compare("no-such-run", "workspace")


def test_an_unreadable_reply_is_no_score(tmp_path: Path):
    write_run(tmp_path, [10, 999], [True])
    assert list(read_run(tmp_path).measures["answers, judge's score"].values()) == [10]


def test_so_many_items_tell_the_difference_in_four_of_five_samples():
    random = np.random.default_rng(0)
    differences = random.normal(5, 47, 100_000)
    needed = items_needed(differences.tolist())
    assert needed == pytest.approx(694, rel=0.05)  # (1.96 + 0.84)^2 47^2 / 5^2
    told = [stats.ttest_1samp(random.normal(5, 47, needed), 0).pvalue < 0.05 for _ in range(2_000)]
    assert np.mean(told) == pytest.approx(0.8, abs=0.03)
    assert items_needed([0.0, 0.0]) is None
