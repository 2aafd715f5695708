"""The stage export_gpt2, as DVC runs it."""

from scratchlm.artifacts import read_json
from scratchlm.datasets.sources import GPT2_FILES
from scratchlm.models.storage import load_gpt
from tests.conftest import Workspace
from tests.tiny_model import save_tiny_model


def test_openais_seven_files_are_written_and_nothing_is_printed(workspace: Workspace):
    pretrained = save_tiny_model(workspace.path / "data/models/pretrained")
    result = workspace.run("export_gpt2")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    files = sorted((workspace.path / "data/gpt2/roundtrip").iterdir())
    assert [file.name for file in files] == sorted(GPT2_FILES)
    model = load_gpt(pretrained)
    assert read_json(workspace.path / "metrics/export_gpt2.json") == {
        "tensors": 4 + 12 * model.config.n_layer,
        "parameters": model.num_parameters(),
        "bytes": sum(file.stat().st_size for file in files),
    }
