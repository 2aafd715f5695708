"""Let an instruction-tuned model answer the test set; a prompt that fills the context gets an empty answer."""

from pathlib import Path

from scratchlm.artifacts import write_json, write_jsonl
from scratchlm.checksums import sha256_json, verify_manifest, write_sha256
from scratchlm.datasets.instructions import read_instructions
from scratchlm.datasets.prompts import read_prompt
from scratchlm.datasets.tokenizers import load_tokenizer
from scratchlm.judging.responses import ResponseConfig, respond
from scratchlm.models.storage import load_gpt
from scratchlm.params import read_params
from scratchlm.stages import run_stage
from scratchlm.training.device import pick_device
from scratchlm.workspace import work_folder

MODELS = Path("data/models")
TEST = Path("data/instructions/test.jsonl")
RESPONSES = Path("data/responses/test.jsonl")
METRICS = Path("metrics/generate_responses.json")


def main() -> None:
    config = read_params("generate_responses", ResponseConfig)
    directory = MODELS / config.model
    inputs = {"model": sha256_json(verify_manifest(directory)), "test": verify_manifest(TEST.parent)[TEST.name]}
    model, tokenizer, prompt = load_gpt(directory, verify=False), load_tokenizer(directory), read_prompt(directory)
    model.to(pick_device())
    with work_folder("generate_responses", {"params": config.model_dump(), **inputs}) as folder:
        responses, counts = respond(model, tokenizer, prompt, read_instructions(TEST), config, folder)
        write_jsonl(RESPONSES, responses)
        write_sha256(RESPONSES)
        write_json(METRICS, counts)


if __name__ == "__main__":
    run_stage("generate_responses", main)
