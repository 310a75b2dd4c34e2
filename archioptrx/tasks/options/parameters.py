"""Parameters of a particle that a network can give. No torch here."""

from __future__ import annotations

from dataclasses import dataclass

from archioptrx.core.config import Fields
from archioptrx.core.errors import did_you_mean


@dataclass(frozen=True)
class TrackParameter:
    """One parameter, and how it is scaled to numbers of about 1: (value - centre) / scale.

    The scale is fixed, so that a model means the same on any data.

    Attributes
    ----------
    unit
        Unit of centre, scale, resolution and bias.
    periodic
        True for an angle: its channels are sine and cosine, each divided by the scale.
    """

    name: str
    unit: str
    centre: float
    scale: float
    periodic: bool = False

    @property
    def channels(self) -> int:
        """Number of channels of a network for it."""
        return 2 if self.periodic else 1


PARAMETERS = {
    parameter.name: parameter
    for parameter in (
        TrackParameter("inverse_pt", "1/GeV", 1.0, 0.5),
        TrackParameter("charge_over_pt", "1/GeV", 0.0, 1.0),
        TrackParameter("phi", "rad", 0.0, 0.7, periodic=True),
        TrackParameter("eta", "", 0.0, 1.5),
        TrackParameter("z0", "mm", 0.0, 50.0),
        TrackParameter("charge", "e", 0.0, 1.0),
    )
}
"""1/pT, charge/pT (proportional to the signed curvature in a solenoid), azimuth and pseudorapidity of the momentum at
the vertex, z of the vertex, charge; all from `HitGraph.particles`."""


def read_parameters(fields: Fields, default: tuple[str, ...]) -> tuple[str, ...]:
    """Take and check the key `parameters`, a list of names."""
    names = fields.take("parameters", list, list(default))
    for index, name in enumerate(names):
        if not isinstance(name, str) or name not in PARAMETERS:
            fields.fault(f"parameters[{index}]", f"is {name!r}; {did_you_mean(str(name), PARAMETERS)}")
        elif name in names[:index]:
            fields.fault(f"parameters[{index}]", f"{name} stands twice; allowed: each parameter once")
    if not names:
        fields.fault("parameters", f"is empty; allowed: one or more of {', '.join(PARAMETERS)}")
    return tuple(str(name) for name in names)


def channels_of(names: tuple[str, ...]) -> int:
    """Number of channels of a network for these parameters."""
    return sum(PARAMETERS[name].channels for name in names)
