"""Let the instruction-tuned model answer the test set; a prompt that fills the context gets an empty answer."""

from pathlib import Path

from scratchlm.artifacts import verify_manifest, write_json, write_jsonl, write_sha256
from scratchlm.datasets.instructions import read_instructions
from scratchlm.datasets.tokenizers import load_tokenizer
from scratchlm.judging.responses import ResponseConfig, respond
from scratchlm.models.storage import load_gpt
from scratchlm.params import read_params
from scratchlm.stages import run_stage
from scratchlm.training.device import pick_device

MODEL = Path("data/models/instruct")
TEST = Path("data/instructions/test.jsonl")
RESPONSES = Path("data/responses/test.jsonl")
METRICS = Path("metrics/generate_responses.json")


def main() -> None:
    config = read_params("generate_responses", ResponseConfig)
    verify_manifest(TEST.parent)
    model, tokenizer = load_gpt(MODEL).to(pick_device()), load_tokenizer(MODEL)
    responses, counts = respond(model, tokenizer, read_instructions(TEST), config)
    write_jsonl(RESPONSES, responses)
    write_sha256(RESPONSES)
    write_json(METRICS, counts)


if __name__ == "__main__":
    run_stage("generate_responses", main)
