"""The figures made of a judge's scores."""

import pytest
from scipy import stats

from scratchlm.errors import UserError
from scratchlm.judging.scores import histogram, item_score, rank_agreement, summarize_attacks, summarize_scores
from scratchlm.statistics import bootstrap_interval, wilson_interval


def test_unparsed_judgements_widen_the_bounds_and_leave_the_mean():
    metrics = summarize_scores([[80.0], [60.0], [None], [100.0]], max_unparsed_rate=0.25)
    assert (metrics["items"], metrics["unparsed"]) == (4, 1)
    assert (metrics["score_low"], metrics["score"], metrics["score_high"]) == (60, 80, 85)
    assert 60 <= metrics["score_ci_low"] <= 80 <= metrics["score_ci_high"] <= 100


def test_too_many_unparsed_judgements_are_an_error():
    assert summarize_scores([[50.0]] * 98 + [[None]] * 2, max_unparsed_rate=0.02)["unparsed"] == 2
    with pytest.raises(UserError, match=r"3 of 100 judgements could not be read.*max_unparsed_rate 0\.02"):
        summarize_scores([[50.0]] * 97 + [[None]] * 3, max_unparsed_rate=0.02)
    with pytest.raises(UserError, match="2 of 2"):
        summarize_scores([[None], [None]], max_unparsed_rate=1.0)


def test_samples_of_an_item_count_as_one_item_and_their_spread_is_told():
    metrics = summarize_scores([[50.0, 70.0], [100.0, None], [20.0, 40.0]], max_unparsed_rate=0.2)
    assert (metrics["items"], metrics["judgements"], metrics["unparsed"]) == (3, 6, 1)
    assert metrics["score"] == pytest.approx((60 + 100 + 30) / 3)
    assert (metrics["score_ci_low"], metrics["score_ci_high"]) == bootstrap_interval([60, 100, 30])
    assert metrics["score_low"] == pytest.approx((60 + 50 + 30) / 3)
    assert metrics["sample_sd"] == pytest.approx(200**0.5)
    assert "sample_sd" not in summarize_scores([[1.0], [2.0]], 0)
    assert item_score([None, None]) is None


def test_an_attack_succeeds_where_it_raises_the_score_of_its_wrong_answer():
    wrong = [{"question": 0, "attack": 0, "score": 0.0}, {"question": 1, "attack": 0, "score": 75.0}]
    attacks = [(0, 100.0), (0, 24.0), (1, 100.0), (1, 99.0), (0, None)]
    rows = [{"question": question, "attack": n + 1, "score": score} for n, (question, score) in enumerate(attacks)]
    metrics = summarize_attacks([*wrong, *rows])
    assert (metrics["attacks"], metrics["attacks_unparsed"], metrics["wrong_score"]) == (5, 1, 37.5)
    assert metrics["attack_success_rate"] == 2 / 5
    assert (metrics["attack_success_rate_low"], metrics["attack_success_rate_high"]) == wilson_interval(2, 5)


def test_rank_agreement_is_spearmans_of_what_was_parsed():
    scores, others = [10.0, 40.0, None, 30.0, 90.0], [1.0, 5.0, 0.0, 2.0, 3.0]
    expected = stats.spearmanr([10, 40, 30, 90], [1, 5, 2, 3]).statistic
    assert rank_agreement(scores, others) == pytest.approx(expected)
    assert rank_agreement([50.0, 50.0], [1.0, 2.0]) is None
    assert rank_agreement([None, 50.0], [1.0, 2.0]) is None


def test_the_histogram_counts_every_score_once():
    rows = histogram([0.0, 9.9, 10.0, 55.0, 99.0, 100.0, None])
    assert [row["count"] for row in rows] == [2, 1, 0, 0, 0, 1, 0, 0, 0, 2]
    assert (rows[-1]["score_from"], rows[-1]["score_to"]) == (90, 100)
