"""Pictures of what the stages measured, as PNG files whose bytes depend on nothing else."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.ticker import MaxNLocator, PercentFormatter

LEVEL_NAME = 8  # characters of the name of a class that fit beneath its column
SIZE = (5, 3)  # inches: a phone shows them 360 pixels wide, and then a text of 10 points has 10 pixels
DPI = 144
OURS, BESIDE = "#1f6feb", "#8c959f"


@dataclass(frozen=True)
class Score:
    """A figure of something, with its interval if it was measured with one."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Panel:
    """Scores that stand beside each other, ours first, and the best that there could be, if there is such a value.

    `form` is how they are written, as in the table of results.
    """

    title: str
    scores: Sequence[Score]
    form: str
    limit: float | None = None


def figure_png(figure: Figure) -> bytes:
    """A PNG without date and version."""
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=DPI, metadata={"Software": None})
    return png.getvalue()


def temperature_figure(prompt: str, rows: Sequence[Mapping[str, Any]]) -> Figure:
    """The probability of the same next tokens, and of all others together, with a panel a temperature.

    Rows have `token`, `temperature` and `probability`.
    """
    table = pd.DataFrame(rows)
    temperatures = table["temperature"].unique()
    tokens = [visible_text(token) for token in table.loc[table["temperature"] == temperatures[0], "token"]]
    figure = Figure((1.35 * len(temperatures) + 1.1, 0.26 * len(tokens) + 1.4), layout="constrained")
    panels = figure.subplots(1, len(temperatures), sharex=True, sharey=True, squeeze=False)[0]
    for axes, temperature in zip(panels, temperatures, strict=True):
        shares = table.loc[table["temperature"] == temperature, "probability"].to_list()
        shares.append(max(0.0, 1 - sum(shares)))
        bars = axes.barh(range(len(shares)), shares, color=["tab:blue"] * len(tokens) + ["silver"])
        axes.bar_label(
            bars, [f"{share:.1%}" if share >= 0.001 else "< 0.1%" for share in shares], padding=3, fontsize="small"
        )
        axes.set_title(f"temperature {temperature:g}", fontsize="medium")
        axes.set(xlim=(0, 1.85), xlabel="probability")  # room for the labels
        axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        axes.spines[["top", "right"]].set_visible(False)
    # No mathtext: a token may hold a `$`.
    panels[0].set_yticks(range(len(tokens) + 1), [*tokens, "all others"], parse_math=False)
    panels[0].invert_yaxis()
    end = prompt if len(prompt) <= 30 else f"\N{HORIZONTAL ELLIPSIS}{prompt[-30:]}"
    figure.suptitle(f"next token after {visible_text(end)}", fontsize="medium", parse_math=False)
    return figure


def visible_text(text: str) -> str:
    """A text in which spaces and line breaks are seen, and what the bundled font lacks is escaped."""
    shown = text.replace(" ", "\N{OPEN BOX}").replace("\n", "\N{DOWNWARDS ARROW WITH CORNER LEFTWARDS}")
    font = get_font(findfont("DejaVu Sans"))
    return "".join(c if font.get_char_index(ord(c)) else ascii(c)[1:-1] for c in shown)


def loss_figure(curve: pd.DataFrame, bigram_loss: float | None = None) -> Figure:
    """Training and validation loss by step, and the validation loss of the bigram baseline as a line."""
    figure = Figure(SIZE, layout="constrained")
    axes = figure.subplots()
    _draw_losses(axes, curve)
    if bigram_loss is not None:
        axes.axhline(bigram_loss, color="grey", linestyle="--", label="bigrams, val")
    axes.legend()
    return figure


def classifier_figure(curve: pd.DataFrame) -> Figure:
    """Training and validation loss by step, and the validation accuracy beneath."""
    figure = Figure((SIZE[0], 4.4), layout="constrained")
    losses, accuracies = figure.subplots(2, sharex=True)
    _draw_losses(losses, curve)
    losses.set_xlabel("")
    losses.legend()
    accuracies.plot(curve["step"], curve["val_accuracy"], marker=".", color="tab:orange")
    accuracies.set(xlabel="step", ylabel="val accuracy", ylim=(min(0.45, curve["val_accuracy"].min()), 1.02))
    accuracies.grid(alpha=0.3)
    return figure


