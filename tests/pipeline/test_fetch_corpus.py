"""The stage fetch_corpus, as DVC runs it."""

from pathlib import Path

from scratchlm.artifacts import read_json, sha256_file
from tests.conftest import Workspace


def test_a_book_of_the_mirror_and_ones_own_file_become_a_corpus(workspace: Workspace, mirror: Path):
    own = workspace.path / "notes.jsonl"
    own.write_text('{"text": "mine"}\n')
    workspace.set("fetch_corpus.sources", ["the_verdict", {"url": "notes.jsonl", "sha256": sha256_file(own)}])
    assert workspace.run("fetch_corpus").returncode == 0
    files = read_json(workspace.path / "data/raw/corpus/manifest.json")["files"]
    assert [file["name"] for file in files] == ["notes.jsonl", "the_verdict.txt"]
    assert (workspace.path / "data/raw/corpus/notes.jsonl").read_bytes() == own.read_bytes()
    assert read_json(workspace.path / "metrics/fetch_corpus.json") == {"files": 2, "bytes": 20_479 + 17}


def test_an_unknown_source_is_one_line(workspace: Workspace):
    workspace.set("fetch_corpus.sources", ["package-docs"])
    result = workspace.run("fetch_corpus")
    assert result.returncode == 1
    assert result.stderr.startswith(
        "fetch_corpus: fetch_corpus.sources has 'package-docs', which is none of package_docs"
    )
    assert result.stderr.count("\n") == 1
