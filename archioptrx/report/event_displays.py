"""Event displays: outputs of a model for the edges or triplets of an event, pass by pass, ready to be drawn.

The page holds only what is visible: a position for each hit, and for each row one letter per pass, which encodes its
class and its darkness. `displays.js` draws them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from archioptrx.data.dataset import Dataset
from archioptrx.data.plot import EventPicture, eta_sectors, whole_event
from archioptrx.report.held_out import CUT, CUT_LOGIT, BinaryTarget, HeldOut, Logits, events_by_size
from archioptrx.report.page import fragment, packed
from archioptrx.tasks.classification_metrics import Bools
from archioptrx.tasks.comparison import medal_classes

Ints = NDArray[np.int64]

HIDDEN = 0.01
"""Probability below which a row isn't drawn unless it is true."""
DARKNESS = (HIDDEN, 0.1, 0.3, CUT, 0.7, 0.9)
"""Lower ends of the bins of the probability, each darker than the one before; bin 0 is below all of them."""
PER_SECTOR = 3000
"""Approximate number of candidate rows in one φ sector of the event: more would be indistinguishable."""
MOST_LETTERS = 1_200_000
"""Letters and hit indices of all events of one display, at most; the page needs about as many bytes for them."""


@dataclass(frozen=True)
class Style:
    """Style in which a class of rows is drawn.

    Attributes
    ----------
    label
        Text in the legend.
    colour
        Colours on light and on dark ground.
    dash, width
        Dash pattern of plotly; line width in px.
    by_score
        True: the score determines the darkness.
    candidate
        True: neither true nor accepted, so it is drawn faintly, and not at all where the score is hidden.
    """

    label: str
    colour: tuple[str, str]
    dash: str = "solid"
    width: float = 1.2
    by_score: bool = True
    candidate: bool = False


# Black, vermilion and blue are distinct for all kinds of colour vision (Okabe and Ito 2008); dashes differ too.
MISSED = ("#0072b2", "#56b4e9")
EDGE_STYLES = (
    Style("false, refused", ("#7d8796", "#7f8998"), width=0.8, candidate=True),
    Style("true, accepted", ("#10151d", "#f2f4f8")),
    Style("false, accepted", ("#d55e00", "#ff8a3d"), width=2.4),
    Style("true, refused", MISSED, "5px,3px", 2.0, by_score=False),
)
MEDAL_STYLES = (
    Style("false, refused", ("#7d8796", "#7f8998"), "1px,3px", 0.8, candidate=True),
    Style("gold: true, uncontested", ("#c79200", "#ffd23f"), width=1.4),
    Style("silver: true, contested", ("#6f7d92", "#c3ccd8"), width=2.2),
    Style("bronze: false, one doublet true", ("#a0521f", "#d98a4b"), "8px,3px,2px,3px", 2.2),
    Style("red: false", ("#c2185b", "#ff5c8a"), "2px,2px", 2.2),
    Style("blue: true, refused", MISSED, "5px,3px", 2.0, by_score=False),
)


@dataclass(frozen=True)
class Shown:
    """Drawing data of one event.

    Attributes
    ----------
    name, why
        Name of the event; reason for its choice.
    pos : float64 [N, 3]
        x, y, z in mm, all sectors in one frame.
    rows : int64 [K, R]
        The K hits of each row, inner to outer, for the rows that are visible after any pass.
    classes : int64 [P, R]
        Place of each row's style, after each pass.
    darkness : int64 [P, R]
        Bin of its probability, 0: hidden.
    part
        Share of the event in φ that is in the data.
    """

    name: str
    why: str
    pos: NDArray[np.float64]
    rows: Ints
    classes: Ints
    darkness: Ints
    part: float = 1.0

    def plain(self) -> dict[str, Any]:
        """Plain data for `displays.js`: a letter is the character with code 48 + 8 · class + darkness bin."""
        letters = (8 * self.classes + self.darkness + ord("0")).astype(np.uint8)
        return {
            "name": self.name,
            "why": self.why,
            "part": self.part,
            "pos": [np.round(axis, 1).tolist() for axis in self.pos.T],
            "rows": self.rows.tolist(),
            "passes": [turn.tobytes().decode("ascii") for turn in letters],
            "sectors": sectors_of(self),
        }


def sectors_of(shown: Shown) -> list[float]:
    """Limits in φ of sectors that hold about `PER_SECTOR` rows each; a row is where its innermost hit is."""
    phi = np.arctan2(shown.pos[:, 1], shown.pos[:, 0])[shown.rows[0]]
    count = max(1, round(shown.rows.shape[1] / PER_SECTOR))
    return np.quantile(phi, np.linspace(0, 1, count + 1)).tolist() if len(phi) else [-math.pi, math.pi]


