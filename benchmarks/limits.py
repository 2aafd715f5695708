"""What this machine can do at most, so that speed can be given as a share of it: `python -m benchmarks.limits`."""

import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import distributions
from pathlib import Path

import torch

from scratchlm.training.device import has_fast_bfloat16

REPEATS = 7
MATRIX = 2_048
# Those that this processor has instructions for: elsewhere one product in bfloat16 takes minutes.
PRECISIONS = ["float32", "bfloat16"] if has_fast_bfloat16() else ["float32"]
COPY_BYTES = READ_BYTES = 512 * 2**20

DESCRIPTIONS = {
    "float32_gflops": "matrix product, float32, as torch.matmul does it, GFLOP/s",
    "float32_onednn_gflops": "the same through oneDNN, GFLOP/s",
    "bfloat16_gflops": "the same in bfloat16, GFLOP/s",
    "copy_gb_per_second": "memory copied, GB/s",
    "read_gb_per_second": "a file read that is not in memory, GB/s",
}


def measure_limits() -> dict[str, float]:
    """The ceilings of the machine at this moment, by the names of DESCRIPTIONS."""
    a, b = torch.randn(MATRIX, MATRIX), torch.randn(MATRIX, MATRIX)
    work = 2e-9 * MATRIX**3
    limits = {"float32_gflops": work / _median_seconds(lambda: a @ b)}
    if torch.backends.mkldnn.is_available():
        onednn = torch.ops.mkldnn._linear_pointwise
        limits["float32_onednn_gflops"] = work / _median_seconds(lambda: onednn(a, b, None, "none", [], ""))
    if "bfloat16" in PRECISIONS:
        low_a, low_b = a.bfloat16(), b.bfloat16()
        limits["bfloat16_gflops"] = work / _median_seconds(lambda: low_a @ low_b)
    source = torch.zeros(COPY_BYTES, dtype=torch.uint8)
    target = torch.empty_like(source)
    limits["copy_gb_per_second"] = COPY_BYTES / 1e9 / _median_seconds(lambda: target.copy_(source))
    limits["read_gb_per_second"] = READ_BYTES / 1e9 / _read_seconds()
    return limits


def peak_gflops(limits: Mapping[str, float], precision: str) -> float:
    """GFLOP/s of the fastest product in one of PRECISIONS."""
    return max(value for name, value in limits.items() if name.startswith(precision))


def describe_machine() -> str:
    """One line: date, processor, cores, versions."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    installed = {package.name: package.version for package in distributions()}
    packages = ", ".join(f"{name} {installed[name]}" for name in ("torch", "numpy", "tiktoken") if name in installed)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{datetime.now(UTC):%Y-%m-%d}, {model}, {cores} cores, Python {platform.python_version()}, {packages}"


def _median_seconds(job: Callable[[], object]) -> float:
    job()
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        job()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def _read_seconds() -> float:
    """Read a file in order after the system was told to forget what it holds of it."""
    with tempfile.NamedTemporaryFile(dir=Path.cwd()) as file:
        file.write(os.urandom(READ_BYTES))
        file.flush()
        os.fsync(file.fileno())
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        start = time.perf_counter()
        with Path(file.name).open("rb", buffering=0) as reader:
            while reader.read(2**22):
                pass
        return time.perf_counter() - start


def print_limits(limits: dict[str, float]) -> None:
    """The machine and its ceilings, a line each."""
    print(describe_machine())
    for name, value in limits.items():
        print(f"- {DESCRIPTIONS[name]}: {value:,.1f}")


if __name__ == "__main__":
    print_limits(measure_limits())
