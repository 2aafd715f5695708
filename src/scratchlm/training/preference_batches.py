"""Pairs of responses, batched for preference tuning, with their log-probabilities under the reference model."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from scratchlm.training.batches import Batch, Example, ExampleBatches, collate


@dataclass(frozen=True)
class Pair:
    """The chosen and the rejected response to one prompt, and what the reference model gives them, in nats."""

    chosen: Example
    rejected: Example
    reference: tuple[float, float] = (0.0, 0.0)

    @property
    def longer(self) -> Example:
        """The response that says how wide a batch with this pair is."""
        return max(self.chosen, self.rejected, key=lambda example: len(example.tokens))


class PairBatches(ExampleBatches):
    """Pairs in a new order each epoch, batched with others of similar length; each is one target of a step."""

    def __init__(self, pairs: Sequence[Pair], batch_size: int, micro_batch_size: int, seed: int, pad_id: int) -> None:
        super().__init__([pair.longer for pair in pairs], batch_size, micro_batch_size, seed, pad_id)
        self.pairs = pairs

    def target_count(self, step: int) -> int:
        """The number of pairs of this step."""
        return len(self._members(step))

    def micro_batch(self, step: int, micro_step: int) -> Batch:
        """The pairs of one micro-batch."""
        return collate_pairs([self.pairs[index] for index in self._micro_batches(step)[micro_step]], self.pad_id)


def collate_pairs(pairs: Sequence[Pair], pad_id: int) -> Batch:
    """A batch of twice as many rows: the chosen responses, then the rejected ones."""
    batch = collate([pair.chosen for pair in pairs] + [pair.rejected for pair in pairs], pad_id)
    chosen, rejected = zip(*(pair.reference for pair in pairs), strict=True)
    return replace(batch, reference=torch.tensor([*chosen, *rejected]))
