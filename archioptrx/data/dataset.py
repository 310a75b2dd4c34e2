"""A data set: graphs, the meaning of their numbers, and the division into training, validation and test."""

from __future__ import annotations

import hashlib
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from itertools import groupby
from numbers import Real
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from archioptrx.core.errors import InputError, faults_at
from archioptrx.data.copies import MOST_NAMED, copied, known_events, repetition
from archioptrx.data.doublets import EDGE_FEATURES, EDGE_SCALE, LEAST_STEP, baseline_probability, edge_features, wrapped
from archioptrx.data.doublets import SCALES as EDGE_SCALES
from archioptrx.data.event import PARTICLE_COLUMNS
from archioptrx.data.guard import INDICES, PARTICLE_OF, WHOLE, guarded
from archioptrx.data.hitgraph import HitGraph, sorted_graph, subgraph
from archioptrx.data.repairs import note
from archioptrx.data.sectors import EventSize
from archioptrx.data.storage.graph_views import changed, digests_of, facts_of, taken

MOST_SECTORS = 10**9
"""Upper limit of numbers of sectors: names of hits that a source doesn't name count on from sector to sector."""
MOST_COLUMNS = 10**6
"""Upper limit of the width of an embedding."""
MOST_COUNT = 2**63
"""Upper limit of counts and limits in the options of a source, which a changed file may exceed."""
CUT_SECTORS = 8
"""φ sectors that a whole event is cut into where a data set has fewer than three events."""
SCALES = {"x": "node_scale", "edge_attr": "edge_scale", "triplet_attr": "triplet_scale"}
"""Fields whose columns are scaled, and the metadata's field with their scale."""
SHARED = "shared_hits"
"""Name of a count of the building, where sectors of an event overlap: hits beyond their first sector."""
EVENTS, SECTORS = "events", "sectors"
NAMED = 2
"""Events of a part that the rule of a split names at most; of more, it names the first."""
AZIMUTHS = ("cluster_phi_1", "cluster_phi_2")
"""Names of further features of hits that are azimuths."""
_PHI = PARTICLE_COLUMNS.index("φ")
_GUARDED: WeakValueDictionary[int, HitGraph] = WeakValueDictionary()  # by id: graphs have no hash


@dataclass(frozen=True)
class Metadata:
    """Meaning of the numbers of a data set. It travels with a model.

    Attributes
    ----------
    source
        Name of the source that made the data set.
    node_features
        Names of the columns of `x`; the first three are r, φ, z.
    node_scale
        Physical unit of each column: x times scale is mm, rad, mm (φ: π / sectors).
    edge_features, edge_scale
        The same for `edge_attr`: mm, rad, mm, rad/mm, mm. Other features than those: see `doublets.edge_features`.
    sectors
        Number of φ sectors that an event was divided into; 1 means whole events, whose Δφ wraps around.
    triplet_features, triplet_scale
        The same for `triplet_attr`; empty where the graphs have no triplets.
    embedding
        Number of columns of `embedding`; 0 where the graphs have none.
    fitted_on
        Events on which an embedding in the graphs was fitted: a split makes them training events.
    options
        Options of the source, and its notes.
    own_units
        True: lengths are in units of the source's own, so that no bound in mm holds for hits (`bounds`), and `pos` may
        be in others than `x`. Only a source of your own sets it.
    """

    source: str
    node_features: tuple[str, ...] = ("r", "φ", "z")
    node_scale: tuple[float, ...] = (1000.0, math.pi, 1000.0)
    edge_features: tuple[str, ...] = EDGE_FEATURES
    edge_scale: tuple[float, ...] = EDGE_SCALE
    sectors: int = 1
    triplet_features: tuple[str, ...] = ()
    triplet_scale: tuple[float, ...] = ()
    embedding: int = 0
    fitted_on: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    own_units: bool = False

    def __post_init__(self) -> None:
        if fault := _kind_fault(self) or _options_fault(self.options):
            raise ValueError(fault)
        if self.node_features[:3] != ("r", "φ", "z"):
            raise ValueError(f"node_features begins with {self.node_features[:3]}; allowed: r, φ, z, …")
        for kind in ("node", "edge", "triplet"):
            names, scales = getattr(self, f"{kind}_features"), getattr(self, f"{kind}_scale")
            if len(names) != len(scales) or not all(0 < scale <= sys.float_info.max for scale in scales):
                raise ValueError(f"{kind}_scale is {scales}; allowed: one positive number for each of {names}")
        for name, least, most in (("sectors", 1, MOST_SECTORS), ("embedding", 0, MOST_COLUMNS)):
            if not least <= (number := getattr(self, name)) <= most:
                raise ValueError(f"{name} is {number!r:.100}; allowed: {least} … {most:,}")

    @property
    def least_step(self) -> float:
        """Least |Δr| of a divisor in features of edges.

        1 mm; a thousandth of the scale of r, which is the same for the usual scales, where lengths have another unit.
        """
        return self.node_scale[0] / 1000 if self.own_units else LEAST_STEP

    @property
    def widths(self) -> dict[str, int]:
        """Width of each field that a network may read; `pos` is in mm whatever the scales."""
        widths = {"x": len(self.node_features), "pos": 3, "edge_attr": len(self.edge_features)}
        widths |= {"triplet_attr": len(self.triplet_features), "embedding": self.embedding}
        return {field: width for field, width in widths.items() if width}

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON or YAML."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    def with_edge_features(self, names: Sequence[str]) -> Metadata:
        """The same with other edge features, of those that every source can give; without names the same."""
        if not names:
            return self
        return replace(self, edge_features=tuple(names), edge_scale=tuple(EDGE_SCALES[name] for name in names))

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Metadata:
        """Read what `to_dict` wrote."""
        fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in content.items()}
        return cls(**fields)