def event_display(held: HeldOut, target: BinaryTarget) -> Markup | None:
    """Event displays of one target; None where hits have no positions."""
    events = chosen_events(held, target)
    if not events:
        return None
    name = f"display{'-' * bool(target.name)}{target.name}"
    styles = EDGE_STYLES if target.task.true_below(held.graphs[0]) is None else MEDAL_STYLES
    content = {
        "styles": [vars(style) for style in styles],
        "plural": target.task.rows.plural,
        "scores": target.by_pass(),
        "darkness": DARKNESS,
        "events": [event.plain() for event in events],
    }
    return fragment(
        "display.html", name=name, events=events, content=packed(f"{name}-data", content), passes=len(target.passes)
    )


def chosen_events(held: HeldOut, target: BinaryTarget, most: int = MOST_LETTERS) -> list[Shown]:
    """Events to be drawn, as many as fit into `most`; of the first one only a part in φ where it alone is too large."""
    events_shown: list[Shown] = []
    for name, places, why in events_by_size(held.graphs, target.drawable):
        if any(held.graphs[place].get("pos") is None for place in places):
            return []
        event = shown_event(held, target, places, name, why)
        size = weight(event)
        if not events_shown and size > most:
            event = sector_part(event, most / size)
            size = most
        if size <= most:
            events_shown.append(event)
            most -= size
    return events_shown


def weight(event: Shown) -> int:
    """Size of an event in letters and hit indices, about the bytes that it needs."""
    points, count = event.rows.shape
    return int(count * (2 * points + len(event.classes)) + 6 * len(event.pos))


def sector_part(event: Shown, share: float) -> Shown:
    """The rows of an event in the first so large share of φ, and the hits there. See `sectors_of`."""
    phi = np.arctan2(event.pos[:, 1], event.pos[:, 0])
    limit = float(np.quantile(phi[event.rows[0]], share))
    inside = phi[event.rows[0]] <= limit
    hits = phi <= limit
    hits[event.rows[:, inside]] = True
    rows = (np.cumsum(hits) - 1)[event.rows[:, inside]]
    classes, darkness = event.classes[:, inside], event.darkness[:, inside]
    return Shown(event.name, event.why, event.pos[hits], rows, classes, darkness, share)


def shown_event(held: HeldOut, target: BinaryTarget, places: Sequence[int], name: str, why: str) -> Shown:
    """Drawing data of one event from its graphs."""
    graphs = [held.graphs[place] for place in places]
    metadata = held.model.metadata
    picture = whole_event(graphs, metadata.sectors, eta_sectors(Dataset(held.graphs, metadata)))
    spans = [target.spans[place] for place in places]
    taken = np.concatenate([np.arange(*span) for span in spans])
    rows = rows_of(picture, target, [graph[target.task.rows.index].numpy() for graph in graphs], graphs)
    truth, counted = target.truth[taken], target.counted[taken]
    turns = [logits[taken] for logits in target.passes]
    below = [target.task.true_below(graph) for graph in graphs]
    index, doublets = None, None
    if below[0] is not None:
        ends = np.cumsum([0, *(len(flags) for flags in below if flags is not None)])
        parts = [graph[target.task.rows.index].numpy() + ends[k] for k, graph in enumerate(graphs)]
        index, doublets = np.concatenate(parts, axis=1), np.concatenate([np.asarray(flags, bool) for flags in below])
    classes = np.stack([classes_of(logits, truth, counted, index, doublets) for logits in turns])
    darkness = np.stack([darkness_of(logits) for logits in turns])
    drawn = counted & ((classes > 0) | (darkness > 0)).any(axis=0)
    return Shown(name, why, picture.pos, rows[:, drawn], classes[:, drawn], darkness[:, drawn])


def rows_of(
    picture: EventPicture, target: BinaryTarget, index: Sequence[Ints], graphs: Sequence[Mapping[str, Any]]
) -> Ints:
    """The hits of each row, inner to outer, as places in the whole event. Shapes: -> [2, E] or [3, T]."""
    if target.task.rows.domain == "edge":
        return picture.edges
    before = np.cumsum([0, *(graph["edge_index"].shape[1] for graph in graphs)])
    inner, outer = np.concatenate([doublets + before[k] for k, doublets in enumerate(index)], axis=1)
    return np.stack([picture.edges[0, inner], picture.edges[1, inner], picture.edges[1, outer]])


def classes_of(logits: Logits, truth: Bools, counted: Bools, index: Ints | None, doublets: Bools | None) -> Ints:
    """Place of each row's style. Shapes: [R] each, index [2, R] -> [R]."""
    accepted = (logits >= CUT_LOGIT) & counted
    truth = truth & counted
    if index is None or doublets is None:
        return np.select([truth & accepted, accepted, truth], [1, 2, 3], 0).astype(np.int64)
    return np.select(list(medal_classes(accepted, truth, index, doublets).values()), [1, 2, 3, 4, 5], 0).astype(
        np.int64
    )


def darkness_of(logits: Logits) -> Ints:
    """Bin of the probability among `DARKNESS`. Shapes: [R] -> [R]."""
    limits = [math.log(probability / (1 - probability)) for probability in DARKNESS]
    return np.digitize(np.nan_to_num(logits), limits).astype(np.int64)
