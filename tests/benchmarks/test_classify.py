"""The benchmark of classification trains the stage's classifier on the real messages, and the plain one alike."""

from argparse import Namespace
from pathlib import Path

import pytest

from benchmarks.classify_contestants import prepare, run_exactness, run_ours
from scratchlm.datasets.sources import SMS_SPAM
from scratchlm.training import classification


@pytest.fixture
def options(mirror: Path, tmp_path: Path) -> Namespace:
    prepare(mirror / SMS_SPAM["uci"].urls[0].removeprefix("https://"), tmp_path)
    settings = {"shape": [2, 2, 16], "epochs": 1, "full": False, "exact_steps": 3, "messages": 40}
    return Namespace(folder=tmp_path, **settings)


def test_ours_is_timed(options: Namespace, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(classification, "evaluate_classes", classification.evaluate_classes)  # which it wraps
    figures = run_ours(Namespace(**vars(options), precision="float32"))
    assert 0 < figures["training_seconds"] < figures["with_evaluations"]
    assert figures["gflop"] > 0


def test_losses_are_those_of_the_plain_computation(options: Namespace):
    losses = {}
    for name, precision in {"plain": "float32", "ours": "float32", "low": "bfloat16"}.items():
        losses[name] = run_exactness(Namespace(**vars(options), contestant=name, precision=precision))["losses"]
    assert len(losses["plain"]) == 3
    assert losses["ours"] == pytest.approx(losses["plain"], rel=1e-5)
    assert losses["low"] == pytest.approx(losses["plain"], rel=0.1)
    assert losses["low"] != losses["plain"]
