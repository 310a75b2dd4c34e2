"""Matrix products and tanh in their fastest exact form on a CPU."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

# oneDNN writes a kernel for each new shape, which takes 0.6 ms and 0.7 MB that it keeps: all but the last rows of a
# batch go in blocks of one height, so that batches of any size meet the same few kernels. The blocks stay in the
# processor's cache, too.
BLOCK = 2048  # rows for each thread
WIDE = 16  # below this width a product moves memory rather than computes, and BLAS is as good


def _has_onednn() -> bool:
    """Whether oneDNN multiplies float32 on this machine. On AMD processors it is three times as fast as MKL."""
    if not torch.backends.mkldnn.is_available():
        return False
    try:
        product = torch.ops.mkldnn._linear_pointwise(torch.ones(2, 3), torch.ones(4, 3), None, "none", [], "")
        return bool((product == 3).all())
    except (AttributeError, RuntimeError):
        return False


_ONEDNN = _has_onednn()


def blocks(rows: int) -> Iterator[slice]:
    """Blocks of rows: all of one height but the last."""
    height = BLOCK * torch.get_num_threads()
    for start in range(0, rows, height):
        yield slice(start, min(start + height, rows))


def multiply(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """`x @ weight.T + bias` without a gradient, for one block of rows."""
    whole = len(x) == BLOCK * torch.get_num_threads()
    if whole and _ONEDNN and x.dtype == torch.float32 and min(weight.shape) >= WIDE:
        result: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
        return result
    return F.linear(x, weight, bias)


def product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`x @ weight.T + bias` without a gradient: [R, i], [o, i], [o] -> [R, o]."""
    if len(x) < BLOCK or min(weight.shape) < WIDE or not _ONEDNN:
        return F.linear(x, weight, bias)
    out, weight = x.new_empty(len(x), weight.shape[0]), weight.contiguous()
    for part in blocks(len(x)):
        out[part] = multiply(x[part], weight, bias)
    return out


class _Linear(torch.autograd.Function):
    """`x @ weight.T + bias` for float32 on a CPU."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return product(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        grad_x = product(grad, weight.t()) if ctx.needs_input_grad[0] else None
        grad_weight = grad.t() @ x if ctx.needs_input_grad[1] else None
        return grad_x, grad_weight, grad.sum(0) if ctx.needs_input_grad[2] else None


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`x @ weight.T + bias`: [R, i], [o, i], [o] -> [R, o]."""
    if x.device.type == "cpu" and x.dtype == weight.dtype == torch.float32 and not torch.is_autocast_enabled("cpu"):
        result: Tensor = _Linear.apply(x, weight, bias)
        return result
    return F.linear(x, weight, bias)


class _Tanh(torch.autograd.Function):
    """tanh(x) = 2 σ(2x) - 1, to 2e-7. PyTorch's own tanh on a CPU takes four times as long."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        out = x.mul(2).sigmoid_().mul_(2).sub_(1)
        ctx.save_for_backward(out)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (out,) = ctx.saved_tensors
        grad_x: Tensor = torch.ops.aten.tanh_backward(grad, out)
        return grad_x


def tanh(x: Tensor) -> Tensor:
    """The hyperbolic tangent."""
    return _Tanh.apply(x) if x.device.type == "cpu" and x.dtype == torch.float32 else torch.tanh(x)
