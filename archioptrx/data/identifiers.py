"""Whole numbers that name hits and particles: they have to stay exact, or two of them become one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from archioptrx.core.errors import InputError

Array = NDArray[Any]
Ints = NDArray[np.int64]
LARGEST = 2**63 - 1
"""The largest number that int64 holds."""
NOISE = -1
"""Number by which some files mark hits of no particle (others: NaN); here that is 0."""


def exact_below(kind: np.dtype[Any]) -> int:
    """Whole numbers below it are exact in a type and within int64; a float from it on may stand for several.

    >>> exact_below(np.dtype(np.float16)), exact_below(np.dtype(np.float32)) == 2**24
    (2048, True)
    """
    return LARGEST + 1 if kind.kind != "f" else min(LARGEST + 1, 1 << (np.finfo(kind).nmant + 1))


def whole_numbers(values: Array, name: str, row: str = "hit", missing: NDArray[np.bool_] | None = None) -> Ints:
    """Convert numbers to int64, none of them changed.

    Parameters
    ----------
    values
        Numbers of any type, [rows] or [rows, columns].
    name, row
        Name of the identifiers and of what they belong to, for messages.
    missing
        Numbers that aren't looked at; they become 0.

    Raises
    ------
    InputError
        A number isn't whole, isn't exact in its type, or is beyond int64; the first one is named.
    """
    if values.dtype.kind not in "iufb":
        raise InputError(f"{name} holds {values.dtype}; allowed: whole numbers")
    present = np.ones(values.shape, bool) if missing is None else ~missing
    if values.dtype.kind in "ib":
        return np.where(present, values, 0).astype(np.int64)
    limit = exact_below(values.dtype)
    with np.errstate(invalid="ignore"):
        # A comparison of uint64 with 2**63 is exact; -limit of unsigned numbers is never reached.
        beyond = (values >= limit) if values.dtype.kind == "u" else (np.abs(values) >= limit) | ~np.isfinite(values)
        broken = present & (beyond | (values != np.trunc(values)))
    if broken.any():
        first = tuple(np.argwhere(broken)[0])
        value = values[first]
        place = f"{name} is {_text(value)} at {row} {first[0]}"
        if values.dtype.kind == "f" and float(value).is_integer():
            raise InputError(f"{place}: {values.dtype} isn't exact there; allowed: below {limit:,}, or int64")
        allowed = f"up to {LARGEST:,}" if values.dtype.kind == "u" else f"below {limit:,}"
        raise InputError(f"{place}; allowed: whole numbers {allowed}")
    return np.where(present, values, 0).astype(np.int64)


def _text(value: Any) -> str:
    """A number as in a file: all digits of a whole one."""
    return str(int(value)) if np.isfinite(value) and value == np.trunc(value) else f"{value:g}"


def particle_ids(values: Array, from_zero: bool = False, name: str = "pid") -> tuple[Ints, int]:
    """Particle of each hit as int64, 0 for noise, and how many hits were noise by another mark.

    0 is noise. -1 and NaN are noise too, by the rule of other programs, and become 0. Any other negative number is
    refused: it may be a hash, which is a particle, or a second kind of noise.

    Parameters
    ----------
    values : [N]
        Numbers as in the file.
    from_zero
        0 is a particle: ids grow by 1.

    Raises
    ------
    InputError
        An id isn't whole, not exact in its type, beyond int64 or negative; the first one is named.

    >>> particle_ids(np.array([7.0, -1.0, np.nan, 0.0]))
    (array([7, 0, 0, 0]), 2)
    >>> particle_ids(np.array([0, -1]), from_zero=True)
    (array([1, 0]), 1)
    """
    if values.dtype.kind not in "iufb":
        raise InputError(f"{name} holds {values.dtype}; allowed: whole numbers")
    marked = values == NOISE if values.dtype.kind != "u" else np.zeros(values.shape, bool)
    if values.dtype.kind == "f":
        marked = marked | np.isnan(values)
    ids = whole_numbers(values, name, missing=marked)
    negative = np.flatnonzero(ids < 0)
    if len(negative):
        raise InputError(
            f"{name} is {ids[negative[0]]} at hit {negative[0]}; allowed: 0 (noise; -1 and NaN are taken as it) or more"
        )
    if from_zero:
        if len(ids) and ids.max() == LARGEST:
            raise InputError(f"{name} is {LARGEST}, and 0 is a particle too; allowed: ids from 1 on")
        ids = np.where(marked, 0, ids + 1)
    return ids, int(marked.sum())
