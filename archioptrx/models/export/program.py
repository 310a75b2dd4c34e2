"""The small program between a computation graph and its source code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from archioptrx.graphs.source.step import Assign, LayerClass
from archioptrx.graphs.source.text import Code

PLAIN = ("hits", "edge_index")
"""Inputs of an export that takes hits in physical units."""


@dataclass(frozen=True, slots=True)
class NamedClass:
    """A class with layers under its name, that of a function."""

    name: str
    layers: LayerClass


@dataclass(frozen=True, slots=True)
class Guard:
    """Statements under an `if`."""

    condition: str
    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """A loop of some passes, with a comment above."""

    count: int
    body: tuple[Statement, ...]
    comment: str


Statement = Assign | Guard | Repeat


@dataclass(frozen=True, slots=True)
class Member:
    """A part of the model: attribute, code that makes it, number (several: a list, one for each pass)."""

    name: str
    code: Code
    count: int = 1


@dataclass(frozen=True)
class Output:
    """Output of a program: code, shape and meaning of one target."""

    name: str
    code: str
    shape: str
    probability: bool


@dataclass(frozen=True)
class Program:
    """A network as source code, before it is written.

    Attributes
    ----------
    helpers
        Text of each function and class that the code calls, by name, in the order in which they are written.
    convolutions
        Classes of torch_geometric.nn that the code uses, sorted.
    geometry
        Functions that make the sources of hits, complete.
    classes, members, body, outputs
        The network.
    keys
        Key of the state dict of the code for each key of the trained model's.
    doubtful
        The steps that not every tool can read, for messages: `x0 = conv (GATConv)`.
    own
        The steps of a user's blocks, whose code may be faulty, for messages.
    middle
        True: the caller may give the middle of the φ sector.
    arguments
        The inputs, in order.
    """

    helpers: Mapping[str, str]
    convolutions: tuple[str, ...]
    geometry: tuple[str, ...]
    classes: tuple[NamedClass, ...]
    members: tuple[Member, ...]
    body: tuple[Statement, ...]
    outputs: tuple[Output, ...]
    middle: bool
    doubtful: tuple[str, ...]
    own: tuple[str, ...]
    keys: Mapping[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = PLAIN

    @property
    def needs(self) -> str:
        """The packages that the code imports."""
        return "torch and torch_geometric" if self.convolutions else "torch alone"
