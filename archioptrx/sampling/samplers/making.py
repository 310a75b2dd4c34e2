"""Samplers by name, with deduplication."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from archioptrx.core.errors import InputError, did_you_mean
from archioptrx.graphs.decisions import Space
from archioptrx.sampling.samplers.base import Proposer
from archioptrx.sampling.samplers.deduplicated import Deduplicated
from archioptrx.sampling.samplers.guarded import Guarded
from archioptrx.sampling.samplers.optuna import PREFIX, optuna_kind
from archioptrx.sampling.samplers.registry import SAMPLERS


def _kind(name: str, place: str) -> Callable[..., Proposer]:
    """Class of a sampler, or a function that makes one."""
    if name.startswith(PREFIX):
        return optuna_kind(name, place)
    if name not in SAMPLERS:
        raise InputError(f"{place}.name: is {name!r}; {did_you_mean(name, [*SAMPLERS, PREFIX + 'TPESampler'])}")
    return SAMPLERS.get(name)


def _proposer(name: str, kind: Callable[..., Proposer], space: Space, seed: int, options: dict[str, Any]) -> Proposer:
    """Make the sampler's own part; a user's own is guarded."""
    if name not in SAMPLERS.own():
        return kind(space, seed, **options)
    with SAMPLERS.guarded(name):
        sampler = kind(space, seed, **options)
    return Guarded(name, sampler)


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
        One of `SAMPLERS`, or `optuna:` and a class of optuna.samplers.
    space
        A program with choices.
    dedup
        `architecture`: no fingerprint twice; `hyperparameters`: none with the same hyperparameters.
    screen
        Function that puts a `Screen` around the sampler, below deduplication, whose `is_new` it gets.
    **options
        Options of the sampler.

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
    sampler = Deduplicated(_proposer(name, kind, space, seed, options), space, dedup)
    if screen is not None:
        sampler.inner = screen(sampler.inner, sampler.is_new)
    return sampler
