"""The samplers by name. A user's own is one decorated class::

    @sampler("thirds")                                     # sampler: {name: thirds, share: 0.3}
    class Thirds:
        OPTIONS = ("share",)

        def __init__(self, space, seed=0, share=0.3): ...

with the methods of `archioptrx.sampling.samplers.base.Proposer`, in a module that the experiment names under `imports`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from archioptrx.core.errors import InputError
from archioptrx.core.plugins import Registry
from archioptrx.sampling.samplers.base import Proposer

MakeProposer = TypeVar("MakeProposer", bound=Callable[..., Any])
_HERE = "archioptrx.sampling.samplers"

SAMPLERS: Registry[Callable[..., Proposer]] = Registry(
    "sampler",
    {
        "controller": f"{_HERE}.controller",  # the only one that needs torch
        "evolution": f"{_HERE}.evolution",
        "exhaustive": f"{_HERE}.exhaustive",
        "gp": f"{_HERE}.gp",
        "random": f"{_HERE}.random",
        "replay": f"{_HERE}.replay",
    },
)
"""Every sampler: called with a space, a seed and its options, it makes a `Proposer`."""


RESERVED = ("name", "space", "seed", "dedup", "place", "screen")
"""Names that no option of a sampler has: the key `sampler.name`, and what every sampler is made of."""


def sampler(name: str) -> Callable[[MakeProposer], MakeProposer]:
    """Make a decorator that registers a sampler: a class, or a function that makes one.

    Parameters
    ----------
    name
        Name in experiment files, under `sampler.name`.

    Raises
    ------
    InputError
        An option has a name of `RESERVED`.
    """

    def decorate(make: MakeProposer) -> MakeProposer:
        if taken := [key for key in RESERVED if key in getattr(make, "OPTIONS", ())]:
            named = ", ".join(taken)
            raise InputError(f"sampler {name}: has an option {named}; allowed: names other than {', '.join(RESERVED)}")
        SAMPLERS.registering(name)(make)
        return make

    return decorate
