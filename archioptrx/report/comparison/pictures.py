"""Data of the page's pictures: curves over the cut, and one event."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from archioptrx.data.dataset import Dataset
from archioptrx.data.plot import eta_sectors, whole_event
from archioptrx.data.storage.graph_views import facts_of
from archioptrx.tasks.classification_metrics import Bools, Floats, Ranking, logit

POINTS = 400
"""Points of a curve, at most."""
MOST_EDGES = 4000
"""Most edges of a drawn event; edges on which the models differ come first."""


@dataclass(frozen=True, eq=False)
class Curves:
    """Rates of a classifier at all cuts, with fewer points.

    Attributes
    ----------
    efficiency, false_rate, purity : [K]
        Shares of the true rows and of the false ones that are accepted; share of true ones among those accepted.
    at_cut
        These three rates at the model's cut; None where a class is empty.
    """

    efficiency: Floats
    false_rate: Floats
    purity: Floats
    at_cut: tuple[float, float, float] | None


def curves_of(logits: Floats, truth: Bools, cut: float) -> Curves:
    """Compute the curves, with points evenly spaced in efficiency and in the logarithm of the false positive rate.

    Shapes: logits float64 [R], truth bool [R].
    """
    ranking = Ranking.of(logits, truth)
    if ranking.one_class:
        return Curves(np.zeros(0), np.zeros(0), np.zeros(0), None)
    true, false = ranking.true / ranking.true[-1], ranking.false / ranking.false[-1]
    purity = ranking.true / (ranking.true + ranking.false)
    even = np.searchsorted(true, np.linspace(0, 1, POINTS // 2))
    low = np.searchsorted(false, np.geomspace(1 / ranking.false[-1], 1, POINTS // 2))
    points = np.unique(np.clip(np.concatenate([even, low]), 0, len(true) - 1))
    at = int(np.searchsorted(-ranking.thresholds, -logit(cut), side="right")) - 1
    cut_point = None if at < 0 else (float(true[at]), float(false[at]), float(purity[at]))
    return Curves(true[points], false[points], purity[points], cut_point)


@dataclass(frozen=True, eq=False)
class Display:
    """Graph with the edges in which two models differ.

    Attributes
    ----------
    event
        Name of the event, with its sector where the event has several graphs.
    first, second
        Names of the models.
    hits : [N, 2]
        x and y in mm, in the frame of the detector, not in that of a φ sector.
    edges : int64 [2, E]
        Hits of each edge that is drawn.
    state : int64 [E]
        0 both right, 1 fixed by the second, 2 worsened by it, 3 both wrong.
    truth : bool [E]
    """

    event: str
    first: str
    second: str
    hits: Floats
    edges: NDArray[np.int64]
    state: NDArray[np.int64]
    truth: Bools


def display_of(dataset: Dataset, before: Bools, after: Bools, counted: Bools, names: tuple[str, str]) -> Display | None:
    """Graph in which most edges change sides; None where the hits have no positions.

    Shapes: whether each model is right, and mask of the edges that count, bool [E] over all graphs.
    """
    graphs = dataset.graphs
    ends = np.cumsum([0, *(graph.num_edges for graph in graphs)])
    changed = (before != after) & counted
    counts = np.add.reduceat(np.append(changed, False).astype(int), ends[:-1]) * (np.diff(ends) > 0)
    place = int(np.argmax(counts))
    graph, part = graphs[place], slice(ends[place], ends[place + 1])
    if graph.get("pos") is None:
        return None
    truth = graph.y.numpy() > 0.5
    picture = whole_event([graph], dataset.metadata.sectors, eta_sectors(dataset))
    several = sum(facts.event == graph.event for facts in facts_of(graphs)) > 1
    state = np.where(after[part], np.where(before[part], 0, 1), np.where(before[part], 2, 3))
    # First what differs, then common faults, true edges, and the rest.
    shown = np.flatnonzero(counted[part] & ((state > 0) | truth))
    weight = np.array([0, 2, 2, 1])[state[shown]]
    shown = shown[np.argsort(-weight, kind="stable")][:MOST_EDGES]
    return Display(
        f"{graph.event}, sector {graph.sector}" if several else graph.event,
        *names,
        picture.pos[:, :2],
        graph.edge_index.numpy()[:, shown],
        state[shown],
        truth[shown],
    )
