"""Attention through plain products is PyTorch's own."""

import pytest
import torch
from torch.nn import functional as F

from scratchlm.models import attention as module
from scratchlm.models.attention import attention


def run(function, heads: list[torch.Tensor]) -> list[torch.Tensor]:
    """Output and gradients, for heads as the projection gives them: strided."""
    query, key, value = (tensor.detach().requires_grad_() for tensor in heads)
    y = function(query, key, value)
    (y * torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view_as(y)).sum().backward()
    return [y, query.grad, key.grad, value.grad]


def make_heads(seq_len: int) -> list[torch.Tensor]:
    whole = torch.randn(2, seq_len, 3, 4, 16, generator=torch.Generator().manual_seed(0))
    return list(whole.permute(2, 0, 3, 1, 4))  # each (B, H, T, D)


@pytest.mark.parametrize("seq_len", [1, 7, 64])
def test_plain_products_are_pytorchs_attention_in_float64(seq_len: int):
    heads = [tensor.double() for tensor in make_heads(seq_len)]
    ours = run(lambda *heads: module._plain_causal_attention(*heads, dropout=0.0), heads)
    theirs = run(lambda *heads: F.scaled_dot_product_attention(*heads, is_causal=True), heads)
    for our, their in zip(ours, theirs, strict=True):
        torch.testing.assert_close(our, their, rtol=1e-9, atol=1e-9)


def test_bfloat16_is_as_near_to_float64_as_that_of_pytorch():
    heads = make_heads(64)
    exact = run(lambda *heads: F.scaled_dot_product_attention(*heads, is_causal=True), [h.double() for h in heads])
    low = [tensor.bfloat16() for tensor in heads]
    ours = run(lambda *heads: attention(*heads, mask=None, dropout=0.0), low)
    theirs = run(lambda *heads: F.scaled_dot_product_attention(*heads, is_causal=True), low)
    for our, their, expected in zip(ours, theirs, exact, strict=True):
        assert our.dtype == torch.bfloat16
        assert (our - expected).norm() <= 2 * (their - expected).norm()


@pytest.mark.parametrize(
    ("case", "plain"),
    [("short", True), ("long", False), ("float32", False), ("mask", False), ("no gradient", False)],
)
def test_plain_products_are_taken_to_train_on_short_texts_in_bfloat16_alone(
    case: str, plain: bool, monkeypatch: pytest.MonkeyPatch
):
    query = torch.ones(1, 1, module.PLAIN_LENGTH + (case == "long"), 8, dtype=torch.bfloat16)
    query = query.float() if case == "float32" else query
    heads = [query.requires_grad_(case != "no gradient")] * 3
    mask = torch.ones(query.shape[2], query.shape[2], dtype=torch.bool) if case == "mask" else None
    monkeypatch.setattr(module, "_plain_causal_attention", lambda *_: None)
    assert (attention(*heads, mask, 0.0) is None) == plain


def test_dropout_leaves_out_weights_and_scales_the_rest():
    heads = make_heads(32)
    torch.manual_seed(0)
    dropped = torch.stack([module._plain_causal_attention(*heads, dropout=0.5) for _ in range(400)])
    plain = module._plain_causal_attention(*heads, dropout=0.0)
    assert not torch.equal(dropped[0], dropped[1])
    assert (dropped.mean(dim=0) - plain).abs().mean() < 0.05
