"""The stage score_judgements, as DVC runs it."""

import pandas as pd
import pytest

from pipeline.score_judgements import main
from scratchlm.artifacts import read_json
from tests.conftest import Workspace
from tests.records import record_jsonl


@pytest.fixture
def judged(workspace: Workspace) -> Workspace:
    """Ten answers, longer ones nearer to the reference; the judge's replies stand in another order."""
    answers = [
        {
            "id": n,
            "instruction": "",
            "input": "",
            "response": "one two three four five"[: 2 * n + 3],
            "output": "one two three four five",
        }
        for n in range(10)
    ]
    record_jsonl(workspace.path / "data/responses/test.jsonl", answers)
    replies = [{"id": n, "rubric": "points-1", "replies": [f"SCORE: {10 * n}"]} for n in reversed(range(10))]
    record_jsonl(workspace.path / "data/judgements/replies.jsonl", replies)
    return workspace


def test_scores_are_averaged_and_compared_with_the_reference_metric_of_the_same_item(judged: Workspace):
    assert judged.run("score_judgements").stderr == ""
    metrics = read_json(judged.path / "metrics/score_judgements.json")
    assert (metrics["score"], metrics["unparsed"]) == (45, 0)
    assert metrics["spearman_ref_chrf"] > 0.95
    assert pd.read_csv(judged.path / "metrics/plots/score_judgements_histogram.csv")["count"].tolist() == [1] * 10


def test_too_many_unparsed_replies_are_one_line(judged: Workspace):
    replies = [{"id": n, "rubric": "points-1", "replies": [""] if n else ["SCORE: 5"]} for n in range(10)]
    record_jsonl(judged.path / "data/judgements/replies.jsonl", replies)
    result = judged.run("score_judgements")
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert "9 of 10 judgements" in result.stderr


def test_unparsed_replies_within_the_limit_widen_the_bounds(judged: Workspace):
    replies = [{"id": n, "rubric": "points-1", "replies": [""] if n else ["SCORE: 5"]} for n in range(10)]
    record_jsonl(judged.path / "data/judgements/replies.jsonl", replies)
    judged.set("score_judgements.max_unparsed_rate", 0.95)
    main()
    metrics = read_json(judged.path / "metrics/score_judgements.json")
    assert (metrics["score_low"], metrics["score"], metrics["score_high"]) == (0.5, 5, 90.5)
    assert "spearman_ref_chrf" not in metrics
