"""Write the pretrained model in OpenAI's TensorFlow layout: weights, size and tokenizer, seven files."""

from pathlib import Path

from scratchlm.artifacts import atomic_directory, write_json
from scratchlm.models.gpt2_checkpoint import copy_vocabulary, write_gpt2
from scratchlm.models.storage import load_gpt
from scratchlm.stages import run_stage

MODEL = Path("data/models/pretrained")
CHECKPOINT = Path("data/gpt2/roundtrip")
METRICS = Path("metrics/export_gpt2.json")


def main() -> None:
    model = load_gpt(MODEL)
    with atomic_directory(CHECKPOINT) as partial:
        copy_vocabulary(MODEL, partial)
        write_gpt2(model, partial)
    metrics = {
        "tensors": len(list(model.parameters())),
        "parameters": model.num_parameters(),
        "bytes": sum(file.stat().st_size for file in CHECKPOINT.iterdir()),
    }
    write_json(METRICS, metrics)


if __name__ == "__main__":
    run_stage("export_gpt2", main)
