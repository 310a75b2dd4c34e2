"""The program of a computation graph: a name for each value, a class for each function, loops as loops."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch.nn import Module

from archioptrx.core.errors import InputError
from archioptrx.data.dataset import Metadata
from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.graphs.shapes import bound_parameters, read_sources, shapes, weight_names
from archioptrx.graphs.signatures import BUNDLED, POOLED, SIGNATURES
from archioptrx.graphs.source.helpers import HELPERS, called
from archioptrx.graphs.source.step import (
    RESERVED,
    ROWS,
    Assign,
    Expression,
    LayerClass,
    LayerSource,
    Operand,
    Source,
    SourceStep,
)
from archioptrx.graphs.source.text import Call, Code, Names, call, class_name, flat, identifier
from archioptrx.graphs.steps import Loop
from archioptrx.models.export import geometry
from archioptrx.models.export.form import Scaled
from archioptrx.models.export.own_source import check_helpers, check_source
from archioptrx.models.export.pooled import Poolings, unnamed
from archioptrx.models.export.program import PLAIN, Guard, Member, NamedClass, Output, Program, Repeat, Statement
from archioptrx.networks.compile import Model

HITS = "hits"


def plan(model: Model, metadata: Metadata, probabilities: Sequence[bool], form: Scaled | None = None) -> Program:
    """Write down a network as a program.

    Parameters
    ----------
    model
        The compiled network.
    metadata
        Meaning and scale of its inputs.
    probabilities
        Flag of each target: it is a logit, which the code turns into a probability.
    form
        Inputs that the caller has scaled. None: hits in physical units.

    Raises
    ------
    InputError
        A step or a source can't be exported; the message names it.
    """
    graph = model.graph
    check_steps(graph)
    fields = {graph.sources[v]: graph.type_of(v).field for v in sorted(read_sources(graph) & live(graph))}
    geometry.check_fields(fields, metadata)
    if form is not None and "edge_attr" not in fields.values():
        form = form.without_edges()
    planner = _Planner(model, form)
    body = planner.body()
    start = _beginning(planner, body, metadata)
    outputs = _outputs(planner, probabilities)
    names = called([*planner.codes(body), *planner.own_helpers.values()], HELPERS)
    helpers = {name: text for name, text in HELPERS.items() if name in names}
    return Program(
        helpers | planner.own_helpers,
        tuple(sorted(planner.convolutions)),
        geometry.geometry(fields, metadata, form),
        tuple(planner.classes.values()),
        tuple(planner.members.values()),
        (*start, *body),
        outputs,
        metadata.sectors > 1 and "x" in fields.values(),
        planner.doubtful,
        planner.own,
        planner.keys,
        PLAIN if form is None else form.arguments,
    )


def check_steps(graph: ComputationGraph) -> None:
    """Raise InputError naming the steps that can't be written as plain code."""
    names = graph.values[len(graph.sources) :]
    faults = []
    for index, (step, name) in enumerate(zip(graph.steps, names, strict=True)):
        domain = graph.type_of(index + len(graph.sources)).domain
        if step.signature.source is None:
            allowed = ", ".join(name for name in sorted(SIGNATURES) if SIGNATURES[name].source is not None)
            fault = f"{name} = {step.function}: block {step.block} has no source in its signature, thus no plain form"
            faults.append(f"{fault}; allowed in an export: {allowed}; archioptrx.load runs any block in Python")
        elif domain not in ROWS:
            faults.append(f"{name} = {step.function}: gives {domain} values; allowed in an export: {', '.join(ROWS)}")
    if faults:
        raise InputError(*faults)


def live(graph: ComputationGraph) -> set[int]:
    """Values that a target depends on."""
    carried = dict(pair for loop in graph.loops for pair in loop.heads)
    reached: set[int] = set()
    waiting = list(graph.targets)
    while waiting:
        value = waiting.pop()
        if value not in reached:
            reached.add(value)
            waiting += graph.steps[value - len(graph.sources)].inputs if value >= len(graph.sources) else ()
            waiting += [carried[value]] if value in carried else []
    return reached


