"""Let the instruction-tuned model answer the test set."""

from pathlib import Path

from pydantic import Field

from scratchlm.artifacts import read_jsonl, write_json, write_jsonl
from scratchlm.datasets.instructions import format_prompt
from scratchlm.datasets.tokenizers import load_tokenizer
from scratchlm.models.sampling import SamplingConfig, generate
from scratchlm.models.storage import load_gpt
from scratchlm.params import read_params
from scratchlm.stages import run_stage
from scratchlm.training.device import pick_device

MODEL = Path("data/models/instruct")
TEST = Path("data/instructions/test.jsonl")
RESPONSES = Path("data/responses/test.jsonl")
METRICS = Path("metrics/generate_responses.json")


class Params(SamplingConfig):
    """Section `generate_responses` of params.yaml."""

    batch_size: int = Field(gt=0)


def main() -> None:
    params = read_params("generate_responses", Params)
    model, tokenizer, entries = load_gpt(MODEL).to(pick_device()), load_tokenizer(MODEL), read_jsonl(TEST)
    prompts = [tokenizer.encode(format_prompt(entry)) for entry in entries]
    answers = generate(model, prompts, params, tokenizer.eot_id, params.batch_size)
    limits = [min(params.max_new_tokens, model.config.context_length - len(prompt)) for prompt in prompts]
    responses = [
        {
            "id": number,
            **entry,
            "response": tokenizer.decode(answer).strip(),
            "tokens": len(answer),
            "stopped": len(answer) < limit,
        }
        for number, (entry, answer, limit) in enumerate(zip(entries, answers, limits, strict=True))
    ]
    write_jsonl(RESPONSES, responses)
    count = len(responses)
    stopped = sum(response["stopped"] for response in responses)
    write_json(
        METRICS,
        {"responses": count, "mean_tokens": sum(map(len, answers)) / count, "stopped_rate": stopped / count},
    )


if __name__ == "__main__":
    run_stage("generate_responses", main)
