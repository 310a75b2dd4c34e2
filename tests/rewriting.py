"""Rewriting of computation graphs: what keeps the architecture, and changes of one place."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.graphs.signatures import SIGNATURES, Hyperparameter
from archioptrx.graphs.steps import BackEdge, Step

SYMMETRIC = {"add", "mean"}
FREE = {"add", "mean", "concat", "aggregate", "identity", "readout", "broadcast", "unpool"}

KEEPING = {"concat", "identity", "aggregate", "readout", "broadcast", "norm", "pool", "unpool"}


def shared_weights(graph: ComputationGraph) -> set[str]:
    """Names of weights that several steps have."""
    names = Counter(step.weights for step in graph.steps if step.block not in FREE)
    return {name for name, number in names.items() if name and number > 1}


def mixed(graph: ComputationGraph, value: int, shared: set[str]) -> bool:
    """Whether all that depends on the order of a value's channels are weights, each of one step alone."""
    ends = {*graph.targets, *(v for edge in graph.back_edges for v in (edge.carried, edge.head))}
    if value in ends:
        return False
    for index, step in enumerate(graph.steps, start=len(graph.sources)):
        for slot in [slot for slot, source in enumerate(step.inputs) if source == value]:
            single = str(graph.type_of(step.inputs[-1]).width) == "1"
            if step.block not in FREE and step.weights in shared:
                return False
            if step.block == "mlp" or (slot == 0 and (step.block == "gru" or (step.block == "attention" and single))):
                continue
            if step.block not in KEEPING or not mixed(graph, index, shared):
                return False
    return True


Place = tuple[int, int] | None
"""A smaller graph: the value of the pooling and the pass in which it was made; None: the hits."""


def smaller_graphs(graph: ComputationGraph) -> list[list[tuple[Place, ...]]]:
    """Smaller graph of each input, by step and pass; for a value and a pass at a time, whatever is run when."""
    count, loop_of, last = len(graph.sources), dict[int, int](), dict[int, int]()
    carried = {head: value for loop in graph.loops for head, value in loop.heads}
    for number, loop in enumerate(graph.loops):
        turns = {count + index: loop.iterations for index in loop.forward}
        turns |= {count + index: loop.iterations - 1 for index in loop.back}
        turns |= {head: loop.iterations for head, _ in loop.heads}
        last |= turns
        loop_of |= dict.fromkeys(turns, number)

    def read(value: int, reader: int, turn: int) -> Place:
        inside = value in loop_of and loop_of[value] == loop_of.get(reader)
        return place(value, turn if inside else last.get(value, 0))

    @lru_cache(None)
    def place(value: int, turn: int) -> Place:
        if graph.type_of(value).domain != "pooled":
            return None
        if turn and value in carried:
            return place(carried[value], turn - 1)
        step = graph.steps[value - count]
        if step.block == "pool":
            return value, turn
        return next(filter(None, (read(v, value, turn) for v in step.inputs)))

    places = []
    for value, step in enumerate(graph.steps, start=count):
        turns = range(1 if value in carried else last.get(value, 0) + 1)
        places.append([tuple(read(v, value, turn) for v in step.inputs) for turn in turns])
    return places


def away(places: list[tuple[Place, ...]]) -> tuple[bool, ...]:
    """Which inputs of a step lie, in some pass, on another smaller graph than its first pooled input."""
    firsts = [next((place for place in row if place), None) for row in places]
    rows = [[place not in (None, first) for place in row] for row, first in zip(places, firsts, strict=True)]
    return tuple(map(any, zip(*rows, strict=True)))


def any_order(graph: ComputationGraph, index: int, shared: set[str]) -> bool:
    """Whether the inputs of a step have no order."""
    step = graph.steps[index]
    if step.block == "concat":
        return mixed(graph, len(graph.sources) + index, shared)
    return step.block in SYMMETRIC or (step.block == "mlp" and step.weights not in shared)


def rebuilt(graph: ComputationGraph, order: list[int], steps: list[Step]) -> ComputationGraph:
    """The same steps in another order; inputs of `steps` are in the old numbers."""
    count = len(graph.sources)
    new = {v: v for v in range(count)} | {count + old: count + i for i, old in enumerate(order)}
    return ComputationGraph(
        graph.types,
        graph.sources,
        tuple(replace(steps[i], inputs=tuple(new[v] for v in steps[i].inputs)) for i in order),
        tuple(BackEdge(new[e.carried], new[e.head], e.iterations) for e in graph.back_edges),
        tuple(new[t] for t in graph.targets),
    )


