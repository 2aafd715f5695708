"""The stage fetch_gpt2, from folders laid out as the two hosts are."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline.fetch_gpt2 import main
from scratchlm.artifacts import read_json, verify_manifest
from scratchlm.datasets import download
from scratchlm.datasets.sources import GPT2_FILES
from scratchlm.errors import UserError
from tests.conftest import Workspace
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


def test_a_run_that_failed_keeps_its_files_until_a_run_succeeds(workspace: Workspace, monkeypatch: pytest.MonkeyPatch):
    prepare(workspace, monkeypatch, "355M")
    export(save_tiny_model(workspace.path / "model"), "mirror" / PRIMARY / "355M")
    last = "mirror" / PRIMARY / "355M" / GPT2_FILES[-1]
    fetched = []

    def fetch(urls: Sequence[str], sha256: str | None, target: Path) -> str:
        fetched.append(target.name)
        if not last.exists() and target.name == last.name:
            raise UserError("cannot fetch")
        return download.fetch(urls, sha256, target)

    monkeypatch.setattr("pipeline.fetch_gpt2.fetch", fetch)
    last.rename("elsewhere")
    with pytest.raises(UserError, match="cannot fetch"):
        main()
    Path("elsewhere").rename(last)
    main()
    assert fetched == [*GPT2_FILES, GPT2_FILES[-1]]
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
