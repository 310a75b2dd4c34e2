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

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
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
    slots
        Slots that take a type, by the type.
    open_slots
        All slots but one, by that one; all of them, under None.
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
    slots: Mapping[int, tuple[int, ...]]
    open_slots: Mapping[int | None, tuple[int, ...]]


def functions_of(graph: FunctionGraph) -> tuple[Function, ...]:
    """Number the nodes of a function graph, in file order."""
    number = {node.name: i for i, node in enumerate(graph.data)}
    functions = []
    for i, node in enumerate(graph.functions):
        signature = node.signature
        choices = [(k, v.options) for k, v in node.params if isinstance(v, Choice)]
        inputs = tuple(number[name] for name in node.inputs)
        functions.append(
            Function(
                number=i,
                name=node.name,
                node=node,
                inputs=inputs,
                output=number[node.output],
                weight=node.weight,
                distinct=signature.distinct,
                idempotent=signature.idempotent,
                symmetric=signature.symmetric,
                renews=signature.has_weights and node.weights == "own",
                choices=tuple((k, tuple(map(value_text, options)), options) for k, options in choices),
                fixed=tuple((k, v) for k, v in node.params if not isinstance(v, Choice)),
                open_slots={g: tuple(s for s in range(len(inputs)) if s != g) for g in (None, *range(len(inputs)))},
                slots={name: tuple(slot for slot, other in enumerate(inputs) if other == name) for name in inputs},
            )
        )
    return tuple(functions)


@dataclass(frozen=True, slots=True)
class FunctionMenu:
    """The allowed functions at a place: labels, prior weights and the functions, in one order."""

    labels: tuple[str, ...]
    weights: tuple[float, ...]
    functions: tuple[Function, ...]


class _Menus:
    """The menus of a place for all numbers of steps that are left: one for each cost at which a function is added."""

    def __init__(self, costs: Sequence[tuple[int, Function]]) -> None:
        """Order the functions, in the order of the function graph, by their costs."""
        self._limits = sorted({cost for cost, _ in costs if cost < NEVER})
        self._menus = [_menu([])]
        self._menus += [_menu([f for cost, f in costs if cost <= limit]) for limit in self._limits]

    def within(self, left: int) -> FunctionMenu:
        """Functions of at most this cost."""
        return self._menus[bisect_right(self._limits, left)]


