"""Scores of a classifier, the same for ours and for the baselines, and the table of its predictions.

Probabilities are (N, K): a row a message, a column a class, in the order of `classes`. Of two classes the second is the
positive one.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from sklearn.metrics import average_precision_score, brier_score_loss, confusion_matrix

from scratchlm.errors import UserError
from scratchlm.statistics import paired_difference, stratified_bootstrap_interval, wilson_interval

RELIABILITY_BINS = 10


def prediction_rows(split: pd.DataFrame, probabilities: np.ndarray, classes: Sequence[str]) -> list[dict[str, Any]]:
    """A row a message in the order of the split: label, predicted class, the probability of each class, text."""
    columns = {f"probability_{label}": probabilities[:, index] for index, label in enumerate(classes)}
    predicted = [classes[index] for index in probabilities.argmax(axis=1)]
    table = pd.DataFrame({"label": split["label"], "predicted": predicted, **columns, "text": split["text"]})
    return table.to_dict("records")


def score_splits(
    splits: Mapping[str, pd.DataFrame], probabilities: Mapping[str, np.ndarray], classes: Sequence[str]
) -> dict[str, float]:
    """The scores on `test`, and the false positives among the `unused` negatives where those were predicted."""
    scores = class_scores(splits["test"], probabilities["test"], classes)
    if "unused" in probabilities:
        scores |= false_positive_scores(splits["unused"], probabilities["unused"], classes)
    return scores


def class_scores(split: pd.DataFrame, probabilities: np.ndarray, classes: Sequence[str]) -> dict[str, float]:
    """Accuracy, the scores of the positive class or of each and their macro averages, and calibration.

    95 % intervals stand beside them as `_low` and `_high`: Wilson's of rates, of the others a stratified bootstrap's.
    """
    targets = _targets(split, classes)
    counts = confusion_matrix(targets, probabilities.argmax(axis=1), labels=range(len(classes)))
    scores = _rate("accuracy", counts.trace(), counts.sum())
    if len(classes) == 2:
        scores |= _score_positive(targets, probabilities, counts)
    else:
        scores |= _score_each(targets, probabilities, counts, classes)
    return scores | {
        "expected_calibration_error": expected_calibration_error(reliability_rows(split, probabilities, classes)),
        "brier_score": float(brier_score_loss(targets, probabilities, labels=range(len(classes)))),
    }


def false_positive_scores(split: pd.DataFrame, probabilities: np.ndarray, classes: Sequence[str]) -> dict[str, float]:
    """The rate of messages called positive among negatives only; nothing where no class is the positive one."""
    if len(classes) != 2:
        return {}
    called_positive = probabilities[_targets(split, classes) == 0].argmax(axis=1)
    return _rate("false_positive_rate", called_positive.sum(), len(called_positive))


def accuracy_difference(ours: pd.DataFrame, theirs: pd.DataFrame) -> dict[str, float]:
    """Our accuracy minus theirs on the same messages, from two tables of predictions, as `paired_difference`."""
    if not ours[["label", "text"]].equals(theirs[["label", "text"]]):
        raise UserError("the predictions to compare are of other messages; run `dvc repro` to make both again.")
    right, theirs_right = (frame["label"] == frame["predicted"] for frame in (ours, theirs))
    return paired_difference(right.tolist(), theirs_right.tolist())


def reliability_rows(split: pd.DataFrame, probabilities: np.ndarray, classes: Sequence[str]) -> list[dict[str, float]]:
    """Messages binned by the probability of their predicted class: its mean, the share of right ones, their number."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == _targets(split, classes)
    bins = np.minimum((confidence * RELIABILITY_BINS).astype(int), RELIABILITY_BINS - 1)
    return [
        {
            "confidence": float(confidence[bins == index].mean()),
            "accuracy": float(right[bins == index].mean()),
            "messages": int((bins == index).sum()),
        }
        for index in np.unique(bins)
    ]


def expected_calibration_error(rows: Sequence[dict[str, float]]) -> float:
    """How far confidence and accuracy lie apart, over the bins of `reliability_rows` (Guo et al. 2017)."""
    total = sum(row["messages"] for row in rows)
    return sum(row["messages"] / total * abs(row["confidence"] - row["accuracy"]) for row in rows)


def _score_positive(targets: np.ndarray, probabilities: np.ndarray, counts: np.ndarray) -> dict[str, float]:
    predicted, positive = probabilities.argmax(axis=1), probabilities[:, 1]
    return {
        **_rate("precision", counts[1, 1], counts[:, 1].sum()),
        **_rate("recall", counts[1, 1], counts[1].sum()),
        **_bootstrapped("f1", lambda rows: class_f1(targets[rows], predicted[rows], 2)[1], targets),
        **_bootstrapped("roc_auc", lambda rows: roc_auc(targets[rows] == 1, positive[rows]), targets),
        **_bootstrapped(
            "average_precision", lambda rows: average_precision_score(targets[rows], positive[rows]), targets
        ),
    }


def _score_each(
    targets: np.ndarray, probabilities: np.ndarray, counts: np.ndarray, classes: Sequence[str]
) -> dict[str, float]:
    predicted, n_classes = probabilities.argmax(axis=1), len(classes)

    def macro_roc_auc(rows: np.ndarray) -> float:
        each = [roc_auc(targets[rows] == index, probabilities[rows, index]) for index in range(n_classes)]
        return float(np.mean(each))

    scores = {
        **_bootstrapped("macro_f1", lambda rows: class_f1(targets[rows], predicted[rows], n_classes).mean(), targets),
        **_bootstrapped("macro_roc_auc", macro_roc_auc, targets),
    }
    for index, label in enumerate(classes):
        scores |= _rate(f"precision_{label}", counts[index, index], counts[:, index].sum())
        scores |= _rate(f"recall_{label}", counts[index, index], counts[index].sum())
    return scores


def class_f1(targets: np.ndarray, predicted: np.ndarray, n_classes: int) -> np.ndarray:
    """The F1 of each class (K,), each of which is among the targets; of one draw of a bootstrap, so without checks."""
    counts = np.bincount(targets * n_classes + predicted, minlength=n_classes**2).reshape(n_classes, n_classes)
    return 2 * counts.diagonal() / (counts.sum(axis=0) + counts.sum(axis=1))


def roc_auc(positives: np.ndarray, scores: np.ndarray) -> float:
    """The area under the ROC curve by the ranks of the positives (Mann and Whitney 1947), ties counting half."""
    n_positives = positives.sum()
    rank_sum = rankdata(scores)[positives].sum()
    return float((rank_sum - n_positives * (n_positives + 1) / 2) / (n_positives * (len(scores) - n_positives)))


def _targets(split: pd.DataFrame, classes: Sequence[str]) -> np.ndarray:
    return np.array([classes.index(label) for label in split["label"]], dtype=int)


def _rate(name: str, count: int, total: int) -> dict[str, float]:
    """A rate with its Wilson interval; 0 where nothing was counted, and the interval then is all from 0 to 1."""
    low, high = wilson_interval(int(count), int(total))
    return {name: float(count / total) if total else 0.0, f"{name}_low": low, f"{name}_high": high}


def _bootstrapped(name: str, statistic: Callable[[np.ndarray], float], targets: np.ndarray) -> dict[str, float]:
    """A statistic of rows with its interval, in which every class keeps its number of messages."""
    low, high = stratified_bootstrap_interval(statistic, targets)
    return {name: float(statistic(np.arange(len(targets)))), f"{name}_low": low, f"{name}_high": high}
