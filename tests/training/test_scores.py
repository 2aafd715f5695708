"""Scores equal those counted by hand."""

import pytest

from scratchlm.training.scores import binary_scores, false_positive_scores


def test_scores_of_a_case_counted_by_hand():
    scores = binary_scores([True, True, True, False, False], [0.9, 0.8, 0.2, 0.6, 0.1])
    assert scores["accuracy"] == pytest.approx(3 / 5)
    assert scores["precision"] == pytest.approx(2 / 3)
    assert scores["recall"] == pytest.approx(2 / 3)
    assert scores["f1"] == pytest.approx(2 / 3)
    assert scores["roc_auc"] == pytest.approx(5 / 6)
    assert scores["accuracy_low"] < 3 / 5 < scores["accuracy_high"]


def test_false_positives_are_counted_among_negatives():
    assert false_positive_scores([0.1, 0.9, 0.2, 0.3])["false_positive_rate"] == 0.25
    assert false_positive_scores([])["false_positive_rate"] == 0.0
