"""The benchmark of start-up and of an idle `dvc repro`."""

import subprocess
from pathlib import Path

import pytest

from benchmarks import graph


def test_a_package_counts_the_time_of_its_own_modules_only():
    log = """import time: self [us] | cumulative | imported package
import time:       100 |        100 |     numpy.linalg
import time:        40 |        140 |   numpy
import time:         7 |        147 | pandas
a warning | of the program
"""
    assert graph.own_microseconds(log) == {"numpy": 140, "pandas": 7}


def test_the_sum_counts_a_stage_as_often_as_the_graph_runs_it():
    figures = {
        name: {"seconds": seconds, **dict.fromkeys(graph.PACKAGES, 0.0)} for name, seconds in {"a": 1, "b": 2}.items()
    }
    assert "| all 3 | 5.0 |" in graph.start_up_table(figures, ["a", "b", "b"])


def test_a_stage_without_a_model_does_not_load_torch():
    figures = graph.start_up("prepare_instructions", rounds=1)
    assert figures["torch"] == figures["tensorflow"] == 0
    assert figures["numpy"] > 0.1


def test_the_empty_graph_has_nothing_to_do(tmp_path: Path):
    graph.make_empty_graph(tmp_path, 2)
    done = subprocess.run([*graph.DVC, "status"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "up to date" in done.stdout
    assert (tmp_path / "out_1").exists()


def test_outputs_that_are_not_in_the_cache_end_the_comparison(tmp_path: Path):
    graph.make_empty_graph(tmp_path, 1)
    (tmp_path / "dvc.yaml").write_text("stages: {stage_0: {cmd: touch new, outs: [new]}}")
    with pytest.raises(SystemExit, match="not up to date"):
        graph.take_outputs(tmp_path)
