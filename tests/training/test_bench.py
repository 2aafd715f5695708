"""The benchmark of the devices: what it times, and when it reads the clock."""

import time
from functools import partial

import pytest
import torch

from scratchlm.models.gpt import GPTConfig
from scratchlm.training import bench

SHAPE = GPTConfig(n_layer=1, n_head=2, n_embd=16, context_length=8, vocab_size=32, dropout=0.0)
CPU = torch.device("cpu")


def test_every_task_is_measured_on_the_cpu_and_compared_with_it():
    results = list(bench.bench_devices([CPU, CPU], [16, 32], SHAPE))
    tasks = ["matmul 16", "matmul 32", "training step"]
    precisions = ["float32", "bfloat16"] if bench.has_fast_bfloat16() else ["float32"]
    expected = [(precision, task) for precision in precisions for task in tasks]
    assert [(result.precision, result.task) for result in results] == expected * 2
    base = {result.task: result.rate for result in results[:3]}
    for result in results:
        assert 0 < result.seconds_low <= result.seconds <= result.seconds_high
        assert result.ratio_to_cpu == pytest.approx(result.rate / base[result.task])
    amounts = {result.task: result.rate * result.seconds for result in results}
    assert amounts == pytest.approx({"matmul 16": 8192e-9, "matmul 32": 65536e-9, "training step": 8 * 8})


def test_the_clock_is_read_when_the_device_has_nothing_left_to_do():
    events: list[str] = []

    def work_on() -> None:
        """A device that takes work at once, and has done it when it is waited for."""
        if events and events[-1] == "run":
            time.sleep(0.01)
        events.append("wait")

    seconds = bench.time_runs(lambda: events.append("run"), work_on)
    assert events == ["wait", "run", "wait"] * (bench.WARM_UPS + bench.REPEATS)
    assert len(seconds) == bench.REPEATS
    assert min(seconds) >= 0.01


def test_a_slow_task_is_run_a_few_times_only(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bench, "PATIENCE_SECONDS", 0.005)
    runs: list[int] = []

    def run() -> None:
        runs.append(1)
        time.sleep(0.01)

    assert len(bench.time_runs(run, lambda: None)) == bench.MIN_REPEATS
    assert len(runs) == 1 + bench.MIN_REPEATS


def test_an_accelerator_is_waited_for_by_its_index_and_a_cpu_is_not():
    wait = bench.synchronizer(torch.device("cuda", 1))
    assert isinstance(wait, partial)
    assert (wait.func, wait.args) == (torch.accelerator.synchronize, (torch.device("cuda", 1),))
    assert bench.synchronizer(CPU)() is None


def test_the_cpu_is_found_first_and_named_with_its_threads():
    devices = bench.find_devices()
    assert devices[0] == CPU
    assert len(devices) == 1 + (torch.accelerator.device_count() if torch.accelerator.is_available() else 0)
    assert bench.device_name(CPU).endswith(f", {torch.get_num_threads()} threads")


@pytest.mark.gpu
def test_an_accelerator_is_measured_beside_the_cpu():
    devices = bench.find_devices()[:2]
    names = {result.device for result in bench.bench_devices(devices, [64], SHAPE)}
    assert names == {bench.device_name(device) for device in devices}
    assert len(names) == 2
