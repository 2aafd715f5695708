"""The stage fetch_gpt2, from folders laid out as the two hosts are."""

from pathlib import Path

import pytest
from tenacity import wait_none

from pipeline.fetch_gpt2 import main
from scratchlm.artifacts import read_json
from scratchlm.checksums import sha256_file, verify_manifest
from scratchlm.datasets import transfer
from scratchlm.datasets.sources import GPT2_FILES, Source
from scratchlm.errors import UserError
from tests.conftest import Workspace
from tests.file_server import Answer, FileServer
from tests.pipeline.test_convert_gpt2 import export, link
from tests.tiny_model import save_tiny_model

PRIMARY = Path("openaipublic.blob.core.windows.net/gpt-2/models")
BACKUP = Path("f001.backblazeb2.com/file/LLMs-from-scratch/gpt2")
DATA = "model.ckpt.data-00000-of-00001"


def prepare(workspace: Workspace, monkeypatch: pytest.MonkeyPatch, size: str) -> None:
    """Have `main` fetch one size from the folder `mirror`."""
    workspace.set("fetch_gpt2.sizes", [size])
    monkeypatch.setattr("sys.argv", ["fetch_gpt2", size])
    monkeypatch.setenv("SCRATCHLM_MIRROR", "mirror")


def test_seven_files_come_from_either_host_with_a_manifest(workspace: Workspace, monkeypatch: pytest.MonkeyPatch):
    prepare(workspace, monkeypatch, "355M")
    export(save_tiny_model(workspace.path / "model"), "mirror" / PRIMARY / "355M")
    ("mirror" / BACKUP / "355M").mkdir(parents=True)
    ("mirror" / PRIMARY / "355M" / DATA).rename("mirror" / BACKUP / "355M" / DATA)
    main()
    checkpoint = Path("data/gpt2/355M")
    assert read_json(checkpoint / "manifest.json")["files"].keys() == set(GPT2_FILES)
    verify_manifest(checkpoint)
    assert read_json(Path("metrics/fetch_gpt2_355M.json")) == {
        "files": 7,
        "bytes": sum((checkpoint / name).stat().st_size for name in GPT2_FILES),
    }


@pytest.fixture
def hosts(workspace: Workspace, file_server: FileServer, monkeypatch: pytest.MonkeyPatch) -> FileServer:
    """A server that is both hosts of a tiny 355M, /primary and /backup; the sha256 of the data is not known."""
    prepare(workspace, monkeypatch, "355M")
    monkeypatch.delenv("SCRATCHLM_MIRROR")
    export(save_tiny_model(workspace.path / "model"), Path("exported"))
    sources = {}
    for name in GPT2_FILES:
        urls = tuple(f"{file_server.url}/{host}/{name}" for host in ("primary", "backup"))
        sha256 = None if name == DATA else sha256_file(Path("exported", name))
        sources[name] = Source(name, urls, sha256, "none")
        for host in ("primary", "backup"):
            file_server.files[f"/{host}/{name}"] = Path("exported", name).read_bytes()
    monkeypatch.setattr("pipeline.fetch_gpt2.GPT2_CHECKPOINTS", {"355M": sources})
    return file_server


def fetched() -> set[str]:
    """The names of the files that wait in the stage's folder of work."""
    return {path.name for path in Path(".work/fetch_gpt2").rglob("*")} & set(GPT2_FILES)


def same_as_exported() -> bool:
    verify_manifest(Path("data/gpt2/355M"))
    return all(Path("data/gpt2/355M", name).read_bytes() == Path("exported", name).read_bytes() for name in GPT2_FILES)


def test_a_run_that_failed_keeps_its_files_until_a_run_succeeds(hosts: FileServer):
    last = GPT2_FILES[-1]
    hosts.script = [Answer(path=f"/{host}/{last}", status=404) for host in ("primary", "backup")]
    with pytest.raises(UserError, match=r"cannot fetch .*/primary/vocab\.bpe \(HTTP 404 Not Found\), nor .*/backup/"):
        main()
    kept = fetched()
    assert len(kept) >= 3, "there are four connections for seven files"
    hosts.requests.clear()
    main()
    asked = {request.path for request in hosts.requests}
    assert {f"/primary/{last}"} <= asked <= {f"/primary/{name}" for name in set(GPT2_FILES) - kept}
    assert same_as_exported()
    assert fetched() == set()


def test_files_come_in_parallel_past_cuts_and_stalls_resumed_where_they_broke_off(
    hosts: FileServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(transfer, "PATIENCE_SECONDS", 2.0)
    monkeypatch.setattr(transfer, "WAIT", wait_none())
    hosts.script = [
        Answer(path=f"/primary/{DATA}", cut=20_000, delay=0.2),
        Answer(path=f"/primary/{DATA}", cut=10_000, hold=True),
        Answer(path="/primary/model.ckpt.meta", cut=100, delay=0.2),
        Answer(path="/primary/checkpoint", hold=True),
    ]
    main()
    assert same_as_exported()
    ranges = [request.range for request in hosts.requests if request.path == f"/primary/{DATA}"]
    assert ranges == [None, "bytes=20000-", "bytes=30000-"]
    assert not any(request.path.startswith("/backup/") for request in hosts.requests)
    assert hosts.most_busy > 1


def test_what_the_first_host_has_not_or_has_altered_comes_from_the_second(hosts: FileServer):
    hosts.script = [Answer(path=f"/primary/{DATA}", status=403)]
    index = hosts.files["/primary/model.ckpt.index"]
    hosts.files["/primary/model.ckpt.index"] = index[:-20] + b"x" + index[-19:]
    main()
    assert same_as_exported()
    backup = {request.path for request in hosts.requests if request.path.startswith("/backup/")}
    assert backup == {f"/backup/{DATA}", "/backup/model.ckpt.index"}


def test_an_altered_byte_of_data_without_a_known_hash_is_found_by_tensorflows_checksum(hosts: FileServer):
    good = hosts.files[f"/primary/{DATA}"]
    hosts.files[f"/primary/{DATA}"] = good[:5_000] + bytes([good[5_000] ^ 1]) + good[5_001:]
    with pytest.raises(UserError, match=r"model/h0/.* cannot be read \(its bytes do not have its checksum\)"):
        main()
    assert not Path("data/gpt2").exists()
    assert fetched() == set(), "fetched again next time"
    hosts.files[f"/primary/{DATA}"] = good
    main()
    assert same_as_exported()


def test_genuinely_truncated_data_is_refused(workspace: Workspace, shared: Path, monkeypatch: pytest.MonkeyPatch):
    prepare(workspace, monkeypatch, "124M")
    for folder in ("mirror", "mirror-broken"):
        link(shared / folder / PRIMARY / "124M", "mirror" / PRIMARY / "124M")
    with pytest.raises(UserError, match="has 3,145,728 bytes, its index says 497,759,232"):
        main()
    assert not Path("data/gpt2/124M").exists()
    assert fetched() == set(), "fetched again next time"
