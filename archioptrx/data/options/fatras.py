"""Options of the source `fatras`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from archioptrx.core.config import Fields
from archioptrx.data.options.base import option
from archioptrx.data.options.building import Cuts

PARTICLES = {"pion": 211, "muon": 13, "electron": 11}
"""Particles that can be simulated, by their numbers of the Particle Data Group."""
SPECTRA = ("log", "uniform")
FORMATS = ("acts", "trackml")


@dataclass(frozen=True)
class FatrasOptions(Cuts):
    """Events that Acts simulates; see `archioptrx.data.simulation.fatras`. Cuts and sectors: see `Cuts`.

    Attributes
    ----------
    events
        Number of events.
    particles
        Number of particles of the first vertex.
    pileup, pileup_particles
        Number of further vertices of an event, and of the particles of each.
    particle
        `pion`, `muon` or `electron`; of either charge.
    pt_low, pt_high, spectrum
        Range of the transverse momentum, GeV, in which it (`uniform`) or its logarithm (`log`) is uniform.
    eta_high
        The pseudorapidity is uniform in ±eta_high.
    beam_spot, beam_length
        Standard deviation of the vertices across and along the beam, mm.
    field
        Magnetic field along the beam, tesla.
    p_min
        Momentum below which Fatras ends a particle, GeV; Acts' own default is 0.5.
    seed
        The same seed gives the same data.
    csv, csv_format
        Folder to write the events to as CSV, of `acts` or of `trackml`. None: nowhere.
    """

    source: ClassVar[str] = "fatras"
    about: ClassVar[str] = "events simulated by Acts' Fatras in its GenericDetector (extra acts)"
    events: int = option(100, "events")
    particles: int = option(200, "particles of the first vertex")
    pileup: int = option(0, "further vertices of an event")
    pileup_particles: int = option(20, "particles of each further vertex")
    particle: str = option("pion", "pion, muon or electron")
    pt_low: float = option(0.3, "smallest transverse momentum, GeV")
    pt_high: float = option(10.0, "largest transverse momentum, GeV")
    spectrum: str = option("log", "uniform is the logarithm of pT (log), or pT itself (uniform)")
    eta_high: float = option(2.5, "largest |η| of the particles")
    beam_spot: float = option(0.01, "spread of the vertices across the beam, mm")
    beam_length: float = option(50.0, "spread of the vertices along the beam, mm")
    field: float = option(2.0, "magnetic field, tesla")
    p_min: float = option(0.1, "momentum below which a particle isn't followed, GeV")
    seed: int = option(0, "seed")
    csv: Path | None = option(None, "also write the events as CSV here; a new or empty folder", Path)
    csv_format: str = option("acts", "form of these files: acts or trackml")

    @classmethod
    def read(cls, fields: Fields) -> FatrasOptions:
        """Take and check the options."""
        cuts = Cuts.read_values(fields)
        for name in {"cells", "charge"} & set(cuts["features"]):
            fields.fault("features", f"has {name!r}, and events of Fatras have no cells; allowed: eta")
        return cls(**cuts, **_simulation_options(fields))


_COUNTS = {
    "events": (1, 10**9),
    "particles": (1, 60_000),
    "pileup": (0, 2_000),
    "pileup_particles": (1, 60_000),
    "seed": (0, 2**63 - 1),
}
_NUMBERS = {
    "pt_low": (0.01, 1e4),
    "pt_high": (0.01, 1e4),
    "eta_high": (0.01, 4.0),
    "beam_spot": (0, 10),
    "beam_length": (0, 1000),
    "field": (0, 20),
    "p_min": (0, 1e4),
}
"""Smallest and largest allowed value of each number."""


def _simulation_options(fields: Fields) -> dict[str, Any]:
    """Take and check the options of the simulation."""
    values: dict[str, Any] = {}
    for kind, limits in ((int, _COUNTS), (float, _NUMBERS)):
        for key, (least, most) in limits.items():
            values[key] = fields.take(key, kind, getattr(FatrasOptions, key), minimum=least, maximum=most)
    if not values["pt_low"] < values["pt_high"]:
        fields.fault("pt_low", f"is {values['pt_low']:g}; allowed: below pt_high, {values['pt_high']:g}")
    for key, choices in (("particle", tuple(PARTICLES)), ("spectrum", SPECTRA), ("csv_format", FORMATS)):
        values[key] = fields.take(key, str, getattr(FatrasOptions, key), choices=choices)
    csv = fields.take("csv", (str, Path, type(None)), None)
    return {**values, "csv": None if csv is None else Path(csv)}