@dataclass(frozen=True)
class Splits:
    """Graphs for training, for choosing (validation) and for the final scores (test), and the rule that made them.

    `whole_validation` and `whole_test` say whether an event is in one part with all of its sectors; `caution`: a
    warning where the parts are too small for reliable scores or hold copies of each other's events, else empty;
    `test_metadata`: metadata of test events of
    another data set, before they were scaled, else None.
    """

    train: Sequence[HitGraph]
    validation: Sequence[HitGraph]
    test: Sequence[HitGraph]
    rule: str
    whole_validation: bool = True
    whole_test: bool = True
    caution: str = ""
    test_metadata: Metadata | None = None


@dataclass(frozen=True, eq=False)
class Dataset:
    """Graphs in the order of their names, with the meaning of their numbers. Cheap to pickle.

    The graphs are in memory (a tuple), or on disk and read one by one (`storage.StoredGraphs`).
    """

    graphs: Sequence[HitGraph]
    metadata: Metadata

    @property
    def events(self) -> tuple[str, ...]:
        """Names of the events, sorted."""
        return tuple(sorted({facts.event for facts in facts_of(self.graphs)}))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the content: graphs, scales and sectors; not of file names, options or the order of graphs."""
        metadata = self.metadata
        scales = (
            metadata.node_features,
            metadata.node_scale,
            metadata.edge_features,
            metadata.edge_scale,
            metadata.sectors,
        )
        digest = hashlib.sha256(repr(scales).encode())
        if metadata.triplet_features:
            digest.update(repr((metadata.triplet_features, metadata.triplet_scale)).encode())
        for of_graph in sorted(digests_of(self.graphs)):
            digest.update(of_graph)
        return digest.hexdigest()

    def scaled_like(self, metadata: Metadata) -> Dataset:
        """Express x, edge_attr and triplet_attr in another data set's scales, such as those of a model's training.

        Raises
        ------
        InputError
            The two have different features.
        """
        own = self.metadata
        for kind in ("node", "edge", "triplet"):
            names, allowed = (getattr(described, f"{kind}_features") for described in (own, metadata))
            if names != allowed:
                raise InputError(f"data: has the {kind}_features {_listed(names)}; allowed here: {_listed(allowed)}")
        factors = {
            field: torch.tensor(np.divide(getattr(own, scale), getattr(metadata, scale)), dtype=torch.float32)
            for field, scale in SCALES.items()
            if getattr(own, scale) != getattr(metadata, scale)
        }
        if not factors:
            return self
        graphs = changed(self.graphs, partial(_rescaled, factors=factors))
        return Dataset(graphs, replace(own, **{scale: getattr(metadata, scale) for scale in SCALES.values()}))

    def split(self, validation: float = 0.15, test: float | Dataset = 0.15, seed: int = 0, by: str = EVENTS) -> Splits:
        """Divide by event, or with fewer than three events by φ sector without the crossing edges.

        Parameters
        ----------
        validation, test
            Shares of the events; each part gets at least one where its share isn't 0. `test` may be another data set:
            all of its events are test events, in the scales of this one.
        seed
            The same seed gives the same parts in any process.
        by
            `EVENTS`, or `SECTORS`: φ sectors of the events are divided, however many events there are.

        Raises
        ------
        InputError
            A share is out of range, too few events or sectors, or a test event that is among the others by its content.
        """
        share = 0.0 if isinstance(test, Dataset) else test
        if not (0 <= validation < 1 and 0 <= share < 1 and validation + share < 1):
            raise InputError(f"split: validation {validation:g} and test {share:g}; allowed: 0 … 1, together below 1")
        graphs, units, unit_kind = self._units(by)
        sizes = [max(1, round(s * len(units))) if s else 0 for s in (validation, share)]
        if len(units) <= sum(sizes):
            raise InputError(
                f"data: {len(units)} {unit_kind} can't be divided into {1 + sum(s > 0 for s in sizes)} parts"
            )
        order = np.random.default_rng(seed).permutation(len(units))
        cuts = (len(units) - sum(sizes), len(units) - sizes[1])
        order, fitted_note = self._fitted_first(order, cuts[0], unit_kind == "events")
        parts = [taken(graphs, [i for k in sorted(p) for i in units[k]]) for p in np.split(order, cuts)]
        if isinstance(test, Dataset):
            parts[2] = self._strangers(test)
        numbers = (cuts[0], sizes[0], sizes[1] or len(parts[2]))
        names = [_names(part, unit_kind == "events") for part in parts]
        kinds = ("training", "validation", "test")
        counts = (
            ", ".join(f"{n} {kind}{part}" for n, kind, part in zip(numbers, kinds, names, strict=True)) + fitted_note
        )
        where = " (test: events of its own, counted as graphs)" if isinstance(test, Dataset) else ""
        whole = unit_kind == "events"
        rule = f"by {unit_kind}, seed {seed}: {counts}{where}"
        caution = "; ".join(filter(None, (_caution(parts, whole), _repeated(parts))))
        others = test.metadata if isinstance(test, Dataset) else None
        return Splits(parts[0], parts[1], parts[2], rule, whole, whole or others is not None, caution, others)

    def _fitted_first(self, order: NDArray[np.int64], most: int, events: bool) -> tuple[NDArray[np.int64], str]:
        """Order of units, first those on which an embedding was fitted, and the remark on it in the split's rule."""
        fitted = set(self.metadata.fitted_on) & set(self.events)
        if not fitted:
            return order, ""
        if not events:
            return order, " (an embedding of the hits was fitted on events of all parts)"
        is_fitted = np.array([self.events[k] in fitted for k in order])
        if is_fitted.sum() > most:
            raise InputError(
                f"data: the embedding was fitted on {is_fitted.sum()} events, and {most} are for training; "
                "allowed: a smaller train_events, or smaller shares in split"
            )
        return np.concatenate([order[is_fitted], order[~is_fitted]]), ""

    def _units(self, by: str) -> tuple[Sequence[HitGraph], list[list[int]], str]:
        """Parts to divide: graphs, and the places of those of each event, or sector where events are too few."""
        events: dict[str, list[int]] = {name: [] for name in self.events}
        for place, facts in enumerate(facts_of(self.graphs)):
            events[facts.event].append(place)
        if len(events) >= 3 and by == EVENTS:
            return self.graphs, list(events.values()), "events"
        if shares_hits(self.metadata.options):
            raise InputError(
                f"data: sectors of an event share hits, so that {len(events)} events can't be divided by sector; "
                "allowed: three events or more"
            )
        few = " (fewer than 3 events)" if len(events) < 3 else ""
        pieces: list[HitGraph] = []
        for graphs in (taken(self.graphs, places) for places in events.values()):
            pieces += graphs if len(graphs) > 1 else cut_sectors(graphs[0], self.metadata, CUT_SECTORS)
        return pieces, _with_edges(pieces), f"φ sectors without crossing edges{few}"

    def _strangers(self, test: Dataset) -> Sequence[HitGraph]:
        """The graphs of another data set, in these scales.

        Refused are copies of the own ones and own events that are divided in another way, renamed ones too.
        """
        if copies := known_events(test.graphs, self.graphs):
            names = ", ".join(copies[:MOST_NAMED])
            raise InputError(f"test: holds events of the training data: {names}; allowed: other events")
        return test.scaled_like(self.metadata).graphs


