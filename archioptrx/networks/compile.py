"""A computation graph as a network: an interpreter over a table of values.

Modules, shapes and the last use of each value are planned when the network is made; a forward pass goes through the
schedule of the graph. A loop of the schedule runs (`Loop` of `archioptrx.graphs.steps`)

    pass 0:                forward
    passes 1 … iterations: back, heads := carried values, forward

so `back` runs once less than `forward`. A step with a module for each pass counts the passes of its own half: the
k-th run of a step takes module k, in `forward` and in `back`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from archioptrx.core.errors import RAISED_BY_CALL, ArchiOpTrXError, GraphError, InputError, TrialError, error_text
from archioptrx.data.dataset import Metadata
from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.graphs.linear_fusion import pending_steps
from archioptrx.graphs.parameter_count import block_parameters
from archioptrx.graphs.shapes import TargetWidth, bound_parameters, read_sources, shapes, weight_names
from archioptrx.graphs.signatures import POOLED
from archioptrx.graphs.steps import Loop, Step
from archioptrx.networks.blocks import ForwardPass, Shape, Topology, Value, apply, build

Table = dict[int, Value]
Recipe = tuple[str, tuple[Shape, ...], Shape, dict[str, Any]]
"""Arguments of `build`: block, shapes of inputs and output, and parameters of a step."""


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """A step with its inputs, its output and its module for each pass of its loop.

    Attributes
    ----------
    step
        Place of the step in the graph.
    inputs, output
        Numbers of values.
    modules
        Module for each pass, or one for all passes.
    pending
        True: its last linear layer is left to the steps that read the output.
    """

    step: int
    inputs: tuple[int, ...]
    output: int
    modules: tuple[nn.Module, ...]
    pending: bool

    def module(self, turn: int) -> nn.Module:
        """The module of a pass; all passes share the last one where there are fewer modules."""
        return self.modules[min(turn, len(self.modules) - 1)]


class Model(nn.Module):
    """A compiled network. `model(data)` gives the target.

    Attributes
    ----------
    graph, hyperparameters, source_widths, target_width
        The arguments that it was compiled from. With the state dict they suffice to build it again.
    """

    def __init__(
        self,
        graph: ComputationGraph,
        hyperparameters: Mapping[str, Any],
        source_widths: Mapping[str, int],
        target_width: TargetWidth = 1,
    ) -> None:
        super().__init__()
        self.graph = graph
        self.hyperparameters = dict(hyperparameters)
        self.source_widths = dict(source_widths)
        self.target_width = target_width
        self._shapes = shapes(graph, hyperparameters, source_widths, target_width)
        self._calls = _calls(self)
        self._last = _last_uses(graph)

    def forward(self, data: Any, passes: bool = False) -> Any:
        """Run the network on one graph or a batch of graphs.

        Parameters
        ----------
        data : HitGraph, torch_geometric.data.Data or Batch
            Data with the fields of the graph's sources.
        passes
            True: return the target of each pass of the last loop, in order, instead of the last one only.

        Returns
        -------
        Tensor [rows of the target's domain, target_width], or [rows] when the target has one channel; a tuple of
        them for several targets. With `passes` a list of these.

        Raises
        ------
        InputError
            A field is missing, has a wrong width or number of rows, or an index points outside.
        TrialError
            A step fails; the message names it and the shapes of its inputs.
        """
        run = ForwardPass(Topology(data))
        table = {value: self._source(value, run.topology) for value in sorted(read_sources(self.graph))}
        glimpses: list[Any] = []
        # With `passes`, the last loop gets the steps behind it: they turn the values of each pass into targets.
        schedule = self.graph.schedule
        last_loop = max((i for i, item in enumerate(schedule) if isinstance(item, Loop)), default=-1)
        for place, item in enumerate(schedule):
            if isinstance(item, int):
                self._step(item, table, run, 0)
            else:
                tail = schedule[place + 1 :] if passes and place == last_loop else None
                self._loop(item, table, run, glimpses, tail)
            # Frees memory in evaluation; in training autograd holds what it needs.
            for value in self._last.get(place, ()):
                table.pop(value, None)
        result = self._targets(table)
        return [*glimpses, result] if passes else result

    def _source(self, value: int, topology: Topology) -> Value:
        kind, shape = self.graph.type_of(value), self._shapes[value]
        rows = getattr(topology.data, kind.field or kind.name, None)
        name = f"data.{kind.field or kind.name}"
        if not isinstance(rows, Tensor):
            expected = f"[rows, {shape.width}], for source {kind.name} of this network reads it"
            raise InputError(f"{name}: is missing; allowed: {expected}")
        if rows.dim() == 1:
            rows = rows.unsqueeze(1)
        if rows.dim() != 2 or rows.shape[1] != shape.width:
            raise InputError(f"{name}: has width {list(rows.shape[1:])}; this network was made for width {shape.width}")
        if rows.shape[0] != topology.rows(shape.domain):
            raise InputError(f"{name}: has {rows.shape[0]} rows for {topology.rows(shape.domain)} {shape.domain}s")
        if not rows.is_floating_point():
            raise InputError(f"{name}: is {rows.dtype}; allowed: floating point numbers")
        return Value.of(rows)

    def _step(self, index: int, table: Table, run: ForwardPass, turn: int) -> None:
        call = self._calls[index]
        values = [table[value] for value in call.inputs]
        try:
            shape = self._shapes[call.output]
            value = apply(call.module(turn), values, run, call.pending, shape.domain == POOLED)
            _check_shape(value, shape, run.topology)
            table[call.output] = value
        except ArchiOpTrXError:
            raise
        except RAISED_BY_CALL as error:
            raise TrialError(self._failure(call, error)) from error

    def _failure(self, call: PlannedStep, error: BaseException) -> str:
        step, names = self.graph.steps[call.step], self.graph.values
        text = f"{names[call.output]} = {step.function}({', '.join(names[v] for v in call.inputs)})"
        shapes = ", ".join(f"{names[v]} {self._shapes[v].domain} [{self._shapes[v].width}]" for v in call.inputs)
        out = self._shapes[call.output]
        return (
            f"step {text}, block {step.block}: {error_text(error)}; inputs {shapes}; output {out.domain} [{out.width}]"
        )

    def _loop(
        self, loop: Loop, table: Table, run: ForwardPass, glimpses: list[Any], tail: Sequence[int | Loop] | None
    ) -> None:
        """Run a loop; with a tail, also the steps behind it after each pass but the last, for the targets there.

        Invariants: in a forward half every head holds its value of this pass (in pass 0 from its step in `once` on);
        `changing` covers all that a pass overwrites, so that products of other pieces may be computed once
        (`ForwardPass.hoist`).
        """
        changing = {self._calls[i].output for i in (*loop.forward, *loop.back)} | {head for head, _ in loop.heads}
        run.enter(id(piece) for value in table if value not in changing for piece in table[value].pieces)
        for turn in range(loop.iterations + 1):
            if turn:
                # The way back of the pass before, hence turn - 1. The first run of a step of `once` makes the first
                # value of a head, and would later overwrite what the back edge carries; a step on the way back runs
                # first at turn 1, one of the forward half at turn 0.
                self._pass(loop.back, loop.once if turn > 1 else (), table, run, turn - 1)
                # All heads together: a carried value may itself be a head, whose old value is meant.
                table.update({head: table[value] for head, value in loop.heads})
            self._pass(loop.forward, loop.once if turn else (), table, run, turn)
            if tail is not None and turn < loop.iterations:
                glimpses.append(self._glimpse(table, run, tail))
        run.leave()

    def _pass(self, steps: Iterable[int], done: Sequence[int], table: Table, run: ForwardPass, turn: int) -> None:
        """Run the steps of one half of a loop, except those in `done`."""
        for index in steps:
            if index not in done:
                self._step(index, table, run, turn)

    def _glimpse(self, table: Table, run: ForwardPass, tail: Sequence[int | Loop]) -> Any:
        """The targets as they would be if the loop ended now. The table stays as it is: the loop goes on."""
        copy = dict(table)
        for item in tail:
            assert isinstance(item, int)  # the tail follows the last loop
            self._step(item, copy, run, 0)
        return self._targets(copy)

    def _targets(self, table: Table) -> Any:
        targets = []
        for target in self.graph.targets:
            rows = table[target].tensor()
            targets.append(rows.squeeze(1) if rows.shape[1] == 1 else rows)
        return targets[0] if len(targets) == 1 else tuple(targets)


def _check_shape(value: Value, shape: Shape, topology: Topology) -> None:
    """Raise TypeError where a value has another shape than the block's signature and the graph give."""
    width, rows = value.width, value.pieces[0].rows.shape[0]
    # How many rows a smaller graph has is up to the block that makes it.
    if width != shape.width or (shape.domain != POOLED and rows != topology.rows(shape.domain)):
        allowed = "rows" if shape.domain == POOLED else topology.rows(shape.domain)
        raise TypeError(f"gives [{rows}, {width}]; allowed: [{allowed}, {shape.width}]")


def _calls(model: Model) -> list[PlannedStep]:
    """Plan each step: build its modules, or take those of a step with the same weights; mark pending layers."""
    graph, names = model.graph, weight_names(model.graph)
    pending = pending_steps(graph, model._shapes, model.hyperparameters)
    shared: dict[str, tuple[Any, tuple[nn.Module, ...]]] = {}
    calls = []
    for index, step in enumerate(graph.steps):
        recipe = _recipe(model, index)
        if step.weights in shared:
            form, modules = shared[step.weights]
            if form != _form(recipe):
                fault = f"{step.function}: shares the weights {step.weights} with a step of another form"
                raise GraphError(f"{fault}\n{graph}")
        else:
            modules = tuple(_built(model, index, recipe) for _ in range(max(1, len(names[index]))))
            _register(model, step, names[index], modules)
            if step.weights:
                shared[step.weights] = (_form(recipe), modules)
        calls.append(PlannedStep(index, step.inputs, index + len(graph.sources), modules, index in pending))
    return calls


def _recipe(model: Model, index: int) -> Recipe:
    """Block, shapes and parameters of a step, from which `build` makes its module."""
    graph, step = model.graph, model.graph.steps[index]
    inputs = tuple(model._shapes[value] for value in step.inputs)
    return step.block, inputs, model._shapes[index + len(graph.sources)], bound_parameters(step, model.hyperparameters)


def _form(recipe: Recipe) -> Any:
    block, inputs, output, parameters = recipe
    return block, list(inputs), output, parameters


def _built(model: Model, index: int, recipe: Recipe) -> nn.Module:
    """The module of a step, with as many parameters as its signature counts.

    Raises
    ------
    GraphError
        A block can't be made, or its `count` is wrong: a search would use wrong numbers.
    """
    step = model.graph.steps[index]
    try:
        module = build(*recipe)
    except ArchiOpTrXError:
        raise
    except RAISED_BY_CALL as error:  # a user's block may do anything
        fault = f"{step.function}: block {step.block} can't be made: {error_text(error)}"
        raise GraphError(" ".join(fault.split())) from error
    counted = block_parameters(step.signature, *recipe[1:])
    if counted is None:
        return module
    actual = sum(parameter.numel() for parameter in module.parameters())
    if counted != actual:
        raise GraphError(f"{step.function}: block {step.block} has {actual} parameters, but its count gives {counted}")
    return module


def _register(model: Model, step: Step, names: Sequence[str], modules: Sequence[nn.Module]) -> None:
    """Make the modules part of the model under the names of their weights; a dot in a name makes a level.

    They go to `_modules` directly, since a function may be called `train`, `graph` or anything else that an attribute
    of a module is called.
    """
    if not names and any(True for module in modules for _ in module.parameters()):
        fault = f"{step.function}: {step.block} has parameters, but the step names no weights; allowed: a name of them"
        raise GraphError(f"{fault}\n{model.graph}")
    for name, module in zip(names, modules, strict=False):
        owner: nn.Module = model
        *levels, last = name.split(".")
        for level in levels:
            owner = owner._modules.setdefault(level, nn.Module()) or owner
        if last in owner._modules:
            raise GraphError(f"{step.function}: the name of its weights, {name}, is taken\n{model.graph}")
        owner._modules[last] = module


def _last_uses(graph: ComputationGraph) -> dict[int, tuple[int, ...]]:
    """Values that no later entry reads, for each entry of the schedule, targets excluded.

    A loop is one entry: a value that any of its passes reads stays until the loop has ended.
    """
    last: dict[int, int] = {}
    count = len(graph.sources)
    for place, item in enumerate(graph.schedule):
        steps = [item] if isinstance(item, int) else [*item.forward, *item.back]
        heads = () if isinstance(item, int) else item.heads
        touched = [v for i in steps for v in (*graph.steps[i].inputs, i + count)]
        last.update(dict.fromkeys([*touched, *(v for pair in heads for v in pair)], place))
    unread: dict[int, tuple[int, ...]] = {}
    for value, place in last.items():
        if value not in graph.targets:
            unread[place] = (*unread.get(place, ()), value)
    return unread


def compile_model(
    graph: ComputationGraph,
    hyperparameters: Mapping[str, Any],
    source_widths: Mapping[str, int],
    target_width: TargetWidth = 1,
) -> Model:
    """Build the network of a computation graph, with fresh weights from torch's global generator.

    Parameters
    ----------
    graph
    hyperparameters
        A value for each hyperparameter that the graph names.
    source_widths
        Channels of each source, by the name of its data node.
    target_width
        Channels that the task needs; a mapping by data node where there are several targets.

    Raises
    ------
    GraphError
        A block doesn't accept its inputs.
    InputError
        A hyperparameter or a source's width is missing.
    """
    graph.check_types()
    return Model(graph, hyperparameters, source_widths, target_width)


def source_widths(graph: ComputationGraph, metadata: Metadata) -> dict[str, int]:
    """Width of each source of a computation graph in a data set.

    Raises
    ------
    InputError
        The data set lacks a field that a source reads.
    """
    widths = metadata.widths
    types = {data_type.name: data_type for data_type in graph.types}
    missing = [name for name in graph.sources if types[name].field not in widths]
    if missing:
        raise InputError(
            *(
                f"source {name}: the data set {metadata.source} has no {types[name].field}; allowed: "
                + ", ".join(sorted(widths))
                for name in missing
            )
        )
    return {name: widths[str(types[name].field)] for name in graph.sources}
