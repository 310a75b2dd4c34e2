"""The space of NAS-Bench-Graph (Qin et al. 2022, arXiv:2206.09166) as a program with choices, and its tables.

Four computing nodes; node i reads one of {input, nodes before it} and applies one operation; all leaves are
concatenated. The tables come with the package nas-bench-graph (extra `benchmark`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.graphs.decisions import Choose, Decision, Point, Trace
from archioptrx.graphs.signatures import Width
from archioptrx.graphs.steps import DataType, Step
from archioptrx.sampling.candidate import Candidate

CONVOLUTIONS = {
    "gat": "GATConv",
    "gcn": "GCNConv",
    "gin": "GINConv",
    "cheb": "ChebConv",
    "sage": "SAGEConv",
    "arma": "ARMAConv",
    "graph": "GraphConv",
}
OPERATIONS = (*CONVOLUTIONS, "fc", "skip")
FEWER = ("gcn", "sage", "arma", "fc", "skip")
DATA_SETS = ("cora", "citeseer", "pubmed", "cs", "physics", "photo", "computers", "arxiv", "proteins")
TYPES = (
    DataType("input", "node", Width.of("input"), "x"),
    DataType("x", "node", Width.of("hidden")),
    DataType("all", "node", Width.of("leaves")),
    DataType("classes", "node", Width.of("classes")),
)

Encoding = tuple[tuple[int, ...], tuple[str, ...]]
"""Input of each node (0: the input, k: node k, counted from 1), and its operation."""


@dataclass(frozen=True)
class GraphSpace:
    """All encodings: `space(choose) -> Candidate`.

    Attributes
    ----------
    operations
        Operations that a node may have.
    cache
        Candidates that were made before: a benchmark asks for the same ones very often.
    """

    operations: Sequence[str] = OPERATIONS
    cache: dict[Encoding, Candidate] = field(default_factory=dict, repr=False)

    def __call__(self, choose: Choose) -> Candidate:
        """Sample one."""
        links, operations = [], []
        for node in range(4):
            sources = [str(source) for source in range(node + 1)]
            links.append(choose(Point("input", str(node)), sources, [1.0] * len(sources)))
            chosen = choose(Point("operation", str(node)), self.operations, [1.0] * len(self.operations))
            operations.append(self.operations[chosen])
        encoding = tuple(links), tuple(operations)
        if encoding not in self.cache:
            self.cache[encoding] = Candidate(trace_of(encoding), graph_of(encoding), {})
        return self.cache[encoding]


def trace_of(encoding: Encoding) -> Trace:
    """The decisions that lead to an encoding."""
    decisions = []
    for node, (source, operation) in enumerate(zip(*encoding, strict=True)):
        decisions += [Decision("input", str(node), str(source)), Decision("operation", str(node), operation)]
    return Trace(tuple(decisions))


def encoding_of(trace: Trace) -> Encoding:
    """The inverse of `trace_of`."""
    labels = [decision.label for decision in trace.decisions]
    return tuple(int(label) for label in labels[::2]), tuple(labels[1::2])


def graph_of(encoding: Encoding) -> ComputationGraph:
    """The network of an encoding, with skips contracted as the benchmark does it.

    A skip is no step where it has children, has no siblings, or stands on the raw input; one that is left gives its
    input to the concatenation once more. The benchmark's classifier reads the concatenation: without it, the order of
    the leaves would be that of the network's output, and equal architectures would have several fingerprints.
    """
    links, operations = encoding
    steps: list[Step] = []
    values, leaves = [0], []
    for node, (source, operation) in enumerate(zip(links, operations, strict=True), start=1):
        value = values[source]
        if operation != "skip":
            steps.append(_step(operation, value))
            value = len(steps)
        values.append(value)
        if node not in links and not (operation == "skip" and value == 0):
            leaves.append(value)
    block = "concat" if leaves else "identity"
    steps.append(Step("leaves", block, tuple(leaves) or (0,), "all"))
    steps.append(Step("classifier", "mlp", (len(steps),), "classes", (("layers", 1),)))
    return ComputationGraph(TYPES, ("input",), tuple(steps), (), (len(steps),))


def _step(operation: str, value: int) -> Step:
    if operation == "fc":
        return Step(operation, "mlp", (value,), "x", (("layers", 1),))
    # The benchmark's graphs have each edge in both directions.
    return Step(operation, "pyg", (value,), "x", (("conv", CONVOLUTIONS[operation]), ("direction", "in")))


def key_of(encoding: Encoding) -> int:
    """Key of an encoding in the benchmark's tables."""
    from nas_bench_graph import Arch

    links, operations = encoding
    return int(Arch(list(links), list(operations)).valid_hash())


class Table:
    """The benchmark's table of one data set, as a space and the scores of its candidates.

    Parameters
    ----------
    data_set
        One of DATA_SETS.
    """

    def __init__(self, data_set: str) -> None:
        from nas_bench_graph import light_read

        self.data_set = data_set
        self.space = _space(FEWER if data_set == "proteins" else OPERATIONS)
        self.rows: dict[int, dict[str, Any]] = light_read(data_set)

    def row(self, candidate: Candidate) -> dict[str, Any] | None:
        """Its `valid_perf`, `perf` (of the test), `latency` and `para`; None: all skips, which was not trained."""
        return self.rows.get(_key(candidate.fingerprint, encoding_of(candidate.trace)))


@cache
def _space(operations: tuple[str, ...]) -> GraphSpace:
    return GraphSpace(operations)


_KEYS: dict[str, int] = {}


def _key(fingerprint: str, encoding: Encoding) -> int:
    if fingerprint not in _KEYS:
        _KEYS[fingerprint] = key_of(encoding)
    return _KEYS[fingerprint]
