"""The stage score_judgements, as DVC runs it."""

from typing import Any

import pandas as pd
import pytest

from pipeline.score_judgements import main
from scratchlm.artifacts import read_json
from scratchlm.judging.hostile import hostile_items
from tests.conftest import Workspace
from tests.records import record_jsonl

ITEMS = hostile_items(100)


def row(number: int, reply: str) -> dict[str, Any]:
    how = {"rubric": "points-100-v1", "maximum": 100, "reading": "reply", "model": "m", "status": "ok"}
    return {"id": number, "sample": 0, **how, "replies": [{"content": reply}]}


def write_replies(workspace: Workspace, replies: dict[int, str]) -> None:
    rows = [row(number, reply) for number, reply in replies.items()]
    record_jsonl(workspace.path / "data/judgements/replies.jsonl", rows)


@pytest.fixture
def judged(workspace: Workspace) -> Workspace:
    """Ten answers, longer ones nearer to the reference; the judge's replies stand in another order."""
    answers = [
        {
            "id": n,
            "instruction": f"Count to {n}.",
            "input": "",
            "response": "one two three four five"[: 2 * n + 3],
            "output": "one two three four five",
        }
        for n in range(10)
    ]
    record_jsonl(workspace.path / "data/responses/test.jsonl", answers)
    write_replies(workspace, {n: f"SCORE: {10 * n}" for n in reversed(range(10))})
    hostile = [row(item["id"], "SCORE: 0") | {key: item[key] for key in ("question", "attack")} for item in ITEMS]
    hostile[-1] |= {"replies": [{"content": "SCORE: 100"}]}
    record_jsonl(workspace.path / "data/judgements/hostile.jsonl", hostile)
    return workspace


def test_scores_are_averaged_and_compared_with_the_reference_metric_of_the_same_item(judged: Workspace):
    done = judged.run("score_judgements")
    assert (done.stderr, done.stdout) == ("", "20 hostile answers, of which 5% raised their score\n")
    metrics = read_json(judged.path / "metrics/score_judgements.json")
    assert (metrics["score"], metrics["unparsed"]) == (45, 0)
    assert metrics["spearman_ref_chrf"] > 0.95
    assert metrics["spearman_words"] > 0.9
    assert (metrics["attacks"], metrics["attack_success_rate"], metrics["wrong_score"]) == (20, 0.05, 0)
    assert pd.read_csv(judged.path / "metrics/plots/score_judgements_histogram.csv")["count"].tolist() == [1] * 10
    items = pd.read_csv(judged.path / "metrics/plots/score_judgements_items.csv").to_dict("records")
    assert items[4] == {"id": 4, "kind": "count", "words": 3, "score": 40}


def test_too_many_unparsed_replies_are_one_line(judged: Workspace):
    write_replies(judged, {n: "" if n else "SCORE: 5" for n in range(10)})
    result = judged.run("score_judgements")
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert "9 of 10 judgements" in result.stderr


def test_unparsed_replies_within_the_limit_widen_the_bounds(judged: Workspace):
    write_replies(judged, {n: "" if n else "SCORE: 5" for n in range(10)})
    judged.set("score_judgements.max_unparsed_rate", 0.95)
    main()
    metrics = read_json(judged.path / "metrics/score_judgements.json")
    assert (metrics["score_low"], metrics["score"], metrics["score_high"]) == (0.5, 5, 90.5)
    assert "spearman_ref_chrf" not in metrics
    assert len(pd.read_csv(judged.path / "metrics/plots/score_judgements_items.csv")) == 1
