"""Metrics of track candidates: the TrackML score, and efficiency, fakes and duplicates as Exa.TrkX counts them.

A *track* is all hits of an event with one label. Its *particle* is the one that made more than half of its hits; there
is at most one, and noise is none.

`single` majority
    A track is matched where it has a particle (one-way matching; ACORN calls it ATLAS style).
`double` majority
    ... and more than half of the particle's hits are in the track (two-way matching: Ju et al. 2021, arXiv:2103.06995;
    the condition of the TrackML score: Amrouche et al. 2019, arXiv:1904.06778). One track at most matches a particle.
`lhc`
    ... instead, at least three quarters of the track's hits are the particle's.

Two meanings of "the particle's hits" give two efficiencies (Exa.TrkX's terms): the *physics* one counts all hits of
the event, and particles with enough of them; the *technical* one counts hits that are in the graphs, and particles
that have enough hits there too. The first also pays for what was cut away before the network saw it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archioptrx.core.errors import InputError
from archioptrx.data.signal import Signal
from archioptrx.tasks.metrics import SMALL, TRACKS, metric, metrics_of
from archioptrx.tasks.tracks.colliderml import benchmark_counts
from archioptrx.tasks.tracks.intervals import binomial_interval

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Counts = dict[str, tuple[float, float]]
"""Numerator and denominator of each rate, by its name."""

MATCHINGS = ("double", "single", "lhc")
BENCHMARK = ("efficiency", "fake_rate", "duplicate_rate")
"""Rates of ColliderML's benchmark, see `archioptrx.tasks.tracks.colliderml`."""
PT_BINS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, math.inf)
"""Transverse momentum of the particle, GeV; of a row of hits, that of the innermost."""
ETA_BINS = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, math.inf)
"""|η| of the particle's momentum; of a row of hits, that of its outermost as seen from the origin."""
PHI_BINS = tuple(eighth * math.pi / 4 for eighth in range(-4, 5))
"""Azimuth of the particle's momentum, rad."""
Z_BINS = (-math.inf, -100.0, -50.0, -20.0, -10.0, -5.0, 0.0, 5.0, 10.0, 20.0, 50.0, 100.0, math.inf)
"""z of the particle's vertex, mm: TrackML's vertices are 5 mm from the origin, those of `fatras` 50 mm."""
BINS = {"pt": PT_BINS, "eta": ETA_BINS, "phi": PHI_BINS, "z": Z_BINS}
"""Ends of the bins of each quantity of a particle or track; a bin holds its lower end."""


@dataclass(frozen=True, eq=False)
class EventTracks:
    """Labels of an event's hits beside the truth.

    Attributes
    ----------
    name
        Name of the event.
    labels : int64 [N]
        Track of each hit that was in a graph, -1 for none.
    particle : int64 [N]
        Row of each hit's particle in the arrays below, -1 for noise.
    weight : [N]
        Weight of each hit in the TrackML score.
    hits : int64 [P]
        Hits of each particle in the whole event, or in the part of it that was given.
    weights : [P]
        Sum of their weights.
    pt, eta, vr : [P]
        Transverse momentum in GeV, pseudorapidity, distance of the vertex from the beam line in mm; NaN: unknown.
    event_hits : int64 [P] or None
        Hits of each particle in the whole event, where `hits` counts a part. None: `hits`.
    phi, z : [P] or None
        Azimuth of the momentum, rad, and z of the vertex, mm; NaN or None: unknown.
    pos : [N, 3] or None
        x, y, z of each hit, mm. None: unknown, as of the hits of line graphs.
    """

    name: str
    labels: Ints
    particle: Ints
    weight: Floats
    hits: Ints
    weights: Floats
    pt: Floats
    eta: Floats
    vr: Floats
    event_hits: Ints | None = None
    phi: Floats | None = None
    z: Floats | None = None
    pos: Floats | None = None

    def quantity(self, name: str) -> Floats:
        """Quantity of each particle that `BINS` has bins of, NaN where it is unknown. Shapes: -> [P]."""
        values = getattr(self, name)
        return np.full(len(self.hits), np.nan) if values is None else binned_value(name, values)

    @property
    def all_hits(self) -> Ints:
        """Hits of each particle in the whole event, as far as they are known."""
        return self.hits if self.event_hits is None else self.event_hits


def binned_value(name: str, values: Floats) -> Floats:
    """Values as the bins of a quantity want them: |η|, and azimuths in [-π, π).

    >>> binned_value("phi", np.array([math.pi, -1.0])).round(3).tolist()
    [-3.142, -1.0]
    """
    if name == "phi":
        return np.asarray((values + math.pi) % (2 * math.pi) - math.pi)
    return np.abs(values) if name == "eta" else values


