"""Options of node regression."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from archioptrx.core.config import Fields
from archioptrx.tasks.metrics import HITS
from archioptrx.tasks.options.parameters import read_parameters
from archioptrx.tasks.options.registry import task_options


@task_options
@dataclass(frozen=True)
class RegressionOptions:
    """Parameters of the particle that made each hit; see `archioptrx.tasks.node_regression`.

    Attributes
    ----------
    parameters
        Names, see `archioptrx.tasks.options.parameters.PARAMETERS`.
    delta
        Error at which the Huber loss turns from square to linear, in scaled units.
    """

    name: ClassVar[str] = "node_regression"
    judged: ClassVar[tuple[str, ...]] = (HITS,)
    meaning: ClassVar[tuple[str, ...]] = ("parameters",)
    of_loss: ClassVar[tuple[str, ...]] = ("parameters", "delta")
    labels: ClassVar[Mapping[str, str]] = {"explained": "variance explained"}
    parameters: tuple[str, ...] = ("charge_over_pt", "phi")
    delta: float = 0.5

    @property
    def shares(self) -> tuple[str, ...]:
        """The mean share of the variance that is explained, and that of each parameter."""
        return ("explained", *(f"explained_{name}" for name in self.parameters))

    @property
    def losses(self) -> tuple[str, ...]:
        """The loss, and the resolutions."""
        return ("loss", *(f"{kind}_{name}" for name in self.parameters for kind in ("resolution", "rms")))

    @classmethod
    def read(cls, fields: Fields) -> RegressionOptions:
        """Take and check the options."""
        delta = fields.take("delta", float, cls.delta, minimum=1e-6, maximum=1e6)
        return cls(read_parameters(fields, cls.parameters), delta)
