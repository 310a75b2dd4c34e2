"""Normalisations."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from archioptrx.graphs.signatures import SIGNATURES, Shape
from archioptrx.networks.blocks.registry import block
from archioptrx.networks.blocks.segments import Segments, mean, take
from archioptrx.networks.blocks.value import ForwardPass, Value


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation over rows; a batch of fewer than two rows has no spread and uses the running averages."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training and x.shape[0] < 2:
            return nn.functional.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps
            )
        return super().forward(x)


class GraphNorm(nn.Module):
    """Normalise each channel over the rows of each graph, with a learned share of the mean.

    `(x - α mean) / sqrt(mean((x - α mean)²) + ε) · γ + β`. Source: Cai et al., "GraphNorm: A Principled Approach to
    Accelerating Graph Neural Network Training" (2021), eq. 3.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.mean_scale = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor, segments: Segments) -> Tensor:
        """Normalise: [R, w] -> [R, w]."""
        centred = x - take(mean(x, segments), segments) * self.mean_scale
        spread = (mean(centred.square(), segments) + 1e-5).sqrt()
        return self.weight * centred / take(spread, segments) + self.bias


def plain_norm(kind: str, width: int) -> nn.Module:
    """A normalisation that needs no topology: "layer" or "batch"."""
    return nn.LayerNorm(width) if kind == "layer" else BatchNorm(width)


@block(SIGNATURES["norm"])
class Norm(nn.Module):
    """The building block `norm`: one value, normalised.

    The state dict names its parameters `layer.weight` and so on, after the kind.
    """

    def __init__(self, inputs: Sequence[Shape], output: Shape, kind: str = "layer") -> None:
        super().__init__()
        self.domain = output.domain
        self.layer = GraphNorm(output.width) if kind == "graph" else plain_norm(kind, output.width)

    def forward(self, values: Sequence[Value], run: ForwardPass) -> Tensor:
        """Normalise: value -> [R, w]."""
        x = values[0].tensor()
        normalised: Tensor = self.layer(x, *self._segments(x, run))
        return normalised

    def _segments(self, x: Tensor, run: ForwardPass) -> tuple[Segments, ...]:
        """The graphs of the rows, where the kind of norm needs them."""
        if not isinstance(self.layer, GraphNorm):
            return ()
        if self.domain != "graph":
            return (run.topology.batch(self.domain),)
        # A graph value has one row per graph: each row is averaged by itself.
        return (Segments(torch.arange(x.shape[0], device=x.device), x.shape[0]),)
