"""What a cluster runs: the Slurm script is valid, and the script that shards does what the stage does."""

import subprocess
import sys
from pathlib import Path

import pytest

from scratchlm.datasets.shards import TokenShards
from tests.conftest import ROOT, Workspace
from tests.corpora import write_byte_tokenizer, write_corpus

FOLDER = ROOT / "recipes/cluster"


@pytest.mark.parametrize("script", sorted(FOLDER.glob("*.sbatch")), ids=lambda path: path.name)
def test_a_slurm_script_is_valid_bash_and_leaves_the_processes_to_torchrun(script: Path):
    subprocess.run(["bash", "-n", script], check=True)
    directives = [line.split()[1] for line in script.read_text().splitlines() if line.startswith("#SBATCH ")]
    assert "--ntasks-per-node=1" in directives
    assert "--requeue" in directives


def test_the_script_leaves_nothing_to_the_stage_but_to_collect(workspace: Workspace):
    texts = [f"text {number} " * 9 for number in range(40)]
    write_corpus(workspace.path / "data/raw/corpus", {"a.jsonl": texts[:20], "b.jsonl": texts[20:]})
    write_byte_tokenizer(workspace.path / "data/tokenizer")
    workspace.set("shard_corpus.val_fraction", 0.3)
    command = [sys.executable, FOLDER / "shard_corpus.py", "local", "--workers", "1"]
    subprocess.run(command, cwd=workspace.path, env=workspace.environment(), check=True, capture_output=True)
    written = {path: path.stat().st_mtime_ns for path in workspace.path.glob(".work/shard_corpus/*/files/*/*")}
    assert len(written) > 4
    assert workspace.run("shard_corpus").returncode == 0
    assert {path: path.stat().st_mtime_ns for path in written} == written
    assert TokenShards(workspace.path / "data/tokens").document_count("train") > 20
