"""A model directory as judge: it reads the rubric's prompt, and the score is the expectation over its digits."""

import json
from pathlib import Path

import torch

from scratchlm.datasets.tokenizers import load_tokenizer
from scratchlm.errors import UserError
from scratchlm.judging.rubric import DIGIT
from scratchlm.judging.verdicts import Verdict
from scratchlm.models.storage import load_gpt


class LocalJudge:
    """A model directory as judge: the probabilities of the ten digits after the prompt."""

    rubric = DIGIT
    max_concurrency = 1
    identity = None  # the code of the model determines the answer too, and asking costs nothing

    def __init__(self, directory: Path, device: torch.device) -> None:
        self._model = load_gpt(directory).to(device)
        self._tokenizer = load_tokenizer(directory)
        self._digits = [token for digit in "0123456789" for token in self._tokenizer.encode(digit)]
        if len(set(self._digits)) != 10:
            raise UserError(f"the tokenizer of {directory} has no token for each digit; judge with another model.")
        self._name = directory.name

    @torch.no_grad()
    def ask(self, prompt: str) -> Verdict:
        """The digits' probabilities as JSON; of a prompt longer than the context, the end is read."""
        tokens = self._tokenizer.encode(prompt)
        read = tokens[-self._model.config.context_length :]
        device = next(self._model.parameters()).device
        hidden = self._model.hidden(torch.tensor([read], device=device))  # (1, T, C)
        logits = self._model.logits(hidden[0, -1])  # (V,)
        probabilities = logits.double().softmax(dim=-1)[self._digits].tolist()
        return Verdict(
            rubric=self.rubric.version,
            model=self._name,
            replies=[json.dumps({"digit_probabilities": probabilities})],
            status="ok",
            prompt_tokens=len(tokens),
            completion_tokens=0,
            unread_tokens=len(tokens) - len(read),
        )
