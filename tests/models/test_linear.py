"""oneDNN's products are those of torch, values and gradients, and without gradients as exact."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from scratchlm.models import linear as module
from scratchlm.models.linear import linear

ROWS, N_IN, N_OUT = 96, 160, 192
pytestmark = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch has no oneDNN here")


@pytest.fixture(autouse=True)
def prefer_onednn(monkeypatch: pytest.MonkeyPatch):
    """As on a processor of AMD's with AVX-512."""
    monkeypatch.setattr(module, "PREFERS_ONEDNN", True)


@contextmanager
def counted_products(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[torch.Size]]:
    """The shapes of what goes through oneDNN meanwhile."""
    shapes: list[torch.Size] = []
    product = module._product

    def count(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
        shapes.append(torch.Size([*x.shape, len(weight)]))
        return product(x, weight, bias)

    with monkeypatch.context() as patch:
        patch.setattr(module, "_product", count)
        yield shapes


def make_inputs(transposed: bool) -> tuple[torch.Tensor, nn.Parameter, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, ROWS // 3, N_IN, generator=generator).requires_grad_()
    weight = nn.Parameter(torch.randn((N_IN, N_OUT) if transposed else (N_OUT, N_IN), generator=generator))
    return x, weight, torch.randn(N_OUT, generator=generator).requires_grad_()


def run(function: Callable[..., torch.Tensor], tensors: tuple[torch.Tensor, ...], transposed: bool):
    """Output and gradients; all gradients of the output differ."""
    x, weight, bias = (tensor.detach().requires_grad_() for tensor in tensors)
    y = function(x, weight.T if transposed else weight, bias)
    (y * torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view_as(y)).sum().backward()
    return y, x.grad, weight.grad, bias.grad


@pytest.mark.parametrize("transposed", [False, True])
def test_values_and_gradients_are_no_further_from_float64_than_twice_those_of_torch(
    transposed: bool, monkeypatch: pytest.MonkeyPatch
):
    tensors = make_inputs(transposed)
    exact = run(F.linear, tuple(tensor.double() for tensor in tensors), transposed)
    theirs = run(F.linear, tensors, transposed)
    with counted_products(monkeypatch) as shapes:
        ours = run(linear, tensors, transposed)
    assert len(shapes) == 3
    for our, their, expected in zip(ours, theirs, exact, strict=True):
        assert our.dtype == torch.float32
        assert our.shape == expected.shape
        assert (our - expected).abs().max() <= 2 * (their - expected).abs().max()


@pytest.mark.parametrize("transposed", [False, True])
def test_a_gradient_has_the_strides_of_its_parameter(transposed: bool):
    tensors = make_inputs(transposed)
    _, _, gradient, _ = run(linear, tensors, transposed)
    assert gradient.stride() == tensors[1].stride()


@torch.no_grad()
def test_without_gradients_a_long_sum_rounds_as_that_of_torch():
    generator = torch.Generator().manual_seed(0)
    x, weight = torch.randn(64, 3072, generator=generator), torch.randn(3072, 96, generator=generator)
    bias = torch.randn(96, generator=generator)
    exact = F.linear(x.double(), weight.T.double(), bias.double())
    whole, ours, theirs = (
        (function(x, weight.T, bias) - exact).square().mean().sqrt() for function in (module._product, linear, F.linear)
    )
    assert ours <= 1.3 * theirs
    assert ours <= 0.8 * whole


@torch.no_grad()
def test_without_gradients_a_row_does_not_depend_on_the_others():
    generator = torch.Generator().manual_seed(0)
    x, weight = torch.randn(64, 400, generator=generator), torch.randn(400, 512, generator=generator)
    torch.testing.assert_close(linear(x, weight.T)[:16], linear(x[:16], weight.T), rtol=1e-6, atol=1e-5)


def test_nothing_is_computed_for_what_is_frozen(monkeypatch: pytest.MonkeyPatch):
    x, weight, bias = make_inputs(transposed=True)
    with counted_products(monkeypatch) as shapes:
        linear(x, weight.detach().T, bias).sum().backward()
        assert [tuple(shape) for shape in shapes] == [(ROWS, N_IN, N_OUT), (ROWS, N_OUT, N_IN)]
        shapes.clear()
        linear(x.detach(), weight.T, bias).sum().backward()
        assert [tuple(shape) for shape in shapes] == [(ROWS, N_IN, N_OUT), (N_IN, ROWS, N_OUT)]


@pytest.mark.parametrize("case", ["no gradients", "small", "float64", "bfloat16", "autocast", "where MKL is as fast"])
def test_the_plain_path_runs_elsewhere(case: str, monkeypatch: pytest.MonkeyPatch):
    x, weight, bias = (tensor.detach() for tensor in make_inputs(transposed=False))
    if case in ("float64", "bfloat16"):
        x, weight, bias = (tensor.to(getattr(torch, case)) for tensor in (x, weight, bias))
    if case == "where MKL is as fast":
        monkeypatch.setattr(module, "PREFERS_ONEDNN", False)
    if case == "small":
        x = x[:1, :1]
    low = torch.autocast("cpu", torch.bfloat16, enabled=case == "autocast")
    with counted_products(monkeypatch) as shapes, low, torch.set_grad_enabled(case != "no gradients"):
        y = linear(x, weight, bias)
        expected = F.linear(x, weight, bias)
    assert shapes == []
    assert torch.equal(y, expected)
    assert y.dtype == (torch.bfloat16 if case == "autocast" else x.dtype)


@pytest.mark.filterwarnings("ignore:.*Function'> should not be instantiated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")
@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
@pytest.mark.parametrize("transposed", [False, True])
def test_a_compiled_graph_computes_the_same(transposed: bool, backend: str):
    tensors = make_inputs(transposed)

    def function(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        return linear(x, weight.T if transposed else weight, bias)

    compiled = torch.compile(function, backend=backend, fullgraph=True)
    results = [run(each, tensors, transposed=False) for each in (compiled, function)]
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_the_padding_of_a_vocabulary_changes_neither_logits_nor_gradients(device: str):
    tensors = make_inputs(transposed=False)
    x, weight = (tensor.detach().to(device).requires_grad_() for tensor in tensors[:2])
    assert len(weight) % module.GPU_MULTIPLE
    results = []
    for function in (module._padded_linear, F.linear):
        x.grad = weight.grad = None
        y = function(x, weight)
        y.square().sum().backward()
        results.append((y, x.grad, weight.grad))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs)
