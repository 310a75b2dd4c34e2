"""Recognition of copies of a graph by its content: under other names, in other scales, with hits in another order.

An event that is divided in another way (whole, in φ sectors, in other sectors) is recognised by the places of its hits
in r and z, which no turn around the beam changes. Events of one detector share many such places: all radii of barrel
layers, all z of discs, and both where strips give coarse coordinates. Coincidences are counted by the mirror image: as
many hits of one event as are at places of another by chance are at places of it with the opposite z.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from archioptrx.data.hitgraph import HitGraph
from archioptrx.data.storage.graph_views import facts_of, taken

Keys = NDArray[np.uint64]

TOLERANCE = 1e-4
"""Relative difference of moments that rounding may make. Single precision has 6e-8 of a coordinate, but angles between
neighbours are small differences of such."""

CELL = 1e-3
"""Size of a cell of figures: relative, several times as large as what rounding may change."""

MOST_NAMED = 5
"""Events that are copies, named in a message."""
SAMPLE = 4096
"""Places of an event that are compared at most."""
DROPPED = 7
"""Bits of the 24 of single precision by which r and z are rounded: places within 1e-5 of a coordinate are one; of
a place that rounding has changed in the last bit one in 50 becomes another."""
FEWEST = 8
"""Least number of places that two events share, beyond coincidences, and of hits that tell a graph from many others."""
SHARE = 0.3
"""Least share of the places of the smaller one. Of two divisions of an event in φ, some parts share a half or more."""


@dataclass(frozen=True)
class GraphMoments:
    """Figures of a graph that are the same in all copies of it, and differ between events.

    A digest of rounded coordinates would not do: among thousands of hits, one lies where rounding may go up or down.

    Attributes
    ----------
    counts
        Numbers of hits, edges and true edges.
    moments : float64 [K]
        Roots of means of powers of z and r of the hits, and of Δz and Δφ of all edges and of the true ones; mm and rad.
    """

    counts: tuple[int, int, int]
    moments: NDArray[np.float64]

    @staticmethod
    def of(graph: HitGraph) -> GraphMoments | None:
        """Figures of a graph. None where nothing tells events apart: no positions; no edge, and no hit off z = 0."""
        if graph.get("pos") is None:
            return None
        x, y, z = graph.pos.double().numpy().T
        start, end = graph.edge_index.numpy()
        true = graph.y.numpy() > 0.5
        if not len(start) and not z.any():
            return None
        # The angle between two hits, whatever the middle of φ.
        turn = np.arctan2(x[start] * y[end] - y[start] * x[end], x[start] * x[end] + y[start] * y[end])
        rise = z[end] - z[start]
        series = (z, np.hypot(x, y), rise, turn, rise[true], turn[true])
        moments = [_moment(np.abs(values), power) for values in series for power in (1, 2, 4)]
        return GraphMoments((len(x), len(start), int(true.sum())), np.array(moments))

    def near(self, other: GraphMoments) -> bool:
        """Whether these are, but for rounding, the moments of another graph with equal counts."""
        near = np.abs(other.moments - self.moments) <= TOLERANCE * np.abs(self.moments) + 1e-12
        return self.counts == other.counts and bool(near.all())


class MomentIndex:
    """Figures of graphs by the names of their events, in which those near to others are found in constant time.

    Not all pairs are compared: figures are kept in cells of a grid. Its axes are logarithms of sums of moments, which
    rounding changes by `TOLERANCE` at most (a sum of positive numbers has the largest relative error of them), so near
    figures are in the same cell or, close to its edge, in the next one. The sums are of moments that vary between
    events of one detector: of z and Δz, of Δφ, and of Δφ of the true edges.
    """

    def __init__(self) -> None:
        self._cells: dict[tuple[int, ...], list[tuple[str, GraphMoments]]] = {}

    def add(self, name: str, figures: GraphMoments) -> None:
        """Keep the figures of a graph of the event of that name."""
        cell = np.floor(_axes(figures) / CELL).astype(int).tolist()
        self._cells.setdefault((*figures.counts, *cell), []).append((name, figures))

    def candidates(self, figures: GraphMoments) -> Iterator[tuple[str, GraphMoments]]:
        """Names and figures among which all near ones are."""
        axes = _axes(figures)
        ends = (np.floor((axes + shift) / CELL).astype(int).tolist() for shift in (-2 * TOLERANCE, 2 * TOLERANCE))
        for cell in itertools.product(*(range(low, high + 1) for low, high in zip(*ends, strict=True))):
            yield from self._cells.get((*figures.counts, *cell), ())

    def holds(self, figures: GraphMoments, but: str | None = None) -> bool:
        """Whether near figures were added, under another name than `but`."""
        return any(name != but and figures.near(known) for name, known in self.candidates(figures))


def _axes(figures: GraphMoments) -> NDArray[np.float64]:
    """Coordinates of figures in the grid."""
    of_z, _, rise, turn, _, true_turn = figures.moments.reshape(6, 3).sum(axis=1)
    axes: NDArray[np.float64] = np.log(np.array([of_z + rise, turn, true_turn]) + 1e-12)
    return axes


def _moment(values: NDArray[np.float64], power: int) -> float:
    return float(np.mean(values**power) ** (1 / power)) if len(values) else 0.0


class KnownGraphs:
    """Graphs that others are compared with."""

    def __init__(self, graphs: Iterable[HitGraph]) -> None:
        self._known = MomentIndex()
        for graph in graphs:
            if (figures := GraphMoments.of(graph)) is not None:
                self._known.add(graph.event, figures)

    def holds(self, graph: HitGraph) -> bool:
        """Whether one of the graphs is a copy of this one."""
        figures = GraphMoments.of(graph)
        return figures is not None and self._known.holds(figures)


def copied(graphs: Sequence[HitGraph], known: Sequence[HitGraph]) -> list[str]:
    """Events of which a graph is a copy of a known one. Only graphs of equal numbers of hits and edges are read."""
    sizes, known_sizes = ([(facts.hits, facts.edges) for facts in facts_of(some)] for some in (graphs, known))
    both = set(sizes) & set(known_sizes)
    candidates = taken(graphs, [place for place, size in enumerate(sizes) if size in both])
    compared = KnownGraphs(taken(known, [place for place, size in enumerate(known_sizes) if size in both]))
    return list(dict.fromkeys(graph.event for graph in candidates if compared.holds(graph)))


def repeated_events(graphs: Sequence[HitGraph]) -> list[str]:
    """Events of which a graph is a copy of one of an event before them, among the same graphs.

    Only graphs of equal numbers of hits and edges are read, and none of a few hits: of many such, some are alike by
    chance.
    """
    places: dict[tuple[int, int], list[int]] = {}
    for place, facts in enumerate(facts_of(graphs)):
        if facts.hits >= FEWEST:
            places.setdefault((facts.hits, facts.edges), []).append(place)
    alike = sorted(place for of_size in places.values() if len(of_size) > 1 for place in of_size)
    earlier = MomentIndex()
    names: dict[str, None] = {}
    for graph in taken(graphs, alike):
        if (figures := GraphMoments.of(graph)) is None:
            continue
        if earlier.holds(figures, but=graph.event):  # its own sectors may be alike
            names[graph.event] = None
        earlier.add(graph.event, figures)
    return list(names)


def repetition(graphs: Sequence[HitGraph]) -> str:
    """Warning where some events are copies of others beside them; empty where none is.

    Each would count twice, and an interval would be of more events than there are.
    """
    names = repeated_events(graphs)
    several = (
        f"{len(names)} of its events are copies of others in it" if names[1:] else "one event is a copy of another"
    )
    return f"{several}: {', '.join(names[:MOST_NAMED])}" if names else ""


def known_events(graphs: Sequence[HitGraph], known: Sequence[HitGraph]) -> list[str]:
    """Events that are known ones, by `copied` or `shared_events`, in the order of the graphs.

    So an event is known again under another name, in other scales, built with other cuts or divided in another way.
    """
    names = {*copied(graphs, known), *shared_events(graphs, known)}
    return [name for name in _by_event(graphs) if name in names]


def shared_events(graphs: Sequence[HitGraph], known: Sequence[HitGraph]) -> list[str]:
    """Events of which so many hits are those of a known one, however both are divided and named.

    Only hits off z = 0 count: a plane, with hits on a few layers, doesn't tell events apart once they are turned.

    All positions are read once. An event of 100,000 hits takes about 15 ms, and 32 kB for its sample of places: 1,000
    such events 15 s and 32 MB. The comparison of an event with 1,000 known ones takes 5 ms.
    """
    ours, theirs = _by_event(graphs), _by_event(known)
    samples = KnownPlaces([PlaceSample.of(taken(known, places)) for places in theirs.values()])
    return [name for name, places in ours.items() if samples.holds(PlaceSample.of(taken(graphs, places)))]


def _by_event(graphs: Sequence[HitGraph]) -> dict[str, list[int]]:
    """Places of the graphs of each event."""
    events: dict[str, list[int]] = {}
    for place, facts in enumerate(facts_of(graphs)):
        events.setdefault(facts.event, []).append(place)
    return events


@dataclass(frozen=True, eq=False)
class PlaceSample:
    """Places of an event's hits: those with the smallest hashes, so that any two events are sampled alike.

    A sample of k smallest hashes (Broder 1997, "On the resemblance and containment of documents") holds of any part of
    the event all places with a hash up to its largest one.

    Attributes
    ----------
    keys : uint64 [K]
        Hash of r and the size of z of each place, with the sign of z as the last bit; sorted, each once.
    end
        Largest key up to which all places of the event are in the sample.
    """

    keys: Keys
    end: np.uint64

    @classmethod
    def of(cls, graphs: Sequence[HitGraph]) -> PlaceSample:
        """Sample of an event's graphs; it is empty where they have no positions."""
        parts = [_keys(*_r_and_z(graph)) for graph in graphs if graph.get("pos") is not None]
        keys = np.concatenate([np.zeros(0, np.uint64), *parts])
        if len(keys) > (enough := 4 * SAMPLE):
            # Sorting all of them would take longer than all else. A place may stand there several times.
            smallest = np.unique(np.partition(keys, enough)[:enough])
            keys = smallest if len(smallest) > SAMPLE else keys
        keys = np.unique(keys)
        return cls(keys[:SAMPLE], keys[SAMPLE - 1] if len(keys) > SAMPLE else np.uint64(2**64 - 1))

    def up_to(self, end: np.uint64) -> int:
        """Number of places with keys up to a limit."""
        return int(np.searchsorted(self.keys, end, side="right"))


