"""A screened sampler for the conformance suite, which makes it again in other processes: no torch is imported here."""

from typing import Any

from archioptrx.sampling.samplers import Screen, make_sampler


def is_new_not(is_new: Any) -> Any:
    """The opposite of a rule."""
    return lambda candidate: not is_new(candidate)


def alphabetical(candidate: Any) -> list[float]:
    """A proxy without a meaning."""
    return [float(sum(int(d.label) for d in candidate.trace.decisions)), -float(len(candidate.key))]


def screened(space: Any, seed: int, name: str = "random", **options: Any) -> Any:
    """A screened sampler."""
    return make_sampler(
        name, space, seed, screen=lambda inner, is_new: Screen(inner, alphabetical, 3, is_new_not(is_new)), **options
    )
