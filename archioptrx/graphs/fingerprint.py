"""Identity of computation graphs: the hash of a canonical form.

Two graphs are the same architecture if they are equal up to renaming and reordering of steps, values and weights,
with unordered inputs of commutative blocks, identity steps contracted and duplicate steps joined. The canonical form
is found by colour refinement (Weisfeiler and Leman 1968) with individualisation (McKay and Piperno, "Practical graph
isomorphism, II", 2014): refinement alone confuses a ring of six with two rings of three.

The hash is taken of the whole canonical form, never of colours. If two different values get one colour by accident (a
collision of 64-bit hashes), they are a tie more to break: that costs time, but can't merge two architectures. Nor does
it split one, because equal graphs have the same collisions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from archioptrx.graphs.signatures import SIGNATURES, Signature, Width
from archioptrx.graphs.steps import BackEdge, DataType, Loop, Step

MASK = (1 << 64) - 1


def _mix(a: int, b: int) -> int:
    """Hash of two 64-bit numbers, the same in every process and version of Python.

    One round of multiplications and shifts, with the constants of SplitMix64 (Steele, Lea and Flood 2014).
    """
    h = (a * 0x9E3779B97F4A7C15 + b) & MASK
    h ^= h >> 29
    h = h * 0xBF58476D1CE4E5B9 & MASK
    return h ^ h >> 32


@lru_cache(maxsize=65536)
def _operation(
    signature: Signature, params: tuple[Any, ...], domain: str, width: Width, per_pass: bool
) -> tuple[str, int]:
    """Text for the operation of a step, its inputs and weights left out, and its first colour."""
    relevant = signature.relevant(dict(params))
    text = f"{signature.name} {domain} {width} {relevant!r}" + " per pass" * per_pass
    return text, _colour(text)


@lru_cache(maxsize=65536)
def _colour(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


class StepGraph(Protocol):
    """The parts of a computation graph that its identity depends on; `ComputationGraph` gives their meaning."""

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the sources' types."""

    @property
    def type(self) -> Mapping[str, DataType]:
        """Data types by name."""

    @property
    def steps(self) -> tuple[Step, ...]:
        """Steps in order."""

    @property
    def back_edges(self) -> tuple[BackEdge, ...]:
        """Back edges, at most one a head."""

    @property
    def targets(self) -> tuple[int, ...]:
        """Numbers of the targets' values."""

    @property
    def passes(self) -> Mapping[int, int]:
        """How many times each step is executed."""

    @property
    def loops(self) -> tuple[Loop, ...]:
        """Loops in order of execution."""


@dataclass(slots=True)
class _Row:
    """A value of the reduced graph.

    Attributes
    ----------
    text, colour
        Operation that makes it, and the hash of this text.
    inputs, ordered
        Numbers of the rows that it reads; whether their order matters.
    weights
        Name of its weights; "" for none.
    """

    text: str
    colour: int
    inputs: tuple[int, ...]
    ordered: bool
    weights: str


@dataclass(slots=True)
class _Reduced:
    """A graph reduced to all that its identity depends on. Lists are indexed by value; unused values are left out.

    Attributes
    ----------
    text, colour, inputs, ordered
        As in `_Row`.
    groups
        Values whose steps share weights, a list for each set of weights with several steps.
    back
        Back edges: carried value, head, iterations of the loop.
    targets
        Values of the targets, in order.
    """

    text: list[str]
    colour: list[int]
    inputs: list[tuple[int, ...]]
    ordered: list[bool]
    groups: list[list[int]]
    back: list[tuple[int, int, int]]
    targets: tuple[int, ...]


def fingerprint(graph: StepGraph) -> str:
    """Hash of the canonical form of a pruned graph: 32 hexadecimal digits."""
    reduced = _reduce(graph)
    certificate = _best(reduced, _refine(reduced, reduced.colour))
    return hashlib.blake2b(repr(certificate).encode(), digest_size=16).hexdigest()


