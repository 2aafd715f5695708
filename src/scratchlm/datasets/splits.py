"""Cuts shuffled examples into train, val and test."""

from collections.abc import Sequence
from typing import TypeVar

from scratchlm.errors import UserError

Item = TypeVar("Item")


def cut(
    items: Sequence[Item], train_fraction: float, val_fraction: float, what: str, truncate: bool = False
) -> tuple[Sequence[Item], Sequence[Item], Sequence[Item]]:
    """Train, val and test in the order of the items, test being what the two fractions leave; none may be empty.

    The ends are rounded; with `truncate` the sizes of train and val are rounded down, as the book does.
    """
    if truncate:
        train_end = int(len(items) * train_fraction)
        val_end = train_end + int(len(items) * val_fraction)
    else:
        train_end = round(len(items) * train_fraction)
        val_end = round(len(items) * (train_fraction + val_fraction))
    parts = items[:train_end], items[train_end:val_end], items[val_end:]
    if not all(parts):
        sizes = ", ".join(f"{name} {len(part)}" for name, part in zip(("train", "val", "test"), parts, strict=True))
        raise UserError(
            f"{len(items)} {what} cut by train_fraction {train_fraction} and val_fraction {val_fraction} give {sizes}; "
            "change the fractions so that none is empty."
        )
    return parts
