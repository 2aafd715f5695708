"""Figures of the judge's scores: the kinds with their means, and a point an answer."""

import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from scratchlm.reporting.judge_figures import kinds_figure, lengths_figure, scores_figure
from scratchlm.statistics import bootstrap_interval
from tests.reporting.made_up_run import JUDGED_ITEMS


def kind_labels(axes: Axes) -> list[str]:
    """What stands beside the bars."""
    return [label.get_text() for label in axes.get_yticklabels()]


def test_the_frequent_kinds_have_a_bar_of_their_mean_with_its_interval_and_the_rest_has_one():
    kinds = [*"bbbaa", *"cdefghijk"]
    items = pd.DataFrame({"kind": kinds, "score": [10.0, 20.0, 60.0, 5.0, 15.0, *range(20, 110, 10)]})
    axes = kinds_figure(items).axes[0]
    widths = [bar.get_width() for bar in axes.patches if isinstance(bar, Rectangle)]
    assert widths == pytest.approx([30, 10, 20, 30, 40, 50, 60, 70, 90])
    labels = kind_labels(axes)
    assert labels == ["b (3)", "a (2)", "c (1)", "d (1)", "e (1)", "f (1)", "g (1)", "h (1)", "all others (3)"]
    ends = [line.get_segments()[0][:, 0].tolist() for line in axes.collections]  # pyright: ignore
    assert ends[:3] == [list(bootstrap_interval([10, 20, 60])), list(bootstrap_interval([5, 15])), [20, 20]]


def test_without_rare_kinds_there_is_no_bar_of_others():
    items = pd.DataFrame({"kind": [*"abcdefgh"], "score": [50.0] * 8})
    assert kind_labels(kinds_figure(items).axes[0]) == [f"{kind} (1)" for kind in "abcdefgh"]


def test_the_name_of_a_kind_is_cut_where_it_is_long_and_seen_as_it_is():
    items = pd.DataFrame({"kind": ["incomprehensibility", "$x^2$", "say\n", "\u65e5"], "score": [1.0] * 4})
    axes = kinds_figure(items).axes[0]
    assert kind_labels(axes) == ["incomprehensib (1)", "$x^2$ (1)", "say↵ (1)", r"\u65e5 (1)"]
    assert not any(label.get_parse_math() for label in axes.get_yticklabels())


def test_every_judged_answer_is_a_point_of_its_length_and_score():
    axes = lengths_figure(pd.DataFrame(JUDGED_ITEMS)).axes[0]
    assert axes.collections[0].get_offsets().tolist() == [[row["words"], row["score"]] for row in JUDGED_ITEMS]  # pyright: ignore


def test_scores_are_shown_on_the_whole_scale_whatever_they_are():
    histogram = pd.DataFrame({"score_from": [40, 50], "score_to": [50, 60], "count": [3, 1]})
    axes = scores_figure(histogram).axes[0]
    assert axes.get_xlim() == kinds_figure(pd.DataFrame(JUDGED_ITEMS)).axes[0].get_xlim() == (0, 100)
    assert all(tick == int(tick) for tick in axes.get_yticks())
