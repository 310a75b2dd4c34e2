"""Pictures of data sets: sizes of events, and one event with its true and false edges."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from archioptrx.core.errors import InputError
from archioptrx.core.files import writing
from archioptrx.core.own_files import check_replaceable, picture_metadata

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from archioptrx.data.dataset import Dataset
    from archioptrx.data.hitgraph import HitGraph

Floats = NDArray[np.float64]

FORMATS = ("png", "svg", "pdf")
TRUE, FALSE, HIT, NOISE, BAR = "#1565c0", "#e8894a", "#222222", "#9c27b0", "#7fa8cc"
MOST_EDGES = 5000
"""Most edges that are drawn; more would cover each other."""
FEWEST_HITS = 3
"""Particles with fewer hits aren't counted as tracks."""


@dataclass(frozen=True)
class Counts:
    """Numbers of one event.

    Attributes
    ----------
    name
        Name of the event.
    graphs
        Places of its graphs in the data set.
    tracks
        Particles with `FEWEST_HITS` or more; where the data don't name particles, chains of as many hits. None: a chain
        branches.
    hits, edges, true
        Numbers of hits, of candidate edges and of true ones.
    """

    name: str
    graphs: tuple[int, ...]
    tracks: int
    hits: int
    edges: int
    true: int


@dataclass(frozen=True)
class EventPicture:
    """Hits and edges of an event, all of its φ sectors in one frame.

    Attributes
    ----------
    pos : float64 [N, 3]
        x, y, z in mm.
    noise : bool [N]
        Hits of no particle; all False where the data don't name particles.
    edges : int64 [2, E]
        Inner and outer hit.
    true : bool [E]
        Truth.
    """

    pos: Floats
    noise: NDArray[np.bool_]
    edges: NDArray[np.int64]
    true: NDArray[np.bool_]


def check_picture(path: Path) -> None:
    """Refuse a file that no picture can be written to, before any work is done."""
    if path.suffix.lower().removeprefix(".") not in FORMATS:
        raise InputError(f"--plot {path}: ends in {path.suffix or 'nothing'}; allowed: {', '.join(FORMATS)}")
    if path.is_dir():
        raise InputError(f"--plot {path}: is a folder; allowed: a file that ends in .png, .svg or .pdf")
    check_replaceable(path)


def plot(dataset: Dataset, path: Path) -> None:
    """Draw a data set to a file; its folder is made if it's missing.

    Raises
    ------
    InputError
        The file's ending isn't one of `FORMATS`, or it can't be written.
    """
    check_picture(path)
    figure = data_figure(dataset)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=130, metadata=picture_metadata(path))


def count_events(dataset: Dataset) -> list[Counts]:
    """Count hits, edges and tracks of each event, each once, also where sectors overlap.

    One event is in memory at a time.
    """
    from archioptrx.data.sectors import EventSize  # imports torch, which checking a path doesn't need

    counts = []
    for name, group in groupby(enumerate(dataset.graphs), key=lambda pair: pair[1].event):
        places, graphs = zip(*group, strict=True)
        counts.append(Counts(name, places, count_tracks(graphs), *EventSize.of(graphs)))
    return counts


def _particles_of_hits(graphs: Sequence[HitGraph]) -> NDArray[np.int64]:
    """Particle of each hit of an event, 0 for noise; of a line graph, of the hits of its table."""
    from archioptrx.data.sectors import EventNodes

    if graphs[0].get("chain_hit_pid") is None:
        particles: NDArray[np.int64] = EventNodes.of(graphs).of_first([g.pid.numpy() for g in graphs])
        return particles
    tables = [np.stack([g["chain_hit_id"].numpy(), g["chain_hit_pid"].numpy()], axis=1) for g in graphs]
    of_hits: NDArray[np.int64] = np.unique(np.concatenate(tables), axis=0)[:, 1]
    return of_hits


