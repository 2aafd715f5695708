"""The stage fetch_gpt2, from folders laid out as the two hosts are."""

from pathlib import Path

import pytest

from pipeline.fetch_gpt2 import main
from scratchlm.artifacts import read_json, verify_manifest
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


def test_a_run_that_failed_keeps_its_files_until_a_run_succeeds(
    workspace: Workspace, file_server: FileServer, monkeypatch: pytest.MonkeyPatch
):
    prepare(workspace, monkeypatch, "355M")
    export(save_tiny_model(workspace.path / "model"), Path("exported"))
    monkeypatch.delenv("SCRATCHLM_MIRROR")
    sources = {name: Source(name, (f"{file_server.url}/{name}",), None, "none") for name in GPT2_FILES}
    monkeypatch.setattr("pipeline.fetch_gpt2.GPT2_CHECKPOINTS", {"355M": sources})
    file_server.files = {f"/{name}": Path("exported", name).read_bytes() for name in GPT2_FILES}
    file_server.script = [Answer(path=f"/{GPT2_FILES[-1]}", status=404)]
    with pytest.raises(UserError, match=r"cannot fetch .*/vocab\.bpe \(HTTP 404 Not Found\)"):
        main()
    kept = {path.name for path in Path(".work/fetch_gpt2").rglob("*")} & set(GPT2_FILES)
    assert len(kept) >= 3, "there are four connections for seven files"
    file_server.requests.clear()
    main()
    asked = {request.path for request in file_server.requests}
    assert {f"/{GPT2_FILES[-1]}"} <= asked <= {f"/{name}" for name in set(GPT2_FILES) - kept}
    verify_manifest(Path("data/gpt2/355M"))
    assert not {path.name for path in Path(".work/fetch_gpt2").rglob("*")} & set(GPT2_FILES)


def test_genuinely_truncated_data_is_refused(workspace: Workspace, shared: Path, monkeypatch: pytest.MonkeyPatch):
    prepare(workspace, monkeypatch, "124M")
    for folder in ("mirror", "mirror-broken"):
        link(shared / folder / PRIMARY / "124M", "mirror" / PRIMARY / "124M")
    with pytest.raises(UserError, match="has 3,145,728 bytes, its index says 497,759,232"):
        main()
    assert not Path("data/gpt2/124M").exists()
    assert not {path.name for path in Path(".work/fetch_gpt2").rglob("*")} & set(GPT2_FILES), "fetched again next time"
