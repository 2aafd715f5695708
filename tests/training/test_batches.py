"""Each epoch sees everything once; what a step sees depends on nothing but seed and step."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch

from scratchlm.errors import UserError
from scratchlm.training.batches import IGNORED, Example, ExampleBatches, TokenBatches, collate
from tests.training.conftest import LENGTH, MemoryShards


def test_targets_are_the_next_tokens(shards: MemoryShards):
    batch = TokenBatches(shards, LENGTH, 4 * LENGTH, 2, seed=0).micro_batch(3, 1)
    assert batch.tokens.shape == batch.targets.shape == (2, LENGTH)
    assert torch.equal(batch.tokens[:, 1:], batch.targets[:, :-1])


def test_micro_batches_cut_the_same_batch(shards: MemoryShards):
    whole = TokenBatches(shards, LENGTH, 4 * LENGTH, 4, seed=0).micro_batch(5, 0)
    parts = [TokenBatches(shards, LENGTH, 4 * LENGTH, 1, seed=0).micro_batch(5, index) for index in range(4)]
    assert torch.equal(whole.tokens, torch.cat([part.tokens for part in parts]))


def test_an_epoch_reads_every_window_once(shards: MemoryShards):
    shards.splits["train"] = np.arange(500)
    batches = TokenBatches(shards, LENGTH, LENGTH, 1, seed=0)
    starts = [int(batches.micro_batch(step, 0).tokens[0, 0]) for step in range(2 * batches.windows)]
    for epoch in (starts[: batches.windows], starts[batches.windows :]):
        assert len(set(epoch)) == batches.windows
        assert {start % LENGTH for start in epoch} == {epoch[0] % LENGTH}
    assert starts[: batches.windows] != starts[batches.windows :]


def test_the_seed_changes_the_order(shards: MemoryShards):
    first, second = (TokenBatches(shards, LENGTH, LENGTH, 1, seed).micro_batch(0, 0).tokens for seed in (0, 1))
    assert not torch.equal(first, second)


@pytest.mark.parametrize(("batch_tokens", "micro_batch_size"), [(4 * LENGTH + 1, 1), (4 * LENGTH, 3)])
def test_a_batch_that_does_not_divide_is_refused(shards: MemoryShards, batch_tokens: int, micro_batch_size: int):
    with pytest.raises(UserError, match="batch_tokens"):
        TokenBatches(shards, LENGTH, batch_tokens, micro_batch_size, seed=0)


def test_a_corpus_shorter_than_two_windows_is_refused(shards: MemoryShards):
    with pytest.raises(UserError, match="500 tokens"):
        TokenBatches(shards, 400, 400, 1, seed=0)


def examples(count: int) -> list[Example]:
    random = np.random.default_rng(0)
    return [Example(list(range(1, random.integers(2, 40))), index) for index in range(count)]


def test_an_epoch_reads_every_example_once_whatever_the_micro_batch():
    for micro_batch_size in (1, 3, 8):
        batches = ExampleBatches(examples(101), 8, micro_batch_size, seed=0, pad_id=0)
        seen: Counter[int] = Counter()
        for step in range(batches.steps_per_epoch):
            targets = [batches.micro_batch(step, micro).targets for micro in range(batches.micro_steps(step))]
            assert sum(map(len, targets)) == batches.target_count(step)
            seen.update(torch.cat(targets).tolist())
        assert seen == Counter(range(101))


def test_bucketing_leaves_little_padding():
    batches = ExampleBatches(examples(400), 8, 8, seed=0, pad_id=0)
    assert batches.padding_rate(epochs=3) < 0.06


@pytest.mark.parametrize("settings", [{}, {"padded_length": 50}, {"mixed_lengths": False}])
def test_the_padding_rate_is_that_of_the_batches(settings: dict[str, Any]):
    batches = ExampleBatches(examples(101), 8, 3, seed=0, pad_id=0, **settings)
    steps = range(2 * batches.steps_per_epoch)
    made = [batches.micro_batch(step, micro) for step in steps for micro in range(batches.micro_steps(step))]
    padding = sum(int((batch.tokens == 0).sum()) for batch in made)
    assert batches.padding_rate(epochs=2) == pytest.approx(padding / sum(batch.tokens.numel() for batch in made))


def test_collate_pads_at_the_right():
    batch = collate([Example([5, 6, 7], [IGNORED, 7, 9]), Example([8], [9])], pad_id=0)
    assert batch.tokens.tolist() == [[5, 6, 7], [8, 0, 0]]
    assert batch.targets.tolist() == [[IGNORED, 7, 9], [9, IGNORED, IGNORED]]
    assert batch.lengths.tolist() == [3, 1]


def test_batches_without_padding_hold_equal_lengths_and_the_same_examples():
    padded, unpadded = (ExampleBatches(examples(101), 8, 4, 0, 0, mixed_lengths=mixed) for mixed in (True, False))
    for step in range(padded.steps_per_epoch):
        made = [unpadded.micro_batch(step, micro) for micro in range(unpadded.micro_steps(step))]
        assert all((batch.lengths == batch.tokens.shape[1]).all() for batch in made)
        assert max(len(batch.targets) for batch in made) <= 4
        expected = [padded.micro_batch(step, micro).targets for micro in range(padded.micro_steps(step))]
        assert torch.cat([batch.targets for batch in made]).tolist() == torch.cat(expected).tolist()
    assert any(len(unpadded.micro_batch(step, 0).targets) > 1 for step in range(unpadded.steps_per_epoch))


def test_a_padded_length_is_that_of_every_batch():
    batches = ExampleBatches(examples(16), 8, 4, 0, pad_id=7, padded_length=50)
    batch = batches.micro_batch(0, 1)
    assert batch.tokens.shape == (4, 50)
    assert (batch.tokens[torch.arange(50) >= batch.lengths[:, None]] == 7).all()


def test_no_examples_is_one_line():
    with pytest.raises(UserError, match="no examples"):
        ExampleBatches([], 8, 8, seed=0, pad_id=0)
