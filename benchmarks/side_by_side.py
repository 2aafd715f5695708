"""Contestants run in turn on the same cores, each as a whole process, and the table of what they took."""

import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]
SAMPLE_SECONDS = 0.02  # between two looks at the memory of a process

Figures = Mapping[str, float]


def read_last_line(output: str) -> Figures:
    """The figures of a program that prints a JSON object as its last line."""
    return json.loads(output.strip().splitlines()[-1])


@dataclass(frozen=True)
class Contestant:
    """A command, where it runs, and how its own figures are read from what it prints."""

    name: str
    command: Sequence[str | Path]
    folder: Path = ROOT
    environment: Mapping[str, str] = field(default_factory=dict)
    read: Callable[[str], Figures] = read_last_line


def run_in_turn(contestants: Sequence[Contestant], rounds: int) -> dict[str, list[Figures]]:
    """The figures of every run, A B A B ...: a machine whose speed drifts then drifts for all."""
    runs: dict[str, list[Figures]] = {contestant.name: [] for contestant in contestants}
    for number in range(1, rounds + 1):
        for contestant in contestants:
            print(f"round {number} of {rounds}: {contestant.name}", file=sys.stderr, flush=True)
            runs[contestant.name].append(run(contestant))
    return runs


def run(contestant: Contestant) -> Figures:
    """`seconds` of the whole process, `peak_mb` of it and all that it starts together, and what it prints of itself."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", **contestant.environment}
    with tempfile.TemporaryFile("w+") as output:
        start = time.perf_counter()
        process = subprocess.Popen(
            list(map(str, contestant.command)), cwd=contestant.folder, env=environment, stdout=output
        )
        peak: list[int] = [0]
        watcher = threading.Thread(target=_watch_memory, args=(process.pid, peak))
        watcher.start()
        status = process.wait()
        seconds = time.perf_counter() - start
        watcher.join()
        output.seek(0)
        text = output.read()
    if status:
        sys.exit(f"{contestant.name} failed with exit code {status}.")
    return {"seconds": seconds, "peak_mb": peak[0] / 1e6, **contestant.read(text)}


def _watch_memory(pid: int, peak: list[int]) -> None:
    with suppress(psutil.NoSuchProcess):
        parent = psutil.Process(pid)
        while parent.is_running() and parent.status() != psutil.STATUS_ZOMBIE:
            total = 0
            for process in [parent, *parent.children(recursive=True)]:
                with suppress(psutil.NoSuchProcess):
                    total += process.memory_info().rss
            peak[0] = max(peak[0], total)
            time.sleep(SAMPLE_SECONDS)


def table(
    runs: Mapping[str, Sequence[Figures]], columns: Mapping[str, str], ratio_of: str = "seconds"
) -> Iterator[str]:
    """Markdown: for each contestant the median of each column, its lowest and highest value, and how many times faster.

    The ratio is that of the first contestant's `ratio_of` to this one's, the median over the rounds.
    """
    first = next(iter(runs.values()))
    yield "| | " + " | ".join([*columns.values(), "times faster"]) + " |"
    yield "|---" * (len(columns) + 2) + "|"
    for name, own in runs.items():
        ratios = [theirs[ratio_of] / ours[ratio_of] for theirs, ours in zip(first, own, strict=True)]
        cells = [spread([figures[key] for figures in own if key in figures]) for key in columns]
        yield "| " + " | ".join([name, *cells, f"{statistics.median(ratios):.2f}"]) + " |"


def spread(values: Sequence[float]) -> str:
    """The median, and if there are more values the lowest and the highest, with three figures at least."""
    if not values:
        return ""
    low, median, high = (_three_figures(value) for value in (min(values), statistics.median(values), max(values)))
    return median if low == high else f"{median} ({low} to {high})"


def _three_figures(value: float) -> str:
    digits = 0 if value == 0 else max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{digits}f}"


def growth_exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """The slope of log(value) over log(size) by least squares: 1 is linear, 0 does not grow."""
    return statistics.linear_regression([math.log(size) for size in sizes], [math.log(value) for value in values]).slope
