"""The stage fetch_instructions, as DVC runs it."""

from pathlib import Path

from scratchlm.artifacts import read_json
from scratchlm.checksums import sha256_file
from scratchlm.datasets.sources import INSTRUCTIONS
from tests.conftest import Workspace


def test_the_books_file_comes_from_the_mirror(workspace: Workspace, mirror: Path):
    workspace.set("fetch_instructions.source", "book")
    assert workspace.run("fetch_instructions").returncode == 0
    sha256 = INSTRUCTIONS["book"].sha256
    assert sha256_file(workspace.path / "data/raw/instructions.json") == sha256
    assert read_json(workspace.path / "metrics/fetch_instructions.json") == {"source_sha256": sha256, "bytes": 203524}