class ShortestPlans:
    """All costs for one set of readable values.

    Parameters
    ----------
    plans
        The costs of the function graph that these belong to.
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

    def __init__(self, plans: Plans, counts: tuple[int, ...], plain: tuple[bool, ...]) -> None:
        self._plans, self.counts, self._is_plain = plans, counts, plain
        size = len(counts)
        self.have = [0 if count else NEVER for count in counts]
        self.plain = [0 if flag else NEVER for flag in plain]
        self.make, self.fresh = [NEVER] * size, [NEVER] * size
        # Relaxed until nothing changes, as in the algorithm of Bellman and Ford: costs only fall and are whole numbers
        # from 0, so this ends. For some dozen functions it is as fast as Knuth's queue.
        waiting: Iterable[Function] = plans.functions
        while names := self._improve(waiting):
            waiting = plans.readers(names)
        self._others: dict[int, tuple[int, ...]] = {}
        self._ways: dict[int, tuple[list[int], list[int]]] = {}
        self._onward: dict[tuple[int, bool, int], _Menus] = {}
        self._makers: dict[tuple[int, bool, bool], _Menus] = {}
        self._reach: dict[tuple[int, int], tuple[tuple[int, ...], tuple[int, ...]]] = {}
        self._after: dict[tuple[int, bool], ShortestPlans] = {}

    def _improve(self, functions: Iterable[Function]) -> set[int]:
        """Lower the costs of the results of some functions; data nodes with a cost that fell."""
        changed = set[int]()
        for f in functions:
            slots = self._slots(f)
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
                    changed.add(f.output)
        return changed

    def after(self, name: int, plain: bool) -> ShortestPlans:
        """Costs with one more readable value of a type; `plain`: it isn't the result of an idempotent block."""
        key = (name, plain)
        plan = self._after.get(key)
        if plan is None:
            counts, flags = list(self.counts), list(self._is_plain)
            counts[name] = min(2, counts[name] + 1)
            flags[name] |= plain
            plan = self._after[key] = self._plans.at(tuple(counts), tuple(flags))
        return plan

    def _slots(self, f: Function) -> list[int]:
        """Costs of the values for all slots of a function."""
        if f.distinct and not f.idempotent:
            return [self.slot(f, slot) for slot in range(len(f.inputs))]
        costs = self.plain if f.idempotent else self.have
        return [costs[name] for name in f.inputs]

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

    def others(self, f: Function) -> tuple[int, ...]:
        """Cost of all inputs of a function but one, by the slot of that one."""
        known = self._others.get(f.number)
        if known is None:
            slots = range(len(f.inputs))
            known = tuple(sum(self.slot(f, slot, given) for slot in slots if slot != given) for given in slots)
            self._others[f.number] = known
        return known

    def ways(self, target: int) -> tuple[list[int], list[int]]:
        """Cost of one step or more to a target, by the type of the value that the steps start from.

        The first list is for plain values, the second for results of an idempotent block, to which no idempotent block
        is applied again.
        """
        known = self._ways.get(target)
        if known is None:
            known = self._ways[target] = self._compute_ways(target)
        return known

    def _compute_ways(self, target: int) -> tuple[list[int], list[int]]:
        size = len(self.counts)
        free, after = [NEVER] * size, [NEVER] * size
        waiting = self._plans.makers({target})
        while waiting:
            changed = set[int]()
            for f in waiting:
                onward = 0 if f.output == target else after[f.output] if f.idempotent else free[f.output]
                for name, others in zip(f.inputs, self.others(f), strict=True):
                    cost = 1 + others + onward
                    for table in (free,) if f.idempotent else (free, after):
                        if cost < table[name]:
                            table[name] = cost
                            changed.add(name)
            waiting = self._plans.makers(changed)
        return free, after

    def reach(self, target: int, room: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Types from which a target is reached within the room: from any value; from plain values only."""
        key = (target, room)
        known = self._reach.get(key)
        if known is None:
            free, after = self.ways(target)
            near = [kind for kind, cost in enumerate(free) if cost <= room]
            known = tuple(k for k in near if after[k] <= room), tuple(k for k in near if after[k] > room)
            self._reach[key] = known
        return known

    def rest(self, f: Function, target: int) -> int:
        """Cost from the result of a function to a target."""
        if f.output == target:
            return 0
        free, after = self.ways(target)
        return after[f.output] if f.idempotent else free[f.output]

    def onward(self, name: int, idempotent: bool, target: int, left: int) -> FunctionMenu:
        """Functions that a walk may take from a value of a type with `left` steps to go."""
        key = (name, idempotent, target)
        menus = self._onward.get(key)
        if menus is None:
            functions = [f for f in self._plans.readers({name}) if not (idempotent and f.idempotent)]
            costs = [(min(self.step(f, slot, target) for slot in f.slots[name]), f) for f in functions]
            menus = self._onward[key] = _Menus(costs)
        return menus.within(left)

    def step(self, f: Function, slot: int, target: int) -> int:
        """Cost of a function applied to a value in a slot, and of the way from there to a target."""
        return 1 + self.others(f)[slot] + self.rest(f, target)

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
        key = (name, fresh, plain)
        menus = self._makers.get(key)
        if menus is None:
            functions = [f for f in self._plans.makers({name}) if not (plain and f.idempotent)]
            menus = self._makers[key] = _Menus([(self.making(f, fresh), f) for f in functions])
        return menus.within(left)

    def making(self, f: Function, fresh: bool) -> int:
        """Cost of applying a function and of supplying all its inputs; with `fresh`, so that its result is new."""
        slots = self._slots(f)
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
        self._readers, self._makers = dict[int, list[int]](), dict[int, list[int]]()  # numbers of functions by type
        for f in functions:
            self._makers.setdefault(f.output, []).append(f.number)
            for name in f.slots:
                self._readers.setdefault(name, []).append(f.number)

    def at(self, counts: tuple[int, ...], plain: tuple[bool, ...]) -> ShortestPlans:
        """Costs for these counts."""
        key = (counts, plain)
        plan = self._known.get(key)
        if plan is None:
            plan = self._known[key] = ShortestPlans(self, counts, plain)
        return plan

    def readers(self, names: Iterable[int]) -> list[Function]:
        """Functions that read one of these types, in the order of the function graph."""
        return [self.functions[i] for i in sorted({i for name in names for i in self._readers.get(name, ())})]

    def makers(self, names: Iterable[int]) -> list[Function]:
        """Functions that make one of these types, in the order of the function graph."""
        return [self.functions[i] for i in sorted({i for name in names for i in self._makers.get(name, ())})]
