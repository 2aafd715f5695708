"""The affine map of every layer, in float32 on AMD's processors with AVX-512 through oneDNN.

PyTorch computes float32 products with MKL, which reaches half of what these can do. On Intel's, and without AVX-512,
it is as fast as oneDNN, and takes transposed factors without a copy. oneDNN adds the terms of a sum in one row where
MKL adds parts of it: 768 random terms round half as far again from float64, 3,072 twice as far. So without gradients
(evaluation, texts, frozen blocks) the sum is made of parts too, and its rounding is that of other tools. Of a weight
(out, in), as the output layer's, parts would have to be copied: there the product is PyTorch's own.
"""

from typing import Any

import torch
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

CPU = torch.cpu.get_capabilities()
PREFERS_ONEDNN = (
    torch.backends.mkldnn.is_available() and CPU.get("avx512_f", False) and not CPU["cpu_name"].startswith("Intel")
)
PART = 192  # terms that are added in one row without gradients: as exact as MKL, and hardly slower than one sum
GPU_MULTIPLE = 128
MIN_MULTIPLICATIONS = 2**21  # of a product: below, as for a few tokens of a small model, MKL begins sooner


def linear(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """`x` (..., in) times `weight` (out, in), which may be the transposed view of a matrix (in, out), plus `bias`."""
    if _takes_onednn(x, weight):
        rows = x.flatten(0, -2)
        if torch.is_grad_enabled():
            return _OneDNNLinear.apply(rows, weight, bias).unflatten(0, x.shape[:-1])
        if weight.T.is_contiguous() and not torch.compiler.is_compiling():
            return _product_of_parts(rows, weight, bias).unflatten(0, x.shape[:-1])
    return F.linear(x, weight, bias)


def output_linear(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """`linear` over a vocabulary: on a GPU with rows of zeros up to a multiple of 128, which tensor cores want.

    Neither the weight (out, in) nor the result (..., out) has these rows.
    """
    return _padded_linear(x, weight) if x.device.type == "cuda" else linear(x, weight)


def _padded_linear(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    missing = -len(weight) % GPU_MULTIPLE
    return linear(x, F.pad(weight, (0, 0, 0, missing)))[..., : len(weight)]


def _takes_onednn(x: torch.Tensor, weight: torch.Tensor) -> bool:
    return (
        x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and x.numel() * weight.shape[0] >= MIN_MULTIPLICATIONS
        and PREFERS_ONEDNN
        and not torch.is_autocast_enabled("cpu")
    )


def _product(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """`x` (M, in) times `weight` (out, in): an x that is transposed is copied, a weight is not."""
    if torch.compiler.is_compiling():
        return _opaque_product(x, weight, bias)
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


def _product_of_parts(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """The same, each sum added up from sums of `PART` terms."""
    (x_part, w_part), *others = zip(x.split(PART, dim=1), weight.split(PART, dim=1), strict=True)
    total = torch.ops.mkldnn._linear_pointwise(x_part, w_part, bias, "none", [], "")
    for x_part, w_part in others:
        total = torch.ops.mkldnn._linear_pointwise.binary(x_part, total, w_part, None, "add")
    return total


# torch.compile takes oneDNN's operator with constant weights alone: it must not look into this one.
@torch.library.custom_op("scratchlm::linear", mutates_args=())
def _opaque_product(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


@_opaque_product.register_fake
def _(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    return x.new_empty(len(x), len(weight))


def _weight_gradient(x: torch.Tensor, gradient: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """The gradient (out, in) of a weight, with the strides of the weight: a parameter takes it without a copy."""
    return _product(gradient.T, x.T) if weight.is_contiguous() else _product(x.T, gradient.T).T


class _OneDNNLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        ctx.save_for_backward(x, weight)
        return _product(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # pyright: ignore
        x, weight = ctx.saved_tensors
        for_x, for_weight, for_bias = ctx.needs_input_grad
        return (
            _product(gradient, weight.T) if for_x else None,
            _weight_gradient(x, gradient, weight) if for_weight else None,
            gradient.sum(dim=0) if for_bias else None,
        )