def _with_edges(pieces: Sequence[HitGraph]) -> list[list[int]]:
    """Places of pieces that stay together: one with edges, and those without that follow it.

    By itself a piece without edges would be a part that nothing can be scored on; left out, its particles would never
    count as lost. Before the first one with edges, they stand with that one; where none has edges, there is no unit.
    """
    units: list[list[int]] = []
    waiting: list[int] = []
    for place, piece in enumerate(pieces):
        if piece.num_edges:
            units.append([*waiting, place])
            waiting = []
        else:
            (units[-1] if units else waiting).append(place)
    return units


def _names(part: Sequence[HitGraph], events: bool) -> str:
    """Names of the first events of a part, in brackets; empty where events are divided, which are in all parts."""
    names = list(dict.fromkeys(facts.event for facts in facts_of(part))) if events else []
    shown = ", ".join(names) if len(names) <= NAMED else f"{names[0]} …"
    return f" ({shown})" if shown else ""


def _caution(parts: Sequence[Sequence[HitGraph]], whole: bool) -> str:
    """Warning for parts of one event, and for parts of divided events."""
    if not whole:
        count = len({facts.event for part in parts for facts in facts_of(part)})
        which = "one event" if count == 1 else f"the same {count} events"
        return f"all parts are sectors of {which}: their scores are not those of other events"
    single = [
        name
        for name, part in zip(("training", "validation", "test"), parts, strict=True)
        if len({facts.event for facts in facts_of(part)}) == 1
    ]
    if not single:
        return ""
    have, chance = ("has", "its score depends") if len(single) == 1 else ("have", "their scores depend")
    return (
        f"{' and '.join((', '.join(single[:-1]), single[-1]) if single[1:] else single)} {have} one event: {chance} on "
        "which event that is; allowed: more events, larger shares in split, or split.by: sectors"
    )


