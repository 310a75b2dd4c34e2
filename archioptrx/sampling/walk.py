"""The walk: a function graph and a search space as a program with choices that gives computation graphs.

Every choice goes through `choose(point, labels, weights)`. An option is offered only if a plan within the budget
remains for everything that is still to be supplied. Costs of plans are never too small, and they never rise during a
walk, as a walk only adds values that it may read; so a plan that fits goes on to fit, and no walk runs into a dead end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, lru_cache
from typing import Any

from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.graphs.decisions import Choose, Decision, Point, Trace
from archioptrx.graphs.function_graph import FunctionGraph
from archioptrx.graphs.loops import Components, bits
from archioptrx.sampling.budget import check_budget
from archioptrx.sampling.candidate import DROPPED, Candidate
from archioptrx.sampling.fit import applications, check_fits
from archioptrx.sampling.partial_graph import PartialGraph
from archioptrx.sampling.search_space import SearchSpace, check_covers
from archioptrx.sampling.shortest_plans import Function, ShortestPlans
from archioptrx.sampling.walk_tables import Chosen, WalkTables

EVENTS = ("walks", "reverse walks", "recurrences", "branches", *DROPPED)
"""Names of the counts in `Candidate.events`."""


@cache
def _even(number: int) -> tuple[float, ...]:
    """Equal weights of so many options."""
    return (1.0,) * number


@cache
def _ageing(number: int, latest: float) -> tuple[float, ...]:
    """Weights of so many values in the order in which they were made.

    A step that reads what was made last goes on with all that is known by then. Networks whose later steps read early
    values are mostly worse, and equal weights would give little else: there are many early values, and one latest.

    >>> _ageing(3, 0.5)
    (0.25, 0.5, 1.0)
    """
    return tuple((1 - latest) ** age for age in reversed(range(number)))


@cache
def _falling(number: int) -> tuple[float, ...]:
    """Weights number, number - 1 … 1."""
    return tuple(map(float, range(number, 0, -1)))


# Walks make the same few thousand points and decisions again and again: each is kept once, for all of them.
_point = lru_cache(maxsize=65536)(Point)
_decision = lru_cache(maxsize=65536)(Decision)


class WalkSpace:
    """All architectures of a function graph within the limits of a search space.

    Parameters
    ----------
    function_graph, search_space
        The search space must have each hyperparameter that the function graph refers to.

    Raises
    ------
    InputError
        A hyperparameter is missing or has a value that a block doesn't allow, or `max_steps` is too small for any walk;
        the needed functions are named.
    """

    def __init__(self, function_graph: FunctionGraph, search_space: SearchSpace) -> None:
        self.function_graph, self.search_space = function_graph, search_space
        check_covers(search_space, function_graph.hyperparameters, f"function graph {function_graph.name}")
        self.tables = WalkTables.of(function_graph, search_space)
        self.graph_names = set(function_graph.hyperparameters)
        self.check_fits({})
        check_budget(self.tables)

    def check_fits(self, numbers: Mapping[str, int]) -> None:
        """Raise InputError where a value of a hyperparameter doesn't suit a function.

        Parameters
        ----------
        numbers
            Widths of sources and targets, where the data are known.
        """
        check_fits(applications(self.function_graph), self.search_space, numbers)

    def __call__(self, choose: Choose) -> Candidate:
        """Sample one candidate; `choose` answers all decisions."""
        return _Walk(self, choose).candidate()


class _Walk:
    """The decisions of one sample.

    Attributes
    ----------
    partial
        The values and loops so far.
    left
        Steps that the present walk may still take.
    targets
        Values of the targets that are reached, in the order of the targets.
    """

    def __init__(self, space: WalkSpace, choose: Choose) -> None:
        self.space, self.tables, self.choose = space, space.tables, choose
        self.limits = space.search_space.walk
        self.partial = PartialGraph(space.tables)
        self.decisions: list[Decision] = []
        self.events = dict.fromkeys(EVENTS, 0)
        self.left = 0
        self.targets: list[int] = []

    def pick(self, kind: str, place: str, labels: Sequence[str], weights: Sequence[float] | None = None) -> int:
        """Ask for one decision and record it; index of the option taken."""
        index = self.choose(_point(kind, place), labels, _even(len(labels)) if weights is None else weights)
        self.decisions.append(_decision(kind, place, labels[index]))
        return index

    def pick_value(self, kind: str, place: str, values: int, latest: float = 0.0) -> int:
        """Choose one of a set of values; `latest` as in `WalkLimits`."""
        labels = self.partial.labels
        if values and not values & values - 1:  # one value, as it is most often
            value = values.bit_length() - 1
            self.pick(kind, place, (labels[value],), _ageing(1, latest))
            return value
        members = bits(values)
        weights = _ageing(len(members), latest)
        return members[self.pick(kind, place, [labels[v] for v in members], weights)]

    def candidate(self) -> Candidate:
        """Decide all walks, then iterations, then hyperparameters."""
        for position in range(len(self.tables.targets)):
            self.first_walk(position)
        for number in range(len(self.tables.targets), self.limits.max_walks):
            if not self.further_walk(number):
                break
        graph = self.finish()
        hyperparameters = self.pick_hyperparameters(graph)
        space = self.space
        trace = Trace(tuple(self.decisions), space.function_graph.digest, space.search_space.digest)
        return Candidate(trace, graph, hyperparameters, self.events)

    # Walks

    def first_walk(self, position: int) -> None:
        """Walk to a target from any value that exists: from a source to the first target.

        The steps that later targets need at least are kept back from the budget.
        """
        partial, target = self.partial, self.tables.targets[position]
        partial.open_all()
        reserve = sum(self.cheapest(other) for other in self.tables.targets[position + 1 :])
        room = self.limits.max_steps - partial.step_count - reserve
        ways = partial.plan().ways(target)
        starts = sum(1 << v for v in partial.existing() if self.cost(v, ways) <= room)
        start = self.pick_value("source", self.tables.names[target], starts)
        self.set_budget(0, self.cost(start, ways), room, target)
        self.targets.append(self.forward(start, target))
        self.events["walks"] += 1

    def cheapest(self, target: int) -> int:
        """Least cost of a later target, from the values that exist."""
        ways = self.partial.plan().ways(target)
        return min(self.cost(v, ways) for v in self.partial.existing())

    def cost(self, value: int, ways: tuple[list[int], list[int]]) -> int:
        """Cost of one step or more from a value to a target."""
        return ways[self.partial.idempotent[value]][self.partial.type[value]]

    def set_budget(self, walk: int, plan: int, room: int, target: int) -> None:
        """Choose how many steps beyond its shortest plan this walk may take.

        This is decided before the first step: with the whole budget at hand, most first walks would go on until no step
        is left for others. The weights fall linearly: the executed steps are limited, and networks of few steps have
        room for loops of many passes, which need fewer parameters for the same score.
        """
        limit = self.limits.extra[min(walk, len(self.limits.extra) - 1)]
        labels = [str(n) for n in range(min(limit, room - plan) + 1)]
        self.left = plan + self.pick("extra", self.tables.names[target], labels, _falling(len(labels)))

    def forward(self, value: int, target: int) -> int:
        """Walk from a value to the first value of the target's type, one step or more; number of that value."""
        partial = self.partial
        while True:
            plan, name = partial.plan(), partial.type[value]
            menu = plan.onward(name, partial.idempotent[value], target, self.left)
            f = menu.functions[self.pick("function", self.tables.names[name], menu.labels, menu.weights)]
            slots: Sequence[int] = f.slots[name]
            slot = slots[0]  # the menu has only functions of which a slot fits
            if len(slots) > 1:
                slots = [s for s in slots if plan.step(f, s, target) <= self.left]
                slot = slots[self.pick("slot", f.name, [str(s) for s in slots])]
            value = self.apply(f, {slot: value}, target)
            if f.output == target:
                return value

    def apply(self, f: Function, inputs: dict[int, int], target: int | None, rest: int = 0, fresh: int = -1) -> int:
        """Supply the other inputs of a function by reverse walks, then take the step; number of its result.

        Parameters
        ----------
        inputs
            Given values by slot; the others are added.
        target, rest
            Steps to follow this one: the way to a target (None: no way) and a number of further steps.
        fresh
            A slot that must get a new value; -1: none.
        """
        if len(inputs) < len(f.inputs):
            self.supply_others(f, inputs, target, rest, fresh)
        self.left -= 1  # a step that exists counts too, as it does in the plans
        chosen: Chosen = ()
        for key, labels, values in f.choices:
            chosen = (*chosen, (key, values[self.pick("parameter", f"{f.name}.{key}", labels)]))
        return self.partial.step(f, tuple([inputs[slot] for slot in range(len(f.inputs))]), chosen)

    def supply_others(self, f: Function, inputs: dict[int, int], target: int | None, rest: int, fresh: int) -> None:
        """Supply the inputs of a function that aren't given; parameters as of `apply`."""
        given_slot = next(iter(inputs), None)
        open_slots = f.open_slots[given_slot]
        for position, slot in enumerate(open_slots):
            plan = self.partial.plan()  # anew for each slot: what was made for the one before may make this one cheaper
            after = 1 + rest + (plan.rest(f, target) if target is not None else 0)
            for other in open_slots[position + 1 :]:
                after += plan.fresh[f.inputs[other]] if other == fresh else plan.slot(f, other, given_slot)
            avoid = 0  # values that stand in other slots already, where the function wants different ones
            if f.distinct:
                for value in inputs.values():
                    avoid |= 1 << value
            inputs[slot] = self.supply(f, slot, avoid, self.left - after, fresh == slot)

    def supply(self, f: Function, slot: int, avoid: int, budget: int, fresh: bool) -> int:
        """Value for one slot: one that exists, or a new one, made by a reverse walk within the budget."""
        partial, name = self.partial, f.inputs[slot]
        place = self.tables.names[name]
        usable = 0 if fresh else partial.readable(name, f.idempotent) & ~avoid
        # Where a value of this type stands in another slot, one that is made must not turn out to be that value again.
        renew = fresh or partial.of_type(name) & avoid != 0
        menu = partial.plan().makers(name, renew, f.idempotent, budget)
        if usable and (not menu.labels or self.pick("reuse", place, ("use", "make"), self.reuse) == 0):
            return self.pick_value("value", place, usable, self.limits.latest)
        maker = menu.functions[self.pick("maker", place, menu.labels, menu.weights)]
        self.events["reverse walks"] += 1
        # A function without weights of its own gives a new value only from a new input.
        renewed = partial.plan().renewed_slot(maker) if renew and not maker.renews else -1
        rest = self.left - budget
        return self.apply(maker, {}, None, rest, renewed)

    @property
    def reuse(self) -> tuple[float, float]:
        """Prior weights of `use` and `make`."""
        return self.limits.reuse, 1 - self.limits.reuse

    # Further walks

    def further_walk(self, number: int) -> bool:
        """Take a recurrence or a branch; False where none is possible or none is wanted."""
        partial, place = self.partial, str(number)
        partial.refresh()
        room = self.limits.max_steps - partial.step_count
        # Both are worked out only as far as the next choice needs it: whether there is one, then those of one kind.
        pairs = {"recurrence": self.recurrences(room), "branch": self.branches(room - 1)}  # a merge takes a step
        first = {kind: pair for kind, others in pairs.items() if (pair := next(others, None))}
        kinds = list(first)
        if not kinds:
            return False
        go_on = self.limits.recurrence
        if self.pick("another", place, ("stop", "go on"), (1 - go_on, go_on)) == 0:
            return False
        share = {"recurrence": 1 - self.limits.branch, "branch": self.limits.branch}
        kind = kinds[self.pick("walk", place, kinds, [share[kind] for kind in kinds])]
        starts = dict([first[kind], *pairs[kind]])
        start = self.pick_value("from", kind, _union(starts.values()))
        target = self.pick_value("to", kind, sum(1 << t for t, values in starts.items() if values >> start & 1))
        self.events["walks"] += 1
        if kind == "recurrence":
            self.recur(start, target, room)
        else:
            self.branch(start, target, room - 1)
        return True

    def recurrences(self, room: int) -> Iterator[tuple[int, int]]:
        """Targets of recurrences, each with the set of the values that one may start from.

        The target is a member of no loop, and the start descends from it, as only then the back edge closes a loop.
        """
        partial, every = self.partial, self.partial.everything
        looped = _union(partial.readers)  # members of all loops
        plans: dict[int, ShortestPlans] = {}  # costs by the values that aren't read
        known: dict[tuple[int, int], tuple[int, int]] = {}  # starts by type and values that aren't read
        for target in partial.results():
            if looped >> target & 1:
                continue
            key = name, nested = partial.type[target], self.nested(target)
            if key not in known:
                readable = every & ~nested
                if nested not in plans:
                    plans[nested] = partial.plan_of(readable)
                known[key] = partial.sources_of(name, room, readable, plans[nested])
            walks, shortcuts = known[key]
            if starts := partial.down[target] & (walks | shortcuts & ~(1 << target)):
                yield target, starts

    def nested(self, target: int) -> int:
        """Set of the values that read a loop which the target precedes: a recurrence doesn't read them.

        A recurrence that read one would enclose that loop. Loops are the strongly connected components of the graph,
        so both would become one loop with one number of iterations, not a loop in a loop. So loops don't nest.
        """
        if not self.partial.readers:
            return 0
        waiting, descendants, closed = list(self.partial.readers.items()), self.partial.down[target], 0
        while entered := [(members, readers) for members, readers in waiting if members & descendants]:
            waiting = [item for item in waiting if item not in entered]
            closed |= _union(readers for _, readers in entered)
            # `down` leaves back edges out: what a loop carries back makes all readers of the loop descendants as well.
            descendants |= closed
        return closed

    def branches(self, room: int) -> Iterator[tuple[int, int]]:
        """Targets of branches, each with the set of the values that one may start from.

        The walk may read the target itself, but none of its other descendants: they will read the merge, so a merge
        that depended on them would close a circle without a back edge.
        """
        partial, every = self.partial, self.partial.everything
        for target in partial.results() if room >= 0 else ():
            itself = 1 << target
            readable = every & ~partial.down[target] | itself
            plan = partial.plan_of(readable)
            walks, shortcuts = partial.sources_of(partial.type[target], room, readable, plan)
            if starts := walks | shortcuts & ~itself:
                yield target, starts

    def travel(self, start: int, target: int, room: int) -> int:
        """Take the steps of a recurrence or a branch; number of the value at their end.

        A start that has the target's type already may be the end, without a step (a skip connection).
        """
        partial = self.partial
        name = partial.type[target]
        shortcut = start != target and partial.type[start] == name
        plan = self.cost(start, partial.plan().ways(name))
        if shortcut and plan > room:
            return start
        if shortcut and self.pick("shortcut", self.tables.names[name], ("no step", "steps")) == 0:
            return start
        self.set_budget(1, plan, room, name)
        return self.forward(start, name)

    def recur(self, start: int, target: int, room: int) -> None:
        """Add a loop: the value at the end of the walk is carried back to the target."""
        partial = self.partial
        partial.open_all_but(self.nested(target))
        carried = self.travel(start, target, room)
        if carried == target or not partial.learns(target, carried):
            self.events["recurrences without weights"] += 1
            return
        partial.add_loop(target, carried, self.targets)

    def branch(self, start: int, target: int, room: int) -> None:
        """Add a branch: the value at the end of the walk is merged into the target; its old readers read the merge."""
        partial = self.partial
        old = partial.down[target] & ~(1 << target)
        partial.open_all_but(old)
        arrived = self.travel(start, target, room)
        if arrived == target:
            self.events["branches that met their target"] += 1
            return
        ways = self.tables.merges[partial.type[target]]
        way = ways[self.pick("merge", self.tables.names[partial.type[target]], ways)]
        new = partial.merge(target, arrived, way, old)
        self.targets = [new[value] for value in self.targets]

    # Loops and hyperparameters

    def finish(self) -> ComputationGraph:
        """Prune the graph and choose the iterations of each loop."""
        partial = self.partial
        least = min(self.limits.iterations)
        while True:
            live, edges, parts = partial.live(self.targets, least)
            sizes = [_size(parts, members) for members in parts.loops]
            # An upper bound: a step of a loop with n iterations runs n + 1 times at most.
            steps = (live >> partial.sources).bit_count()
            spare = self.limits.max_executed - (steps + least * sum(sizes) if sizes else 0)
            if spare >= 0:
                break
            self.events["loops over the limit of executed steps"] += 1
            self.targets = partial.drop_last_loop()
        chosen = dict[int, int]()  # iterations by loop
        for number, (members, size) in enumerate(zip(parts.loops, sizes, strict=True)):
            allowed = [n for n in self.limits.iterations if (n - least) * size <= spare]
            labels, weights = [str(n) for n in allowed], [float(n) for n in allowed]  # long loops are likelier
            chosen[members] = allowed[self.pick("iterations", str(number), labels, weights)]
            spare -= (chosen[members] - least) * size
        edges = [(c, h, next(n for members, n in chosen.items() if members >> h & 1)) for c, h, _ in edges]
        graph, self.events["branches"] = partial.graph(live, edges, self.targets)
        if len(edges) > len(sizes):
            # Of several back edges of one loop, some may change no target when the loop has few iterations.
            graph = replace(graph).pruned()  # a copy isn't taken for a pruned one
        self.events["recurrences"] = len(graph.back_edges)
        return graph

    def pick_hyperparameters(self, graph: ComputationGraph) -> dict[str, Any]:
        """Choose the values of the hyperparameters that this graph, or training alone, refers to."""
        used = graph.symbols
        values: dict[str, Any] = {}
        for grid in self.space.search_space.hyperparameters:
            if grid.name in used or grid.name not in self.space.graph_names:
                index = self.pick("hyperparameter", grid.name, grid.labels, grid.weights) if len(grid.values) > 1 else 0
                values[grid.name] = grid.values[index]
        return values


def _size(parts: Components, members: int) -> int:
    """Number of steps of a loop."""
    return sum(parts.inside(value, members) for value in bits(members))


def _union(sets: Iterable[int]) -> int:
    union = 0
    for members in sets:
        union |= members
    return union
