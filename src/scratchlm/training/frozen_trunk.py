"""What the frozen blocks of a classifier give for a text: computed once and kept, so that a step runs what trains."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Literal

import torch
from torch import nn
from tqdm import tqdm

from scratchlm.models.classifier import GPTClassifier
from scratchlm.models.gpt import Projection
from scratchlm.models.trainable import count_frozen_blocks
from scratchlm.training.batches import Example, collate
from scratchlm.training.device import keep_freed_memory
from scratchlm.training.evaluation import sorted_batches

FLOAT = 4  # bytes of a kept number, whatever the precision


class TopClassifier(GPTClassifier):
    """The blocks and the head of a classifier that train: it reads features where the whole classifier reads tokens.

    The features of a text are the states (T, C) that enter the first block that trains; where only the head does, the
    one state (1, C) that the head reads. Parameters are those of the whole, under the same names.
    """

    def __init__(self, whole: GPTClassifier) -> None:
        super().__init__(whole.trunk, whole.n_classes, whole.readout)
        self.score = whole.score
        self.first_block = count_frozen_blocks(whole.trunk)
        self.has_blocks = self.first_block < len(whole.trunk.h)

    def forward(self, inputs: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Logits (B, K) of features, padded to (B, T, C)."""
        return self.score(self.read(inputs, lengths, self.first_block) if self.has_blocks else inputs[:, 0])

    def feature_bytes(self, examples: Sequence[Example]) -> int:
        """The memory that the features of these examples take, while they are computed."""
        columns = [self.readout.padded_length or len(example.tokens) for example in examples]
        return sum(columns) * self.trunk.config.n_embd * FLOAT


@torch.no_grad()
def add_features(
    model: TopClassifier,
    examples: Sequence[Example],
    batch_size: int,
    pad_id: int,
    precision: Literal["float32", "bfloat16"],
) -> list[Example]:
    """The examples, in their order, with their features in float32.

    All examples go through one block, then through the next: its weights are converted once and stay near.
    """
    keep_freed_memory()
    device = next(model.parameters()).device
    order = sorted_batches(examples, batch_size)
    padded = [collate([examples[index] for index in members], pad_id, model.readout.padded_length) for members in order]
    batches = [batch.to(device) for batch in padded]
    last = len(model.trunk.h) - 1
    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        states = [model.trunk.embed(batch.tokens) for batch in batches]  # each (B, T, C)
        for block in tqdm(model.trunk.h[: min(model.first_block, last)], desc="frozen blocks", disable=None):
            block = _convert_matrices(block) if precision == "bfloat16" else block
            for index, batch in enumerate(batches):
                states[index] = block(states[index], mask=model.attention_mask(states[index], batch.lengths))
        if not model.has_blocks:
            states = [model.read(x, batch.lengths, last)[:, None] for x, batch in zip(states, batches, strict=True)]
    kept = list(examples)
    for members, x in zip(order, states, strict=True):
        for row, index in enumerate(members):
            columns = model.readout.padded_length or len(examples[index].tokens)
            kept[index] = replace(examples[index], features=x[row, :columns].float())
    return kept


def _convert_matrices(block: nn.Module) -> nn.Module:
    """A copy that autocast computes alike: weights that do not train it would convert again for every batch."""
    block = deepcopy(block)
    for module in block.modules():
        if isinstance(module, Projection):
            module.bfloat16()
    return block
