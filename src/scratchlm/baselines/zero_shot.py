"""The untuned model asked in words which class a message is of: the bar that shows what fine-tuning adds."""

from collections.abc import Sequence

import numpy as np
import torch
from tqdm import tqdm

from scratchlm.datasets.tokenizers import Tokenizer
from scratchlm.errors import UserError
from scratchlm.models.gpt import GPT

ANSWER = "'\nAnswer:"


def predict_zero_shot(model: GPT, tokenizer: Tokenizer, texts: Sequence[str], classes: Sequence[str]) -> np.ndarray:
    """The probability of each class (N, K): that of its answer against the others' after the question about a text.

    Of a message that does not fit the context the beginning is read.
    """
    asked, answers = ask(classes)
    question, answer, *continuations = map(tokenizer.encode, (asked, ANSWER, *answers))
    fixed = len(question) + len(answer) + max(map(len, continuations))
    if (room := model.config.context_length - fixed) < 1:
        raise UserError(
            f"the question needs {fixed} tokens and a message, the model's context_length is "
            f"{model.config.context_length}; take a base model with a longer one."
        )
    rows = []
    for text in tqdm(texts, desc="zero-shot", disable=None):
        prompt = question + tokenizer.encode(text)[:room] + answer
        rows.append(continuation_log_probs(model, prompt, continuations))
    return torch.tensor(rows, dtype=torch.float64).softmax(dim=-1).numpy()


def ask(classes: Sequence[str]) -> tuple[str, list[str]]:
    """What stands before a text, and the answer that each class is: of two no and yes, of more its name and line end.

    The line end keeps the name of one class from being the beginning of another's.
    """
    if len(classes) == 2:
        return f"Is the following text '{classes[1]}'? Answer with 'yes' or 'no': '", [" no", " yes"]
    names = ", ".join(f"'{label}'" for label in classes)
    return f"Which of {names} is the following text? Answer with one of them: '", [f" {label}\n" for label in classes]


@torch.no_grad()
def continuation_log_probs(model: GPT, prompt: list[int], continuations: Sequence[list[int]]) -> list[float]:
    """The log-probability of each continuation of a prompt; those that differ in the last token share one pass."""
    device = next(model.parameters()).device
    log_probs: dict[tuple[int, ...], torch.Tensor] = {}
    totals = []
    for *head, last in continuations:
        if tuple(head) not in log_probs:
            logits = model(torch.tensor([prompt + head], device=device))[0, len(prompt) - 1 :]  # (len(head) + 1, V)
            log_probs[tuple(head)] = logits.double().log_softmax(dim=-1)
        rows = log_probs[tuple(head)]
        totals.append(sum(rows[index, token].item() for index, token in enumerate([*head, last])))
    return totals
