"""The table of the devices: a heading a device, a row a task, and a word about what the rates are compared with."""

from collections.abc import Iterator

from scratchlm.reporting.bench_table import HEADER, bench_table
from scratchlm.training.bench import Result

STEP = Result("cpu, 2 threads", "training step", "float32", 0.5, 0.25, 1.25, 4_096.0, "tokens/s", 1.0)
MATMUL = Result("cpu, 2 threads", "matmul 1024", "bfloat16", 0.002, 0.001, 0.003, 1_073.7, "GFLOP/s", 2.5)
FASTER = Result("an accelerator", "training step", "float32", 0.005, 0.004, 0.006, 409_600.0, "tokens/s", 100.0)


def test_each_device_has_a_heading_and_its_rows_below():
    lines = list(bench_table([STEP, MATMUL, FASTER]))
    assert lines[:2] == ["cpu, 2 threads", HEADER]
    assert lines[4:6] == ["an accelerator", HEADER]
    step, matmul = (" ".join(line.split()) for line in lines[2:4])
    assert step == "training step float32 500.00 250.00 - 1,250.00 4,096.0 tokens/s 1.00"
    assert matmul == "matmul 1024 bfloat16 2.00 1.00 - 3.00 1,073.7 GFLOP/s 2.50"
    assert len({len(line) for line in (HEADER, *lines[2:4], lines[6])}) == 1


def test_only_a_cpu_alone_is_told_that_no_accelerator_was_found():
    assert any("No accelerator" in line for line in bench_table([STEP, MATMUL]))
    assert not any("No accelerator" in line for line in bench_table([STEP, FASTER]))


def test_a_cpu_without_bfloat16_is_told_so():
    assert any("bfloat16 is left out" in line for line in bench_table([STEP, FASTER]))
    assert not any("bfloat16 is left out" in line for line in bench_table([STEP, MATMUL]))


def test_a_row_is_there_as_soon_as_it_is_measured():
    measured = []

    def measure() -> Iterator[Result]:
        for result in (STEP, FASTER):
            measured.append(result)
            yield result

    lines = bench_table(measure())
    assert (next(lines), next(lines)) == (STEP.device, HEADER)
    assert next(lines).startswith("training step")
    assert measured == [STEP]
