"""The building block `pyg`: any convolution of torch_geometric.nn by the name of its class."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from archioptrx.core.errors import GraphError, did_you_mean
from archioptrx.graphs.signatures import SIGNATURES, Shape
from archioptrx.networks.blocks.registry import block
from archioptrx.networks.blocks.value import ForwardPass, Value


def convolutions() -> dict[str, Any]:
    """The convolution classes of torch_geometric.nn by name."""
    import torch_geometric.nn as pyg_nn  # here, because it takes seconds and few networks want it

    classes = {name: getattr(pyg_nn, name) for name in dir(pyg_nn) if name.endswith("Conv")}
    return {k: v for k, v in classes.items() if isinstance(v, type) and issubclass(v, pyg_nn.MessagePassing)}


@block(SIGNATURES["pyg"])
class Convolution(nn.Module):
    """A convolution on the edges as given, with edge features if there is a second input.

    Edge features go to `edge_attr` where the class takes it (its `edge_dim` or `dim` is set), else, when they are
    one number per edge, to `edge_weight`. With several concatenated `heads` each gets its share of the width.

    Parameters
    ----------
    conv
        Name of the class.
    arguments
        Further keyword arguments of the class.

    Attributes
    ----------
    arguments
        All keyword arguments with which `conv` was made.
    keyword
        The argument that takes the edge features; None without them.

    Raises
    ------
    GraphError
        No such class, arguments it doesn't take, or a result of another width.
    """

    def __init__(
        self,
        inputs: Sequence[Shape],
        output: Shape,
        conv: str = "GCNConv",
        arguments: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        known = convolutions()
        if conv not in known:
            raise GraphError(f"pyg: {conv} is no convolution of torch_geometric.nn; {did_you_mean(conv, known)}")
        self.name = conv
        accepted = inspect.signature(known[conv].__init__).parameters
        fed = inspect.signature(known[conv].forward).parameters
        self.keyword = self._keyword(inputs, fed)
        options = _sizes(inputs, output, accepted, self.keyword) | dict(arguments or {})
        heads = options.get("heads", 1)
        if isinstance(heads, int) and heads > 1 and options.get("concat", True) and "out_channels" in options:
            options["out_channels"] = output.width // heads
        self.arguments = options
        try:
            self.conv = known[conv](**options)
            width = self._dry_run(inputs)
        except Exception as error:
            raise GraphError(f"pyg: {conv}({_text(options)}) fails: {type(error).__name__}: {error}") from error
        if width != output.width:
            raise GraphError(f"pyg: {conv}({_text(options)}) gives width {width}; allowed: {output.width}")

    def _keyword(self, inputs: Sequence[Shape], fed: Mapping[str, Any]) -> str | None:
        if len(inputs) < 2:
            return None
        if "edge_attr" in fed:
            return "edge_attr"
        if "edge_weight" in fed and inputs[1].width == 1:
            return "edge_weight"
        need = "edge features of width 1" if "edge_weight" in fed else "no edge features"
        raise GraphError(f"pyg: {self.name} has {inputs[1].width} channels of edges; allowed: {need}")

    def _dry_run(self, inputs: Sequence[Shape]) -> int:
        """Width of the result on two nodes and one edge; this also makes parameters that wait for an input."""
        self.conv.eval()
        with torch.no_grad():
            edges = torch.ones(2, inputs[1].width) if len(inputs) > 1 else None
            result = self._call(torch.ones(2, inputs[0].width), torch.tensor([[0, 1], [1, 0]]), edges)
        self.conv.train()
        return int(result.shape[1])

    def _call(self, x: Tensor, edge_index: Tensor, edges: Tensor | None) -> Tensor:
        features = {}
        if edges is not None and self.keyword is not None:
            features[self.keyword] = edges[:, 0] if self.keyword == "edge_weight" else edges
        result: Tensor = self.conv(x, edge_index, **features)
        return result

    def forward(self, values: Sequence[Value], run: ForwardPass) -> Tensor:
        """Convolve: [N, i], optionally [E, e] -> [N, o]."""
        edges = values[1].tensor() if len(values) > 1 else None
        return self._call(values[0].tensor(), run.topology.edges.index, edges)


def _sizes(inputs: Sequence[Shape], output: Shape, accepted: Mapping[str, Any], keyword: str | None) -> dict[str, Any]:
    """Keyword arguments for widths, those that the class accepts."""
    sizes: dict[str, Any] = {
        "in_channels": inputs[0].width,
        "channels": inputs[0].width,
        "out_channels": output.width,
    }
    if keyword == "edge_attr":
        sizes |= {"edge_dim": inputs[1].width, "dim": inputs[1].width, "in_edge_channels": inputs[1].width}
    return {name: size for name, size in sizes.items() if name in accepted}


def _text(arguments: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in arguments.items())
