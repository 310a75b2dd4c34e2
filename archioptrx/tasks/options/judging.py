"""Checks of the options by which trained models are judged: cut, efficiency, share of hits. No torch here."""

from __future__ import annotations


def cut_faults(cut: float | None, efficiency: float | None) -> list[str]:
    """Faults of a cut, and of an efficiency that chooses one.

    >>> cut_faults(2.0, None)
    ['--cut: is 2; allowed: between 0 and 1']
    """
    given = (("--cut", cut), ("--efficiency", efficiency))
    faults = [
        f"{name}: is {value:g}; allowed: between 0 and 1"
        for name, value in given
        if value is not None and not 0 < value < 1
    ]
    both = cut is not None and efficiency is not None
    return [*faults, *(["--cut and --efficiency: both set the cut; allowed: one of them"] if both else [])]


def fraction_faults(fraction: float | None, matching: str | None) -> list[str]:
    """Fault of a share of hits without a definition that needs one; see `Definition.named` for its range."""
    alone = fraction is not None and matching is None
    return ["--fraction: has no meaning alone; allowed: with --matching acts or acorn"] if alone else []
