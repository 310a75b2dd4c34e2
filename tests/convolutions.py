"""The least that each convolution of torch_geometric needs, for tests and for the table of the documentation."""

from __future__ import annotations

from typing import Any

from archioptrx.graphs.signatures import Shape
from archioptrx.graphs.signatures.convolutions import CONVOLUTIONS, FEATURE, REQUIRED, START

BUILDABLE = [name for name, facts in CONVOLUTIONS.items() if not facts.reason]
VALUES: dict[str, Any] = {
    "K": 2,
    "alpha": 0.1,
    "kernel_size": 2,
    "num_layers": 2,
    "aggregators": ["mean", "max"],
    "scalers": ["identity", "amplification"],
    "deg": [1, 2, 3],
}
"""Values of arguments that have no default."""
WIDTH, OTHER = 4, 24


def arguments(name: str, edges: bool = False) -> dict[str, Any]:
    """Arguments that a class needs."""
    own = {p.name: VALUES[p.name] for p in CONVOLUTIONS[name].arguments if p.default is REQUIRED}
    return own | ({"normalize": False} if name == "FAConv" and edges else {})


def shapes(name: str, edges: bool) -> tuple[list[Shape], Shape]:
    """Shapes of the inputs, and of the output."""
    facts = CONVOLUTIONS[name]
    inputs = [Shape("node", WIDTH)]
    inputs += [Shape("node", WIDTH if facts.second == START else 3)] * bool(facts.second)
    inputs += [Shape("edge", 5 if facts.edges == FEATURE else 1)] * edges
    return inputs, Shape("node", WIDTH if facts.keeps else OTHER)


def cases() -> list[tuple[str, bool]]:
    """Each class that can be built, with and without an edge input as far as it has one."""
    return [
        (name, edges)
        for name in BUILDABLE
        for edges in (False, True)
        if (CONVOLUTIONS[name].edges or not edges) and (edges or not CONVOLUTIONS[name].edges_needed)
    ]
