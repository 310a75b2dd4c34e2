"""Identity of computation graphs: a canonical form, hashed.

Two graphs are the same architecture if they are equal up to renaming and reordering of steps, values and weights,
with unordered inputs of commutative blocks, identity steps contracted and duplicate steps joined. The canonical form
is found by colour refinement (Weisfeiler and Leman 1968) with individualisation (McKay and Piperno, "Practical graph
isomorphism, II", 2014): refinement alone confuses a ring of six with two rings of three. The hash is taken of the
whole canonical form, never of colours, so equal colours by accident cost time and can't merge two architectures.
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
    """A hash of two 64-bit numbers that is the same in every process and version of Python."""
    h = (a * 0x9E3779B97F4A7C15 + b) & MASK
    h ^= h >> 29
    h = h * 0xBF58476D1CE4E5B9 & MASK
    return h ^ h >> 32


@lru_cache(maxsize=65536)
def _operation(
    signature: Signature, params: tuple[Any, ...], domain: str, width: Width, per_pass: bool
) -> tuple[str, int]:
    """What a step does, as text, and its first colour."""
    relevant = signature.relevant(dict(params))
    text = f"{signature.name} {domain} {width} {relevant!r}" + " per pass" * per_pass
    return text, _colour(text)


@lru_cache(maxsize=65536)
def _colour(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


class StepGraph(Protocol):
    """What identity is judged by: the parts of a computation graph, see `ComputationGraph` for their meaning."""

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
    """A value as identity sees it; `inputs` are numbers of rows."""

    text: str
    colour: int
    inputs: tuple[int, ...]
    ordered: bool
    weights: str  # "": none, or none that another step could share


@dataclass(slots=True)
class _Plain:
    """A graph reduced to what identity is judged by. Lists are indexed by value; unused values are left out."""

    text: list[str]
    colour: list[int]
    inputs: list[tuple[int, ...]]
    ordered: list[bool]
    groups: list[list[int]]  # values whose steps share weights
    back: list[tuple[int, int, int]]  # carried, head, iterations of the loop
    targets: tuple[int, ...]


def fingerprint(graph: StepGraph) -> str:
    """Hash of the canonical form of a pruned graph: 32 hexadecimal digits."""
    plain = _reduce(graph)
    certificate = _best(plain, _refine(plain, plain.colour))
    return hashlib.blake2b(repr(certificate).encode(), digest_size=16).hexdigest()


def _reduce(graph: StepGraph) -> _Plain:
    """Contract identity steps, join duplicates, drop what is unused then, number anew.

    A head changes from pass to pass: it is a row of its own, and the step that makes its first value another.
    """
    count, total = len(graph.sources), len(graph.sources) + len(graph.steps)
    back = _changing(graph)
    passes = graph.passes if any(step.per_pass for step in graph.steps) else {}
    rows: dict[int, _Row] = {}
    for value, name in enumerate(graph.sources):
        kind = graph.type[name]
        text = f"source {kind.field} {kind.domain} {kind.width}"
        rows[value] = _Row(text, _colour(text), (), False, "")
    alias = list(range(total))
    known: dict[tuple[Any, ...], int] = {}
    for index, step in enumerate(graph.steps):
        kind, signature = graph.type[step.type], SIGNATURES[step.block]
        own = step.per_pass and signature.has_weights and passes[index] > 1
        operation = _operation.__wrapped__ if signature.structured else _operation
        text, colour = operation(signature, step.params, kind.domain, kind.width, own)
        inputs = [alias[v] for v in step.inputs]
        if signature.commutative:
            inputs.sort()
        value = count + index
        made = value + total if value in back else value
        if signature.neutral and len(inputs) == 1:
            made = inputs[0]
        else:
            weights = step.weights if signature.has_weights else ""
            rows[made] = _Row(text, colour, tuple(inputs), not signature.commutative, weights)
            if not signature.has_weights or weights:
                made = known.setdefault((text, weights, *inputs), made)
        if value in back:
            text = f"head {kind.domain} {kind.width}"
            rows[value] = _Row(text, _colour(text), (made,), True, "")
        else:
            alias[value] = made
    carried = {head: (alias[source], iterations) for head, (source, iterations) in back.items()}
    return _number(rows, carried, [alias[target] for target in graph.targets], total)


def _changing(graph: StepGraph) -> dict[int, tuple[int, int]]:
    """By head: what is carried to it and how often, but for heads that only an identity step carries to themselves."""
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
) -> _Plain:
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
    return _Plain(
        text=[rows[value].text for value in order],
        colour=[rows[value].colour for value in order],
        inputs=[tuple([new[v] for v in rows[value].inputs]) for value in order],
        ordered=[rows[value].ordered for value in order],
        groups=[values for values in members.values() if len(values) > 1],
        back=[(new[source], new[head], iterations) for head, (source, iterations) in carried.items() if head in used],
        targets=tuple(new[target] for target in targets),
    )


def _refine(plain: _Plain, colours: list[int]) -> list[int]:
    """Tell values apart by what they read, what reads them, loops and shared weights, until nothing new shows."""
    colours = list(colours)
    for position, target in enumerate(plain.targets):
        colours[target] = _mix(colours[target], 1000 + position)
    distinct, total = 0, len(colours)
    while True:
        for value, inputs in enumerate(plain.inputs):
            below = 0
            for slot, source in enumerate(inputs):
                below += _mix(colours[source], slot + 1 if plain.ordered[value] else 1)
            colours[value] = _mix(colours[value], below)
        for value in range(total - 1, -1, -1):
            own = colours[value]
            for slot, source in enumerate(plain.inputs[value]):
                # A sum over consumers, so that their order doesn't matter.
                colours[source] = (colours[source] + _mix(own, slot + 101 if plain.ordered[value] else 101)) & MASK
        if plain.back:
            seen = list(colours)  # a value may stand at several back edges, whose order mustn't matter
            for carried, head, iterations in plain.back:
                colours[carried] = (colours[carried] + _mix(seen[head], 2 * iterations)) & MASK
                colours[head] = (colours[head] + _mix(seen[carried], 2 * iterations + 1)) & MASK
        for members in plain.groups:
            together = sum([_mix(colours[v], 55) for v in members])
            for v in members:
                colours[v] = _mix(colours[v], together)
        now = len(set(colours))
        if now == total or now <= distinct:
            return colours
        distinct = now


def _tied(colours: list[int]) -> list[int]:
    """The tied class to split: the smallest, then the one of lowest colour; empty when all differ."""
    classes: dict[int, list[int]] = {}
    for value, colour in enumerate(colours):
        classes.setdefault(colour, []).append(value)
    ties = [(len(members), colour) for colour, members in classes.items() if len(members) > 1]
    return classes[min(ties)[1]] if ties else []


def _single_out(plain: _Plain, colours: list[int], value: int) -> list[int]:
    changed = list(colours)
    changed[value] = _mix(changed[value], 31)
    return _refine(plain, changed)


def _any_leaf(plain: _Plain, colours: list[int]) -> tuple[Any, ...]:
    while tied := _tied(colours):
        colours = _single_out(plain, colours, tied[0])
    return _certificate(plain, colours)


def _best(plain: _Plain, colours: list[int]) -> tuple[Any, ...]:
    """The least certificate over all ways to break ties."""
    tied = _tied(colours)
    if not tied:
        return _certificate(plain, colours)
    first = _single_out(plain, colours, tied[0])
    leaf, best = _any_leaf(plain, first), _best(plain, first)
    for value in tied[1:]:
        other = _single_out(plain, colours, value)
        # An equal leaf is an automorphism that takes one tied value to the other: the rest of the tree is equal too.
        if _any_leaf(plain, other) != leaf:
            best = min(best, _best(plain, other))
    return best


def _certificate(plain: _Plain, colours: list[int]) -> tuple[Any, ...]:
    """The whole graph with values numbered by colour. All colours differ."""
    order = sorted(range(len(colours)), key=colours.__getitem__)
    rank = {value: i for i, value in enumerate(order)}
    rows = []
    for value in order:
        inputs = [rank[v] for v in plain.inputs[value]]
        rows.append((plain.text[value], tuple(inputs if plain.ordered[value] else sorted(inputs))))
    groups = sorted([sorted([rank[v] for v in members]) for members in plain.groups])
    back = sorted((rank[c], rank[h], n) for c, h, n in plain.back)
    return tuple(rows), groups, tuple(back), tuple(rank[target] for target in plain.targets)