@dataclass(frozen=True)
class Selection:
    """Particles that count in efficiencies, and tracks that count at all.

    Attributes
    ----------
    pt_min
        Least transverse momentum, GeV; 0: any, also an unknown one.
    eta_max
        Largest |η|.
    vr_max
        Largest distance of the vertex from the beam line, mm; for primary particles a few.
    min_hits
        Least number of hits of a particle, and of a track. The TrackML score knows no such limit.
    signal_hits
        Least number of hits of a particle in the whole event, in the graphs or not.
    track_hits
        Least number of hits of a track; None: `min_hits`.
    """

    pt_min: float = 0.0
    eta_max: float = math.inf
    vr_max: float = math.inf
    min_hits: int = 3
    signal_hits: int = 0
    track_hits: int | None = None

    @property
    def least_of_tracks(self) -> int:
        """Least number of hits of a track."""
        return self.min_hits if self.track_hits is None else self.track_hits

    @staticmethod
    def of_signal(options: Mapping[str, Any]) -> Selection:
        """The signal of a data set, by which edges are masked: tracks are judged by the same particles.

        >>> Selection.of_signal({"source": "helix", "signal_pt": 1.0}).pt_min
        1.0
        """
        signal = Signal.of_options(options)
        return Selection(pt_min=signal.pt, vr_max=signal.vr_max, signal_hits=signal.hits)

    def check(self, events: Sequence[EventTracks]) -> None:
        """Check that the data have what the limits need: of all events together, one of unknown particles may be there.

        Raises
        ------
        InputError
            A quantity that is limited isn't known of any particle.
        """
        place = events[0].name if len(events) == 1 else f"{len(events)} events"
        particles = any(len(event.hits) for event in events)
        for name, needed, values in (
            ("pT", self.pt_min > 0, [event.pt for event in events]),
            ("η", self.eta_max < math.inf, [event.eta for event in events]),
            ("distance of the vertex from the beam line", self.vr_max < math.inf, [event.vr for event in events]),
        ):
            if needed and particles and all(np.isnan(of_event).all() for of_event in values):
                raise InputError(f"{place}: no {name} of a particle is known; allowed: without a limit of it")

    def of(self, event: EventTracks) -> Bools:
        """Particles of an event that count; one whose quantity is limited and isn't known doesn't. Shapes: -> bool [P].

        See `check`. Compared in float32, as `Signal` does: a particle exactly at the limit counts.
        """
        signal = Signal(self.pt_min, self.signal_hits, self.vr_max).of(event.pt, event.all_hits, event.vr)
        eta = np.abs(event.eta).astype(np.float32)
        near = eta <= np.float32(self.eta_max) if self.eta_max < math.inf else True
        return signal & near & (event.hits >= self.min_hits)


@dataclass(frozen=True, eq=False)
class Matched:
    """Tracks of an event and their particles.

    Attributes
    ----------
    event
        The event with the tracks that were matched.
    track : int64 [N]
        Number of each hit's track among those below, -1 for none.
    name : int64 [T]
        Label of each track.
    size, particle, shared : int64 [T]
        Hits of each track, its particle (-1: none) and how many of the hits are that particle's.
    hits_in_graphs : int64 [P]
        Hits of each particle in the graphs.
    """

    event: EventTracks
    track: Ints
    name: Ints
    size: Ints
    particle: Ints
    shared: Ints
    hits_in_graphs: Ints

    @classmethod
    def of(cls, event: EventTracks) -> Matched:
        """Find the particle of each track."""
        count = len(event.hits)
        hits_in_graphs = np.bincount(event.particle[event.particle >= 0], minlength=count)
        inside = event.labels >= 0
        names, track = np.unique(event.labels[inside], return_inverse=True)
        size = np.bincount(track, minlength=len(names))
        # One number for each pair of track and particle; noise is the last "particle".
        owner = np.where(event.particle[inside] < 0, count, event.particle[inside])
        pair, shared = np.unique(track * (count + 1) + owner, return_counts=True)
        of, owner = pair // (count + 1), pair % (count + 1)
        major = (owner < count) & (2 * shared > size[of])
        particle, most = np.full(len(names), -1), np.zeros(len(names), dtype=np.int64)
        particle[of[major]], most[of[major]] = owner[major], shared[major]
        place = np.full(len(event.labels), -1)
        place[inside] = track
        return cls(event, place, names, size, particle, most, hits_in_graphs)

    def by(self, matching: str, hits: Ints) -> Bools:
        """Tracks that are matched, where the particles have so many hits. Shapes: hits [P] -> bool [T]."""
        owned = self.particle >= 0
        if matching == "double":
            return owned & (2 * self.shared > np.append(hits, 0)[self.particle])
        return owned & (4 * self.shared >= 3 * self.size) if matching == "lhc" else owned

    @cached_property
    def score(self) -> float | None:
        """TrackML score: weight of the hits in tracks that are in their double-majority particle's, of all weight."""
        total = float(self.event.weights.sum())
        if total <= 0:
            return None
        # The last place stands for track -1, no track at all.
        good = np.append(self.by("double", self.event.hits), False)[self.track]
        own = np.append(self.particle, -1)[self.track] == self.event.particle
        return float(self.event.weight[good & own].sum()) / total


