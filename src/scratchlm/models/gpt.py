"""GPT-2, whole: attention, MLP, block, the model, and the key-value cache for generation.

Parameters have OpenAI's names and OpenAI's (in, out) layout, so that conversion between formats is a rename.
"""

import math
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from scratchlm.errors import UserError
from scratchlm.models.attention import attention
from scratchlm.models.gpt_config import GPTConfig
from scratchlm.models.linear import linear, output_linear

INIT_STD = 0.02


class KVCache:
    """Keys and values of the columns read so far in all layers, so that a new token costs one column.

    Rows of different lengths are padded on the left: row b begins with `padding[b]` columns that hold no text. No other
    column attends to those, and positions are counted after them. `GPT.new_cache` makes one.
    """

    def __init__(self, keys: torch.Tensor, values: torch.Tensor, padding: torch.Tensor) -> None:
        self.keys = keys  # (n_layer, B, H, capacity, D)
        self.values = values  # (n_layer, B, H, capacity, D)
        self.padding = padding  # (B,)
        self.least_padding = int(padding.min())
        self.length = 0

    def extend(self, layer: int, keys: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Write new columns (B, H, T, D) behind the ones read so far; return all, (B, H, length + T, D)."""
        end = self.length + keys.shape[2]
        self.keys[layer, :, :, self.length : end] = keys
        self.values[layer, :, :, self.length : end] = values
        return self.keys[layer, :, :, :end], self.values[layer, :, :, :end]

    def positions_needed(self, count: int) -> int:
        """How many positions the longest row has with the next `count` columns."""
        return self.length + count - self.least_padding

    def positions(self, count: int) -> torch.Tensor:
        """The positions (B, T) of the next `count` columns; 0 where a column is padding."""
        columns = torch.arange(self.length, self.length + count, device=self.padding.device)
        return (columns - self.padding[:, None]).clamp(min=0)

    def mask(self, count: int) -> torch.Tensor:
        """Which columns the next `count` ones may attend to, (B, 1, T, S): real ones up to themselves."""
        columns = torch.arange(self.length + count, device=self.padding.device)
        queries = columns[self.length :, None]  # (T, 1)
        real = columns >= self.padding[:, None, None]  # (B, 1, S)
        # Padding attends to itself: a softmax over no column at all is not defined.
        return ((columns <= queries) & real | (columns == queries))[:, None]

    def part(self, first: int, count: int, column: int) -> "KVCache":
        """An empty cache for `count` rows from the `first` on; what it reads stands in this one, from `column` on."""
        rows = slice(first, first + count)
        for kept in (self.keys, self.values):  # a masked column counts 0 times: it must not be NaN
            kept[:, rows, :, :column] = 0
        keys, values = self.keys[:, rows, :, column:], self.values[:, rows, :, column:]
        return KVCache(keys, values, self.padding[rows] - column)

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows alone, in this order; only those that change their place are copied."""
        moved = [(place, row) for place, row in enumerate(rows) if place != row]
        if moved:
            places, sources = map(list, zip(*moved, strict=True))
            for kept in (self.keys, self.values):
                kept[:, places, :, : self.length] = kept[:, sources, :, : self.length]
        self.keys, self.values = self.keys[:, : len(rows)], self.values[:, : len(rows)]
        self.padding = self.padding[list(rows)]
        self.least_padding = int(self.padding.min())


class Projection(nn.Module):
    """An affine map whose weight is stored as (in, out), as OpenAI's conv1d has it."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(n_in, n_out))
        self.bias = nn.Parameter(torch.zeros(n_out))

    def matrix(self) -> torch.Tensor:
        """What x is multiplied by, (in, out)."""
        return self.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return linear(x, self.weight.T, self.bias)


class CausalSelfAttention(nn.Module):
    """Multi-head attention of each column to itself and to those before it."""

    def __init__(self, config: GPTConfig, layer: int) -> None:
        super().__init__()
        self.n_head, self.layer = config.n_head, layer
        self.c_attn = Projection(config.n_embd, 3 * config.n_embd)
        self.c_proj = Projection(config.n_embd, config.n_embd)
        self.attn_dropout = nn.Dropout(config.dropout)
        self.resid_dropout = nn.Dropout(config.dropout)

    def forward(self, x: torch.Tensor, cache: KVCache | None = None, mask: torch.Tensor | None = None) -> torch.Tensor:
        heads = self.c_attn(x).unflatten(-1, (3, self.n_head, -1))  # (B, T, 3, H, D)
        query, key, value = heads.permute(2, 0, 3, 1, 4)  # each (B, H, T, D)
        if cache is not None:
            key, value = cache.extend(self.layer, key, value)  # (B, H, S, D)
        dropout = self.attn_dropout.p if self.training else 0.0
        y = attention(query, key, value, mask, dropout)  # (B, H, T, D)
        return self.resid_dropout(self.c_proj(y.transpose(1, 2).flatten(-2)))  # (B, T, C)

    def read(self, x: torch.Tensor, reader: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """What one column of each row, `reader` (B, C), gathers from x (B, T, C) where `mask` (B, T) is true, (B, C).

        One query needs no keys and values of every column: q (x Wk)^T = (q Wk^T) x^T and p (x Wv) = (p x) Wv. The bias
        of the keys adds the same to all scores of a head.
        """
        heads = (3, self.n_head, -1)
        w_query, w_key, w_value = self.c_attn.matrix().unflatten(1, heads).unbind(dim=1)  # each (C, H, D)
        b_query, _, b_value = self.c_attn.bias.unflatten(0, heads)  # each (H, D)
        query = torch.einsum("bc,chd->bhd", reader, w_query) + b_query
        scores = torch.einsum("bhd,chd->bhc", query, w_key) @ x.mT / math.sqrt(query.shape[-1])  # (B, H, T)
        weights = self.attn_dropout(scores.masked_fill(~mask[:, None], -torch.inf).softmax(dim=-1))
        y = torch.einsum("bhc,chd->bhd", weights @ x, w_value) + b_value * weights.sum(dim=-1, keepdim=True)
        return self.resid_dropout(self.c_proj(y.flatten(1)))  # (B, C)


class MLP(nn.Module):
    """Two projections with GELU (tanh approximation) between them."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.c_fc = Projection(config.n_embd, 4 * config.n_embd)
        self.c_proj = Projection(4 * config.n_embd, config.n_embd)
        self.resid_dropout = nn.Dropout(config.dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = F.gelu(self.c_fc(x), approximate="tanh")  # (B, T, 4 C)
        return self.resid_dropout(self.c_proj(hidden))  # (B, T, C)


class Block(nn.Module):
    """Attention, then the MLP, each on normalised input and added to the residual stream."""

    def __init__(self, config: GPTConfig, layer: int) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.n_embd, eps=config.layer_norm_epsilon)
        self.attn = CausalSelfAttention(config, layer)
        self.ln_2 = nn.LayerNorm(config.n_embd, eps=config.layer_norm_epsilon)
        self.mlp = MLP(config)

    def forward(self, x: torch.Tensor, cache: KVCache | None = None, mask: torch.Tensor | None = None) -> torch.Tensor:
        x = x + self.attn(self.ln_1(x), cache, mask)  # (B, T, C)
        return x + self.mlp(self.ln_2(x))  # (B, T, C)

    def read(self, x: torch.Tensor, column: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """What `forward` gives for one `column` (B,) of each row, which attends where `mask` (B, T) is true, (B, C)."""
        one = x[torch.arange(len(x), device=x.device), column]  # (B, C)
        one = one + self.attn.read(self.ln_1(x), self.ln_1(one), mask)
        return one + self.mlp(self.ln_2(one))


class GPT(nn.Module):
    """A decoder-only transformer whose output layer is its token embedding.

    A new model needs `init_weights` or weights from a file.
    """

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.config = config
        # Of zeros: else it would draw weights that are replaced, and on the meta device import torch._dynamo for it.
        self.wte = nn.Embedding.from_pretrained(torch.zeros(config.vocab_size, config.n_embd), freeze=False)
        self.wpe = nn.Embedding.from_pretrained(torch.zeros(config.context_length, config.n_embd), freeze=False)
        self.drop = nn.Dropout(config.dropout)
        self.h = nn.ModuleList(Block(config, layer) for layer in range(config.n_layer))
        self.ln_f = nn.LayerNorm(config.n_embd, eps=config.layer_norm_epsilon)

    def forward(self, tokens: torch.Tensor, cache: KVCache | None = None) -> torch.Tensor:
        """Logits (B, T, V) of the token that follows each of `tokens` (B, T); with `cache`, `tokens` go on from it."""
        return self.logits(self.hidden(tokens, cache))

    def hidden(
        self, tokens: torch.Tensor, cache: KVCache | None = None, mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        """What `logits` reads, (B, T, C); UserError if the tokens do not fit into the context.

        `mask`, which broadcasts to (B, H, T, T) and is no companion of `cache`, is true where a column may attend to
        another; it takes the place of causal attention.
        """
        x = self.embed(tokens, cache)  # (B, T, C)
        if cache is not None:
            mask = cache.mask(tokens.shape[1])
        for block in self.h:
            x = block(x, cache, mask)  # (B, T, C)
        if cache is not None:
            cache.length += tokens.shape[1]
        return self.ln_f(x)  # (B, T, C)

    def embed(self, tokens: torch.Tensor, cache: KVCache | None = None) -> torch.Tensor:
        """What the first block reads, (B, T, C); UserError if the tokens do not fit into the context."""
        count = tokens.shape[1]
        needed = count if cache is None else cache.positions_needed(count)
        if needed > self.config.context_length:
            raise UserError(
                f"{needed:,} tokens exceed the model's context_length of {self.config.context_length:,}; "
                "shorten the text or use a model with a longer context."
            )
        positions = torch.arange(count, device=tokens.device) if cache is None else cache.positions(count)
        return self.drop(self.wte(tokens) + self.wpe(positions))  # (B, T, C)

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Logits (..., V) of hidden states (..., C)."""
        return output_linear(hidden, self.wte.weight)  # (..., V)

    def new_cache(self, padding: torch.Tensor, capacity: int) -> KVCache:
        """An empty cache of `capacity` columns for rows that are padded on the left by `padding` (B,) columns.

        Read the padded prompts with it first, then one column (B, 1) a call; `logits(hidden[:, -1])` is then what
        follows each row. Columns may be more than the context: only what a row itself reads has to fit.
        """
        config = self.config
        shape = (config.n_layer, len(padding), config.n_head, capacity, config.n_embd // config.n_head)
        keys, values = self.wte.weight.new_empty(shape), self.wte.weight.new_empty(shape)
        return KVCache(keys, values, padding.to(self.wte.weight.device))

    @torch.no_grad()
    def init_weights(self, seed: int) -> None:
        """Draw GPT-2's initial weights; a function of `seed` alone, whatever the device and the global generator.

        Normal with standard deviation 0.02, for the projections that add to the residual stream divided by
        sqrt(2 n_layer) (Radford et al. 2019, section 2.3); biases are 0, LayerNorm weights 1.
        """
        generator = torch.Generator().manual_seed(seed)
        residual_std = INIT_STD / math.sqrt(2 * self.config.n_layer)
        for name, parameter in self.named_parameters():
            if name.endswith(".bias"):
                parameter.zero_()
            elif "ln_" in name:
                parameter.fill_(1.0)
            else:
                std = residual_std if name.endswith("c_proj.weight") else INIT_STD
                parameter.copy_(torch.normal(0.0, std, parameter.shape, generator=generator))

    def num_parameters(self) -> int:
        """How many numbers the model holds, the tied output layer counted once."""
        return sum(parameter.numel() for parameter in self.parameters())
