"""The architecture file: a computation graph with its hyperparameters, all that is needed to build a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from archioptrx.core.config import Fields, bundled, finish, read_yaml
from archioptrx.core.printing import printable
from archioptrx.core.reading import reading, shown
from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.graphs.decisions import Trace
from archioptrx.graphs.shapes import value_faults
from archioptrx.graphs.sketches.network import network_of
from archioptrx.graphs.sketches.sketch import Sketch, is_sketch


@dataclass(frozen=True)
class Architecture:
    """A network before it is built, with the values of all its hyperparameters.

    Attributes
    ----------
    graph
        The computation graph.
    hyperparameters
        Value of each hyperparameter that the graph refers to; further ones, such as `learning_rate`, are for training.
    name, about
        A name and a description for the reader.
    trace
        The decisions that lead to the graph; None where it doesn't come from a walk.
    """

    graph: ComputationGraph
    hyperparameters: Mapping[str, Any]
    name: str = ""
    about: str = field(default="", compare=False)
    trace: Trace | None = field(default=None, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """The YAML form as plain data; `from_dict` inverts it."""
        form: dict[str, Any] = {"name": self.name} if self.name else {}
        form |= {"about": self.about} if self.about else {}
        form |= {"hyperparameters": dict(self.hyperparameters), "graph": self.graph.to_dict()}
        return form | ({"trace": self.trace.to_json()} if self.trace else {})

    def to_yaml(self) -> str:
        """The YAML form as text, with the printed network as a comment."""
        text = "".join(f"# {printable(line)}\n" for line in str(self.graph).splitlines())
        return f"{text}# fingerprint {self.graph.fingerprint}\n" + yaml.dump(
            self.to_dict(), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120
        )

    def save(self, path: str | Path) -> None:
        """Write the file."""
        Path(path).write_text(self.to_yaml(), encoding="utf-8")

    @staticmethod
    def from_dict(content: object, place: str = "architecture") -> Architecture:
        """Read the YAML form of an architecture or of a sketch.

        Raises
        ------
        InputError
            All faults, one line each; `place` begins each line.
        """
        if is_sketch(content):
            return Architecture.of_sketch(Sketch.from_dict(content, place))
        faults: list[str] = []
        top = Fields(content, place, faults)
        name, about = top.take("name", str, ""), top.take("about", str, "")
        hyperparameters, graph = top.take("hyperparameters", dict, {}), top.take("graph", dict)
        trace = top.take("trace", dict, None)
        top.rest()
        for key, value in (hyperparameters or {}).items():
            if not isinstance(key, str) or not isinstance(value, str | int | float | None):
                top.fault(f"hyperparameters.{key}", f"is {shown(value)}; allowed: a number, a text, true, false")
        finish(faults)
        network = ComputationGraph.from_dict(graph, f"{place}: graph")
        missing = sorted(network.symbols - set(hyperparameters))
        finish([f"{place}: hyperparameters.{key}: is missing, the graph refers to it" for key in missing])
        finish([f"{place}: {fault}" for fault in value_faults(network, hyperparameters)])
        decisions = Trace.from_json(trace, f"{place}: trace") if trace else None
        return Architecture(network, hyperparameters, name, about, decisions)

    @staticmethod
    def of_sketch(sketch: Sketch) -> Architecture:
        """Network of a sketch."""
        network, hyperparameters = network_of(sketch)
        missing = sorted(network.symbols - set(hyperparameters))
        finish([f"{sketch.place}: hyperparameters.{key}: is missing, a layer refers to it" for key in missing])
        finish([f"{sketch.place}: {fault}" for fault in value_faults(network, hyperparameters)])
        return Architecture(network, hyperparameters, sketch.name, sketch.about)

    @staticmethod
    def load(name: str | Path) -> Architecture:
        """Read a bundled architecture by its name, or any by its path; also a sketch, recognised by its keys.

        Raises
        ------
        InputError
            There is no such file, or it has faults: one line each.
        """
        path = bundled("experiments/architectures", name)
        with reading(str(path)):
            return Architecture.from_dict(read_yaml(path), str(path))


class _Dumper(yaml.SafeDumper):
    """YAML dumper with short lists and mappings on one line each."""

    def represent_sequence(self, tag: str, sequence: Any, flow_style: bool | None = None) -> yaml.SequenceNode:
        """A list on one line if it has no lists or mappings inside."""
        flat = all(not isinstance(item, list | dict) for item in sequence)
        return super().represent_sequence(tag, sequence, flow_style=flat)

    def represent_mapping(self, tag: str, mapping: Any, flow_style: bool | None = None) -> yaml.MappingNode:
        """A mapping on one line if it is short: a step, a type, a back edge."""
        items = mapping.values() if isinstance(mapping, dict) else [value for _, value in mapping]
        nested = any(
            isinstance(item, dict | list) and any(isinstance(i, dict | list) for i in _inner(item)) for item in items
        )
        return super().represent_mapping(tag, mapping, flow_style=not nested and len(mapping) < 9)


def _inner(item: dict[Any, Any] | list[Any]) -> list[Any]:
    return list(item.values()) if isinstance(item, dict) else item
