"""The untuned model asked in words whether a message is spam: the bar that shows what fine-tuning adds."""

from collections.abc import Sequence

import torch
from tqdm import tqdm

from scratchlm.datasets.tokenizers import Tokenizer
from scratchlm.errors import UserError
from scratchlm.models.gpt import GPT

QUESTION = "Is the following text 'spam'? Answer with 'yes' or 'no': '"
ANSWER = "'\nAnswer:"
NO_AND_YES = (" no", " yes")


def predict_zero_shot(model: GPT, tokenizer: Tokenizer, texts: Sequence[str]) -> list[float]:
    """The probability of " yes" against " no" after the question about each text.

    Of a message that does not fit the context the beginning is read.
    """
    question, answer, *continuations = map(tokenizer.encode, (QUESTION, ANSWER, *NO_AND_YES))
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
    return torch.tensor(rows, dtype=torch.float64).softmax(dim=-1)[:, 1].tolist()


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
