"""The benchmark of sharding's memory runs from nothing."""

import subprocess
import sys

from tests.conftest import ROOT


def test_the_memory_of_sharding_is_measured_on_every_corpus():
    sizes = ["--megabytes", "1", "--text-megabytes", "1", "--tiny", "100"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.shard_memory", *sizes], cwd=ROOT, capture_output=True, text=True, check=True
    )
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in done.stdout.splitlines()[2:]]
    assert len(rows) == 6
    for name, _, seconds, _, own, largest in rows:
        assert float(seconds) > 0, name
        assert 30 < float(own) <= float(largest) < 1_000, name
