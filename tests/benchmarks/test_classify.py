"""The benchmark of classification runs from nothing."""

import subprocess
import sys
from pathlib import Path

from scratchlm.datasets.sources import SMS_SPAM
from tests.conftest import ROOT

TINY = ["--shape", "2", "2", "16", "--epochs", "1", "--exact-steps", "3"]


def test_ours_is_timed_and_compared_with_the_plain_computation(mirror: Path):
    data = mirror / SMS_SPAM["uci"].urls[0].removeprefix("https://")
    command = [sys.executable, "-m", "benchmarks.classify", "--data", data, *TINY]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = [line.split(" | ") for line in done.stdout.splitlines() if line.startswith("| ours")]
    assert [name for name, *_ in rows] == ["| ours, float32", "| ours, bfloat16"]
    assert all(0 < float(training) < float(whole) for _, training, whole, *_ in rows)
    exact, rounded = (float(line.split()[-4]) for line in done.stdout.splitlines() if "differ by at most" in line)
    assert exact < 1e-5
    assert exact < rounded < 0.1
