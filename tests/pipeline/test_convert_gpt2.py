"""The stage convert_gpt2, as DVC runs it."""

import shutil
from pathlib import Path

import pytest

from pipeline.convert_gpt2 import main
from scratchlm.artifacts import read_json, write_json
from scratchlm.checksums import verify_manifest, write_manifest
from scratchlm.errors import UserError
from scratchlm.models.gpt2_checkpoint import write_gpt2
from scratchlm.models.storage import load_gpt
from tests.conftest import Workspace
from tests.records import sha256_directory
from tests.tiny_model import save_tiny_model

DATA = "model.ckpt.data-00000-of-00001"


def export(pretrained: Path, checkpoint: Path) -> None:
    """What the stage export_gpt2 does."""
    checkpoint.mkdir(parents=True)
    model = load_gpt(pretrained)
    write_gpt2(model.config, ((name, tensor.numpy()) for name, tensor in model.state_dict().items()), checkpoint)
    shutil.copyfile(pretrained / "vocab.json", checkpoint / "encoder.json")
    shutil.copyfile(pretrained / "merges.txt", checkpoint / "vocab.bpe")
    write_manifest(checkpoint)


def link(source: Path, target: Path) -> None:
    """Put links to the files of one folder into another."""
    target.mkdir(parents=True, exist_ok=True)
    for file in source.iterdir():
        (target / file.name).symlink_to(file)


def test_a_model_comes_back_from_openais_layout_bit_for_bit(workspace: Workspace, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.argv", ["convert_gpt2", "roundtrip"])
    pretrained = save_tiny_model(workspace.path / "data/models/pretrained")
    export(pretrained, workspace.path / "data/gpt2/roundtrip")
    main()
    converted = workspace.path / "data/models/gpt2-roundtrip"
    verify_manifest(converted)
    for name in ("model.safetensors", "tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt"):
        assert (converted / name).read_bytes() == (pretrained / name).read_bytes(), name
    metrics = read_json(workspace.path / "metrics/convert_gpt2_roundtrip.json")
    assert metrics == {"tensors": 16, "parameters": load_gpt(converted).num_parameters()}


def test_a_name_that_is_not_in_params_is_refused(workspace: Workspace, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.argv", ["convert_gpt2", "124M"])
    with pytest.raises(UserError, match=r"argument '124M' is not in convert_gpt2.names \[roundtrip\]"):
        main()


def test_a_vocabulary_that_does_not_fit_is_refused(workspace: Workspace, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.argv", ["convert_gpt2", "roundtrip"])
    checkpoint = workspace.path / "data/gpt2/roundtrip"
    export(save_tiny_model(workspace.path / "data/models/pretrained"), checkpoint)
    vocabulary = read_json(checkpoint / "encoder.json")
    (checkpoint / "vocab.bpe").write_text("#version: 0.2\na b\n")
    write_manifest(checkpoint)
    with pytest.raises(UserError, match=r"the 257 entries of encoder.json are not those that the 1 merges"):
        main()
    write_json(checkpoint / "encoder.json", {**vocabulary, "ab": 257})
    write_manifest(checkpoint)
    with pytest.raises(UserError, match=r"encoder.json has 258 entries, hparams.json 257"):
        main()


def test_an_altered_byte_is_one_line_and_leaves_the_earlier_model(workspace: Workspace):
    checkpoint = workspace.path / "data/gpt2/roundtrip"
    export(save_tiny_model(workspace.path / "data/models/pretrained"), checkpoint)
    assert workspace.run("convert_gpt2", "roundtrip").returncode == 0
    converted = workspace.path / "data/models/gpt2-roundtrip"
    before = sha256_directory(converted)
    data = bytearray((checkpoint / DATA).read_bytes())
    data[-1] ^= 1
    (checkpoint / DATA).write_bytes(data)
    result = workspace.run("convert_gpt2", "roundtrip")
    assert result.returncode == 1
    assert result.stderr == (
        f"convert_gpt2: data/gpt2/roundtrip/{DATA}: model/wte cannot be read (its bytes do not have its checksum); "
        "fetch it again.\n"
    )
    assert sha256_directory(converted) == before
    assert [path.name for path in converted.parent.iterdir() if path.name.startswith(".")] == []


def test_the_genuinely_truncated_data_is_one_line(workspace: Workspace, shared: Path):
    workspace.set("convert_gpt2.names", ["124M"])
    for mirror in ("mirror", "mirror-broken"):
        link(shared / mirror / "openaipublic.blob.core.windows.net/gpt-2/models/124M", Path("data/gpt2/124M"))
    write_manifest(Path("data/gpt2/124M"))
    result = workspace.run("convert_gpt2", "124M")
    assert result.returncode == 1
    assert result.stderr == (
        "convert_gpt2: data/gpt2/124M/model.ckpt.data-00000-of-00001 has 3,145,728 bytes, its index says 497,759,232; "
        "fetch it again.\n"
    )
    assert not Path("data/models").exists()
