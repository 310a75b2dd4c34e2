"""A building block of one's own: how far the values of two hits lie apart, for each doublet.

    archioptrx sample custom_block.yaml --imports custom_block --count 3
    archioptrx search quickstart --function-graph custom_block.yaml --set imports=[custom_block]

each in the folder of this file, or where it is installed. The function graph beside it, `custom_block.yaml`, uses it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from archioptrx.graphs.signatures import Parameter, Signature, Width
from archioptrx.networks.blocks import Shape, Topology, block


def accepts(inputs: tuple[str, ...], output: str) -> str | None:
    """Which domains it joins. A message begins after the name of the block and ends with what is allowed."""
    if (inputs, output) == (("node",), "edge"):
        return None
    return f"can't take {' and '.join(inputs)} to {output}; allowed: node to edge"


def width(widths: tuple[Width, ...], parameters: Mapping[str, Any]) -> Width:
    """As wide as its input. A search knows all widths and numbers of parameters without making a network."""
    return widths[0]


@block(
    Signature(
        "difference",
        accepts=accepts,
        width=width,
        parameters=(Parameter("power", (float,), 1.0, minimum=0.1),),
    )
)
class Difference(nn.Module):
    """sign(d) |d|^power of d = outer - inner, each channel times a weight that is learned."""

    def __init__(self, inputs: Sequence[Shape], output: Shape, power: float = 1.0) -> None:
        super().__init__()
        self.power = power
        self.weight = nn.Parameter(torch.ones(output.width))

    def forward(self, inputs: Sequence[Tensor], topology: Topology) -> Tensor:
        """Shapes: one tensor [hits, width] -> [edges, width]."""
        inner, outer = topology.edges.index
        difference = inputs[0][outer] - inputs[0][inner]
        # The small number: |d|^power has no finite slope at 0 for a power below 1.
        return self.weight * difference.sign() * (difference.abs() + 1e-6) ** self.power
