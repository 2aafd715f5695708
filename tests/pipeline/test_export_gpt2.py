"""The stage export_gpt2, as DVC runs it."""

from scratchlm.artifacts import read_json
from scratchlm.checksums import MANIFEST, write_manifest
from scratchlm.datasets.sources import GPT2_FILES
from scratchlm.models.storage import load_gpt
from tests.conftest import Workspace
from tests.tiny_model import save_tiny_model


def test_openais_seven_files_and_their_manifest_are_written_and_nothing_is_printed(workspace: Workspace):
    pretrained = save_tiny_model(workspace.path / "data/models/pretrained")
    result = workspace.run("export_gpt2", "roundtrip")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    files = sorted((workspace.path / "data/gpt2/roundtrip").iterdir())
    assert [file.name for file in files] == sorted([*GPT2_FILES, MANIFEST])
    model = load_gpt(pretrained)
    assert read_json(workspace.path / "metrics/export_gpt2_roundtrip.json") == {
        "tensors": 4 + 12 * model.config.n_layer,
        "parameters": model.num_parameters(),
        "bytes": sum(file.stat().st_size for file in files),
    }


def test_a_tokenizer_without_merges_is_refused_in_one_line(workspace: Workspace):
    pretrained = save_tiny_model(workspace.path / "data/models/pretrained")
    for name in ("vocab.json", "merges.txt"):
        (pretrained / name).unlink()
    write_manifest(pretrained)
    result = workspace.run("export_gpt2", "roundtrip")
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "only BPE vocabularies; set build_tokenizer.kind to bpe or gpt2." in result.stderr
    assert not (workspace.path / "data/gpt2/roundtrip").exists()
