"""The building block `mlp`, and `attention` that ends in one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, cast

import torch.nn.functional as F
from torch import Tensor, nn

from archioptrx.graphs.signatures import SIGNATURES, Shape
from archioptrx.networks.blocks.fused import dense, norm_act
from archioptrx.networks.blocks.normal import plain_norm
from archioptrx.networks.blocks.projection import Neighbourhood, Projection
from archioptrx.networks.blocks.registry import block
from archioptrx.networks.blocks.value import ForwardPass, Piece, Value


@block(SIGNATURES["mlp"])
class MLP(nn.Module):
    """Linear layers with norm and activation between, on any inputs at or below the output's rung.

    Parameters
    ----------
    inputs, output
        Shapes of the inputs in order, and of the result.
    layers
        Number of linear layers; all but the last are `hidden` wide.
    hidden, activation, norm, output_activation, dropout
        Parameters of the block's signature. A norm stands before each activation; without activation there is no norm.
    first_layer
        Further parameters, which concern the first layer.
    """

    def __init__(
        self,
        inputs: Sequence[Shape],
        output: Shape,
        layers: int = 2,
        hidden: int = 64,
        activation: str = "relu",
        norm: str = "layer",
        output_activation: str = "none",
        dropout: float = 0.0,
        **first_layer: Any,
    ) -> None:
        super().__init__()
        widths = [hidden] * (layers - 1) + [output.width]
        first = self._first(inputs, Shape(output.domain, widths[0]), **first_layer)
        further = [nn.Linear(a, b) for a, b in pairwise(widths)]
        self.layers = nn.ModuleList([first, *further])
        self.activations = [activation] * (layers - 1) + [output_activation]
        normed = [norm != "none" and kind != "none" for kind in self.activations]
        self.norms = nn.ModuleList(
            plain_norm(norm, w) if yes else nn.Identity() for w, yes in zip(widths, normed, strict=True)
        )
        self.dropout = dropout

    def _first(self, inputs: Sequence[Shape], output: Shape, **parameters: Any) -> nn.Module:
        return Projection(inputs, output, **parameters)

    def forward(self, values: Sequence[Value], run: ForwardPass, pending: bool = False) -> Value:
        """Apply the network; `pending` leaves its last linear layer to the steps that read the result."""
        x = self._dropped(0, norm_act(self.layers[0](values, run), self.norms[0], self.activations[0]))
        last = len(self.layers) - 1
        for place in range(1, last + 1):
            layer = cast(nn.Linear, self.layers[place])
            if place == last and pending:
                return Value((Piece(x, layer.weight, layer.bias),))
            x = self._dropped(place, dense(x, layer, self.norms[place], self.activations[place]))
        return Value.of(x)

    def _dropped(self, place: int, x: Tensor) -> Tensor:
        if self.dropout and place < len(self.layers) - 1:
            return F.dropout(x, self.dropout, self.training)
        return x


@block(SIGNATURES["attention"])
class Attention(MLP):
    """The building block `attention`: an MLP on the incoming sum, the outgoing sum and the value itself.

    `mlp([Σ_{j→i} σ(e_ji) x_j, Σ_{i→j} σ(e_ij) x_j, x_i])`; with `direction="together"` the two sums are added before
    they meet a weight: edges without a direction. Source: Farrell et al., "Novel deep learning methods for
    track reconstruction" (2018), the node network.
    """

    def _first(self, inputs: Sequence[Shape], output: Shape, **parameters: Any) -> nn.Module:
        return Neighbourhood(inputs, output, **parameters)
