"""Signal: the particles that are to be found. One definition for edges, particles, bins and tracks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archioptrx.data.event import PRIMARY

KEYS = ("signal_pt", "signal_hits", "signal_primary")
"""Options of a source that define its signal."""


def passed_on(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options that define the signal of a data set: those of data that are made of it, whose particles are the same."""
    return {key: options[key] for key in KEYS if key in options}


@dataclass(frozen=True)
class Signal:
    """Definition of the particles that are signal; by default all.

    Attributes
    ----------
    pt
        Least transverse momentum, GeV.
    hits
        Least number of hits in the whole event, cut away ones too.
    vr_max
        Largest distance of the vertex from the beam line, mm.
    """

    pt: float = 0.0
    hits: int = 0
    vr_max: float = math.inf

    @classmethod
    def of_options(cls, options: Mapping[str, Any]) -> Signal:
        """The signal of a data set, by the options that its source was given.

        >>> Signal.of_options({"source": "helix", "signal_pt": 1.0, "signal_primary": True})
        Signal(pt=1.0, hits=0, vr_max=2.0)
        """
        pt, hits = float(options.get("signal_pt") or 0.0), int(options.get("signal_hits") or 0)
        return cls(pt, hits, PRIMARY if options.get("signal_primary") else math.inf)

    def of(self, pt: NDArray[Any], hits: NDArray[Any], vr: NDArray[Any]) -> NDArray[np.bool_]:
        """Find the particles that are signal. Shapes: [P] each -> [P].

        A particle of unknown pT or vertex, NaN, is none where that is limited.
        Compared in float32, which graphs and files keep: a particle exactly at the limit is signal in all forms.
        """
        chosen = np.ones(len(pt), dtype=np.bool_)
        if self.pt > 0:
            chosen &= np.asarray(pt, np.float32) >= np.float32(self.pt)
        if self.hits > 0:
            chosen &= np.asarray(hits) >= self.hits
        if self.vr_max < math.inf:
            chosen &= np.asarray(vr, np.float32) <= np.float32(self.vr_max)
        return chosen
