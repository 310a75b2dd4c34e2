"""A sketch as a computation graph: the pipeline run layer by layer, each loop turned into back edges."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from archioptrx.core.errors import GraphError, InputError
from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.graphs.signatures import Width
from archioptrx.graphs.sketches.layer_steps import role_of, run_layer
from archioptrx.graphs.sketches.methods import INPUT, SOURCES
from archioptrx.graphs.sketches.program import HEAD, LATE, SOURCE, SketchProgram, SketchValue, key_of
from archioptrx.graphs.sketches.sketch import DEFAULTS, Sketch, SketchLoop
from archioptrx.graphs.sketches.state import Held, State
from archioptrx.graphs.steps import BackEdge, DataType, Step

LETTERS = {"node": "x", "edge": "e", "graph": "g", "pooled": "p"}
Labels = dict[str, int]


def network_of(sketch: Sketch) -> tuple[ComputationGraph, dict[str, Any]]:
    """The network, and a value for each hyperparameter that it refers to.

    Raises
    ------
    InputError
        A layer reads a value that it can't take, or the pipeline gives no target; the layer is named.
    """
    ways = _Ways()
    while True:
        writer = _Writer(sketch, ways)
        target = writer.run()
        program = writer.state.program
        live = program.closure([target])
        peeled = {program.rows[value].loop for value in live if program.rows[value].block == LATE}
        written = set(program.apart(live)) - peeled
        if not peeled and not written:
            break
        ways.peeled |= peeled
        ways.written |= written
    try:
        graph = _graph(program, target, live).pruned()
        graph.check_types()
    except GraphError as error:
        raise InputError(*(f"{sketch.place}: {fault.splitlines()[0]}" for fault in error.faults)) from error
    usual = {name: value for name, value in DEFAULTS.items() if name in graph.symbols}
    return graph, usual | dict(sketch.hyperparameters)


class _Ways:
    """Ways to write loops, chosen by trial.

    Attributes
    ----------
    peeled
        Loops of which a value that is no head is read behind them: their last turn stands behind the loop, where its
        steps are joined with those inside, so that nothing runs twice.
    written
        Loops whose heads don't all depend on each other: they are written out, turn by turn.
    """

    def __init__(self) -> None:
        self.peeled: set[int] = set()
        self.written: set[int] = set()


class _Writer:
    """Runs the pipeline once."""

    def __init__(self, sketch: Sketch, ways: _Ways) -> None:
        self.sketch, self.ways = sketch, ways
        self.state = State(SketchProgram(), sketch.place)
        self.state.values = {kind: Held(self.state.source(name)) for kind, name in INPUT.items()}

    def run(self) -> int:
        """Write all; gives the target's value."""
        for number, name in enumerate(self.sketch.pipeline):
            loop = self.sketch.loops.get(name)
            if loop is None or number in self.ways.written:
                self.straight((name,))
                continue
            late = number in self.ways.peeled
            if loop.iterations - late:
                self.repeat(loop, number, loop.iterations - late)
            self.straight(loop.pipeline if late else ())
        target = self.sketch.target
        value = self.state.values[target].value
        domain, width = self.state.kind(value)
        if width != Width.of("target") or self.state.program.rows[value].block == SOURCE:
            raise InputError(
                f"{self.sketch.place}: architecture.{target}: runs last but gives {domain} [{width}]; allowed: as wide "
                "as the task needs, by mlp: true"
            )
        return value

    def straight(self, names: Iterable[str]) -> None:
        """Run layers and loops as they stand; a loop inside another is written out."""
        for name in names:
            if name in self.sketch.layers:
                layer = self.sketch.layers[name]
                run_layer(layer, role_of(layer, self.sketch.target, self.sketch.logits), self.state)
            else:
                for _ in range(self.sketch.loops[name].iterations):
                    self.straight(self.sketch.loops[name].pipeline)

    def repeat(self, loop: SketchLoop, number: int, turns: int) -> None:
        """Write a loop: to find the values that change from turn to turn, it supposes at first that none does.

        Names whose values are the same throughout share a label. Labels whose value a turn changes get a head, those
        whose names part are split, until one more turn confirms the supposition: the fewest heads that there can be.
        """
        program, before, shapes = self.state.program, dict(self.state.values), dict(self.state.shapes)
        mark = len(program.rows)
        labels: Labels = _numbered(before)
        headed: set[int] = set()
        while True:
            program.reset(mark)
            self.state.shapes = dict(shapes)
            first = {label: before[name] for name, label in labels.items()}
            heads = {
                label: program.add(
                    SketchValue(
                        HEAD, "", (), self.state.kind(first[label].value), loop=number, initial=first[label].value
                    )
                )
                for label in sorted(headed)
            }
            entry = {n: Held(heads[k], first[k].pooling) if k in heads else before[n] for n, k in labels.items()}
            self.state.values = dict(entry)
            self.straight(loop.pipeline)
            after = self.state.values
            finer = _numbered({name: (labels[name], after[name]) for name in before})
            changed = {finer[name] for name in before if labels[name] in headed or after[name] != entry[name]}
            if len(set(finer.values())) == len(set(labels.values())) and len(changed) == len(headed):
                break
            labels, headed = finer, changed
        self._close(loop, number, turns, before, labels, heads)

    def _close(
        self, loop: SketchLoop, number: int, turns: int, before: dict[str, Held], labels: Labels, heads: dict[int, int]
    ) -> None:
        """End a loop: names now stand for the heads' last values; other values of the loop can't be read behind it."""
        program, after = self.state.program, self.state.values
        read = program.closure(after[name].value for name in after)
        carried = {}
        for name, label in labels.items():
            if label in heads and heads[label] in read and heads[label] not in carried:
                self._check(loop, name, before[name], after[name])
                carried[heads[label]] = after[name].value
        program.close(number, carried, turns)
        for name, held in after.items():
            head = heads.get(labels[name]) if name in labels else None
            if name in before and head is None:
                continue
            value = head if head in carried else None
            if value is None:
                value = program.add(SketchValue(LATE, name, (), self.state.kind(held.value), loop=number))
            self.state.values[name] = Held(value, held.pooling)

    def _check(self, loop: SketchLoop, name: str, before: Held, after: Held) -> None:
        old, new = self.state.kind(before.value), self.state.kind(after.value)
        if old != new or before.pooling != after.pooling:
            same = before.pooling == after.pooling
            texts = [
                f"{domain} [{width}]" + ("" if same else f" with pooling {held.pooling}")
                for (domain, width), held in ((old, before), (new, after))
            ]
            raise InputError(
                f"{self.sketch.place}: loops.{loop.name}: its value {name} is {texts[0]} at first, then "
                f"{texts[1]}; allowed: the same in all iterations"
            )


