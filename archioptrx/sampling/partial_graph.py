"""A computation graph that a walk is still adding to: its values, those that may be read, its loops.

Only the walk uses it; `graph()` gives the finished computation graph.
"""

from __future__ import annotations

from typing import Any

from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.graphs.loops import Components, Edges, ancestors, bits, components, descendants, live_values
from archioptrx.graphs.operations import Operation
from archioptrx.graphs.steps import BackEdge, Step
from archioptrx.sampling.shortest_plans import Function, ShortestPlans
from archioptrx.sampling.walk_tables import Chosen, WalkTables


class PartialGraph:
    """The values of a graph so far, in an order in which each reads earlier ones only.

    Values are numbers from 0 on, sources first. A set of values is a whole number: bit i stands for value i.

    Attributes
    ----------
    type, inputs, made_by, idempotent, labels
        Lists by value: number of its data node; the values that its step reads; (function or way of merging, choices);
        whether it is the result of an idempotent block; its label (type and age), which never changes.
    up
        Ancestors of each value, itself included, back edges left out.
    back
        Back edges: carried value by head.
    open
        Set of the values that the present walk may read.
    down, readers
        Descendants of each value, itself included; descendants of the members by loop. Both as of the last `refresh`.
    """

    def __init__(self, tables: WalkTables) -> None:
        self.tables = tables
        self.sources = len(tables.function_graph.sources)
        self.type: list[int] = []
        self.inputs: list[tuple[int, ...]] = []
        self.made_by: list[tuple[Function | str, Chosen]] = []
        self.idempotent: list[bool] = []
        self.labels: list[str] = []
        self.up: list[int] = []
        self.back: dict[int, int] = {}
        self.down: list[int] = []
        self.readers: dict[int, int] = {}
        self.open = 0
        self._of_type = [0] * len(tables.names)
        self._idempotent = 0
        self._age = [0] * len(tables.names)
        self._twins: dict[Any, int] = {}  # values by their steps, for functions without weights of their own
        self._plan: ShortestPlans | None = None
        self._before_loops: list[tuple[list[list[Any]], dict[int, int], list[int]]] = []  # one entry a loop
        for name in tables.function_graph.sources:
            self._add(tables.number[name], (), ("source", ()), False)
            self.labels[-1] = name

    @property
    def step_count(self) -> int:
        """Number of steps so far."""
        return len(self.type) - self.sources

    def existing(self) -> range:
        """Numbers of all values."""
        return range(len(self.type))

    def results(self) -> range:
        """Numbers of all values but the sources."""
        return range(self.sources, len(self.type))

    @property
    def everything(self) -> int:
        """Set of all values."""
        return (1 << len(self.type)) - 1

    def of_type(self, name: int) -> int:
        """Set of all values of a type."""
        return self._of_type[name]

    def readable(self, name: int, plain: bool) -> int:
        """Set of the values of a type that may be read; with `plain` without results of idempotent blocks."""
        values = self._of_type[name] & self.open
        return values & ~self._idempotent if plain else values

    def open_all(self) -> None:
        """Allow all values to be read."""
        self.open_all_but(0)

    def open_all_but(self, closed: int) -> None:
        """Allow all values but these to be read, and all values that will be added."""
        self.open = self.everything & ~closed
        self._plan = None

    def plan(self) -> ShortestPlans:
        """Costs, with the values that may be read now."""
        if self._plan is None:
            self._plan = self.plan_of(self.open)
        return self._plan

    def plan_of(self, readable: int) -> ShortestPlans:
        """Costs, with a set of values that may be read."""
        masks = [mask & readable for mask in self._of_type]
        counts = tuple([(2 if mask & mask - 1 else 1) if mask else 0 for mask in masks])  # x & x - 1: no lowest bit
        plain_values = ~self._idempotent
        return self.tables.plans.at(counts, tuple([mask & plain_values != 0 for mask in masks]))

    def sources_of(self, name: int, room: int, readable: int, plan: ShortestPlans) -> tuple[int, int]:
        """Sets of the readable values from which a type is reached within the room: by one step or more; by none.

        Parameters
        ----------
        plan
            Costs with the readable values.
        """
        every, plain = plan.reach(name, room)
        values = plain_values = 0
        for kind in every:
            values |= self._of_type[kind]
        for kind in plain:
            plain_values |= self._of_type[kind]
        return (values | plain_values & ~self._idempotent) & readable, self._of_type[name] & readable

    def step(self, f: Function, inputs: tuple[int, ...], chosen: Chosen) -> int:
        """Apply a function; number of its result.

        Where the function has no weights of its own, and the same step exists, this is the value that exists.
        """
        if f.renews:
            return self._add(f.output, inputs, (f, chosen), f.idempotent)
        key = self._key(f, inputs, chosen)
        twin = self._twins.get(key)
        # A head changes from pass to pass. The same step elsewhere would give its first value in every pass, so the
        # two differ and the head can't stand for it.
        if twin is not None and self.open >> twin & 1 and twin not in self.back:
            return twin
        value = self._twins[key] = self._add(f.output, inputs, (f, chosen), f.idempotent)
        return value

    def _key(self, f: Function, inputs: tuple[int, ...], chosen: Chosen) -> tuple[Any, ...]:
        """Equal for steps with the same result.

        Where values of two poolings meet, the result lies on the smaller graph of the first, so another order gives
        another value unless its first input lies there too.
        """
        if not f.symmetric or len(inputs) < 2:
            return f.number, chosen, inputs
        places = [self._pooling(value) for value in inputs]
        first = places[0] if len(set(places)) > 1 else None
        return f.number, chosen, tuple(sorted(inputs)), first

    def _pooling(self, value: int) -> int | None:
        """The pooling on whose smaller graph a value lies: its value, or a head, which may lie on others later."""
        pooled = self.tables.pooled
        while pooled[self.type[value]] and value not in self.back:
            f, _ = self.made_by[value]
            if isinstance(f, Function) and f.node.signature.changes_nodes:
                return value
            value = next(source for source in self.inputs[value] if pooled[self.type[source]])
        return value if pooled[self.type[value]] else None

    def _add(self, name: int, inputs: tuple[int, ...], made_by: tuple[Function | str, Chosen], idempotent: bool) -> int:
        value = len(self.type)
        self.type.append(name)
        self.inputs.append(inputs)
        self.made_by.append(made_by)
        self.idempotent.append(idempotent)
        self.labels.append(f"{self.tables.stems[name]}{self._age[name]}")
        self._age[name] += 1
        bit = above = 1 << value
        for source in inputs:
            above |= self.up[source]
        self.up.append(above)
        self._of_type[name] |= bit
        self._idempotent |= bit if idempotent else 0
        self.open |= bit
        if self._plan is not None:
            self._plan = self._plan.after(name, not idempotent)
        return value

    def refresh(self) -> None:
        """Compute `down` and `readers` for the values of now."""
        steps = self.inputs[self.sources :]
        self.down = descendants(self.sources, steps)
        edges = [(carried, head, 1) for head, carried in self.back.items()]
        self.readers = {}
        for members in components(self.sources, steps, edges, self.up).loops:
            self.readers[members] = 0
            for value in bits(members):
                self.readers[members] |= self.down[value]

    def learns(self, head: int, carried: int) -> bool:
        """Whether the loop from a head to the value carried back to it holds a step with weights.

        The step that makes the head's first value runs before the loop and doesn't count.
        """
        members = [value for value in bits(self.up[carried]) if self.up[value] >> head & 1 and value != head]
        return any(self._has_weights(value) for value in members)

    def _has_weights(self, value: int) -> bool:
        f, _ = self.made_by[value]
        return f.node.signature.has_weights if isinstance(f, Function) else f == "concat"

    def merge(self, target: int, arrived: int, way: str, old: int) -> dict[int, int]:
        """Merge a branch into its target.

        Parameters
        ----------
        target, arrived
            The value that the branch leads to, and the value that it ends with.
        way
            `add` or `concat`.
        old
            Set of the values that descended from the target before the branch: they read the merge from now on.

        Returns
        -------
        New numbers of the values by old numbers. The target's entry is the number of the merge.
        """
        merged = self._add(self.type[target], (target, arrived), (way, ()), False)
        # The branch couldn't read values in `old`, so no value outside of it does. Moving `old` behind the merge
        # therefore keeps each value behind those that it reads, and redirecting closes no circle.
        before = [v for v in range(merged) if not old >> v & 1]
        order = [*before, merged, *bits(old)]
        new = {value: position for position, value in enumerate(order)}
        redirected = new | {target: new[merged]}

        def renumbered(value: int) -> tuple[int, ...]:
            numbers = redirected if old >> value & 1 else new
            return tuple(numbers[v] for v in self.inputs[value])

        self.inputs = [renumbered(value) for value in order]
        self.type = [self.type[v] for v in order]
        self.made_by = [self.made_by[v] for v in order]
        self.idempotent = [self.idempotent[v] for v in order]
        self.labels = [self.labels[v] for v in order]
        # A target that is a head stays one: the merge reads it anew in each pass. A target that is carried back is
        # carried with what the branch adds to it.
        self.back = {new[head]: redirected[carried] for head, carried in self.back.items()}
        self._restore()
        return redirected

    def _restore(self) -> None:
        """Rebuild the sets of values, and the table of twins, from the lists."""
        self._of_type, self._idempotent = [0] * len(self._of_type), 0
        self.up = ancestors(self.sources, self.inputs[self.sources :])
        for value, name in enumerate(self.type):
            self._of_type[name] |= 1 << value
            self._idempotent |= self.idempotent[value] << value
        self._find_twins()
        self.open_all()

    def _find_twins(self) -> None:
        self._twins = {}
        for value, (f, chosen) in enumerate(self.made_by):
            if isinstance(f, Function) and not f.renews:
                self._twins[self._key(f, self.inputs[value], chosen)] = value

    def add_loop(self, head: int, carried: int, targets: list[int]) -> None:
        """Carry a value back to a head; `targets` are the targets' values of now, for `drop_last_loop`."""
        lists = (self.type, self.inputs, self.made_by, self.idempotent, self.labels)
        self._before_loops.append(([list(values) for values in lists], dict(self.back), list(targets)))
        self.back[head] = carried
        if self.tables.pooled[self.type[head]]:  # what is made from the head may lie on another smaller graph now
            self._find_twins()

    def drop_last_loop(self) -> list[int]:
        """Return to the state before the last back edge was added; the targets' values of then.

        To remove the back edge alone would leave twins: a later step may equal the head's own step, which was no twin
        only because the head changes (see `step`).
        """
        lists, self.back, targets = self._before_loops.pop()
        self.type, self.inputs, self.made_by, self.idempotent, self.labels = lists
        self._restore()
        return targets

    def live(self, targets: list[int], iterations: int) -> tuple[int, list[tuple[int, int, int]], Components]:
        """Set of the values that a target depends on, the back edges that one depends on, and the loops of these.

        Each loop has the same number of iterations.
        """
        steps = self.inputs[self.sources :]
        edges = [(carried, head, iterations) for head, carried in self.back.items()]
        return live_values(self.sources, steps, edges, targets, self.up)

    def graph(self, live: int, edges: Edges, targets: list[int]) -> tuple[ComputationGraph, int]:
        """Computation graph of the live values, with these back edges, and its number of merges."""
        kept, tables, count = bits(live), self.tables, self.sources
        new = [0] * len(self.type)
        for number, value in enumerate(kept):
            new[value] = number
        numbers: dict[str, int] = {}
        steps, operations, merges, used = list[Step](), list[Operation](), 0, 0
        for value in kept:
            name = self.type[value]
            used |= 1 << name
            if value >= count:
                f, chosen = self.made_by[value]
                form = tables.form(f, chosen, name)
                steps.append(form.with_inputs(tuple([new[v] for v in self.inputs[value]]), numbers))
                operations.append(form.operation)
                merges += isinstance(f, str)
        types, symbols = tables.types_of(used)
        graph = ComputationGraph.of_walk(
            types,
            tuple([tables.names[self.type[value]] for value in kept if value < count]),
            tuple(steps),
            tuple([BackEdge(new[c], new[h], n) for c, h, n in edges]),
            tuple([new[t] for t in targets]),
            tuple(operations),
            symbols.union(*{operation.symbols for operation in operations}),
        )
        return graph, merges
