"""Layer of a sketch: its keys, read and checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from archioptrx.core.config import Fields
from archioptrx.core.errors import did_you_mean
from archioptrx.graphs.literals import frozen
from archioptrx.graphs.signatures import SIGNATURES, Hyperparameter
from archioptrx.graphs.sketches.methods import (
    SHORTCUTS,
    SMALLER,
    SOURCES,
    TYPES,
    convolution_fault,
    is_of_library,
    pooling_fault,
)


@dataclass(frozen=True)
class Perceptron:
    """The `mlp` of a layer.

    Attributes
    ----------
    sizes
        Channels of the layers before the last; None: as many as `params` or the default say.
    params
        Sorted pairs of parameters of the block `mlp`; a value is a literal or a Hyperparameter.
    """

    sizes: tuple[int, ...] | None = None
    params: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class SketchLayer:
    """One named layer. Wherever its name stands in a pipeline it has the same weights.

    Attributes
    ----------
    name, type
        `node` (one row for each hit), `edge` (doublet) or `graph` (event).
    convolution, of, arguments
        The method, the layer or source that it names, options of a class of torch_geometric.nn.
    pooling, options
        Method and its options. Of a node layer with `topk`, `edge` or `diff`: the way to a smaller graph of the result.
        Of another node layer, or an edge layer: the way in which others take its values to a lower rung.
    mlp
        Perceptron of the layer; None: there is none.
    features
        Further values that it reads: sources, layers, or `node`, `edge`, `graph` (the present value of that type).
        Without a convolution they stand in place of the present value.
    width
        Channels of the result; None: by the rule of `network`.
    """

    name: str
    type: str
    convolution: str | None = None
    of: str | None = None
    arguments: tuple[tuple[str, Any], ...] = ()
    pooling: str | None = None
    options: tuple[tuple[str, Any], ...] = ()
    mlp: Perceptron | None = None
    features: tuple[str, ...] = ()
    width: int | Hyperparameter | None = None


def parse_layer(fields: Fields, name: str) -> SketchLayer:
    """Read a layer; names of other layers in it are checked by `reference_faults`."""
    kind = fields.take("type", str, choices=TYPES)
    width = fields.take("width", (int, dict), None, minimum=1)
    layer = SketchLayer(
        name,
        kind or "node",
        *(_convolution(fields, kind) if kind else (None, None, ())),
        *(_pooling(fields, kind) if kind else (None, ())),
        mlp=_perceptron(fields),
        features=_features(fields),
        width=_symbol(Fields({}, fields.at("width"), fields.faults), width),
    )
    fields.taken += ["convolution", "pooling"]
    fields.rest()
    if layer.convolution == "attention" and layer.mlp is None:
        fields.fault("mlp", "is missing, and an attention has one; allowed: mlp: true, the usual one, or a mapping")
    return layer


def reference_faults(layer: SketchLayer, layers: Mapping[str, SketchLayer]) -> Iterator[tuple[str, str]]:
    """Key and fault, where a layer names one that is missing or has another type."""
    types = {name: kind for name, (kind, _) in SOURCES.items()} | {other.name: other.type for other in layers.values()}
    if layer.of is not None:
        candidates = [name for name in types if types[name] in _readable(layer)]
        if layer.convolution == "attention":
            candidates = [name for name in candidates if name in layers]
        if layer.of not in candidates:
            yield "convolution", f"{layer.convolution} names {layer.of!r}; {did_you_mean(layer.of, candidates)}"
    for name in layer.features:
        if name not in types and name not in TYPES:
            yield "features", f"has {name!r}; {did_you_mean(name, [*types, *TYPES])}"


def _readable(layer: SketchLayer) -> tuple[str, ...]:
    """Types of the layers that its convolution may name."""
    if layer.convolution in SHORTCUTS or layer.convolution == "unpool":
        return (layer.type,)
    return ("edge",) if layer.type == "node" else ("node",) if layer.type == "edge" else ("node", "edge")


def _method(fields: Fields, key: str) -> tuple[str, Any] | None:
    """A method and its options: `METHOD` or `{METHOD: …}`."""
    value = fields.content.get(key)
    if value is None:
        return None
    if isinstance(value, str):
        return value, None
    if isinstance(value, Mapping) and len(value) == 1:
        method, rest = next(iter(value.items()))
        return str(method), rest
    fields.fault(key, f"is {value!r}; allowed: one method, or a mapping of one, such as {{attention: edgenet}}")
    return None


def _convolution(fields: Fields, kind: str) -> tuple[str | None, str | None, tuple[tuple[str, Any], ...]]:
    """Method, the layer that it names, options of a class of torch_geometric.nn."""
    parsed = _method(fields, "convolution")
    if parsed is None:
        return None, None, ()
    method, rest = parsed
    if fault := convolution_fault(kind, method):
        fields.fault("convolution", fault)
        return None, None, ()
    if kind == "node" and is_of_library(method):
        if rest is not None and not isinstance(rest, Mapping):
            fields.fault(
                "convolution", f"{method} has {rest!r}; allowed: its arguments as a mapping, such as {{heads: 4}}"
            )
            return method, None, ()
        return method, None, frozen(rest or {})
    if method == "attention" and rest is None:
        fields.fault(
            "convolution", "is an attention to nothing; allowed: {attention: NAME} with the name of an edge layer"
        )
    if rest is not None and not isinstance(rest, str):
        fields.fault("convolution", f"{method} has {rest!r}; allowed: the name of a layer")
        return method, None, ()
    if method == "unpool" and rest is not None:
        fields.fault("convolution", f"unpool has {rest!r}; allowed: nothing, it leads back from the pooled hits")
    return method, rest, ()


def _pooling(fields: Fields, kind: str) -> tuple[str | None, tuple[tuple[str, Any], ...]]:
    parsed = _method(fields, "pooling")
    if parsed is None:
        return None, ()
    method, rest = parsed
    if fault := pooling_fault(kind, method):
        fields.fault("pooling", fault)
        return None, ()
    options = Fields({} if rest is None else rest, fields.at("pooling"), fields.faults)
    known = {p.name: p for p in SIGNATURES["pool"].parameters if p.name in SMALLER.get(method, ())}
    return method, _parameters(options, known)


def _perceptron(fields: Fields) -> Perceptron | None:
    """`true` or nothing after the key, `false`, a number of layers, sizes of the layers before the last, parameters."""
    value = fields.take("mlp", (bool, int, list, dict, type(None)), False)
    if value is False:
        return None
    if value is None or value is True:
        return Perceptron()
    if isinstance(value, list):
        if not all(isinstance(size, int) and not isinstance(size, bool) and size > 0 for size in value):
            fields.fault("mlp", f"is {value!r}; allowed: whole numbers from 1, channels of the layers before the last")
            return Perceptron()
        return Perceptron(tuple(value))
    known = {p.name: p for p in SIGNATURES["mlp"].parameters}
    inner = Fields(value if isinstance(value, dict) else {"layers": value}, fields.at("mlp"), fields.faults)
    return Perceptron(None, _parameters(inner, known))


def _parameters(fields: Fields, known: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    """Parameters of a block, each a literal or `{hyperparameter: NAME}`."""
    parameters = []
    for key, value in fields.content.items():
        if key not in known:
            fields.fault(key, f"is unknown; {did_you_mean(key, known)}")
            continue
        read = _symbol(fields, value)
        if not isinstance(read, Hyperparameter) and (fault := known[key].fault(read)):
            fields.fault(key, fault)
            continue
        parameters.append((key, read))
    return tuple(sorted(parameters))


def _symbol(fields: Fields, value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inner = Fields(value, fields.place, fields.faults)
    name = inner.take("hyperparameter", str)
    inner.rest()
    return Hyperparameter(str(name))


def _features(fields: Fields) -> tuple[str, ...]:
    names = fields.take("features", list, [])
    if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        fields.fault("features", f"is {names!r}; allowed: a list of different names, of sources and layers")
        return ()
    return tuple(names)
