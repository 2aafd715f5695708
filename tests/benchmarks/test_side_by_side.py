"""Contestants run in turn, and the table says what they took."""

import sys

import pytest

from benchmarks import side_by_side


def _contestant(name: str, seconds: float, figure: float) -> side_by_side.Contestant:
    program = f"import time; time.sleep({seconds}); print('a word'); print('{{\"figure\": {figure}}}')"
    return side_by_side.Contestant(name, [sys.executable, "-c", program])


def test_contestants_run_in_turn_and_the_slower_one_has_the_lower_ratio():
    contestants = [_contestant("slow", 0.6, 4), _contestant("fast", 0.1, 5)]
    runs = side_by_side.run_in_turn(contestants, rounds=2)
    assert [len(figures) for figures in runs.values()] == [2, 2]
    assert all(figures["peak_mb"] > 1 for figures in runs["slow"])
    header, _, slow, fast = side_by_side.table(runs, {"seconds": "seconds", "figure": "the figure"})
    assert header == "| | seconds | the figure | times faster |"
    assert slow.split(" | ")[2:] == ["4.00", "1.00 |"]
    assert float(fast.split(" | ")[-1].removesuffix(" |")) > 1.5


def test_a_contestant_that_fails_ends_the_benchmark_with_its_name():
    with pytest.raises(SystemExit, match="broken failed with exit code 3"):
        side_by_side.run(side_by_side.Contestant("broken", [sys.executable, "-c", "raise SystemExit(3)"]))


def test_growth_is_the_exponent_of_a_power_law():
    assert side_by_side.growth_exponent([1, 4, 16], [5, 40, 320]) == pytest.approx(1.5)
    assert side_by_side.growth_exponent([1, 4, 16], [7, 7, 7]) == pytest.approx(0)
