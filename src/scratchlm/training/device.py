"""The device and the compiler of this machine: facts of the run, never parameters."""

import ctypes
import os
import shutil
import sys
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch

from scratchlm.errors import UserError
from scratchlm.processes import local_rank, process_count

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, LARGEST_INT = -1, -3, 2**31 - 1  # of glibc's malloc.h

P = ParamSpec("P")
T = TypeVar("T")


def pick_device() -> torch.device:
    """The accelerator if there is one, of several processes each one's own; else the CPU."""
    if torch.accelerator.is_available() and (accelerator := torch.accelerator.current_accelerator()):
        return torch.device(accelerator.type, local_rank()) if process_count() > 1 else accelerator
    return torch.device("cpu")


def has_fast_bfloat16() -> bool:
    """Whether this CPU has bfloat16 instructions, avx512_bf16 or AMX."""
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def keep_freed_memory() -> None:
    """Let glibc keep the large blocks that are freed: the next step then finds its memory there, mapped already."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, LARGEST_INT)
        libc.mallopt(M_TRIM_THRESHOLD, LARGEST_INT)


def warn_if_slow(precision: str, device: torch.device) -> None:
    """Print one line where bfloat16 is emulated: on a CPU without bfloat16 instructions it is 100 times slower."""
    if precision == "bfloat16" and device.type == "cpu" and not has_fast_bfloat16():
        print("bfloat16 is slow on a processor without avx512_bf16 or AMX; set precision: float32.", file=sys.stderr)


def compile_loss(loss_fn: Callable[P, T]) -> Callable[P, T]:
    """A loss function that torch compiles at its first call; UserError where there is no C++ compiler.

    The model that it is given stays as it is: the names of its parameters do not change, and what else runs it,
    evaluation and sampling with their many shapes, is not compiled.
    """
    compiler = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")  # the one that torch takes
    if shutil.which(compiler) is None:
        raise UserError(f"compile is true, but there is no C++ compiler {compiler}; install it or set compile: false.")
    return torch.compile(loss_fn)
