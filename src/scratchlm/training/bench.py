"""How fast the devices of this machine are: matrix products, and training steps of a small GPT."""

import platform
import re
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from scratchlm.models.gpt import GPT
from scratchlm.models.gpt_config import GPTConfig
from scratchlm.training.batches import Batch
from scratchlm.training.device import has_fast_bfloat16
from scratchlm.training.losses import next_token_loss

REPEATS, MIN_REPEATS, WARM_UPS = 10, 3, 3
PATIENCE_SECONDS = 5.0  # then no run of a task is begun that need not be
SHAPE = GPTConfig(n_layer=4, n_head=4, n_embd=256, context_length=256, vocab_size=4_096, dropout=0.0)
BATCH_SIZE = 8

Run = Callable[[], Any]


@dataclass(frozen=True)
class Task:
    """What is timed, and how many units one run does."""

    name: str
    precision: str
    amount: float
    unit: str
    run: Run


@dataclass(frozen=True)
class Result:
    """Median and quartiles of the seconds that a task took, and what it did a second, at the median."""

    device: str
    task: str
    precision: str
    seconds: float
    seconds_low: float
    seconds_high: float
    rate: float
    unit: str
    ratio_to_cpu: float  # in float32, whatever the precision here


def find_devices() -> list[torch.device]:
    """The CPU, then every accelerator that torch can use."""
    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    if accelerator is None:
        return [torch.device("cpu")]
    indices = range(torch.accelerator.device_count())
    return [torch.device("cpu"), *(torch.device(accelerator.type, index) for index in indices)]


def bench_devices(devices: Sequence[torch.device], sizes: Sequence[int], shape: GPTConfig) -> Iterator[Result]:
    """The results of all tasks on the CPU, which is the first device, then on the others; each as it is measured.

    bfloat16 is left out on a CPU that would emulate it, 100 times slower.
    """
    cpu_rates: dict[str, float] = {}
    for device in devices:
        for task in _tasks(device, sizes, shape):
            seconds = time_runs(task.run, synchronizer(device))
            low, median, high = statistics.quantiles(seconds, n=4)
            rate = task.amount / median
            ratio = rate / cpu_rates.setdefault(task.name, rate)
            yield Result(device_name(device), task.name, task.precision, median, low, high, rate, task.unit, ratio)


def synchronizer(device: torch.device) -> Run:
    """What waits until a device has done its work; a CPU has, when a call returns."""
    return (lambda: None) if device.type == "cpu" else partial(torch.accelerator.synchronize, device)


def time_runs(run: Run, synchronize: Run) -> list[float]:
    """The seconds of up to 10 runs, after up to 3 that do not count: slow ones are fewer.

    An accelerator takes its work and goes on alone, so the clock is read only when nothing is left to do.
    """

    def timed_run() -> float:
        synchronize()
        start = time.perf_counter()
        run()
        synchronize()
        return time.perf_counter() - start

    def repeat(least: int, most: int) -> list[float]:
        seconds: list[float] = []
        while len(seconds) < least or (len(seconds) < most and sum(seconds) < PATIENCE_SECONDS):
            seconds.append(timed_run())
        return seconds

    repeat(1, WARM_UPS)
    return repeat(MIN_REPEATS, REPEATS)


def device_name(device: torch.device) -> str:
    """The device and its model, such as `cuda:0 NVIDIA H200`; of a CPU also the threads that torch uses."""
    if device.type == "cpu":
        cpuinfo = Path("/proc/cpuinfo")  # on Linux, Python knows less
        models = re.findall(r"^model name\s*: (.*)$", cpuinfo.read_text() if cpuinfo.is_file() else "", re.MULTILINE)
        return f"cpu {models[0] if models else platform.processor()}, {torch.get_num_threads()} threads"
    module = torch.get_device_module(device)
    return f"{device} {module.get_device_name(device)}" if hasattr(module, "get_device_name") else str(device)


def _tasks(device: torch.device, sizes: Sequence[int], shape: GPTConfig) -> Iterator[Task]:
    precisions = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    if device.type == "cpu" and not has_fast_bfloat16():
        del precisions["bfloat16"]
    for precision, dtype in precisions.items():
        for size in sizes:
            yield Task(f"matmul {size}", precision, 2e-9 * size**3, "GFLOP/s", _matmul(device, dtype, size))
        step = _training_step(device, dtype, shape)
        yield Task("training step", precision, BATCH_SIZE * shape.context_length, "tokens/s", step)


def _matmul(device: torch.device, dtype: torch.dtype, size: int) -> Run:
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(size, size, generator=generator).to(device, dtype) for _ in range(2))
    return partial(torch.matmul, a, b)


def _training_step(device: torch.device, dtype: torch.dtype, shape: GPTConfig) -> Run:
    """Forward, backward and AdamW of a new model; bfloat16 means autocast, as in the training loop."""
    model = GPT(shape)
    model.init_weights(seed=0)
    optimizer = torch.optim.AdamW(model.to(device).train().parameters(), fused=True)
    window = (BATCH_SIZE, shape.context_length + 1)
    tokens = torch.randint(shape.vocab_size, window, generator=torch.Generator().manual_seed(0)).to(device)
    batch = Batch(tokens[:, :-1], tokens[:, 1:], torch.full((BATCH_SIZE,), shape.context_length))

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=dtype == torch.bfloat16):
            loss = next_token_loss(model, batch) / batch.tokens.numel()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step
