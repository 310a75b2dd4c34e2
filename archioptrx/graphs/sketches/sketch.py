"""A sketch as data: layers by name, the pipeline that runs them, loops. Parsed and checked; no network yet."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from archioptrx.core.config import Fields, finish
from archioptrx.core.errors import did_you_mean
from archioptrx.graphs.literals import frozen
from archioptrx.graphs.sketches.layer import SketchLayer, parse_layer, reference_faults
from archioptrx.graphs.sketches.methods import SOURCES, TYPES

DEFAULTS = {"hidden": 32, "depth": 2, "activation": "relu"}
"""Values of the hyperparameters that a sketch may leave out."""
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class SketchLoop:
    """A loop: its pipeline runs `iterations` times."""

    name: str
    pipeline: tuple[str, ...]
    iterations: int


@dataclass(frozen=True)
class Sketch:
    """A checked sketch. The last layer of the pipeline gives the target.

    Attributes
    ----------
    pipeline
        Names of layers and loops, in the order in which they run.
    layers, loops
        Layers and loops by name.
    hyperparameters
        Values of the symbols that the layers refer to, and settings of the training.
    name, about
        Name and description for the reader.
    content
        The plain data that it was read from; `from_dict` inverts it.
    """

    pipeline: tuple[str, ...]
    layers: Mapping[str, SketchLayer]
    loops: Mapping[str, SketchLoop]
    hyperparameters: Mapping[str, Any]
    name: str = ""
    about: str = ""
    content: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    place: str = field(default="sketch", compare=False, repr=False)

    @property
    def target(self) -> str:
        """The layer that runs last."""
        last = self.pipeline[-1]
        while last in self.loops:
            last = self.loops[last].pipeline[-1]
        return last

    @property
    def logits(self) -> frozenset[str]:
        """Edge layers whose values weight an attention."""
        return frozenset(layer.of for layer in self.layers.values() if layer.convolution == "attention" and layer.of)

    def to_yaml(self) -> str:
        """The file's text."""
        return yaml.safe_dump(dict(self.content), sort_keys=False, allow_unicode=True, default_flow_style=None)

    @staticmethod
    def from_dict(content: object, place: str = "sketch") -> Sketch:
        """Read the YAML form, all faults at once, one line each."""
        faults: list[str] = []
        top = Fields(content, place, faults)
        name, about = top.take("name", str, ""), top.take("about", str, "")
        hyperparameters = top.take("hyperparameters", dict, {})
        section = top.inside("architecture")
        layers = {key: parse_layer(section.inside(key), key) for key in section.content}
        group = top.inside("loops", {})
        loops = {key: _parse_loop(group.inside(key), key) for key in group.content}
        pipeline = _names(top, "pipeline")
        top.rest()
        finish(faults)
        plain = dict(content) if isinstance(content, Mapping) else {}
        sketch = Sketch(pipeline, layers, loops, hyperparameters, name, about, plain, place)
        finish([f"{place}: {fault}" for fault in _faults(sketch)])
        return sketch


def is_sketch(content: object) -> bool:
    """Whether the content of a file is meant as a sketch."""
    return isinstance(content, Mapping) and bool({"pipeline", "loops"} & set(content))


def _names(fields: Fields, key: str) -> tuple[str, ...]:
    names = fields.take(key, list)
    if not names or not all(isinstance(name, str) for name in names):
        if names is not None:  # else it has been said
            fields.fault(key, f"is {names!r}; allowed: a list of one name or more, of layers and loops")
        return ()
    return tuple(names)


def _parse_loop(fields: Fields, name: str) -> SketchLoop:
    loop = SketchLoop(name, _names(fields, "pipeline"), fields.take("iterations", int, minimum=1) or 1)
    fields.rest()
    return loop


def _faults(sketch: Sketch) -> Iterator[str]:
    """Faults between the parts of a sketch."""
    known = {*sketch.layers, *sketch.loops}
    for name in sorted(known):
        place = f"{'architecture' if name in sketch.layers else 'loops'}.{name}"
        if name in SOURCES or name in TYPES or not NAME.fullmatch(name):
            taken = ", ".join((*SOURCES, *TYPES))
            yield f"{place}: can't be a name; allowed: letters, digits and _, and none of {taken}"
        if name in sketch.layers and name in sketch.loops:
            yield f"loops.{name}: is the name of a layer too; allowed: a name of its own"
    used = set(sketch.pipeline)
    for where, names in [("pipeline", sketch.pipeline), *((f"loops.{k}", v.pipeline) for k, v in sketch.loops.items())]:
        used.update(names)
        for name in names:
            if name not in known:
                yield f"{where}: nothing is named {name!r}; {did_you_mean(name, known)}"
    for name in sorted(known - used):
        yield f"{'architecture' if name in sketch.layers else 'loops'}.{name}: stands in no pipeline"
    for name in sketch.loops:
        if name in _inside(sketch, name):
            yield f"loops.{name}: runs inside itself; allowed: layers and other loops"
    for layer in sketch.layers.values():
        for key, fault in reference_faults(layer, sketch.layers):
            yield f"architecture.{layer.name}.{key}: {fault}"
    for key, value in sketch.hyperparameters.items():
        if isinstance(frozen(value), tuple):
            yield f"hyperparameters.{key}: is {value!r}; allowed: one value"


def _inside(sketch: Sketch, name: str) -> set[str]:
    """Layers and loops that run inside a loop."""
    inside: set[str] = set()
    stack = list(sketch.loops[name].pipeline)
    while stack:
        inner = stack.pop()
        if inner not in inside:
            inside.add(inner)
            stack += sketch.loops[inner].pipeline if inner in sketch.loops else ()
    return inside
