"""A GPT that classifies a text: the trunk, and a head on the hidden state of the last real token."""

import torch
from torch import nn

from scratchlm.models.gpt import GPT, INIT_STD


class GPTClassifier(nn.Module):
    """Class logits of texts; `trunk` is used as it is, not copied, and `init_head` or a file gives the head."""

    def __init__(self, trunk: GPT, n_classes: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.n_classes = n_classes
        self.score = nn.Linear(trunk.config.n_embd, n_classes, bias=False)

    def forward(self, tokens: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Logits (B, K) of `tokens` (B, T), of which the first `lengths` (B,) of each row are text, the rest padding.

        The padding cannot reach the last real token, because attention is causal.
        """
        hidden = self.trunk.hidden(tokens)  # (B, T, C)
        rows = torch.arange(len(tokens), device=tokens.device)  # (B,)
        return self.score(hidden[rows, lengths - 1])  # (B, K)

    @torch.no_grad()
    def init_head(self, seed: int) -> None:
        """Draw the head from a normal with standard deviation 0.02; a function of `seed` alone."""
        generator = torch.Generator().manual_seed(seed)
        self.score.weight.copy_(torch.normal(0.0, INIT_STD, self.score.weight.shape, generator=generator))
