"""Figures of tracks by one definition: rates with their counts, limits, and efficiencies in bins."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archioptrx.tasks.tracks.definitions import Definition
from archioptrx.tasks.tracks.metrics import ETA_BINS, PT_BINS, EventTracks, Selection, added, ratio


def named_figures(definition: Definition, events: Sequence[EventTracks], selection: Selection) -> dict[str, Any]:
    """Rates of the tracks of events, pooled.

    Returns
    -------
    `matching`, `fraction`, `limits`, `limits_text`
        The definition, and the limits of particles and tracks, also in words; None: no limit.
    each rate
        None where its denominator is 0.
    `counts`
        Numerator and denominator of each rate.
    `pt`, `eta`
        Efficiencies in bins that hold a particle, with binomial intervals (`low`, `high`), where the data have the
        quantity; none of ColliderML, which counts hits.
    """
    selection.check(events)
    outcomes = [definition.outcome(event, selection) for event in events]
    counts = added([outcome.counts for outcome in outcomes])
    result: dict[str, Any] = {
        "matching": definition.label,
        "fraction": definition.fraction,
        "limits": limits_of(definition, selection),
        "limits_text": limits_text(definition, selection),
        **{rate: ratio(*pair) for rate, pair in counts.items()},
        "counts": {rate: list(pair) for rate, pair in counts.items()},
    }
    chosen = np.concatenate([np.zeros(0, np.bool_), *(outcome.chosen for outcome in outcomes)])
    found = np.concatenate([np.zeros(0, np.int64), *(outcome.found for outcome in outcomes)])
    for name, limits in (("pt", PT_BINS), ("eta", ETA_BINS)):
        values = np.abs(np.concatenate([np.zeros(0), *(getattr(event, name) for event in events)]))
        if chosen.any() and not np.isnan(values).all():
            result[name] = _bins(values[chosen], found[chosen], limits)
    return result


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


def binomial_interval(part: int, whole: int, level: float = 0.95) -> tuple[float, float]:
    """Interval of a share that part of a whole has, by Clopper and Pearson (Biometrika 26, 1934): never too narrow.

    >>> [round(end, 4) for end in binomial_interval(9, 10)]
    [0.555, 0.9975]
    >>> binomial_interval(0, 0)
    (0.0, 1.0)
    """
    from scipy.stats import beta

    tail = (1 - level) / 2
    low = float(beta.ppf(tail, part, whole - part + 1)) if part > 0 else 0.0
    high = float(beta.ppf(1 - tail, part + 1, whole - part)) if part < whole else 1.0
    return low, high


def _bins(values: NDArray[Any], found: NDArray[np.int64], limits: Sequence[float]) -> list[dict[str, Any]]:
    """Number of particles, efficiency with its interval, and further tracks of each found particle, of each bin."""
    rows = []
    for low, high in itertools.pairwise(limits):
        inside = (values >= low) & (values < high)
        if not inside.any():
            continue
        seen = int((found[inside] > 0).sum())
        low_end, high_end = binomial_interval(seen, int(inside.sum()))
        rows.append(
            {
                "from": low,
                "to": high if math.isfinite(high) else None,
                "particles": int(inside.sum()),
                "efficiency": ratio(seen, int(inside.sum())),
                "low": low_end,
                "high": high_end,
                "duplicate_rate": ratio(int(np.maximum(found[inside] - 1, 0).sum()), seen),
            }
        )
    return rows
