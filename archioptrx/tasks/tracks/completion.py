"""Completion of tracks by geometry, after a track finder: hits that no edge brought to their track.

Edges join neighbouring layers. So no path holds a particle's second hit in a layer, where modules overlap; a path ends
where a layer has no hit, or where a cut removed the edge. Three steps bring these hits back. A hit is in one track at
most.

`attach`
    Overlaps: a hit near a track's hit goes to the track if it lies on the helix through that hit and its neighbours. A
    track that mostly lies so beside a longer one, as when both hits of each overlap have edges, is dissolved in it.
`merge`
    Two tracks become one if the helix through the first and the last hit of the inner one and the last hit of the outer
    one passes the others.
`extend`
    The helix through the last three hits of a track leads on, in both directions, to the nearest free hit in its
    window.

Windows have the widths of `helix.Resolution` and of multiple scattering, times `WINDOW`.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import KDTree

from archioptrx.tasks.tracks.finding import starts
from archioptrx.tasks.tracks.helix import SCATTERING, Bools, Floats, Helix, Ints, Resolution, Tracks

APART = 15.0
"""Hits of a track that are nearer to each other, in mm, are overlaps and give no direction."""
OVERLAP_REACH = 20.0
"""Distance of the hits of an overlap, mm: 99 % in the pixels, 95 % in the strips of TrackML's detector."""
REACH = 400.0
"""Path length to the next hit of a track, mm: the gap of one missing layer in the outer endcaps."""
MERGE_REACH = 1000.0
"""Path length between two parts of a track, mm."""
WINDOW = 4.0
"""Half width of a window, in units of the expected distances."""
OVERLAP_WINDOW = 5.0
WORST = 8.0
"""Largest mean of the squared pulls of two parts of a track."""
LARGEST = 30.0
"""Largest product of the two expected distances in a window, mm²: larger ones hold hits of others."""
STEPS = {"extend": (10.0, 15.0), "merge": (20.0, 40.0)}
"""Distance of points on a helix, and radius around them in which hits are looked for, mm."""
BAND = 20.0
"""Candidates so much farther than the nearest one may be in its layer, mm."""
ROUNDS = 8
_NEIGHBOURS = {"attach": 24, "extend": 4, "merge": 6}


def complete(labels: Ints, pos: Floats, resolution: Resolution) -> Ints:
    """Complete the tracks of one graph.

    Parameters
    ----------
    labels : int64 [N]
        Track of each hit, -1 for none.
    pos : float64 [N, 3]
        x, y, z in mm.
    resolution
        Expected distances of hits from a helix.

    Returns
    -------
    int64 [N], with labels of those given.
    """
    beside = neighbours(pos)
    labels = attach(labels, pos, resolution, beside)
    fresh = tracked = np.unique(labels[labels >= 0])
    for _ in range(ROUNDS):
        labels, fresh = merge(labels, pos, resolution, fresh)
        if not len(fresh):
            break
    # A track without a hit in its windows has none in the next round either: free hits only become fewer.
    tried, before = tracked, labels
    for _ in range(ROUNDS):
        labels, outwards = extend(labels, pos, resolution, 1, tried)
        labels, inwards = extend(labels, pos, resolution, -1, tried)
        tried = np.union1d(outwards, inwards)
        if not len(tried):
            break
    labels, _ = merge(labels, pos, resolution, np.unique(labels[labels != before]))
    return attach(labels, pos, resolution, beside)


def neighbours(pos: Floats) -> tuple[Ints, Ints]:
    """Pairs of hits that may overlap. Shapes: pos [N, 3] -> [K], [K]."""
    return _near(pos, np.arange(len(pos)), pos, OVERLAP_REACH, _NEIGHBOURS["attach"])


def attach(labels: Ints, pos: Floats, resolution: Resolution, beside: tuple[Ints, Ints]) -> Ints:
    """Bring overlap hits to their tracks. Shapes: labels [N], pos [N, 3], beside (of `neighbours`) [K], [K] -> [N]."""
    tracks = Tracks.of(labels, pos)
    hit, place = _overlaps(tracks, resolution, beside)
    if not len(hit):
        return labels
    joined, own, count = tracks.track[place], tracks.of_hit[hit], len(tracks)
    pairs, together = np.unique((own * count + joined)[own >= 0], return_counts=True)
    dissolved = np.zeros(count, dtype=np.bool_)
    shadow = pairs // count
    dissolved[shadow[2 * together >= tracks.size[shadow]]] = True
    labels = labels.copy()
    labels[tracks.hit[dissolved[tracks.track]]] = -1
    taken = ((own < 0) | dissolved[own]) & ~dissolved[joined]
    labels[hit[taken]] = tracks.name[joined[taken]]
    return labels


