"""A GPT that classifies a text: the trunk, and a head on what `Readout` takes of its hidden states."""

from typing import Literal

import torch
from pydantic import Field, ValidationInfo, field_validator
from torch import nn

from scratchlm.models.gpt import GPT, INIT_STD
from scratchlm.params import Schema

Position = Literal["last", "last_padded", "first", "mean"]


class Readout(Schema):
    """Which hidden state is classified, and whether a token sees those after it.

    The defaults are what Hugging Face's GPT2ForSequenceClassification computes. `last_padded` is the last of
    `padded_length` columns: every text is padded to so many, and the padding counts.
    """

    position: Position = "last"
    causal: bool = True
    padded_length: int | None = Field(default=None, gt=0, validate_default=True)

    @field_validator("padded_length")
    @classmethod
    def _belongs_to_last_padded(cls, padded_length: int | None, info: ValidationInfo) -> int | None:
        if (padded_length is None) == (info.data.get("position") == "last_padded"):
            raise ValueError("must be given with position last_padded, and only there")
        return padded_length


class GPTClassifier(nn.Module):
    """Class logits of texts; `trunk` is used as it is, not copied, and `init_head` or a file gives the head."""

    def __init__(self, trunk: GPT, n_classes: int, readout: Readout | None = None) -> None:
        super().__init__()
        self.trunk = trunk
        self.n_classes = n_classes
        self.readout = readout or Readout()
        self.score = nn.Linear(trunk.config.n_embd, n_classes, bias=False)

    def forward(self, tokens: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Logits (B, K) of `tokens` (B, T), of which the first `lengths` (B,) of each row are text, the rest padding.

        The padding cannot reach a real token: causal attention does not look ahead, and without it padding is masked.
        """
        columns = torch.arange(tokens.shape[1], device=tokens.device)  # (T,)
        real = columns < lengths[:, None]  # (B, T)
        hidden = self.trunk.hidden(tokens, mask=None if self.readout.causal else real[:, None, None])  # (B, T, C)
        return self.score(self._read(hidden, real, lengths))  # (B, K)

    def _read(self, hidden: torch.Tensor, real: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """What the head classifies, (B, C)."""
        match self.readout.position:
            case "last":
                return hidden[torch.arange(len(hidden), device=hidden.device), lengths - 1]
            case "last_padded":
                assert hidden.shape[1] == self.readout.padded_length
                return hidden[:, -1]
            case "first":
                return hidden[:, 0]
            case "mean":
                return torch.where(real[..., None], hidden, 0.0).sum(dim=1) / lengths[:, None]

    @torch.no_grad()
    def init_head(self, seed: int) -> None:
        """Draw the head from a normal with standard deviation 0.02; a function of `seed` alone."""
        generator = torch.Generator().manual_seed(seed)
        self.score.weight.copy_(torch.normal(0.0, INIT_STD, self.score.weight.shape, generator=generator))
