"""Samplers: what answers the decisions of a space. They know neither the walk nor torch."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, cast

from archioptrx.core.errors import InputError, did_you_mean
from archioptrx.graphs.decisions import Space
from archioptrx.sampling.samplers.base import Proposer, Sampler
from archioptrx.sampling.samplers.deduplicated import Deduplicated
from archioptrx.sampling.samplers.evolution import EvolutionSampler
from archioptrx.sampling.samplers.exhaustive import ExhaustiveSampler, enumerate_space
from archioptrx.sampling.samplers.gp import GaussianProcessSampler
from archioptrx.sampling.samplers.optuna import PREFIX, optuna_kind
from archioptrx.sampling.samplers.random import RandomSampler
from archioptrx.sampling.samplers.replay import ReplaySampler, replay
from archioptrx.sampling.samplers.screen import Screen

__all__ = [
    "SAMPLERS",
    "Deduplicated",
    "EvolutionSampler",
    "ExhaustiveSampler",
    "GaussianProcessSampler",
    "Proposer",
    "RandomSampler",
    "ReplaySampler",
    "Sampler",
    "Screen",
    "enumerate_space",
    "make_sampler",
    "replay",
    "sampler_names",
]

SAMPLERS: dict[str, Callable[..., Proposer]] = {
    "random": RandomSampler,
    "replay": ReplaySampler,
    "exhaustive": ExhaustiveSampler,
    "evolution": EvolutionSampler,
    "gp": GaussianProcessSampler,
}

LEARNING_ELSEWHERE = {"controller": "archioptrx.sampling.samplers.controller:Controller"}
"""Samplers that need torch: loaded when they are asked for."""


def sampler_names() -> list[str]:
    """Names that `make_sampler` takes."""
    return sorted({*SAMPLERS, *LEARNING_ELSEWHERE})


def _kind(name: str, place: str) -> Callable[..., Proposer]:
    if name.startswith(PREFIX):
        return optuna_kind(name, place)
    if name not in (names := sampler_names()):
        raise InputError(f"{place}.name: is {name!r}; {did_you_mean(name, [*names, PREFIX + 'TPESampler'])}")
    if name in SAMPLERS:
        return SAMPLERS[name]
    module, attribute = LEARNING_ELSEWHERE[name].split(":")
    return cast(Callable[..., Proposer], getattr(import_module(module), attribute))


def make_sampler(
    name: str,
    space: Space,
    seed: int = 0,
    dedup: str = "architecture",
    place: str = "sampler",
    screen: Callable[[Proposer, Callable[[Any], bool]], Proposer] | None = None,
    **options: Any,
) -> Deduplicated:
    """Make a sampler by name, wrapped in canonical deduplication.

    Parameters
    ----------
    name
        One of `sampler_names()`, or `optuna:` and a class of optuna.samplers.
    space
        A program with choices.
    dedup
        `architecture`: no fingerprint twice; `hyperparameters`: none with the same hyperparameters.
    screen
        Puts a `Screen` around the sampler, below deduplication, whose `is_new` it is given.
    **options
        Of the sampler.

    Raises
    ------
    InputError
        The name or an option is unknown.
    """
    kind = _kind(name, place)
    allowed = list(getattr(kind, "OPTIONS", ()))
    unknown = [
        f"{place}.{o}: sampler {name} has no such option; {did_you_mean(o, allowed)}"
        for o in options
        if o not in allowed
    ]
    if unknown:
        raise InputError(*unknown)
    made = Deduplicated(kind(space, seed, **options), space, dedup)
    if screen is not None:
        made.inner = screen(made.inner, made.is_new)
    return made
