"""Let the instruction-tuned model answer the test set; a prompt that fills the context gets an empty answer."""

from pathlib import Path

from pydantic import Field

from scratchlm.artifacts import read_jsonl, write_json, write_jsonl
from scratchlm.datasets.instructions import format_prompt
from scratchlm.datasets.tokenizers import load_tokenizer
from scratchlm.models.gpt import GPT
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
    answers = answer_prompts(model, prompts, params, tokenizer.eot_id)
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
    metrics = {
        "responses": count,
        "unanswered": sum(limit <= 0 for limit in limits),
        "mean_tokens": sum(map(len, answers)) / count,
        "stopped_rate": sum(response["stopped"] for response in responses) / count,
    }
    write_json(METRICS, metrics)


def answer_prompts(model: GPT, prompts: list[list[int]], params: Params, stop_id: int) -> list[list[int]]:
    """The tokens that answer each prompt, none where it leaves no room in the context; seeds go by the position."""
    numbers = [number for number, prompt in enumerate(prompts) if len(prompt) < model.config.context_length]
    seeds = [params.seed + number for number in numbers]
    generated = generate(model, [prompts[number] for number in numbers], params, stop_id, params.batch_size, seeds)
    answers = dict(zip(numbers, generated, strict=True))
    return [answers.get(number, []) for number in range(len(prompts))]


if __name__ == "__main__":
    run_stage("generate_responses", main)