@dataclass
class _Planner:
    """State of one export: names, sources and members, collected step by step."""

    model: Model
    form: Scaled | None
    classes: dict[Any, NamedClass] = field(default_factory=dict)
    members: dict[str, Member] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        model = self.model
        self.graph = model.graph
        self.live = live(self.graph)
        self.shapes = shapes(self.graph, model.hyperparameters, model.source_widths, model.target_width)
        self.weights = weight_names(self.graph)
        self._modules = dict(model.named_modules())
        inputs = () if self.form is None else (*self.form.arguments, geometry.PHYSICAL)
        self._write(inputs)
        self.own_helpers = check_helpers(self.sources.values())
        if self.own_helpers:  # which names these have is known only after all steps are written
            self._write((*inputs, *self.own_helpers))
        layers = [source for source in self.sources.values() if isinstance(source, LayerSource)]
        self.convolutions = {name for layer in layers for name in layer.convolutions}
        self._class_names = Names(["Model", *HELPERS, *self.own_helpers, *self.convolutions])
        self._member_names = Names(["logits", "outputs", "forward", *dir(Model)])
        self._stems = [step.weights.rpartition(".") for step in self.graph.steps]

    def _write(self, reserved: Iterable[str]) -> None:
        """Name all values, and write the steps that a target needs with these names."""
        self.names = _value_names(self.graph, reserved)
        self.poolings = Poolings.plan(self.graph, self.live, [*RESERVED, *reserved, *self.names])
        count = len(self.graph.sources)
        self.sources = {i: self._source(i) for i in range(len(self.graph.steps)) if i + count in self.live}

    def _source(self, index: int) -> Source:
        """Source of a step, from its signature."""
        graph, step = self.graph, self.graph.steps[index]
        names = self.poolings.inputs(step.inputs, [self.names[v] for v in step.inputs])
        pooling = self.poolings.of.get(step.inputs[0], "")
        step_source = SourceStep(
            tuple(self._operand(v, name) for v, name in zip(step.inputs, names, strict=True)),
            self._operand(index + len(graph.sources), self.names[index + len(graph.sources)]),
            bound_parameters(step, self.model.hyperparameters),
            f"{pooling}.edge_index" if pooling else "edge_index",
            pooling,
            self.module(index),
        )
        source: Source = step.signature.ask("source", step_source)
        check_source(source, step, self.title(index))
        return source

    def _operand(self, value: int, code: str) -> Operand:
        return Operand(code, self.graph.type_of(value).name, *self.shapes[value])

    def title(self, index: int) -> str:
        """A step for messages."""
        return f"{self.graph.values[index + len(self.graph.sources)]} = {self.graph.steps[index].function}"

    def module(self, index: int) -> Module | None:
        """The trained block of a step, that of the first pass; None without weights or if no target needs it."""
        names = self.weights[index] if index + len(self.graph.sources) in self.live else ()
        return self._modules[names[0]] if names else None

    @property
    def own(self) -> tuple[str, ...]:
        """The steps of a user's blocks."""
        blocks = {index: self.graph.steps[index].block for index in self.sources}
        return tuple(f"{self.title(i)}, block {block}" for i, block in blocks.items() if block not in BUNDLED)

    @property
    def doubtful(self) -> tuple[str, ...]:
        """The steps with code that not every tool can read; any step of a user's block is one."""
        steps = []
        for index, source in self.sources.items():
            block = self.graph.steps[index].block
            named = source.doubtful if isinstance(source, LayerSource) else ""
            if named or block not in BUNDLED:
                steps.append(f"{self.title(index)} ({named or block})")
        return tuple(steps)

    def body(self) -> tuple[Statement, ...]:
        """The schedule as statements."""
        statements: list[Statement] = []
        for item in self.graph.schedule:
            statements += [self.loop(item)] if isinstance(item, Loop) else self.steps([item], 0)
        body = tuple(statement for statement in statements if not isinstance(statement, Repeat) or statement.body)
        return unnamed(body, set(re.findall(r"\w+", " ".join(texts(body)))))

    def steps(self, indices: Iterable[int], passes: int) -> list[Statement]:
        """Assignments of the steps that a target depends on."""
        count = len(self.graph.sources)
        return [part for index in indices if index + count in self.live for part in self.step(index, passes)]

    def loop(self, loop: Loop) -> Repeat:
        """A loop: its forward part in each pass, the way back in each but the last."""
        heads = [pair for pair in loop.heads if pair[0] in self.live]
        forward = self._parted(loop.forward, loop, loop.iterations + 1)
        back: list[Statement] = list(self._parted(loop.back, loop, loop.iterations))
        pairs = [(self.names[head], self.names[value]) for head, value in heads]
        names = [", ".join(pair[side] for pair in pairs) for side in (0, 1)]
        pairs += self.poolings.carried(heads)
        back += [Assign(*(", ".join(pair[side] for pair in pairs) for side in (0, 1)))] if heads else []
        comment = f"{loop.iterations + 1} passes, {names[0]} <- {names[1]} between."
        if not forward:
            return Repeat(loop.iterations, tuple(back), comment)
        last = Guard(f"turn < {loop.iterations}", tuple(back))
        return Repeat(loop.iterations + 1, (*forward, *([last] if back else [])), comment)

    def _parted(self, indices: Sequence[int], loop: Loop, passes: int) -> list[Statement]:
        """Steps in order; those that make a head's first value, in the first pass only."""
        statements: list[Statement] = []
        for index in indices:
            assignments = self.steps([index], passes)
            statements += (
                [Guard("turn == 0", tuple(assignments))] if assignments and index in loop.once else assignments
            )
        return statements

    def step(self, index: int, passes: int) -> list[Assign]:
        """Statements of one step; `passes` of its loop, 0 outside."""
        value = index + len(self.graph.sources)
        domain, width = self.shapes[value]
        source, name = self.sources[index], self.names[value]
        if domain == POOLED and self.graph.steps[index].signature.changes_nodes:
            name = f"{name}, {self.poolings.of[value]}"
        code = source.code if isinstance(source, Expression) else self._call(index, source, passes)
        return [Assign(name, code, f"[{ROWS[domain]}, {width}]"), *self.poolings.started(value)]

    def _call(self, index: int, layer: LayerSource, passes: int) -> Code:
        """A call of the member that holds the step's weights."""
        weights = self.graph.steps[index].weights
        # The class first: names are given in the order of the steps, also where the member is there already.
        maker = self._class(index, layer.made) if isinstance(layer.made, LayerClass) else layer.made
        if weights not in self.members:
            self._register(index, maker, layer.keys)
        member = self.members[weights]
        return Call(f"self.{member.name}{_turn(member.count, passes)}", tuple(layer.arguments))

    def _class(self, index: int, layers: LayerClass) -> Code:
        """A call of the class of a step: the same class for all steps of a function that have one form."""
        stem = self._stem(index)
        key = repr((stem, layers))
        if key not in self.classes:
            self.classes[key] = NamedClass(self._class_names.new(class_name(stem)), layers)
        return f"{self.classes[key].name}()"

    def _stem(self, index: int) -> str:
        """The name of a step's weights without their number: its function's, or `merge`."""
        head, dot, tail = self._stems[index]
        return head if dot and tail.isdecimal() else self.graph.steps[index].weights

    def _register(self, index: int, maker: Code, inner: Mapping[str, str]) -> None:
        """Make a member for the weights of a step, and note the names of its keys in the state dict."""
        weights, stem = self.graph.steps[index].weights, self._stem(index)
        count = len(self.graph.sources)
        same = {s.weights for i, s in enumerate(self.graph.steps) if self._stem(i) == stem and i + count in self.live}
        name = self._member_names.new(identifier(stem if len(same) == 1 else weights))
        sets = self.weights[index]
        self.members[weights] = Member(name, maker, len(sets))
        for turn, trained_name in enumerate(sets):
            place = f"{name}." if len(sets) == 1 else f"{name}.{turn}."
            self.keys.update({f"{trained_name}.{old}": f"{place}{new}" for old, new in inner.items()})

    def codes(self, body: Iterable[Statement]) -> list[str]:
        """All code as texts, to see which names it uses."""
        classes = [named.layers for named in self.classes.values()]
        codes = [flat(code) for layers in classes for _, code in (*layers.members, ("", layers.result))]
        codes += [flat(statement.code) for layers in classes for statement in layers.body]
        return [*codes, *(flat(member.code) for member in self.members.values()), *texts(body)]