def _repeated(parts: Sequence[Sequence[HitGraph]]) -> str:
    """Warning for events that are copies of others of their part, or of a part before it."""
    train, validation, test = parts
    of_test = dict.fromkeys((*copied(test, train), *copied(test, validation)))
    copies = {"validation": copied(validation, train), "test": list(of_test)}
    texts = [f"{part} holds copies of other events: {', '.join(n[:MOST_NAMED])}" for part, n in copies.items() if n]
    inside = zip(("training", "validation", "test"), map(repetition, parts), strict=True)
    texts += [f"{part}: {text}" for part, text in inside if text]
    return f"{'; '.join(texts)}; allowed: each event once" if texts else ""


def _kind_fault(metadata: Metadata) -> str:
    """A field of a wrong type, as in a file that somebody has changed; empty if there is none."""
    kinds: tuple[tuple[str, type | tuple[type, ...], str], ...] = (
        ("source", str, "a name"),
        *((f"{kind}_features", str, "names") for kind in ("node", "edge", "triplet")),
        *((f"{kind}_scale", (int, float), "numbers") for kind in ("node", "edge", "triplet")),
        ("fitted_on", str, "names of events"),
        ("embedding", int, "a whole number"),
        ("sectors", int, "1 or more"),
        ("own_units", bool, "true or false"),
        ("options", Mapping, "options of the source by name"),
    )
    for name, kind, allowed in kinds:
        value = getattr(metadata, name)
        several = name.endswith(("_features", "_scale", "_on"))
        items = value if several and isinstance(value, tuple) else (value,)
        whole = isinstance(value, tuple) == several and all(isinstance(item, kind) for item in items)
        if not whole or (kind is not bool and any(isinstance(item, bool) for item in items)):
            return f"{name} is {value!r:.100}; allowed: {allowed}"
    if not metadata.source or any(sign in "/\\" or not sign.isprintable() for sign in metadata.source):
        return f"source is {metadata.source!r:.100}; allowed: a name without /"
    return ""