def _overlaps(tracks: Tracks, resolution: Resolution, beside: tuple[Ints, Ints]) -> tuple[Ints, Ints]:
    """Hits beside hits of another track: each with the place of the one that it fits best. Of two tracks the longer."""
    if not len(tracks):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    pos, knots = tracks.pos, _around(tracks)
    known = np.flatnonzero((knots >= 0).all(axis=1))
    place_of = np.full(len(pos), -1)
    place_of[tracks.hit[known]] = known
    hit, place = beside[0], place_of[beside[1]]
    hit, place = hit[place >= 0], place[place >= 0]
    # Ranks decide which of two tracks takes the other's hits: the longer one, of equal ones the first.
    rank = np.append(np.argsort(np.lexsort((np.arange(len(tracks)), -tracks.size))), len(tracks))
    other = rank[tracks.of_hit[hit]] > rank[tracks.track[place]]
    hit, place = hit[other], place[other]
    helix, base = Helix(pos[tracks.hit[knots[place]]]), pos[tracks.hit[place]]
    across, along = helix.deviation(pos[hit], base)
    width = OVERLAP_WINDOW * resolution.across(pos[hit])
    pulls = across / width, along / np.hypot(OVERLAP_WINDOW * resolution.along(pos[hit]), helix.cot * width)
    inside = np.maximum(*pulls) < 1
    hit, place, pull = hit[inside], place[inside], np.hypot(*pulls)[inside]
    best = _first_of(hit, pull)
    return hit[best], place[best]


def _around(tracks: Tracks) -> Ints:
    """Places of each hit and its neighbours on both sides; at an end, of the next two. Shapes: -> [M, 3], -1: none."""
    here = np.arange(len(tracks.hit))
    inner, outer = (tracks.next_place(here, step, APART) for step in (-1, 1))
    before, after = tracks.next_place(inner, -1, APART), tracks.next_place(outer, 1, APART)
    ends = np.where((outer < 0)[:, None], np.stack([before, inner, here], 1), np.stack([here, outer, after], 1))
    return np.where(((inner >= 0) & (outer >= 0))[:, None], np.stack([inner, here, outer], 1), ends)


def extend(labels: Ints, pos: Floats, resolution: Resolution, step: int, tried: Ints) -> tuple[Ints, Ints]:
    """Bring the next free hit to some tracks, outwards (1) or inwards (-1).

    Shapes: labels [N], pos [N, 3], tried (labels of the tracks) [T] -> [N], and the labels of those that had a hit in
    their windows, also where another track took it.
    """
    tracks, free = Tracks.of(np.where(np.isin(labels, tried), labels, -1), pos), np.flatnonzero(labels < 0)
    track, knots = _ends(tracks, step)
    if not len(track) or not len(free):
        return labels, np.zeros(0, np.int64)
    row, hit = _ahead(Helix(pos[knots]), pos, free, step, REACH, "extend")
    row, hit = _onwards(pos, knots[row, 2], hit, step, row)
    helix, end = Helix(pos[knots[row]]), pos[knots[row, 2]]
    wide = _widths(helix, pos[hit], resolution)
    pull = np.hypot(*(gap / width for gap, width in zip(helix.deviation(pos[hit], end), wide, strict=True)))
    distance = np.linalg.norm(pos[hit] - end, axis=1)
    good = (pull < WINDOW) & (wide[0] * wide[1] < LARGEST) & (helix.arc(pos[hit]) > helix.arc(end))
    track, hit, pull, distance = track[row[good]], hit[good], pull[good], distance[good]
    lively = np.unique(tracks.name[track])
    nearest = np.full(len(tracks), np.inf)
    np.minimum.at(nearest, track, distance)
    near = distance <= nearest[track] + BAND
    track, hit, pull = track[near], hit[near], pull[near]
    for one in ("track", "hit"):  # each track takes its best hit, each hit the best of these tracks
        best = _first_of(track if one == "track" else hit, pull)
        track, hit, pull = track[best], hit[best], pull[best]
    labels = labels.copy()
    labels[hit] = tracks.name[track]
    return labels, lively


