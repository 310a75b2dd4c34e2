"""Forms of a computation graph: the text that a person would write, and plain data for JSON and YAML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from archioptrx.core.config import Fields
from archioptrx.core.errors import GraphError, InputError, did_you_mean
from archioptrx.function_graph import _symbol, _symbol_form, frozen
from archioptrx.signatures import DOMAINS, SIGNATURES, Hyperparameter, Width

if TYPE_CHECKING:
    from archioptrx.computation_graph import ComputationGraph, Loop, Step


def graph_to_text(graph: ComputationGraph) -> str:
    """One line a step: result, function, type, literal parameters that aren't defaults, the name of shared weights.

    A loop's steps are indented under its heads.

    ::

        x0 = encode(hits)                    node [hidden]
        5 passes, x0 <- x1 between:
          xs0    = shortcut(x0, hits)        node [hidden + hits]
          score0 = edge_net(xs0)             edge [target]
          x1     = attend(xs0, score0)       node [hidden], not in the last pass
        -> score0
    """
    names = graph.values
    rows: list[tuple[str, str, str, str]] = []  # indent, name, call, type
    for item in graph.schedule:
        if isinstance(item, int):
            rows.append(("", *_line(graph, item)))
            continue
        heads = ", ".join(f"{names[head]} <- {names[carried]}" for head, carried in item.heads)
        rows.append(("", f"{item.iterations + 1} passes, {heads} between:", "", ""))
        for index in _in_order(item):
            name, call, kind = _line(graph, index)
            when = ", first pass only" if index in item.once else ", not in the last pass" if index in item.back else ""
            rows.append(("  ", name, call, kind + when))
    left = {pad: max((len(name) for p, name, call, _ in rows if p == pad and call), default=0) for pad in ("", "  ")}
    lines = [(f"{pad}{name:{left[pad]}} = {call}" if call else name, kind) for pad, name, call, kind in rows]
    width = max(len(text) for text, kind in lines if kind) + 4
    body = [f"{text:{width}}{kind}" if kind else text for text, kind in lines]
    return "\n".join([*body, "-> " + ", ".join(names[target] for target in graph.targets)])


def _in_order(loop: Loop) -> list[int]:
    return sorted((*loop.forward, *loop.back))


def _line(graph: ComputationGraph, index: int) -> tuple[str, str, str]:
    step, names = graph.steps[index], graph.values
    inputs = ", ".join(names[value] for value in step.inputs)
    kind, defaults = graph.type[step.type], step.signature.complete({})
    told = [(k, v) for k, v in step.params if not isinstance(v, Hyperparameter) and v != defaults.get(k)]
    note = "".join(f", {key}={_symbol_form(value)}" for key, value in told)
    note += f", weights {step.weights}" if _shared(graph, step) else ""
    return names[len(graph.sources) + index], f"{step.function}({inputs})", f"{kind.domain} [{kind.width}]{note}"


def _shared(graph: ComputationGraph, step: Step) -> bool:
    return bool(step.weights) and sum(other.weights == step.weights for other in graph.steps) > 1


def graph_to_dict(graph: ComputationGraph) -> dict[str, Any]:
    """Plain data, readable and complete."""
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
        row |= {"params": {k: _symbol_form(v) for k, v in step.params}} if step.params else {}
        row |= {"weights": step.weights} if step.weights else {}
        row |= {"per_pass": True} if step.per_pass else {}
        steps.append(row)
    back = [{"carried": names[e.carried], "head": names[e.head], "iterations": e.iterations} for e in graph.back_edges]
    form: dict[str, Any] = {"types": types, "sources": list(graph.sources), "steps": steps}
    return form | ({"back_edges": back} if back else {}) | {"targets": [names[target] for target in graph.targets]}


def graph_from_dict(content: Mapping[str, Any], place: str) -> ComputationGraph:
    """Read plain data back, checked like any file of a user's: all faults, one line each."""
    from archioptrx.computation_graph import BackEdge, ComputationGraph, DataType

    faults: list[str] = []
    top = Fields(content, place, faults)
    section, types = top.inside("types"), []
    for name in section.content:
        fields = section.inside(name)
        domain, width = fields.take("domain", str, choices=DOMAINS), fields.take("width", dict)
        types.append(DataType(name, domain or "node", Width.from_json(width or {}), fields.take("field", str, None)))
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
        raise InputError(f"{place}: {error.faults[0].splitlines()[0]}") from error
    return graph


def _parse_step(fields: Fields, numbers: dict[str, int], types: set[str]) -> Step:
    from archioptrx.computation_graph import Step

    name, kind = fields.take("value", str), fields.take("type", str, choices=types)
    inputs = [_number(fields, "inputs", value, numbers) for value in fields.take("inputs", list) or []]
    if name in numbers:
        fields.fault("value", f"is {name!r}, which stands for an earlier value; legal: a new name")
    params = fields.inside("params", {})
    pairs = sorted((key, frozen(_symbol(value, params, key))) for key, value in params.content.items())
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
