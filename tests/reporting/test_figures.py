"""Figures: the values that they draw, and bytes that depend on nothing else."""

import struct
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from sklearn.metrics import confusion_matrix

from scratchlm.reporting.figures import (
    Panel,
    Score,
    balance_figure,
    classifier_figure,
    confusion_figure,
    figure_png,
    lengths_figure,
    loss_figure,
    reliability_figure,
    results_figure,
    temperature_figure,
)
from scratchlm.reporting.judge_figures import kinds_figure, scores_figure
from scratchlm.reporting.judge_figures import lengths_figure as score_lengths_figure
from tests.reporting.made_up_run import BALANCE, CURVE, JUDGED_ITEMS, NEXT_TOKENS, PREDICTIONS, RELIABILITY

CURVES = pd.DataFrame(CURVE).assign(val_accuracy=[0.5, 0.6, 0.7, 0.8, 0.9, 0.95])
LENGTHS = pd.DataFrame(
    [(0, "ham", 5), (0, "spam", 0), (20, "ham", 3), (20, "spam", 2), (40, "ham", 1), (40, "spam", 4)],
    columns=["length", "label", "messages"],
)
HISTOGRAM = pd.DataFrame({"score_from": [0, 10], "score_to": [10, 20], "count": [3, 1]})
PANELS = [
    Panel("Accuracy", [Score("ours", 0.8, 0.7, 0.85), Score("theirs", 0.9)], ".1%", limit=1.0),
    Panel("Loss", [Score("ours", 4.0)], ".3f"),
]
FIGURES: dict[str, Callable[[], Figure]] = {
    "loss": lambda: loss_figure(CURVES, bigram_loss=5.0),
    "classifier": lambda: classifier_figure(CURVES),
    "confusion": lambda: confusion_figure(pd.DataFrame(PREDICTIONS), ["ham", "spam"]),
    "reliability": lambda: reliability_figure(pd.DataFrame(RELIABILITY)),
    "balance": lambda: balance_figure(pd.DataFrame(BALANCE)),
    "lengths": lambda: lengths_figure(LENGTHS, bin_width=20),
    "scores": lambda: scores_figure(HISTOGRAM),
    "kinds": lambda: kinds_figure(pd.DataFrame(JUDGED_ITEMS)),
    "score lengths": lambda: score_lengths_figure(pd.DataFrame(JUDGED_ITEMS)),
    "results": lambda: results_figure(PANELS),
    "temperature": lambda: temperature_figure("Return the", NEXT_TOKENS),
}


def chunks(png: bytes) -> set[bytes]:
    """The kinds of the chunks of a PNG file."""
    kinds, place = set(), 8
    while place < len(png):
        (length,) = struct.unpack(">I", png[place : place + 4])
        kinds.add(png[place + 4 : place + 8])
        place += 12 + length
    return kinds


def bars(axes: Axes) -> list[tuple[float, float]]:
    """The left edge and the height of every bar."""
    return [(bar.get_x(), bar.get_height()) for bar in axes.patches if isinstance(bar, Rectangle)]


def texts(axes: Axes) -> list[str]:
    """What is written inside of the axes."""
    return [text.get_text() for text in axes.texts]


@pytest.mark.parametrize("draw", FIGURES.values(), ids=FIGURES)
def test_a_figure_drawn_twice_has_the_same_bytes_and_no_metadata(draw: Callable[[], Figure]):
    first = figure_png(draw())
    assert figure_png(draw()) == first
    assert chunks(first) == {b"IHDR", b"pHYs", b"IDAT", b"IEND"}


def test_losses_are_curves_and_the_bigram_loss_is_a_line():
    train, val, bigram = loss_figure(CURVES, bigram_loss=5.0).axes[0].lines
    assert np.array_equal(train.get_ydata(), CURVES["train_loss"])
    assert np.array_equal(val.get_ydata(), CURVES["val_loss"])
    assert np.array_equal(bigram.get_ydata(), [5.0, 5.0])
    assert len(loss_figure(CURVES).axes[0].lines) == 2


