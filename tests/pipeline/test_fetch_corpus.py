"""The stage fetch_corpus, as DVC runs it."""

import io
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from scratchlm.artifacts import read_json
from scratchlm.checksums import sha256_file
from scratchlm.datasets.documents import read_documents
from tests.conftest import Workspace
from tests.file_server import Answer, FileServer


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


@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)])
def test_a_stage_that_was_killed_fetches_only_what_is_missing(
    workspace: Workspace, file_server: FileServer, number: signal.Signals, code: int
):
    revision = "b4325f019c648b1641a1784748667e8b74e5e064"
    workspace.set("fetch_corpus.sources", ["openwebtext"])
    workspace.set("fetch_corpus.openwebtext_revision", revision)
    workspace.set("fetch_corpus.openwebtext_max_files", 2)
    folder = f"/huggingface.co/datasets/Skylion007/openwebtext/resolve/{revision}/plain_text"
    first, second = (f"{folder}/train-0000{index}-of-00080.parquet" for index in range(2))
    file_server.files = {path: parquet(path) for path in (first, second)}
    file_server.script = [Answer(path=second, cut=100, hold=True)]
    stage = workspace.start("fetch_corpus", SCRATCHLM_MIRROR=file_server.url)
    work = workspace.path / ".work"
    wait_until(lambda: any(work.glob("corpus/*.json")) and 100 in [p.stat().st_size for p in work.glob("downloads/*")])
    stage.send_signal(number)
    asked_to_stop = time.monotonic()
    done = stage.wait(timeout_seconds=60)
    assert time.monotonic() - asked_to_stop < 5
    assert done.returncode == code
    assert done.stderr == (
        "" if number == signal.SIGKILL else "fetch_corpus: interrupted; the next run goes on from here.\n"
    )
    corpus = workspace.path / "data/raw/corpus"
    assert not corpus.exists()

    file_server.requests.clear()
    assert workspace.run("fetch_corpus", SCRATCHLM_MIRROR=file_server.url).returncode == 0
    assert file_server.requests == [(second, "bytes=100-", '"v1"')]
    documents = ["".join(parts) for file in sorted(corpus.glob("*.parquet")) for parts in read_documents(file)]
    assert documents == [first, second]


def parquet(text: str) -> bytes:
    """A Parquet file of one document."""
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"text": [text]}), buffer)
    return buffer.getvalue()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 25  # before a silent transfer is broken off
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