def track_metrics(
    events: Sequence[EventTracks], selection: Selection | None = None, bins: bool = False, task: str = ""
) -> dict[str, Any]:
    """Score the tracks of events, pooled; the TrackML score is the mean over events, as in the challenge.

    Parameters
    ----------
    events
        Each with all of its hits that were in a graph.
    selection
        Selection of the particles and tracks that count; None: at least three hits.
    bins
        Add efficiencies per bin.
    task
        Name of the task that made the tracks; its metrics are computed.

    Returns
    -------
    `track_efficiency`
        Selected particles with at least `min_hits` hits in the graphs that a double-majority track found, of all of
        these (technical; a particle's hits are those in the graphs).
    `track_efficiency_physics`
        Selected particles that a double-majority track found, of all selected ones (hits of the whole event).
    `track_fake_rate`
        Tracks whose hits no particle made more than half of, of all tracks.
    `track_duplicate_rate`
        Single-majority tracks of selected particles beyond the first of each, for each particle that has one.
    `track_completeness`
        Share of the hits of the whole event of a particle that its track holds, mean over the single-majority tracks of
        the particles of the technical efficiency.
    `trackml_score`
        See `Matched.score`.
    `tracks, particles`
        Tracks; particles that the technical efficiency counts.
    `matching`
        The two efficiencies, fake rate, duplicate rate and completeness under each matching.
    `pt, eta, phi, z`
        Lists of bins, where they are asked for and the data have the quantity; of the particles that are known.
    And the user's own metrics of tracks.

    Raises
    ------
    InputError
        See `Selection.check`.
    """
    tracks = FoundTracks(events, selection or Selection())
    tracks.selection.check(events)
    result: dict[str, Any] = {metric.name: metric.value(tracks) for metric in metrics_of(task, TRACKS)}
    least, sides = tracks.selection.least_of_tracks, tracks.sides
    result |= {
        "tracks": int((tracks.matched.size >= least).sum()),
        "particles": int(sides["technical"].sum()),
        "matching": tracks.matching,
    }
    everything = tracks.matched.event
    for name, limits in BINS.items() if bins else ():
        values = everything.quantity(name)
        if not (len(values) and np.isnan(values).all()):
            result[name] = _per_bin(tracks.matched, sides, least, values, limits)
    return result


@dataclass(frozen=True, eq=False)
class FoundTracks:
    """Input of metrics of tracks: tracks of some events, pooled, and the particles and tracks that count.

    Attributes
    ----------
    events
        Each with all of its hits that were in a graph.
    selection
        Selection of the particles and tracks that count.
    """

    events: Sequence[EventTracks]
    selection: Selection

    def __len__(self) -> int:
        """Number of events."""
        return len(self.events)

    @cached_property
    def matched(self) -> Matched:
        """All tracks, and the particle of each."""
        return Matched.of(joined(self.events))

    @cached_property
    def sides(self) -> dict[str, Bools]:
        """Selected particles, of which the `physics` efficiency and the `technical` one are shares: bool [P] each."""
        physics = self.selection.of(self.matched.event)
        return {"physics": physics, "technical": physics & (self.matched.hits_in_graphs >= self.selection.min_hits)}

    @cached_property
    def counts(self) -> dict[str, Counts]:
        """Numerator and denominator of each rate under each matching; those of several events add up."""
        return {name: _counts(self.matched, name, self.sides, self.selection.least_of_tracks) for name in MATCHINGS}

    @cached_property
    def matching(self) -> dict[str, dict[str, float | None]]:
        """The rates under each matching."""
        return {name: {rate: ratio(*pair) for rate, pair in counts.items()} for name, counts in self.counts.items()}

    @cached_property
    def score(self) -> tuple[float, int]:
        """Sum of the TrackML scores of the events that have one, and the number of these events."""
        scores = [score for event in self.events if (score := Matched.of(event).score) is not None]
        return sum(scores), len(scores)

    @cached_property
    def benchmark(self) -> Counts:
        """Numerator and denominator of each rate of ColliderML's benchmark; those of several events add up."""
        counts = [benchmark_counts(event.labels, event.particle, event.hits) for event in self.events]
        return added(counts) or dict.fromkeys(BENCHMARK, (0.0, 0.0))

    def sums(self, count: CountTracks) -> Counts:
        """Numerators and denominators that a function counts in each event, added up; empty without events.

        The function is a constant, such as a `Definition`: what it counted in an event isn't counted again.
        """
        if count not in self._counted:
            self._counted[count] = added(count(self.events, self.selection))
        return self._counted[count]

    @cached_property
    def _counted(self) -> dict[CountTracks, Counts]:
        return {}


