"""Which weights of a parent a child starts from: where their steps agree. No torch.

Steps are paired one by one, each time the first pair that agrees in the strongest of these ways:

1. *place*: all that leads to the step and all that follows it, step for step, loops and sharing included;
2. the same, loops and sharing apart;
3. *ancestry*: all that leads to it (what a change behind it leaves as it was);
4. *progeny*: all that follows it (what a change before it leaves as it was);
5. the same function, block and parameters;
6. the same function and block.

Where several agree alike, the earlier step in order of execution comes first. A pair that is made counts as one and
the same step in what is compared afterwards, so that parallel branches that look alike aren't mixed up. The labels
that are compared are Weisfeiler and Leman's (1968), from the sources down and from the targets up. A back edge is in
no ancestry: a loop may come and go without a change of the steps in it.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.graphs.shapes import weight_names
from archioptrx.graphs.steps import Step

LEVELS = 6
UNORDERED = ("add", "mean")
"""Blocks that give the same whatever the order of their inputs; `concat` doesn't, column for column."""

Label = int
Table = dict[Hashable, Label]


def matching(child: ComputationGraph, parent: ComputationGraph) -> dict[str, str]:
    """Pair the weights of two graphs; see above.

    Returns
    -------
    dict
        By name of weights of the child (see `names_of`): name of the parent's that it starts
        from; no two start from the same. Weights of single passes are paired pass by pass. Shapes are not looked at.
    """
    one, other = _Side(child), _Side(parent)
    table: Table = {}
    found: dict[str, str] = {}
    level = 0
    while level < LEVELS:
        pair = _first_pair(one.labels(level, table), other.labels(level, table))
        if pair is None:
            level += 1
            continue
        found.update(zip(one.names[pair[0]], other.names[pair[1]], strict=False))
        number = len(one.settled)
        one.settle(pair[0], number)
        other.settle(pair[1], number)
        level = 0
    return found


def names_of(graph: ComputationGraph) -> list[tuple[str, ...]]:
    """The names under which the weights of each step stand in a state dict: those of the first step that has them."""
    first: dict[str, tuple[str, ...]] = {}
    return [first.setdefault(step.weights, names) for step, names in zip(graph.steps, weight_names(graph), strict=True)]


def _first_pair(one: dict[int, Hashable], other: dict[int, Hashable]) -> tuple[int, int] | None:
    """The first step of each graph that have a label in common."""
    first: dict[Hashable, int] = {}
    for step, label in other.items():
        first.setdefault(label, step)
    return next(((step, first[label]) for step, label in one.items() if label in first), None)


class _Side:
    """One of the two graphs, and which of its weights have been paired.

    Attributes
    ----------
    names
        Names of the weights of each step.
    settled
        By name that a step gives to its weights: number of the pair.
    """

    def __init__(self, graph: ComputationGraph) -> None:
        self.graph = graph
        self.names = names_of(graph)
        self.settled: dict[str, int] = {}
        self._order = [i for item in graph.schedule for i in _steps_of(item)]
        self._own = [_own(graph, step) for step in graph.steps]
        self._ties = _ties(graph)

    def settle(self, step: int, number: int) -> None:
        """Note that the weights of a step are paired."""
        self.settled[self.graph.steps[step].weights] = number

    def labels(self, level: int, table: Table) -> dict[int, Hashable]:
        """What has to agree at this level, for each step whose weights are free, in order of execution."""
        steps = self.graph.steps
        free = [i for i in self._order if self.names[i] and steps[i].weights not in self.settled]
        if level >= 4:
            return {i: self._own[i] if level == 4 else self._own[i][:2] for i in free}
        own: list[Hashable] = [self.settled.get(step.weights, self._own[i]) for i, step in enumerate(steps)]
        if level == 0:
            own = list(zip(own, self._ties, strict=True))
        before = _ancestry(self.graph, own, table) if level != 3 else [0] * len(steps)
        after = _progeny(self.graph, own, table) if level != 2 else [0] * len(steps)
        return {i: (before[i], after[i]) for i in free}


def _steps_of(item: object) -> list[int]:
    return [item] if isinstance(item, int) else sorted((*item.forward, *item.back))  # type: ignore[attr-defined]


def _own(graph: ComputationGraph, step: Step) -> tuple[Hashable, ...]:
    """What a step is by itself: function and block, then all the rest."""
    kind = graph.type[step.type]
    params = repr(step.signature.relevant(dict(step.params)))
    return step.function, step.block, params, kind.domain, str(kind.width), step.per_pass


def _ties(graph: ComputationGraph) -> list[tuple[int, ...]]:
    """Of each step: how many share its weights, passes to the head that it makes, passes from what it makes."""
    weights = [step.weights for step in graph.steps]
    count = len(graph.sources)
    heads = {edge.head - count: edge.iterations for edge in graph.back_edges}
    carried = {edge.carried - count: edge.iterations for edge in graph.back_edges}
    return [(weights.count(name), heads.get(i, 0), carried.get(i, 0)) for i, name in enumerate(weights)]


def _slots(step: Step) -> Sequence[int]:
    return [0] * len(step.inputs) if step.block in UNORDERED else range(len(step.inputs))


def _ancestry(graph: ComputationGraph, own: Sequence[Hashable], table: Table) -> list[Label]:
    """A label of each step that says how it is made from the sources."""
    labels = [table.setdefault(("source", name), len(table)) for name in graph.sources]
    for step, what in zip(graph.steps, own, strict=True):
        inputs = sorted((slot, labels[value]) for slot, value in zip(_slots(step), step.inputs, strict=True))
        labels.append(table.setdefault(("made", what, tuple(inputs)), len(table)))
    return labels[len(graph.sources) :]


def _progeny(graph: ComputationGraph, own: Sequence[Hashable], table: Table) -> list[Label]:
    """A label of each step that says how the targets are made from it."""
    count = len(graph.sources)
    readers: list[list[tuple[int, Label]]] = [[] for _ in graph.values]
    labels = [0] * len(graph.steps)
    for index in reversed(range(len(graph.steps))):
        value, step = index + count, graph.steps[index]
        place = graph.targets.index(value) if value in graph.targets else None
        what = ("read", own[index], place, tuple(sorted(readers[value])))
        labels[index] = table.setdefault(what, len(table))
        for slot, source in zip(_slots(step), step.inputs, strict=True):
            readers[source].append((slot, labels[index]))
    return labels
