"""Sources become files with a manifest, and files become documents."""

from pathlib import Path

import pytest

from scratchlm.checksums import read_sealed, sha256_file
from scratchlm.datasets.corpus import CorpusConfig, fetch_corpus
from scratchlm.datasets.sources import TEXTS, FileSource
from scratchlm.errors import UserError
from tests.file_server import FileServer

REVISION = "b4325f019c648b1641a1784748667e8b74e5e064"


def config(*sources: str | FileSource, max_files: int = 1) -> CorpusConfig:
    return CorpusConfig(sources=list(sources), openwebtext_revision=REVISION, openwebtext_max_files=max_files)


def own_file(path: Path, content: str | bytes) -> FileSource:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return FileSource(url=str(path), sha256=sha256_file(path))


def openwebtext_path(index: int) -> str:
    """Where a mirror holds a file of OpenWebText."""
    folder = "/huggingface.co/datasets/Skylion007/openwebtext/resolve"
    return f"{folder}/{REVISION}/plain_text/train-{index:05d}-of-00080.parquet"


def test_books_come_from_the_mirror_with_a_manifest_written_last(project: Path, mirror: Path):
    manifest = fetch_corpus(config("tinyshakespeare", "the_verdict"), project / "corpus")
    assert read_sealed(project / "corpus/manifest.json", {"files": list}) == manifest
    assert [file["name"] for file in manifest["files"]] == ["the_verdict.txt", "tinyshakespeare.txt"]
    for file in manifest["files"]:
        path = project / "corpus" / file["name"]
        source = TEXTS[path.stem]
        assert (file["url"], file["sha256"], file["licence"]) == (source.urls[0], source.sha256, source.licence)
        assert (file["bytes"], file["sha256"]) == (path.stat().st_size, sha256_file(path))


def test_the_order_of_the_sources_does_not_matter(project: Path):
    files = [own_file(project / name, name) for name in ("b.txt", "a.jsonl")]
    first = fetch_corpus(config(*files), project / "first")
    assert fetch_corpus(config(*reversed(files)), project / "second") == first


def test_openwebtext_is_fetched_file_by_file_at_the_pinned_revision(
    project: Path, shared: Path, monkeypatch: pytest.MonkeyPatch
):
    local = shared / "corpora/openwebtext-1000/train-00000-of-00001.parquet"
    for index in range(2):
        path = project / f"mirror{openwebtext_path(index)}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(local)
    monkeypatch.setenv("SCRATCHLM_MIRROR", "mirror")
    files = fetch_corpus(config("openwebtext", max_files=2), project / "corpus")["files"]
    assert [file["name"] for file in files] == [
        "openwebtext-train-00000-of-00080.parquet",
        "openwebtext-train-00001-of-00080.parquet",
    ]
    assert {file["sha256"] for file in files} == {sha256_file(local)}


def test_a_run_that_failed_keeps_the_files_that_it_had(
    project: Path, file_server: FileServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SCRATCHLM_MIRROR", file_server.url)
    for number in range(3):
        file_server.files[openwebtext_path(number)] = bytes([number]) * 1000
    wrong = FileSource(url=f"{file_server.url}/own.txt", sha256="0" * 64)
    file_server.files["/own.txt"] = b"other"
    with pytest.raises(UserError, match=r"cannot fetch .* or use `fetch_corpus.sources: \[package_docs\]`"):
        fetch_corpus(config("openwebtext", wrong, max_files=3), project / "corpus")
    assert not (project / "corpus").exists()
    arrived = len(list((project / ".work/corpus").glob("*.parquet.json")))
    file_server.requests.clear()
    files = fetch_corpus(config("openwebtext", max_files=3), project / "corpus")["files"]
    assert len(files) == 3
    assert len(file_server.requests) == 3 - arrived


def test_a_path_keeps_the_characters_that_mean_something_in_a_url(project: Path):
    names = ["a#1.txt", "b 50%20.txt", "what?.txt"]
    fetch_corpus(config(*(own_file(project / name, name) for name in names)), project / "corpus")
    assert [(project / "corpus" / name).read_text() for name in names] == names


def test_a_file_that_waits_damaged_is_fetched_again(project: Path):
    source = own_file(project / "a.txt", "good")
    fetch_corpus(config(source), project / "corpus")
    for path in (project / ".work/corpus").glob("*.txt"):
        path.write_text("bad")
    fetch_corpus(config(source), project / "corpus")
    assert (project / "corpus/a.txt").read_text() == "good"


def test_unknown_names_kinds_and_doubles_are_refused_by_name(project: Path):
    with pytest.raises(UserError, match="'shakespeare', which is none of package_docs, openwebtext, tinyshakespeare"):
        fetch_corpus(config("shakespeare"), project / "corpus")
    with pytest.raises(
        UserError, match=r"notes\.pdf ends in '\.pdf', a corpus file in one of \.parquet, \.txt, \.jsonl"
    ):
        fetch_corpus(config(own_file(project / "notes.pdf", "")), project / "corpus")
    for url in ("https://example.org/manifest.json", "https://example.org/a%00.txt", "https://example.org/a%0A.txt"):
        with pytest.raises(UserError, match=f"'{url}', whose name .* no file may have"):
            fetch_corpus(config(FileSource(url=url, sha256="0" * 64)), project / "corpus")
    twins = [own_file(project / folder / "a.txt", folder) for folder in ("one", "two")]
    with pytest.raises(UserError, match=r"two files the name a\.txt"):
        fetch_corpus(config(*twins), project / "corpus")