CountTracks = Callable[[Sequence[EventTracks], Selection], list[Counts]]
"""Function that counts the tracks of each event: numerator and denominator of each rate.

It gets all events, as limits may depend on what is known of their particles.
"""


def added(counts: Sequence[Counts]) -> Counts:
    """Sums of the numerators and denominators of several events, by the rate.

    >>> added([{"a": (1, 2)}, {"a": (0, 3)}])
    {'a': (1, 5)}
    """
    return {
        rate: (sum(parts[rate][0] for parts in counts), sum(parts[rate][1] for parts in counts))
        for rate in (counts[0] if len(counts) else ())
    }


@metric("track_efficiency", of=TRACKS)
def _efficiency(tracks: FoundTracks) -> float | None:
    """Share of particles with enough hits in the graphs that a track found."""
    return tracks.matching["double"]["efficiency"]


@metric("track_efficiency_physics", of=TRACKS, headline=False)
def _efficiency_physics(tracks: FoundTracks) -> float | None:
    """Share of all particles that count that a track found."""
    return tracks.matching["double"]["efficiency_physics"]


@metric("track_fake_rate", of=TRACKS, better=SMALL)
def _fake_rate(tracks: FoundTracks) -> float | None:
    """Share of tracks that are no particle's."""
    return tracks.matching["single"]["fake_rate"]


@metric("track_duplicate_rate", of=TRACKS, better=SMALL, headline=False)
def _duplicate_rate(tracks: FoundTracks) -> float | None:
    """Further tracks of a particle, for each particle that has one."""
    return tracks.matching["single"]["duplicate_rate"]


@metric("track_completeness", of=TRACKS, headline=False)
def _completeness_of_tracks(tracks: FoundTracks) -> float | None:
    """Share of a particle's hits in its track, mean over the tracks of particles that count."""
    mean = tracks.matching["single"]["completeness"]
    return None if mean is None else min(1.0, mean)  # a sum of shares, rounded, may exceed their number


@metric("trackml_score", of=TRACKS)
def _trackml_score(tracks: FoundTracks) -> float | None:
    """Weight of the hits in the right tracks, of all weight."""
    mean = ratio(*tracks.score)
    return None if mean is None else min(1.0, mean)  # a sum of weights, rounded, may exceed their total


@metric("colliderml_efficiency", of=TRACKS, headline=False)
def _colliderml_efficiency(tracks: FoundTracks) -> float | None:
    """ColliderML's `trackml_eff`: hits in the right tracks, of all hits."""
    return ratio(*tracks.benchmark["efficiency"])


@metric("colliderml_fake_rate", of=TRACKS, better=SMALL, headline=False)
def _colliderml_fake_rate(tracks: FoundTracks) -> float | None:
    """ColliderML's `fake_rate`: tracks of which no particle has a half."""
    return ratio(*tracks.benchmark["fake_rate"])


@metric("colliderml_duplicate_rate", of=TRACKS, better=SMALL, headline=False)
def _colliderml_duplicate_rate(tracks: FoundTracks) -> float | None:
    """ColliderML's `dup_rate`: particles whose hits are in several tracks, or in a track and in none."""
    return ratio(*tracks.benchmark["duplicate_rate"])