def _options_fault(options: Mapping[str, Any]) -> str:
    """An option of a wrong type, of those that are read again; empty if there is none."""
    nothing = type(None)
    kinds: dict[str, tuple[tuple[type, ...], str]] = {
        "signal_pt": ((int, float, nothing), "a number"),
        "signal_hits": ((int, nothing), "a whole number"),
        "building": ((Mapping,), "counts by name"),
        "of": ((Mapping,), "another data set"),
        "options": ((Mapping,), "options of the source by name"),
    }
    for name, (types, allowed) in kinds.items():
        if name in options and (not isinstance(options[name], types) or not _within_bounds(options[name])):
            return f"options.{name} is {options[name]!r:.100}; allowed: {allowed}"
    for name, count in options.get("building", {}).items():
        if not isinstance(count, Real) or not _within_bounds(count):
            return f"options.building.{name} is {count!r:.100}; allowed: a number up to {MOST_COUNT:,}"
    inner = options.get("of", {})
    return _options_fault(inner) or _options_fault(inner.get("options", {})) if inner else ""


def _within_bounds(value: Any) -> bool:
    """Whether a value isn't true or false, and if it is a number, one that arrays hold."""
    return not isinstance(value, bool) and (not isinstance(value, (int, float)) or abs(value) <= MOST_COUNT)


def shares_hits(options: Mapping[str, Any]) -> bool:
    """Whether sectors of an event overlap, in a data set of these options or in the one that it was made of."""
    inner = options.get("of")
    deeper = isinstance(inner, Mapping) and shares_hits(inner.get("options", {}))
    return bool(options.get("building", {}).get(SHARED)) or deeper


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"


def _rescaled(graph: HitGraph, factors: Mapping[str, Tensor]) -> HitGraph:
    return HitGraph(**{**graph.to_dict(), **{key: graph[key] * factor for key, factor in factors.items()}})


def make_graph(
    arrays: Mapping[str, Any],
    metadata: Metadata,
    event: str,
    sector: int,
    directed: bool = False,
    place: str | None = None,
) -> HitGraph:
    """Check a source's arrays (edges in any order) and complete them to a hit graph.

    Edge features are computed in double precision from the float32 `x`, so that data written and read again are equal.

    Parameters
    ----------
    arrays
        Arrays under the names of `HitGraph`; None is left out.
    metadata
        Metadata of the data set.
    event, sector
        Event and φ sector of the graph.
    directed
        See `guard.guarded`.
    place
        Start of messages, e.g. a file. None: event and sector.

    Raises
    ------
    InputError
        The arrays break a rule of the guard, see `archioptrx.data.guard`.
    """
    place = f"{event} sector {sector}" if place is None else place
    if any(sign in "/\\" or not sign.isprintable() for sign in event):  # the name of a file, in `data --output`
        raise InputError(f"{place}: event is {event!r:.100}; allowed: a name without /")
    if not 0 <= sector < MOST_SECTORS:
        raise InputError(f"{place}: sector is {sector}; allowed: 0 … {MOST_SECTORS - 1:,}")
    with faults_at(place):
        content, repairs = guarded(arrays, metadata.node_scale, metadata.sectors, directed, metadata.own_units)
    note(place, repairs)
    content["x"] = np.ascontiguousarray(content["x"], dtype=np.float32)
    nodes = content["x"].astype(np.float64) * np.asarray(metadata.node_scale)
    try:
        content["edge_attr"] = scaled_edge_features(content, nodes, metadata)
    except ValueError as error:
        raise InputError(f"{place}: {error}") from error
    return completed(content, nodes, event, sector, metadata.own_units)


def scaled_edge_features(content: Mapping[str, Any], nodes: NDArray[np.float64], metadata: Metadata) -> Any:
    """Features of edges as a graph has them. Raises ValueError where one has a name that isn't known."""
    names, edges = metadata.edge_features, content["edge_index"]
    features = edge_features(
        names, nodes, metadata.node_features, edges, baseline_probability(content), metadata.least_step
    )
    return features / np.asarray(metadata.edge_scale)


