"""Efficiency, fake rate and duplicate rate in bins of pT, |η|, φ and z, each with a binomial interval.

An efficiency is one of particles, in bins of their true quantities. Fakes and duplicates are tracks, in bins of the
quantities of the tracks themselves, see `own_quantities`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archioptrx.tasks.tracks.definitions import Outcome, Verdicts, further
from archioptrx.tasks.tracks.intervals import binomial_interval
from archioptrx.tasks.tracks.metrics import BINS, EventTracks, FoundTracks, Matched, Selection, ratio
from archioptrx.tasks.tracks.own_quantities import Frame, OwnQuantities
from archioptrx.tasks.tracks.rates import OF_TRACKS

Values = NDArray[Any]


def in_bins(
    events: Sequence[EventTracks], outcomes: Sequence[Outcome], frame: Frame, trainings: int = 1
) -> dict[str, Any]:
    """Rates of the tracks of events in bins.

    Parameters
    ----------
    events, outcomes
        Tracks of each event, and what a definition counted.
    frame
        Field and azimuths of the events.
    trainings
        Number of trainings that found tracks in the same events, which all stand in the list: numbers are means over
        them, and intervals those of one training's number of particles.

    Returns
    -------
    `pt`, `eta`, `phi`, `z`
        Rows of the bins that hold a particle that counts: `from` and `to` (None: no end), `particles`, `efficiency`
        with `low` and `high`, and `duplicate_rate`, the further tracks of each found particle.
    `of_tracks`
        The same of tracks by their own quantities: `tracks`, `fake_rate` and `duplicate_rate`, shares of them, each
        with its ends `fake_low` … `duplicate_high`. Absent where hits have no known places; a quantity that isn't
        known is left out, and so is a rate that the definition lacks.
    """
    result: dict[str, Any] = {}
    chosen = _joined([outcome.chosen for outcome in outcomes]).astype(np.bool_)
    found = _joined([outcome.found for outcome in outcomes])[chosen]
    for name in BINS if chosen.any() else ():
        values = _joined([event.quantity(name) for event in events])[chosen]
        if frame.known(name) and not np.isnan(values).all():
            result[name] = [
                limits | _of_particles(found[inside], trainings) for limits, inside in _filled(name, values)
            ]
    of_tracks = _rates_of_tracks(events, [outcome.verdicts for outcome in outcomes], frame, trainings)
    return result | ({OF_TRACKS: of_tracks} if of_tracks else {})


def _joined(parts: Sequence[Values]) -> Values:
    return np.concatenate([np.zeros(0, np.int64), *parts])


def _filled(name: str, values: Values) -> Iterator[tuple[dict[str, float | None], NDArray[np.bool_]]]:
    """Ends of each bin of a quantity that holds a value, and the values in it."""
    for low, high in itertools.pairwise(BINS[name]):
        inside = (values >= low) & (values < high)
        if inside.any():
            yield {"from": _finite(low), "to": _finite(high)}, inside


def _finite(end: float) -> float | None:
    return end if math.isfinite(end) else None


def _of_particles(found: Values, trainings: int) -> dict[str, Any]:
    """Number of particles, efficiency with its interval, and further tracks of each found particle."""
    seen, count = int((found > 0).sum()), len(found)
    low, high = binomial_interval(seen / trainings, count / trainings)
    return {
        "particles": count // trainings,
        "efficiency": ratio(seen, count),
        "low": low,
        "high": high,
        "duplicate_rate": ratio(int(np.maximum(found - 1, 0).sum()), seen),
    }


def _rates_of_tracks(
    events: Sequence[EventTracks], verdicts: Sequence[Verdicts | None], frame: Frame, trainings: int
) -> dict[str, list[dict[str, Any]]]:
    """Rates of fakes and duplicates by the tracks' own quantities; empty where these or the verdicts aren't known."""
    known = [verdict for verdict in verdicts if verdict is not None]
    own = [OwnQuantities.of(event, frame) for event in events]
    if not known or len(known) < len(own):
        return {}
    of_rates = {"fake": [verdict.fake for verdict in known]}
    if all(verdict.again is not None for verdict in known):
        of_rates["duplicate"] = [verdict.again for verdict in known if verdict.again is not None]
    shown = {rate: _joined(parts).astype(np.bool_) for rate, parts in of_rates.items()}
    tables = {}
    for name in BINS:
        if all(name in quantities.values for quantities in own):
            pairs = zip(own, known, strict=True)
            values = _joined([quantities.at(verdict.track, name) for quantities, verdict in pairs])
            tables[name] = [
                limits | _of_tracks({rate: marks[inside] for rate, marks in shown.items()}, trainings)
                for limits, inside in _filled(name, values)
            ]
    return {name: rows for name, rows in tables.items() if rows}


def _of_tracks(marks: Mapping[str, Values], trainings: int) -> dict[str, Any]:
    """Number of tracks, and for each rate the share of those that are marked, with its interval."""
    count = len(next(iter(marks.values())))
    row: dict[str, Any] = {"tracks": round(count / trainings)}
    for rate, marked in marks.items():
        low, high = binomial_interval(int(marked.sum()) / trainings, count / trainings)
        row |= {f"{rate}_rate": ratio(int(marked.sum()), count), f"{rate}_low": low, f"{rate}_high": high}
    return row


def technical_outcome(event: EventTracks, selection: Selection) -> Outcome:
    """Tracks of an event as `track_metrics` counts them.

    Particles are those of the technical efficiency, found by double majority. A fake is no particle's. Duplicates are
    further tracks of these particles by single majority; in `track_duplicate_rate` they are counted for each particle,
    in bins for each track.
    """
    matched, tracks = Matched.of(event), FoundTracks([event], selection)
    long = matched.size >= selection.least_of_tracks
    chosen = tracks.sides["technical"]
    double = matched.by("double", matched.hits_in_graphs) & long
    single = np.flatnonzero(long & np.append(chosen, False)[matched.particle])
    again = further(single, matched.particle[single], matched.shared[single], len(long))
    found = np.bincount(matched.particle[double], minlength=len(chosen))
    return Outcome({}, chosen, found, Verdicts(matched.name[long], matched.particle[long] < 0, again[long]))
