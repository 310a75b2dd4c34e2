"""From hits in mm, rad, mm to the numbers that a network was trained on, as source code.

The same arithmetic as `archioptrx.doublets` and the sources, in double precision: Δφ is a small difference of two
angles. Which φ sector hits lie in, where a data set is divided into sectors, is told by their own φ: n sectors of equal
width begin at -π, as `archioptrx.dataset.cut_sectors` cuts them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archioptrx.dataset import Metadata
from archioptrx.doublets import EDGE_FEATURES
from archioptrx.errors import InputError
from archioptrx.exports.code import call, lines, listed

FIELDS = ("x", "edge_attr")
HITS, DOUBLETS = "scaled_hits", "scaled_doublets"
"""Names of the functions."""


def check_fields(fields: Mapping[str, str | None], metadata: Metadata) -> None:
    """Raise InputError where hits and edges alone don't make a source.

    Parameters
    ----------
    fields
        Field of each source that is read.
    """
    wrong = [(source, field) for source, field in fields.items() if field not in FIELDS]
    if wrong:
        raise InputError(
            *(
                f"source {source}: reads {field}, which hits and edges alone don't give; legal in an export: "
                + ", ".join(FIELDS)
                for source, field in wrong
            )
        )
    if "edge_attr" in fields.values() and metadata.edge_features != EDGE_FEATURES:
        raise InputError(
            f"edge_attr: is {', '.join(metadata.edge_features)}; legal in an export: {', '.join(EDGE_FEATURES)}"
        )


def geometry(fields: Mapping[str, str | None], metadata: Metadata) -> tuple[str, ...]:
    """The functions that make the sources."""
    read = set(fields.values())
    hits = (_hits(metadata),) if "x" in read else ()
    return (*hits, *((_doublets(metadata),) if "edge_attr" in read else ()))


def wrap(angle: str) -> str:
    """An angle brought to [-π, π]."""
    return f"{angle} - 2 * math.pi * torch.round({angle} / (2 * math.pi))"


def _hits(metadata: Metadata) -> str:
    columns = [f"{name} / {scale!r}" for name, scale in zip(("r", "phi", "z"), metadata.node_scale, strict=False)]
    columns += [f"hits[:, {place}] / {scale!r}" for place, scale in enumerate(metadata.node_scale) if place > 2]
    width = len(columns)
    stack = call("torch.stack", listed(*columns), "dim=1")
    several = metadata.sectors > 1
    rows = [
        f"def {HITS}(hits{', middle' * several}):",
        f'    """Hits [N, {width}] in physical units to the network\'s [N, {width}]."""',
        "    r, phi, z = hits[:, 0], hits[:, 1], hits[:, 2]",
        *(_recentred(metadata.sectors) if several else [f"    phi = {wrap('phi')}"]),
        *lines(stack, "    ", "columns = "),
        "    return columns.float()",
    ]
    return "\n".join(rows)


def _recentred(sectors: int) -> list[str]:
    """φ from the middle of each hit's sector, or from the given middle."""
    places = "torch.floor(phi / width) + 0.5" if sectors % 2 == 0 else "torch.round(phi / width)"
    return [
        "    if middle is None:",
        f"        width = 2 * math.pi / {sectors}",
        f"        middle = width * ({places})",
        "    phi = phi - middle",
        f"    phi = {wrap('phi')}",
    ]


def _doublets(metadata: Metadata) -> str:
    names = ("dr", "dphi", "dz", "dphi / safe", "z0")
    columns = [f"{name} / {scale!r}" for name, scale in zip(names, metadata.edge_scale, strict=True)]
    rows = [
        f"def {DOUBLETS}(hits, start, end):",
        '    """Δr, Δφ, Δz, Δφ/Δr and z0 of each doublet in the network\'s scale: [E, 5].',
        "",
        "    z0 is where its line meets the beam. Below 1 mm, Δr counts as 1 mm in a divisor.",
        '    """',
        "    step = hits[end] - hits[start]",
        "    dr, dphi, dz = step[:, 0], step[:, 1], step[:, 2]",
        f"    dphi = {wrap('dphi')}",
        "    one = torch.where(dr < 0, -1.0, 1.0).to(dr.dtype)",
        "    safe = torch.where(dr.abs() < 1.0, one, dr)",
        "    z0 = hits[start, 2] - hits[start, 0] * dz / safe",
        *lines(call("torch.stack", listed(*columns), "dim=1"), "    ", "columns = "),
        "    return columns.float()",
    ]
    return "\n".join(rows)


def about_hits(metadata: Metadata) -> list[dict[str, Any]]:
    """Name, unit and scale of each column of `hits`."""
    units = ["mm", "rad", "mm", *["as in the training data"] * (len(metadata.node_features) - 3)]
    rows = zip(metadata.node_features, units, metadata.node_scale, strict=True)
    return [{"name": name, "unit": unit, "scale": scale} for name, unit, scale in rows]


def about_sectors(sectors: int) -> str:
    """How φ is counted, for people."""
    if sectors == 1:
        return "Trained on whole events; φ in any range of 2π."
    return (
        f"Trained on {sectors} φ sectors of an event, the first of which begins at -π: φ is counted from the middle "
        "of each hit's sector."
    )


MIDDLE = "`middle`, where it is given, is the φ to count from instead: 0 for hits whose φ is counted so already."
