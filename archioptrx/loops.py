"""Which steps form loops, and which values matter: sets of values as bits of whole numbers.

Graphs have some dozen values, so a set is one Python integer (bit i: value i) and a closure a few operations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Inputs = Sequence[tuple[int, ...]]  # of each step
Edges = Sequence[tuple[int, int, int]]  # (carried, head, iterations)


def ancestors(count: int, inputs: Inputs) -> list[int]:
    """Set of ancestors of each value, itself included, back edges left out."""
    sets = [1 << value for value in range(count)]
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


def bits(mask: int) -> list[int]:
    """Members of a set, ascending."""
    found = []
    while mask:
        low = mask & -mask
        found.append(low.bit_length() - 1)
        mask ^= low
    return found


@dataclass(frozen=True)
class Components:
    """The loops of a graph: strongly connected components, back edges included, as sets of values."""

    count: int
    inputs: Inputs
    loops: tuple[int, ...]

    def inside(self, value: int, members: int) -> bool:
        """Whether the step that makes a value belongs to the loop: it reads the loop and gives into it.

        The step that makes a head's first value from outside doesn't.
        """
        if not members >> value & 1 or value < self.count:
            return False
        return any(members >> v & 1 for v in self.inputs[value - self.count])

    def outputs(self, members: int, targets: Sequence[int]) -> int:
        """Values of a loop that are targets or that a step outside of it reads."""
        read = 0
        for target in targets:
            read |= 1 << target
        for index, values in enumerate(self.inputs):
            if not self.inside(self.count + index, members):
                for value in values:
                    read |= 1 << value
        return read & members

    def forward(self, members: int, targets: Sequence[int]) -> int:
        """Values of a loop from which an output of it is reached without a back edge."""
        wanted = self.outputs(members, targets)
        inner = [i for i in range(len(self.inputs)) if self.inside(self.count + i, members)]
        for index in reversed(inner):
            if wanted >> (self.count + index) & 1:
                for value in self.inputs[index]:
                    wanted |= members & (1 << value)
        return wanted


def components(count: int, inputs: Inputs, edges: Edges) -> Components:
    """Find the loops; a back edge whose head doesn't lead to what it carries forms none."""
    if not edges:
        return Components(count, inputs, ())
    down = descendants(count, inputs)
    reach = [down[head] for _, head, _ in edges]  # from a head, through any back edges
    grown = True
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
        members = 0
        for value in bits(reach[i]):
            full = down[value]
            for j, (other, _, _) in enumerate(edges):
                if down[value] >> other & 1:
                    full |= reach[j]
            if full >> head & 1:
                members |= 1 << value
        loops.append(members)
    return Components(count, inputs, tuple(loops))


def live_values(
    count: int, inputs: Inputs, edges: Edges, targets: Sequence[int]
) -> tuple[int, list[tuple[int, int, int]]]:
    """The values that a target depends on, and the back edges that change it.

    A back edge stands while it is part of a loop and what it carries reaches a target in a later pass.
    """
    kept = list(edges)
    while True:
        found = components(count, inputs, kept)
        looped = [e for e in kept if any(m >> e[0] & 1 and m >> e[1] & 1 for m in found.loops)]
        live = _closure(count, inputs, looped, targets)
        after = [e for e in looped if live >> e[1] & 1 and _felt(e, looped, found, targets)]
        if len(after) == len(kept):
            return live, after
        kept = after


def _closure(count: int, inputs: Inputs, edges: Edges, targets: Sequence[int]) -> int:
    carried = {head: source for source, head, _ in edges}
    stack, live = list(targets), 0
    while stack:
        value = stack.pop()
        if live >> value & 1:
            continue
        live |= 1 << value
        if value in carried:
            stack.append(carried[value])
        if value >= count:
            stack.extend(inputs[value - count])
    return live


def _felt(edge: tuple[int, int, int], edges: Edges, found: Components, targets: Sequence[int]) -> bool:
    """Whether an output of the loop at the last pass depends on what this edge carried in some pass.

    In a loop of one back edge it always does. With several, one may feed another only, and the passes may end
    before that shows: follow the dependence back from the last pass.
    """
    members = next(m for m in found.loops if m >> edge[0] & 1 and m >> edge[1] & 1)
    inner = [e for e in edges if members >> e[1] & 1]
    if len(inner) == 1:
        return True
    outputs = found.outputs(members, targets)
    heads = {head: carried for carried, head, _ in inner}
    up = _ancestors_inside(found, members, heads)
    wanted = {value for value in bits(outputs) for value in bits(up[value])} & set(heads)
    for _ in range(max(e[2] for e in inner)):
        if edge[1] in wanted:
            return True
        wanted = {head for value in wanted for head in bits(up[heads[value]]) if head in heads}
    return False


def _ancestors_inside(found: Components, members: int, heads: dict[int, int]) -> dict[int, int]:
    """Within one pass: ancestors of each member, heads being given."""
    up: dict[int, int] = {}
    for value in bits(members):
        up[value] = 1 << value
        if value not in heads and value >= found.count:
            for source in found.inputs[value - found.count]:
                up[value] |= up.get(source, 0)
    return up
