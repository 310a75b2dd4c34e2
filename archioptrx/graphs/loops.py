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
    """The values that a target depends on, and the back edges that change one, with the iterations of their loop.

    A back edge stands while it is part of a loop and what it carries reaches a target in a later pass.
    """
    kept = list(edges)
    while True:
        found = components(count, inputs, kept)
        looped = _of_loops(kept, found)
        live = _closure(count, inputs, looped, targets)
        after = [e for e in looped if live >> e[1] & 1]
        if len(after) > len(found.loops):
            after = _useful(count, inputs, after, targets)
        if len(after) == len(kept):
            return live, after
        kept = after


def _of_loops(edges: Edges, found: Components) -> list[tuple[int, int, int]]:
    """Back edges that are part of a loop; in one loop the largest number of iterations counts."""
    looped = []
    for carried, head, _ in edges:
        members = next((m for m in found.loops if m >> carried & 1 and m >> head & 1), 0)
        if members:
            looped.append((carried, head, max(n for c, h, n in edges if members >> c & 1 and members >> h & 1)))
    return looped


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


def _useful(
    count: int, inputs: Inputs, edges: list[tuple[int, int, int]], targets: Sequence[int]
) -> list[tuple[int, int, int]]:
    """Less the back edges without which the targets are the same, where several make up one loop.

    The passes may end before what one edge carries is seen. A loop of one back edge always needs it.
    """
    table: dict[tuple[int, ...], int] = {}
    before = _unrolled(count, inputs, edges, targets, table)
    spare = [e for e in edges if _unrolled(count, inputs, [o for o in edges if o != e], targets, table) == before]
    # All or none, so that their order makes no difference: two together may hold loops in step that either alone holds.
    rest = [e for e in edges if e not in spare]
    return rest if _unrolled(count, inputs, rest, targets, table) == before else edges


def _unrolled(
    count: int, inputs: Inputs, edges: Edges, targets: Sequence[int], table: dict[tuple[int, ...], int]
) -> list[int]:
    """The targets as numbers of hash-consed terms, by the meaning of a loop; steps are told apart by their number."""
    loops = components(count, inputs, edges).loops
    loop = {value: members for members in loops for value in bits(members)}
    carried = {h: (c, n) for c, h, n in edges if loop.get(h, 0) >> c & 1}
    passes = {members: max(n for h, (_, n) in carried.items() if members >> h & 1) for members in loops}

    def parts(value: int, turn: int) -> list[tuple[int, int]]:
        if turn and value in carried:
            return [(carried[value][0], turn - 1)]
        members = loop.get(value, 0)
        given = inputs[value - count] if value >= count else ()
        return [(v, turn if members >> v & 1 else passes.get(loop.get(v, 0), 0)) for v in given]

    wanted = [(target, passes.get(loop.get(target, 0), 0)) for target in targets]
    known: dict[tuple[int, int], int] = {}
    stack = list(wanted)
    while stack:
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
    return [known[part] for part in wanted]
