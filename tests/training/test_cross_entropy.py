"""The sum of cross-entropies, and its gradient in the logits' memory, are torch's."""

import pytest
import torch
from torch.nn import functional as F

from scratchlm.training import cross_entropy
from scratchlm.training.cross_entropy import cross_entropy_sum


def make_logits(dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = 20 * torch.randn(50, 31, generator=generator)
    logits[3, 4] = 500.0  # beside it, the softmax of the others is 0 in float32, their losses are not infinite
    return logits.to(dtype), torch.randint(31, (50,), generator=generator)


@pytest.mark.parametrize("chunk_numbers", [1, 31 * 7, 2**20])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5), (torch.bfloat16, 1e-2)]
)
def test_loss_and_gradient_are_torchs(
    dtype: torch.dtype, tolerance: float, chunk_numbers: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(cross_entropy, "CHUNK_NUMBERS", chunk_numbers)
    logits, targets = make_logits(dtype)
    reference = logits.double().clone().requires_grad_()
    expected = F.cross_entropy(reference, targets, reduction="sum")
    (expected / 7).backward()
    leaf = logits.clone().requires_grad_()
    loss = cross_entropy_sum(leaf * 1, targets)
    (loss / 7).backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    assert leaf.grad.dtype == dtype
    torch.testing.assert_close(leaf.grad.double(), reference.grad, rtol=tolerance, atol=tolerance)


def test_the_gradient_takes_the_memory_of_the_logits_and_evaluation_leaves_them_alone():
    logits, targets = make_logits(torch.float32)
    with torch.no_grad():
        before = logits.clone()
        cross_entropy_sum(logits, targets)
        assert torch.equal(logits, before)
    leaf = logits.requires_grad_()
    used = leaf * 1
    used.register_hook(lambda gradient: addresses.append(gradient.data_ptr()))
    addresses: list[int] = []
    cross_entropy_sum(used, targets).backward()
    assert addresses == [used.data_ptr()]


def test_a_second_backward_is_refused():
    logits, targets = make_logits(torch.float32)
    loss = cross_entropy_sum(logits.requires_grad_() * 1, targets)
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_a_compiled_graph_has_the_loss_and_the_gradient_too():
    logits, targets = make_logits(torch.float32)
    results = []

    def function(leaf: torch.Tensor) -> torch.Tensor:
        return cross_entropy_sum(leaf * 1, targets)

    for each in (function, torch.compile(function, backend="aot_eager", fullgraph=True)):
        leaf = logits.clone().requires_grad_()
        loss = each(leaf)
        loss.backward()
        results.append((loss.detach(), leaf.grad))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs)
