"""Preferences: two responses to an instruction, one chosen, one rejected; read, and split as the instructions are."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from pydantic import Field

from scratchlm.datasets.entries import SPLITS, Entry, Key, entry_key, read_entries
from scratchlm.datasets.splits import cut
from scratchlm.errors import UserError
from scratchlm.params import Schema, Seed


class PreferenceSplitConfig(Schema):
    """How the instructions that stand in no split of `data/instructions` are ordered and split."""

    seed: Seed
    train_fraction: float = Field(gt=0, lt=1)
    val_fraction: float = Field(gt=0, lt=1)


def read_preferences(path: Path) -> list[Entry]:
    """Read a JSON array or JSON Lines of objects with instruction, chosen, rejected and, if any, input.

    Other fields, such as the book's `output`, are left out.
    """
    return read_entries(path, ("instruction", "input", "chosen", "rejected"), source="fetch_preferences.source")


def split_preferences(
    entries: Sequence[Entry], instructions: Mapping[str, Sequence[Entry]], config: PreferenceSplitConfig
) -> tuple[dict[str, list[Entry]], dict[str, int]]:
    """The preferences of train, val and test, and the counts of what was done.

    A preference goes where its instruction and input stand among the `instructions`: no instruction that a model was
    tuned on is in test, and none that its answers are measured on is in train. The other instructions are shuffled and
    cut; all preferences of one stand in one split. Repeated ones, and those of two equal responses, are dropped.
    """
    distinct = list({tuple(entry.values()): entry for entry in entries}.values())
    kept = [entry for entry in distinct if entry["chosen"] != entry["rejected"]]
    known = {entry_key(entry): name for name in reversed(SPLITS) for entry in instructions[name]}
    new = list(dict.fromkeys(entry_key(entry) for entry in kept if entry_key(entry) not in known))
    places = known | _cut(new, config)
    splits: dict[str, list[Entry]] = {name: [] for name in SPLITS}
    for entry in kept:
        splits[places[entry_key(entry)]].append(entry)
    for name, part in splits.items():
        if not part:
            raise UserError(
                f"no preference stands in {name}; take more of them, or raise its share of prepare_preferences."
            )
    reversed_pairs = Counter((*entry_key(entry), *sorted((entry["chosen"], entry["rejected"]))) for entry in kept)
    return splits, {
        "preferences": len(entries),
        "repeated": len(entries) - len(distinct),
        "undecided": len(distinct) - len(kept),
        "contradictory": sum(count > 1 for count in reversed_pairs.values()),
        "known_instructions": len({entry_key(entry) for entry in kept} & known.keys()),
        "new_instructions": len(new),
        **{name: len(part) for name, part in splits.items()},
    }


def _cut(keys: Sequence[Key], config: PreferenceSplitConfig) -> dict[Key, str]:
    if len(keys) < len(SPLITS):
        return dict.fromkeys(keys, SPLITS[0])
    order = np.random.default_rng(config.seed).permutation(len(keys))
    parts = cut([keys[index] for index in order], config.train_fraction, config.val_fraction, what="instructions")
    return {key: name for name, part in zip(SPLITS, parts, strict=True) for key in part}
