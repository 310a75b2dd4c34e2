"""Efficiency, fakes and duplicates as other projects define them, each by the name of its project.

Numbers of two papers can be compared only if both count in the same way. These definitions differ in the share of hits
that a match needs, in what is divided by what, in the tracks and particles that count, and in ties. docs/tracks.md has
them side by side, with the source of each.

    acts           a match needs the share `fraction` of the track's hits, and with `double` of the particle's, too.
                   Fakes and duplicates are shares of all tracks, also of those of particles that don't count. Tracks of
                   noise alone match nothing, and are no fakes
    trackml        the score of the challenge, and its double majority: more than half of both
    acorn          as `ATLAS` (share of the track's hits), `one_way` (tracks by their hits, particles by theirs) or
                   `two_way` (both). Only hits in the graphs count. Noise is one particle for the fake rate, and hits of
                   no track are one track
    gnn_tracking   `double_majority`, `lhc` and `perfect`, of the tracks whose largest particle counts
    colliderml     see `archioptrx.tasks.tracks.colliderml`
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from archioptrx.core.errors import InputError, did_you_mean
from archioptrx.tasks.tracks.colliderml import benchmark_counts
from archioptrx.tasks.tracks.metrics import Bools, Counts, EventTracks, Floats, Ints, Matched, Selection

HALF = 1e-6
"""Added by acorn to a `fraction` of one half, so that no track matches two particles."""
WHOLE = 0.99
"""Least share of a track's hits that a `perfect` match of gnn_tracking needs; its own number."""


@dataclass(frozen=True, eq=False)
class Verdicts:
    """Verdict of a definition on each track of an event that is in the denominator of its fake rate.

    Attributes
    ----------
    track : int64 [T]
        Label of each track, increasing; hits of no track, which are a track for acorn, are none here.
    fake : bool [T]
        Tracks that match no particle.
    again : bool [T] or None
        Tracks that match a particle that another track matches with more hits; of equal ones, the first track is the
        match. None: the definition has no duplicates.
    """

    track: Ints
    fake: Bools
    again: Bools | None = None


@dataclass(frozen=True, eq=False)
class Outcome:
    """Tracks of one event, counted by one definition.

    Attributes
    ----------
    counts
        Numerator and denominator of each rate.
    chosen : bool [P]
        Particles of which the efficiency is a share.
    found : int64 [P]
        Tracks by which each particle is found.
    verdicts
        Verdicts on the tracks; None: the definition counts hits.
    """

    counts: Counts
    chosen: Bools
    found: Ints
    verdicts: Verdicts | None = None