def merge(labels: Ints, pos: Floats, resolution: Resolution, fresh: Ints) -> tuple[Ints, Ints]:
    """Make one track of two parts, the best pairs first.

    Parameters
    ----------
    labels, pos : [N], [N, 3]
        Track of each hit, -1 for none, and its place.
    fresh : [F]
        Labels of the tracks that have changed since the last time. Two others weren't joined then, and aren't now.

    Returns
    -------
    [N], and the labels of the tracks that were made.
    """
    tracks = Tracks.of(labels, pos)
    changed = np.isin(tracks.name, fresh)
    pairs = [_parts_ahead(tracks, step, changed) for step in (1, -1)]
    inner, outer = np.divmod(np.unique(np.concatenate(pairs)), max(1, len(tracks)))
    value = _mean_pull(tracks, inner, outer, resolution)
    inner, outer, value = (array[value < WORST] for array in (inner, outer, value))
    used, new = set[int](), np.arange(len(tracks))
    for row in np.lexsort((outer, inner, value)).tolist():
        pair = {int(inner[row]), int(outer[row])}
        if not used & pair:
            used |= pair
            new[outer[row]] = inner[row]
    labels = labels.copy()
    labels[tracks.hit] = tracks.name[new[tracks.track]] if len(tracks) else labels[tracks.hit]
    return labels, tracks.name[np.unique(new[new != np.arange(len(new))])]


def _parts_ahead(tracks: Tracks, step: int, changed: Bools) -> Ints:
    """Pairs of tracks of which the helix of one end leads to the other, one at least changed.

    Shapes: changed [T] -> [K], inner track times T plus outer one.
    """
    track, knots = _ends(tracks, step)
    pos, goals = tracks.pos, tracks.inner if step > 0 else tracks.outer
    one, other = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for from_changed, to in ((True, goals), (False, goals[changed])):
        own = np.flatnonzero(changed[track] == from_changed)
        if len(own) and len(to):
            row, hit = _ahead(Helix(pos[knots[own]]), pos, to, step, MERGE_REACH, "merge")
            one.append(track[own[row]])
            other.append(tracks.of_hit[hit])
    return _apart(tracks, np.concatenate(one), np.concatenate(other), step)


def _apart(tracks: Tracks, one: Ints, other: Ints, step: int) -> Ints:
    """Pairs of which the outer track begins beyond the end of the inner one: inner one times T plus outer one."""
    pos = tracks.pos
    inner, outer = (one, other) if step > 0 else (other, one)
    distance = np.linalg.norm(pos, axis=1)
    apart = (inner != outer) & (distance[tracks.inner[outer]] > distance[tracks.outer[inner]])
    return np.asarray(inner[apart] * len(tracks) + outer[apart])


def _mean_pull(tracks: Tracks, inner: Ints, outer: Ints, resolution: Resolution) -> Floats:
    """Mean squared pull of the hits of two parts from the helix through three of their ends; infinite: no helix."""
    pos = tracks.pos
    knots = np.stack([tracks.inner[inner], tracks.outer[inner], tracks.outer[outer]], axis=1)
    helix = Helix(pos[knots])
    last, length = pos[knots[:, 2]], np.linalg.norm(pos[knots[:, 2]] - pos[knots[:, 1]], axis=1)
    scattered = SCATTERING * length / (2 * helix.radius)
    total, count = np.zeros(len(inner)), np.zeros(len(inner))
    (ours, ends), (theirs, beginnings) = (_ends(tracks, step, 1) for step in (1, -1))
    for sought, known, hits in ((inner, ours, ends[:, :2]), (outer, theirs, beginnings[:, 1:])):
        row = np.full(len(tracks), -1)
        row[known] = np.arange(len(known))
        for hit in np.where((row[sought] >= 0)[:, None], hits[row[sought]] if len(hits) else -1, -1).T:
            there = hit >= 0
            place = pos[np.where(there, hit, 0)]
            across, along = helix.deviation(place, pos[knots[:, 0]])
            across /= np.sqrt(resolution.across(place) ** 2 + resolution.across(last) ** 2 + scattered**2)
            along /= np.sqrt(resolution.along(place) ** 2 + resolution.along(last) ** 2 + (1.5 * scattered) ** 2)
            total += np.where(there, across**2 + along**2, 0)
            count += 2 * there
    middle = helix.arc(pos[knots[:, 1]])
    in_order = (middle > 0) & (helix.arc(last) > middle) & (count > 2)
    return np.where(in_order, total / np.maximum(count, 1), np.inf)


