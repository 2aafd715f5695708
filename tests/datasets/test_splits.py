"""Fractions become sizes without gaps, overlaps or empty parts."""

import pytest

from scratchlm.datasets.splits import cut
from scratchlm.errors import UserError


def test_the_parts_are_the_items_in_order():
    train, val, test = cut(range(1_000), 0.7, 0.1, "items")
    assert [*train, *val, *test] == list(range(1_000))
    assert (len(train), len(val), len(test)) == (700, 100, 200)


def test_truncated_sizes_are_rounded_down():
    sizes = [[len(part) for part in cut(range(1494), 0.7, 0.1, "items", truncate=cuts)] for cuts in (False, True)]
    assert sizes == [[1046, 149, 299], [1045, 149, 300]]


@pytest.mark.parametrize(("size", "fractions"), [(3, (0.7, 0.1)), (0, (0.7, 0.1)), (100, (0.9, 0.1)), (9, (0.9, 0.9))])
def test_an_empty_part_is_an_error_with_the_sizes(size: int, fractions: tuple[float, float]):
    with pytest.raises(UserError, match=rf"{size} items cut by train_fraction .* give train \d+, val \d+, test \d+"):
        cut(range(size), *fractions, what="items")
