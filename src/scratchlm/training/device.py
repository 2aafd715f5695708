"""The device of this machine: a fact of the run, never a parameter."""

import sys

import torch


def pick_device() -> torch.device:
    """The accelerator if there is one, else the CPU."""
    if torch.accelerator.is_available() and (accelerator := torch.accelerator.current_accelerator()):
        return accelerator
    return torch.device("cpu")


def has_fast_bfloat16() -> bool:
    """Whether this CPU has bfloat16 instructions, avx512_bf16 or AMX."""
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def warn_if_slow(precision: str, device: torch.device) -> None:
    """Print one line where bfloat16 is emulated: on a CPU without bfloat16 instructions it is 100 times slower."""
    if precision == "bfloat16" and device.type == "cpu" and not has_fast_bfloat16():
        print("bfloat16 is slow on a processor without avx512_bf16 or AMX; set precision: float32.", file=sys.stderr)