def shuffled(rng: random.Random, graph: ComputationGraph) -> ComputationGraph:
    """Steps in another order, back edges too."""
    count, order, left = len(graph.sources), list[int](), list(range(len(graph.steps)))
    while left:
        ready = [i for i in left if all(v - count in order or v < count for v in graph.steps[i].inputs)]
        order.append(rng.choice(ready))
        left.remove(order[-1])
    reordered = rebuilt(graph, order, list(graph.steps))
    return replace(reordered, back_edges=tuple(rng.sample(reordered.back_edges, len(reordered.back_edges))))


def renamed(rng: random.Random, graph: ComputationGraph) -> ComputationGraph:
    """Other names of functions, weights and types."""
    used = sorted({step.weights for step in graph.steps} - {""})
    weights = dict(zip(used, rng.sample(range(100), len(used)), strict=True))
    kinds = {t.name: t.name if t.field else f"type_{t.name}" for t in graph.types}
    steps = [
        replace(s, function=f"g{rng.random()}", type=kinds[s.type], weights=s.weights and f"w{weights[s.weights]}")
        for s in graph.steps
    ]
    return replace(graph, types=tuple(replace(t, name=kinds[t.name]) for t in graph.types), steps=tuple(steps))


def turned(rng: random.Random, graph: ComputationGraph) -> ComputationGraph:
    """Inputs of commutative blocks in another order: steps that share weights have one in common."""
    shared, orders, steps = shared_weights(graph), dict[str, list[int]](), list[Step]()
    others = list(map(away, smaller_graphs(graph)))
    for index, step in enumerate(graph.steps):
        order = rng.sample(range(len(step.inputs)), len(step.inputs))
        if step.block == "mlp" and step.weights in shared:
            readers = [i for i, other in enumerate(graph.steps) if other.weights == step.weights]
            moved = any(others[i][order[0]] for i in readers)
            order = orders.setdefault(step.weights, sorted(order) if moved else order)
        elif others[index][order[0]] or not any_order(graph, index, shared):
            order = sorted(order)
        steps.append(replace(step, inputs=tuple(step.inputs[slot] for slot in order)))
    return replace(graph, steps=tuple(steps))


def inserted(graph: ComputationGraph, place: int, step: Step) -> tuple[ComputationGraph, int]:
    """With a step at a place, which nothing reads yet; and the number of its value."""
    value = len(graph.sources) + place

    def new(v: int) -> int:
        return v + (v >= value)

    steps = [replace(s, inputs=tuple(new(v) for v in s.inputs)) for s in graph.steps]
    edges = tuple(BackEdge(new(e.carried), new(e.head), e.iterations) for e in graph.back_edges)
    extended = (*steps[:place], step, *steps[place:])
    return replace(graph, steps=extended, back_edges=edges, targets=tuple(new(t) for t in graph.targets)), value


def with_identity(rng: random.Random, graph: ComputationGraph) -> ComputationGraph:
    """An identity step of some value; some of its readers read that instead, maybe a back edge or a target too."""
    count = len(graph.sources)
    old = rng.randrange(count, count + len(graph.steps))
    step = Step("same", "identity", (old,), graph.type_of(old).name)
    graph, value = inserted(graph, rng.randint(old + 1 - count, len(graph.steps)), step)

    def read(v: int, reader: int) -> int:
        return value if v == old and reader > value and rng.random() < 0.5 else v

    steps = [replace(s, inputs=tuple(read(v, count + i) for v in s.inputs)) for i, s in enumerate(graph.steps)]
    # Not between heads: those that only exchange their values may be useless, which pruning sees before contraction.
    head = any(edge.head == old for edge in graph.back_edges)
    edges = tuple(e if head else replace(e, carried=read(e.carried, 10**6)) for e in graph.back_edges)
    return replace(graph, steps=tuple(steps), back_edges=edges, targets=tuple(read(t, 10**6) for t in graph.targets))


def with_identity_before_a_head(rng: random.Random, graph: ComputationGraph) -> ComputationGraph:
    """A head's first value is made by a step of its own; the head is an identity of that."""
    if not graph.back_edges:
        return graph
    head = rng.choice(graph.back_edges).head
    place = head - len(graph.sources)
    graph, first = inserted(graph, place, graph.steps[place])
    steps = list(graph.steps)
    steps[place + 1] = Step("same", "identity", (first,), steps[place].type)
    return replace(graph, steps=tuple(steps))


