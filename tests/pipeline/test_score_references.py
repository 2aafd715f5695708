"""The stage score_references."""

import pandas as pd

from pipeline.score_references import main
from scratchlm.artifacts import read_json
from tests.conftest import Workspace
from tests.records import record_jsonl


def score(workspace: Workspace, count: int, best: int) -> tuple[pd.DataFrame, dict[str, float]]:
    """The items and the metrics of some answers, of which one is right."""
    answers = [
        {"id": n, "instruction": "", "input": "", "response": "word " * (n % 7), "output": "word, words"}
        for n in range(count)
    ]
    answers[best]["response"] = "word, words"
    record_jsonl(workspace.path / "data/responses/test.jsonl", answers)
    main()
    items = pd.read_csv(workspace.path / "metrics/plots/score_references_items.csv")
    return items, read_json(workspace.path / "metrics/score_references.json")


def test_items_and_metrics_agree(workspace: Workspace):
    items, metrics = score(workspace, 1_000, best=999)
    assert list(items["id"]) == list(range(1_000))
    assert metrics["answers"] == 1_000
    for name in ("ref_exact_match", "ref_chrf", "ref_empty"):
        assert abs(metrics[name] - items[name].mean()) < 1e-9


def test_of_many_answers_the_worst_the_best_and_those_between_are_kept(workspace: Workspace):
    items, metrics = score(workspace, 1_100, best=1_050)
    assert len(items) == items["id"].nunique() == 1_000
    assert items["ref_chrf"].iloc[-1] == 100
    assert items["id"].iloc[-1] == 1_050
    assert items["ref_chrf"].is_monotonic_increasing
    assert items["ref_empty"].iloc[0] == 1
    assert abs(items["ref_empty"].mean() - metrics["ref_empty"]) < 0.01
    assert metrics["answers"] == 1_100
