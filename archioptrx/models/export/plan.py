"""From a computation graph to the program: a name for each value, a class for each function, loops as loops."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torch.nn import Module

from archioptrx.core.errors import InputError
from archioptrx.data.dataset import Metadata
from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.graphs.shapes import bound_parameters, read_sources, shapes, weight_names
from archioptrx.graphs.steps import Loop
from archioptrx.models.export import convolution, geometry, inline
from archioptrx.models.export.code import Call, Code, Names, call, class_name, flat, identifier
from archioptrx.models.export.helpers import HELPERS, with_needed
from archioptrx.models.export.layers import RESERVED, ROWS, Kind, attention, mlp
from archioptrx.models.export.pooled import Poolings, pool, unnamed
from archioptrx.models.export.program import Assign, Guard, Layers, Member, Output, Program, Repeat, Statement
from archioptrx.networks.blocks import BLOCKS
from archioptrx.networks.blocks.gru import GRU
from archioptrx.networks.blocks.mlp import MLP, Attention
from archioptrx.networks.blocks.normal import Norm
from archioptrx.networks.blocks.pooling import Pool, Unpool
from archioptrx.networks.blocks.pyg import Convolution
from archioptrx.networks.blocks.simple import Add, Aggregate, Broadcast, Concat, Identity, Mean, Readout
from archioptrx.networks.compile import Model

WRITTEN = {
    "mlp": MLP, "attention": Attention, "gru": GRU, "norm": Norm, "concat": Concat, "identity": Identity, "add": Add,
    "mean": Mean, "aggregate": Aggregate, "readout": Readout, "broadcast": Broadcast,
    "pyg": Convolution, "pool": Pool, "unpool": Unpool,
}  # fmt: skip
"""The blocks that can be written as plain code."""
HITS = "hits"


def plan(model: Model, metadata: Metadata, probabilities: Sequence[bool]) -> Program:
    """Write down a network as a program.

    Parameters
    ----------
    model
        The compiled network.
    metadata
        Meaning and scale of its inputs.
    probabilities
        For each target whether it is a logit, which the code turns into a probability.

    Raises
    ------
    InputError
        A step or a source can't be exported; the message names it.
    """
    graph = model.graph
    check_steps(graph)
    fields = {graph.sources[v]: graph.type_of(v).field for v in sorted(read_sources(graph) & live(graph))}
    geometry.check_fields(fields, metadata)
    planner = _Planner(model)
    body = planner.body()
    start = _beginning(planner, body, metadata)
    outputs = _outputs(planner, probabilities)
    code = planner.codes(body)
    called = {name for text in code for name in re.findall(r"(?<![\w.])\w+(?=\()", text)}
    helpers = with_needed(called.intersection(HELPERS))
    return Program(
        helpers,
        tuple(sorted(planner.convolutions)),
        geometry.geometry(fields, metadata),
        tuple(planner.classes.values()),
        tuple(planner.members.values()),
        (*start, *body),
        outputs,
        metadata.sectors > 1 and "x" in fields.values(),
        planner.doubtful,
        planner.keys,
    )


def check_steps(graph: ComputationGraph) -> None:
    """Raise InputError naming the steps that can't be written as plain code."""
    names = graph.values[len(graph.sources) :]
    faults = []
    for index, (step, name) in enumerate(zip(graph.steps, names, strict=True)):
        domain = graph.type_of(index + len(graph.sources)).domain
        if BLOCKS.get(step.block) is not WRITTEN.get(step.block, object):
            fault = f"{name} = {step.function}: block {step.block} is not ArchiOpTrX's, and has no plain form"
            faults.append(f"{fault}; allowed in an export: {_allowed()}; archioptrx.load runs any block in Python")
        elif domain not in ROWS:
            faults.append(f"{name} = {step.function}: gives {domain} values; allowed in an export: {', '.join(ROWS)}")
    if faults:
        raise InputError(*faults)


def _allowed() -> str:
    return ", ".join(sorted(WRITTEN))


def live(graph: ComputationGraph) -> set[int]:
    """Values that a target depends on."""
    carried = dict(pair for loop in graph.loops for pair in loop.heads)
    found: set[int] = set()
    waiting = list(graph.targets)
    while waiting:
        value = waiting.pop()
        if value not in found:
            found.add(value)
            waiting += graph.steps[value - len(graph.sources)].inputs if value >= len(graph.sources) else ()
            waiting += [carried[value]] if value in carried else []
    return found


