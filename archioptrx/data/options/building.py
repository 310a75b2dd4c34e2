"""Options for building graphs of events: cuts, sectors and signal. Shared by all sources that build graphs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from archioptrx.core.config import Fields
from archioptrx.data.options.base import edge_features_option, option, take_edge_features, take_names

_HEPTRKX = {"layers": "barrel", "noise": "drop", "overlaps": "drop"}
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "none": {},
    "small": {**_HEPTRKX, "pt_min": 1.0, "slope_max": 1e-3, "z0_max": 200.0, "phi_sectors": 4},
    "med": {**_HEPTRKX, "pt_min": 0.5, "slope_max": 6e-4, "z0_max": 150.0, "phi_sectors": 4, "eta_sectors": 2},
    "big": {**_HEPTRKX, "pt_min": 0.0, "slope_max": 6e-4, "z0_max": 100.0, "phi_sectors": 8, "eta_sectors": 2},
}
"""Cuts of HEP.TrkX (heptrkx-gnn-tracking, `configs/prep_*.yaml`): it builds graphs of the first hits of particles in
each layer, without noise."""

CLUSTERS = {f"cluster_{name}_{number}": name for number in (1, 2) for name in ("r", "phi", "z", "eta")}
"""Features of the two clusters of a hit, of which acorn has twelve with its own four. A hit of one measurement has them
from itself, as pixels have in acorn."""
CLUSTER_SCALES = {"r": 1000.0, "phi": math.pi, "z": 1000.0, "eta": 1.0}
"""Divisor of each, in mm, rad, mm, 1, as acorn's."""
FEATURES = ("eta", "cells", "charge", *CLUSTERS)
"""Hit features beside r, φ and z."""
_CHOICES = {
    "preset": tuple(PRESETS),
    "layers": ("barrel", "all"),
    "noise": ("keep", "drop"),
    "overlaps": ("every", "consecutive", "drop"),
}
_LEAST: Mapping[str, tuple[type | tuple[type, ...], float]] = {
    "pt_min": (float, 0),
    "slope_max": (float, 1e-9),
    "z0_max": (float, 1e-9),
    "eta_max": ((float, type(None)), 1e-9),
    "phi_sectors": (int, 1),
    "eta_sectors": (int, 1),
    "skip_layers": (int, 0),
    "signal_pt": (float, 0),
    "signal_hits": (int, 0),
    "weight_true": (float, 0),
    "weight_false": (float, 0),
    "weight_same": (float, 0),
}


