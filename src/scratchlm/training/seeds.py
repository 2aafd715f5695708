"""Several trainings of a classifier on one split: one a seed, the spread of their scores, and the best of them."""

import shutil
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from scratchlm.artifacts import read_json, write_json
from scratchlm.datasets.tokenizers import Tokenizer
from scratchlm.models.gpt import GPT
from scratchlm.training.checkpoint import Progress
from scratchlm.training.classification import ClassificationConfig, MessageClassifier
from scratchlm.training.scores import score_splits

OUTCOME = "outcome.json"  # in the folder of a seed that was not kept: what is left of it


@dataclass(frozen=True)
class Trained:
    """One training, and the probabilities that it predicts of the splits `test` and `unused`."""

    classifier: MessageClassifier
    progress: Progress
    speed: Mapping[str, float]
    probabilities: Mapping[str, np.ndarray]
    scores: Mapping[str, float]

    @property
    def val_loss(self) -> float:
        """The validation loss of the weights that it ended with."""
        summary = self.progress.summary()
        return summary["best_val_loss"] if self.classifier.config.keep == "best" else self.progress.rows[-1]["val_loss"]

    @property
    def outcome(self) -> dict[str, float]:
        """What the spread over seeds is about."""
        return {**self.scores, "val_loss": self.val_loss}


def train_seeds(
    load_base: Callable[[], GPT],
    tokenizer: Tokenizer,
    classes: Sequence[str],
    config: ClassificationConfig,
    splits: Mapping[str, pd.DataFrame],
    folder: Path,
) -> tuple[Trained, dict[str, float]]:
    """Train once a seed; return the training that is best on validation, and the metrics, with the spread over seeds.

    Each training resumes from `folder`/seed-N. Of one that another beats, only its outcome stays there.
    """
    kept, outcomes = None, []
    for seed in config.seeds:
        state = folder / f"seed-{seed}"
        if (state / OUTCOME).exists():
            outcomes.append(_drop_checkpoints(state))
            continue
        classifier = MessageClassifier(load_base(), tokenizer, classes, config, seed, splits["train"])
        trained = _train(classifier, splits, state)
        outcomes.append(trained.outcome)
        if kept is None or trained.val_loss < kept.val_loss:
            kept, trained = trained, kept
        if trained is not None:
            loser = folder / f"seed-{trained.classifier.seed}"
            write_json(loser / OUTCOME, trained.outcome)
            _drop_checkpoints(loser)
    assert kept is not None
    return kept, {**kept.scores, **kept.progress.summary(), **spread(outcomes, kept.classifier.seed)}


def _train(classifier: MessageClassifier, splits: Mapping[str, pd.DataFrame], state: Path) -> Trained:
    progress, speed = classifier.fit(splits["val"], state)
    probabilities = {name: classifier.predict(splits[name]) for name in ("test", "unused")}
    scores = score_splits(splits, probabilities, classifier.classes)
    return Trained(classifier, progress, speed, probabilities, scores)


def _drop_checkpoints(state: Path) -> dict[str, float]:
    """Remove all but the outcome, which is returned."""
    for path in state.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
    return read_json(state / OUTCOME)


def spread(outcomes: Sequence[Mapping[str, float]], kept_seed: int) -> dict[str, float]:
    """Mean, standard deviation, least and greatest of each score over the seeds; nothing where there is one seed."""
    if len(outcomes) == 1:
        return {}
    summary: dict[str, float] = {"seeds": len(outcomes), "kept_seed": kept_seed}
    for key in outcomes[0]:
        if not key.endswith(("_low", "_high")):
            values = [outcome[key] for outcome in outcomes]
            summary |= {
                f"{key}_mean": statistics.fmean(values),
                f"{key}_std": statistics.stdev(values),
                f"{key}_min": min(values),
                f"{key}_max": max(values),
            }
    return summary