@dataclass
class _Planner:
    """What is known while a program is made."""

    model: Model
    classes: dict[Any, Layers] = field(default_factory=dict)
    members: dict[str, Member] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        model = self.model
        self.graph = model.graph
        self.live = live(self.graph)
        self.shapes = shapes(self.graph, model.hyperparameters, model.source_widths, model.target_width)
        self.weights = weight_names(self.graph)
        self.names = _value_names(self.graph)
        self.poolings = Poolings.plan(self.graph, self.live, [*RESERVED, *self.names])
        self._modules = dict(model.named_modules())
        modules = [self.module(index) for index in range(len(self.graph.steps))]
        self.convolutions = {one.name for one in modules if isinstance(one, Convolution)}
        self._class_names = Names(["Model", *HELPERS, *self.convolutions])
        self._member_names = Names(["logits", "outputs", "forward", *dir(Model)])
        self._stems = [step.weights.rpartition(".") for step in self.graph.steps]

    def module(self, index: int) -> Module | None:
        """The trained block of a step, that of the first pass; None without weights or if no target needs it."""
        names = self.weights[index] if index + len(self.graph.sources) in self.live else ()
        return self._modules[names[0]] if names else None

    @property
    def doubtful(self) -> tuple[str, ...]:
        """The steps that hold code which not every tool can read."""
        names = self.graph.values[len(self.graph.sources) :]
        modules = [self.module(index) for index in range(len(names))]
        return tuple(
            f"{name} = {step.function} ({module.method if isinstance(module, Pool) else module.name})"
            for step, name, module in zip(self.graph.steps, names, modules, strict=True)
            if isinstance(module, Convolution | Pool)
        )

    def body(self) -> tuple[Statement, ...]:
        """The schedule as statements."""
        found: list[Statement] = []
        for item in self.graph.schedule:
            found += [self.loop(item)] if isinstance(item, Loop) else self.steps([item], 0)
        body = tuple(one for one in found if not isinstance(one, Repeat) or one.body)
        return unnamed(body, set(re.findall(r"\w+", " ".join(texts(body)))))

    def steps(self, indices: Iterable[int], passes: int) -> list[Statement]:
        """Assignments of the steps that matter."""
        count = len(self.graph.sources)
        return [one for index in indices if index + count in self.live for one in self.step(index, passes)]

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
        found: list[Statement] = []
        for index in indices:
            made = self.steps([index], passes)
            found += [Guard("turn == 0", tuple(made))] if made and index in loop.once else made
        return found

    def step(self, index: int, passes: int) -> list[Assign]:
        """One step; `passes` of its loop, 0 outside."""
        graph, step = self.graph, self.graph.steps[index]
        value = index + len(graph.sources)
        names = self.poolings.inputs(step.inputs, [self.names[v] for v in step.inputs])
        inputs = [Kind(graph.type_of(v).name, *self.shapes[v]) for v in step.inputs]
        output = Kind(graph.type_of(value).name, *self.shapes[value])
        params = bound_parameters(step, self.model.hyperparameters)
        code = self._code(index, names, inputs, output, params, passes)
        name = self.names[value] if step.block != "pool" else f"{self.names[value]}, {self.poolings.of[value]}"
        made = Assign(name, code, f"[{ROWS[output.domain]}, {output.width}]")
        return [made, *self.poolings.started(value)]

    def _code(
        self, index: int, names: list[str], inputs: list[Kind], output: Kind, params: Mapping[str, Any], passes: int
    ) -> Code:
        block = self.graph.steps[index].block
        if block in ("mlp", "attention", "gru", "norm", "pyg", "pool"):
            return self._called(index, names, inputs, output, params, passes)
        if block in ("concat", "identity"):
            return inline.joined(names)
        if block in ("add", "mean"):
            return inline.added(names) if block == "add" else inline.averaged(names)
        if block == "aggregate":
            return inline.gathered(names[0], params)
        if block == "unpool":
            return call("unpooled", names[0], self.poolings.of[self.graph.steps[index].inputs[0]])
        return inline.read_out(names[0], params) if block == "readout" else inline.spread(names[0], output.domain)

    def _called(
        self, index: int, names: list[str], inputs: list[Kind], output: Kind, params: Mapping[str, Any], passes: int
    ) -> Code:
        """A call of the member that holds the step's weights."""
        block, weights = self.graph.steps[index].block, self.graph.steps[index].weights
        arguments, module = tuple(names), self.module(index)
        made: Code
        if block in ("mlp", "attention"):
            layers = self._class(index, inputs, output, params)
            arguments += layers.arguments[len(names) :]
            made, inner = f"{layers.name}()", dict(layers.keys)
        elif isinstance(module, Convolution):
            made, inner = convolution.made(module), {"conv.": ""}
            arguments = convolution.arguments(module, arguments, self._edges(index))
        elif block == "pool":
            made, inner = pool(output.width, params)
            arguments += ("edge_index",)
        elif block == "gru":
            made, inner = f"nn.GRUCell({inputs[0].width}, {inputs[1].width})", {"": ""}
        else:
            form = {"layer": "nn.LayerNorm", "batch": "nn.BatchNorm1d", "graph": "GraphNorm"}[params["kind"]]
            made, inner = f"{form}({output.width})", {"layer.": ""}
        if weights not in self.members:
            self._register(index, made, inner)
        member = self.members[weights]
        return Call(f"self.{member.name}{_turn(member.count, passes)}", arguments)

    def _edges(self, index: int) -> str:
        """The edges on which a convolution works."""
        pooling = self.poolings.of.get(self.graph.steps[index].inputs[0])
        return f"{pooling}.edge_index" if pooling else "edge_index"

    def _class(self, index: int, inputs: list[Kind], output: Kind, params: Mapping[str, Any]) -> Layers:
        """The class of a step: the same for all steps of a function that have one form."""
        stem = self._stem(index)
        make = mlp if self.graph.steps[index].block == "mlp" else attention
        form = (stem, make("", inputs, output, params))
        key = repr(form)
        if key not in self.classes:
            self.classes[key] = replace(form[1], name=self._class_names.new(class_name(stem)))
        return self.classes[key]

    def _stem(self, index: int) -> str:
        """The name of a step's weights without their number: its function's, or `merge`."""
        head, dot, tail = self._stems[index]
        return head if dot and tail.isdecimal() else self.graph.steps[index].weights

    def _register(self, index: int, made: Code, inner: Mapping[str, str]) -> None:
        """Make a member for the weights of a step, and note what its keys in the state dict are called."""
        weights, stem = self.graph.steps[index].weights, self._stem(index)
        count = len(self.graph.sources)
        same = {s.weights for i, s in enumerate(self.graph.steps) if self._stem(i) == stem and i + count in self.live}
        name = self._member_names.new(identifier(stem if len(same) == 1 else weights))
        sets = self.weights[index]
        self.members[weights] = Member(name, made, len(sets))
        for turn, own in enumerate(sets):
            place = f"{name}." if len(sets) == 1 else f"{name}.{turn}."
            self.keys.update({f"{own}.{old}": f"{place}{new}" for old, new in inner.items()})

    def codes(self, body: Iterable[Statement]) -> list[str]:
        """All code as texts, to see which names it uses."""
        found = [flat(one.code) for layers in self.classes.values() for one in layers.body]
        return [*found, *(flat(member.code) for member in self.members.values()), *texts(body)]


