"""Identity of computation graphs: the hash of a canonical form.

Two graphs are the same architecture if they are equal up to renaming and reordering of steps, values and weights, with
identity steps contracted and duplicate steps joined, and up to an order of inputs where it is free:

* always, where it changes no result (`add`, `mean`);
* of a commutative block with weights (`mlp`), where these weights belong to one step alone: another order of its inputs
  is another order of its weights. Steps that share weights have one order in common: `f(a, b)` and `f(b, a)` with the
  same weights are two values, and a network of both has other functions than one that has one of them twice;
* of a commutative block without weights (`concat`), where the order of the channels of its result is free: all that
  reads them mixes them by weights of one step alone, or keeps them for such a step (`Signature.reads`).

Where values of several poolings meet, the result lies on the smaller graph of the first one. There it counts, in each
of these cases, of which pooling the first input is; the order is free among the inputs of that pooling, and among the
others. A pooling whose values meet those of another one is no duplicate of it, however equal the two are: values go
from one smaller graph to the other by way of the hits, which changes them.

The canonical form is found by colour refinement (Weisfeiler and Leman 1968) with individualisation (McKay and Piperno,
"Practical graph isomorphism, II", 2014): refinement alone confuses a ring of six with two rings of three.

The hash is taken of the whole canonical form, never of colours. If two different values get one colour by accident (a
collision of 64-bit hashes), they are a tie more to break: that costs time, but can't merge two architectures. Nor does
it split one, because equal graphs have the same collisions.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Protocol

from archioptrx.graphs.operations import COMMON, FREE, JOINED, ORDERED, Operation, colour_of
from archioptrx.graphs.poolings import Meetings, ScheduledGraph, meetings
from archioptrx.graphs.signatures import KEEPS, MIXES
from archioptrx.graphs.steps import BackEdge, Loop

MASK = (1 << 64) - 1
FIRST, SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9
"""Constants of SplitMix64 (Steele, Lea and Flood 2014)."""


def _mix(a: int, b: int) -> int:
    """Hash of two 64-bit numbers, the same in every process and version of Python.

    One round of multiplications and shifts.
    """
    h = (a * FIRST + b) & MASK
    h = (h ^ h >> 29) * SECOND & MASK
    return h ^ h >> 32


class StepGraph(ScheduledGraph, Protocol):
    """The parts of a computation graph that its identity depends on; `ComputationGraph` gives their meaning."""

    @property
    def operations(self) -> tuple[Operation, ...]:
        """Operation of each step."""

    @property
    def back_edges(self) -> tuple[BackEdge, ...]:
        """Back edges, at most one a head."""

    @property
    def targets(self) -> tuple[int, ...]:
        """Numbers of the targets' values."""

    @property
    def passes(self) -> Mapping[int, int]:
        """Number of executions of each step."""

    @property
    def loops(self) -> tuple[Loop, ...]:
        """Loops in order of execution."""


@dataclass(slots=True)
class _Row:
    """A value of the reduced graph.

    Attributes
    ----------
    text, colour
        Text of the operation that makes it, and the hash of this text.
    inputs, order
        Numbers of the rows that it reads; meaning of their order, see `archioptrx.graphs.operations`.
    weights
        Name of its weights; "" for none.
    away
        Whether each input lies on another smaller graph than the first one; see `Meetings`.
    """

    text: str
    colour: int
    inputs: tuple[int, ...]
    order: str
    weights: str
    away: tuple[bool, ...]


class _NotAway(dict[int, tuple[bool, ...]]):
    """`away` of so many inputs of which none lies on another smaller graph."""

    def __missing__(self, number: int) -> tuple[bool, ...]:
        self[number] = (False,) * number
        return self[number]


NOT_AWAY = _NotAway()


