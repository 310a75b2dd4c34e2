"""Metrics of tracks as other projects define them, within the usual limits of each; see `definitions`.

They are objectives by their names. `evaluate --matching` and `compare --matching` show them with limits of one's own.
"""

from __future__ import annotations

from archioptrx.tasks.metrics import SMALL, TRACKS, metric
from archioptrx.tasks.tracks.definitions import Definition
from archioptrx.tasks.tracks.metrics import FoundTracks, ratio

ACTS, ACORN, GNN_TRACKING = (Definition.named(name) for name in ("acts", "acorn", "gnn_tracking"))


def _rate(tracks: FoundTracks, definition: Definition, name: str) -> float | None:
    """One rate; a sum of shares, rounded, may exceed their number, a number of duplicates that of particles."""
    value = ratio(*tracks.sums(definition)[name])
    return min(1.0, value) if value is not None and name in ("completeness", "purity") else value


@metric("acts_efficiency", of=TRACKS, headline=False)
def _acts_efficiency(tracks: FoundTracks) -> float | None:
    """Acts: particles with a track that holds half of their hits, and of whose hits they made half."""
    return _rate(tracks, ACTS, "efficiency")


@metric("acts_fake_rate", of=TRACKS, better=SMALL, headline=False)
def _acts_fake_rate(tracks: FoundTracks) -> float | None:
    """Acts: tracks that match no particle in that way, of all tracks."""
    return _rate(tracks, ACTS, "fake_rate")


@metric("acts_duplicate_rate", of=TRACKS, better=SMALL, headline=False)
def _acts_duplicate_rate(tracks: FoundTracks) -> float | None:
    """Acts: further tracks of a particle, of all tracks."""
    return _rate(tracks, ACTS, "duplicate_rate")


@metric("acts_completeness", of=TRACKS, headline=False)
def _acts_completeness(tracks: FoundTracks) -> float | None:
    """Acts: share of a particle's hits in its track, mean over the matched tracks of particles that count."""
    return _rate(tracks, ACTS, "completeness")


@metric("acorn_efficiency", of=TRACKS, headline=False)
def _acorn_efficiency(tracks: FoundTracks) -> float | None:
    """Efficiency of acorn: particles with a track of whose hits they made more than half (style ATLAS)."""
    return _rate(tracks, ACORN, "efficiency")


@metric("acorn_fake_rate", of=TRACKS, better=SMALL, headline=False)
def _acorn_fake_rate(tracks: FoundTracks) -> float | None:
    """Fake rate of acorn: tracks of whose hits no particle made more than half, of all tracks."""
    return _rate(tracks, ACORN, "fake_rate")


@metric("acorn_duplicate_rate", of=TRACKS, better=SMALL, headline=False)
def _acorn_duplicate_rate(tracks: FoundTracks) -> float | None:
    """Duplicate rate of acorn: further tracks of particles that count, for each that is found."""
    return _rate(tracks, ACORN, "duplicate_rate")


@metric("gnn_tracking_double_majority", of=TRACKS, headline=False)
def _double_majority(tracks: FoundTracks) -> float | None:
    """Double majority of gnn_tracking: tracks with more than half of a particle's hits, of the particles."""
    return _rate(tracks, GNN_TRACKING, "double_majority")


@metric("gnn_tracking_lhc", of=TRACKS, headline=False)
def _lhc(tracks: FoundTracks) -> float | None:
    """LHC matching of gnn_tracking: tracks of whose hits one particle made more than three quarters, of the tracks."""
    return _rate(tracks, GNN_TRACKING, "lhc")


@metric("gnn_tracking_perfect", of=TRACKS, headline=False)
def _perfect(tracks: FoundTracks) -> float | None:
    """Perfect matching of gnn_tracking: tracks that hold all hits of a particle and no other, of the particles."""
    return _rate(tracks, GNN_TRACKING, "perfect")


@metric("gnn_tracking_fake_rate", of=TRACKS, better=SMALL, headline=False)
def _fake_rate(tracks: FoundTracks) -> float | None:
    """Fake rate of gnn_tracking: tracks without a double majority, of the tracks of particles that count."""
    return _rate(tracks, GNN_TRACKING, "fake_double_majority")
