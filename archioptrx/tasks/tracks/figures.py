"""Figures of tracks by one definition: rates with their counts, limits, and rates in bins."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from archioptrx.tasks.tracks.binned import in_bins, technical_outcome
from archioptrx.tasks.tracks.definitions import Definition
from archioptrx.tasks.tracks.metrics import BINS, EventTracks, Selection, added, ratio, track_metrics
from archioptrx.tasks.tracks.own_quantities import Frame
from archioptrx.tasks.tracks.rates import OF_TRACKS


def named_figures(
    definition: Definition, events: Sequence[EventTracks], selection: Selection, frame: Frame
) -> dict[str, Any]:
    """Rates of the tracks of events, pooled.

    Returns
    -------
    `matching`, `fraction`, `limits`, `limits_text`
        The definition, and the limits of particles and tracks, also in words; None: no limit.
    each rate
        None where its denominator is 0.
    `counts`
        Numerator and denominator of each rate.
    `pt`, `eta`, `phi`, `z`, `of_tracks`
        Rates in bins, see `in_bins`; none of ColliderML, which counts hits.
    """
    selection.check(events)
    outcomes = [definition.outcome(event, selection) for event in events]
    counts = added([outcome.counts for outcome in outcomes])
    return {
        "matching": definition.label,
        "fraction": definition.fraction,
        "limits": limits_of(definition, selection),
        "limits_text": limits_text(definition, selection),
        **{rate: ratio(*pair) for rate, pair in counts.items()},
        "counts": {rate: list(pair) for rate, pair in counts.items()},
        **in_bins(events, outcomes, frame),
    }


def binned_metrics(events: Sequence[EventTracks], selection: Selection, frame: Frame, task: str = "") -> dict[str, Any]:
    """Result of `track_metrics` with bins of particles, and of tracks by their own quantities (`of_tracks`)."""
    outcomes = [technical_outcome(event, selection) for event in events]
    of_tracks = {key: rows for key, rows in in_bins(events, outcomes, frame).items() if key == OF_TRACKS}
    metrics = track_metrics(events, selection, bins=True, task=task)
    return {key: rows for key, rows in metrics.items() if key not in BINS or frame.known(key)} | of_tracks


def limits_of(definition: Definition, selection: Selection) -> dict[str, Any]:
    """Limits of a selection that a definition applies, by their names; None: no limit."""
    limits = {
        "pt_min": selection.pt_min,
        "eta_max": selection.eta_max if math.isfinite(selection.eta_max) else None,
        "vr_max": selection.vr_max if math.isfinite(selection.vr_max) else None,
        "min_hits": max(selection.min_hits, selection.signal_hits),
        "track_hits": selection.least_of_tracks,
    }
    return limits if definition.limited else dict.fromkeys(limits)


def limits_text(definition: Definition, selection: Selection) -> str:
    """Limits of a selection that a definition applies, in words.

    >>> limits_text(Definition.named("acts"), Selection(pt_min=1.0, min_hits=7, track_hits=1))
    'particles: pT ≥ 1 GeV, 7 hits or more; tracks: 1 hit or more'
    >>> limits_text(Definition.named("colliderml"), Selection(pt_min=1.0))
    'all particles and all tracks: colliderml has no limits'
    """
    if not definition.limited:
        return f"all particles and all tracks: {definition.name} has no limits"
    limits = limits_of(definition, selection)
    texts = {"pt_min": "pT ≥ {:g} GeV", "eta_max": "|η| ≤ {:g}", "vr_max": "vertex within {:g} mm of the beam"}
    particles = [text.format(limits[name]) for name, text in texts.items() if limits[name]]
    hits = [
        f"{count:g} {'hit' if count == 1 else 'hits'} or more" for count in (limits["min_hits"], limits["track_hits"])
    ]
    return f"particles: {', '.join([*particles, hits[0]])}; tracks: {hits[1]}"
