"""Safetensors files, written so that a full disk is the error of the operating system that it is."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from scratchlm.disk import full_disk_named


def save_tensors(tensors: Mapping[str, torch.Tensor], path: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write a safetensors file; UserError names path and bytes if the disk is full."""
    with full_disk_named(path, tensor_bytes(tensors)):
        try:
            save_file(dict(tensors), path, metadata=dict(metadata) if metadata else None)
        except SafetensorError as error:
            # The library hides the number of the error in its text.
            if (found := re.search(r"\(os error (\d+)\)", str(error))) is None:
                raise
            raise OSError(int(found[1]), os.strerror(int(found[1])), str(path)) from None


def tensor_bytes(tensors: Mapping[str, torch.Tensor]) -> int:
    """What the values of tensors take on a disk."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