@dataclass(frozen=True)
class Cuts:
    """Choice of the hits of the graphs, of the candidate edges among them, and of the edges that are learned.

    Attributes
    ----------
    preset
        Defaults of all others: `none`, or HEP.TrkX's `small`, `med` or `big`. Options that are given override it.
    pt_min
        Hits of particles below are removed before building, GeV. 0: none. Needs the truth.
    layers
        `barrel`: the ten barrel layers, neighbours are joined. `all`: endcaps too; see `detector.layer_pairs`.
    slope_max
        Largest |Δφ/Δr| of an edge, rad/mm. 0.0006 is a particle of 0.5 GeV in a field of 2 T.
    z0_max
        Largest |z0|, where the edge's line meets the beam, mm.
    eta_max
        Hits of larger |η| (seen from the middle of the detector) are removed. None: no such cut.
    phi_sectors, eta_sectors
        Each event is divided into so many parts in φ times so many in η (equal parts of ±`eta_max`, or of ±5).
    noise
        `keep` or `drop` hits of no particle; the latter needs the truth.
    overlaps
        Several hits of a particle in one layer, where modules overlap. All stay, and true is each pair of hits from one
        layer and the next (`every`, as acorn), or only the pair of hits that really are consecutive (`consecutive`);
        or only the first along the track stays (`drop`, as HEP.TrkX; needs the truth).
    skip_layers
        Number of layers that a candidate edge may miss.
    features
        Hit features beside r, φ, z: `eta`, `cells` (number of channels), `charge` (sum of their signals), and
        `cluster_r_1` … `cluster_eta_2`, see `CLUSTERS`; azimuths of clusters only in whole events.
    edge_features
        Edge features instead of those that `Metadata` has, by their names in `data.doublets`. Empty: the usual ones.
    signal_pt, signal_hits, signal_primary
        Target definition: true edges of particles below that pT (GeV), with fewer hits in the whole event, or (where
        asked for) that weren't made within 2 mm of the beam line are masked: they count neither in loss nor in metrics.
    weight_true, weight_false, weight_same
        Weights in the loss of true edges, of false ones, and of false ones that join two hits of one particle.
    """

    preset: str = option("none", "defaults of all cuts: none, or small, med, big of HEP.TrkX")
    pt_min: float = option(0.0, "remove hits of particles below, GeV")
    layers: str = option("barrel", "barrel, or all (with endcaps)")
    slope_max: float = option(6e-4, "largest |Δφ/Δr| of an edge, rad/mm")
    z0_max: float = option(200.0, "largest |z0| of an edge, mm")
    eta_max: float | None = option(None, "remove hits of larger |η|", float)
    phi_sectors: int = option(1, "parts of an event in φ")
    eta_sectors: int = option(1, "parts of an event in η")
    noise: str = option("keep", "keep or drop hits of no particle")
    overlaps: str = option("every", "hits of a particle twice in a layer: every, consecutive or drop")
    skip_layers: int = option(0, "layers that an edge may miss")
    features: tuple[str, ...] = option((), "hit features beside r, φ, z: eta, cells, charge, cluster_r_1 …", list)
    edge_features: tuple[str, ...] = edge_features_option()
    signal_pt: float = option(0.0, "true edges of particles below are masked, GeV")
    signal_hits: int = option(0, "true edges of particles with fewer hits are masked")
    signal_primary: bool = option(False, "true edges of particles made away from the beam line are masked")
    weight_true: float = option(1.0, "weight of true edges in the loss")
    weight_false: float = option(1.0, "weight of false edges in the loss")
    weight_same: float = option(1.0, "weight of false edges inside one particle in the loss")

    @staticmethod
    def read_values(fields: Fields) -> dict[str, Any]:
        """Take and check all of these options; faults are added to those of `fields`."""
        preset = fields.take("preset", str, "none", choices=PRESETS)
        usual = PRESETS[preset]
        values: dict[str, Any] = {"preset": preset}
        for name, allowed in _CHOICES.items():
            if name != "preset":
                values[name] = fields.take(name, str, usual.get(name, getattr(Cuts, name)), choices=allowed)
        for name, (kind, least) in _LEAST.items():
            values[name] = fields.take(name, kind, usual.get(name, getattr(Cuts, name)), minimum=least)
        values["signal_primary"] = fields.take("signal_primary", bool, False)
        values["features"] = take_names(fields, "features", FEATURES)
        values["edge_features"] = take_edge_features(fields)
        if values["phi_sectors"] != 1 and any(CLUSTERS.get(name) == "phi" for name in values["features"]):
            fields.fault("features", "has the azimuth of a cluster; allowed with phi_sectors 1")
        return values

    @property
    def targets(self) -> bool:
        """Whether only some particles are signal."""
        return self.signal_pt > 0 or self.signal_hits > 0 or self.signal_primary

    @property
    def weights(self) -> bool:
        """Whether edges have weights of their own."""
        return not self.weight_true == self.weight_false == self.weight_same == 1

    @property
    def without_truth(self) -> dict[str, Any]:
        """Options to change where events have no truth."""
        changes: dict[str, tuple[Any, bool]] = {
            "pt_min": (0.0, self.pt_min > 0),
            "noise": ("keep", self.noise == "drop"),
        }
        changes["overlaps"] = "every", self.overlaps == "drop"
        return {name: value for name, (value, needed) in changes.items() if needed}

    @property
    def without_particles(self) -> dict[str, Any]:
        """Options to change where the particles themselves aren't known."""
        changes: dict[str, tuple[Any, bool]] = {
            "pt_min": (0.0, self.pt_min > 0),
            "signal_pt": (0.0, self.signal_pt > 0),
        }
        changes["signal_primary"] = False, self.signal_primary
        return {name: value for name, (value, needed) in changes.items() if needed}

    @property
    def needs_cells(self) -> list[str]:
        """Options to change where events have no cells, as texts."""
        return [f"features without {name}" for name in self.features if name in ("cells", "charge")]

    @property
    def without(self) -> dict[str, str]:
        """Options to change where events lack a part, by the part: `truth`, `particles`, `cells`. Empty: none."""
        changes = options_text(self.without_truth), options_text(self.without_particles), ", ".join(self.needs_cells)
        return dict(zip(("truth", "particles", "cells"), changes, strict=True))


def options_text(values: Mapping[str, Any]) -> str:
    """Options and their values in a message.

    >>> options_text({"pt_min": 0.0, "noise": "keep", "signal_primary": False})
    'pt_min 0, noise keep, signal_primary false'
    """
    texts = {
        name: str(value).lower() if isinstance(value, bool | str) else f"{value:g}" for name, value in values.items()
    }
    return ", ".join(f"{name} {text}" for name, text in texts.items())
