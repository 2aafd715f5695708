"""Convert a checkpoint in OpenAI's TensorFlow layout into a Hugging Face model directory."""

import sys
import tempfile
from pathlib import Path

from scratchlm.artifacts import sha256_directory, sha256_json, write_json
from scratchlm.datasets.tokenizers import read_openai_vocabulary, write_byte_pair_tokenizer
from scratchlm.errors import UserError
from scratchlm.models.gpt2_checkpoint import read_gpt2
from scratchlm.models.storage import save_model
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
    model, (vocabulary, merges) = read_gpt2(source), read_openai_vocabulary(source)
    if len(vocabulary) != model.config.vocab_size:
        raise UserError(
            f"{source}: encoder.json has {len(vocabulary):,} entries, hparams.json {model.config.vocab_size:,}."
        )
    metrics = {"tensors": len(list(model.parameters())), "parameters": model.num_parameters()}
    lineage = {str(source): sha256_json(sha256_directory(source))}
    title, task, reads = f"GPT-2 {name}", "text-generation", model.config.context_length
    card = model_card(title, "convert_gpt2", model.config, metrics, lineage, task, reads)
    with tempfile.TemporaryDirectory() as tokenizer:
        write_byte_pair_tokenizer(Path(tokenizer), vocabulary, merges)
        save_model(model, MODELS / f"gpt2-{name}", tokenizer=Path(tokenizer), card=card)
    write_json(METRICS / f"convert_gpt2_{name}.json", metrics)


if __name__ == "__main__":
    run_stage("convert_gpt2", main, *sys.argv[1:])
