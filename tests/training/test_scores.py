"""Scores equal those counted by hand and scikit-learn's, for two classes and for more."""

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    classification_report,
    f1_score,
    roc_auc_score,
)

from scratchlm.errors import UserError
from scratchlm.statistics import wilson_interval
from scratchlm.training.scores import (
    accuracy_difference,
    class_scores,
    expected_calibration_error,
    false_positive_scores,
    prediction_rows,
    reliability_rows,
    score_splits,
)

TWO, THREE = ["ham", "spam"], ["ham", "spam", "eggs"]


def split_of(labels: list[str]) -> pd.DataFrame:
    return pd.DataFrame({"label": labels, "text": [f"message {row}" for row in range(len(labels))]})


def of_positive(*positive: float) -> np.ndarray:
    return np.array([[1 - probability, probability] for probability in positive])


@pytest.fixture
def many() -> tuple[pd.DataFrame, np.ndarray]:
    """Three hundred messages of three classes, and probabilities that are often right."""
    random = np.random.default_rng(0)
    targets = np.repeat(range(3), [60, 90, 150])
    probabilities = random.dirichlet([1, 1, 1], size=300)
    probabilities[np.arange(300), targets] += random.random(300)
    return split_of([THREE[target] for target in targets]), probabilities / probabilities.sum(axis=1, keepdims=True)


def test_scores_of_a_case_counted_by_hand():
    split = split_of(["spam", "spam", "spam", "ham", "ham"])
    scores = class_scores(split, of_positive(0.9, 0.8, 0.2, 0.6, 0.1), TWO)
    assert scores["accuracy"] == pytest.approx(3 / 5)
    assert scores["precision"] == scores["recall"] == scores["f1"] == pytest.approx(2 / 3)
    assert scores["roc_auc"] == pytest.approx(5 / 6)
    assert scores["average_precision"] == pytest.approx((1 + 1 + 3 / 4) / 3)
    assert scores["brier_score"] == pytest.approx((0.01 + 0.04 + 0.64 + 0.36 + 0.01) / 5)
    assert (scores["recall_low"], scores["recall_high"]) == wilson_interval(2, 3)
    assert scores["accuracy_low"] < 3 / 5 < scores["accuracy_high"]


def test_scores_of_two_classes_are_those_of_scikit_learn_ties_and_all():
    random = np.random.default_rng(1)
    positive, targets = random.integers(12, size=200) / 12, np.repeat([0, 1], [120, 80])
    scores = class_scores(split_of([TWO[target] for target in targets]), of_positive(*positive), TWO)
    assert scores["roc_auc"] == pytest.approx(roc_auc_score(targets, positive))
    assert scores["average_precision"] == pytest.approx(average_precision_score(targets, positive))
    assert scores["f1"] == pytest.approx(f1_score(targets, positive > 0.5))
    assert scores["brier_score"] == pytest.approx(brier_score_loss(targets, positive))


def test_scores_of_more_classes_are_those_of_scikit_learn(many: tuple[pd.DataFrame, np.ndarray]):
    split, probabilities = many
    scores = class_scores(split, probabilities, THREE)
    predicted = [THREE[index] for index in probabilities.argmax(axis=1)]
    report = classification_report(split["label"], predicted, output_dict=True)
    assert scores["accuracy"] == pytest.approx(report["accuracy"])
    assert scores["macro_f1"] == pytest.approx(report["macro avg"]["f1-score"])
    for label in THREE:
        assert scores[f"precision_{label}"] == pytest.approx(report[label]["precision"])
        assert scores[f"recall_{label}"] == pytest.approx(report[label]["recall"])
    one_against_rest = [roc_auc_score(split["label"] == label, probabilities[:, i]) for i, label in enumerate(THREE)]
    assert scores["macro_roc_auc"] == pytest.approx(np.mean(one_against_rest))
    wanted = np.eye(3)[[THREE.index(label) for label in split["label"]]]
    assert scores["brier_score"] == pytest.approx(((probabilities - wanted) ** 2).sum(axis=1).mean())
    assert "f1" not in scores


