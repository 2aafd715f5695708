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
Probabilities = Mapping[str, np.ndarray]  # by split, those of each class (N, K)


@dataclass(frozen=True)
class Trained:
    """One training, and the probabilities that it predicts of the splits `test` and `unused`."""

    classifier: MessageClassifier
    progress: Progress
    speed: Mapping[str, float]
    probabilities: Probabilities
    scores: Mapping[str, float]

    @property
    def val_loss(self) -> float:
        """The validation loss of the weights that it ended with."""
        summary = self.progress.summary()
        return summary["best_val_loss"] if self.classifier.config.keep == "best" else self.progress.rows[-1]["val_loss"]

    @property
    def outcome(self) -> "Outcome":
        """What the spread and the ensemble of the seeds are made of."""
        return Outcome({**self.scores, "val_loss": self.val_loss}, self.probabilities)


@dataclass(frozen=True)
class Outcome:
    """What is left of a training whose weights are not kept."""

    scores: Mapping[str, float]
    probabilities: Probabilities

    def write(self, state: Path) -> None:
        """Write it into the folder of the seed, to the last bit."""
        probabilities = {split: values.tolist() for split, values in self.probabilities.items()}
        write_json(state / OUTCOME, {"scores": self.scores, "probabilities": probabilities})

    @classmethod
    def read(cls, state: Path, n_classes: int) -> "Outcome":
        """What `write` left in the folder."""
        content = read_json(state / OUTCOME)
        splits = content["probabilities"].items()
        return cls(content["scores"], {split: np.reshape(values, (-1, n_classes)) for split, values in splits})


def train_seeds(
    load_base: Callable[[], GPT],
    tokenizer: Tokenizer,
    classes: Sequence[str],
    config: ClassificationConfig,
    splits: Mapping[str, pd.DataFrame],
    folder: Path,
) -> tuple[Trained, dict[str, float]]:
    """Train once a seed; return the training that is best on validation, and the metrics.

    With several seeds these have the spread of the scores, and the scores of the ensemble: of the mean probabilities.

    Each training resumes from `folder`/seed-N. Of one that another beats, only its outcome stays there.
    """
    kept, outcomes = None, []
    for seed in config.seeds:
        state = folder / f"seed-{seed}"
        if (state / OUTCOME).exists():
            _drop_checkpoints(state)
            outcomes.append(Outcome.read(state, len(classes)))
            continue
        classifier = MessageClassifier(load_base(), tokenizer, classes, config, seed, splits["train"])
        trained = _train(classifier, splits, state)
        outcomes.append(trained.outcome)
        if kept is None or trained.val_loss < kept.val_loss:
            kept, trained = trained, kept
        if trained is not None:
            loser = folder / f"seed-{trained.classifier.seed}"
            trained.outcome.write(loser)
            _drop_checkpoints(loser)
    assert kept is not None
    metrics = {**kept.scores, **kept.progress.summary()}
    if len(outcomes) > 1:
        metrics |= spread([outcome.scores for outcome in outcomes], kept.classifier.seed)
        metrics |= {f"ensemble_{key}": value for key, value in score_ensemble(splits, outcomes, classes).items()}
    return kept, metrics


def _train(classifier: MessageClassifier, splits: Mapping[str, pd.DataFrame], state: Path) -> Trained:
    progress, speed = classifier.fit(splits["val"], state)
    probabilities = {name: classifier.predict(splits[name]) for name in ("test", "unused")}
    scores = score_splits(splits, probabilities, classifier.classes)
    return Trained(classifier, progress, speed, probabilities, scores)


def _drop_checkpoints(state: Path) -> None:
    for path in state.iterdir():
        if path.is_dir():
            shutil.rmtree(path)


def score_ensemble(
    splits: Mapping[str, pd.DataFrame], outcomes: Sequence[Outcome], classes: Sequence[str]
) -> dict[str, float]:
    """The scores of the classifier whose probabilities are the mean of those of the trainings."""
    names = outcomes[0].probabilities
    means = {name: np.mean([outcome.probabilities[name] for outcome in outcomes], axis=0) for name in names}
    return score_splits(splits, means, classes)


def spread(outcomes: Sequence[Mapping[str, float]], kept_seed: int) -> dict[str, float]:
    """Mean, standard deviation, least and greatest of each score over the seeds."""
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
