"""The computation graph: steps in order, back edges that close loops, targets. It describes one network.

Values are numbered: value i is source i for i < len(sources), else the result of step i - len(sources). Each value is
made by one step (static single assignment). A back edge carries a value to an earlier one, the *head* of a loop.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from archioptrx.core.config import Fields
from archioptrx.core.errors import GraphError, InputError, did_you_mean
from archioptrx.graphs.fingerprint import fingerprint
from archioptrx.graphs.literals import frozen, thawed
from archioptrx.graphs.loops import Components, components, live_values
from archioptrx.graphs.nodes import parse_symbol, symbol_form
from archioptrx.graphs.operations import Operation, operation_of
from archioptrx.graphs.signatures import DOMAINS, SIGNATURES, Hyperparameter, Kind, Width
from archioptrx.graphs.steps import BackEdge, DataType, Loop, Step

if TYPE_CHECKING:
    import networkx as nx


@dataclass(frozen=True)
class ComputationGraph:
    """A network before it is built: immutable and checked.

    Attributes
    ----------
    types
        Data types of the values, those of sources first.
    sources
        Names of the types of values 0 … len(sources) - 1.
    steps
        Applications of functions, in an order in which each reads earlier values only.
    back_edges
        At most one for each head. Back edges whose loops overlap form one loop, with the largest of their iterations.
    targets
        Numbers of the values that the network gives, in the order of the function graph's targets.

    Raises
    ------
    GraphError
        A rule is broken; the message holds the offender, the rule and the graph.
    """

    types: tuple[DataType, ...]
    sources: tuple[str, ...]
    steps: tuple[Step, ...]
    back_edges: tuple[BackEdge, ...]
    targets: tuple[int, ...]

    def __post_init__(self) -> None:
        self.check()

    @classmethod
    def of_walk(
        cls,
        types: tuple[DataType, ...],
        sources: tuple[str, ...],
        steps: tuple[Step, ...],
        back_edges: tuple[BackEdge, ...],
        targets: tuple[int, ...],
        operations: tuple[Operation, ...],
        symbols: frozenset[str],
    ) -> ComputationGraph:
        """Make a graph that is known to be sound and pruned: it is not checked again.

        Parameters
        ----------
        operations, symbols
            Attributes that the walk has at hand.
        """
        graph = object.__new__(cls)
        # As the fields are frozen, but not slots, this is what __init__ comes to.
        graph.__dict__.update(
            types=types, sources=sources, steps=steps, back_edges=back_edges, targets=targets,
            operations=operations, symbols=symbols, _is_pruned=True,
        )  # fmt: skip
        return graph

    def __getstate__(self) -> dict[str, Any]:
        """State for pickle, without operations: these are found again, and hold functions of signatures."""
        return {key: value for key, value in self.__dict__.items() if key != "operations"}

    @cached_property
    def type(self) -> dict[str, DataType]:
        """Data types by name."""
        return {t.name: t for t in self.types}

    def type_of(self, value: int) -> DataType:
        """Data type of a value."""
        count = len(self.sources)
        return self.type[self.sources[value] if value < count else self.steps[value - count].type]

    @cached_property
    def operations(self) -> tuple[Operation, ...]:
        """Operation of each step."""
        kinds = [self.type[name] for name in (*self.sources, *(step.type for step in self.steps))]
        results = kinds[len(self.sources) :]
        return tuple(
            operation_of(step, tuple([kinds[value] for value in step.inputs]), result)
            for step, result in zip(self.steps, results, strict=True)
        )

    @cached_property
    def values(self) -> tuple[str, ...]:
        """Printed name of each value: the name of a source, else type and age (`x0`, `x1` …) in order of execution."""
        names, ages = [*self.sources, *([""] * len(self.steps))], dict[str, int]()
        stems = name_stems(self.sources, self.type)
        for item in self.schedule:
            for index in (item,) if isinstance(item, int) else sorted((*item.forward, *item.back)):
                kind = self.steps[index].type
                ages[kind] = ages.get(kind, -1) + 1
                names[len(self.sources) + index] = f"{stems[kind]}{ages[kind]}"
        return tuple(names)

    @cached_property
    def symbols(self) -> frozenset[str]:
        """Names of the hyperparameters that the steps' parameters and the widths refer to."""
        return width_symbols(self.types, self.sources).union(*{operation.symbols for operation in self.operations})

    def check(self) -> None:
        """Raise GraphError where a rule is broken."""
        count = len(self.sources)
        for index, step in enumerate(self.steps):
            if step.block not in SIGNATURES:
                raise GraphError(
                    f"step {index} ({step.function}): block: is {step.block!r}; {did_you_mean(step.block, SIGNATURES)}"
                )
            for value in step.inputs:
                if not 0 <= value < count + index:
                    allowed = f"allowed: 0 to {count + index - 1}"
                    raise GraphError(f"step {index} ({step.function}): reads value {value}; {allowed}\n{self.steps}")
            if step.type not in self.type:
                raise GraphError(
                    f"step {index} ({step.function}): type: is {step.type!r}; {did_you_mean(step.type, self.type)}"
                )
        total = count + len(self.steps)
        named = [("target", v) for v in self.targets] + [
            ("back edge", v) for e in self.back_edges for v in (e.carried, e.head)
        ]
        for role, value in named:
            if not count <= value < total:
                raise GraphError(
                    f"{role}: is value {value}; allowed: results of steps, {count} to {total - 1}\n{self.steps}"
                )
        if not self.targets or len(set(self.targets)) < len(self.targets):
            raise GraphError(f"targets: are {self.targets}; allowed: one or more different values\n{self.steps}")
        heads = [edge.head for edge in self.back_edges]
        for edge in self.back_edges:
            same = self.type_of(edge.carried).name == self.type_of(edge.head).name
            if not same or edge.iterations < 1 or heads.count(edge.head) > 1 or edge.carried == edge.head:
                raise GraphError(
                    f"{edge}: allowed: two different values of one type, 1 iteration or more, one a head\n{self.steps}"
                )

    def check_types(self) -> None:
        """Raise GraphError with all faults where a block doesn't allow the parameters, domains or widths.

        For graphs from a file.
        """
        names = self.values[len(self.sources) :]
        rows = [
            f"{name} = {step.function}: {fault}"
            for step, name in zip(self.steps, names, strict=True)
            for fault in _step_faults(self, step)
        ]
        if rows:
            raise GraphError(*rows[:-1], f"{rows[-1]}\n{self}")

    @cached_property
    def _components(self) -> Components:
        return components(len(self.sources), [s.inputs for s in self.steps], self._edges)

    @property
    def _edges(self) -> list[tuple[int, int, int]]:
        return [(edge.carried, edge.head, edge.iterations) for edge in self.back_edges]

    @cached_property
    def schedule(self) -> tuple[int | Loop, ...]:
        """Step numbers and loops, in order of execution."""
        count, parts = len(self.sources), self._components
        if not parts.loops:
            return tuple(range(len(self.steps)))
        loops = []
        for members in parts.loops:
            edges = [edge for edge in self.back_edges if members >> edge.head & 1 and members >> edge.carried & 1]
            inner = [i for i in range(len(self.steps)) if parts.inside(i + count, members)]
            forward = parts.forward(members, self.targets)
            loops.append(
                Loop(
                    heads=tuple((edge.head, edge.carried) for edge in edges),
                    iterations=max(edge.iterations for edge in edges),
                    forward=tuple(i for i in inner if forward >> (i + count) & 1),
                    back=tuple(i for i in inner if not forward >> (i + count) & 1),
                    once=tuple(i for i in inner if any(edge.head == i + count for edge in edges)),
                )
            )
        return _arrange(self, loops)

    @cached_property
    def loops(self) -> tuple[Loop, ...]:
        """The loops in order of execution."""
        return tuple(item for item in self.schedule if isinstance(item, Loop))

    @cached_property
    def passes(self) -> dict[int, int]:
        """Number of times that each step is executed, by step number."""
        times = dict.fromkeys(range(len(self.steps)), 1)
        for loop in self.loops:
            times.update(dict.fromkeys(loop.forward, loop.iterations + 1))
            times.update(dict.fromkeys(loop.back, loop.iterations))
            times.update(dict.fromkeys(loop.once, 1))
        return times

    @property
    def executed(self) -> int:
        """Number of executed steps; each pass of a loop counts."""
        return sum(self.passes.values())

    @property
    def rounds(self) -> int:
        """Number of executed message-passing steps; each pass of a loop counts."""
        return sum(n for i, n in self.passes.items() if self.steps[i].signature.passes_messages)

    @cached_property
    def depth(self) -> int:
        """Number of steps on the longest path from a source to a target, without back edges."""
        depth = [0] * len(self.sources)
        for step in self.steps:
            depth.append(1 + max((depth[v] for v in step.inputs), default=0))
        return max(depth[target] for target in self.targets)

    @property
    def size(self) -> dict[str, int]:
        """Sizes as whole numbers: `steps`, `executed` steps, message-passing `rounds`, `loops`, `depth`."""
        counts = {"steps": len(self.steps), "executed": self.executed, "rounds": self.rounds}
        return {**counts, "loops": len(self.loops), "depth": self.depth}

    def pruned(self) -> ComputationGraph:
        """The same network without sources, steps and back edges that no target depends on."""
        if self.__dict__.get("_is_pruned"):
            return self
        count = len(self.sources)
        live, edges, _ = live_values(count, [s.inputs for s in self.steps], self._edges, self.targets)
        needed = [value for value in range(count + len(self.steps)) if live >> value & 1]
        if len(needed) == count + len(self.steps) and edges == self._edges:
            return self
        new = {old: i for i, old in enumerate(needed)}
        steps = [self.steps[value - count] for value in needed if value >= count]
        used = {self.type_of(value).name for value in needed}
        return ComputationGraph(
            tuple(t for t in self.types if t.name in used),
            tuple(self.sources[value] for value in needed if value < count),
            tuple(replace(step, inputs=tuple(new[v] for v in step.inputs)) for step in steps),
            tuple(BackEdge(new[c], new[h], n) for c, h, n in edges),
            tuple(new[t] for t in self.targets),
        )

    @cached_property
    def fingerprint(self) -> str:
        """Identity of the architecture: 32 hexadecimal digits, equal for equal architectures only."""
        return fingerprint(self.pruned())

    def to_networkx(self) -> nx.MultiDiGraph[Any]:
        """Values and steps as nodes (attribute `kind`), back edges with `kind="back"` and their iterations."""
        import networkx as nx  # here, because it takes longer than all else that a walk imports

        graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
        names = self.values
        for value, name in enumerate(names):
            kind = self.type_of(value)
            graph.add_node(
                name,
                kind="data",
                type=kind.name,
                domain=kind.domain,
                width=str(kind.width),
                target=value in self.targets,
            )
        for index, step in enumerate(self.steps):
            node, output = f"{step.function} {index}", names[index + len(self.sources)]
            graph.add_node(node, kind="function", function=step.function, block=step.block, weights=step.weights)
            for slot, value in enumerate(step.inputs):
                graph.add_edge(names[value], node, kind="input", slot=slot)
            graph.add_edge(node, output, kind="output")
        for edge in self.back_edges:
            graph.add_edge(names[edge.carried], names[edge.head], kind="back", iterations=edge.iterations)
        return graph

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON or YAML; `from_dict` inverts it."""
        return _to_dict(self)

    @staticmethod
    def from_dict(content: Mapping[str, Any], place: str = "computation graph") -> ComputationGraph:
        """Read the plain data; `place` begins each line of an error.

        Raises
        ------
        InputError
            All faults, one line each.
        """
        return _from_dict(content, place)

    def __str__(self) -> str:
        return _text(self)


def width_symbols(types: Iterable[DataType], sources: Iterable[str]) -> frozenset[str]:
    """Names of the hyperparameters that the widths of types refer to; these sources have widths of their own."""
    every, own = {symbol for t in types for symbol, _ in t.width.terms}, {"target", *sources}
    return frozenset(symbol for symbol in every if symbol.split(".")[0] not in own)


def name_stems(sources: Iterable[str], types: Iterable[str]) -> dict[str, str]:
    """Stem of the names of values, by type: a name is stem and age, and no two values of a graph have the same.

    >>> name_stems(["hits", "e0"], ["x", "x1", "e"])
    {'x': 'x', 'x1': 'x1_', 'e': 'e_'}
    """
    stems, known = {}, set(sources)
    for kind in types:
        stem = kind + "_" * (kind[-1:].isdigit() or kind[-1:] == "_")
        while any(name.startswith(stem) and name[len(stem) :].isdigit() for name in known):
            stem += "_"
        stems[kind] = stem
    return stems


def _step_faults(graph: ComputationGraph, step: Step) -> Iterator[str]:
    """Faults of single parameters and of the domains; then, as far as these allow it, of widths and all parameters."""
    known = {parameter.name: parameter for parameter in step.signature.parameters}
    wrong = {}
    for key, value in step.params:
        if key not in known:
            wrong[key] = f"{step.block} has no parameter {key}; {did_you_mean(key, known)}"
        elif not isinstance(value, Hyperparameter) and (fault := known[key].fault(thawed(value))):
            wrong[key] = f"{key} {fault}"
    yield from wrong.values()
    inputs, result = [graph.type_of(value) for value in step.inputs], graph.type[step.type]
    kinds = [Kind(t.domain, t.width) for t in (*inputs, result)]
    if fault := step.signature.type_fault(tuple(t.domain for t in inputs), result.domain):
        yield f"{step.block} {fault}"
        return
    if wrong:
        others = {key: value for key, value in step.params if key not in wrong}
        yield from (
            step.signature.faults_of(kinds[:-1], kinds[-1], others) if step.signature.can_leave_out(set(wrong)) else ()
        )
        return
    try:
        width = step.signature.result_width(tuple(t.width for t in inputs), step.all_params)
    except InputError as error:
        yield str(error)
        return
    yield from step.signature.faults_of(kinds[:-1], kinds[-1], dict(step.params))
    if width is not None and width != result.width:
        yield f"gives width {width}; allowed: {result.width}"


def _arrange(graph: ComputationGraph, loops: list[Loop]) -> tuple[int | Loop, ...]:
    """Put steps and loops in order: each after the steps and loops whose values it reads, in step order otherwise."""
    count = len(graph.sources)
    owner = {i: loop for loop in loops for i in (*loop.forward, *loop.back)}
    head_of = {head - count: loop for loop in loops for head, _ in loop.heads}
    waiting = list(dict.fromkeys(owner.get(i, i) for i in range(len(graph.steps))))
    waiting += [loop for loop in loops if not loop.forward + loop.back]  # without steps: heads exchange their values
    order: list[int | Loop] = []
    done: set[int] = set()

    def final(index: int) -> bool:
        # A head has its last value only after its loop, and a step outside of the loop reads the last value.
        return index < 0 or (index in done and (index not in head_of or head_of[index] in order))

    def ready(item: int | Loop) -> bool:
        if isinstance(item, int):
            return all(final(value - count) for value in graph.steps[item].inputs)
        inner, heads = {*item.forward, *item.back}, {head - count for head, _ in item.heads}
        outer = {value - count for i in inner for value in graph.steps[i].inputs} - inner - heads
        # The loop itself needs only the first values of its heads.
        return all(final(index) for index in outer) and heads - inner <= done

    # An item is always ready: loops are whole components, so the graph of steps and loops has no circle.
    while waiting:
        item = next(item for item in waiting if ready(item))
        waiting.remove(item)
        order.append(item)
        done |= {*item.forward, *item.back} if isinstance(item, Loop) else {item}
    return tuple(order)


def _text(graph: ComputationGraph) -> str:
    """The network as text, a line a step: result, function, type, parameters that aren't defaults, shared weights.

    The steps of a loop are indented under its heads.

    ::

        x0 = encode(hits)                    node [hidden]
        5 passes, x0 <- x1 between:
          xs0    = shortcut(x0, hits)        node [hidden + hits]
          score0 = edge_net(xs0)             edge [target]
          x1     = attend(xs0, score0)       node [hidden], not in the last pass
        -> score0
    """
    names, weights = graph.values, [step.weights for step in graph.steps if step.weights]
    shared = {name for name, number in Counter(weights).items() if number > 1}
    rows: list[tuple[str, str, str, str]] = []  # indent, name, call, type
    for item in graph.schedule:
        if isinstance(item, int):
            rows.append(("", *_line(graph, item, shared)))
            continue
        heads = ", ".join(f"{names[head]} <- {names[carried]}" for head, carried in item.heads)
        rows.append(("", f"{item.iterations + 1} passes, {heads} between:", "", ""))
        for index in sorted((*item.forward, *item.back)):
            name, call, kind = _line(graph, index, shared)
            when = ", first pass only" if index in item.once else ", not in the last pass" if index in item.back else ""
            rows.append(("  ", name, call, kind + when))
    left = {pad: max((len(name) for p, name, call, _ in rows if p == pad and call), default=0) for pad in ("", "  ")}
    lines = [(f"{pad}{name:{left[pad]}} = {call}" if call else name, kind) for pad, name, call, kind in rows]
    width = max(len(text) for text, kind in lines if kind) + 4
    body = [f"{text:{width}}{kind}" if kind else text for text, kind in lines]
    return "\n".join([*body, "-> " + ", ".join(names[target] for target in graph.targets)])


def _line(graph: ComputationGraph, index: int, shared: Set[str]) -> tuple[str, str, str]:
    """Name, call and type of a step; `shared`: weights that several steps have."""
    step, names = graph.steps[index], graph.values
    inputs = ", ".join([names[value] for value in step.inputs])
    note = graph.operations[index].note + (f", weights {step.weights}" if step.weights in shared else "")
    return names[len(graph.sources) + index], f"{step.function}({inputs})", note


def _to_dict(graph: ComputationGraph) -> dict[str, Any]:
    """Plain data, with names in place of numbers."""
    names, count = graph.values, len(graph.sources)
    used = {graph.type_of(value).name for value in range(count + len(graph.steps))}
    types: dict[str, Any] = {}
    for t in graph.types:
        if t.name in used:
            types[t.name] = {"domain": t.domain, "width": t.width.to_json()} | ({"field": t.field} if t.field else {})
    steps = []
    for index, step in enumerate(graph.steps):
        row: dict[str, Any] = {"value": names[count + index], "type": step.type, "function": step.function}
        row |= {"block": step.block, "inputs": [names[value] for value in step.inputs]}
        row |= {"params": {k: symbol_form(v) for k, v in step.params}} if step.params else {}
        row |= {"weights": step.weights} if step.weights else {}
        row |= {"per_pass": True} if step.per_pass else {}
        steps.append(row)
    back = [{"carried": names[e.carried], "head": names[e.head], "iterations": e.iterations} for e in graph.back_edges]
    form: dict[str, Any] = {"types": types, "sources": list(graph.sources), "steps": steps}
    return form | ({"back_edges": back} if back else {}) | {"targets": [names[target] for target in graph.targets]}


def _from_dict(content: Mapping[str, Any], place: str) -> ComputationGraph:
    """Read plain data, checked as a file that a user wrote."""
    faults: list[str] = []
    top = Fields(content, place, faults)
    section, types = top.inside("types"), []
    for name in section.content:
        fields = section.inside(name)
        domain, width = fields.take("domain", str, choices=DOMAINS), fields.take("width", dict)
        types.append(
            DataType(name, domain or "node", Width.from_json(width or {}), fields.take("field", str, None) or None)
        )
        fields.rest()
    known = {t.name for t in types}
    numbers: dict[str, int] = {}
    sources = top.take("sources", list) or []
    for name in sources:
        if name not in known:
            top.fault("sources", f"no type is named {name!r}; {did_you_mean(name, known)}")
        numbers[name] = len(numbers)
    steps = [
        _parse_step(Fields(row, top.at(f"steps[{i}]"), faults), numbers, known)
        for i, row in enumerate(top.take("steps", list) or [])
    ]
    edges = []
    for i, row in enumerate(top.take("back_edges", list, [])):
        fields = Fields(row, top.at(f"back_edges[{i}]"), faults)
        ends = [_number(fields, key, fields.take(key, str), numbers) for key in ("carried", "head")]
        edges.append(BackEdge(ends[0], ends[1], fields.take("iterations", int, minimum=1) or 1))
        fields.rest()
    targets = tuple(_number(top, "targets", name, numbers) for name in top.take("targets", list) or [])
    top.rest()
    if faults:
        raise InputError(*faults)
    try:
        graph = ComputationGraph(tuple(types), tuple(sources), tuple(steps), tuple(edges), targets)
        graph.check_types()
    except GraphError as error:
        raise InputError(*(f"{place}: {fault.splitlines()[0]}" for fault in error.faults)) from error
    return graph


def _parse_step(fields: Fields, numbers: dict[str, int], types: set[str]) -> Step:
    name, kind = fields.take("value", str), fields.take("type", str, choices=types)
    inputs = [_number(fields, "inputs", value, numbers) for value in fields.take("inputs", list) or []]
    if name in numbers:
        fields.fault("value", f"is {name!r}, which stands for an earlier value; allowed: a new name")
    params = fields.inside("params", {})
    pairs = sorted((key, frozen(parse_symbol(value, params, key))) for key, value in params.content.items())
    step = Step(
        function=fields.take("function", str) or "",
        block=fields.take("block", str, choices=SIGNATURES) or "identity",
        inputs=tuple(inputs),
        type=kind or "",
        params=tuple(pairs),
        weights=fields.take("weights", str, ""),
        per_pass=fields.take("per_pass", bool, False),
    )
    fields.rest()
    numbers.setdefault(name, len(numbers))
    return step


def _number(fields: Fields, key: str, name: object, numbers: Mapping[str, int]) -> int:
    if name in numbers:
        return numbers[str(name)]
    fields.fault(key, f"no earlier value is named {name!r}; {did_you_mean(name, numbers)}")
    return 0
