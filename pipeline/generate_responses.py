"""Let an instruction-tuned model answer the test set; a prompt that fills the context gets an empty answer."""

from pathlib import Path

from scratchlm.artifacts import write_json, write_jsonl
from scratchlm.datasets.instructions import read_instructions
from scratchlm.datasets.prompts import read_prompt
from scratchlm.datasets.tokenizers import load_tokenizer
from scratchlm.judging.responses import ResponseConfig, respond
from scratchlm.models.storage import load_gpt
from scratchlm.params import read_params
from scratchlm.stages import run_stage
from scratchlm.training.device import pick_device

MODELS = Path("data/models")
TEST = Path("data/instructions/test.jsonl")
RESPONSES = Path("data/responses/test.jsonl")
METRICS = Path("metrics/generate_responses.json")


def main() -> None:
    config = read_params("generate_responses", ResponseConfig)
    directory = MODELS / config.model
    model, tokenizer = load_gpt(directory).to(pick_device()), load_tokenizer(directory)
    responses, counts = respond(model, tokenizer, read_prompt(directory), read_instructions(TEST), config)
    write_jsonl(RESPONSES, responses)
    write_json(METRICS, counts)


if __name__ == "__main__":
    run_stage("generate_responses", main)
