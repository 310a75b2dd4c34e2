"""The walk: a function graph and a search space as a program with choices that gives computation graphs.

Every choice goes through `choose(point, labels, weights)`; only options that leave a plan for all that is still
wanted within the budget are offered, so a walk never runs into a dead end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from archioptrx.core.errors import InputError
from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.graphs.decisions import Choose, Decision, Point, Trace
from archioptrx.graphs.function_graph import FunctionGraph
from archioptrx.graphs.loops import Components, bits, components
from archioptrx.sampling.candidate import DROPPED, Candidate
from archioptrx.sampling.partial_graph import Draft
from archioptrx.sampling.search_space import SearchSpace, check_covers
from archioptrx.sampling.shortest_plans import NEVER, Function, ShortestPlans
from archioptrx.sampling.walk_tables import WalkTables

EVENTS = ("walks", "reverse walks", "recurrences", "branches", *DROPPED)
EVEN: tuple[tuple[float, ...], ...] = tuple((1.0,) * n for n in range(257))


class WalkSpace:
    """All architectures of a function graph within the limits of a search space.

    Parameters
    ----------
    function_graph, search_space
        The space must have each hyperparameter that the function graph refers to.

    Raises
    ------
    InputError
        A hyperparameter is missing, or `max_steps` is too small for any walk; the needed functions are named.
    """

    def __init__(self, function_graph: FunctionGraph, search_space: SearchSpace) -> None:
        self.function_graph, self.search_space = function_graph, search_space
        check_covers(search_space, function_graph.hyperparameters, f"function graph {function_graph.name}")
        self.tables = WalkTables.of(function_graph, search_space)
        self.graph_names = set(function_graph.hyperparameters)
        self._check_budget()

    def __call__(self, choose: Choose) -> Candidate:
        """Sample one candidate; `choose` answers all decisions."""
        return _Walk(self, choose).candidate()

    def _check_budget(self) -> None:
        draft = Draft(self.tables)
        draft.open_all()
        needed = 0
        for target in self.tables.targets:
            ways = draft.plan().ways(target)[0]
            least = min(ways[self.tables.number[name]] for name in self.function_graph.sources)
            if least >= NEVER:
                name = self.tables.names[target]
                raise InputError(
                    f"function graph {self.function_graph.name}: targets: no walk can reach {name}: on each way to it "
                    "a function needs several different values of a type that can have only one; "
                    "allowed: own weights or a further function for that type"
                )
            needed += least
        limit = self.search_space.walk.max_steps
        if needed > limit:
            path = ", ".join(self._shortest(draft.plan()))
            raise InputError(
                f"search space {self.search_space.name}: walk.max_steps: is {limit}, but the shortest way to "
                f"{', '.join(self.function_graph.targets)} takes {needed} ({path}); allowed: {needed} or more"
            )

    def _shortest(self, plan: ShortestPlans) -> list[str]:
        path: list[str] = []
        for target in self.tables.targets:
            at = min(
                (self.tables.number[n] for n in self.function_graph.sources), key=lambda d: plan.ways(target)[0][d]
            )
            while at != target:
                menu = plan.onward(at, False, target, plan.ways(target)[0][at])
                path.append(menu.functions[0].name)
                at = menu.functions[0].output
        return path


class _Walk:
    """One sample on its way. The draft holds what exists; this class decides."""

    def __init__(self, space: WalkSpace, choose: Choose) -> None:
        self.space, self.tables, self.choose = space, space.tables, choose
        self.limits = space.search_space.walk
        self.draft = Draft(space.tables)
        self.decisions: list[Decision] = []
        self.events: Counter[str] = Counter(dict.fromkeys(EVENTS, 0))
        self.left = 0  # steps that the present walk may still take
        self.targets: list[int] = []

    def pick(self, kind: str, place: str, labels: Sequence[str], weights: Sequence[float] | None = None) -> int:
        """Ask for one decision and note it."""
        index = self.choose(Point(kind, place), labels, EVEN[len(labels)] if weights is None else weights)
        self.decisions.append(Decision(kind, place, labels[index]))
        return index

    def pick_value(self, kind: str, place: str, values: int) -> int:
        """Choose one of a set of values."""
        found = bits(values)
        names = self.draft.labels
        return found[self.pick(kind, place, [names[v] for v in found])]

    def candidate(self) -> Candidate:
        """All walks, then iterations, then hyperparameters."""
        for position in range(len(self.tables.targets)):
            self.first_walk(position)
        for number in range(len(self.tables.targets), self.limits.max_walks):
            if not self.further_walk(number):
                break
        graph = self.finish()
        hyperparameters = self.pick_hyperparameters(graph)
        space = self.space
        trace = Trace(tuple(self.decisions), space.function_graph.digest, space.search_space.digest)
        return Candidate(trace, graph, hyperparameters, dict(self.events))

    # Walks

    def first_walk(self, position: int) -> None:
        """To a target, from a source that reaches it (the first) or from any value (further ones)."""
        draft, target = self.draft, self.tables.targets[position]
        draft.open_all()
        reserve = sum(self.cheapest(other) for other in self.tables.targets[position + 1 :])
        room = self.limits.max_steps - draft.made - reserve
        ways = draft.plan().ways(target)
        starts = sum(1 << v for v in draft.existing() if self.cost(v, ways) <= room)
        start = self.pick_value("source", self.tables.names[target], starts)
        self.set_budget(0, self.cost(start, ways), room, target)
        self.targets.append(self.forward(start, target))
        self.events["walks"] += 1

    def cheapest(self, target: int) -> int:
        """Cost of a later target from what exists."""
        ways = self.draft.plan().ways(target)
        return min(self.cost(v, ways) for v in self.draft.existing())

    def cost(self, value: int, ways: tuple[list[int], list[int]]) -> int:
        """Cost of one step or more from a value to a target."""
        return ways[self.draft.idempotent[value]][self.draft.type[value]]

    def set_budget(self, walk: int, plan: int, room: int, target: int) -> None:
        """Length first: choose how many steps beyond the plan this walk may take."""
        limit = self.limits.extra[min(walk, len(self.limits.extra) - 1)]
        labels = [str(n) for n in range(min(limit, room - plan) + 1)]
        self.left = plan + self.pick("extra", self.tables.names[target], labels)

    def forward(self, value: int, target: int) -> int:
        """Walk from a value to the first value of the target's type, one step or more."""
        draft = self.draft
        while True:
            plan, name = draft.plan(), draft.type[value]
            menu = plan.onward(name, draft.idempotent[value], target, self.left)
            f = menu.functions[self.pick("function", self.tables.names[name], menu.labels, menu.weights)]
            slots = [s for s in plan.slots(f, name) if plan.step(f, s, target) <= self.left]
            slot = slots[0]
            if len(plan.slots(f, name)) > 1:
                slot = slots[self.pick("slot", f.name, [str(s) for s in slots])]
            value = self.apply(f, {slot: value}, target)
            if f.output == target:
                return value

    def apply(self, f: Function, inputs: dict[int, int], target: int | None, rest: int = 0, fresh: int = -1) -> int:
        """Supply the other inputs of a function by reverse walks, then take the step.

        Parameters
        ----------
        inputs
            Values by slot, of those that are given.
        target, rest
            What is still to come after this step: the way to a target, or a number of steps.
        fresh
            A slot that must get a new value.
        """
        open_slots = [slot for slot in range(len(f.inputs)) if slot not in inputs]
        given = next(iter(inputs), None)
        for position, slot in enumerate(open_slots):
            plan = self.draft.plan()
            later = sum(
                plan.fresh[f.inputs[other]] if other == fresh else plan.slot(f, other, given)
                for other in open_slots[position + 1 :]
            )
            after = 1 + later + rest + (plan.rest(f, target) if target is not None else 0)
            avoid = 0
            if f.distinct:
                for value in inputs.values():
                    avoid |= 1 << value
            inputs[slot] = self.supply(f, slot, avoid, self.left - after, fresh == slot)
        return self.take(f, tuple(inputs[slot] for slot in range(len(f.inputs))))

    def supply(self, f: Function, slot: int, avoid: int, budget: int, fresh: bool) -> int:
        """A value for one slot: use one that exists, or make one by a reverse walk within the budget."""
        draft, name = self.draft, f.inputs[slot]
        place = self.tables.names[name]
        usable = 0 if fresh else draft.readable(name, f.idempotent) & ~avoid
        renew = fresh or bool(draft.of_type(name) & avoid)
        menu = draft.plan().makers(name, renew, f.idempotent, budget)
        if usable and (not menu.labels or self.pick("reuse", place, ("use", "make"), self.reuse) == 0):
            return self.pick_value("value", place, usable)
        maker = menu.functions[self.pick("maker", place, menu.labels, menu.weights)]
        self.events["reverse walks"] += 1
        renewed = draft.plan().renewed_slot(maker) if renew and not maker.renews else -1
        rest = self.left - budget
        return self.apply(maker, {}, None, rest, renewed)

    @property
    def reuse(self) -> tuple[float, float]:
        """Prior weights of use and make."""
        return self.limits.reuse, 1 - self.limits.reuse

    def take(self, f: Function, inputs: tuple[int, ...]) -> int:
        """Take one step, or find the twin of it."""
        chosen = []
        for key, labels, values in f.choices:
            chosen.append((key, values[self.pick("parameter", f"{f.name}.{key}", labels)]))
        self.left -= 1
        return self.draft.step(f, inputs, tuple(chosen))

    # Further walks

    def further_walk(self, number: int) -> bool:
        """A recurrence or a branch; False where there is none or none is wanted."""
        draft, place = self.draft, str(number)
        draft.refresh()
        room = self.limits.max_steps - draft.made
        recurrences, branches = self.recurrences(room), self.branches(room - 1)
        kinds = [kind for kind, found in (("recurrence", recurrences), ("branch", branches)) if found]
        if not kinds:
            return False
        y = self.limits.recurrence
        if self.pick("another", place, ("stop", "go on"), (1 - y, y)) == 0:
            return False
        share = {"recurrence": 1 - self.limits.branch, "branch": self.limits.branch}
        kind = kinds[self.pick("walk", place, kinds, [share[kind] for kind in kinds])]
        pairs = recurrences if kind == "recurrence" else branches
        start = self.pick_value("from", kind, _union(pairs.values()))
        target = self.pick_value("to", kind, sum(1 << t for t, starts in pairs.items() if starts >> start & 1))
        self.events["walks"] += 1
        if kind == "recurrence":
            self.recur(start, target, room)
        else:
            self.branch(start, target, room - 1)
        return True

    def recurrences(self, room: int) -> dict[int, int]:
        """By target: values that a recurrence may start from."""
        draft, pairs = self.draft, dict[int, int]()
        looped, closed = _union(draft.readers), -1
        known: dict[int, tuple[int, int]] = {}
        for target in draft.results():
            if looped >> target & 1:
                continue
            if (nested := self.nested(target)) != closed:
                draft.open_all_but(nested)
                closed, known = nested, {}
            name = draft.type[target]
            if name not in known:
                known[name] = self.starts(name, room)
            walks, shortcuts = known[name]
            if found := draft.down[target] & (walks | shortcuts & ~(1 << target)):
                pairs[target] = found
        return pairs

    def nested(self, target: int) -> int:
        """Values that read a loop which the target precedes: a recurrence that reads them would enclose it."""
        waiting, seen, mask = list(self.draft.readers.items()), self.draft.down[target], 0
        while found := [(members, readers) for members, readers in waiting if members & seen]:
            waiting = [item for item in waiting if item not in found]
            mask |= _union(readers for _, readers in found)
            seen |= mask  # another loop that these enter is read by all that reads it
        return mask

    def branches(self, room: int) -> dict[int, int]:
        """By target: values that a branch may start from."""
        draft, pairs = self.draft, dict[int, int]()
        if room < 0:
            return pairs
        for target in draft.results():
            draft.open_all_but(draft.down[target] & ~(1 << target))
            walks, shortcuts = self.starts(draft.type[target], room)
            if found := walks | shortcuts & ~(1 << target):
                pairs[target] = found
        return pairs

    def starts(self, name: int, room: int) -> tuple[int, int]:
        """Readable values from which a type is reached within the room: by one step or more, by none."""
        draft, found = self.draft, 0
        for kind, plain in draft.plan().reach(name, room):
            found |= draft.readable(kind, plain)
        return found, draft.readable(name, False)

    def travel(self, start: int, target: int, room: int) -> int:
        """The walk of a recurrence or a branch; without a step where the start has the type and no step is wanted."""
        draft = self.draft
        name = draft.type[target]
        shortcut = start != target and draft.type[start] == name
        plan = self.cost(start, draft.plan().ways(name))
        if shortcut and plan > room:
            return start
        if shortcut and self.pick("shortcut", self.tables.names[name], ("no step", "steps")) == 0:
            return start
        self.set_budget(1, plan, room, name)
        return self.forward(start, name)

    def recur(self, start: int, target: int, room: int) -> None:
        """A loop: what the walk ends at is carried back to the target."""
        draft = self.draft
        draft.open_all_but(self.nested(target))
        carried = self.travel(start, target, room)
        if carried == target or not draft.learns(target, carried):
            self.events["recurrences without weights"] += 1
            return
        draft.add_loop(target, carried, self.targets)

    def branch(self, start: int, target: int, room: int) -> None:
        """A branch: what the walk ends at is merged into the target, and old consumers read the merge."""
        draft = self.draft
        old = draft.down[target] & ~(1 << target)
        draft.open_all_but(old)
        arrived = self.travel(start, target, room)
        if arrived == target:
            self.events["branches that met their target"] += 1
            return
        ways = self.tables.merges[draft.type[target]]
        way = ways[self.pick("merge", self.tables.names[draft.type[target]], ways)]
        new = draft.merge(target, arrived, way, old)
        self.targets = [new[value] for value in self.targets]

    # Loops and hyperparameters

    def finish(self) -> ComputationGraph:
        """Prune, choose the iterations of each loop, number the values in order."""
        draft = self.draft
        least = min(self.limits.iterations)
        while True:
            graph, self.events["branches"] = draft.graph(self.targets, least)
            count = len(graph.sources)
            found = components(
                count, [s.inputs for s in graph.steps], [(e.carried, e.head, 1) for e in graph.back_edges]
            )
            sizes = [_size(found, members) for members in found.loops]
            spare = self.limits.max_executed - (len(graph.steps) + least * sum(sizes) if sizes else 0)
            if spare >= 0:
                break
            self.events["loops over the limit of executed steps"] += 1
            self.targets = draft.drop_last_loop()
        chosen = []
        for number, size in enumerate(sizes):
            allowed = [n for n in self.limits.iterations if (n - least) * size <= spare]
            chosen.append(allowed[self.pick("iterations", str(number), [str(n) for n in allowed])])
            spare -= (chosen[-1] - least) * size
        if chosen:
            edges = tuple(
                replace(e, iterations=next(n for n, m in zip(chosen, found.loops, strict=True) if m >> e.head & 1))
                for e in graph.back_edges
            )
            graph = replace(graph, back_edges=edges)
        if len(graph.back_edges) > len(sizes):
            graph = graph.pruned()  # which back edges of one loop are felt depends on how often it goes round
        self.events["recurrences"] = len(graph.back_edges)
        return graph

    def pick_hyperparameters(self, graph: ComputationGraph) -> dict[str, Any]:
        """Values of those that this graph refers to, and of those that only training knows."""
        used = graph.symbols
        values: dict[str, Any] = {}
        for grid in self.space.search_space.hyperparameters:
            if grid.name in used or grid.name not in self.space.graph_names:
                index = self.pick("hyperparameter", grid.name, grid.labels) if len(grid.values) > 1 else 0
                values[grid.name] = grid.values[index]
        return values


def _size(found: Components, members: int) -> int:
    """Number of steps of a loop."""
    return sum(found.inside(value, members) for value in bits(members))


def _union(masks: Iterable[int]) -> int:
    total = 0
    for mask in masks:
        total |= mask
    return total
