"""A computed order is a permutation, another one for each key, and looks as random as a drawn one."""

from collections import Counter

import numpy as np
import pytest
from scipy.stats import chisquare

from scratchlm.training import batches
from scratchlm.training.permutation import permute


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 16, 17, 100, 1_000, 4_096, 4_097])
def test_every_place_is_taken_once(count: int):
    for key in (0, 1, 2**64 - 1):
        assert sorted(permute(place, count, key) for place in range(count)) == list(range(count))


def test_all_permutations_of_four_are_equally_frequent():
    orders = Counter(
        tuple(permute(place, 4, key * 0x9E3779B97F4A7C15 % 2**64) for place in range(4)) for key in range(12_000)
    )
    assert len(orders) == 24
    assert chisquare(list(orders.values())).pvalue > 1e-3


def test_a_place_goes_everywhere_and_neighbours_do_not_stay_together():
    count = 1_000
    random = np.random.default_rng(0)
    keys = random.integers(2**64, size=10_000, dtype=np.uint64).tolist()
    for place in (0, 499, 999):
        assert chisquare(np.bincount([permute(place, count, key) for key in keys], minlength=count)).pvalue > 1e-3
    order = np.array([permute(place, 100_003, 7) for place in range(100_003)])
    drawn = random.permutation(100_003)
    for lag in (1, 2, 1_024):
        ours, theirs = (np.corrcoef(values[:-lag], values[lag:])[0, 1] for values in (order, drawn))
        assert abs(ours) < 0.02
        assert abs(theirs) < 0.02


def test_an_epoch_of_many_windows_has_each_once_and_another_order_than_the_next(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(batches, "TABLE_WINDOWS", 99)
    orders = []
    for epoch in (0, 1):
        offset, order = batches._epoch_order.__wrapped__(0, epoch, 100, 16)
        assert 0 <= offset < 16
        orders.append([order(place) for place in range(100)])
    assert [sorted(order) for order in orders] == [list(range(100))] * 2
    assert orders[0] != orders[1]


def test_the_order_of_ten_trillion_windows_takes_no_memory():
    places = [permute(place, 10**13, 5) for place in range(0, 10**13, 10**10)]
    assert len(set(places)) == 1_000
    assert max(places) > 9 * 10**12
