"""Which examples a step sees: pure functions of (seed, step, micro-batch), so that a resumed run needs no state."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import groupby
from typing import Protocol

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from scratchlm.datasets.shards import TokenShards
from scratchlm.errors import UserError
from scratchlm.training.permutation import permute

TABLE_WINDOWS = 2**24  # whose order is a table, of 134 MB: 17 billion tokens at 1,024
IGNORED = -100  # the target that torch's cross_entropy leaves out
BUCKET_BATCHES = 32  # batches whose examples are sorted by length together: under 2 % of padding, order still random


@dataclass(frozen=True)
class Batch:
    """One micro-batch on one device; `targets` are next tokens (B, T) with -100 where none, or classes (B,).

    `reference` is the log-probability of each row's targets under the model that a preference tuning starts from.
    """

    tokens: torch.Tensor  # (B, T)
    targets: torch.Tensor
    lengths: torch.Tensor  # (B,)
    features: torch.Tensor | None = None  # (B, T, C)
    reference: torch.Tensor | None = None  # (B,)

    @property
    def inputs(self) -> torch.Tensor:
        """What the model reads: features if there are any, else tokens."""
        return self.tokens if self.features is None else self.features

    def to(self, device: torch.device) -> "Batch":
        """The same batch on another device, which a GPU copies while it still computes: from pinned memory."""
        tensors = (self.tokens, self.targets, self.lengths, self.features, self.reference)
        if device.type == "cuda":
            tensors = (tensor if tensor is None else tensor.pin_memory() for tensor in tensors)
        moved = (tensor if tensor is None else tensor.to(device, non_blocking=True) for tensor in tensors)
        return Batch(*moved)  # pyright: ignore


class Batches(Protocol):
    """What the loop asks for: the micro-batches of a step, and the number of targets in the whole step."""

    def micro_steps(self, step: int) -> int:
        """The number of micro-batches of this step."""
        ...

    def micro_batch(self, step: int, micro_step: int) -> Batch:
        """One micro-batch."""
        ...

    def target_count(self, step: int) -> int:
        """The number of targets over all micro-batches of this step."""
        ...


class TokenBatches:
    """Windows of `seq_len` tokens from the training shards: each epoch a new offset and a new permutation."""

    def __init__(self, shards: TokenShards, seq_len: int, batch_tokens: int, micro_batch_size: int, seed: int) -> None:
        self.shards, self.seq_len, self.seed = shards, seq_len, seed
        self.windows = (shards.token_count("train") - 1) // seq_len - 1
        self.batch_size, remainder = divmod(batch_tokens, seq_len)
        self.micro_batch_size = micro_batch_size
        if self.windows < 1:
            raise UserError(
                f"the training split has {shards.token_count('train'):,} tokens, but two windows of {seq_len} are "
                "needed; take a larger corpus, or lower pretrain.context_length or continue_pretraining.seq_len."
            )
        if remainder or self.batch_size % micro_batch_size:
            raise UserError(
                f"batch_tokens {batch_tokens} is no multiple of a micro-batch of {micro_batch_size} windows of "
                f"{seq_len} tokens; change batch_tokens or micro_batch_size."
            )

    def micro_steps(self, step: int) -> int:
        """The number of micro-batches of a step."""
        return self.batch_size // self.micro_batch_size

    def target_count(self, step: int) -> int:
        """Every token of a window has a target."""
        return self.batch_size * self.seq_len

    def micro_batch(self, step: int, micro_step: int) -> Batch:
        """Windows and, one token later, their targets."""
        first = step * self.batch_size + micro_step * self.micro_batch_size
        windows = [self._window(index) for index in range(first, first + self.micro_batch_size)]
        tokens = torch.from_numpy(np.stack(windows))  # (B, T + 1)
        lengths = torch.full((len(windows),), self.seq_len)
        return Batch(tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous(), lengths)

    def _window(self, index: int) -> np.ndarray:
        epoch, position = divmod(index, self.windows)
        offset, order = _epoch_order(self.seed, epoch, self.windows, self.seq_len)
        return self.shards.read("train", offset + order(position) * self.seq_len, self.seq_len + 1)


@lru_cache(maxsize=2)
def _epoch_order(seed: int, epoch: int, windows: int, seq_len: int) -> tuple[int, Callable[[int], int]]:
    """The offset of an epoch, and its permutation: a table of up to 2^24 windows, computed place by place for more."""
    random = np.random.default_rng([seed, epoch])
    offset = int(random.integers(seq_len))
    if windows > TABLE_WINDOWS:
        return offset, partial(permute, count=windows, key=int(random.integers(2**64, dtype=np.uint64)))
    return offset, random.permutation(windows).item


@dataclass(frozen=True)
class Example:
    """One fine-tuning example: its tokens, and as target a class or one next token a position (-100 where none).

    `features` are what frozen blocks give for the tokens, where that is kept.
    """

    tokens: Sequence[int]
    target: int | Sequence[int]
    features: torch.Tensor | None = None  # (T, C)

    @property
    def target_count(self) -> int:
        """How many losses this example contributes."""
        return 1 if isinstance(self.target, int) else sum(token != IGNORED for token in self.target)


class ExampleBatches:
    """Examples in a new order each epoch, batched with others of similar length.

    A micro-batch is padded to its longest example, or to `padded_length` columns; without `mixed_lengths` only
    examples of equal length share one, and nothing is padded.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        batch_size: int,
        micro_batch_size: int,
        seed: int,
        pad_id: int,
        *,
        padded_length: int | None = None,
        mixed_lengths: bool = True,
    ) -> None:
        if not examples:
            raise UserError("the training split has no examples; look at the metrics of the stage that prepared it.")
        self.examples, self.batch_size, self.micro_batch_size = examples, batch_size, micro_batch_size
        self.seed, self.pad_id = seed, pad_id
        self.padded_length, self.mixed_lengths = padded_length, mixed_lengths
        self.lengths = [len(example.tokens) for example in examples]
        self.steps_per_epoch = -(-len(examples) // batch_size)
        self._epoch_order = lru_cache(maxsize=2)(partial(_bucketed_order, seed, self.lengths, batch_size))

    def micro_steps(self, step: int) -> int:
        """The number of micro-batches of this step; the last step of an epoch may have fewer."""
        return len(self._micro_batches(step))

    def target_count(self, step: int) -> int:
        """The number of targets over the examples of this step."""
        return sum(self.examples[index].target_count for index in self._members(step))

    def micro_batch(self, step: int, micro_step: int) -> Batch:
        """The examples of one micro-batch, padded at the right."""
        members = self._micro_batches(step)[micro_step]
        return collate([self.examples[index] for index in members], self.pad_id, self.padded_length)

    def padding_rate(self, epochs: int) -> float:
        """The share of padding in all tokens that so many epochs compute."""
        text = columns = 0
        for step in range(epochs * self.steps_per_epoch):
            for members in self._micro_batches(step):
                lengths = [self.lengths[index] for index in members]
                text += sum(lengths)
                columns += len(lengths) * (self.padded_length or max(lengths))
        return 1 - text / columns

    def _micro_batches(self, step: int) -> list[list[int]]:
        members = self._members(step)  # by length
        groups = [members]
        if not self.mixed_lengths:
            groups = [list(equal) for _, equal in groupby(members, key=lambda index: self.lengths[index])]
        size = self.micro_batch_size
        return [group[first : first + size] for group in groups for first in range(0, len(group), size)]

    def _members(self, step: int) -> list[int]:
        epoch, position = divmod(step, self.steps_per_epoch)
        return self._epoch_order(epoch)[position]


def _bucketed_order(seed: int, lengths: Sequence[int], batch_size: int, epoch: int) -> list[list[int]]:
    """The batches of an epoch as indices of examples, each by length."""
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(len(lengths)).tolist()
    window = BUCKET_BATCHES * batch_size
    batches = []
    for start in range(0, len(order), window):
        bucket = sorted(order[start : start + window], key=lambda index: lengths[index])
        batches += [bucket[first : first + batch_size] for first in range(0, len(bucket), batch_size)]
    random.shuffle(batches)
    return batches


def collate(examples: Sequence[Example], pad_id: int, padded_length: int | None = None) -> Batch:
    """Pad tokens and token targets at the right to the longest example, or to `padded_length` columns.

    Features are padded with zeros to those with most columns.
    """
    columns = padded_length or max(len(example.tokens) for example in examples)
    lengths = torch.tensor([len(example.tokens) for example in examples])
    tokens = torch.full((len(examples), columns), pad_id)
    for row, example in enumerate(examples):
        tokens[row, : len(example.tokens)] = torch.tensor(example.tokens)
    if isinstance(examples[0].target, int):
        features = [example.features for example in examples if example.features is not None]
        padded = pad_sequence(features, batch_first=True) if features else None  # (B, T, C)
        return Batch(tokens, torch.tensor([example.target for example in examples]), lengths, padded)
    targets = torch.full((len(examples), columns), IGNORED)
    for row, example in enumerate(examples):
        targets[row, : len(example.tokens)] = torch.tensor(example.target)
    return Batch(tokens, targets, lengths)
