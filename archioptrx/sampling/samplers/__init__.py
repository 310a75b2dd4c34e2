"""Samplers: they answer the decisions of a space. They know neither the walk nor torch, but for the controller.

The names below are loaded when they are asked for (PEP 562): a command that only samples shall not wait for numpy and
the samplers that learn.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from archioptrx.sampling.samplers.replay import replay  # loaded at once, as its module has the same name

if TYPE_CHECKING:
    from archioptrx.sampling.samplers.base import Proposer, Sampler
    from archioptrx.sampling.samplers.deduplicated import Deduplicated
    from archioptrx.sampling.samplers.evolution import EvolutionSampler
    from archioptrx.sampling.samplers.exhaustive import enumerate_space
    from archioptrx.sampling.samplers.gp import GaussianProcessSampler
    from archioptrx.sampling.samplers.making import make_sampler
    from archioptrx.sampling.samplers.random import RandomSampler
    from archioptrx.sampling.samplers.registry import SAMPLERS, sampler
    from archioptrx.sampling.samplers.screen import Screen

__all__ = [
    "SAMPLERS",
    "Deduplicated",
    "EvolutionSampler",
    "GaussianProcessSampler",
    "Proposer",
    "RandomSampler",
    "Sampler",
    "Screen",
    "enumerate_space",
    "make_sampler",
    "replay",
    "sampler",
]

_MODULES = {
    "SAMPLERS": "registry",
    "Deduplicated": "deduplicated",
    "EvolutionSampler": "evolution",
    "GaussianProcessSampler": "gp",
    "Proposer": "base",
    "RandomSampler": "random",
    "Sampler": "base",
    "Screen": "screen",
    "enumerate_space": "exhaustive",
    "make_sampler": "making",
    "sampler": "registry",
}
"""Module of each name."""


def __getattr__(name: str) -> Any:
    """Load a name; AttributeError where there is none."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
