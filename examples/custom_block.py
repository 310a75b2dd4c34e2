"""A building block of your own: the distance between the values of two hits, for each doublet.

    archioptrx sample custom_block.yaml --imports custom_block --count 3
    archioptrx search quickstart --function-graph custom_block.yaml --set imports=[custom_block] --output run
    archioptrx export run --output difference.py

each in the folder of this file, or where it is installed. The function graph beside it, `custom_block.yaml`, uses it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from archioptrx.graphs.signatures import Parameter, Shape, Signature, Width
from archioptrx.graphs.source.step import LayerSource, SourceStep
from archioptrx.graphs.source.text import call
from archioptrx.networks.blocks import ForwardPass, Value, block


def accepts(inputs: tuple[str, ...], output: str) -> str | None:
    """Check the domains that it joins. A message begins after the name of the block and ends with what is allowed."""
    if (inputs, output) == (("node",), "edge"):
        return None
    return f"can't take {' and '.join(inputs)} to {output}; allowed: node to edge"


def width(widths: tuple[Width, ...], parameters: Mapping[str, Any]) -> Width:
    """Width of the result: that of the input. A search knows all widths without making a network."""
    return widths[0]


def count(inputs: Sequence[Shape], output: Shape, parameters: Mapping[str, Any]) -> int:
    """Number of weights, for constraints on `parameters`: checked whenever a network is made."""
    return output.width


CODE = '''
class Difference(nn.Module):
    """sign(d) |d|^power of d = x[end] - x[start], times weights: [N, width] -> [E, width]."""

    def __init__(self, width, power):
        super().__init__()
        self.power = power
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x, start, end):
        difference = x[end] - x[start]
        return self.weight * difference.sign() * (difference.abs() + 1e-6) ** self.power
'''


def source(step: SourceStep) -> LayerSource:
    """Plain torch for `export`: the call that makes the module, its arguments, and its class as text."""
    construction = call("Difference", f"{step.output.width}", f"{step.parameters['power']}")
    return LayerSource(construction, (step.inputs[0].code, "start", "end"), helpers={"Difference": CODE})


@block(
    Signature(
        "difference",
        accepts=accepts,
        width=width,
        parameters=(Parameter("power", (float,), 1.0, minimum=0.1),),
        count=count,
        source=source,
    )
)
class Difference(nn.Module):
    """sign(d) |d|^power of d = outer - inner, each channel times a weight that is learned."""

    def __init__(self, inputs: Sequence[Shape], output: Shape, power: float = 1.0) -> None:
        super().__init__()
        self.power = power
        self.weight = nn.Parameter(torch.ones(output.width))

    def forward(self, values: Sequence[Value], run: ForwardPass) -> Tensor:
        """Shapes: one value [hits, width] -> [edges, width]."""
        x = values[0].tensor()
        inner, outer = run.topology.edges.index
        difference = x[outer] - x[inner]
        # The small number: |d|^power has no finite slope at 0 for a power below 1.
        return self.weight * difference.sign() * (difference.abs() + 1e-6) ** self.power