def _r_and_z(graph: HitGraph) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """r and z of the hits; of a line graph, whose nodes lie between hits, of those in its table where it has one."""
    if graph.get("chain_hit_r") is not None and graph.get("chain_hit_z") is not None:
        return graph.chain_hit_r.numpy(), graph.chain_hit_z.numpy()
    x, y, z = graph.pos.numpy().T
    return np.hypot(x.astype(np.float64), y.astype(np.float64)).astype(np.float32), z


def _keys(r: NDArray[np.float32], z: NDArray[np.float32]) -> Keys:
    """Keys of `PlaceSample` for all hits off z = 0. Shapes: r, z [N] -> [K]."""
    r, z = r[z != 0], z[z != 0]
    half = np.uint32(1 << (DROPPED - 1))
    cells = [
        ((np.ascontiguousarray(values).view(np.uint32) + half) >> np.uint32(DROPPED)).astype(np.uint64)
        for values in (r, np.abs(z))
    ]
    mixed = (cells[0] << np.uint64(32)) | cells[1]
    # The mixing function of SplitMix64 (Steele et al. 2014): every bit of the places reaches every bit of the hash.
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    keys: Keys = (mixed & ~np.uint64(1)) | (z < 0).astype(np.uint64)
    return keys


class KnownPlaces:
    """Samples of events that others are compared with."""

    def __init__(self, samples: Sequence[PlaceSample]) -> None:
        self._samples = samples
        keys = np.concatenate([np.zeros(0, np.uint64), *(sample.keys for sample in samples)])
        order = np.argsort(keys, kind="stable")
        self._keys = keys[order]
        self._event = np.repeat(np.arange(len(samples)), [len(sample.keys) for sample in samples])[order]

    def holds(self, sample: PlaceSample) -> bool:
        """Whether one of the events has so many places of this one."""
        beyond_chance = self._shared(sample.keys) - self._shared(sample.keys ^ np.uint64(1))
        for event in np.flatnonzero(beyond_chance >= FEWEST).tolist():
            known = self._samples[event]
            end = min(sample.end, known.end)
            if beyond_chance[event] >= SHARE * min(sample.up_to(end), known.up_to(end)):
                return True
        return False

    def _shared(self, keys: Keys) -> NDArray[np.int64]:
        """Number of these keys that each event has. Shapes: keys [K] -> [events]."""
        low, high = (np.searchsorted(self._keys, keys, side=side) for side in ("left", "right"))
        count = high - low
        rows = np.arange(count.sum()) + np.repeat(low - np.cumsum(count) + count, count)
        return np.bincount(self._event[rows], minlength=len(self._samples))
