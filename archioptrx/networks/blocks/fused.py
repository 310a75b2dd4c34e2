"""LayerNorm with activation, and the linear layer before it, in blocks of rows that stay in a processor's cache.

The arithmetic is PyTorch's own; memory traffic is saved: between the matrix product, the norm and the activation,
forward and backward, a block of rows stays in the cache. Rows are independent, so blocks change no result; gradients of
weights are sums over blocks.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from archioptrx.networks.blocks.matmul import blocks, linear, multiply, tanh

ACTIVATIONS = {
    "relu": torch.relu,
    "tanh": tanh,
    "gelu": F.gelu,
    "silu": F.silu,
    "elu": F.elu,
    "leaky_relu": F.leaky_relu,
    "sigmoid": torch.sigmoid,
}


class _Normed:
    """LayerNorm, then relu or tanh, on one block of rows."""

    def __init__(self, kind: str, weight: Tensor, bias: Tensor, eps: float) -> None:
        self.kind = kind
        self.eps = eps
        self.weight = weight
        # tanh(x) = 2 σ(2x) - 1: the inner factor 2 costs nothing here.
        self.scaled = (2 * weight, 2 * bias) if kind == "tanh" else (weight, bias)
        self.bias = bias

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Result, mean and 1 / spread of each row."""
        y, mean, spread = torch.native_layer_norm(z, z.shape[1:], *self.scaled, self.eps)
        return (y.relu_() if self.kind == "relu" else y.sigmoid_().mul_(2).sub_(1)), mean, spread

    def backward(
        self, grad: Tensor, y: Tensor, z: Tensor, mean: Tensor, spread: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Gradients of z, weight and bias."""
        relu = self.kind == "relu"
        inner = torch.ops.aten.threshold_backward(grad, y, 0) if relu else torch.ops.aten.tanh_backward(grad, y)
        gradients: tuple[Tensor, Tensor, Tensor] = torch.ops.aten.native_layer_norm_backward(
            inner, z, z.shape[1:], mean, spread, self.weight, self.bias, [True, True, True]
        )
        return gradients


class _NormAct(torch.autograd.Function):
    """`act(norm(z))`."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, weight: Tensor, bias: Tensor, eps: float, kind: str) -> Tensor:
        ctx.form = eps, kind
        y, mean, spread = _Normed(kind, weight, bias, eps).forward(z)
        ctx.save_for_backward(z, weight, bias, y, mean, spread)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        z, weight, bias, y, mean, spread = ctx.saved_tensors
        eps, kind = ctx.form
        normed, out = _Normed(kind, weight, bias, eps), torch.empty_like(z)
        grad_weight, grad_bias = torch.zeros_like(weight), torch.zeros_like(bias)
        for part in blocks(len(z)):
            inner = normed.backward(grad[part], y[part], z[part], mean[part], spread[part])
            out[part] = inner[0]
            grad_weight += inner[1]
            grad_bias += inner[2]
        return out, grad_weight, grad_bias, None, None


class _Dense(torch.autograd.Function):
    """`act(norm(x @ matrix.T + shift))`."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, matrix: Tensor, shift: Tensor, weight: Tensor, bias: Tensor, eps: float, kind: str
    ) -> Tensor:
        ctx.form = eps, kind
        normed, y = _Normed(kind, weight, bias, eps), x.new_empty(len(x), len(matrix))
        saved = []  # of each block: the norm's input, mean and spread, as they come; joining them would be a copy
        for part in blocks(len(x)):
            z = multiply(x[part], matrix, shift)
            y[part], mean, spread = normed.forward(z)
            saved += [z, mean, spread]
        ctx.save_for_backward(x, matrix, weight, bias, y, *saved)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, matrix, weight, bias, y, *saved = ctx.saved_tensors
        eps, kind = ctx.form
        normed, transposed = _Normed(kind, weight, bias, eps), matrix.t().contiguous()
        out = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        grad_matrix, grad_shift = torch.zeros_like(matrix), torch.zeros_like(matrix[:, 0])
        grad_weight, grad_bias = torch.zeros_like(weight), torch.zeros_like(bias)
        for number, part in enumerate(blocks(len(x))):
            inner = normed.backward(grad[part], y[part], *saved[3 * number : 3 * number + 3])
            if out is not None:
                out[part] = multiply(inner[0], transposed, None)
            grad_matrix.addmm_(inner[0].t(), x[part])
            grad_shift += inner[0].sum(0)
            grad_weight += inner[1]
            grad_bias += inner[2]
        return out, grad_matrix, grad_shift, grad_weight, grad_bias, None, None


def _fuses(x: Tensor, norm: nn.Module, kind: str) -> bool:
    return (
        isinstance(norm, nn.LayerNorm)
        and kind in ("relu", "tanh")
        and x.device.type == "cpu"
        and x.dtype == norm.weight.dtype
        and not torch.is_autocast_enabled("cpu")
    )


def norm_act(z: Tensor, norm: nn.Module, kind: str) -> Tensor:
    """`act(norm(z))`, and z itself where there is no activation: [R, w] -> [R, w]."""
    if kind == "none":
        return z
    if _fuses(z, norm, kind):
        result: Tensor = _NormAct.apply(z, norm.weight, norm.bias, norm.eps, kind)
        return result
    return ACTIVATIONS[kind](norm(z))


def dense(x: Tensor, layer: nn.Linear, norm: nn.Module, kind: str) -> Tensor:
    """`act(norm(layer(x)))`: [R, i] -> [R, o]."""
    if _fuses(x, norm, kind):
        result: Tensor = _Dense.apply(x, layer.weight, layer.bias, norm.weight, norm.bias, norm.eps, kind)
        return result
    return norm_act(linear(x, layer.weight, layer.bias), norm, kind)
