"""Fine-tuning examples from text: messages with a class, and instructions with a response."""

from collections.abc import Mapping, Sequence
from typing import Literal

from scratchlm.datasets.instructions import format_prompt
from scratchlm.datasets.tokenizers import Tokenizer
from scratchlm.training.batches import IGNORED, Example


def message_examples(
    texts: Sequence[str], classes: Sequence[int], tokenizer: Tokenizer, max_tokens: int
) -> list[Example]:
    """One example a message, cut to its first `max_tokens` tokens; an empty message is one end-of-text token."""
    return [
        Example((tokenizer.encode(text) or [tokenizer.eot_id])[:max_tokens], target)
        for text, target in zip(texts, classes, strict=True)
    ]


def instruction_examples(
    entries: Sequence[Mapping[str, str]], tokenizer: Tokenizer, max_tokens: int, loss_on: Literal["response", "all"]
) -> list[Example]:
    """One example an entry: prompt, response, end of text. Entries of more than `max_tokens` tokens are left out.

    Prompt and response are encoded apart, as at generation, where the response is not there yet.
    """
    examples = []
    for entry in entries:
        prompt = tokenizer.encode(format_prompt(entry))
        sequence = [*prompt, *tokenizer.encode(entry["output"]), tokenizer.eot_id]
        ignored = len(prompt) - 1 if loss_on == "response" else 0
        if len(sequence) - 1 <= max_tokens:
            examples.append(Example(sequence[:-1], [IGNORED] * ignored + sequence[ignored + 1 :]))
    return examples
