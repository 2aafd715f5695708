"""A model directory as judge: it reads the rubric's prompt, and the score is the expectation over its grades."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from scratchlm.datasets.tokenizers import load_tokenizer
from scratchlm.errors import UserError
from scratchlm.judging.rubric import Rubric
from scratchlm.judging.verdicts import Verdict
from scratchlm.models.storage import load_gpt

# JSON without a space makes the grade exactly one token in every byte BPE: a digit after punctuation.
REQUEST = '{"score":'


class LocalJudge:
    """A model directory as judge: the probabilities of the rubric's grades after the prompt."""

    reading = "expected"
    samples = 1
    skip_verbatim = False
    max_concurrency = 1
    identity = None  # the code of the model determines the answer too, and asking costs nothing
    probe_tokens = (0, 0)
    paid = 0.0

    def __init__(self, directory: Path, rubric: Rubric, device: torch.device) -> None:
        self.rubric = rubric
        if rubric.maximum > 9:
            raise UserError(
                f"a local judge gives grades of one digit, but {rubric.label} goes to {rubric.maximum}; "
                "set judge_responses.rubric to rubrics/scale-4.yaml."
            )
        self._model = load_gpt(directory).to(device)
        self._tokenizer = load_tokenizer(directory)
        digits = "0123456789"[: rubric.maximum + 1]
        self._grades = [token for digit in digits for token in self._tokenizer.encode(digit)]
        if len(set(self._grades)) != len(digits):
            raise UserError(f"the tokenizer of {directory} has no token for each digit; judge with another model.")
        self._name = directory.name

    def prompt(self, item: Mapping[str, Any]) -> str:
        """The rubric's prompt, up to where the grade begins."""
        return self.rubric.fill(item, REQUEST)

    @torch.no_grad()
    def ask(self, prompt: str, sample: int) -> Verdict:
        """The probabilities of the grades; of a prompt longer than the context, the end is read."""
        tokens = self._tokenizer.encode(prompt)
        read = tokens[-self._model.config.context_length :]
        device = next(self._model.parameters()).device
        hidden = self._model.hidden(torch.tensor([read], device=device))  # (1, T, C)
        logits = self._model.logits(hidden[0, -1])  # (V,)
        return Verdict(
            model=self._name,
            replies=[{"probabilities": logits.double().softmax(dim=-1)[self._grades].tolist()}],
            status="ok",
            prompt_tokens=len(tokens),
            completion_tokens=0,
            unread_tokens=len(tokens) - len(read),
        )
