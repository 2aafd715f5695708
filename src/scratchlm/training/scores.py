"""Scores of a binary classifier, the same for ours and for the baselines."""

from collections.abc import Sequence

import numpy as np
from sklearn.metrics import average_precision_score, precision_recall_fscore_support, roc_auc_score

from scratchlm.statistics import wilson_interval

THRESHOLD = 0.5


def binary_scores(positives: Sequence[bool], probabilities: Sequence[float]) -> dict[str, float]:
    """Accuracy with its 95 % Wilson interval, precision, recall, F1, ROC AUC and average precision.

    `probabilities` are those of the positive class; 0.5 and above counts as positive.
    """
    truth, predicted = np.asarray(positives), np.asarray(probabilities) >= THRESHOLD
    correct = int((predicted == truth).sum())
    low, high = wilson_interval(correct, len(truth))
    precision, recall, f1, _ = precision_recall_fscore_support(
        truth,
        predicted,
        average="binary",
        zero_division=0,  # pyright: ignore[reportArgumentType] (the stub knows only "warn")
    )
    return {
        "accuracy": correct / len(truth),
        "accuracy_low": low,
        "accuracy_high": high,
        "precision": float(precision),
        "recall": float(recall),
        "f1": float(f1),
        "roc_auc": float(roc_auc_score(truth, probabilities)),
        "average_precision": float(average_precision_score(truth, probabilities)),
    }


def false_positive_scores(probabilities: Sequence[float]) -> dict[str, float]:
    """The rate of messages called positive among negatives only, with its 95 % Wilson interval."""
    false = int((np.asarray(probabilities) >= THRESHOLD).sum())
    low, high = wilson_interval(false, len(probabilities))
    rate = false / len(probabilities) if len(probabilities) else 0.0
    return {"false_positive_rate": rate, "false_positive_rate_low": low, "false_positive_rate_high": high}