def _reduce(graph: StepGraph) -> _Reduced:
    """Contract identity steps, join duplicates, drop values that are unused then, and number the rest anew.

    A head changes from pass to pass. It is a row of its own, without an operation, that reads its first value; the step
    that makes this first value gets the row number `total` + value.
    """
    count, total = len(graph.sources), len(graph.sources) + len(graph.steps)
    back = _changing(graph)
    passes = graph.passes if any(step.per_pass for step in graph.steps) else {}
    rows: dict[int, _Row] = {}
    for value, name in enumerate(graph.sources):
        kind = graph.type[name]
        text = f"source {kind.field} {kind.domain} {kind.width}"
        rows[value] = _Row(text, _colour(text), (), False, "")
    alias = list(range(total))  # row that stands for a value
    known: dict[tuple[Any, ...], int] = {}  # row of each operation on its inputs, for duplicates
    for index, step in enumerate(graph.steps):
        kind, signature = graph.type[step.type], SIGNATURES[step.block]
        own = step.per_pass and signature.has_weights and passes[index] > 1
        # The cache would take 1 and true for equal; inside a mapping they may mean different things.
        operation = _operation.__wrapped__ if signature.structured else _operation
        text, colour = operation(signature, step.params, kind.domain, kind.width, own)
        inputs = [alias[v] for v in step.inputs]
        if signature.commutative:
            inputs.sort()
        value = count + index
        row = value + total if value in back else value
        if signature.neutral and len(inputs) == 1:
            row = inputs[0]
        else:
            weights = step.weights if signature.has_weights else ""
            rows[row] = _Row(text, colour, tuple(inputs), not signature.commutative, weights)
            if not signature.has_weights or weights:  # weights without a name belong to this step alone
                row = known.setdefault((text, weights, *inputs), row)
        if value in back:
            text = f"head {kind.domain} {kind.width}"
            rows[value] = _Row(text, _colour(text), (row,), True, "")
        else:
            alias[value] = row
    carried = {head: (alias[source], iterations) for head, (source, iterations) in back.items()}
    return _number(rows, carried, [alias[target] for target in graph.targets], total)


def _changing(graph: StepGraph) -> dict[int, tuple[int, int]]:
    """Carried value and iterations by head, without the heads that keep their value.

    A head keeps its value if it is carried back to itself, by identity steps alone.
    """
    count, back = len(graph.sources), {}
    heads = {edge.head for edge in graph.back_edges}
    for edge in graph.back_edges:
        value = edge.carried
        while value not in heads and value >= count and graph.steps[value - count].block == "identity":
            value = graph.steps[value - count].inputs[0]
        # A first value that is made inside the loop would change without the back edge.
        if value != edge.head or any(edge.head - count in loop.once for loop in graph.loops):
            back[edge.head] = (edge.carried, edge.iterations)
    return back


def _number(
    rows: Mapping[int, _Row], carried: Mapping[int, tuple[int, int]], targets: Sequence[int], total: int
) -> _Reduced:
    """Number the rows that a target depends on, each after those that it reads."""
    stack, used = list(targets), set[int]()
    while stack:
        value = stack.pop()
        if value not in used:
            used.add(value)
            stack.extend(rows[value].inputs)
            stack.extend([carried[value][0]] if value in carried else [])
    # The first value of a head stands right before it.
    order = sorted(used, key=lambda value: value - total - 0.5 if value >= total else value)
    new = {value: i for i, value in enumerate(order)}
    members: dict[str, list[int]] = {}
    for value in order:
        if rows[value].weights:
            members.setdefault(rows[value].weights, []).append(new[value])
    return _Reduced(
        text=[rows[value].text for value in order],
        colour=[rows[value].colour for value in order],
        inputs=[tuple([new[v] for v in rows[value].inputs]) for value in order],
        ordered=[rows[value].ordered for value in order],
        groups=[values for values in members.values() if len(values) > 1],
        back=[(new[source], new[head], iterations) for head, (source, iterations) in carried.items() if head in used],
        targets=tuple(new[target] for target in targets),
    )


