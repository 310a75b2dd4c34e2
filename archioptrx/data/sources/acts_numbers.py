"""Numbers by which Acts names modules and particles.

    geometry_id   64 bits, from the top: volume 8, boundary 8, layer 12, approach 8, sensitive (module) 20, extra 8
    particle_id   five columns: primary vertex, secondary vertex, particle, generation, sub-particle. Here they are one
                  number: 11 + 12 + 16 + 8 + 16 = 63 bits, in that order from the top, so that it fits int64. This is
                  Acts' own number of older versions, which wrote one column, for primary vertices below 2,048. Larger
                  numbers are refused: no two particles get the same name

Source: GeometryIdentifier and SimBarcode of Acts (github.com/acts-project/acts).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from archioptrx.core.errors import InputError
from archioptrx.data.identifiers import NOISE
from archioptrx.data.sources.event_tables import PARTICLE, PARTICLE_PARTS, Table

Array = NDArray[Any]

WIDTHS = dict(zip(PARTICLE_PARTS, (11, 12, 16, 8, 16), strict=True))
"""Bits of each column of a particle's name, from the top."""


def module_of(geometry_id: Array) -> tuple[Array, Array, Array]:
    """Volume, layer and module of each geometry identifier.

    >>> [int(number) for number in module_of(np.array(504403845460273920))]
    [7, 10, 43]
    """
    return geometry_id >> 56 & 0xFF, geometry_id >> 36 & 0xFFF, geometry_id >> 8 & 0xFFFFF


def particle_names(table: Table) -> Array:
    """Name of the particle of each row, 0: none; the columns are `PARTICLE_PARTS`, or in older files `particle_id`.

    In the one column -1 and an empty field are none, too. Shapes: -> int64 [rows].

    Raises
    ------
    InputError
        The columns are missing, or a number is beyond its bits.
    """
    missing = [name for name in PARTICLE_PARTS if name not in table.columns]
    if missing and PARTICLE not in table.columns:
        allowed = "these five columns, or particle_id alone"
        raise InputError(f"{table.file}: line 1: lacks {', '.join(missing)}; allowed: {allowed}")
    if missing:
        names = table[PARTICLE]
        table.refuse(names < NOISE, PARTICLE, "; allowed: 0 (noise; -1 and none are taken as it) or more")
        return np.where(names == NOISE, 0, names)
    names = np.zeros(len(table), np.int64)
    for part, width in WIDTHS.items():
        table.refuse((table[part] < 0) | (table[part] >= 1 << width), part, f"; allowed: 0 … {(1 << width) - 1:,}")
        names = names << width | table[part]
    return names