def count_tracks(graphs: Sequence[HitGraph]) -> int:
    """Particles with `FEWEST_HITS` hits or more in the graphs of one event.

    Where the graphs don't name particles: chains of true edges with as many hits. A chain has one hit more than it has
    edges, and the one of two hits is the edge whose hits have no other.
    """
    if all(g.get("pid") is not None for g in graphs):
        pid = _particles_of_hits(graphs)
        return int((np.unique(pid[pid != 0], return_counts=True)[1] >= FEWEST_HITS).sum())
    tracks = 0
    for graph in graphs:
        edges = graph.edge_index[:, graph.y > 0.5].numpy()
        degree = np.bincount(edges.ravel(), minlength=len(graph.x))
        pairs = (degree[edges] == 1).all(axis=0).sum()
        tracks += int((degree > 0).sum() - edges.shape[1] - pairs)
    return tracks


def whole_event(graphs: Sequence[HitGraph], sectors: int, eta_sectors: int = 1) -> EventPicture:
    """Put the graphs of one event together, each turned to its φ sector.

    Parameters
    ----------
    graphs
        Graphs of one event.
    sectors, eta_sectors
        Number of parts into which it was divided in φ, and each of these in η.
    """
    columns: list[tuple[Floats, NDArray[np.bool_], NDArray[np.int64], NDArray[np.bool_]]] = []
    before = 0
    for graph in graphs:
        middle = (2 * (graph.sector // eta_sectors) + 1 - sectors) * np.pi / sectors
        x, y, z = graph.pos.numpy().astype(np.float64).T
        turned = (x * np.cos(middle) - y * np.sin(middle), x * np.sin(middle) + y * np.cos(middle), z)
        noise = np.zeros(len(x), np.bool_) if graph.get("pid") is None else graph.pid.numpy() == 0
        columns.append((np.stack(turned, axis=1), noise, graph.edge_index.numpy() + before, graph.y.numpy() > 0.5))
        before += len(x)
    pos, noise, edges, true = zip(*columns, strict=True)
    return EventPicture(np.concatenate(pos), np.concatenate(noise), np.concatenate(edges, axis=1), np.concatenate(true))


def eta_sectors(dataset: Dataset) -> int:
    """Number of η sectors in each φ sector, from the options or from the highest sector number of a graph."""
    from archioptrx.data.storage.graph_views import (
        facts_of,  # imports torch: not at the top, so that wrong options are reported before
    )

    # Numbers count φ first (`graph_building.build`, HEP.TrkX's files too); graphs made of others have lost the option
    # of those, and the last sectors of small events may be empty.
    highest = max(facts.sector for facts in facts_of(dataset.graphs))
    return max(int(dataset.metadata.options.get("eta_sectors", 1)), highest // dataset.metadata.sectors + 1)


def data_figure(dataset: Dataset) -> Figure:
    """Draw a data set, without a screen and without matplotlib's global state."""
    # Imported here, since it takes half a second.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    counts = count_events(dataset)
    median = sorted(counts, key=lambda c: (c.edges, c.name))[len(counts) // 2]
    metadata = dataset.metadata
    graphs = [dataset.graphs[i] for i in median.graphs]
    picture = whole_event(graphs, metadata.sectors, eta_sectors(dataset))
    figure = Figure(figsize=(15, 11.5), facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    rows: Any = figure.subfigures(2, 1, height_ratios=(1, 2.6))
    _distributions(rows[0].subplots(1, 4), counts)
    views = rows[1].subplots(1, 2)
    _event(views, picture)
    handles, texts = views[0].get_legend_handles_labels()
    legend = rows[1].legend(handles, texts, loc="outside lower center", ncols=4, frameon=False, fontsize=11)
    for handle in legend.legend_handles:
        handle.set(**({"sizes": [30]} if hasattr(handle, "set_sizes") else {"linewidth": 2, "alpha": 0.8}))
    numbers = {"event": len(counts), "graph": len(dataset.graphs)}
    sizes = ", ".join(f"{number:,} {name}{'s' * (number != 1)}" for name, number in numbers.items())
    figure.suptitle(f"{metadata.source}: {sizes}", fontsize=15)
    share = f"{median.true / max(1, median.edges):.1%}"
    holds = f"{median.hits:,} hits, {median.edges:,} edges, {share} of them true"
    rows[1].suptitle(f"{median.name}: {'the event of median size, ' if len(counts) > 2 else ''}{holds}", fontsize=13)
    return figure


def _distributions(axes: Iterable[Axes], counts: Sequence[Counts]) -> None:
    """Histograms of four numbers per event."""
    from matplotlib.ticker import MaxNLocator

    columns: dict[str, list[float]] = {
        f"tracks with {FEWEST_HITS} hits or more": [c.tracks for c in counts],
        "hits": [c.hits for c in counts],
        "candidate edges": [c.edges for c in counts],
        "true share of the edges, %": [100 * c.true / c.edges for c in counts if c.edges],
    }
    for axis, (name, values) in zip(axes, columns.items(), strict=True):
        whole = all(isinstance(v, int) for v in values)
        axis.hist(values, bins=_bins(values, whole).tolist(), color=BAR, edgecolor="white", linewidth=0.5)
        middle = float(np.median(values)) if values else 0.0
        axis.axvline(middle, color=TRUE, linewidth=1.5)
        axis.set(xlabel=name, ylabel="events")
        axis.set_title(f"median {middle:,.0f}" if whole else f"median {middle:.1f}", fontsize=11, color=TRUE)
        axis.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10], integer=True))
        axis.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10], integer=whole))
        axis.xaxis.set_major_formatter("{x:,g}")
        axis.spines[["top", "right"]].set_visible(False)


