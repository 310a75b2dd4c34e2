"""Metrics of tracks once more: slowly, with sets and fractions, straight from the definitions."""

from fractions import Fraction

from archioptrx.tasks.tracks.metrics import EventTracks, Selection


def slow_metrics(events: list[EventTracks], selection: Selection) -> dict[str, float | None]:
    """The flat numbers of `track_metrics`, and each `MATCHING.NAME` of its `matching`."""
    scores = [slow_score(event) for event in events]
    result = {"trackml_score": mean([score for score in scores if score is not None])}
    for matching in ("double", "single", "lhc"):
        for name, value in slow_rates(events, selection, matching).items():
            result[f"{matching}.{name}"] = value
    return result


def mean(values: list) -> float | None:
    return float(sum(values) / len(values)) if values else None


def tracks_of(event: EventTracks) -> dict[int, set[int]]:
    tracks: dict[int, set[int]] = {}
    for hit, label in enumerate(event.labels.tolist()):
        if label >= 0:
            tracks.setdefault(label, set()).add(hit)
    return tracks


def hits_of(event: EventTracks, particle: int) -> set[int]:
    return {hit for hit, owner in enumerate(event.particle.tolist()) if owner == particle}


def slow_score(event: EventTracks) -> Fraction | None:
    total = sum(Fraction(w) for w in event.weights.tolist())
    if not total:
        return None
    gained = Fraction(0)
    for track in tracks_of(event).values():
        for particle in range(len(event.hits)):
            shared = track & hits_of(event, particle)
            if Fraction(len(shared), len(track)) > Fraction(1, 2) and 2 * len(shared) > event.hits[particle]:
                gained += sum(Fraction(event.weight[hit]) for hit in shared)
    return gained / total


def is_match(event: EventTracks, track: set[int], particle: int, matching: str, hits: int) -> bool:
    shared = len(track & hits_of(event, particle))
    purity = Fraction(shared, len(track))
    if matching == "lhc":
        return purity >= Fraction(3, 4)
    return purity > Fraction(1, 2) and (matching == "single" or Fraction(shared, hits) > Fraction(1, 2))


def slow_rates(events: list[EventTracks], selection: Selection, matching: str) -> dict[str, float | None]:
    technical, physics, again, fakes, shares = [], [], [], [], []
    for event in events:
        tracks = [track for track in tracks_of(event).values() if len(track) >= selection.min_hits]
        given_hits = [len(hits_of(event, particle)) for particle in range(len(event.hits))]
        for track in tracks:
            matches = [
                is_match(event, track, p, matching, given_hits[p]) for p in range(len(given_hits)) if given_hits[p]
            ]
            fakes.append(not any(matches))
        for particle, number in enumerate(given_hits):
            if event.hits[particle] < selection.min_hits or not event.pt[particle] >= selection.pt_min:
                continue
            if abs(event.eta[particle]) > selection.eta_max or event.vr[particle] > selection.vr_max:
                continue
            full = int(event.hits[particle])
            physics.append(any(is_match(event, track, particle, matching, full) for track in tracks))
            if number >= selection.min_hits:
                count = sum(is_match(event, track, particle, matching, number) for track in tracks)
                technical.append(count > 0)
                again += [count - 1] if count else []
                own = hits_of(event, particle)
                shares += [
                    Fraction(len(track & own), full)
                    for track in tracks
                    if is_match(event, track, particle, matching, number)
                ]
    return {
        "efficiency": mean(technical),
        "efficiency_physics": mean(physics),
        "fake_rate": mean(fakes),
        "duplicate_rate": mean(again),
        "completeness": mean(shares),
    }
