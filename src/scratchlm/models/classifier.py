"""A GPT that classifies a text: the trunk, and a head on what `Readout` takes of its hidden states."""

from typing import Literal

import torch
from pydantic import Field, ValidationInfo, field_validator
from torch import nn

from scratchlm.models.gpt import GPT, INIT_STD, Block
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

    def forward(self, inputs: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Logits (B, K) of tokens (B, T), of which the first `lengths` (B,) of each row are text, the rest padding.

        The padding cannot reach a real token: causal attention does not look ahead, and without it padding is masked.
        """
        return self.score(self.read(self.trunk.embed(inputs), lengths))  # (B, K)

    def read(self, x: torch.Tensor, lengths: torch.Tensor, first_block: int = 0) -> torch.Tensor:
        """What the head classifies, (B, C), of what the block `first_block` reads.

        Where that is one column, the last block computes no other.
        """
        columns = torch.arange(x.shape[1], device=x.device)  # (T,)
        real = columns < lengths[:, None]  # (B, T)
        for block in self.trunk.h[first_block:-1]:
            x = block(x, mask=self.attention_mask(x, lengths))
        last = self.trunk.h[-1]
        assert isinstance(last, Block)
        column = self._column(x, lengths)
        if column is not None:
            visible = columns <= column[:, None] if self.readout.causal else real
            return self.trunk.ln_f(last.read(x, column, visible))
        hidden = self.trunk.ln_f(last(x, mask=self.attention_mask(x, lengths)))  # (B, T, C)
        return torch.where(real[..., None], hidden, 0.0).sum(dim=1) / lengths[:, None]

    def attention_mask(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor | None:
        """What the columns attend to, (B, 1, 1, T); None is causal attention."""
        columns = torch.arange(x.shape[1], device=x.device)  # (T,)
        return None if self.readout.causal else (columns < lengths[:, None])[:, None, None]

    def _column(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor | None:
        """The column (B,) of each row that is classified; None if all are."""
        match self.readout.position:
            case "last":
                return lengths - 1
            case "last_padded":
                assert x.shape[1] == self.readout.padded_length
                return torch.full_like(lengths, x.shape[1] - 1)
            case "first":
                return torch.zeros_like(lengths)
            case "mean":
                return None

    @torch.no_grad()
    def init_head(self, seed: int) -> None:
        """Draw the head from a normal with standard deviation 0.02; a function of `seed` alone."""
        generator = torch.Generator().manual_seed(seed)
        self.score.weight.copy_(torch.normal(0.0, INIT_STD, self.score.weight.shape, generator=generator))