def test_accuracy_stands_beneath_the_losses_of_the_classifier():
    losses, accuracies = classifier_figure(CURVES).axes
    assert len(losses.lines) == 2
    assert np.array_equal(accuracies.lines[0].get_ydata(), CURVES["val_accuracy"])


def test_confusion_counts_equal_those_of_scikit_learn():
    frame = pd.DataFrame(PREDICTIONS)
    expected = confusion_matrix(frame["label"], frame["predicted"], labels=["ham", "spam"]).flatten().tolist()
    assert texts(confusion_figure(frame, ["ham", "spam"]).axes[0]) == [str(count) for count in expected]


def test_a_class_that_was_never_predicted_has_a_column_of_zeros():
    frame = pd.DataFrame({"label": ["ham", "spam"], "predicted": ["ham", "ham"]})
    assert texts(confusion_figure(frame, ["ham", "spam"]).axes[0]) == ["1", "0", "1", "0"]


def test_the_bars_are_the_counts_of_both_histograms():
    lengths = bars(lengths_figure(LENGTHS, bin_width=20).axes[0])
    assert lengths == [(0, 5), (20, 3), (40, 1), (0, 0), (20, 2), (40, 4)]
    assert bars(scores_figure(HISTOGRAM).axes[0]) == [(0, 3), (10, 1)]


def test_every_score_has_a_bar_from_zero_and_its_interval():
    accuracy, loss = results_figure(PANELS).axes
    widths = [[bar.get_width() for bar in axes.patches if isinstance(bar, Rectangle)] for axes in (accuracy, loss)]
    assert widths == [[0.8, 0.9], [4.0]]
    [interval] = accuracy.collections
    assert interval.get_paths()[0].vertices[:, 0].tolist() == pytest.approx([0.7, 0.85])  # pyright: ignore
    assert accuracy.get_xlim()[0] == loss.get_xlim()[0] == 0
    assert accuracy.get_xlim()[1] > 1
    assert [label.get_text() for label in accuracy.get_yticklabels()] == ["ours", "theirs"]


def test_scores_are_written_with_the_digits_of_the_table_of_results():
    accuracy, loss = results_figure(PANELS).axes
    assert (texts(accuracy), texts(loss)) == (["80.0%", "90.0%"], ["4.000"])


def test_every_part_has_a_bar_a_class_in_the_order_of_the_table():
    axes = balance_figure(pd.DataFrame(BALANCE)).axes[0]
    assert [height for _, height in bars(axes)] == [880, 210, 560, 320, 210, 0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["raw", "train", "unused"]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["ham", "spam"]  # pyright: ignore


def test_the_points_of_the_reliability_are_those_of_the_table():
    figure = reliability_figure(pd.DataFrame(RELIABILITY))
    assert figure.axes[0].collections[0].get_offsets().tolist() == [[0.55, 0.4], [0.97, 0.99]]  # pyright: ignore


def test_each_temperature_has_a_bar_for_each_token_and_one_for_the_rest():
    rows = [row | {"probability": row["probability"] / 2} for row in NEXT_TOKENS]
    cold, warm = temperature_figure("Return the", rows).axes
    for axes, temperature in ((cold, 0.1), (warm, 1.0)):
        shares = [row["probability"] for row in rows if row["temperature"] == temperature]
        widths = [bar.get_width() for bar in axes.patches if isinstance(bar, Rectangle)]
        assert widths == pytest.approx([*shares, 0.5])
        assert texts(axes) == [*(f"{share:.1%}" for share in shares), "50.0%"]
    assert [label.get_text() for label in cold.get_yticklabels()] == ["␣a", "$", "all others"]


def test_spaces_line_breaks_and_what_the_font_lacks_are_seen():
    rows = [{"token": token, "temperature": 1.0, "probability": 0.3} for token in (" ж\n", "日\t", "€")]
    figure = temperature_figure("x" * 40 + " $a", rows)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()][:3] == ["␣ж↵", r"\u65e5\t", "€"]
    assert figure.get_suptitle() == "next token after …" + "x" * 27 + "␣$a"
