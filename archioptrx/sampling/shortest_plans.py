"""Shortest plans of a walk: the cost, in steps, of supplying a value or of reaching a target.

A function is an AND of its inputs, a data node an OR of its functions; costs are shortest paths in that AND-OR graph
(Knuth 1977, "A generalization of Dijkstra's algorithm"). A shared intermediate value is counted each time it is used
(tree cost), so a cost is never too small: a plan that fits by its cost does fit. It may be too large, and then a walk
that would fit isn't offered.

A cost depends on the readable values only by their types: for each type, how many there are, and whether one of them
isn't the result of an idempotent block (which isn't applied to its own result). Of the number only 0, 1 and "2 or more"
differ: the first input of a type needs one value, a second input that must be different needs two; a third is always
counted as newly made. The tables are therefore memoised by these counts, and a few hundred serve all samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from archioptrx.graphs.function_graph import FunctionGraph
from archioptrx.graphs.literals import value_text
from archioptrx.graphs.nodes import FunctionNode
from archioptrx.graphs.signatures import Choice

NEVER = 1 << 20
"""Cost of an impossible plan: more than any budget, and small enough to be added to costs."""


@dataclass(frozen=True)
class Function:
    """A function node with data nodes as numbers, ready for the walk.

    Attributes
    ----------
    renews
        True: its result is always a new value, because each step has weights of its own.
    distinct, idempotent, symmetric
        Properties of the block's signature.
    choices
        (parameter, labels, values) of the parameters that are decided at each step.
    fixed
        (parameter, value) of all others.
    """

    number: int
    name: str
    node: FunctionNode
    inputs: tuple[int, ...]
    output: int
    weight: float
    distinct: bool
    idempotent: bool
    symmetric: bool
    renews: bool
    choices: tuple[tuple[str, tuple[str, ...], tuple[Any, ...]], ...]
    fixed: tuple[tuple[str, Any], ...]


def functions_of(graph: FunctionGraph) -> tuple[Function, ...]:
    """Number the nodes of a function graph, in file order."""
    number = {node.name: i for i, node in enumerate(graph.data)}
    functions = []
    for i, node in enumerate(graph.functions):
        signature = node.signature
        choices = [(k, v.options) for k, v in node.params if isinstance(v, Choice)]
        functions.append(
            Function(
                number=i,
                name=node.name,
                node=node,
                inputs=tuple(number[name] for name in node.inputs),
                output=number[node.output],
                weight=node.weight,
                distinct=signature.distinct,
                idempotent=signature.idempotent,
                symmetric=signature.symmetric,
                renews=signature.has_weights and node.weights == "own",
                choices=tuple((k, tuple(map(value_text, options)), options) for k, options in choices),
                fixed=tuple((k, v) for k, v in node.params if not isinstance(v, Choice)),
            )
        )
    return tuple(functions)


@dataclass(frozen=True, slots=True)
class FunctionMenu:
    """The allowed functions at a place: labels, prior weights and the functions, in one order."""

    labels: tuple[str, ...]
    weights: tuple[float, ...]
    functions: tuple[Function, ...]


class ShortestPlans:
    """All costs for one set of readable values.

    Parameters
    ----------
    functions
        Functions of the function graph.
    counts
        Number of readable values by data node, 2 for two or more.
    plain
        Flag of each data node: a readable value isn't the result of an idempotent block.

    Attributes
    ----------
    have
        Cost, by data node, of any value of this type: 0 where one exists.
    make
        Cost of making a value.
    fresh
        Cost of making a value that is certainly new: no step that exists gives it.
    plain
        Cost of a value that isn't the result of an idempotent block.
    """

    def __init__(self, functions: Sequence[Function], counts: tuple[int, ...], plain: tuple[bool, ...]) -> None:
        self.functions, self.counts = functions, counts
        size = len(counts)
        self.have = [0 if count else NEVER for count in counts]
        self.plain = [0 if flag else NEVER for flag in plain]
        self.make, self.fresh = [NEVER] * size, [NEVER] * size
        # Relaxed until nothing changes, as in the algorithm of Bellman and Ford: costs only fall and are whole numbers
        # from 0, so this ends. For some dozen functions it is as fast as Knuth's queue.
        while self._improve():
            pass
        self._others: dict[tuple[int, int], int] = {}
        self._ways: dict[int, tuple[list[int], list[int]]] = {}
        self._menus: dict[tuple[Any, ...], FunctionMenu] = {}
        self._reach: dict[tuple[int, int], tuple[tuple[int, bool], ...]] = {}

    def _improve(self) -> bool:
        changed = False
        for f in self.functions:
            slots = [self.slot(f, slot) for slot in range(len(f.inputs))]
            cost = 1 + sum(slots)
            fresh = cost
            if not f.renews:
                # The result is new only if an input is. The walk renews the same input (`renewed_slot`). An idempotent
                # block would need one that is new and plain at once, a cost in no table; NEVER is safe.
                fresh = NEVER if f.idempotent else min(
                    cost - paid + self.fresh[name] for paid, name in zip(slots, f.inputs, strict=True)
                )  # fmt: skip
            tables = [(self.make, cost), (self.have, cost), (self.fresh, fresh)]
            for table, value in tables + ([] if f.idempotent else [(self.plain, cost)]):
                if value < table[f.output]:
                    table[f.output] = value
                    changed = True
        return changed

    def slot(self, f: Function, slot: int, given_slot: int | None = None) -> int:
        """Cost of the value for one slot of a function; `given_slot` is the slot that a walk fills itself."""
        name = f.inputs[slot]
        if f.idempotent:
            return self.plain[name]
        if f.distinct:
            # The inputs must differ, and earlier slots of this type may have taken any of the values that exist.
            filled = sum(f.inputs[j] == name for j in range(len(f.inputs)) if j < slot or j == given_slot)
            if filled:
                return 0 if filled == 1 and self.counts[name] >= 2 else self.fresh[name]
        return self.have[name]

    def others(self, f: Function, given_slot: int) -> int:
        """Cost of all inputs of a function but one."""
        key = (f.number, given_slot)
        if key not in self._others:
            slots = [slot for slot in range(len(f.inputs)) if slot != given_slot]
            self._others[key] = sum(self.slot(f, slot, given_slot) for slot in slots)
        return self._others[key]

    def ways(self, target: int) -> tuple[list[int], list[int]]:
        """Cost of one step or more to a target, by the type of the value that the steps start from.

        The first list is for plain values, the second for results of an idempotent block, to which no idempotent block
        is applied again.
        """
        if target not in self._ways:
            size = len(self.counts)
            free, after = [NEVER] * size, [NEVER] * size
            changed = True
            while changed:
                changed = False
                for f in self.functions:
                    onward = 0 if f.output == target else after[f.output] if f.idempotent else free[f.output]
                    for slot, name in enumerate(f.inputs):
                        cost = 1 + self.others(f, slot) + onward
                        for table in (free,) if f.idempotent else (free, after):
                            if cost < table[name]:
                                table[name] = cost
                                changed = True
            self._ways[target] = (free, after)
        return self._ways[target]

    def reach(self, target: int, room: int) -> tuple[tuple[int, bool], ...]:
        """Types from which a target is reached within the room, and whether from plain values only."""
        key = (target, room)
        if key not in self._reach:
            free, after = self.ways(target)
            self._reach[key] = tuple((kind, after[kind] > room) for kind, cost in enumerate(free) if cost <= room)
        return self._reach[key]

    def rest(self, f: Function, target: int) -> int:
        """Cost from the result of a function to a target."""
        if f.output == target:
            return 0
        free, after = self.ways(target)
        return after[f.output] if f.idempotent else free[f.output]

    def onward(self, name: int, idempotent: bool, target: int, left: int) -> FunctionMenu:
        """Functions that a walk may take from a value of a type with `left` steps to go."""
        key = ("onward", name, idempotent, target, left)
        if key not in self._menus:
            allowed = [
                f
                for f in self.functions
                if name in f.inputs
                and not (idempotent and f.idempotent)
                and any(self.step(f, slot, target) <= left for slot in self.slots(f, name))
            ]
            self._menus[key] = _menu(allowed)
        return self._menus[key]

    @staticmethod
    def slots(f: Function, name: int) -> list[int]:
        """Slots of a function that take a type."""
        return [slot for slot, other in enumerate(f.inputs) if other == name]

    def step(self, f: Function, slot: int, target: int) -> int:
        """Cost of a function applied to a value in a slot, and of the way from there to a target."""
        return 1 + self.others(f, slot) + self.rest(f, target)

    def makers(self, name: int, fresh: bool, plain: bool, left: int) -> FunctionMenu:
        """Functions that may make a value of a type within `left` steps.

        Parameters
        ----------
        name
            Number of the type.
        fresh, plain
            True: the value must be new; it must not be the result of an idempotent block.
        left
            Steps that may be taken for it.
        """
        key = ("makers", name, fresh, plain, left)
        if key not in self._menus:
            allowed = [
                f
                for f in self.functions
                if f.output == name and not (plain and f.idempotent) and self.making(f, fresh) <= left
            ]
            self._menus[key] = _menu(allowed)
        return self._menus[key]

    def making(self, f: Function, fresh: bool) -> int:
        """Cost of applying a function and of supplying all its inputs; with `fresh`, so that its result is new."""
        slots = [self.slot(f, slot) for slot in range(len(f.inputs))]
        if not fresh or f.renews:
            return 1 + sum(slots)
        if f.idempotent:
            return NEVER
        return 1 + sum(slots) + min(self.fresh[n] - paid for paid, n in zip(slots, f.inputs, strict=True))

    def renewed_slot(self, f: Function) -> int:
        """The slot that is cheapest to renew, for a function that is new only if an input is."""
        return min(range(len(f.inputs)), key=lambda slot: self.fresh[f.inputs[slot]] - self.slot(f, slot))


def _menu(functions: Sequence[Function]) -> FunctionMenu:
    return FunctionMenu(tuple(f.name for f in functions), tuple(f.weight for f in functions), tuple(functions))


class Plans:
    """Costs of one function graph, memoised by the counts of readable values."""

    def __init__(self, functions: Sequence[Function]) -> None:
        self.functions = functions
        self._known: dict[tuple[tuple[int, ...], tuple[bool, ...]], ShortestPlans] = {}

    def at(self, counts: tuple[int, ...], plain: tuple[bool, ...]) -> ShortestPlans:
        """Costs for these counts."""
        key = (counts, plain)
        plan = self._known.get(key)
        if plan is None:
            plan = self._known[key] = ShortestPlans(self.functions, counts, plain)
        return plan