def _refine(reduced: _Reduced, colours: list[int]) -> list[int]:
    """Give different colours to values that differ in their inputs, readers, loops or shared weights.

    Rounds go on until the number of colours no longer grows. Values that an automorphism exchanges keep equal colours.
    All that a round does depends on colours and arrows, never on numbers of values, so equal graphs get equal colours:
    values are taken in an order in which each comes after those that it reads, so each reads colours of this round, no
    matter how values beside it are numbered; and what several values add to one is a sum, the same in any order.
    """
    colours = list(colours)
    for position, target in enumerate(reduced.targets):
        colours[target] = _mix(colours[target], 1000 + position)
    distinct, total = 0, len(colours)
    while True:
        # Forward: from inputs to results.
        for value, inputs in enumerate(reduced.inputs):
            below = 0
            for slot, source in enumerate(inputs):
                below += _mix(colours[source], slot + 1 if reduced.ordered[value] else 1)
            colours[value] = _mix(colours[value], below)
        # Backward: from readers to what they read. All readers of a value come later, so its colour is complete here.
        for value in range(total - 1, -1, -1):
            own = colours[value]
            for slot, source in enumerate(reduced.inputs[value]):
                colours[source] = (colours[source] + _mix(own, slot + 101 if reduced.ordered[value] else 101)) & MASK
        if reduced.back:
            before = list(colours)  # a value may be at several back edges, whose order mustn't matter
            for carried, head, iterations in reduced.back:
                colours[carried] = (colours[carried] + _mix(before[head], 2 * iterations)) & MASK
                colours[head] = (colours[head] + _mix(before[carried], 2 * iterations + 1)) & MASK
        for members in reduced.groups:
            together = sum([_mix(colours[v], 55) for v in members])
            for v in members:
                colours[v] = _mix(colours[v], together)
        now = len(set(colours))
        if now == total or now <= distinct:
            return colours
        distinct = now


def _tied(colours: list[int]) -> list[int]:
    """Values of the colour class to split: the smallest of several values, then of lowest colour; empty if all differ.

    The choice depends on colours alone, so equal graphs are searched along equal trees (the target cell selector of
    McKay and Piperno).
    """
    classes: dict[int, list[int]] = {}
    for value, colour in enumerate(colours):
        classes.setdefault(colour, []).append(value)
    ties = [(len(members), colour) for colour, members in classes.items() if len(members) > 1]
    return classes[min(ties)[1]] if ties else []


def _single_out(reduced: _Reduced, colours: list[int], value: int) -> list[int]:
    """Give one value a colour of its own (individualisation), then refine."""
    changed = list(colours)
    changed[value] = _mix(changed[value], 31)
    return _refine(reduced, changed)


def _any_leaf(reduced: _Reduced, colours: list[int]) -> tuple[Any, ...]:
    """Certificate at the end of one path of the tree, the first in the numbering of the values."""
    while tied := _tied(colours):
        colours = _single_out(reduced, colours, tied[0])
    return _certificate(reduced, colours)


def _best(reduced: _Reduced, colours: list[int]) -> tuple[Any, ...]:
    """Least certificate over the ways to break ties: the canonical form.

    Each leaf of the search tree is a numbering of the values. The set of all leaves' certificates is the same for equal
    graphs, and so is its least member.
    """
    tied = _tied(colours)
    if not tied:
        return _certificate(reduced, colours)
    first = _single_out(reduced, colours, tied[0])
    leaf, best = _any_leaf(reduced, first), _best(reduced, first)
    for value in tied[1:]:
        other = _single_out(reduced, colours, value)
        # Two leaves with equal certificates are two numberings of the same graph: what has one number in both is an
        # automorphism, which takes the value that was singled out there to the one here. It takes the whole tree below
        # along, so that the certificates below are the same, and no other leaf needs to be looked at. Most ties are
        # such symmetries; without this the numbers of leaves would multiply at each level. (If hashes numbered two
        # leaves alike by accident, a lesser certificate might be missed: then one architecture could get two
        # fingerprints, but never two architectures one.)
        if _any_leaf(reduced, other) != leaf:
            best = min(best, _best(reduced, other))
    return best


def _certificate(reduced: _Reduced, colours: list[int]) -> tuple[Any, ...]:
    """The whole graph, with values numbered by colour. All colours differ.

    From it the reduced graph can be built again, up to numbering: equal certificates mean equal graphs.
    """
    order = sorted(range(len(colours)), key=colours.__getitem__)
    rank = {value: i for i, value in enumerate(order)}
    rows = []
    for value in order:
        inputs = [rank[v] for v in reduced.inputs[value]]
        rows.append((reduced.text[value], tuple(inputs if reduced.ordered[value] else sorted(inputs))))
    groups = sorted([sorted([rank[v] for v in members]) for members in reduced.groups])
    back = sorted((rank[c], rank[h], n) for c, h, n in reduced.back)
    return tuple(rows), groups, tuple(back), tuple(rank[target] for target in reduced.targets)
