"""Identity of computation graphs: a canonical form, hashed.

Two graphs are the same architecture if they are equal up to renaming and reordering of steps, values and weights,
with unordered inputs of commutative blocks, identity steps contracted and duplicate steps joined. The canonical form
is found by colour refinement (Weisfeiler and Leman 1968) with individualisation (McKay and Piperno, "Practical graph
isomorphism, II", 2014): refinement alone confuses a ring of six with two rings of three. The hash is taken of the
whole canonical form, never of colours, so equal colours by accident cost time and can't merge two architectures.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from archioptrx.loops import components
from archioptrx.signatures import SIGNATURES, Signature, Width

if TYPE_CHECKING:
    from archioptrx.computation_graph import ComputationGraph

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
    return text, int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


@dataclass(slots=True)
class _Plain:
    """A graph reduced to what identity is judged by. Lists are indexed by value; unused values are left out."""

    text: list[str]
    colour: list[int]
    inputs: list[tuple[int, ...]]
    ordered: list[bool]
    group: list[str]  # of shared weights; "" where a step shares with no other
    back: list[tuple[int, int, int]]  # carried, head, iterations of the loop
    targets: tuple[int, ...]


def fingerprint(graph: ComputationGraph) -> str:
    """Hash of the canonical form of a pruned graph: 32 hexadecimal digits."""
    plain = _reduce(graph)
    certificate = _best(plain, _refine(plain, plain.colour))
    return hashlib.blake2b(repr(certificate).encode(), digest_size=16).hexdigest()


def _reduce(graph: ComputationGraph) -> _Plain:
    """Contract identity steps, join duplicates, drop what is unused then, number anew."""
    count = len(graph.sources)
    heads = {edge.head for edge in graph.back_edges}
    alias = list(range(count + len(graph.steps)))
    known: dict[tuple[Any, ...], int] = {}
    text, colour = [], []
    for name in graph.sources:
        kind = graph.type[name]
        source = f"source {kind.field} {kind.domain} {kind.width}"
        text.append(source)
        colour.append(int.from_bytes(hashlib.blake2b(source.encode(), digest_size=8).digest()))
    for index, step in enumerate(graph.steps):
        value, kind, signature = count + index, graph.type[step.type], SIGNATURES[step.block]
        what, first = _operation(signature, step.params, kind.domain, kind.width, step.per_pass)
        text.append(what)
        colour.append(first)
        if value in heads:  # a head changes from pass to pass: it is no copy of anything
            continue
        inputs = [alias[v] for v in step.inputs]
        if step.block == "identity" or (step.block == "concat" and len(inputs) == 1):
            alias[value] = inputs[0]
            continue
        if signature.commutative:
            inputs.sort()
        if not signature.has_weights or step.weights:
            key = (what, step.weights if signature.has_weights else "", *inputs)
            alias[value] = known.setdefault(key, value)
    return _number(graph, alias, text, colour)


def _number(graph: ComputationGraph, alias: list[int], text: list[str], colour: list[int]) -> _Plain:
    count = len(graph.sources)
    carried = {edge.head: alias[edge.carried] for edge in graph.back_edges if alias[edge.carried] != edge.head}
    stack, used = [alias[target] for target in graph.targets], set[int]()
    while stack:
        value = stack.pop()
        if value not in used:
            used.add(value)
            stack.extend(alias[v] for v in (graph.steps[value - count].inputs if value >= count else ()))
            stack.extend([carried[value]] if value in carried else [])
    order = sorted(used)
    new = {value: i for i, value in enumerate(order)}
    steps = {value: graph.steps[value - count] for value in order if value >= count}
    names = [step.weights for step in steps.values() if SIGNATURES[step.block].has_weights]
    inputs = [tuple(new[alias[v]] for v in steps[value].inputs) if value in steps else () for value in order]
    iterations = {edge.head: edge.iterations for edge in graph.back_edges}
    back = [(new[c], new[h], iterations[h]) for h, c in carried.items() if h in used]
    if len(back) > 1:  # in one loop the largest number counts
        loops = components(0, inputs, back).loops
        back = [
            (c, h, max(m for _, g, m in back if g == h or any(s >> h & s >> g & 1 for s in loops))) for c, h, _ in back
        ]
    shared = [steps[v].weights if v in steps and names.count(steps[v].weights) > 1 else "" for v in order]
    return _Plain(
        text=[text[v] for v in order],
        colour=[colour[v] for v in order],
        inputs=inputs,
        ordered=[v in steps and not SIGNATURES[steps[v].block].commutative for v in order],
        group=shared,
        back=back,
        targets=tuple(new[alias[target]] for target in graph.targets),
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
        for carried, head, iterations in plain.back:
            one, other = colours[carried], colours[head]
            colours[carried] = _mix(one, _mix(other, 2 * iterations))
            colours[head] = _mix(other, _mix(one, 2 * iterations + 1))
        for name in set(plain.group) - {""}:
            members = [v for v in range(total) if plain.group[v] == name]
            together = sum(_mix(colours[v], 55) for v in members)
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
    groups: dict[str, int] = {}
    rows = []
    for value in order:
        inputs = [rank[v] for v in plain.inputs[value]]
        name = plain.group[value]
        group = groups.setdefault(name, len(groups)) if name else -1
        rows.append((plain.text[value], tuple(inputs if plain.ordered[value] else sorted(inputs)), group))
    back = sorted((rank[c], rank[h], n) for c, h, n in plain.back)
    return tuple(rows), tuple(back), tuple(rank[target] for target in plain.targets)
