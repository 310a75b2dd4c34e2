"""A step of a network as source code: facts that a building block gets, and code that it returns."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from archioptrx.graphs.source.helpers import HELPERS
from archioptrx.graphs.source.text import Code, Names, identifier

ROWS = {"node": "N", "edge": "E", "graph": "1", "pooled": "P"}
"""The number of rows of each domain, as comments and docstrings write it."""
ENDS = ("start", "end")
RESERVED = ("self", "torch", "nn", "math", "edge_index", "nodes", "turn", "middle", *ENDS, *HELPERS)
"""Names that no value may have."""


@dataclass(frozen=True, slots=True)
class Operand:
    """A value that a step reads or makes.

    Attributes
    ----------
    code
        The expression that gives it: the name of a variable.
    name
        Name of its data node.
    domain, width
        Domain of its rows, and number of channels.
    """

    code: str
    name: str
    domain: str
    width: int

    def __str__(self) -> str:
        return f"{identifier(self.name)} [{ROWS[self.domain]}, {self.width}]"


@dataclass(frozen=True, slots=True)
class SourceStep:
    """Facts of a step, for the source that writes it as code.

    The code runs where these variables exist: `nodes` (the number of hits), `edge_index [2, E]`, `start` and `end`
    (its rows). It is for the one graph that an export takes.

    Attributes
    ----------
    inputs, output
        The values; the code of `output` is the variable that the result goes to.
    parameters
        Parameters that have an effect, bound to numbers and texts.
    edge_index
        The edges between the rows of the first input: of the hits, or of its smaller graph.
    pooling
        The variable that holds the smaller graph of the first input; "" for a value of hits.
    module
        The trained block, for facts that only torch has; None where the step has no weights.
    """

    inputs: tuple[Operand, ...]
    output: Operand
    parameters: Mapping[str, Any]
    edge_index: str = "edge_index"
    pooling: str = ""
    module: Any = None

    @property
    def codes(self) -> tuple[str, ...]:
        """The expressions of the inputs."""
        return tuple(operand.code for operand in self.inputs)


@dataclass(frozen=True)
class Expression:
    """A step without weights: one expression.

    Attributes
    ----------
    code
        Code of the result.
    helpers
        Complete text of each function or class that the code calls, by name, beyond those of
        `archioptrx.graphs.source.helpers`.
    """

    code: Code
    helpers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Assign:
    """`target = code  # comment`."""

    target: str
    code: Code
    comment: str = ""


@dataclass(frozen=True, slots=True)
class LayerClass:
    """A class with layers, which the export names after the function of the step.

    Attributes
    ----------
    about
        Docstring of the class: shapes in and out.
    members
        Attributes, each with the code that makes it.
    arguments
        Arguments of its `forward`.
    body
        Statements of its `forward` before the last one.
    result
        Code of the result of `forward`.
    """

    about: str
    members: tuple[tuple[str, Code], ...]
    arguments: tuple[str, ...]
    body: tuple[Assign, ...]
    result: Code


@dataclass(frozen=True)
class LayerSource:
    """A step with weights: a module, made once, and called by each step that shares its weights.

    Attributes
    ----------
    made
        Code that makes the module: a call such as `nn.GRUCell(3, 4)`, or a class that the export writes for it.
    arguments
        Arguments of its call.
    keys
        Beginnings of keys in the module's state dict, by those of the trained block: `{"layer.": ""}`. By default both
        have the same keys.
    helpers
        Functions and classes as in `Expression`, with the class of the module, where neither torch nor the package has
        it.
    convolutions
        Classes of torch_geometric.nn that the code uses.
    doubtful
        Name of a part that not every tool can read, for messages; "": none.
    """

    made: Code | LayerClass
    arguments: Sequence[str]
    keys: Mapping[str, str] = field(default_factory=lambda: {"": ""})
    helpers: Mapping[str, str] = field(default_factory=dict)
    convolutions: tuple[str, ...] = ()
    doubtful: str = ""


Source = Expression | LayerSource


def argument_names(inputs: Sequence[Operand]) -> tuple[str, ...]:
    """Names of the arguments for these inputs, all different."""
    names = Names(RESERVED)
    return tuple(names.new(identifier(operand.name)) for operand in inputs)


def about(step: SourceStep) -> str:
    """Docstring of the class of a step: shapes in and out."""
    return textwrap.fill(f"{', '.join(map(str, step.inputs))} -> {step.output}.", 80)