@dataclass(slots=True)
class _Reduced:
    """A graph reduced to all that its identity depends on. Lists are indexed by value; unused values are left out.

    Of steps that share weights and have one order of inputs in common, each slot is a value too: one without inputs,
    behind all others. An input of such a step is marked by its slot. A renumbering of slots is so the same thing as one
    of values, and no more is needed for "one common order".

    Attributes
    ----------
    text, colour, inputs
        Fields of the rows, as in `_Row`.
    marks
        Mark of each input: its place from 1 on where the order matters; where it is free, 1, or 2 for one that lies on
        another smaller graph than the first.
    slots
        Values of the slots, in the order of the inputs, for each value that has its order in common with others.
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
    marks: list[tuple[int, ...]]
    slots: dict[int, tuple[int, ...]]
    groups: list[list[int]]
    back: list[tuple[int, int, int]]
    targets: tuple[int, ...]


def fingerprint(graph: StepGraph) -> str:
    """Hash of the canonical form of a pruned graph: 32 hexadecimal digits."""
    reduced = _reduce(graph)
    certificate = _best(reduced, _refine(reduced, reduced.colour))
    return hashlib.blake2b(repr(certificate).encode(), digest_size=16).hexdigest()


def _reduce(graph: StepGraph) -> _Reduced:
    """Contract identity steps, join duplicates, drop values that are unused then, and number the rest anew."""
    back = _changing(graph)
    names = [step.weights for step in graph.steps if step.weights]
    shared = {name for name, number in Counter(names).items() if number > 1} if len(set(names)) < len(names) else set()
    repeated = frozenset(shared)
    leaders: dict[int, tuple[int, ...]] = {}
    met = meetings(graph)
    while True:
        rows, alias = _rows(graph, back, shared, repeated, leaders, met)
        # A step whose order is free takes that of a step with the same inputs whose order isn't: then both are one.
        # Each value gets a leader once, so this ends.
        if new := {value: order for value, order in _ordered_twins(rows).items() if value not in leaders}:
            leaders.update(new)
            continue
        still = Counter(row.weights for row in rows.values()) if shared else Counter()
        # Steps that were duplicates are one now, and may have their weights for themselves. Their order of inputs is
        # free then, which may make others duplicates. Names only leave the set, so this ends.
        if alone := {name for name in shared if still[name] < 2}:
            shared -= alone
            continue
        carried = {head: (alias[source], iterations) for head, (source, iterations) in back.items()}
        return _number(rows, carried, [alias[target] for target in graph.targets])


def _ordered_twins(rows: Mapping[int, _Row]) -> dict[int, tuple[int, ...]]:
    """Inputs, in order, of a step with a fixed order, by each step of the same inputs whose order is free.

    Only steps without weights (`concat`): others belong together by their weights. Where two of them have these inputs
    in different orders, none leads: which one it is would depend on the numbers of the values.
    """
    bare = [(value, row) for value, row in rows.items() if not row.weights and len(row.inputs) > 1]
    fixed: dict[tuple[Any, ...], set[tuple[int, ...]]] = {}
    for _, row in bare:
        if row.order is ORDERED:
            fixed.setdefault((row.text, *_by_graph(row.away, row.inputs)), set()).add(row.inputs)
    twins = dict[int, tuple[int, ...]]()
    for value, row in rows.items() if fixed else ():
        free = row.order is FREE and not row.weights
        orders = fixed.get((row.text, *_by_graph(row.away, row.inputs)), ()) if free else ()
        if len(orders) == 1:
            (twins[value],) = orders
    return twins


def _by_graph(away: Sequence[bool], inputs: Sequence[int]) -> list[tuple[bool, int]]:
    """Inputs of a step without their order: those on the smaller graph of the first one come before the others."""
    return sorted(zip(away, inputs, strict=True))


def _in_order(
    away: tuple[bool, ...], inputs: list[int], leader: tuple[int, ...] | None
) -> tuple[tuple[bool, ...], list[int], str]:
    """`away` and inputs of a step of free order, in the order of a leader with the same inputs; and what it means."""
    if leader is None and not any(away):
        return away, sorted(inputs), FREE
    pairs, order = _by_graph(away, inputs), FREE
    if leader is not None and sorted(leader) == sorted(inputs):
        pairs, order = sorted(pairs, key=lambda pair: leader.index(pair[1])), ORDERED
    return tuple([other for other, _ in pairs]), [value for _, value in pairs], order


def _rows(
    graph: StepGraph,
    back: Mapping[int, tuple[int, int]],
    shared: Set[str],
    repeated: Set[str],
    leaders: Mapping[int, tuple[int, ...]],
    met: Meetings,
) -> tuple[dict[int, _Row], list[int]]:
    """Rows by number, and the row that stands for each value.

    A head changes from pass to pass. It is a row of its own, without an operation, that reads its first value; the step
    that makes this first value gets the row number `total` + value.

    Parameters
    ----------
    shared, repeated
        Weights that several steps have in common, those left out whose steps are all one; all of them.
    leaders
        Order of the inputs of rows whose order would be free; see `_ordered_twins`.
    met
        Steps where values of several poolings meet.
    """
    count, total = len(graph.sources), len(graph.sources) + len(graph.steps)
    passes = graph.passes if any(step.per_pass for step in graph.steps) else {}
    unseen = _unseen_orders(graph, shared)
    rows: dict[int, _Row] = {}
    for value, name in enumerate(graph.sources):
        kind = graph.type[name]
        text = f"source {kind.field} {kind.domain} {kind.width}"
        rows[value] = _Row(text, colour_of(text), (), FREE, "", ())
    alias = list(range(total))
    known: dict[tuple[Any, ...], int] = {}  # row of each operation on its inputs, for duplicates
    for value, (step, operation) in enumerate(zip(graph.steps, graph.operations, strict=True), start=count):
        text, colour, learns = operation.text, operation.colour, operation.has_weights
        if step.per_pass and learns and passes[value - count] > 1:
            text += " per pass"
            colour = colour_of(text)
        inputs = [alias[v] for v in step.inputs]
        row = value + total if value in back else value
        weights = step.weights if learns else ""
        order = operation.order
        if (order is COMMON and weights not in shared) or (order is JOINED and value in unseen):
            order = FREE
        elif order is JOINED:
            order = ORDERED
        away = met.away.get(value - count) or NOT_AWAY[len(inputs)]
        if order is FREE and len(inputs) > 1:
            away, inputs, order = _in_order(away, inputs, leaders.get(row))
        if operation.neutral and len(inputs) == 1:
            row = inputs[0]
        else:
            rows[row] = _Row(text, colour, tuple(inputs), order, weights, away)
            # A step with weights has a duplicate only among those that share them; weights without a name belong to
            # one step alone.
            if (not learns or weights in repeated) and value - count not in met.pools:
                first_row = known.setdefault((text, weights, order, away, *inputs), row)
                if first_row != row:
                    del rows[row]
                row = first_row
        if value in back:
            kind = graph.type[step.type]
            text = f"head {kind.domain} {kind.width}"
            rows[value] = _Row(text, colour_of(text), (row,), ORDERED, "", NOT_AWAY[1])
        else:
            alias[value] = row
    return rows, alias


def _unseen_orders(graph: StepGraph, shared: Set[str]) -> set[int]:
    """Values with a free order of channels: no part of the network depends on it.

    Worked out only where a step joins channels (`concat`), as nothing else depends on it.
    """
    count = len(graph.sources)
    joined = [value for value, operation in enumerate(graph.operations, start=count) if operation.order is JOINED]
    if not joined:
        return set()
    # A head's first value and what is carried to it must have one order; a target has that of the truth.
    fixed = {*graph.targets, *(value for edge in graph.back_edges for value in (edge.carried, edge.head))}
    readers: dict[int, list[tuple[int, int]]] = {}
    for index, step in enumerate(graph.steps):
        for slot, value in enumerate(step.inputs):
            readers.setdefault(value, []).append((index, slot))

    def unseen(value: int) -> bool:
        return value not in fixed and all(mixed(index, slot) for index, slot in readers.get(value, ()))

    def mixed(index: int, slot: int) -> bool:
        operation = graph.operations[index]
        if operation.has_weights and graph.steps[index].weights in shared:
            return False
        reads = operation.reads(slot)
        return reads == MIXES or (reads == KEEPS and unseen(count + index))

    return {value for value in joined if unseen(value)}


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


def _number(rows: Mapping[int, _Row], carried: Mapping[int, tuple[int, int]], targets: Sequence[int]) -> _Reduced:
    """Number the rows that a target depends on, each after those that it reads; slots come last."""
    stack, used = list(targets), set[int]()
    while stack:
        value = stack.pop()
        if value not in used:
            used.add(value)
            stack += rows[value].inputs
            if value in carried:
                stack.append(carried[value][0])
    order = [value for value in rows if value in used]  # rows are made in order
    new = {value: i for i, value in enumerate(order)}
    used_rows = [rows[value] for value in order]
    members: dict[str, list[int]] = {}
    for value, row in enumerate(used_rows):
        if row.weights:
            members.setdefault(row.weights, []).append(value)
    groups = [values for values in members.values() if len(values) > 1]
    reduced = _Reduced(
        text=[row.text for row in used_rows],
        colour=[row.colour for row in used_rows],
        inputs=[tuple([new[v] for v in row.inputs]) for row in used_rows],
        marks=[_marks(row) for row in used_rows],
        slots={},
        groups=groups,
        back=[(new[source], new[head], iterations) for head, (source, iterations) in carried.items() if head in used],
        targets=tuple([new[target] for target in targets]),
    )
    for values in groups:
        if used_rows[values[0]].order is COMMON:
            _add_slots(reduced, values)
    return reduced


def _marks(row: _Row) -> tuple[int, ...]:
    if row.order is ORDERED:
        return tuple(range(1, len(row.inputs) + 1))
    return tuple([2 if away else 1 for away in row.away])


def _add_slots(reduced: _Reduced, members: Sequence[int]) -> None:
    """Add the slots of steps that share weights."""
    first, number = len(reduced.text), max(len(reduced.inputs[value]) for value in members)
    reduced.text += ["slot"] * number
    reduced.colour += [colour_of("slot")] * number
    reduced.inputs += [()] * number
    reduced.marks += [()] * number
    for value in members:
        reduced.slots[value] = tuple(range(first, first + len(reduced.inputs[value])))


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
    arrows = [tuple(zip(*pair, strict=True)) for pair in zip(reduced.inputs, reduced.marks, strict=True)]
    while True:
        for value, slots in reduced.slots.items():  # the colours of slots change at the end of a round only
            marks = [colours[slot] + mark - 1 for slot, mark in zip(slots, reduced.marks[value], strict=True)]
            arrows[value] = tuple(zip(reduced.inputs[value], marks, strict=True))
        # Forward: from inputs to results. Both loops have `_mix` written out: they take most of the time of a
        # fingerprint, and half of it would be its calls.
        for value, pairs in enumerate(arrows):
            below = 0
            for source, mark in pairs:
                h = (colours[source] * FIRST + mark) & MASK
                h = (h ^ h >> 29) * SECOND & MASK
                below += h ^ h >> 32
            h = (colours[value] * FIRST + below) & MASK
            h = (h ^ h >> 29) * SECOND & MASK
            colours[value] = h ^ h >> 32
        # Backward: from readers to what they read. All readers of a value come later, so its colour is complete here.
        for value in range(total - 1, -1, -1):
            own = colours[value] * FIRST
            for source, mark in arrows[value]:
                h = (own + mark + 100) & MASK
                h = (h ^ h >> 29) * SECOND & MASK
                colours[source] = (colours[source] + (h ^ h >> 32)) & MASK
        if reduced.back:
            before = list(colours)  # a value may be at several back edges, whose order mustn't matter
            for carried, head, iterations in reduced.back:
                colours[carried] = (colours[carried] + _mix(before[head], 2 * iterations)) & MASK
                colours[head] = (colours[head] + _mix(before[carried], 2 * iterations + 1)) & MASK
        for members in reduced.groups:
            together = sum([_mix(colours[v], 55) for v in members])
            for v in members:
                colours[v] = _mix(colours[v], together)
        for value, slots in reduced.slots.items():
            for source, slot in zip(reduced.inputs[value], slots, strict=True):
                colours[slot] = (colours[slot] + _mix(colours[value], colours[source])) & MASK
        now = len(set(colours))
        if now == total or now <= distinct:
            return colours
        distinct = now


def _tied(colours: list[int]) -> list[int]:
    """Values of the colour class to split: the smallest of several values, then of lowest colour; empty if all differ.

    The choice depends on colours alone, so equal graphs are searched along equal trees (the target cell selector of
    McKay and Piperno).
    """
    if len(set(colours)) == len(colours):
        return []
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


def _first_path(reduced: _Reduced, colours: list[int]) -> list[tuple[list[int], list[int]]]:
    """Colours and tied values of each node on one path of the tree, down to a leaf, where no tie is left.

    At each tie the first value, in the numbering of the values, is singled out.
    """
    path = [(colours, _tied(colours))]
    while path[-1][1]:
        colours = _single_out(reduced, *path[-1][:1], path[-1][1][0])
        path.append((colours, _tied(colours)))
    return path


def _best(reduced: _Reduced, colours: list[int]) -> tuple[Any, ...]:
    """Least certificate over the ways to break ties: the canonical form.

    Each leaf of the search tree is a numbering of the values. The set of all leaves' certificates is the same for equal
    graphs, and so is its least member. Most ties are symmetries of the graph, and few leaves have to be looked at:

    Two leaves with equal certificates are two numberings of the same graph: what has one number in both is an
    automorphism. If they are below the same node, it leaves alone what was singled out above that node. It takes the
    value that was singled out for the one leaf to that of the other, and the whole tree below it along, so that the
    certificates below are the same. Automorphisms that were found deeper in the tree hold further up, too: values in
    one orbit of them have equal trees, and one of them is enough. So n steps that can be exchanged at will cost n
    leaves, not n (n - 1) / 2. (McKay and Piperno, section 4. If hashes numbered two leaves alike by accident, a lesser
    certificate might be missed: then one architecture could get two fingerprints, but never two architectures one.)
    """
    path = _first_path(reduced, colours)
    leaf = path[-1][0]
    best = certificate = _certificate(reduced, leaf)
    orbits = _Orbits(len(leaf))
    for node, tied in reversed(path[:-1]):
        done = [tied[0]]
        for value in tied[1:]:
            if any(orbits.same(value, other) for other in done):
                continue
            other = _single_out(reduced, node, value)
            other_leaf = _first_path(reduced, other)[-1][0]
            if _certificate(reduced, other_leaf) == certificate:
                orbits.join(leaf, other_leaf)
            else:
                best = min(best, _best(reduced, other))
                done.append(value)
    return best


class _Orbits:
    """Classes of values that the automorphisms found so far exchange (union and find)."""

    def __init__(self, size: int) -> None:
        self._parent = list(range(size))

    def _root(self, value: int) -> int:
        while self._parent[value] != value:
            self._parent[value] = value = self._parent[self._parent[value]]
        return value

    def same(self, value: int, other: int) -> bool:
        """Whether two values are in one class."""
        return self._root(value) == self._root(other)

    def join(self, leaf: list[int], other_leaf: list[int]) -> None:
        """Add the automorphism that takes each value of one numbering to that of the same number in the other."""
        numbering = sorted(range(len(leaf)), key=leaf.__getitem__)
        for value, image in zip(numbering, sorted(range(len(leaf)), key=other_leaf.__getitem__), strict=True):
            self._parent[self._root(value)] = self._root(image)


def _certificate(reduced: _Reduced, colours: list[int]) -> tuple[Any, ...]:
    """The whole graph, with values numbered by colour. All colours differ.

    From it the reduced graph can be built again, up to numbering: equal certificates mean equal graphs.
    """
    order = sorted(range(len(colours)), key=colours.__getitem__)
    rank = [0] * len(order)
    for place, value in enumerate(order):
        rank[value] = place
    rows: list[tuple[str, tuple[Any, ...]]] = []
    for value in order:
        inputs: list[Any] = [rank[v] for v in reduced.inputs[value]]
        marks = reduced.marks[value]
        if value in reduced.slots:
            slots = [rank[slot] for slot in reduced.slots[value]]
            several = (marks,) if len(set(marks)) > 1 else ()
            inputs = sorted(zip(slots, inputs, *several, strict=True))
        elif len(inputs) > 1:
            if marks[0] == marks[-1]:  # marks ascend, so all are equal
                inputs.sort()
            elif marks[-1] < len(inputs):  # some are equal
                inputs = sorted(zip(marks, inputs, strict=True))
        rows.append((reduced.text[value], tuple(inputs)))
    groups = sorted([sorted([rank[v] for v in members]) for members in reduced.groups])
    back = sorted((rank[c], rank[h], n) for c, h, n in reduced.back)
    return tuple(rows), groups, tuple(back), tuple(rank[target] for target in reduced.targets)
