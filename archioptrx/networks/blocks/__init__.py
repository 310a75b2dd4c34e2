"""The building blocks as torch modules.

A user adds a block with one decorated class, in a module that the experiment names under `imports` and that is
installed or lies in the folder where the command is run; the bundled ones are added in the same way::

    import torch
    from torch import nn

    from archioptrx.graphs.signatures import Parameter, Signature
    from archioptrx.networks.blocks import block

    @block(Signature("scale", accepts=lambda domains, output: None, width=lambda widths, parameters: widths[0],
                     parameters=(Parameter("start", (float,), 1.0),)))
    class Scale(nn.Module):
        def __init__(self, inputs, output, start=1.0):
            super().__init__()
            self.factor = nn.Parameter(torch.tensor(start))

        def forward(self, values, run):
            return self.factor * values[0].tensor()

The contract of such a class:

* `__init__(inputs, output, **parameters)`: `inputs` is a tuple of `Shape(domain, width)`, `output` a `Shape`; the
  parameters are those of the signature that have an effect, bound to numbers and texts.
* `forward(values, run)`: each of `values` is a `Value`, whose `tensor()` is `[rows, width]` in the caller's order of
  rows; `run.topology` (a `Topology`) knows the end points and graphs of the rows. It returns a tensor
  `[output rows, output.width]`, or a `Value`.
* Rows of different graphs must not mix, and no order of rows may matter.
* A block that raises, or gives another shape, fails its trial; the message names the step.

Further abilities of a block (to be counted, exported, to leave a linear layer pending) stand in its `Signature`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from archioptrx.core.errors import GraphError
from archioptrx.graphs.signatures import BLOCKS, POOLED, SIGNATURES, Kind, Shape, Width
from archioptrx.networks.blocks.registry import block
from archioptrx.networks.blocks.topology import Topology
from archioptrx.networks.blocks.value import ForwardPass, Value

__all__ = ["BLOCKS", "ForwardPass", "Shape", "Topology", "Value", "apply", "block", "build"]


def build(name: str, inputs: Sequence[Shape], output: Shape, parameters: Mapping[str, Any]) -> nn.Module:
    """Make a block's module; its weights are drawn from torch's global generator.

    On a pooled graph a block is the same as on hits: its shapes there are those of nodes.

    Raises
    ------
    GraphError
        Shapes and parameters don't fit together.
    """
    if not SIGNATURES[name].changes_nodes:
        inputs, output = [_on_graph(shape) for shape in inputs], _on_graph(output)
    kinds = [Kind(domain, Width.of(width)) for domain, width in (*inputs, output)]
    if faults := SIGNATURES[name].faults_of(kinds[:-1], kinds[-1], parameters):
        raise GraphError(*(f"{name}: {fault}" for fault in faults))
    module: nn.Module = BLOCKS.get(name)(tuple(inputs), output, **parameters)
    return module


def _on_graph(shape: Shape) -> Shape:
    return Shape("node", shape.width) if shape.domain == POOLED else shape


def apply(
    module: nn.Module, values: Sequence[Value], run: ForwardPass, pending: bool = False, pooled: bool = False
) -> Value:
    """Run a block on values.

    Parameters
    ----------
    pending
        True: leave an MLP's last linear layer to the blocks that read the result.
    pooled
        True: the result is of domain `pooled`.
    """
    pooling = next((value.pooling for value in values if value.pooling is not None), None)
    if pooling is None or module.signature.changes_nodes:  # type: ignore[union-attr]
        return _apply(module, values, run, pending)
    # Values of several poolings meet on the smaller graph of the first one.
    result = _apply(module, [pooling.aligned(value) for value in values], pooling.run, pending)
    if pooled and result.pooling is None:
        if any(result is value for value in values):  # a value is one object wherever it is used
            result = Value(result.pieces)
        result.pooling = pooling
    return result


def _apply(module: nn.Module, values: Sequence[Value], run: ForwardPass, pending: bool) -> Value:
    result = module(values, run, pending=True) if pending else module(values, run)
    if isinstance(result, Value):
        return result
    if not isinstance(result, Tensor):
        raise TypeError(f"gives a {type(result).__name__}; allowed: a tensor [rows, width], or a Value")
    if result.dim() != 2:
        raise TypeError(f"gives {list(result.shape)}; allowed: [rows, width]")
    return Value.of(result)
