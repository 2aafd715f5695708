"""Intervals agree with published values."""

import numpy as np
import pytest

from scratchlm.statistics import (
    bootstrap_interval,
    paired_difference,
    stratified_bootstrap_interval,
    wilson_interval,
)


def test_wilson_interval_agrees_with_the_textbook():
    # 81 of 263: Newcombe (1998), table I, method 3.
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_bootstrap_interval_is_near_the_normal_one_and_repeats():
    values = [float(index % 10) for index in range(1000)]
    low, high = bootstrap_interval(values)
    half = 1.96 * 2.8723 / 1000**0.5
    assert (low, high) == pytest.approx((4.5 - half, 4.5 + half), abs=0.02)
    assert bootstrap_interval(values) == (low, high)


@pytest.mark.parametrize("values", [[], [3.0], [3.0, 3.0, 3.0]])
def test_bootstrap_interval_of_a_constant_is_a_point(values: list[float]):
    low, high = bootstrap_interval(values)
    assert low == high


def test_a_paired_difference_is_narrower_than_two_intervals():
    ours = [float(index % 7) + 0.5 for index in range(200)]
    theirs = [float(index % 7) for index in range(200)]
    assert paired_difference(ours, theirs) == {"mean": 0.5, "low": 0.5, "high": 0.5}


def test_a_stratified_bootstrap_is_near_the_normal_interval_repeats_and_keeps_the_sizes_of_strata():
    values = np.concatenate([np.arange(500) % 10, 100 + np.arange(500) % 10]).astype(float)
    strata = np.repeat([0, 1], 500)
    low, high = stratified_bootstrap_interval(lambda rows: values[rows].mean(), strata)
    half = 1.96 * 2.8723 / 1000**0.5  # the strata's own means differ, which must not widen it
    assert (low, high) == pytest.approx((54.5 - half, 54.5 + half), abs=0.03)
    assert stratified_bootstrap_interval(lambda rows: values[rows].mean(), strata) == (low, high)
    assert stratified_bootstrap_interval(lambda rows: float(strata[rows].sum()), strata) == (500, 500)
