"""The stage prepare_instructions, as DVC runs it."""

from pathlib import Path

from scratchlm.artifacts import read_json, read_jsonl, write_json
from scratchlm.checksums import write_sha256
from tests.conftest import Workspace

RAW = Path("data/raw/instructions.json")


def test_counts_are_those_of_the_files_written(workspace: Workspace):
    entries = [{"instruction": f"Count to {n % 40}.", "input": "", "output": str(n)} for n in range(45)]
    write_json(RAW, entries)
    write_sha256(RAW)
    assert workspace.run("prepare_instructions").returncode == 0
    sizes = {
        name: len(read_jsonl(workspace.path / f"data/instructions/{name}.jsonl")) for name in ("train", "val", "test")
    }
    counts = {"entries": 45, "distinct": 40, "duplicates": 5, "leaks": 0, "test_in_train": 0}
    near = ("near_duplicates", "near_duplicates_dropped", "near_duplicates_within_split", "test_near_train")
    counts |= dict.fromkeys(near, 0)
    assert read_json(workspace.path / "metrics/prepare_instructions.json") == counts | sizes
    assert sizes == {"train": 34, "val": 2, "test": 4}


def test_a_wrong_entry_is_one_line(workspace: Workspace):
    write_json(RAW, [{"instruction": "Greet."}])
    write_sha256(RAW)
    result = workspace.run("prepare_instructions")
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert "entry 1 has no output" in result.stderr
