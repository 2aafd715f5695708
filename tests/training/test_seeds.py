"""Several trainings on one split: the best on validation is kept, the spread is told, and a kill costs nothing."""

from pathlib import Path

import numpy as np
import pytest
import torch

from scratchlm import statistics
from scratchlm.training import seeds
from scratchlm.training.scores import score_splits
from scratchlm.training.seeds import Outcome, Trained, spread, train_seeds
from tests.training.conftest import ByteTokenizer, byte_model
from tests.training.test_classification import FRAME, LABELS, make_config

SPLITS = {"train": FRAME, "val": FRAME[:6], "test": FRAME, "unused": FRAME[::2]}
CONFIG = make_config(seeds=[3, 4, 5], epochs=2, eval_every_steps=8, save_every_steps=8)


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Intervals of fewer resamples: what is compared here is equal with any number, and most of the time was theirs."""
    monkeypatch.setattr(statistics, "STATISTIC_RESAMPLES", 20)


def run(folder: Path, **changes: object) -> tuple[Trained, dict[str, float]]:
    config = CONFIG.model_copy(update=changes)
    return train_seeds(byte_model, ByteTokenizer(), LABELS, config, SPLITS, folder)


def test_the_training_with_the_least_validation_loss_is_kept(tmp_path: Path):
    kept, metrics = run(tmp_path / "all")
    alone = {seed: run(tmp_path / str(seed), seeds=[seed])[0] for seed in CONFIG.seeds}
    losses = {seed: trained.val_loss for seed, trained in alone.items()}
    assert len(set(losses.values())) == 3
    best = min(losses, key=lambda seed: losses[seed])
    assert kept.classifier.seed == metrics["kept_seed"] == best
    assert torch.equal(kept.classifier.model.score.weight, alone[best].classifier.model.score.weight)
    assert np.array_equal(kept.probabilities["test"], alone[best].probabilities["test"])
    assert (metrics["accuracy"], metrics["best_val_loss"]) == (alone[best].scores["accuracy"], losses[best])
    assert (metrics["val_loss_min"], metrics["val_loss_max"]) == (min(losses.values()), max(losses.values()))
    assert metrics["val_loss_mean"] == pytest.approx(sum(losses.values()) / 3)


def test_where_the_last_weights_are_kept_their_loss_decides(tmp_path: Path):
    kept, metrics = run(tmp_path, keep="last")
    assert kept.val_loss == kept.progress.rows[-1]["val_loss"] == metrics["val_loss_min"]


def test_the_spread_is_that_of_a_sample():
    metrics = spread([{"accuracy": 0.8, "accuracy_low": 0.7}, {"accuracy": 0.9, "accuracy_low": 0.8}], kept_seed=7)
    assert metrics == {
        "seeds": 2,
        "kept_seed": 7,
        "accuracy_mean": pytest.approx(0.85),
        "accuracy_std": pytest.approx(0.05 * 2**0.5),
        "accuracy_min": 0.8,
        "accuracy_max": 0.9,
    }


def test_one_seed_has_no_spread_and_no_ensemble(tmp_path: Path):
    _, metrics = run(tmp_path, seeds=[3])
    assert "seeds" not in metrics
    assert not any(key.endswith(("_mean", "_std")) or key.startswith("ensemble_") for key in metrics)


def test_the_ensemble_has_the_mean_probabilities_of_the_trainings(tmp_path: Path):
    _, metrics = run(tmp_path / "all")
    alone = [run(tmp_path / str(seed), seeds=[seed])[0].probabilities for seed in CONFIG.seeds]
    mean = {name: np.mean([each[name] for each in alone], axis=0) for name in ("test", "unused")}
    expected = score_splits(SPLITS, mean, LABELS)
    assert {key.removeprefix("ensemble_") for key in metrics if key.startswith("ensemble_")} == set(expected)
    assert {key: metrics[f"ensemble_{key}"] for key in expected} == expected


def test_an_outcome_comes_back_bit_for_bit_even_of_no_messages(tmp_path: Path):
    written = Outcome(
        {"accuracy": 1 / 3}, {"test": np.random.default_rng(0).random((5, 2)), "unused": np.empty((0, 2))}
    )
    written.write(tmp_path)
    read = Outcome.read(tmp_path, 2)
    assert read.scores == written.scores
    for name, values in written.probabilities.items():
        np.testing.assert_array_equal(read.probabilities[name], values, strict=True)


@pytest.mark.parametrize("stopped_at", CONFIG.seeds)
def test_a_stopped_run_trains_no_seed_again_and_ends_the_same(
    tmp_path: Path, stopped_at: int, monkeypatch: pytest.MonkeyPatch
):
    whole, expected = run(tmp_path / "whole")
    steps: dict[int, float] = {}

    def stop(classifier: seeds.MessageClassifier, *arguments: object) -> Trained:
        if classifier.seed == stopped_at and stopped_at not in steps:
            steps[stopped_at] = 0
            raise KeyboardInterrupt
        trained = train_one(classifier, *arguments)
        steps[classifier.seed] = steps.get(classifier.seed, 0) + trained.speed["steps_run"]
        return trained

    train_one = seeds._train
    monkeypatch.setattr(seeds, "_train", stop)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "stopped")
    kept, metrics = run(tmp_path / "stopped")
    assert metrics == expected
    assert np.array_equal(kept.probabilities["test"], whole.probabilities["test"])
    assert steps == dict.fromkeys(CONFIG.seeds, 8)


def test_only_the_kept_training_keeps_its_weights(tmp_path: Path):
    kept, _ = run(tmp_path)
    weights = {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("model.safetensors")}
    assert weights == {f"seed-{kept.classifier.seed}"}
