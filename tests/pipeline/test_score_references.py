"""The stage score_references."""

import pandas as pd

from pipeline.score_references import main
from scratchlm.artifacts import read_json, write_jsonl
from tests.conftest import Workspace


def test_items_and_metrics_agree(workspace: Workspace):
    answers = [{"id": n, "response": "word " * (n % 7), "output": "word word"} for n in range(1_100)]
    write_jsonl(workspace.path / "data/responses/test.jsonl", answers)
    main()
    metrics = read_json(workspace.path / "metrics/score_references.json")
    items = pd.read_csv(workspace.path / "metrics/plots/score_references_items.csv")
    assert list(items["id"]) == list(range(1_000))
    assert metrics["answers"] == 1_100
    assert metrics["ref_exact_match"] == sum(n % 7 == 2 for n in range(1_100)) / 1_100
    assert items["ref_empty"].sum() == sum(n % 7 == 0 for n in range(1_000))
