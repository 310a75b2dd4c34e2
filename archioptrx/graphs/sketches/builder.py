"""Sketches from numbers: how many convolutions and poolings of hits, doublets and the event, and by which methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from archioptrx.core.errors import InputError, did_you_mean
from archioptrx.graphs.sketches.methods import SMALLER, TYPES, convolution_fault, is_of_library
from archioptrx.graphs.sketches.sketch import DEFAULTS

USUAL = {
    "node_convolutions": "attention",
    "edge_convolutions": "end_concatenation",
    "graph_convolutions": "mean",
    "node_poolings": "topk",
    "edge_poolings": "edge",
    "graph_poolings": "mean",
}
"""Method of each kind of layer where none is given."""
READOUTS = ("mean", "sum", "max")
POOLINGS = {"node_poolings": ("topk", "diff"), "edge_poolings": ("edge",), "graph_poolings": READOUTS}
MESSAGES = ("agg", "sum", "mean", "max", "std", "softmax")
Methods = Mapping[str, str | Sequence[str]]


def build(
    node_convolutions: int = 2,
    edge_convolutions: int = 2,
    graph_convolutions: int = 0,
    node_poolings: int = 0,
    edge_poolings: int = 0,
    graph_poolings: int = 0,
    *,
    methods: Methods | None = None,
    iterations: int = 1,
    target: str = "edge",
    hyperparameters: Mapping[str, Any] | None = None,
    name: str = "built",
) -> dict[str, Any]:
    """Make a sketch of layers in rounds: doublets, hits, event, poolings; then a layer that gives the output.

    Round i has the i-th layer of each kind, if any. `archioptrx.graphs.architecture.Architecture.from_dict` makes the
    network of it, `archioptrx.sandbox.save` a file.

    >>> build(1, 0, methods={"node_convolutions": "GATConv"})["architecture"]["node1"]
    {'type': 'node', 'convolution': 'GATConv', 'mlp': 1}

    Parameters
    ----------
    node_convolutions, edge_convolutions, graph_convolutions
        Layers in which hits look at their neighbours (methods: `attention` and `softmax`, weights from the doublets'
        last values, `agg`, `sum`, `mean`, `max`, `std`, a class of torch_geometric.nn), doublets at their two hits
        (`end_concatenation`), the event at all its hits (`mean`, `sum`, `max`); later layers read it.
    node_poolings, edge_poolings, graph_poolings
        Detours over a smaller graph, a convolution there and the way back: of the best hits or of clusters (`topk`,
        `diff`), of hits contracted along doublets (`edge`). The last as graph_convolutions, without weights.
    methods
        Methods by kind (the names above): one for all layers of the kind, or one for each.
    iterations
        Number of further turns of all rounds, with one set of weights.
    target, name
        Type of the output: `edge`, `node` or `graph`; name of the sketch.
    hyperparameters
        Values that replace or extend the usual ones (`hidden`, `depth`, `activation`).

    Raises
    ------
    InputError
        A number, a kind or a method isn't allowed; the message names the allowed ones.
    """
    counts = (node_convolutions, edge_convolutions, graph_convolutions, node_poolings, edge_poolings, graph_poolings)
    numbers = dict(zip(USUAL, counts, strict=True))
    _check(numbers, iterations, target, methods or {})
    rounds = _Rounds({kind: _methods(kind, number, methods or {}) for kind, number in numbers.items()})
    for number in range(max(numbers.values())):
        rounds.add(number)
    body = rounds.pipeline
    loops = {"rounds": {"pipeline": body, "iterations": iterations}} if iterations > 1 and body else {}
    return {
        "name": name,
        "pipeline": ["input", *(["rounds"] if loops else body), "answer"],
        "architecture": {"input": {"type": "node", "mlp": True}, **rounds.layers, "answer": rounds.answer(target)},
        **({"loops": loops} if loops else {}),
        "hyperparameters": DEFAULTS | dict(hyperparameters or {}),
    }


def _check(numbers: Mapping[str, Any], iterations: Any, target: str, methods: Methods) -> None:
    """Raise InputError for wrong numbers, a wrong target or a wrong kind of layer."""
    for key, number in {**numbers, "iterations": iterations}.items():
        least = 1 if key == "iterations" else 0
        if not isinstance(number, int) or isinstance(number, bool) or number < least:
            raise InputError(f"{key}: is {number!r}; allowed: whole numbers from {least}")
    if target not in TYPES:
        raise InputError(f"target: is {target!r}; {did_you_mean(target, TYPES)}")
    for unknown in set(methods) - set(numbers):
        raise InputError(f"methods: has {unknown!r}; {did_you_mean(unknown, numbers)}")


def _methods(kind: str, number: int, methods: Methods) -> list[str]:
    """The method of each layer of a kind."""
    choice = methods.get(kind, USUAL[kind])
    methods_of_kind = [choice] * number if isinstance(choice, str) else choice
    if not isinstance(methods_of_kind, list | tuple) or not all(isinstance(method, str) for method in methods_of_kind):
        raise InputError(f"methods.{kind}: is {choice!r}; allowed: the name of a method, or a list of such")
    if len(methods_of_kind) != number:
        raise InputError(
            f"methods.{kind}: has {len(methods_of_kind)} for {number} layers; allowed: one for each, or one for all"
        )
    for method in methods_of_kind:
        if kind in POOLINGS:
            fault = None if method in POOLINGS[kind] else f"is {method!r}; {did_you_mean(method, POOLINGS[kind])}"
        elif kind == "graph_convolutions":
            fault = None if method in READOUTS else f"is {method!r}; {did_you_mean(method, READOUTS)}"
        elif kind == "edge_convolutions":
            fault = None if method == USUAL[kind] else f"is {method!r}; {did_you_mean(method, [USUAL[kind]])}"
        else:
            own = method == "attention" or method in MESSAGES or is_of_library(method)
            fault = None if own else convolution_fault("node", method) or f"is {method!r}; {_node_methods(method)}"
        if fault:
            raise InputError(f"methods.{kind}: {fault}")
    return list(methods_of_kind)


def _node_methods(method: str) -> str:
    return did_you_mean(method, ("attention", *MESSAGES)) + ", or a convolution of torch_geometric.nn"


@dataclass
class _Rounds:
    """Layers, round by round."""

    methods: Mapping[str, Sequence[str]]
    pipeline: list[str] = field(default_factory=list)
    layers: dict[str, dict[str, Any]] = field(default_factory=dict)
    edge: str = ""
    hits: str = "input"
    events: dict[str, str] = field(default_factory=dict)  # the last layer of each kind that has values of the event

    def add(self, number: int) -> None:
        """The layers of one round."""
        for kind, make in (
            ("edge_convolutions", self._edge),
            ("node_convolutions", self._node),
            ("graph_convolutions", self._event),
            ("node_poolings", self._detour),
            ("edge_poolings", self._detour),
            ("graph_poolings", self._event),
        ):
            if number < len(self.methods[kind]):
                make(kind, self.methods[kind][number], number + 1)

    def answer(self, target: str) -> dict[str, Any]:
        """The last layer."""
        beside = self._beside()
        if target == "edge":
            own = [self._last_edge()]
            return {"type": "edge", "convolution": "end_concatenation", "features": own + beside, "mlp": True}
        if target == "node":
            return {"type": "node", "features": ["node", *beside], "mlp": True}
        return {"type": "graph", "convolution": "mean", **({"features": beside} if beside else {}), "mlp": True}

    def _beside(self) -> list[str]:
        return list(self.events.values())

    def _last_edge(self) -> str:
        """The doublets' last values; their geometry where those only weight an attention."""
        return self.edge if self.edge and self.edge not in self._logits() else "doublet"

    def _logits(self) -> set[str]:
        named = [layer.get("convolution") for layer in self.layers.values()]
        return {entry["attention"] for entry in named if isinstance(entry, dict) and "attention" in entry}

    def _put(self, name: str, layer: dict[str, Any]) -> str:
        self.layers[name] = layer
        self.pipeline.append(name)
        return name

    def _edge(self, kind: str, method: str, number: int) -> None:
        features = [self._last_edge(), *self._beside()]
        self.edge = self._put(
            f"edge{number}", {"type": "edge", "convolution": method, "features": features, "mlp": True}
        )

    def _node(self, kind: str, method: str, number: int) -> None:
        features = {"features": self._beside()} if self.events else {}
        if is_of_library(method):
            layer = {"type": "node", "convolution": method, **features, "mlp": 1}
        elif method == "attention" and not self.edge:
            raise InputError(
                f"methods.{kind}: is 'attention', but no doublets have values to weight it; allowed: edge_convolutions "
                "from 1, or another method"
            )
        else:
            of = {method: self.edge} if self.edge else method
            layer = {"type": "node", "convolution": of, **features, "mlp": True}
        self.hits = self._put(f"node{number}", layer)

    def _event(self, kind: str, method: str, number: int) -> None:
        weights = kind == "graph_convolutions"
        features = {"features": self._beside()} if self.events and weights else {}
        layer = {"type": "graph", "convolution": method, **features, **({"mlp": True} if weights else {})}
        self.events[kind] = self._put(f"{'graph' if weights else 'readout'}{number}", layer)

    def _detour(self, kind: str, method: str, number: int) -> None:
        """A smaller graph, a convolution on it, and the way back, where hits have their old values beside."""
        assert method in SMALLER
        stem = "contracted" if kind == "edge_poolings" else "pooled"
        before = self.hits
        self._put(f"{stem}{number}", {"type": "node", "pooling": method, "mlp": 1})
        self._put(f"{stem}{number}_convolution", {"type": "node", "convolution": "GraphConv", "mlp": 1})
        back = {"type": "node", "convolution": "unpool", "features": [before], "mlp": 1}
        self.hits = self._put(f"{stem}{number}_back", back)
