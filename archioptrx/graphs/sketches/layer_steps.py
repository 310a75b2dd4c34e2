"""One layer of a sketch as steps: convolution, then perceptron, then pooling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from archioptrx.core.errors import InputError
from archioptrx.graphs.signatures import SIGNATURES, Hyperparameter, Width
from archioptrx.graphs.sketches.layer import Perceptron, SketchLayer
from archioptrx.graphs.sketches.methods import ABOVE, AGGREGATIONS, INPUT, SHORTCUTS, SMALLER, is_of_library
from archioptrx.graphs.sketches.state import Held, State

HIDDEN, ACTIVATION, DEPTH = (Hyperparameter(name) for name in ("hidden", "activation", "depth"))


@dataclass(frozen=True)
class Role:
    """Use of a layer's result.

    Attributes
    ----------
    width
        Channels: those of the task's target, 1 where it weights an attention, else the layer's own or `hidden`.
    logits
        True: no activation after the last layer.
    """

    width: Width
    logits: bool


def role_of(layer: SketchLayer, target: str, logits: frozenset[str]) -> Role:
    """Width of a layer's result, and whether it has logits."""
    if layer.name == target:
        return Role(Width.of("target"), True)
    if layer.name in logits:
        return Role(Width.of(1), True)
    return Role(Width.of(HIDDEN if layer.width is None else layer.width), False)


def run_layer(layer: SketchLayer, role: Role, state: State) -> None:
    """Add the steps of a layer; its result is the present value of its type, and the last one of its name."""
    inputs = _inputs(layer, role, state)
    if layer.convolution == "attention":
        value = _chain(layer, role, state, "attention", inputs)
    elif layer.mlp is not None:
        value = _chain(layer, role, state, "mlp", inputs)
    else:
        value = _joined(layer, state, inputs, part="")
    if layer.pooling in SMALLER:
        params = {"method": layer.pooling, **dict(layer.options)}
        part = "pooling" if _parts(layer) > 1 else ""
        value = state.step(layer.name, "pool", (value,), ("pooled", state.kind(value)[1]), params, part)
    held = Held(value, layer.pooling if layer.pooling and layer.pooling not in SMALLER else "agg")
    state.values[layer.type] = state.values[layer.name] = held


def _parts(layer: SketchLayer) -> int:
    """Number of a layer's parts that may have weights."""
    sizes = layer.mlp.sizes if layer.mlp else None
    chain = 0 if layer.mlp is None else len(sizes) + 1 if sizes and len(set(sizes)) > 1 else 1
    own = layer.convolution == "shortcut_gru" or is_of_library(layer.convolution or "")
    return chain + (layer.pooling in SMALLER) + own


def _inputs(layer: SketchLayer, role: Role, state: State) -> tuple[int, ...]:
    """Values that the perceptron reads, after the convolution."""
    name, method = layer.name, layer.convolution
    features = [state.read(name, feature) for feature in layer.features]
    if method is None:
        return _lifted(layer, features or [state.read(name, layer.type)], state)
    if method == "end_concatenation":
        first = [state.read(name, "node").value]
    elif method in SHORTCUTS:
        first = _shortcut(layer, SHORTCUTS[method], state)
    elif method in AGGREGATIONS.get(layer.type, ()):
        first = _aggregation(layer, method, state)
    elif method == "attention":
        assert layer.of is not None  # the parser asks for it
        own = _joined(layer, state, (state.read(name, "node").value, *_lifted(layer, features, state)))
        return own, state.read(name, layer.of).value
    elif method == "unpool":
        value = state.read(name, "node").value
        first = [state.step(name, "unpool", (value,), ("node", None), part="unpool")]
    else:
        return (_library(layer, role, state, features),)
    return (*first, *_lifted(layer, features, state))


def _domain(layer: SketchLayer, state: State) -> str:
    """Domain of the result: the pooled graph if the present hits lie on it."""
    if layer.type != "node" or layer.convolution == "unpool":
        return layer.type
    return state.kind(state.values["node"].value)[0]


def _lifted(layer: SketchLayer, features: list[Held], state: State) -> tuple[int, ...]:
    return tuple(state.lifted(layer.name, held, _domain(layer, state)) for held in features)