def _turn(count: int, passes: int) -> str:
    """Which of the modules of a step runs."""
    if count == 1:
        return ""
    if not passes:
        return "[0]"
    return "[turn]" if passes <= count else f"[min(turn, {count - 1})]"


def texts(body: Iterable[Statement]) -> list[str]:
    """The code of statements, inner ones included."""
    found = []
    for one in body:
        if isinstance(one, Assign):
            found.append(flat(one.code))
        else:
            found += [*([one.condition] if isinstance(one, Guard) else []), *texts(one.body)]
    return found


def _value_names(graph: ComputationGraph) -> list[str]:
    """A variable for each value: its printed name wherever Python allows it."""
    names = Names([*RESERVED, HITS, geometry.HITS, geometry.DOUBLETS])
    found = []
    for value, name in enumerate(graph.values):
        own = name == HITS and value < len(graph.sources) and graph.type_of(value).field == "x"
        found.append(HITS if own else names.new(identifier(name)))
    return found


def _beginning(planner: _Planner, body: Sequence[Statement], metadata: Metadata) -> tuple[Statement, ...]:
    """What the steps read: end points, number of hits, sources. The scaled hits come last: they may take the name."""
    graph = planner.graph
    read = sorted(read_sources(graph) & planner.live, key=lambda v: (planner.names[v] == HITS, v))
    made = [_source(planner, value, metadata) for value in read]
    words = set(re.findall(r"\w+", " ".join(texts([*body, *made]))))
    known = (("start", "edge_index[0]"), ("end", "edge_index[1]"), ("nodes", "hits.shape[0]"))
    first = [Assign(name, code) for name, code in known if name in words]
    if {"start", "end"} <= words:
        first[:2] = [Assign("start, end", "edge_index[0], edge_index[1]")]
    return (*first, Assign("hits", "hits.double()", "for small differences"), *made) if made else tuple(first)


def _source(planner: _Planner, value: int, metadata: Metadata) -> Assign:
    comment = f"[{ROWS[planner.shapes[value][0]]}, {planner.shapes[value][1]}]"
    if planner.graph.type_of(value).field == "x":
        arguments = [HITS, *(["middle"] if metadata.sectors > 1 else [])]
        return Assign(planner.names[value], call(geometry.HITS, *arguments), comment)
    return Assign(planner.names[value], call(geometry.DOUBLETS, HITS, "start", "end"), comment)


def _outputs(planner: _Planner, probabilities: Sequence[bool]) -> tuple[Output, ...]:
    found = []
    for value, probability in zip(planner.graph.targets, probabilities, strict=True):
        domain, width = planner.shapes[value]
        one = width == 1
        code = f"{planner.names[value]}.squeeze(1)" if one else planner.names[value]
        shape = f"[{ROWS[domain]}]" if one else f"[{ROWS[domain]}, {width}]"
        found.append(Output(identifier(planner.graph.type_of(value).name), code, shape, probability))
    return tuple(found)
