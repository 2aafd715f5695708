"""Muon moves each matrix as torch.optim.Muon moves that of an nn.Linear, and the rest as AdamW does."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from scratchlm.models.gpt import GPT
from scratchlm.training import muon
from scratchlm.training.muon import orthogonalize
from scratchlm.training.optimizer import build_optimizer
from tests.training.conftest import LENGTH, VOCAB, tiny_config, tiny_model

CONFIG = tiny_config(optimizer="muon", learning_rate=0.02)
STEPS = 8


class LinearBlock(nn.Module):
    """A block of a GPT in plain PyTorch: six nn.Linear, each with the transposed weights of the block's projections."""

    def __init__(self, gpt: GPT, layer: int) -> None:
        super().__init__()
        block = gpt.h[layer]
        self.n_head, self.ln_1, self.ln_2 = gpt.config.n_head, block.ln_1, block.ln_2
        columns = zip(block.attn.c_attn.weight.chunk(3, 1), block.attn.c_attn.bias.chunk(3), strict=True)
        self.query, self.key, self.value = (linear(weight, bias) for weight, bias in columns)
        self.out, self.up, self.down = (
            linear(each.weight, each.bias) for each in (block.attn.c_proj, block.mlp.c_fc, block.mlp.c_proj)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.ln_1(x)
        heads = [each(y).unflatten(-1, (self.n_head, -1)).transpose(1, 2) for each in self.projections()]
        x = x + self.out(F.scaled_dot_product_attention(*heads, is_causal=True).transpose(1, 2).flatten(-2))
        return x + self.down(F.gelu(self.up(self.ln_2(x)), approximate="tanh"))

    def projections(self) -> list[nn.Linear]:
        """Queries, keys, values."""
        return [self.query, self.key, self.value]


def linear(weight: torch.Tensor, bias: torch.Tensor) -> nn.Linear:
    layer = nn.Linear(*weight.shape)
    layer.weight.data, layer.bias.data = weight.detach().T.clone(), bias.detach().clone()
    return layer


class LinearGPT(nn.Module):
    """A GPT of `LinearBlock`s that shares nothing with the one that it is made from."""

    def __init__(self, gpt: GPT) -> None:
        super().__init__()
        self.wte, self.wpe, self.ln_f = gpt.wte, gpt.wpe, gpt.ln_f
        self.h = nn.ModuleList(LinearBlock(gpt, layer) for layer in range(len(gpt.h)))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.wte(tokens) + self.wpe.weight[: tokens.shape[1]]
        for block in self.h:
            x = block(x)
        return F.linear(self.ln_f(x), self.wte.weight)

    def optimizers(self) -> list[torch.optim.Optimizer]:
        """What PyTorch has: Muon with symmetric scaling for the matrices, AdamW for embeddings and vectors."""
        matrices = [module.weight for module in self.modules() if isinstance(module, nn.Linear)]
        taken = set(map(id, matrices))
        rest = [parameter for parameter in self.parameters() if id(parameter) not in taken]
        groups = [
            {"params": [p for p in rest if p.ndim == 2], "weight_decay": CONFIG.weight_decay},
            {"params": [p for p in rest if p.ndim < 2], "weight_decay": 0.0},
        ]
        rate, decay = CONFIG.learning_rate, CONFIG.weight_decay
        return [
            torch.optim.Muon(
                matrices, lr=rate, weight_decay=decay, momentum=CONFIG.beta1, adjust_lr_fn="match_rms_adamw"
            ),
            torch.optim.AdamW(groups, lr=rate, betas=(CONFIG.beta1, CONFIG.beta2)),
        ]


def train_steps(model: nn.Module, optimizers: list[torch.optim.Optimizer]) -> list[float]:
    """The losses of a few steps, all on the same tokens."""
    tokens = torch.randint(VOCAB, (4, LENGTH + 1), generator=torch.Generator().manual_seed(0))
    losses = []
    for _ in range(STEPS):
        loss = F.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-5), ("bfloat16", 1e-2)])
