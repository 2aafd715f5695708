"""Pictures of the scores that a judge gave: how many, by kind of instruction, and by length of the answer."""

from collections import Counter

import pandas as pd

from scratchlm.reporting.figures import BESIDE, OURS, SIZE, Figure, MaxNLocator, visible_text
from scratchlm.statistics import bootstrap_interval

SHOWN_KINDS = 8
OTHER_KINDS = "all others"  # no kind itself: kinds are single words
KIND_NAME = 14  # characters of a kind that fit beside its bar


def scores_figure(histogram: pd.DataFrame) -> Figure:
    """Answers by the score that the judge gave."""
    figure = Figure(SIZE, layout="constrained")
    axes = figure.subplots()
    widths = histogram["score_to"] - histogram["score_from"]
    axes.bar(histogram["score_from"], histogram["count"], widths, align="edge", edgecolor="white")
    axes.set(xlabel="score", ylabel="answers", xlim=(0, 100))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def kinds_figure(items: pd.DataFrame) -> Figure:
    """The mean score by kind of instruction with its interval, the most frequent kinds first, and all others as one.

    Rows of `kind` and `score`.
    """
    kinds = [kind for kind, _ in Counter(items["kind"]).most_common(SHOWN_KINDS)]
    groups = dict(list(items["score"].groupby(items["kind"].where(items["kind"].isin(kinds), OTHER_KINDS))))
    names = [name for name in [*kinds, OTHER_KINDS] if name in groups]
    figure = Figure((SIZE[0], 0.34 * len(names) + 0.8), layout="constrained")
    axes = figure.subplots()
    for place, name in enumerate(names):
        scores = groups[name].to_list()
        axes.barh(place, sum(scores) / len(scores), 0.62, color=BESIDE if name == OTHER_KINDS else OURS)
        axes.hlines(place, *bootstrap_interval(scores), color="black", linewidth=1.2)
    texts = [name if name == OTHER_KINDS else visible_text(name[:KIND_NAME]) for name in names]
    labels = [f"{text} ({len(groups[name])})" for text, name in zip(texts, names, strict=True)]
    axes.set_yticks(range(len(names)), labels, parse_math=False)
    axes.set(xlabel="mean score", xlim=(0, 100), ylim=(len(names) - 0.4, -0.6))
    axes.tick_params(axis="y", length=0)
    return figure


def lengths_figure(items: pd.DataFrame) -> Figure:
    """A point for each answer: its length in words and its score; rows of `words` and `score`."""
    figure = Figure(SIZE, layout="constrained")
    axes = figure.subplots()
    axes.scatter(items["words"], items["score"], s=22, alpha=0.45, linewidths=0, color=OURS)
    axes.set(xlabel="words of the answer", ylabel="score", ylim=(-4, 104))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    return figure
