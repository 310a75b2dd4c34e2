"""The loops of a graph, and the values that its targets depend on.

Values are numbers from 0 on: sources first (`count` of them), then the results of the steps in order. Graphs have some
dozen values, so a set of values is one Python integer (bit i stands for value i), and a closure takes a few operations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

Inputs = Sequence[tuple[int, ...]]
"""Values that each step reads."""
Edges = Sequence[tuple[int, int, int]]
"""Back edges: carried value, head, iterations."""


def ancestors(count: int, inputs: Inputs) -> list[int]:
    """Set of ancestors of each value, itself included, back edges left out."""
    sets = [1 << value for value in range(count)]
    # Steps read earlier values only, so one run in their order is enough.
    for index, values in enumerate(inputs):
        mask = 1 << (count + index)
        for value in values:
            mask |= sets[value]
        sets.append(mask)
    return sets


def descendants(count: int, inputs: Inputs) -> list[int]:
    """Set of descendants of each value, itself included, back edges left out."""
    sets = [1 << value for value in range(count + len(inputs))]
    for index in reversed(range(len(inputs))):
        for value in inputs[index]:
            sets[value] |= sets[count + index]
    return sets


def _led_to(up: Sequence[int], value: int) -> int:
    """Set of the values that a value leads to, itself included, by the ancestors of all values."""
    members = 0
    for other, mask in enumerate(up):
        if mask >> value & 1:
            members |= 1 << other
    return members


def bits(mask: int) -> list[int]:
    """Members of a set, ascending.

    >>> bits(0b10110)
    [1, 2, 4]
    """
    members = []
    while mask:
        low = mask & -mask  # the lowest bit alone
        members.append(low.bit_length() - 1)
        mask ^= low
    return members


@dataclass(frozen=True)
class Components:
    """The loops of a graph: its strongly connected components, back edges included.

    Attributes
    ----------
    count, inputs
        Number of sources, and the inputs of the steps.
    loops
        Sets of values, disjoint, in the order of their first back edge.
    """

    count: int
    inputs: Inputs
    loops: tuple[int, ...]

    def inside(self, value: int, members: int) -> bool:
        """Whether the step that makes a value belongs to a loop: it reads members, and its result is a member.

        The step that makes the first value of a head from values outside the loop doesn't belong to it.
        """
        return bool(value >= self.count and members >> value & 1 and members & self._reads[value - self.count])

    @cached_property
    def _reads(self) -> list[int]:
        """Set of the values that each step reads."""
        sets = []
        for values in self.inputs:
            mask = 0
            for value in values:
                mask |= 1 << value
            sets.append(mask)
        return sets

    def outputs(self, members: int, targets: Sequence[int]) -> int:
        """Set of the values of a loop that are targets, or that a step outside the loop reads."""
        read = 0
        for target in targets:
            read |= 1 << target
        for index, values in enumerate(self._reads):
            if not self.inside(self.count + index, members):
                read |= values
        return read & members

    def forward(self, members: int, targets: Sequence[int]) -> int:
        """Set of the values of a loop from which an output of the loop is reached without a back edge."""
        reaching = self.outputs(members, targets)
        inner = [i for i in range(len(self.inputs)) if self.inside(self.count + i, members)]
        for index in reversed(inner):
            if reaching >> (self.count + index) & 1:
                reaching |= members & self._reads[index]
        return reaching


def components(count: int, inputs: Inputs, edges: Edges, up: Sequence[int] | None = None) -> Components:
    """Find the loops. A back edge whose head doesn't lead to the value that it carries forms none.

    `up` is the result of `ancestors`, where it is known.

    Without back edges there is no circle, so a component with a circle holds a back edge. Two closures over the few
    back edges are therefore enough, in the place of Tarjan's algorithm over all values.
    """
    if not edges:
        return Components(count, inputs, ())
    up = ancestors(count, inputs) if up is None else up
    # By back edge: set of the values that its head leads to, through any number of back edges.
    reach = [_led_to(up, head) for _, head, _ in edges]
    grown = len(edges) > 1
    while grown:
        grown = False
        for i, mask in enumerate(reach):
            for j, (carried, _, _) in enumerate(edges):
                if mask >> carried & 1 and reach[j] | mask != mask:
                    mask |= reach[j]
                    grown = True
            reach[i] = mask
    loops: list[int] = []
    for i, (carried, head, _) in enumerate(edges):
        if not reach[i] >> carried & 1 or any(loop >> head & 1 for loop in loops):
            continue
        # Values that lead to the head, through any number of back edges; with `reach`, the members.
        leading = up[head]
        for j, (other, _, _) in enumerate(edges):
            if reach[j] >> head & 1:
                leading |= up[other]
        loops.append(reach[i] & leading)
    return Components(count, inputs, tuple(loops))


def live_values(
    count: int, inputs: Inputs, edges: Edges, targets: Sequence[int], up: Sequence[int] | None = None
) -> tuple[int, list[tuple[int, int, int]], Components]:
    """Set of the values that a target depends on, the back edges that a target depends on, and the loops of these.

    `up` is the result of `ancestors`, where it is known. A back edge is kept if it is part of a loop and the value that
    it carries reaches a target in a later pass. The edges of one loop get the loop's iterations: the largest of theirs.
    """
    remaining, up = list(edges), ancestors(count, inputs) if up is None else up
    # Without one back edge another may no longer be part of a loop, so this is repeated until all are kept.
    while True:
        parts = components(count, inputs, remaining, up)
        looped = _of_loops(remaining, parts)
        live = _closure(up, looped, targets)
        needed = [e for e in looped if live >> e[1] & 1]
        if len(needed) > len(parts.loops):  # a loop has several back edges
            needed = _useful(count, inputs, needed, targets)
        if len(needed) == len(remaining):
            return live, needed, parts
        remaining = needed


def _of_loops(edges: Edges, parts: Components) -> list[tuple[int, int, int]]:
    """Back edges that are part of a loop; in one loop the largest number of iterations counts."""
    looped = []
    for carried, head, _ in edges:
        members = next((m for m in parts.loops if m >> carried & 1 and m >> head & 1), 0)
        if members:
            looped.append((carried, head, max(n for c, h, n in edges if members >> c & 1 and members >> h & 1)))
    return looped


def _closure(up: Sequence[int], edges: Edges, targets: Sequence[int]) -> int:
    """Set of the values that lead to a target, back edges included."""
    live = 0
    for target in targets:
        live |= up[target]
    grown = bool(edges)
    while grown:
        grown = False
        for carried, head, _ in edges:
            if live >> head & 1 and not live >> carried & 1:
                live |= up[carried]
                grown = True
    return live


def _useful(
    count: int, inputs: Inputs, edges: list[tuple[int, int, int]], targets: Sequence[int]
) -> list[tuple[int, int, int]]:
    """The back edges without those that change no target. Only for loops of several back edges.

    The passes may end before the value that one of them carries reaches a target. A loop of one back edge needs it.
    """
    table: dict[tuple[int, ...], int] = {}  # common to all calls, so that equal terms have equal numbers
    before = _unrolled(count, inputs, edges, targets, table)
    spare = [e for e in edges if _unrolled(count, inputs, [o for o in edges if o != e], targets, table) == before]
    # Each may be spared alone, but perhaps not all together: the loop may then fall into parts that run one after the
    # other. So all or none are left out, as a choice between them would depend on their order.
    needed = [e for e in edges if e not in spare]
    return needed if _unrolled(count, inputs, needed, targets, table) == before else edges


def _unrolled(
    count: int, inputs: Inputs, edges: Edges, targets: Sequence[int], table: dict[tuple[int, ...], int]
) -> list[int]:
    """The targets as terms, with all passes of the loops written out; equal numbers stand for equal terms.

    A term is a step, by its number, with the terms of its inputs. Terms that are equal are stored once, in `table`
    (hash consing), as a term written out may be exponentially large. A head in pass k > 0 is the carried value of pass
    k - 1; outside a loop its values are those of its last pass.
    """
    loops = components(count, inputs, edges).loops
    loop = {value: members for members in loops for value in bits(members)}
    carried = {h: (c, n) for c, h, n in edges if loop.get(h, 0) >> c & 1}
    passes = {members: max(n for h, (_, n) in carried.items() if members >> h & 1) for members in loops}

    def parts(value: int, turn: int) -> list[tuple[int, int]]:
        if turn and value in carried:
            return [(carried[value][0], turn - 1)]
        members = loop.get(value, 0)
        read = inputs[value - count] if value >= count else ()
        return [(v, turn if members >> v & 1 else passes.get(loop.get(v, 0), 0)) for v in read]

    roots = [(target, passes.get(loop.get(target, 0), 0)) for target in targets]
    known: dict[tuple[int, int], int] = {}  # number of the term of a value in a pass
    stack = list(roots)
    while stack:  # depth first, with a stack: the terms may be deeper than Python's limit of recursion
        value, turn = stack[-1]
        needed = parts(value, turn)
        if missing := [part for part in needed if part not in known]:
            stack += missing
            continue
        stack.pop()
        if turn and value in carried:
            known[value, turn] = known[needed[0]]
        else:
            known[value, turn] = table.setdefault((value, *(known[part] for part in needed)), len(table))
    return [known[part] for part in roots]
