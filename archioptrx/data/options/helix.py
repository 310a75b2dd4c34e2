"""Options of the source `helix`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from archioptrx.core.config import Fields
from archioptrx.data.options.base import option
from archioptrx.data.options.building import Cuts


@dataclass(frozen=True)
class HelixOptions(Cuts):
    """Tracks of a three-dimensional detector; see `archioptrx.data.simulation`. Cuts and sectors: see `Cuts`.

    Attributes
    ----------
    events
        Number of events.
    particles
        Mean number of charged particles of an event; the number of each event is drawn from a Poisson distribution,
        and is 1 at least.
    vertices
        Collisions of an event. Each particle comes from one of them.
    beam_spot, beam_length
        Standard deviation of the vertices across and along the beam, mm.
    pt_low, pt_high
        Range of the transverse momentum, GeV.
    pt_scale, pt_power
        Parameters of the spectrum dN/dpT ∝ (1 + pT / pt_scale)^-pt_power. With the defaults its median is 0.58 GeV;
        from `pt_low` 0.1 on it has the quantiles of TrackML's events (median 0.36, 95 % below 1.5 GeV).
    eta_high
        The pseudorapidity is uniform in ±eta_high.
    displaced
        Share of the particles that are secondaries, made away from the beam.
    flight
        Mean distance from the beam at which these are made, mm.
    field
        Magnetic field along the beam, tesla.
    detector
        `all`, or `barrel`: without endcaps.
    resolution
        Resolution of the hits, as a multiple of TrackML's (`archioptrx.data.simulation.detector_response`); 0: exact
        positions.
    thickness
        Thickness of each layer in radiation lengths; 0: no multiple scattering.
    inefficiency
        Probability that a layer misses a particle.
    noise_share
        Share of all hits that no particle made.
    seed
        The same seed gives the same data.
    csv
        Folder to write the events to as TrackML CSV. None: nowhere.
    """

    source: ClassVar[str] = "helix"
    about: ClassVar[str] = "helices in a three-dimensional detector like TrackML's, simulated here"
    events: int = option(100, "events")
    particles: int = option(100, "mean number of charged particles of an event")
    vertices: int = option(5, "collisions of an event")
    beam_spot: float = option(0.015, "spread of the collisions across the beam, mm")
    beam_length: float = option(50.0, "spread of the collisions along the beam, mm")
    pt_low: float = option(0.3, "smallest transverse momentum, GeV")
    pt_high: float = option(50.0, "largest transverse momentum, GeV")
    pt_scale: float = option(1.6, "of the spectrum (1 + pT/scale)^-power, GeV")
    pt_power: float = option(6.0, "of the spectrum (1 + pT/scale)^-power")
    eta_high: float = option(3.0, "largest |η| of the particles")
    displaced: float = option(0.1, "share of particles made away from the beam")
    flight: float = option(30.0, "mean distance from the beam at which these are made, mm")
    field: float = option(2.0, "magnetic field, tesla")
    detector: str = option("all", "layers that are simulated: all, or barrel")
    resolution: float = option(1.0, "errors of hit positions as a multiple of TrackML's; 0: none")
    thickness: float = option(0.02, "of a layer in radiation lengths, for multiple scattering; 0: none")
    inefficiency: float = option(0.03, "probability that a layer misses a particle")
    noise_share: float = option(0.15, "share of all hits that no particle made")
    seed: int = option(0, "seed")
    csv: Path | None = option(None, "also write the events as TrackML CSV here; a new or empty folder", Path)

    @classmethod
    def read(cls, fields: Fields) -> HelixOptions:
        """Take and check the options."""
        cuts = Cuts.read_values(fields)
        for name in {"cells", "charge"} & set(cuts["features"]):
            fields.fault("features", f"has {name!r}, and simulated events have no cells; allowed: eta")
        return cls(**cuts, **simulation_options(fields))


COUNTS = {"events": 1, "particles": 1, "vertices": 1, "seed": 0}
NUMBERS = {
    "beam_spot": (0, 10),
    "beam_length": (0, 1000),
    "pt_low": (0.01, 1e4),
    "pt_high": (0.01, 1e4),
    "pt_scale": (1e-3, 1e3),
    "pt_power": (1.1, 50),
    "eta_high": (0.01, 6),
    "displaced": (0, 1),
    "flight": (0, 1000),
    "field": (0.01, 20),
    "resolution": (0, 1000),
    "thickness": (0, 1),
    "inefficiency": (0, 0.99),
    "noise_share": (0, 0.95),
}
"""Smallest and largest allowed value of each number."""


def simulation_options(fields: Fields) -> dict[str, Any]:
    """Take and check the options of the simulation."""
    values: dict[str, Any] = {}
    for key, low in COUNTS.items():
        values[key] = fields.take(key, int, getattr(HelixOptions, key), minimum=low)
    for key, (least, most) in NUMBERS.items():
        values[key] = fields.take(key, float, getattr(HelixOptions, key), minimum=least, maximum=most)
    if not values["pt_low"] < values["pt_high"]:
        fields.fault("pt_low", f"is {values['pt_low']:g}; allowed: below pt_high, {values['pt_high']:g}")
    values["detector"] = fields.take("detector", str, "all", choices=("all", "barrel"))
    csv = fields.take("csv", (str, Path, type(None)), None)
    return {**values, "csv": None if csv is None else Path(csv)}
