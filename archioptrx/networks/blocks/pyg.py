"""The building block `pyg`: the convolutions of torch_geometric.nn by the name of their class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from archioptrx.core.errors import RAISED_BY_CALL, GraphError, error_text
from archioptrx.graphs.signatures import SIGNATURES, Shape
from archioptrx.graphs.signatures.convolutions import CONVOLUTIONS, EDGE_KEYWORDS, WEIGHT, PerceptronWidths
from archioptrx.graphs.signatures.pyg import constructor_arguments
from archioptrx.networks.blocks.normal import BatchNorm
from archioptrx.networks.blocks.registry import block
from archioptrx.networks.blocks.value import ForwardPass, Value


@block(SIGNATURES["pyg"])
class Convolution(nn.Module):
    """A convolution on the edges in one direction or both.

    Parameters
    ----------
    inputs
        Hits; with some classes a second node input; last the features or weights of the edges.
    conv
        Name of the class.
    arguments
        Keyword arguments of the class, without sizes and modules.
    direction
        in: messages along the edges, from the inner hit to the outer one. out: against them. both: one convolution for
        each way, with weights of its own; the results are added. together: one convolution on all edges there and back.
    edge_activation
        sigmoid: an edge weight is the sigmoid of the input. none: it is the input itself.

    Attributes
    ----------
    arguments
        All keyword arguments with which the convolutions were made; a module is a `PerceptronWidths`.
    conv, back
        The convolution; that against the edges, for both directions.

    Raises
    ------
    GraphError
        The class can't be made or run, or its result has another width.
    """

    def __init__(
        self,
        inputs: Sequence[Shape],
        output: Shape,
        conv: str = "GCNConv",
        arguments: Mapping[str, Any] | None = None,
        direction: str = "both",
        edge_activation: str = "sigmoid",
    ) -> None:
        super().__init__()
        self.name, self.direction, self.squashes = conv, direction, edge_activation == "sigmoid"
        self.use = CONVOLUTIONS[conv].edges
        self.nodes, self.width = sum(shape.domain != "edge" for shape in inputs), output.width
        self.arguments = constructor_arguments(conv, inputs, output, arguments or {})
        self.conv = self._made(inputs)
        self.back = self._made(inputs) if direction == "both" else None

    def _made(self, inputs: Sequence[Shape]) -> Any:
        """One convolution, tried on two hits with an edge there and back."""
        import torch_geometric.nn as pyg_nn  # here, because it takes seconds and few networks want it

        try:
            made = getattr(pyg_nn, self.name)(**{name: _value(name, v) for name, v in self.arguments.items()})
            _allow_one_row(made)
            made.eval()
            with torch.no_grad():
                rows = [torch.ones(2, shape.width) for shape in inputs]
                edges = torch.tensor([[0, 1], [1, 0]])
                result = made(*rows[: self.nodes], edges, **self._features(rows[self.nodes :]))
            made.train()
        except RAISED_BY_CALL as error:
            raise GraphError(f"pyg: {self._title} fails: {error_text(error)}") from error
        if not isinstance(result, Tensor) or list(result.shape) != [2, self.width]:
            shape = list(result.shape) if isinstance(result, Tensor) else type(result).__name__
            raise GraphError(f"pyg: {self._title} gives {shape} for 2 hits; allowed: [2, {self.width}]")
        return made

    @property
    def _title(self) -> str:
        arguments = ", ".join(
            f"{name}={list(value.widths) if isinstance(value, PerceptronWidths) else value!r}"
            for name, value in self.arguments.items()
        )
        return f"{self.name}({arguments})"

    def _features(self, edges: Sequence[Tensor]) -> dict[str, Tensor]:
        """The edge input as the class takes it, by keyword: features [E, e], or weights [E]."""
        if not edges:
            return {}
        rows = edges[0]
        if self.use == WEIGHT:
            rows = rows[:, 0].sigmoid() if self.squashes else rows[:, 0]
        return {EDGE_KEYWORDS[self.use]: rows}

    def forward(self, values: Sequence[Value], run: ForwardPass) -> Tensor:
        """Convolve: [N, i], with some classes [N, j], optionally [E, e] -> [N, o]."""
        rows = [value.tensor() for value in values]
        nodes, features = rows[: self.nodes], self._features(rows[self.nodes :])
        if not len(nodes[0]):  # some classes can't count up to the highest of no hits
            return nodes[0].new_zeros(0, self.width)
        along = run.topology.edges.index
        against = along.flip(0)
        if self.direction == "together":
            twice = {name: torch.cat([edges, edges]) for name, edges in features.items()}
            return self._convolved(self.conv, nodes, torch.cat([along, against], dim=1), twice)
        result = self._convolved(self.conv, nodes, against if self.direction == "out" else along, features)
        return result if self.back is None else result + self._convolved(self.back, nodes, against, features)

    def _convolved(self, conv: Any, nodes: list[Tensor], edges: Tensor, features: Mapping[str, Tensor]) -> Tensor:
        """Result of one convolution. It draws no pairs for a loss of its own, which fails where there are none."""
        pairs = CONVOLUTIONS[self.name].pairs_for_a_loss
        result: Tensor = conv(*nodes, edges, **features, **({pairs: edges[:, :0]} if pairs else {}))
        return result


def _allow_one_row(module: nn.Module) -> None:
    """Let the batch normalisations inside a module take one row in training, as those of our own blocks do."""
    for name, part in module.named_children():
        if type(part) is nn.BatchNorm1d:
            setattr(module, name, BatchNorm(part.num_features, part.eps, part.momentum, part.affine))
        else:
            _allow_one_row(part)


def _value(name: str, value: Any) -> Any:
    """The value of an argument as the class takes it."""
    if isinstance(value, PerceptronWidths):
        layers = [nn.Linear(first, last) for first, last in pairwise(value.widths)]
        return nn.Sequential(*[part for layer in layers for part in (layer, nn.ReLU())][:-1])
    return torch.tensor(value) if name == "deg" else value