def joined(events: Sequence[EventTracks]) -> EventTracks:
    """Several events as one, in which no track and no particle is of two of them."""
    labels, particles, track, particle = [], [], 0, 0
    for event in events:
        labels.append(np.where(event.labels < 0, -1, event.labels + track))
        particles.append(np.where(event.particle < 0, -1, event.particle + particle))
        track += int(event.labels.max(initial=-1)) + 1
        particle += len(event.hits)

    def whole(parts: Iterable[Floats]) -> Floats:
        return np.concatenate([np.zeros(0), *parts])

    def known(values: list[Floats | None], like: list[Ints]) -> Floats:
        """The values of all events, NaN for those of an event that has none."""
        return whole(np.full(len(of), np.nan) if part is None else part for part, of in zip(values, like, strict=True))

    def whole_numbers(parts: Iterable[Ints]) -> Ints:
        return np.concatenate([np.zeros(0, np.int64), *parts])

    return EventTracks(
        name=f"{len(events)} events" if len(events) != 1 else events[0].name,
        labels=whole_numbers(labels),
        particle=whole_numbers(particles),
        weight=whole(event.weight for event in events),
        hits=whole_numbers(event.hits for event in events),
        weights=whole(event.weights for event in events),
        pt=whole(event.pt for event in events),
        eta=whole(event.eta for event in events),
        vr=whole(event.vr for event in events),
        event_hits=whole_numbers(event.all_hits for event in events),
        phi=known([event.phi for event in events], [event.hits for event in events]),
        z=known([event.z for event in events], [event.hits for event in events]),
    )


def _tracks_of_particles(matched: Matched, matching: str, side: str, min_hits: int) -> Ints:
    """Tracks that are matched to each particle. Shapes: -> int64 [P]."""
    hits = matched.event.hits if side == "physics" else matched.hits_in_graphs
    good = matched.by(matching, hits) & (matched.size >= min_hits)
    return np.bincount(matched.particle[good], minlength=len(matched.event.hits))


def _counts(matched: Matched, matching: str, sides: dict[str, Bools], min_hits: int) -> Counts:
    """Efficiencies, fake rate, duplicate rate and completeness under one matching; a fake matches no particle."""
    counts = {side: _tracks_of_particles(matched, matching, side, min_hits)[chosen] for side, chosen in sides.items()}
    real = matched.by(matching, matched.hits_in_graphs)[matched.size >= min_hits]
    again = counts["technical"][counts["technical"] > 0] - 1
    held, of_held = _completeness(matched, matching, sides["technical"], min_hits)
    return {
        "efficiency": (int((counts["technical"] > 0).sum()), len(counts["technical"])),
        "efficiency_physics": (int((counts["physics"] > 0).sum()), len(counts["physics"])),
        "fake_rate": (int((~real).sum()), len(real)),
        "duplicate_rate": (int(again.sum()), len(again)),
        "completeness": (held, of_held),
    }


def _completeness(matched: Matched, matching: str, chosen: Bools, min_hits: int) -> tuple[float, int]:
    """Sum over the tracks of chosen particles of the share of the particle's hits that they hold, and their number."""
    good = matched.by(matching, matched.hits_in_graphs) & (matched.size >= min_hits)
    good &= np.append(chosen, False)[matched.particle]
    shares = matched.shared[good] / matched.event.hits[matched.particle[good]]
    return math.fsum(shares), len(shares)  # exact: the same in any order of the tracks


def ratio(part: float, whole: float) -> float | None:
    """A share or mean; None where the denominator is 0."""
    return float(part / whole) if whole > 0 else None


def _share(values: Bools) -> float | None:
    return ratio(int(values.sum()), len(values))


def _per_bin(
    matched: Matched, sides: dict[str, Bools], min_hits: int, values: Floats, limits: tuple[float, ...]
) -> list[dict[str, Any]]:
    """Double-majority efficiencies, the technical one with its interval, and duplicates of the particles of bins."""
    reached = {side: _tracks_of_particles(matched, "double", side, min_hits) > 0 for side in sides}
    single = _tracks_of_particles(matched, "single", "technical", min_hits)
    rows = []
    for low, high in itertools.pairwise(limits):
        inside = (values >= low) & (values < high)
        if not (inside & sides["physics"]).any():
            continue
        again = single[inside & sides["technical"] & (single > 0)] - 1
        technical = reached["technical"][inside & sides["technical"]]
        low_end, high_end = binomial_interval(int(technical.sum()), len(technical))
        rows.append(
            {
                "from": low if math.isfinite(low) else None,
                "to": high if math.isfinite(high) else None,
                "particles": len(technical),
                "efficiency": _share(technical),
                "low": low_end,
                "high": high_end,
                "efficiency_physics": _share(reached["physics"][inside & sides["physics"]]),
                "duplicate_rate": ratio(int(again.sum()), len(again)),
            }
        )
    return rows