def with_a_duplicate(rng: random.Random, graph: ComputationGraph) -> ComputationGraph:
    """A step without weights, or with shared ones, stands twice; some readers read the second."""
    count, heads = len(graph.sources), {edge.head for edge in graph.back_edges}
    # Not with weights of its own for each pass: a twin that only runs after the loop has others than the last pass.
    # Nor a pooling: each has a smaller graph of its own, and values go from one to the other by way of the hits.
    plain = [i for i, s in enumerate(graph.steps) if s.block in FREE or (s.weights and not s.per_pass)]
    plain = [i for i in plain if graph.steps[i].block != "pool"]
    allowed = [i for i in plain if count + i not in heads]
    if not allowed:
        return graph
    place = rng.choice(allowed)
    old = count + place
    graph, value = inserted(graph, place + 1, replace(graph.steps[place], function="twin"))

    def read(v: int) -> int:
        return value if v == old and rng.random() < 0.5 else v

    steps = [replace(s, inputs=tuple(map(read, s.inputs))) for s in graph.steps]
    edges = [replace(e, carried=read(e.carried)) for e in graph.back_edges]
    return replace(graph, steps=tuple(steps), back_edges=tuple(edges), targets=tuple(map(read, graph.targets)))


SAME = (shuffled, renamed, turned, with_identity, with_identity_before_a_head, with_a_duplicate)


def mutations(rng: random.Random, graph: ComputationGraph) -> Iterator[ComputationGraph]:
    """Graphs that differ in one place; most are other architectures, the oracle says which."""
    count = len(graph.sources)

    def with_step(index: int, step: Step) -> ComputationGraph:
        return replace(graph, steps=(*graph.steps[:index], step, *graph.steps[index + 1 :]))

    for index, step in enumerate(graph.steps):
        for parameter in SIGNATURES[step.block].parameters:
            now = step.all_params[parameter.name]
            others = {
                "layers": (1, 2, 3),
                "dropout": (0, 0.0, 0.5),
                "hidden": (8, Hyperparameter("hidden")),
                "ratio": (0.5, 0.25),
                "clusters": (4, 16),
                "conv": ("GraphConv", "GATConv"),
                "arguments": ({}, {"aggr": "max"}),
            }
            other = rng.choice([v for v in others.get(parameter.name, parameter.choices) if v != now])
            params = {**dict(step.params), parameter.name: other}
            yield with_step(index, replace(step, params=tuple(sorted(params.items()))))
        kind = graph.type_of(count + index).name
        for slot, value in enumerate(step.inputs):
            allowed = [v for v in range(count + index) if v != value and graph.type_of(v) == graph.type_of(value)]
            if allowed:
                inputs = (*step.inputs[:slot], rng.choice(allowed), *step.inputs[slot + 1 :])
                yield with_step(index, replace(step, inputs=inputs))
        if len(step.inputs) > 1:
            yield with_step(index, replace(step, inputs=step.inputs[::-1]))
        if step.block not in FREE:
            yield with_step(index, replace(step, per_pass=not step.per_pass))
            kind_of = (step.block, step.params, step.type)
            alike = [s.weights for s in graph.steps if (s.block, s.params, s.type) == kind_of]
            yield with_step(index, replace(step, weights=rng.choice([*alike, "another"])))
        if step.block in ("add", "mean"):
            yield with_step(index, replace(step, block="mean" if step.block == "add" else "add"))
        ends = [count + i for i, s in enumerate(graph.steps) if s.type == kind and count + i not in graph.targets]
        if count + index in graph.targets and ends:
            yield replace(graph, targets=tuple(rng.choice(ends) if t == count + index else t for t in graph.targets))
    yield replace(graph, targets=graph.targets[::-1])
    heads = {edge.head for edge in graph.back_edges}
    for position, edge in enumerate(graph.back_edges):
        rest = graph.back_edges[:position] + graph.back_edges[position + 1 :]
        yield replace(graph, back_edges=rest)
        yield replace(graph, back_edges=(*rest, replace(edge, iterations=edge.iterations + 1)))
        alike = [v for v in range(count, count + len(graph.steps)) if graph.type_of(v) == graph.type_of(edge.head)]
        if moved := [v for v in alike if v not in heads and v != edge.carried]:
            yield replace(graph, back_edges=(*rest, replace(edge, head=rng.choice(moved))))
        if moved := [v for v in alike if v not in (edge.head, edge.carried)]:
            yield replace(graph, back_edges=(*rest, replace(edge, carried=rng.choice(moved))))
