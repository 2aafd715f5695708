"""Spikes: steps whose loss or gradient stands far above those before, and that a training may leave out.

The rule and its numbers are those of OLMo-core's SkipStepOptimizer (github.com/allenai/OLMo-core).
"""

from collections.abc import Sequence

import numpy as np

WINDOW = 128  # steps that a step is compared with, spikes among them: a level that stays is no spike for long
LEAST = WINDOW // 2  # steps, below which nothing is a spike
SIGMAS = 6


def find_spike(recent: Sequence[Sequence[float]], loss: float, norm: float) -> str | None:
    """Which of the two stands out from `recent`, (loss, norm) of the steps before, in words; None if neither does."""
    if len(recent) < LEAST:
        return None
    means, deviations = np.mean(recent, axis=0), np.std(recent, axis=0, ddof=1)
    for name, value, mean, deviation in zip(("loss", "gradient norm"), (loss, norm), means, deviations, strict=True):
        if value > mean + SIGMAS * deviation:
            return (
                f"the {name} {value:.4g} is more than {SIGMAS} standard deviations ({deviation:.2g}) above {mean:.4g}, "
                f"the mean of the last {len(recent)} steps"
            )
    return None


def remember_step(recent: list[list[float]], loss: float, norm: float) -> None:
    """Add a step to those that the next ones are compared with, and drop the one that is too old."""
    recent.append([loss, norm])
    del recent[:-WINDOW]
