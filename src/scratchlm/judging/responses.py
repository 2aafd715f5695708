"""The answers of an instruction-tuned model to the entries of a test set."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field
from tqdm import tqdm

from scratchlm.artifacts import read_json, write_json
from scratchlm.datasets.chat_templates import ChatTemplate
from scratchlm.datasets.prompts import encode_prompt
from scratchlm.datasets.tokenizers import Tokenizer
from scratchlm.models.gpt import GPT
from scratchlm.models.sampling import SamplingConfig, batches_by_length, generate, token_limits
from scratchlm.models.stop_strings import cut_at_stop


class ResponseConfig(SamplingConfig):
    """Which folder of data/models answers, how, what ends an answer beside the end of text, how many together."""

    model: str
    stop_strings: list[Annotated[str, Field(min_length=1)]]
    batch_size: int = Field(gt=0)


def respond(
    model: GPT,
    tokenizer: Tokenizer,
    template: ChatTemplate,
    entries: Sequence[Mapping[str, str]],
    config: ResponseConfig,
    folder: Path | None = None,
) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """A row an entry with its answer and whether it ended by itself, and the counts.

    An entry whose prompt fills the context is unanswered: its answer is empty. Seeds go by the position of the entry.
    With a `folder`, each batch of answers is kept there, and not drawn again by the next run.
    """
    prompts = [encode_prompt(entry, template, tokenizer) for entry in entries]
    limits = token_limits(model, prompts, config)
    answers = _answer(prompts, limits, model, tokenizer, config, folder)
    rows = []
    for number, (entry, limit) in enumerate(zip(entries, limits, strict=True)):
        tokens = answers.get(number, [])
        text, has_stop = cut_at_stop(tokenizer.decode(tokens), config.stop_strings)
        stopped = has_stop or len(tokens) < limit
        rows.append({"id": number, **entry, "response": text.strip(), "tokens": len(tokens), "stopped": stopped})
    return rows, {
        "responses": len(rows),
        "unanswered": len(rows) - len(answers),
        "mean_tokens": sum(row["tokens"] for row in rows) / len(rows),
        "stopped_rate": sum(row["stopped"] for row in rows) / len(rows),
    }


def _answer(
    prompts: Sequence[list[int]],
    limits: Sequence[int],
    model: GPT,
    tokenizer: Tokenizer,
    config: ResponseConfig,
    folder: Path | None,
) -> dict[int, list[int]]:
    """The tokens that answer each prompt with a limit above 0; the last ones hold the stop string that ended them."""

    def has_ended(tokens: Sequence[int]) -> bool:
        return bool(config.stop_strings) and cut_at_stop(tokenizer.decode(tokens), config.stop_strings)[1]

    def draw(numbers: list[int]) -> list[list[int]]:
        chosen, seeds = [prompts[number] for number in numbers], [config.seed + number for number in numbers]
        room = [limits[number] for number in numbers]
        return generate(model, chosen, config, tokenizer.eot_id, config.batch_size, seeds, has_ended, room)

    answered = [number for number, limit in enumerate(limits) if limit > 0]
    batches = batches_by_length([prompts[number] for number in answered], config.batch_size)
    answers: dict[int, list[int]] = {}
    for index, batch in enumerate(tqdm(batches, desc="generate", unit="batch", disable=None)):
        numbers = [answered[position] for position in batch]
        kept = folder / f"batch-{index:05d}.json" if folder else None
        if kept and kept.exists():
            tokens = read_json(kept)
        else:
            tokens = draw(numbers)
            if kept:
                write_json(kept, tokens)
        answers |= dict(zip(numbers, tokens, strict=True))
    return answers
