"""State of a pipeline between two layers, and how a layer takes its inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from archioptrx.core.errors import InputError
from archioptrx.graphs.signatures import LADDER, SIGNATURES, Width
from archioptrx.graphs.sketches.methods import SOURCES
from archioptrx.graphs.sketches.program import SOURCE, Kind, SketchProgram, SketchValue


@dataclass(frozen=True)
class Held:
    """A value, and how a lower rung takes it (`pooling` of its layer)."""

    value: int
    pooling: str = "agg"


@dataclass
class State:
    """The present values.

    Attributes
    ----------
    program
        Program that the values are added to.
    values
        The last value of `node`, `edge`, `graph` and of each layer that has run.
    shapes
        Inputs of the first step with each weights: all others have to have the same shapes.
    place
        Place of the file, for messages.
    """

    program: SketchProgram
    place: str
    values: dict[str, Held] = field(default_factory=dict)
    shapes: dict[str, tuple[Kind, ...]] = field(default_factory=dict)

    def source(self, name: str) -> int:
        """A value of the data set."""
        return self.program.add(SketchValue(SOURCE, name, (), (SOURCES[name][0], Width.of(name))))

    def kind(self, value: int) -> Kind:
        """Domain and width."""
        return self.program.rows[value].kind

    def read(self, layer: str, name: str) -> Held:
        """A source, the present value of a type, or the last value of a layer."""
        if name in self.values:
            return self.values[name]
        if name in SOURCES:
            return Held(self.source(name))
        reason = "no graph layer has run" if name == "graph" else f"{name} hasn't run"
        raise InputError(f"{self.place}: architecture.{layer}: {reason} yet; allowed: names before it in the pipeline")

    def step(
        self,
        layer: str,
        block: str,
        inputs: tuple[int, ...],
        output: tuple[str, Width | None],
        params: Mapping[str, Any] | None = None,
        part: str = "",
    ) -> int:
        """Add a step, checked; the width is the block's where it has a rule.

        Parameters
        ----------
        part
            Name of the step, and of its weights, in a layer of several steps.
        """
        signature, (domain, wide) = SIGNATURES[block], output
        kinds = tuple(self.kind(value) for value in inputs)
        place = f"{self.place}: architecture.{layer}"
        if fault := signature.type_fault(tuple(d for d, _ in kinds), domain):
            raise InputError(f"{place}: {block} {fault}")
        for parameter in signature.parameters:
            value = (params or {}).get(parameter.name, parameter.default)
            if isinstance(value, str) and parameter.choices and (fault := parameter.fault(value)):
                raise InputError(f"{place}: {parameter.name} {fault}")
        try:
            width = signature.result_width(tuple(w for _, w in kinds), signature.complete(params or {})) or wide
        except InputError as error:
            raise InputError(f"{place}: {block}: {error}") from error
        assert width is not None  # whoever takes a block of any width says which
        weights = ".".join([layer, part] if part else [layer]) if signature.has_weights else ""
        if weights and self.shapes.setdefault(weights, kinds) != kinds:
            now, before = (_text(k) for k in (kinds, self.shapes[weights]))
            raise InputError(f"{place}: reads {now}, elsewhere {before}; allowed: the same, or a layer of its own name")
        name = f"{layer}_{part}" if part else layer
        return self.program.add(
            SketchValue(block, name, inputs, (domain, width), tuple(sorted((params or {}).items())), weights)
        )

    def lifted(self, layer: str, held: Held, domain: str) -> int:
        """A value as a layer of a domain can read it beside others: a rung above is pooled by its `pooling`."""
        above, _ = self.kind(held.value)
        if domain in LADDER and above in LADDER and LADDER[above] > LADDER[domain]:
            return self.aggregated(layer, held, held.pooling)
        if domain == "graph" and above != "graph":
            return self.aggregated(layer, held, held.pooling, domain)
        return held.value

    def aggregated(self, layer: str, held: Held, reduce: str, domain: str = "node") -> int:
        """Values of the rung above at the hits, those of incoming beside those of outgoing rows; or all of an event."""
        _, width = self.kind(held.value)
        if domain == "graph":
            kind = "mean" if reduce == "agg" else reduce
            return self.step(layer, "readout", (held.value,), ("graph", width), {"reduce": kind}, "gather")
        params = {"direction": "both", "reduce": "sum" if reduce == "agg" else reduce}
        return self.step(layer, "aggregate", (held.value,), ("node", None), params, "gather")


def _text(kinds: tuple[Kind, ...]) -> str:
    return " and ".join(f"{domain} [{width}]" for domain, width in kinds)
