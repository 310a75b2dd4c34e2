"""Shapes of values and parameters of steps, with numbers in place of symbols. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from archioptrx.core.errors import GraphError, InputError, did_you_mean
from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.graphs.literals import thawed
from archioptrx.graphs.signatures import Hyperparameter, Kind, Shape, Signature
from archioptrx.graphs.steps import Step

Shapes = list[Shape]
"""The shape of each value."""
TargetWidth = int | Mapping[str, int]
"""Number of channels that a task needs; with several targets one number for each, by the name of its data node."""


def shapes(
    graph: ComputationGraph,
    hyperparameters: Mapping[str, Any],
    source_widths: Mapping[str, int],
    target_width: TargetWidth = 1,
) -> Shapes:
    """Domain and width of each value; a source that no step reads has width 0.

    Parameters
    ----------
    graph
        The computation graph.
    hyperparameters
        Values of the hyperparameters; a whole number for each that is a width.
    source_widths
        Number of channels of each source in the data set, by the name of its data node.
    target_width
        Number of channels that the task needs.

    Raises
    ------
    InputError
        A symbol has no value.
    GraphError
        Two symbols have the same name.
    """
    symbols = {**target_symbols(target_width), **source_widths, **hyperparameters}
    clash = (set(source_widths) & set(hyperparameters)) | ({"target"} & (set(source_widths) | set(hyperparameters)))
    if clash:
        raise GraphError(f"{min(clash)}: is the name of both a width and a hyperparameter; allowed: different names")
    read = read_sources(graph)
    missing = [name for value, name in enumerate(graph.sources) if value in read and name not in source_widths]
    if missing:
        raise InputError(f"source {missing[0]}: its width is unknown; {did_you_mean(missing[0], source_widths)}")
    idle = set(range(len(graph.sources))) - read
    kinds = [graph.type_of(value) for value in range(len(graph.values))]
    return [Shape(kind.domain, 0 if value in idle else kind.width.bind(symbols)) for value, kind in enumerate(kinds)]


def target_symbols(target_width: TargetWidth) -> dict[str, int]:
    """Values of `target` and `target.NAME`; `target` has none where several targets differ in width.

    >>> target_symbols(2), target_symbols({"score": 1, "parameters": 3})
    ({'target': 2}, {'target.score': 1, 'target.parameters': 3})
    """
    if isinstance(target_width, int):
        return {"target": target_width}
    common = set(target_width.values())
    alone = {"target": min(common)} if len(common) == 1 else {}
    return alone | {f"target.{name}": width for name, width in target_width.items()}


def read_sources(graph: ComputationGraph) -> set[int]:
    """Numbers of the sources that a step reads; a network needs no others."""
    return {value for step in graph.steps for value in step.inputs if value < len(graph.sources)}


def bound_parameters(step: Step, hyperparameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of a step that have an effect, with values in place of hyperparameters.

    Raises
    ------
    InputError
        A hyperparameter has no value, or a value that the block doesn't allow.
    """
    complete = step.all_params
    idle = set(step.signature.irrelevant(_bound(complete, hyperparameters)))
    bound = _bound({k: v for k, v in complete.items() if k not in idle}, hyperparameters)
    for parameter in step.signature.parameters:
        value = bound.get(parameter.name)
        if isinstance(value, Hyperparameter):
            allowed = did_you_mean(value.name, hyperparameters)
            raise InputError(f"{step.function}: {parameter.name}: hyperparameter {value.name} has no value; {allowed}")
        if parameter.name in bound and (fault := parameter.fault(value)):
            raise InputError(f"{step.function}: {parameter.name} {fault}")
    return bound


def faults_at(
    signature: Signature,
    inputs: Sequence[Kind],
    output: Kind,
    parameters: Mapping[str, Any],
    values: Mapping[str, Any],
) -> list[str]:
    """Faults of a step that show when some symbols have values: of hyperparameters, then of widths and parameters.

    Parameters
    ----------
    inputs, output
        Domains and symbolic widths.
    parameters
        Parameters that are given.
    values
        Values of symbols, not necessarily of all.
    """
    complete = signature.complete(parameters)
    idle = set(signature.irrelevant(_bound(complete, values)))
    faults = []
    for parameter in signature.parameters:
        given = complete[parameter.name]
        if isinstance(given, Hyperparameter) and given.name in values and parameter.name not in idle:
            fault = parameter.fault(values[given.name])
            faults += [f"{parameter.name} {fault}"] if fault else []
    numbers = {name: value for name, value in values.items() if type(value) is int}
    kinds = [Kind(kind.domain, kind.width.known(numbers)) for kind in (*inputs, output)]
    return faults or signature.faults_of(kinds[:-1], kinds[-1], _bound(complete, values))


def step_kinds(graph: ComputationGraph, step: Step) -> tuple[Kind, ...]:
    """Domains and symbolic widths of a step's inputs, then those of its output."""
    types = [*(graph.type_of(value) for value in step.inputs), graph.type[step.type]]
    return tuple(Kind(kind.domain, kind.width) for kind in types)


def value_faults(graph: ComputationGraph, values: Mapping[str, Any]) -> list[str]:
    """Faults of a network's steps that show when some symbols have these values."""
    names, faults = graph.values[len(graph.sources) :], []
    for step, name in zip(graph.steps, names, strict=True):
        kinds = step_kinds(graph, step)
        own = faults_at(step.signature, kinds[:-1], kinds[-1], dict(step.params), values)
        faults += [f"{name} = {step.function}: {fault}" for fault in own]
    return faults


def _bound(parameters: Mapping[str, Any], hyperparameters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: thawed(_value(value, hyperparameters)) for name, value in parameters.items()}


def _value(value: Any, hyperparameters: Mapping[str, Any]) -> Any:
    return hyperparameters.get(value.name, value) if isinstance(value, Hyperparameter) else value


def weight_names(graph: ComputationGraph) -> list[tuple[str, ...]]:
    """Names of the weights of each step: one name, one for each pass where passes have their own weights, or ().

    A name is the prefix of the weights' keys in the state dict of the network.
    """
    names: list[tuple[str, ...]] = []
    first: dict[str, tuple[str, ...]] = {"": ()}
    for index, step in enumerate(graph.steps):
        number = graph.passes[index]
        own = tuple(f"{step.weights}.{turn}" for turn in range(number)) if step.per_pass and number > 1 else None
        # The first step of a name makes the weights; one outside its loop, or with other passes, shares them.
        names.append(first.setdefault(step.weights, own or (step.weights,)))
    return names