def _bins(values: Sequence[float], whole: bool) -> Floats:
    """Edges of up to 25 bins; those of whole numbers hold equally many of them, and lie between them."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if low == high:
        return low + np.arange(-2.5, 3)
    count = int(np.clip(2 * np.sqrt(len(values)), 1, 25))
    if whole:
        step = max(1, int(np.ceil((high - low + 1) / count)))
        return np.arange(low - 0.5, high + 0.5 + step, step)
    return np.linspace(low, high, count + 1)


def _event(axes: Sequence[Axes], picture: EventPicture) -> None:
    """Draw an event along and across the beam; r-φ instead of r-z where everything lies at z = 0."""
    x, y, z = picture.pos.T
    r = np.hypot(x, y)
    _view(axes[0], np.stack([x, y], axis=1), picture)
    axes[0].set(xlabel="x, mm", ylabel="y, mm", aspect="equal", title="across the beam: x-y")
    if len(z) and np.ptp(z) > 0:
        _view(axes[1], np.stack([z, r], axis=1), picture)
        axes[1].set(xlabel="z, mm", ylabel="r, mm", title="along the beam: r-z")
    else:
        _view(axes[1], np.stack([np.arctan2(y, x), r], axis=1), picture)
        axes[1].set(xlabel="φ, rad", ylabel="r, mm", title="r-φ (all hits lie at z = 0)")


def _view(axis: Axes, at: Floats, picture: EventPicture) -> None:
    """Hits and edges at places in a plane. Shapes: at [N, 2]."""
    from matplotlib.collections import LineCollection

    drawn = some(len(picture.true), MOST_EDGES)
    width = float(np.clip(60 / max(1.0, len(picture.true[drawn]) ** 0.5), 0.5, 1.0))
    styles: tuple[tuple[str, bool, dict[str, Any]], ...] = (
        ("false", False, {"color": FALSE, "linewidth": 0.7 * width, "alpha": 0.45, "zorder": 1}),
        ("true", True, {"color": TRUE, "linewidth": width, "alpha": 0.8, "zorder": 2}),
    )
    for name, truth, style in styles:
        edges = picture.edges[:, drawn][:, picture.true[drawn] == truth]
        label = f"{(picture.true == truth).sum():,} {name} edges" + f" (1 in {drawn.step} drawn)" * (drawn.step > 1)
        axis.add_collection(LineCollection(list(at[edges.T]), label=label, rasterized=True, **style))
    size = float(np.clip(3000 / max(1, len(at)), 0.3, 9))
    for name, chosen, color in (("hits", ~picture.noise, HIT), ("noise hits", picture.noise, NOISE)):
        if chosen.any():
            label = f"{chosen.sum():,} {name}"
            axis.scatter(
                at[chosen, 0], at[chosen, 1], s=size, color=color, linewidths=0, zorder=3, label=label, rasterized=True
            )
    axis.spines[["top", "right"]].set_visible(False)
    axis.autoscale_view()


def some(count: int, most: int) -> slice:
    """Slice that takes every n-th of `count` items, so that `most` or fewer remain.

    >>> some(5, 10), some(25, 10)
    (slice(None, None, 1), slice(None, None, 3))
    """
    return slice(None, None, max(1, -(-count // most)))