def test_the_trajectory_is_that_of_torchs_muon_on_linear_layers(
    precision: str, tolerance: float, monkeypatch: pytest.MonkeyPatch
):
    if precision == "float32":  # torch's iteration is always in bfloat16
        monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.clone)
    ours, plain = tiny_model(dropout=0.0), LinearGPT(tiny_model(dropout=0.0))
    losses = train_steps(ours, [build_optimizer(ours, CONFIG.model_copy(update={"precision": precision}))])
    expected = train_steps(plain, plain.optimizers())
    assert losses == pytest.approx(expected, rel=tolerance)
    assert losses[-1] < losses[0] - 0.1
    for block, linears in zip(ours.h, plain.h, strict=True):
        theirs = torch.cat([each.weight.T for each in linears.projections()], dim=1)
        torch.testing.assert_close(block.attn.c_attn.weight, theirs, rtol=0, atol=tolerance)
        torch.testing.assert_close(block.mlp.c_fc.weight, linears.up.weight.T, rtol=0, atol=tolerance)
        torch.testing.assert_close(block.mlp.c_proj.weight, linears.down.weight.T, rtol=0, atol=tolerance)
    torch.testing.assert_close(ours.wte.weight, plain.wte.weight, rtol=0, atol=tolerance)


def test_small_batches_of_matrices_give_the_same_steps(monkeypatch: pytest.MonkeyPatch):
    states = []
    for numbers in (muon.BATCH_NUMBERS, 1):
        monkeypatch.setattr(muon, "BATCH_NUMBERS", numbers)
        model = tiny_model(dropout=0.0)
        train_steps(model, [build_optimizer(model, CONFIG)])
        states.append(model.state_dict())
    for name, tensor in states[0].items():
        torch.testing.assert_close(tensor, states[1][name], msg=name)


def test_singular_values_are_moved_to_about_one():
    sizes = torch.tensor([1e-6, 1.0, 1e6])[:, None, None]
    matrices = torch.randn(3, 8, 32, generator=torch.Generator().manual_seed(0)) * sizes
    left, _, right = torch.linalg.svd(matrices.double(), full_matrices=False)
    values = torch.linalg.svdvals(orthogonalize(matrices))
    assert 0.6 < values.min() < values.max() < 1.3
    cosine = F.cosine_similarity(orthogonalize(matrices).flatten(1).double(), (left @ right).flatten(1))
    assert cosine.min() > 0.98
    assert not orthogonalize(torch.zeros(1, 2, 2)).any()


def test_an_update_has_the_size_of_one_of_adamw():
    model = tiny_model(dropout=0.0)
    before = model.h[0].mlp.c_fc.weight.detach().clone()
    train = CONFIG.model_copy(update={"weight_decay": 0.0})
    optimizer = build_optimizer(model, train)
    model(torch.randint(VOCAB, (8, LENGTH), generator=torch.Generator().manual_seed(0))).square().sum().backward()
    optimizer.step()
    rms = (model.h[0].mlp.c_fc.weight - before).square().mean().sqrt().item()
    assert math.isclose(rms, 0.2 * train.learning_rate, rel_tol=0.2)


def test_embeddings_heads_and_vectors_move_with_adamw_and_what_is_frozen_not_at_all():
    model, reference = tiny_model(dropout=0.0), tiny_model(dropout=0.0)
    for each, optimizer in ((model, "muon"), (reference, "adamw")):
        each.wpe.weight.requires_grad_(False)
        each.h[0].mlp.c_fc.weight.requires_grad_(False)
        optimizer = build_optimizer(each, CONFIG.model_copy(update={"optimizer": optimizer}))
        each(torch.arange(LENGTH)[None]).square().sum().backward()
        optimizer.step()
    same = {name for name, tensor in model.state_dict().items() if torch.equal(tensor, reference.state_dict()[name])}
    moved = {name for name, parameter in model.named_parameters() if name.startswith("h.") and parameter.ndim == 2}
    assert set(model.state_dict()) - same == moved - {"h.0.mlp.c_fc.weight"}
    assert torch.equal(model.h[0].mlp.c_fc.weight, tiny_model().h[0].mlp.c_fc.weight)
