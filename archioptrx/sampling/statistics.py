"""Statistics of a sample of architectures: distributions, shares, numbers of refused ones by reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from archioptrx.core.errors import InputError
from archioptrx.graphs.parameter_count import count_parameters
from archioptrx.sampling.candidate import DROPPED, Candidate
from archioptrx.sampling.walk import WalkSpace

FIELD_WIDTHS = {"x": 3, "edge_attr": 5}
"""Channels of the sources that parameters are counted with: r, φ, z and the five features of a doublet."""
PERCENTILES = (5, 50, 95)
DISTRIBUTIONS: dict[str, Callable[[Candidate], int]] = {
    "steps": lambda c: len(c.graph.steps),
    "executed steps": lambda c: c.graph.executed,
    "depth": lambda c: c.graph.depth,
    "loops": lambda c: len(c.graph.loops),
    "branches": lambda c: c.events["branches"],
    "reverse walks": lambda c: c.events["reverse walks"],
    "walks": lambda c: c.events["walks"],
    "message rounds": lambda c: c.graph.rounds,
    "decisions": lambda c: len(c.trace.decisions),
}


class Statistics:
    """Numbers of a sample, candidate by candidate. No graph is kept.

    Attributes
    ----------
    seconds
        Duration of the sampling, to be set at its end.
    """

    def __init__(self, space: WalkSpace) -> None:
        self.space = space
        self.seconds = 0.0
        self.values: dict[str, list[int]] = {name: [] for name in (*DISTRIBUTIONS, "parameters")}
        self.fingerprints: Counter[str] = Counter()
        self.functions: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter(dict.fromkeys(DROPPED, 0))
        graph = space.function_graph
        self._widths = {name: FIELD_WIDTHS.get(graph.node[name].field or "", 3) for name in graph.sources}

    def add(self, candidate: Candidate) -> None:
        """Add the numbers of one candidate."""
        for name, measure in DISTRIBUTIONS.items():
            self.values[name].append(measure(candidate))
        try:
            parameters = count_parameters(candidate.graph, candidate.hyperparameters, self._widths)
        except InputError:  # a user's own block without a formula for its parameters
            parameters = None
        if parameters is not None:
            self.values["parameters"].append(parameters)
        self.fingerprints[candidate.fingerprint] += 1
        self.functions.update({step.function for step in candidate.graph.steps})
        self.dropped.update({name: candidate.events[name] for name in DROPPED})

    @property
    def count(self) -> int:
        """Number of candidates."""
        return self.fingerprints.total()

    def to_json(self) -> dict[str, Any]:
        """All figures as plain data."""
        count = max(1, self.count)
        shares = ("loops", "branches", "reverse walks")
        return {
            "function_graph": self.space.function_graph.name,
            "search_space": self.space.search_space.name,
            "max_steps": self.space.search_space.walk.max_steps,
            "architectures": self.count,
            "distinct": len(self.fingerprints),
            "architectures_per_second": round(self.count / self.seconds) if self.seconds else None,
            "distributions": {name: _describe(values) for name, values in self.values.items() if values},
            "shares": {name: sum(v > 0 for v in self.values[name]) / count for name in shares},
            "functions": {f.name: self.functions[f.name] / count for f in self.space.function_graph.functions},
            "refused": {"duplicates": self.count - len(self.fingerprints), **self.dropped},
        }

    def text(self) -> str:
        """All figures as a text to read."""
        figures = self.to_json()
        limits = f"search space {figures['search_space']}, at most {figures['max_steps']} steps"
        lines = [f"{self.count:,} architectures of {figures['function_graph']} ({limits})"]
        if not self.count:
            return lines[0]
        lines.append(
            f"{figures['distinct']:,} distinct ({figures['distinct'] / self.count:.1%}), "
            f"{figures['architectures_per_second']:,} a second\n"
        )
        lines.append(f"{'':16}{'mean':>9}{'least':>9}" + "".join(f"{p:>8}%" for p in PERCENTILES) + f"{'most':>9}")
        for name, row in figures["distributions"].items():
            numbers = [row["least"], *(row[f"p{p}"] for p in PERCENTILES), row["most"]]
            lines.append(f"{name:16}{row['mean']:>9,.1f}" + "".join(f"{number:>9,}" for number in numbers))
        widths = ", ".join(f"{name} {width}" for name, width in self._widths.items())
        lines.append(f"(parameters with the widths {widths})\n")
        lines.append("with " + ", ".join(f"{name} {share:.1%}" for name, share in figures["shares"].items()))
        lines.append("functions: " + ", ".join(f"{name} {share:.0%}" for name, share in figures["functions"].items()))
        lines.append("refused: " + ", ".join(f"{name} {number:,}" for name, number in figures["refused"].items()))
        return "\n".join(lines)


def _describe(values: list[int]) -> dict[str, float]:
    ordered = sorted(values)
    row: dict[str, float] = {"mean": sum(ordered) / len(ordered), "least": ordered[0], "most": ordered[-1]}
    return row | {f"p{p}": ordered[min(len(ordered) - 1, p * len(ordered) // 100)] for p in PERCENTILES}
