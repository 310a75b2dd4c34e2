"""The building block `gate`."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from archioptrx.graphs.signatures import SIGNATURES, Shape
from archioptrx.networks.blocks.projection import Projection
from archioptrx.networks.blocks.registry import block
from archioptrx.networks.blocks.value import ForwardPass, Value


@block(SIGNATURES["gate"])
class Gate(nn.Module):
    """`gate`: the first input, each row (or channel) weighed by a learned number from 0 to 1.

    `v · σ(W [v, further inputs] + b)`. On the values of edges in front of `aggregate` it says how much each message
    counts. Source: Bresson and Laurent, "Residual Gated Graph ConvNets" (2017), arXiv:1711.07553, where the gate of a
    message has one number per channel.

    Parameters
    ----------
    inputs, output
        Shapes of the inputs in order, and of the result: that of the first input.
    weights
        row: one number for all channels of a row; channel: one for each of them.
    """

    def __init__(self, inputs: Sequence[Shape], output: Shape, weights: str = "row") -> None:
        super().__init__()
        self.weigh = Projection(inputs, Shape(output.domain, 1 if weights == "row" else output.width))

    def forward(self, values: Sequence[Value], run: ForwardPass) -> Tensor:
        """Weigh the rows: [R, w], … -> [R, w]."""
        weights: Tensor = self.weigh(values, run)
        return values[0].tensor() * weights.sigmoid()
