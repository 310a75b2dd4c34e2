"""Changes of an exported ONNX graph that make it faster, and keep its values up to rounding.

A linear layer on `[x[start], x[end], e]` gives `(x W₁)[start] + (x W₂)[end] + e W₃ + b`, where W₁, W₂ and W₃ are the
columns of its weights. The first two products then run over hits, not over edges, and no row of all three is made. A
trained model does the same (`archioptrx.networks.blocks.ends`); in readable code it would hide the network.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np


def make_faster(proto: Any) -> None:
    """Change a model (`onnx.ModelProto`) of torch's exporter: rows are multiplied first, and gathered by Gather."""
    rows = _Graph(proto.graph)
    rows.gather()
    rows.project()
    rows.clean()


class _Graph:
    """An ONNX graph, and what is known of the values in it."""

    def __init__(self, graph: Any) -> None:
        self.graph = graph
        self.makers = {name: node for node in graph.node for name in node.output}
        self.uses = Counter(name for node in graph.node for name in node.input)
        self.weights = {constant.name: constant for constant in graph.initializer}
        self.widths = {value.name: _sizes(value) for value in (*graph.input, *graph.value_info)}

    def gather(self) -> None:
        """Write `x[index]` as Gather; torch's exporter writes GatherND, which takes about 1.6 times as long."""
        for node in self.graph.node:
            index = self.makers.get(node.input[1]) if node.op_type == "GatherND" else None
            if index is not None and index.op_type == "Unsqueeze" and len(self.widths.get(index.input[0], ())) == 1:
                node.op_type = "Gather"
                node.input[1] = index.input[0]
                del node.attribute[:]

    def project(self) -> None:
        """Let linear layers of gathered rows multiply before rows are gathered."""
        nodes: list[Any] = []
        for node in self.graph.node:
            parts = self._parts(node)
            nodes += self._projected(node, parts) if any(map(self._source, parts)) else [node]
        self._replace(nodes)

    def clean(self) -> None:
        """Remove nodes and weights that nothing reads any more."""
        used = {output.name for output in self.graph.output}
        kept: list[Any] = []
        for node in reversed(self.graph.node):
            if used.intersection(node.output):
                kept.insert(0, node)
                used.update(node.input)
        self._replace(kept)
        constants = [constant for constant in self.graph.initializer if constant.name in used]
        del self.graph.initializer[:]
        self.graph.initializer.extend(constants)

    def _replace(self, nodes: Sequence[Any]) -> None:
        """Take other nodes, in their order."""
        nodes = [_copy(node) for node in nodes]
        del self.graph.node[:]
        self.graph.node.extend(nodes)
        self.makers = {name: node for node in self.graph.node for name in node.output}

    def _parts(self, node: Any) -> Sequence[str]:
        """The values side by side that a linear layer reads; none where it reads one value."""
        linear = node.op_type == "Gemm" and node.input[1] in self.weights and len(node.input) == 3
        joined = self.makers.get(node.input[0]) if linear else None
        if joined is None or joined.op_type != "Concat" or self.uses[joined.output[0]] != 1:
            return ()
        known = all(len(self.widths.get(part, ())) == 2 and self.widths[part][1] for part in joined.input)
        plain = _attributes(node) == {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 1}
        return tuple(joined.input) if known and plain and _attributes(joined)["axis"] in (1, -1) else ()

    def _source(self, part: str) -> Any:
        """The Gather of rows of a matrix that makes a value, else None."""
        node = self.makers.get(part)
        if node is None or node.op_type != "Gather" or _attributes(node).get("axis", 0) != 0:
            return None
        return node if len(self.widths.get(node.input[0], ())) == 2 else None

    def _projected(self, node: Any, parts: Sequence[str]) -> list[Any]:
        """A linear layer as the product of each part, and their sum."""
        from onnx import helper, numpy_helper

        result, weight = node.output[0], numpy_helper.to_array(self.weights[node.input[1]])
        cuts = np.cumsum([self.widths[part][1] for part in parts])[:-1]
        nodes, terms, bias = list[Any](), list[str](), [node.input[2]]
        for place, (part, columns) in enumerate(zip(parts, np.split(weight, cuts, axis=1), strict=True)):
            source, name = self._source(part), f"{result}_part_{place}"
            # One for all passes of a loop: equal products are then seen to be equal.
            constant = f"{node.input[1]}_part_{place}"
            if constant not in self.weights:
                self.weights[constant] = numpy_helper.from_array(np.ascontiguousarray(columns), constant)
                self.graph.initializer.append(self.weights[constant])
            value = part if source is None else source.input[0]
            nodes.append(helper.make_node("Gemm", [value, constant, *bias], [name], transB=1))
            if source is not None:
                nodes.append(helper.make_node("Gather", [name, source.input[1]], [f"{name}_rows"], axis=0))
            terms.append(name if source is None else f"{name}_rows")
            bias = []  # it is added once
        sums = [*(f"{result}_sum_{place}" for place in range(1, len(terms) - 1)), result]
        for total, first, second in zip(sums, [terms[0], *sums], terms[1:], strict=False):
            nodes.append(helper.make_node("Add", [first, second], [total]))
        return nodes


def _copy(node: Any) -> Any:
    """A node of its own: those in a graph vanish with it."""
    other = type(node)()
    other.CopyFrom(node)
    return other


def _attributes(node: Any) -> dict[str, Any]:
    from onnx import helper

    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def _sizes(value: Any) -> tuple[int, ...]:
    """The shape of a value, 0 for a size that isn't known."""
    return tuple(size.dim_value for size in value.type.tensor_type.shape.dim)
