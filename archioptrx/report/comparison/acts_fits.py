"""Tracks of a network fitted by Acts' Kalman filter, beside those of its own filter and fits of true tracks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archioptrx.core.errors import InputError
from archioptrx.data.simulation.acts_chain import FoundByActs, run_chain
from archioptrx.report.comparison.acts_tracks import PREFIX, ActsEvent, true_hits
from archioptrx.tasks.tracks.definitions import Definition, SharedHits, matches_of_acts
from archioptrx.tasks.tracks.figures import limits_of, limits_text
from archioptrx.tasks.tracks.metrics import Selection
from archioptrx.tasks.tracks.pulls import Residuals, joined_residuals, residuals_of, summary, true_parameters

Ints = NDArray[np.int64]
OF_ACTS = ("ckf", "truth")
"""Chains of Acts whose tracks stand beside those of a network."""


@dataclass(frozen=True)
class Matching:
    """Way in which fitted tracks are matched to particles, and the particles that count.

    Attributes
    ----------
    definition
        Definition of Acts, of which the matching is used.
    selection
        Limits of particles and tracks, those of the definition where none are given.
    """

    definition: Definition
    selection: Selection


def chosen_matching(
    definition: Definition | None, signal: Selection, limits: dict[str, float], events: Sequence[ActsEvent]
) -> Matching:
    """The definition that is asked for, if it is one of Acts, else its usual one, with limits in place of its own."""
    chosen = definition if definition is not None and definition.name == "acts" else Definition.named("acts")
    within = chosen.limits(signal, [true_hits(event.event) for event in events])
    return Matching(chosen, replace(within, **limits))  # type: ignore[arg-type]


def fit_scores(
    name: str, events: Sequence[ActsEvent], found: Mapping[str, tuple[Ints, Ints]], tesla: float, matching: Matching
) -> dict[str, Any]:
    """Pulls and resolutions of tracks of a network, of Acts' filter, and of true tracks.

    Parameters
    ----------
    name
        Name of the network.
    events, found
        Events, and by their names the hits of their graphs and the track of each, -1 for none.
    tesla
        Field along the beam.

    Returns
    -------
    `matching`, `fraction`, `limits`, `limits_text`
        As those of `named_figures`.
    `field`
        In tesla.
    `tracks`
        For each kind of tracks by its name: the numbers `given`, `without_start`, `failed` (None of the filter, which
        finds its tracks itself), `fitted` and `matched`, and the `parameters`, see `summary`.
    `common`
        The number of `particles` that all kinds have, and the `parameters` of their tracks.

    Raises
    ------
    InputError
        The particles aren't known, or Acts ends with an error.
    """
    if any(np.isnan(event.event.charge).any() for event in events):
        raise InputError("--fit: needs momentum, vertex and charge of the particles; allowed: events with particles")
    own = [{**event.measurements, **given_tracks(event, *found[event.event.name])} for event in events]
    inputs: dict[str, tuple[str, list[Any]]] = {name: ("fit", own)}
    inputs |= {f"{PREFIX}{chain}": (chain, [event.measurements for event in events]) for chain in OF_ACTS}
    rows, residuals = {}, {}
    for kind, (chain, arrays) in inputs.items():
        fits = run_chain(chain, tesla, arrays)
        residuals[kind] = joined_residuals(list(matched_residuals(events, fits, tesla, matching)))
        rows[kind] = {
            **numbers_of_tracks(arrays, fits, given=chain != "ckf"),
            "matched": len(residuals[kind].particle),
            "parameters": summary(residuals[kind]),
        }
    shared = np.array(sorted(set.intersection(*(set(part.particle.tolist()) for part in residuals.values()))), np.int64)
    return {
        "matching": matching.definition.label,
        "fraction": matching.definition.fraction,
        "limits": limits_of(matching.definition, matching.selection),
        "limits_text": limits_text(matching.definition, matching.selection),
        "field": tesla,
        "tracks": rows,
        "common": {
            "particles": len(shared),
            "parameters": {kind: summary(part.of(shared)) for kind, part in residuals.items()},
        },
    }


def numbers_of_tracks(
    arrays: Sequence[Mapping[str, Ints]], fits: Sequence[FoundByActs], given: bool
) -> dict[str, int | None]:
    """Numbers of tracks that were given, lost and fitted; `given`: whether any were."""
    fitted = sum(len(fit.parameters) for fit in fits)
    if not given:
        return {"given": None, "without_start": None, "failed": None, "fitted": fitted}
    whole, started = sum(len(np.unique(part["track"])) for part in arrays), sum(fit.started for fit in fits)
    return {"given": whole, "without_start": whole - started, "failed": started - fitted, "fitted": fitted}


def given_tracks(event: ActsEvent, hit_id: Ints, labels: Ints) -> dict[str, Ints]:
    """Rows of the measurements of tracks, and the track of each, along the tracks by distance from the origin."""
    hit_id, labels = hit_id[labels >= 0], labels[labels >= 0]
    order = np.argsort(event.event.hit_id)
    row = order[np.searchsorted(event.event.hit_id, hit_id, sorter=order)]
    along = np.lexsort((np.linalg.norm(event.event.pos[row], axis=1), labels))
    return {"hit": row[along], "track": labels[along]}


def matched_residuals(
    events: Sequence[ActsEvent], fits: Sequence[FoundByActs], tesla: float, matching: Matching
) -> Iterable[Residuals]:
    """Residuals of the tracks that match a particle that counts, event by event; particles count on."""
    before = 0
    for event, fit in zip(events, fits, strict=True):
        truth = true_hits(event.event)
        # A measurement may be on several tracks: here each track has hits of its own.
        own = {name: getattr(truth, name)[fit.hit] for name in ("particle", "weight")}
        table = SharedHits.of(replace(truth, labels=fit.track, **own))
        style, fraction = matching.definition.style, matching.definition.fraction
        pair, good = matches_of_acts(table, table.tracks(matching.selection.least_of_tracks), style, fraction)
        good &= matching.selection.of(truth)[table.particle[pair]]
        track, particle = table.name[table.track[pair[good]]], table.particle[pair[good]]
        momentum, vertex, charge = (getattr(event.event, name)[particle] for name in ("momentum", "vertex", "charge"))
        true = true_parameters(momentum, vertex, charge, tesla)
        yield residuals_of(particle + before, fit.parameters[track], fit.variances[track], true)
        before += len(truth.hits)
