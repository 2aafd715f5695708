"""Write the pretrained model in OpenAI's TensorFlow layout: weights, size and tokenizer, seven files."""

import sys
from pathlib import Path
from typing import Literal

from scratchlm.artifacts import atomic_directory, write_json
from scratchlm.checksums import write_manifest
from scratchlm.models.gpt2_checkpoint import copy_vocabulary, write_gpt2
from scratchlm.models.storage import load_gpt
from scratchlm.params import Schema, read_params
from scratchlm.stages import matrix_item, run_stage

MODEL = Path("data/models/pretrained")
CHECKPOINTS = Path("data/gpt2")
METRICS = Path("metrics")


class Params(Schema):
    """Section `export_gpt2` of params.yaml."""

    names: list[Literal["roundtrip"]]


def main() -> None:
    name = matrix_item("export_gpt2.names", read_params("export_gpt2", Params).names)
    model, checkpoint = load_gpt(MODEL), CHECKPOINTS / name
    with atomic_directory(checkpoint) as partial:
        copy_vocabulary(MODEL, partial)
        write_gpt2(model.config, ((name, tensor.numpy()) for name, tensor in model.state_dict().items()), partial)
        write_manifest(partial)
    metrics = {
        "tensors": len(list(model.parameters())),
        "parameters": model.num_parameters(),
        "bytes": sum(file.stat().st_size for file in checkpoint.iterdir()),
    }
    write_json(METRICS / f"export_gpt2_{name}.json", metrics)


if __name__ == "__main__":
    run_stage("export_gpt2", main, *sys.argv[1:])