def _numbered(values: Mapping[str, Any]) -> Labels:
    """Equal values by equal numbers."""
    numbers: dict[Any, int] = {}
    return {name: numbers.setdefault(value, len(numbers)) for name, value in values.items()}


def _graph(program: SketchProgram, target: int, live: set[int]) -> ComputationGraph:
    """Values in order, each head as the step that makes its first value, or a copy of one that others read too."""
    readers: dict[int, int] = {target: 1}
    for value in live:
        for needed in program.rows[value].needs:
            readers[needed] = readers.get(needed, 0) + 1
    order = _ordered(program, target)
    sources = [value for value in order if program.rows[value].block == SOURCE]
    new = {value: number for number, value in enumerate(sources)}
    names = _type_names(program, [value for value in order if value not in new])
    steps: list[Step] = []
    known: dict[Any, int] = {}
    for value in order:
        row = program.rows[value]
        if row.block == SOURCE:
            continue
        if row.block == HEAD and readers[row.initial] == 1 and program.rows[row.initial].block not in (SOURCE, HEAD):
            new[value] = new[row.initial]
            continue
        if row.block == HEAD:
            step = Step("enter", "identity", (new[row.initial],), names[row.kind])
        else:
            step = Step(
                row.name, row.block, tuple(new[v] for v in row.inputs), names[row.kind], row.params, row.weights
            )
            key = (*key_of(row)[:-1], step.inputs)
            if key in known:
                new[value] = known[key]
                continue
            known[key] = len(sources) + len(steps)
        new[value] = len(sources) + len(steps)
        steps.append(step)
    edges = [
        BackEdge(new[row.carried], new[value], program.turns[row.loop])
        for value in order
        if (row := program.rows[value]).block == HEAD
    ]
    source_names = [program.rows[value].name for value in sources]
    types = [DataType(name, SOURCES[name][0], Width.of(name), SOURCES[name][1]) for name in source_names]
    types += [DataType(name, *kind) for kind, name in names.items()]
    return ComputationGraph(tuple(types), tuple(source_names), tuple(steps), tuple(edges), (new[target],))


def _ordered(program: SketchProgram, target: int) -> list[int]:
    """All values that the target depends on, each after those that it reads; carried values come last."""
    order: list[int] = []
    visited: set[int] = set()

    def visit(root: int) -> None:
        stack = [root]  # no recursion: a loop that is written out may be longer than Python's stack is deep
        while stack:
            row = program.rows[stack[-1]]
            needs = (row.initial,) if row.block == HEAD else row.inputs
            missing = next((needed for needed in needs if needed not in visited), None)
            if missing is not None:
                stack.append(missing)
            elif (value := stack.pop()) not in visited:
                visited.add(value)
                order.append(value)

    visit(target)
    done = 0
    while done < len(order):
        if program.rows[order[done]].block == HEAD:
            visit(program.rows[order[done]].carried)
        done += 1
    return order


def _type_names(program: SketchProgram, values: list[int]) -> dict[Any, str]:
    """A short name for each domain and width: x, e for hidden ones, xs, xss … for others, score for a target."""
    names: dict[Any, str] = {}
    for value in values:
        domain, width = kind = program.rows[value].kind
        if kind in names:
            continue
        if width.of_target:
            names[kind] = "score" if domain == "edge" else "answer"
            continue
        letter = LETTERS[domain] + "s" * (width != Width.of("hidden"))
        while letter in names.values():
            letter += "s"
        names[kind] = letter
    return names