def test_every_score_but_calibration_stands_within_its_interval(many: tuple[pd.DataFrame, np.ndarray]):
    split, probabilities = many
    rows = split["label"] != "eggs"
    of_two = of_positive(*(probabilities[rows, 1] / probabilities[rows, :2].sum(axis=1)))
    for scores in (class_scores(split, probabilities, THREE), class_scores(split[rows], of_two, TWO)):
        keys = [key for key in scores if f"{key}_low" in scores]
        assert all(scores[f"{key}_low"] < scores[key] < scores[f"{key}_high"] for key in keys)
        assert {key for key in scores if not key.endswith(("_low", "_high"))} - set(keys) == {
            "expected_calibration_error",
            "brier_score",
        }


def test_the_reliability_curve_is_that_of_scikit_learn(many: tuple[pd.DataFrame, np.ndarray]):
    split, probabilities = many
    rows = reliability_rows(split, probabilities, THREE)
    right = [THREE[row.argmax()] == label for row, label in zip(probabilities, split["label"], strict=True)]
    accuracy, confidence = calibration_curve(right, probabilities.max(axis=1), n_bins=10)
    assert [row["accuracy"] for row in rows] == pytest.approx(accuracy)
    assert [row["confidence"] for row in rows] == pytest.approx(confidence)
    assert sum(row["messages"] for row in rows) == 300


def test_who_is_sure_and_always_right_is_calibrated_and_who_is_half_as_often_right_is_not():
    sure = of_positive(1.0, 1.0, 0.0, 0.0)
    assert expected_calibration_error(reliability_rows(split_of(["spam", "spam", "ham", "ham"]), sure, TWO)) == 0
    assert expected_calibration_error(reliability_rows(split_of(["spam", "ham", "ham", "spam"]), sure, TWO)) == 0.5


def test_false_positives_are_counted_among_negatives_of_two_classes_alone():
    unused, probabilities = split_of(["ham", "spam", "ham", "ham", "ham"]), of_positive(0.1, 0.9, 0.9, 0.2, 0.3)
    assert false_positive_scores(unused, probabilities, TWO)["false_positive_rate"] == 0.25
    assert false_positive_scores(unused[:0], probabilities[:0], TWO) == {
        "false_positive_rate": 0.0,
        "false_positive_rate_low": 0.0,
        "false_positive_rate_high": 1.0,
    }
    assert false_positive_scores(unused, probabilities, THREE) == {}


def test_the_unused_are_scored_where_they_were_predicted():
    splits = {"test": split_of(["ham", "spam"]), "unused": split_of(["ham"])}
    test, unused = of_positive(0.1, 0.9), of_positive(0.8)
    assert score_splits(splits, {"test": test, "unused": unused}, TWO)["false_positive_rate"] == 1
    assert score_splits(splits, {"test": test}, TWO) == class_scores(splits["test"], test, TWO)


def test_a_prediction_is_the_most_probable_class_beside_every_probability():
    rows = prediction_rows(split_of(["eggs"]), np.array([[0.2, 0.7, 0.1]]), THREE)
    probabilities = {"probability_ham": 0.2, "probability_spam": 0.7, "probability_eggs": 0.1}
    assert rows == [{"label": "eggs", "predicted": "spam", **probabilities, "text": "message 0"}]


def test_accuracies_are_compared_message_by_message():
    split = split_of(["ham", "spam"] * 50)
    ours = split.assign(predicted=split["label"])
    theirs = split.assign(predicted="ham")
    difference = accuracy_difference(ours, theirs)
    assert difference["mean"] == 0.5
    assert 0.39 < difference["low"] < 0.45 < 0.55 < difference["high"] < 0.61
    with pytest.raises(UserError, match="are of other messages"):
        accuracy_difference(ours, theirs[::-1].reset_index(drop=True))