def confusion_figure(predictions: pd.DataFrame, classes: Sequence[str]) -> Figure:
    """How many messages of each label (rows) were predicted to be of each class (columns)."""
    pairs = pd.crosstab(predictions["label"], predictions["predicted"])
    counts = pairs.reindex(index=list(classes), columns=list(classes), fill_value=0).to_numpy()
    figure = Figure((4, SIZE[1]), layout="constrained")
    axes = figure.subplots()
    axes.imshow(counts, cmap="Blues", vmin=0)
    for row in range(len(classes)):
        for column in range(len(classes)):
            colour = "white" if counts[row, column] > counts.max() / 2 else "black"
            axes.text(column, row, f"{counts[row, column]:,}", ha="center", va="center", color=colour, size="x-large")
    axes.set(xlabel="predicted", ylabel="label")
    slant = {"rotation": 30, "ha": "right"} if max(map(len, classes)) > LEVEL_NAME else {}
    axes.set_xticks(range(len(classes)), classes, parse_math=False, **slant)
    axes.set_yticks(range(len(classes)), classes, parse_math=False)
    return figure


def lengths_figure(lengths: pd.DataFrame, bin_width: int) -> Figure:
    """Messages by length in characters, the labels upon each other; rows of `length`, `label`, `messages`."""
    table = lengths.pivot(index="length", columns="label", values="messages")
    figure = Figure(SIZE, layout="constrained")
    axes = figure.subplots()
    for index, label in enumerate(labels := lengths["label"].unique()):
        below = table[labels[:index]].sum(axis=1)
        axes.bar(table.index, table[label], bin_width, below, align="edge", label=label)
    axes.set(xlabel="characters", ylabel="messages")
    axes.legend()
    return figure


def balance_figure(balance: pd.DataFrame) -> Figure:
    """Messages of each label in each part of the data, one bar each; rows of `part`, `label`, `messages`."""
    table = balance.pivot(index="part", columns="label", values="messages")
    table = table.loc[balance["part"].unique(), balance["label"].unique()]
    figure = Figure(SIZE, layout="constrained")
    axes = figure.subplots()
    table.plot.bar(ax=axes, width=0.8, rot=0, xlabel="", ylabel="messages")
    axes.legend()
    return figure


def reliability_figure(reliability: pd.DataFrame) -> Figure:
    """The share of right predictions by their probability; on the dashed line both are equal, areas are message counts.

    Rows of `confidence`, `accuracy`, `messages`.
    """
    figure = Figure((4, SIZE[1]), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="grey", linestyle="--")
    axes.plot(reliability["confidence"], reliability["accuracy"], alpha=0.5)
    axes.scatter(
        reliability["confidence"],
        reliability["accuracy"],
        400 * reliability["messages"] / reliability["messages"].sum(),
    )
    axes.set(xlabel="probability of the predicted class", ylabel="share of right predictions")
    axes.set(xlim=(0, 1.03), ylim=(-0.03, 1.05))
    axes.grid(alpha=0.3)
    return figure


def results_figure(panels: Sequence[Panel]) -> Figure:
    """A bar for each score with its interval."""
    heights = [len(panel.scores) + 1 for panel in panels]
    figure = Figure((SIZE[0], 0.42 * sum(heights)), layout="constrained")
    rows = figure.subplots(len(panels), height_ratios=heights, squeeze=False)[:, 0]
    for axes, panel in zip(rows, panels, strict=True):
        ends = [score.value if score.high is None else score.high for score in panel.scores]
        for place, (score, end) in enumerate(zip(panel.scores, ends, strict=True)):
            axes.barh(place, score.value, 0.62, color=BESIDE if place else OURS)
            if score.low is not None and score.high is not None:
                interval = [[score.value - score.low], [score.high - score.value]]
                axes.errorbar(score.value, place, xerr=interval, color="black", capsize=3, linewidth=1.2)
            axes.annotate(
                format(score.value, panel.form), (end, place), (6, 0), textcoords="offset points", va="center"
            )
        axes.set(xlim=(0, 1.12 * (panel.limit or max(ends))), ylim=(len(panel.scores) - 0.4, -0.6))
        axes.set_title(panel.title, loc="left", size="medium", weight="bold")
        axes.set_yticks(range(len(panel.scores)), [score.name for score in panel.scores])
        axes.xaxis.set_major_locator(MaxNLocator(5))
        if panel.form.endswith("%"):
            axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.tick_params(axis="y", length=0)
    return figure


def _draw_losses(axes: Axes, curve: pd.DataFrame) -> None:
    """Both losses with points, so that a single evaluation is seen too."""
    for column, label in {"train_loss": "train", "val_loss": "val"}.items():
        axes.plot(curve["step"], curve[column], marker=".", label=label)
    axes.set(xlabel="step", ylabel="loss, nats")
    axes.grid(alpha=0.3)
