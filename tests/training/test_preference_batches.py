"""Pairs in batches: chosen responses above rejected ones, each pair one target, with what the reference gives them."""

from itertools import pairwise

import pytest
import torch

from scratchlm.errors import UserError
from scratchlm.training.batches import IGNORED, Example
from scratchlm.training.preference_batches import Pair, PairBatches, collate_pairs


def numbered_pair(n: int) -> Pair:
    """A pair whose tokens and reference say its number; its rejected response is the longer one."""
    rejected = Example([n] * (3 + n % 5), [IGNORED] * (2 + n % 5) + [n])
    return Pair(Example([n, n], [IGNORED, n]), rejected, (float(n), -float(n)))


PAIRS = [numbered_pair(n) for n in range(1, 12)]


def chosen_of_a_step(batches: PairBatches, step: int) -> list[int]:
    """The numbers of the pairs of a step, in their order."""
    made = [batches.micro_batch(step, micro_step) for micro_step in range(batches.micro_steps(step))]
    return [number for batch in made for number in batch.tokens[: len(batch.tokens) // 2, 0].tolist()]


def test_the_batches_of_an_epoch_hold_every_pair_once_chosen_above_rejected():
    batches = PairBatches(PAIRS, batch_size=4, micro_batch_size=3, seed=0, pad_id=0)
    seen = []
    for step in range(batches.steps_per_epoch):
        count = 0
        for micro_step in range(batches.micro_steps(step)):
            batch = batches.micro_batch(step, micro_step)
            chosen, rejected = batch.tokens[:, 0].chunk(2)
            assert batch.reference is not None
            assert torch.equal(chosen, rejected)
            assert torch.equal(batch.reference, torch.cat([chosen, -rejected]).float())
            seen += chosen.tolist()
            count += len(chosen)
        assert batches.target_count(step) == count
    assert sorted(seen) == list(range(1, 12))


def test_a_batch_of_pairs_is_padded_to_the_longest_response_of_any():
    pairs = [
        Pair(Example([1, 2], [IGNORED, 3]), Example([1], [4]), (-0.5, -1.5)),
        Pair(Example([5], [6]), Example([5, 7, 8], [IGNORED, 8, 9]), (-2.5, -3.5)),
    ]
    batch = collate_pairs(pairs, pad_id=0)
    assert batch.tokens.tolist() == [[1, 2, 0], [5, 0, 0], [1, 0, 0], [5, 7, 8]]
    assert batch.targets.tolist() == [
        [IGNORED, 3, IGNORED],
        [6, IGNORED, IGNORED],
        [4, IGNORED, IGNORED],
        [IGNORED, 8, 9],
    ]
    assert batch.lengths.tolist() == [2, 1, 1, 3]
    assert batch.reference is not None
    assert batch.reference.tolist() == [-0.5, -2.5, -1.5, -3.5]


def test_a_pair_is_as_long_as_the_longer_of_its_responses():
    short, long = Example([1], [2]), Example([1, 2], [2, 3])
    assert Pair(short, long).longer == Pair(long, short).longer == long


def test_pairs_of_similar_length_share_a_batch():
    batches = PairBatches(PAIRS, batch_size=4, micro_batch_size=4, seed=0, pad_id=0)
    widths = [{len(PAIRS[n - 1].longer.tokens) for n in chosen_of_a_step(batches, step)} for step in range(3)]
    ends = sorted((min(width), max(width)) for width in widths)
    assert ends[0][0] == 3
    assert ends[-1][1] == 7
    assert all(below[1] <= above[0] for below, above in pairwise(ends))


def test_the_pairs_of_a_step_depend_on_the_seed_and_not_on_the_micro_batch():
    first, again, other = (
        [chosen_of_a_step(PairBatches(PAIRS, 4, size, seed, pad_id=0), step) for step in range(6)]
        for size, seed in ((4, 0), (1, 0), (4, 1))
    )
    assert first == again
    assert first != other
    assert first[:3] != first[3:]


def test_no_pairs_is_one_line():
    with pytest.raises(UserError, match="no examples"):
        PairBatches([], batch_size=4, micro_batch_size=4, seed=0, pad_id=0)
