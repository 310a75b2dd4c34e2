"""A network while a sketch is written out: values in any order, equal ones joined, loops by their heads.

A loop of n turns is n times its steps between n + 1 values of its *heads*: what stands behind the loop reads a head's
last value, after the n-th turn. That is the computation graph's loop whose steps all lie in its back part. A step
behind the loop that does to the heads' last values the same as a step inside is that step in one more pass; so equal
steps are joined wherever they stand.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from archioptrx.graphs.signatures import SIGNATURES, Width

Kind = tuple[str, Width]
"""Domain and width."""
SOURCE, HEAD, LATE = "source", "head", "late"


@dataclass(frozen=True)
class SketchValue:
    """Value of a network while a sketch is written out.

    Attributes
    ----------
    block
        The building block that makes it, or SOURCE, HEAD (of a loop) or LATE (made in a loop of which only heads are
        seen from outside; a network that reads it needs the loop in another form).
    name
        Name of the function, or of the source.
    inputs, kind, params, weights
        Fields as those of a step.
    loop
        Number of the loop of a HEAD or LATE; -1: none.
    initial, carried
        First value of a HEAD, and the value that it becomes after each turn; -1: none.
    """

    block: str
    name: str
    inputs: tuple[int, ...]
    kind: Kind
    params: tuple[tuple[str, Any], ...] = ()
    weights: str = ""
    loop: int = -1
    initial: int = -1
    carried: int = -1

    @property
    def operation(self) -> tuple[Any, ...]:
        """Block, parameters and all else but the inputs."""
        return self.block, self.kind, self.params, self.weights

    @property
    def needs(self) -> tuple[int, ...]:
        """Values that this value depends on."""
        return (self.initial, self.carried) if self.block == HEAD else self.inputs


class SketchProgram:
    """The values; numbers of values are stable until `reset`.

    Attributes
    ----------
    rows
        The values.
    turns
        Number of turns of each loop.
    """

    def __init__(self) -> None:
        self.rows: list[SketchValue] = []
        self.turns: dict[int, int] = {}
        self._known: dict[tuple[Any, ...], int] = {}

    def add(self, row: SketchValue) -> int:
        """A new value, or the old one that is equal."""
        if row.block in (HEAD, LATE):
            self.rows.append(row)
            return len(self.rows) - 1
        key = key_of(row)
        if key not in self._known:
            self._known[key] = len(self.rows)
            self.rows.append(row)
        return self._known[key]

    def reset(self, length: int) -> None:
        """Forget all values from a number on."""
        del self.rows[length:]
        self._known = {key: value for key, value in self._known.items() if value < length}

    def closure(self, roots: Iterable[int]) -> set[int]:
        """Values that some depend on, themselves included."""
        stack, reached = list(roots), set[int]()
        while stack:
            value = stack.pop()
            if value >= 0 and value not in reached:
                reached.add(value)
                stack += self.rows[value].needs
        return reached

    def heads(self, loop: int, among: Iterable[int]) -> list[int]:
        """The heads of a loop among some values, in order."""
        return sorted(v for v in among if self.rows[v].block == HEAD and self.rows[v].loop == loop)

    def close(self, loop: int, carried: dict[int, int], turns: int) -> None:
        """End a loop: set the values that its heads become, and bring it to its shortest form."""
        for head, value in carried.items():
            self.rows[head] = replace(self.rows[head], carried=value)
        self.turns[loop] = turns
        heads = list(carried)
        while self._turned(loop, heads):
            pass

    def _turned(self, loop: int, heads: list[int]) -> bool:
        """Move the start of the loop one step earlier where a head's first and later values are made alike.

        With head h, first S(a), then S(b): the head is a, then b, and h = S(head) is a step of the loop. Not where
        something else reads S(b): S would run twice in a turn. Behind the loop h is S of the last head, as before.
        """
        live = self.closure(heads)
        readers = [value for reader in live for value in self.rows[reader].needs]
        inside = self.dependent(loop, live)
        for head in heads:
            row = self.rows[head]
            first, then = self.rows[row.initial], self.rows[row.carried]
            pairs = list(zip(first.inputs, then.inputs, strict=False))
            alike = first.operation == then.operation and len(first.inputs) == len(then.inputs) and bool(pairs)
            fits = all(a == b or (self.rows[a].kind == self.rows[b].kind and b in inside) for a, b in pairs)
            if alike and fits and readers.count(row.carried) == 1:
                inputs = tuple(a if a == b else self._head(loop, heads, a, b) for a, b in pairs)
                self.rows[head] = replace(first, inputs=inputs)
                self._known.setdefault(key_of(self.rows[head]), head)
                heads.remove(head)
                return True
        return False

    def _head(self, loop: int, heads: list[int], initial: int, carried: int) -> int:
        """The head with these values, a new one where there is none."""
        for head in heads:
            if (self.rows[head].initial, self.rows[head].carried) == (initial, carried):
                return head
        new = SketchValue(HEAD, "", (), self.rows[initial].kind, loop=loop, initial=initial, carried=carried)
        heads.append(self.add(new))
        return heads[-1]

    def dependent(self, loop: int, among: Iterable[int]) -> set[int]:
        """The values that change from turn to turn of a loop."""
        members = set(among)
        reached = set(self.heads(loop, members))
        grown = True
        while grown:
            more = {v for v in members - reached if reached.intersection(self.rows[v].inputs)}
            reached |= more
            grown = bool(more)
        return reached

    def apart(self, live: set[int]) -> Iterator[int]:
        """Loops whose heads don't all depend on each other: as back edges they would run one after the other."""
        for loop in sorted({self.rows[v].loop for v in live if self.rows[v].block == HEAD}):
            heads = self.heads(loop, live)
            reached = [self._of_turn(head, loop) for head in heads]
            if any(not set(heads) <= values for values in reached):
                yield loop

    def _of_turn(self, head: int, loop: int) -> set[int]:
        """Values that a head depends on, in this turn or an earlier one, its first value apart."""
        stack, reached = [self.rows[head].carried], set[int]()
        while stack:
            value = stack.pop()
            if value not in reached:
                reached.add(value)
                row = self.rows[value]
                stack += [row.carried] if row.block == HEAD and row.loop == loop else row.needs
        return reached


def key_of(row: SketchValue) -> tuple[Any, ...]:
    """Key that is equal for equal values. The order of the inputs counts, as each has its own part of the weights."""
    return (row.name if row.block == SOURCE else "", *row.operation, row.inputs)


def has_weights(block: str) -> bool:
    """Whether a block learns."""
    return SIGNATURES[block].has_weights
