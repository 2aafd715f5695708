"""The benchmark of instruction tuning trains on the book's entries, and says what all steps would take."""

import argparse
from pathlib import Path

import pytest

from benchmarks.instruct_contestants import _figures, run_ours
from scratchlm.datasets.sources import INSTRUCTIONS


def test_some_steps_stand_for_all_by_their_tokens():
    figures = _figures([0.0, 100.0, 102.0, 105.0], [30, 40, 60], [30, 40, 60, 70], 0.25)
    assert figures["epochs_seconds"] == pytest.approx(5 / 100 * 200)
    assert figures["step_seconds"] == pytest.approx(5 / 100 * 200 / 4)
    assert figures["padding"] == 25
    whole = _figures([0.0, 100.0, 102.0, 105.0], [30, 40, 60], [30, 40, 60], 0.25)
    assert whole["epochs_seconds"] == pytest.approx(105)


def test_ours_trains_by_the_loop_with_little_padding(mirror: Path, gpt2_directory: Path):
    settings = argparse.Namespace(
        data=mirror / INSTRUCTIONS["book"].urls[0].removeprefix("https://"),
        tokenizer=gpt2_directory,
        shape=[1, 2, 8],
        steps=2,
        precision="float32",
        repeat=1,
    )
    figures = run_ours(settings)
    assert 0 < figures["padding"] < 2
    assert figures["epochs_seconds"] == pytest.approx(234 * figures["step_seconds"])
    assert figures["gflop"] > 0
