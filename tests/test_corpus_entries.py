"""`scratchlm add-corpus` names one's own files in params.yaml, as fetch_corpus then reads them."""

import shutil
from pathlib import Path

import pytest

from scratchlm.checksums import sha256_file
from scratchlm.corpus_entries import add_corpus_files
from scratchlm.errors import UserError
from scratchlm.params import read_yaml
from tests.conftest import ROOT, Workspace


def sources(workspace: Workspace) -> list[object]:
    return read_yaml(workspace.path / "params.yaml")["fetch_corpus"]["sources"]


def test_added_files_are_what_the_stage_fetches(workspace: Workspace, tmp_path: Path):
    (workspace.path / "my").mkdir()
    own, elsewhere = workspace.path / "my/own.txt", tmp_path / "elsewhere.jsonl"
    own.write_text("One text.\n")
    elsewhere.write_text('{"text": "Another."}\n')
    workspace.set("fetch_corpus.sources", ["tinyshakespeare"])
    add_corpus_files([own, elsewhere])
    assert sources(workspace) == [
        "tinyshakespeare",
        {"url": "my/own.txt", "sha256": sha256_file(own)},
        {"url": str(elsewhere), "sha256": sha256_file(elsewhere)},
    ]
    workspace.set("fetch_corpus.sources", sources(workspace)[1:])
    done = workspace.run("fetch_corpus")
    assert done.returncode == 0, done.stderr
    assert (workspace.path / "data/raw/corpus/own.txt").read_bytes() == own.read_bytes()


def test_a_file_that_changed_takes_the_place_of_its_entry(workspace: Workspace):
    own = workspace.path / "own.txt"
    for text in ("before", "after"):
        own.write_text(text)
        add_corpus_files([own])
    assert sources(workspace) == ["package_docs", {"url": "own.txt", "sha256": sha256_file(own)}]


def test_nothing_else_in_the_file_changes(workspace: Workspace):
    file = workspace.path / "params.yaml"
    shutil.copyfile(ROOT / "recipes/sample.yaml", file)
    before = file.read_text().splitlines()
    (workspace.path / "own.txt").write_text("text")
    add_corpus_files([workspace.path / "own.txt"])
    after = file.read_text().splitlines()
    assert set(before) - set(after) == {"  sources: [package_docs]"}
    assert len(after) == len(before) + 2


@pytest.mark.parametrize(("name", "message"), [("own.docx", r"ends in '\.docx'"), ("none.txt", "is no file")])
def test_what_is_no_corpus_file_leaves_the_parameters(workspace: Workspace, name: str, message: str):
    (workspace.path / "own.docx").write_text("text")
    before = (workspace.path / "params.yaml").read_bytes()
    with pytest.raises(UserError, match=message):
        add_corpus_files([workspace.path / name])
    assert (workspace.path / "params.yaml").read_bytes() == before