def completed(
    content: dict[str, Any], nodes: NDArray[np.float64], event: str, sector: int, own_units: bool = False
) -> HitGraph:
    """Make a graph of guarded arrays with edge features: positions where they are missing, types, order of edges.

    Shapes: nodes [N, 3 or more], r, φ, z in mm, rad, mm.
    """
    if content.get("pos") is None:
        r, phi, z = nodes[:, :3].T
        content["pos"] = np.stack([r * np.cos(phi), r * np.sin(phi), z], axis=1)
    numbers = dict.fromkeys((*WHOLE, *INDICES, *PARTICLE_OF), np.int64)
    kinds = numbers | dict.fromkeys(("edge_mask", "triplet_mask"), np.bool_)
    typed = {k: np.ascontiguousarray(v, kinds.get(k, np.float32)) for k, v in content.items()}
    graph = sorted_graph(typed, event, sector)
    if own_units:
        graph.own_units = True
    _GUARDED[id(graph)] = graph
    return graph


def is_guarded(graph: HitGraph) -> bool:
    """Whether this very graph, not a copy, was made of guarded arrays in this process."""
    return _GUARDED.get(id(graph)) is graph


def cut_sectors(graph: HitGraph, metadata: Metadata, parts: int) -> list[HitGraph]:
    """Cut a graph into φ sectors, without the edges that cross; φ then counts from the middle of each new sector.

    Sectors without hits are left out.

    φ of hits, of positions and of particles is turned: a network trained on one sector then fits the others.
    """
    half = math.pi / metadata.sectors / metadata.node_scale[1]
    place = ((graph.x[:, 1] + half) / (2 * half) * parts).floor().long().clamp(0, parts - 1)
    pieces = []
    for k in range(parts):
        piece = subgraph(graph, place == k)
        _turn(piece, math.pi / metadata.sectors * (2 * k + 1 - parts) / parts, metadata)
        piece.sector = graph.sector * parts + k
        pieces.append(piece)
    return [piece for piece in pieces if len(piece.x)]


def _turn(graph: HitGraph, middle: float, metadata: Metadata) -> None:
    """Let φ, also that of clusters, count from another middle (rad)."""
    graph.x[:, 1] -= middle / metadata.node_scale[1]
    for place, (name, scale) in enumerate(zip(metadata.node_features, metadata.node_scale, strict=True)):
        if name in AZIMUTHS:
            angle = graph.x[:, place].double().numpy() * scale - middle
            graph.x[:, place] = torch.tensor(wrapped(angle, 2 * math.pi) / scale, dtype=torch.float32)
    if graph.get("pos") is not None:
        x, y, z = graph.pos.double().T
        cosine, sine = math.cos(middle), math.sin(middle)
        graph.pos = torch.stack([x * cosine + y * sine, y * cosine - x * sine, z], dim=1).float()
    if graph.get("particles") is not None:
        # A table of its own: that of the whole graph is shared by its parts. Row 0 is noise, all zero.
        graph["particles"] = graph["particles"].clone()
        angle = graph["particles"][1:, _PHI].double().numpy() - middle
        graph["particles"][1:, _PHI] = torch.tensor(wrapped(angle, 2 * math.pi), dtype=torch.float32)


def summary(dataset: Dataset) -> dict[str, Any]:
    """Count what a data set holds; plain data for printing or JSON.

    Of an event in several graphs each hit and edge counts once; `per_graph` are the numbers of the graphs as they are.
    """
    facts = facts_of(dataset.graphs)
    hits, edges = [graph.hits for graph in facts], [graph.edges for graph in facts]
    true = [float(g.y.sum()) for g in dataset.graphs]
    spread = {
        "hits": _spread(hits),
        "edges": _spread(edges),
        "true_fraction": _spread([t / e for t, e in zip(true, edges, strict=True) if e]),
    }
    total = (sum(hits), sum(edges), sum(true))
    if shares_hits(dataset.metadata.options):
        groups = groupby(dataset.graphs, key=lambda graph: graph.event)
        sizes = [EventSize.of(list(graphs)) for _, graphs in groups]
        total = (sum(size.hits for size in sizes), sum(size.edges for size in sizes), sum(size.true for size in sizes))
    return {
        "events": len(dataset.events),
        "graphs": len(facts),
        "hits": total[0],
        "edges": total[1],
        "true_fraction": total[2] / max(1, total[1]),
        "per_graph": spread,
        "metadata": dataset.metadata.to_dict(),
        "fingerprint": dataset.fingerprint,
    }


def _spread(values: Sequence[float]) -> dict[str, float]:
    levels = np.percentile(values, [0, 50, 100]) if len(values) else [0.0] * 3
    return dict(zip(("minimum", "median", "maximum"), map(float, levels), strict=True))
