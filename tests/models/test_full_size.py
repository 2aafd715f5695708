"""Checkpoints of OpenAI's real sizes, converted by the stage: TensorFlow's bits, and transformers' logits."""

import subprocess
import sys
from pathlib import Path

import pytest
from safetensors import safe_open

from benchmarks.make_gpt2_checkpoint import CONFIGS
from scratchlm.models.gpt2_checkpoint import tensor_shapes
from scratchlm.models.model_directory import WEIGHTS, stored_names
from scratchlm.models.storage import load_model
from scratchlm.verification import verify
from tests.conftest import ROOT, Workspace

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("size", ["124M", "355M"])
def test_a_converted_checkpoint_is_tensorflows_bit_for_bit_and_computes_what_transformers_computes(
    size: str, workspace: Workspace, mirror: Path
):
    import tensorflow

    checkpoint, model = workspace.path / "data/gpt2" / size, workspace.path / f"data/models/gpt2-{size}"
    make = [sys.executable, "-m", "benchmarks.make_gpt2_checkpoint", size, "--folder", checkpoint]
    subprocess.run(make, cwd=ROOT, env=workspace.environment(), check=True)  # its memory is free again afterwards
    workspace.set("convert_gpt2.names", [size])
    result = workspace.run("convert_gpt2", size)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")

    reader = tensorflow.train.load_checkpoint(str(checkpoint / "model.ckpt"))
    theirs = sorted(tensor_shapes(CONFIGS[size]))  # the order of OpenAI's names is that of ours
    with safe_open(model / WEIGHTS, "np") as weights:
        assert sorted(weights.keys()) == [f"transformer.{name}" for name in stored_names(CONFIGS[size])]
        for name, tensor in zip(theirs, sorted(weights.keys()), strict=True):
            assert weights.get_tensor(tensor).tobytes() == reader.get_tensor(name).tobytes(), name

    checks = list(verify(model, load_model(model)))
    assert len(checks) == 4
    assert all(check.passed for check in checks), checks
