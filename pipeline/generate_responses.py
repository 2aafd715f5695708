"""Let the instruction-tuned model answer the test set; a prompt that fills the context gets an empty answer."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field

from scratchlm.artifacts import write_json, write_jsonl
from scratchlm.datasets.instructions import format_prompt, read_instructions
from scratchlm.datasets.tokenizers import Tokenizer, load_tokenizer
from scratchlm.models.gpt import GPT
from scratchlm.models.sampling import SamplingConfig, generate
from scratchlm.models.stop_strings import cut_at_stop
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

    stop_strings: list[Annotated[str, Field(min_length=1)]]
    batch_size: int = Field(gt=0)


def main() -> None:
    params = read_params("generate_responses", Params)
    model, tokenizer, entries = load_gpt(MODEL).to(pick_device()), load_tokenizer(MODEL), read_instructions(TEST)
    prompts = [tokenizer.encode(format_prompt(entry)) for entry in entries]
    answers = answer_prompts(model, prompts, params, tokenizer)
    texts = [cut_at_stop(tokenizer.decode(answer), params.stop_strings) for answer in answers]
    limits = [min(params.max_new_tokens, model.config.context_length - len(prompt)) for prompt in prompts]
    responses = [
        {
            "id": number,
            **entry,
            "response": text.strip(),
            "tokens": len(answer),
            "stopped": has_stop or len(answer) < limit,
        }
        for number, (entry, answer, (text, has_stop), limit) in enumerate(
            zip(entries, answers, texts, limits, strict=True)
        )
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


def answer_prompts(model: GPT, prompts: list[list[int]], params: Params, tokenizer: Tokenizer) -> list[list[int]]:
    """The tokens that answer each prompt, none where it leaves no room in the context; seeds go by the position.

    The last ones hold the stop string that ended the answer, if one did.
    """

    def has_ended(tokens: Sequence[int]) -> bool:
        return bool(params.stop_strings) and cut_at_stop(tokenizer.decode(tokens), params.stop_strings)[1]

    numbers = [number for number, prompt in enumerate(prompts) if len(prompt) < model.config.context_length]
    seeds = [params.seed + number for number in numbers]
    fitting = [prompts[number] for number in numbers]
    generated = generate(model, fitting, params, tokenizer.eot_id, params.batch_size, seeds, has_ended)
    answers = dict(zip(numbers, generated, strict=True))
    return [answers.get(number, []) for number in range(len(prompts))]


if __name__ == "__main__":
    run_stage("generate_responses", main)