def _ends(tracks: Tracks, step: int, least: int = 3) -> tuple[Ints, Ints]:
    """Tracks with `least` hits that give a direction, and their last three hits, the end last.

    Shapes: -> [K], [K, 3]; -1 where a track has fewer hits.
    """
    end = tracks.first + tracks.size - 1 if step > 0 else tracks.first
    before = tracks.next_place(end, -step, APART)
    places = np.stack([tracks.next_place(before, -step, APART), before, end], axis=1)
    known = np.flatnonzero((places >= 0).sum(axis=1) >= least)
    return known, np.where(places[known] >= 0, tracks.hit[places[known]], -1)


def _ahead(helix: Helix, pos: Floats, goals: Ints, step: int, reach: float, what: str) -> tuple[Ints, Ints]:
    """Hits, of some, that helices come near to beyond their last knots: helix and hit of each, each pair once.

    Inwards (`step` -1) only hits nearer to the origin than the last knot are sought.
    """
    length, width = STEPS[what]
    distances = np.arange(length, reach + length, length)
    points = helix.beyond(distances)
    # Most helices soon leave the detector, or pass the beam line: points there would cost the most of the time.
    useful = np.ones(points.shape[:2], dtype=np.bool_)
    for axis in range(3):
        low, high = pos[goals, axis].min() - width, pos[goals, axis].max() + width
        useful &= (points[..., axis] >= low) & (points[..., axis] <= high)
    if step < 0:
        end = np.linalg.norm(helix.knots[:, 2], axis=1) + width
        useful &= np.einsum("kdi,kdi->kd", points, points) <= end[:, None] ** 2
    row, goal = _near(points[useful], np.nonzero(useful)[0], pos[goals], width, _NEIGHBOURS[what])
    return np.divmod(np.unique(row * len(pos) + goals[goal]), len(pos))


def _near(points: Floats, names: Ints, others: Floats, width: float, most: int) -> tuple[Ints, Ints]:
    """Pairs of points and their nearest others within a distance, at most so many of each point."""
    if not len(others) or not len(points):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    distance, near = KDTree(others).query(points, k=range(1, most + 1), distance_upper_bound=width)
    row, column = np.nonzero(np.isfinite(distance))
    return names[row], near[row, column].astype(np.int64)


def _onwards(pos: Floats, end: Ints, hit: Ints, step: int, row: Ints) -> tuple[Ints, Ints]:
    """Pairs whose hit lies farther out than the end (1), or nearer to the origin on the same side of the beam (-1)."""
    distance = np.linalg.norm(pos, axis=1)
    same_side = (pos[end, :2] * pos[hit, :2]).sum(axis=1) > 0
    good: Bools = distance[hit] > distance[end] if step > 0 else (distance[hit] < distance[end]) & same_side
    return row[good], hit[good]


def _widths(helix: Helix, pos: Floats, resolution: Resolution) -> tuple[Floats, Floats]:
    """Expected distances of hits beyond the last knots, across and along: they grow with the length of the lever."""
    first, end = helix.knots[:, 0], helix.knots[:, 2]
    distance = np.linalg.norm(pos - end, axis=1)
    lever = distance / np.linalg.norm(end - first, axis=1)
    scattered = SCATTERING * distance * (1 + lever) / helix.radius
    across, along = (np.hypot(of(pos), of(end) * (1 + 2 * lever)) for of in (resolution.across, resolution.along))
    return np.hypot(across, scattered), np.hypot(along, 1.5 * scattered)


def _first_of(group: Ints, value: Floats) -> Ints:
    """Place of the smallest value of each group; of equal ones the first. Shapes: [K], [K] -> [groups]."""
    order = np.lexsort((value, group))
    return np.asarray(order[starts(group[order])])
