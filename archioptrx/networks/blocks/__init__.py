"""The building blocks as torch modules.

A user adds a block with one decorated class, in a module that the experiment names under `imports` and that is
installed or lies in the folder where the command is run::

    import torch
    from torch import nn

    from archioptrx.networks.blocks import block
    from archioptrx.graphs.signatures import Parameter, Signature

    @block(Signature("scale", accepts=lambda domains, output: None, width=lambda widths, parameters: widths[0],
                     parameters=(Parameter("start", (float,), 1.0),)))
    class Scale(nn.Module):
        def __init__(self, inputs, output, start=1.0):
            super().__init__()
            self.factor = nn.Parameter(torch.tensor(start))

        def forward(self, inputs, topology):
            return self.factor * inputs[0]

The contract of such a class:

* `__init__(inputs, output, **parameters)`: `inputs` is a tuple of `Shape(domain, width)`, `output` a `Shape`; the
  parameters are those of the signature, bound to numbers and texts.
* `forward(inputs, topology)`: `inputs` are tensors `[rows, width]` in the caller's order of rows; `topology` (a
  `Topology`) knows the end points and graphs of the rows. It returns a tensor `[output rows, output.width]`.
* Rows of different graphs must not mix, and no order of rows may matter.
* A block that raises fails its trial; the message names the step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from archioptrx.graphs.signatures import POOLED, Signature, register
from archioptrx.networks.blocks.gru import GRU
from archioptrx.networks.blocks.mlp import MLP, Attention
from archioptrx.networks.blocks.normal import Norm
from archioptrx.networks.blocks.pooling import Pool, Unpool
from archioptrx.networks.blocks.pyg import Convolution
from archioptrx.networks.blocks.simple import Add, Aggregate, Broadcast, Concat, Identity, Mean, Readout
from archioptrx.networks.blocks.topology import Topology
from archioptrx.networks.blocks.value import ForwardPass, Shape, Value

__all__ = ["BLOCKS", "ForwardPass", "Shape", "Topology", "Value", "apply", "block", "build"]

BLOCKS: dict[str, type[nn.Module]] = {
    "mlp": MLP,
    "aggregate": Aggregate,
    "attention": Attention,
    "gru": GRU,
    "concat": Concat,
    "add": Add,
    "mean": Mean,
    "identity": Identity,
    "norm": Norm,
    "readout": Readout,
    "broadcast": Broadcast,
    "pyg": Convolution,
    "pool": Pool,
    "unpool": Unpool,
}
_OWN = frozenset(BLOCKS.values())


def block(signature: Signature) -> Callable[[type[nn.Module]], type[nn.Module]]:
    """Register a class as a building block under the name of its signature.

    Parameters
    ----------
    signature
        Its type: domains, width rule, parameters.
    """

    def decorate(made: type[nn.Module]) -> type[nn.Module]:
        register(signature)
        BLOCKS[signature.name] = made
        return made

    return decorate


def build(name: str, inputs: Sequence[Shape], output: Shape, parameters: Mapping[str, Any]) -> nn.Module:
    """Make a block's module; its weights are drawn from torch's global generator.

    On a pooled graph, a graph of its own, a block is what it is on hits.
    """
    if name not in ("pool", "unpool"):
        inputs, output = [_on_graph(shape) for shape in inputs], _on_graph(output)
    return BLOCKS[name](tuple(inputs), output, **parameters)


def _on_graph(shape: Shape) -> Shape:
    return Shape("node", shape.width) if shape.domain == POOLED else shape


def apply(
    module: nn.Module, values: Sequence[Value], run: ForwardPass, pending: bool = False, pooled: bool = False
) -> Value:
    """Run a block on values.

    Parameters
    ----------
    pending
        Leave an MLP's last linear layer to those who read the result.
    pooled
        Whether the result is of domain `pooled`.
    """
    pooling = next((value.pooling for value in values if value.pooling is not None), None)
    if pooling is None or isinstance(module, Unpool):
        return _apply(module, values, run, pending)
    result = _apply(module, [pooling.aligned(value) for value in values], pooling.run, pending)
    if pooled and result.pooling is None:
        if any(result is value for value in values):  # a value is one object wherever it is used
            result = Value(result.pieces)
        result.pooling = pooling
    return result


def _apply(module: nn.Module, values: Sequence[Value], run: ForwardPass, pending: bool) -> Value:
    if pending:
        return module(values, run, pending=True)
    own = type(module) in _OWN
    result = module(values, run) if own else module([value.tensor() for value in values], run.topology)
    return Value.of(result) if isinstance(result, Tensor) else result