def _turn(count: int, passes: int) -> str:
    """Index of the module that runs in a pass, as code; "" where a step has one."""
    if count == 1:
        return ""
    if not passes:
        return "[0]"
    return "[turn]" if passes <= count else f"[min(turn, {count - 1})]"


def texts(body: Iterable[Statement]) -> list[str]:
    """The code of statements, inner ones included."""
    codes = []
    for statement in body:
        if isinstance(statement, Assign):
            codes.append(flat(statement.code))
        else:
            codes += [*([statement.condition] if isinstance(statement, Guard) else []), *texts(statement.body)]
    return codes


def _value_names(graph: ComputationGraph, reserved: Iterable[str]) -> list[str]:
    """A variable for each value: its printed name wherever Python allows it."""
    names = Names([*RESERVED, *reserved, HITS, geometry.HITS, geometry.DOUBLETS])
    variables = []
    for value, name in enumerate(graph.values):
        is_hits = name == HITS and value < len(graph.sources) and graph.type_of(value).field == "x"
        variables.append(HITS if is_hits else names.new(identifier(name)))
    return variables


def _beginning(planner: _Planner, body: Sequence[Statement], metadata: Metadata) -> tuple[Statement, ...]:
    """Statements before the steps: end points, number of hits, sources; scaled hits last, as they may take the name."""
    graph = planner.graph
    read = sorted(read_sources(graph) & planner.live, key=lambda v: (planner.names[v] == HITS, v))
    sources = [_source(planner, value, metadata) for value in read]
    words = set(re.findall(r"\w+", " ".join(texts([*body, *sources]))))
    known = (("start", "edge_index[0]"), ("end", "edge_index[1]"), ("nodes", "hits.shape[0]"))
    first = [Assign(name, code) for name, code in known if name in words]
    if {"start", "end"} <= words:
        first[:2] = [Assign("start, end", "edge_index[0], edge_index[1]")]
    if {"start", "end", "edge_index"} & words:
        # Torch and ONNX take a negative index for one from the end; one beyond the hits is an error in both.
        first.insert(0, Assign("edge_index", "torch.where(edge_index < 0, hits.shape[0], edge_index)", "refused"))
    if planner.form is not None:
        return (Assign("hits", f"{geometry.PHYSICAL}(x)"), *first, *sources)
    return (*first, Assign("hits", "hits.double()", "for small differences"), *sources) if sources else tuple(first)


def _source(planner: _Planner, value: int, metadata: Metadata) -> Assign:
    comment = f"[{ROWS[planner.shapes[value][0]]}, {planner.shapes[value][1]}]"
    if planner.graph.type_of(value).field == "x":
        arguments = [HITS, *(["middle"] if metadata.sectors > 1 else [])]
        return Assign(planner.names[value], call(geometry.HITS, *arguments), comment)
    return Assign(planner.names[value], geometry.doublets_call(HITS, planner.form), comment)


def _outputs(planner: _Planner, probabilities: Sequence[bool]) -> tuple[Output, ...]:
    outputs = []
    for value, probability in zip(planner.graph.targets, probabilities, strict=True):
        domain, width = planner.shapes[value]
        single = width == 1
        code = f"{planner.names[value]}.squeeze(1)" if single else planner.names[value]
        shape = f"[{ROWS[domain]}]" if single else f"[{ROWS[domain]}, {width}]"
        outputs.append(Output(identifier(planner.graph.type_of(value).name), code, shape, probability))
    return tuple(outputs)