@dataclass(frozen=True, eq=False)
class SharedHits:
    """Hits that each track has in common with each particle of an event.

    Attributes
    ----------
    event
        The event. Its noise is the particle after the last one, number P.
    name : int64 [T]
        Label of each track; -1 is that of hits of no track.
    size : int64 [T]
        Hits of each track.
    track, particle, shared, last : int64 [S]
        Pairs of a track and a particle with hits in common: their numbers, how many hits, and the last of these hits.
    """

    event: EventTracks
    name: Ints
    size: Ints
    track: Ints
    particle: Ints
    shared: Ints
    last: Ints

    @classmethod
    def of(cls, event: EventTracks) -> SharedHits:
        """Count the hits of each pair."""
        count = len(event.hits)
        name, track, size = np.unique(event.labels, return_inverse=True, return_counts=True)
        owner = np.where(event.particle < 0, count, event.particle)
        pair, place, shared = np.unique(track * (count + 1) + owner, return_inverse=True, return_counts=True)
        last = np.zeros(len(pair), np.int64)
        np.maximum.at(last, place, np.arange(len(place)))
        return cls(event, name, size, pair // (count + 1), pair % (count + 1), shared, last)

    @cached_property
    def in_graphs(self) -> Ints:
        """Hits of each particle in the graphs, noise last. Shapes: -> int64 [P + 1]."""
        hits = np.zeros(len(self.event.hits) + 1, np.int64)
        np.add.at(hits, self.particle, self.shared)
        return hits

    @property
    def purity(self) -> Floats:
        """Share of the track's hits, of each pair."""
        return self.shared / self.size[self.track]

    @property
    def completeness(self) -> Floats:
        """Share of the particle's hits in the graphs, of each pair."""
        return self.shared / self.in_graphs[self.particle]

    def tracks(self, least: int) -> Bools:
        """Tracks of at least so many hits, without the hits of no track. Shapes: -> bool [T]."""
        return (self.name >= 0) & (self.size >= least)

    def leading(self, among: Bools) -> Ints:
        """Pair of each track with the most hits; of equal ones that whose last hit is the later one.

        Shapes: among bool [S], the pairs to choose from -> places of pairs.
        """
        pairs = np.flatnonzero(among)
        order = pairs[np.lexsort((-self.last[pairs], -self.shared[pairs], self.track[pairs]))]
        return order[np.flatnonzero(np.diff(self.track[order], prepend=-1))]


def further(track: Ints, particle: Ints, shared: Ints, tracks: int) -> Bools:
    """Tracks that match a particle which another one matches better.

    Shapes: track, particle, shared int64 [M], a match each: its track, particle and common hits -> bool [tracks].

    >>> further(np.array([0, 1, 2]), np.array([5, 5, 6]), np.array([3, 4, 3]), 4).tolist()
    [True, False, False, False]
    """
    order = np.lexsort((track, -shared, particle))
    again = np.zeros(tracks, np.bool_)
    again[track[order]] = np.diff(particle[order], prepend=-1) == 0
    return again


Count = Callable[[EventTracks, Selection, str, float], Outcome]


@dataclass(frozen=True)
class Rules:
    """A project's way to count.

    Attributes
    ----------
    count
        Function of an event's tracks, the limits, a style and the share of hits that a match needs.
    styles
        Its variants, the usual one first; empty: it has one.
    pt_min, eta_max, min_hits, track_hits
        The project's usual limits for particles (GeV, |η|, hits), and of hits for tracks.
    fraction
        Whether the share of hits can be chosen.
    limited
        Whether limits choose particles and tracks.
    """

    count: Count
    styles: tuple[str, ...] = ()
    pt_min: float = 0.0
    eta_max: float = np.inf
    min_hits: int = 3
    track_hits: int = 1
    fraction: bool = False
    limited: bool = True


def _counted(found: Ints, chosen: Bools) -> tuple[int, int]:
    """Number of chosen particles that are found, and of chosen ones."""
    return int((found[chosen] > 0).sum()), int(chosen.sum())


def matches_of_acts(table: SharedHits, of_track: Bools, style: str, fraction: float) -> tuple[Ints, Bools]:
    """Pair of each track with its particle, and whether it matches; see `count_as_acts`.

    Shapes: of_track bool [T], the tracks that count -> places of pairs, and bool of the same length.
    """
    event = table.event
    pair = table.leading(of_track[table.track] & (table.particle < len(event.hits)))
    share = table.shared[pair] / event.hits[table.particle[pair]]
    return pair, (table.purity[pair] >= fraction) & ((style == "single") | (share >= fraction))


def count_as_acts(event: EventTracks, selection: Selection, style: str, fraction: float) -> Outcome:
    """Count as `TrackTruthMatcher` and the finder's performance writers of Acts do.

    There, of particles with equally many hits of a track, the one of the outermost hit is taken; here that of the hit
    that is last in the event, for the order along a track isn't known.
    """
    table, count = SharedHits.of(event), len(event.hits)
    of_track = table.tracks(selection.least_of_tracks)
    pair, matched = matches_of_acts(table, of_track, style, fraction)
    particle, shared = table.particle[pair], table.shared[pair]
    purity, share = table.purity[pair], shared / event.hits[particle]
    found, chosen, tracks = np.bincount(particle[matched], minlength=count), selection.of(event), int(of_track.sum())
    good = matched & chosen[particle]
    fake = np.zeros(len(table.name), np.bool_)
    fake[table.track[pair]] = ~matched
    again = further(table.track[pair][matched], particle[matched], shared[matched], len(fake))
    return Outcome(
        {
            "efficiency": _counted(found, chosen),
            "fake_rate": (int((~matched).sum()), tracks),
            "duplicate_rate": (int(np.maximum(found - 1, 0).sum()), tracks),
            "completeness": (math.fsum(share[good]), int(good.sum())),
            "purity": (math.fsum(purity[good]), int(good.sum())),
        },
        chosen,
        found,
        Verdicts(table.name[of_track], fake[of_track], again[of_track]),
    )


def count_as_trackml(event: EventTracks, selection: Selection, style: str, fraction: float) -> Outcome:
    """Score of the TrackML challenge, and particles and tracks by its double majority, of all hits of an event."""
    matched, count = Matched.of(event), len(event.hits)
    long = matched.size >= selection.least_of_tracks
    good = matched.by("double", event.hits) & long
    found, chosen, score = np.bincount(matched.particle[good], minlength=count), selection.of(event), matched.score
    return Outcome(
        {
            "score": (0.0, 0) if score is None else (min(1.0, score), 1),
            "efficiency": _counted(found, chosen),
            "fake_rate": (int((long & ~good).sum()), int(long.sum())),
        },
        chosen,
        found,
        Verdicts(matched.name[long], ~good[long]),
    )


def count_as_acorn(event: EventTracks, selection: Selection, style: str, fraction: float) -> Outcome:
    """Count as `evaluate_labelled_graph` and `tracking_efficiency` of acorn's stage track_building do."""
    table, count = SharedHits.of(event), len(event.hits)
    needed = fraction + HALF * (fraction == 0.5)
    pure, complete = table.purity >= needed, table.completeness >= needed
    by_track = pure & complete if style == "two_way" else pure
    by_particle = {"one_way": complete, "two_way": pure & complete}.get(style, pure)
    long = (table.size >= selection.least_of_tracks)[table.track]
    counted = (by_particle & long)[table.particle < count]
    particle = table.particle[table.particle < count][counted]
    in_graphs = table.in_graphs[:count]
    chosen = selection.of(event) & (in_graphs >= max(1, selection.min_hits))
    found = np.bincount(particle, minlength=count)
    tracks, matched = (np.unique(table.track[pairs]) for pairs in (long, long & by_track))
    of_chosen = (by_particle & long) & np.append(chosen, False)[table.particle]
    again_in = further(table.track[of_chosen], table.particle[of_chosen], table.shared[of_chosen], len(table.name))
    real = tracks[table.name[tracks] >= 0]
    efficiency = _counted(found, chosen)
    again = int(np.maximum(found[chosen] - 1, 0).sum())
    return Outcome(
        {
            "efficiency": efficiency,
            "fake_rate": (len(tracks) - len(matched), len(tracks)),
            "duplicate_rate": (again, efficiency[0]),
        },
        chosen,
        found,
        Verdicts(table.name[real], ~np.isin(real, matched), again_in[real]),
    )


def count_as_gnn_tracking(event: EventTracks, selection: Selection, style: str, fraction: float) -> Outcome:
    """Count as `tracking_metrics` of gnn_tracking does; the order of its ties isn't defined there."""
    table, count = SharedHits.of(event), len(event.hits)
    pair = table.leading(table.tracks(selection.least_of_tracks)[table.track])
    chosen = selection.of(event) & (table.in_graphs[:count] >= max(1, selection.min_hits))
    pair = pair[np.append(chosen, False)[table.particle[pair]]]  # only these tracks count, noise is none of them
    purity, share = table.purity[pair], table.completeness[pair]
    kinds = {
        "double_majority": (purity > 0.5) & (share > 0.5),
        "lhc": purity > 0.75,
        "perfect": (share == 1) & (purity > WHOLE),
    }
    particles, tracks = int(chosen.sum()), len(pair)
    counts: Counts = {name: (int(good.sum()), tracks if name == "lhc" else particles) for name, good in kinds.items()}
    counts |= {f"fake_{name}": (int((~good).sum()), tracks) for name, good in kinds.items()}
    found = np.bincount(table.particle[pair][kinds["double_majority"]], minlength=count)
    return Outcome(counts, chosen, found, Verdicts(table.name[table.track[pair]], ~kinds["double_majority"]))


def count_as_colliderml(event: EventTracks, selection: Selection, style: str, fraction: float) -> Outcome:
    """Rates of ColliderML's benchmark, which has no limits: hits are counted, and no particles are chosen."""
    nobody = np.zeros(len(event.hits), np.bool_)
    return Outcome(benchmark_counts(event.labels, event.particle, event.hits), nobody, nobody.astype(np.int64))


DEFINITIONS: dict[str, Rules] = {
    "acts": Rules(count_as_acts, ("double", "single"), pt_min=1.0, min_hits=7, fraction=True),
    "trackml": Rules(count_as_trackml),
    "acorn": Rules(
        count_as_acorn, ("ATLAS", "one_way", "two_way"), pt_min=1.0, eta_max=4.0, track_hits=5, fraction=True
    ),
    "gnn_tracking": Rules(count_as_gnn_tracking, pt_min=0.9, eta_max=4.0, track_hits=3),
    "colliderml": Rules(count_as_colliderml, limited=False),
}
"""Every definition by the name of its project, with the limits that its own examples and papers have."""


@dataclass(frozen=True)
class Definition:
    """A definition of efficiency, fakes and duplicates, as `Definition.named` reads it.

    Attributes
    ----------
    name, style
        Project, one of `DEFINITIONS`, and its variant; empty where it has one.
    fraction
        Share of hits that a match needs.
    """

    name: str
    style: str = ""
    fraction: float = 0.5

    @classmethod
    def named(cls, text: str, fraction: float | None = None) -> Definition:
        """Read `NAME`, or `NAME:STYLE`.

        Raises
        ------
        InputError
            There is no such definition or style, or the share of hits is out of range or fixed.

        >>> Definition.named("acts:single").label, Definition.named("acorn").label
        ('acts:single', 'acorn:ATLAS')
        """
        name, _, style = text.partition(":")
        if name not in DEFINITIONS:
            raise InputError(f"--matching: is {name!r}; {did_you_mean(name, DEFINITIONS)}")
        rules = DEFINITIONS[name]
        if style and style not in rules.styles:
            allowed = did_you_mean(style, rules.styles) if rules.styles else f"allowed: {name}"
            raise InputError(f"--matching: {name} has no style {style!r}; {allowed}")
        if fraction is not None and not rules.fraction:
            takes = ", ".join(known for known, other in DEFINITIONS.items() if other.fraction)
            raise InputError(f"--fraction: is given, and {name} fixes it; allowed: with --matching {takes}")
        if fraction is not None and not 0.5 <= fraction <= 1:
            raise InputError(f"--fraction: is {fraction:g}; allowed: from 0.5 to 1")
        return cls(name, style or next(iter(rules.styles), ""), 0.5 if fraction is None else fraction)

    @property
    def label(self) -> str:
        """Name and style."""
        return f"{self.name}:{self.style}" if self.style else self.name

    @property
    def limited(self) -> bool:
        """Whether limits choose particles and tracks."""
        return DEFINITIONS[self.name].limited

    def limits(self, selection: Selection, events: Sequence[EventTracks]) -> Selection:
        """Limits of a selection, and those of the project where it has none of its own.

        A limit of a quantity that is known of no particle of all events is left out.
        """
        rules = DEFINITIONS[self.name]
        known = {name: any(not np.isnan(getattr(event, name)).all() for event in events) for name in ("pt", "eta")}
        return replace(
            selection,
            pt_min=selection.pt_min or (rules.pt_min if known["pt"] else 0.0),
            eta_max=min(selection.eta_max, rules.eta_max if known["eta"] else np.inf),
            min_hits=rules.min_hits,
            track_hits=rules.track_hits,
        )

    def outcome(self, event: EventTracks, selection: Selection) -> Outcome:
        """Count the tracks of an event within the limits of a selection."""
        return DEFINITIONS[self.name].count(event, selection, self.style, self.fraction)

    def __call__(self, events: Sequence[EventTracks], selection: Selection) -> list[Counts]:
        """Numerators and denominators of each event within the usual limits of the project; for `FoundTracks.sums`."""
        within = self.limits(selection, events)
        return [self.outcome(event, within).counts for event in events]