def _shortcut(layer: SketchLayer, block: str, state: State) -> list[int]:
    """The present value with an earlier one: side by side, the sum, or the earlier one updated by gates."""
    if layer.of is None and layer.type not in INPUT:
        raise InputError(
            f"{state.place}: architecture.{layer.name}.convolution: a graph has no input; "
            f"allowed: {{{layer.convolution}: NAME}} with the name of a graph layer"
        )
    own = state.read(layer.name, layer.type).value
    other = state.read(layer.name, layer.of or INPUT[layer.type]).value
    if block == "concat":
        return [own, other]
    part = "" if _parts(layer) < 2 else "gate"
    domain, width = state.kind(other)
    return [state.step(layer.name, block, (own, other), (domain, width), part=part if block == "gru" else "sum")]


def _aggregation(layer: SketchLayer, method: str, state: State) -> list[int]:
    """A hit's present value beside the pooled ones of the rung above; of an event the pooled ones."""
    held = state.read(layer.name, layer.of or ABOVE[layer.type])
    value = state.aggregated(layer.name, held, held.pooling if method == "agg" else method, _domain(layer, state))
    return [state.values["node"].value, value] if layer.type == "node" else [value]


def _library(layer: SketchLayer, role: Role, state: State, features: list[Held]) -> int:
    """A convolution of torch_geometric.nn on the present hits; edge features go to its edges.

    Parameters of the block `pyg`, such as `direction`, stand among the arguments of the class, which has none of them.
    """
    edges = [held.value for held in features if state.kind(held.value)[0] == "edge"]
    hits = [held.value for held in features if state.kind(held.value)[0] != "edge"]
    own = _joined(layer, state, (state.read(layer.name, "node").value, *hits))
    beside = (_joined(layer, state, tuple(edges), "edge"),) if edges else ()
    keys = {p.name for p in SIGNATURES["pyg"].parameters} - {"conv", "arguments"}
    arguments = tuple(pair for pair in layer.arguments if pair[0] not in keys)
    params = {"conv": layer.convolution, **{key: value for key, value in layer.arguments if key in keys}}
    params |= {"arguments": arguments} if arguments else {}
    part = "convolution" if _parts(layer) > 1 else ""
    return state.step(layer.name, "pyg", (own, *beside), (_domain(layer, state), role.width), params, part)


def _joined(layer: SketchLayer, state: State, inputs: tuple[int, ...], domain: str = "", part: str = "join") -> int:
    """Values side by side without weights; those of the event are given to each row."""
    domain = domain or _domain(layer, state)
    if len(inputs) == 1 and state.kind(inputs[0])[0] == domain:
        return inputs[0]
    rows = []
    for value in inputs:
        of, width = state.kind(value)
        spread = of == "graph" != domain
        rows.append(state.step(layer.name, "broadcast", (value,), (domain, width), part="spread") if spread else value)
        if of != domain and not spread:
            raise InputError(
                f"{state.place}: architecture.{layer.name}: {of} values don't become {domain} values by themselves; "
                "allowed: mlp: true"
            )
    return rows[0] if len(rows) == 1 else state.step(layer.name, "concat", tuple(rows), (domain, None), part=part)


def _chain(layer: SketchLayer, role: Role, state: State, block: str, inputs: tuple[int, ...]) -> int:
    """The perceptron: one step, or one for each layer where their sizes differ. An attention is its first layer."""
    mlp = layer.mlp or Perceptron()
    sizes, domain = mlp.sizes, _domain(layer, state)
    last = {} if role.logits else {"output_activation": ACTIVATION}
    several = _parts(layer) > 1
    if sizes is None or len(set(sizes)) < 2:
        params: dict[str, Any] = {"layers": 1 if layer.convolution is None else DEPTH, "activation": ACTIVATION}
        params |= last | dict(mlp.params)
        params |= {} if sizes is None else {"layers": len(sizes) + 1}
        params |= {"hidden": sizes[0]} if sizes else {}
        part = "mlp" if several else ""
        return state.step(layer.name, block, inputs, (domain, role.width), _plain(params), part)
    for number, size in enumerate(sizes):
        params = {"layers": 1, "output_activation": ACTIVATION}
        value = state.step(layer.name, block, inputs, (domain, Width.of(size)), params, f"mlp{number}")
        block, inputs = "mlp", (value,)
    return state.step(layer.name, "mlp", inputs, (domain, role.width), {"layers": 1, **last}, f"mlp{len(sizes)}")


def _plain(params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters without those that only further layers use."""
    return {k: v for k, v in params.items() if not (params["layers"] == 1 and k in ("activation", "hidden", "dropout"))}
