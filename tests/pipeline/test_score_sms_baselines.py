"""The stage score_sms_baselines."""

import pandas as pd
import pytest

from pipeline.score_sms_baselines import main
from scratchlm.artifacts import read_json, write_csv, write_json
from scratchlm.checksums import write_manifest
from tests.conftest import Workspace
from tests.tiny_model import save_tiny_model

SIZES = {"train": 40, "val": 10, "test": 20}


def write_messages(workspace: Workspace, unused: list[dict[str, str]]) -> None:
    """The splits as prepare_sms_spam leaves them, and a base model."""
    for name, size in SIZES.items():
        spam = [{"label": "spam", "text": f"WIN a free prize, call {name} {n}"} for n in range(size)]
        ham = [{"label": "ham", "text": f"see you on the bus {name} {n}"} for n in range(size)]
        write_csv(workspace.path / f"data/sms_spam/{name}.csv", spam + ham, ["label", "text"])
    write_csv(workspace.path / "data/sms_spam/unused.csv", unused, ["label", "text"])
    write_json(workspace.path / "data/sms_spam/classes.json", ["ham", "spam"])
    write_manifest(workspace.path / "data/sms_spam")
    save_tiny_model(workspace.path / "data/models/gpt2-roundtrip")


def test_both_baselines_are_scored_on_the_same_messages(workspace: Workspace):
    unused = [{"label": "ham", "text": "on the bus, see you"}, {"label": "ham", "text": "call, a free prize, WIN"}]
    write_messages(workspace, unused)
    main()
    metrics = read_json(workspace.path / "metrics/score_sms_baselines.json")
    assert (metrics["tfidf_accuracy"], metrics["tfidf_f1"], metrics["tfidf_false_positive_rate"]) == (1, 1, 0.5)
    assert metrics["tfidf_accuracy_low"] == pytest.approx(0.912, abs=1e-3)
    assert metrics["majority_accuracy"] == 0.5
    for name in ("tfidf", "zero_shot"):
        predictions = pd.read_csv(workspace.path / f"data/predictions/{name}.csv")
        assert list(predictions["label"]) == ["spam"] * 20 + ["ham"] * 20
        assert metrics[f"{name}_accuracy"] == (predictions["predicted"] == predictions["label"]).mean()


def test_without_unused_ham_its_rate_is_unknown(workspace: Workspace):
    write_messages(workspace, unused=[])
    main()
    metrics = read_json(workspace.path / "metrics/score_sms_baselines.json")
    assert (metrics["tfidf_false_positive_rate_low"], metrics["tfidf_false_positive_rate_high"]) == (0, 1)
