"""Convert a checkpoint in OpenAI's TensorFlow layout into a Hugging Face model directory."""

import math
import sys
import tempfile
from pathlib import Path

from scratchlm.artifacts import write_json
from scratchlm.checksums import sha256_json, verify_manifest
from scratchlm.datasets.tokenizers import read_openai_vocabulary, write_byte_pair_tokenizer
from scratchlm.errors import UserError
from scratchlm.models.gpt2_checkpoint import DATA, check_files, read_hparams, read_values
from scratchlm.models.gpt_config import parameter_shapes
from scratchlm.models.model_directory import stored_names, stream_model
from scratchlm.params import Schema, read_params
from scratchlm.reporting.model_card import model_card
from scratchlm.stages import matrix_item, run_stage

CHECKPOINTS = Path("data/gpt2")
MODELS = Path("data/models")
METRICS = Path("metrics")


class Params(Schema):
    """Section `convert_gpt2` of params.yaml."""

    names: list[str]


def main() -> None:
    params = read_params("convert_gpt2", Params)
    name = matrix_item("convert_gpt2.names", params.names)
    source = CHECKPOINTS / name
    lineage = {str(source): sha256_json(verify_manifest(source, but=[DATA]))}  # TensorFlow has a checksum of a tensor
    config, (vocabulary, merges) = read_hparams(source), read_openai_vocabulary(source)
    if len(vocabulary) != config.vocab_size:
        raise UserError(f"{source}: encoder.json has {len(vocabulary):,} entries, hparams.json {config.vocab_size:,}.")
    entries, shapes = check_files(source, config), parameter_shapes(config)
    metrics = {"tensors": len(shapes), "parameters": sum(map(math.prod, shapes.values()))}
    title, task, reads = f"GPT-2 {name}", "text-generation", config.context_length
    card = model_card(title, "convert_gpt2", config, metrics, lineage, task, reads)
    with tempfile.TemporaryDirectory() as tokenizer:
        write_byte_pair_tokenizer(Path(tokenizer), vocabulary, merges)
        values = read_values(source, entries, stored_names(config))
        stream_model(config, values, MODELS / f"gpt2-{name}", tokenizer=Path(tokenizer), card=card)
    write_json(METRICS / f"convert_gpt2_{name}.json", metrics)


if __name__ == "__main__":
    run_stage("convert_gpt2", main, *sys.argv[1:])
