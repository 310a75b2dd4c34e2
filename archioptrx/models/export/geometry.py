"""Source code that turns hits in mm, rad, mm into the numbers that a network was trained on.

The same arithmetic as `archioptrx.data.doublets` and the sources, in double precision: Δφ is a small difference of two
angles. Where a data set is divided into sectors, the φ sector of hits follows from their own φ: n sectors of equal
width begin at -π, as `archioptrx.data.dataset.cut_sectors` cuts them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from archioptrx.core.errors import InputError
from archioptrx.data.dataset import Metadata
from archioptrx.data.doublets import ACORN_FEATURES, EDGE_FEATURES, LEAST_STEP, difference
from archioptrx.graphs.source.text import Code, call, docstring, lines, listed
from archioptrx.models.export.form import Scaled

FIELDS = ("x", "edge_attr")
HITS, DOUBLETS, PHYSICAL = "scaled_hits", "scaled_doublets", "physical_hits"
"""Names of the functions."""


WRAPPED = "    phi = phi - 2 * math.pi * torch.round(phi / (2 * math.pi))"
GEOMETRY = (
    ("step", "hits[end] - hits[start]"),
    ("dr", "step[:, 0]"),
    ("dphi", "step[:, 1]"),
    ("dphi", "dphi - 2 * math.pi * torch.round(dphi / (2 * math.pi))"),
    ("dz", "step[:, 2]"),
    ("one", "torch.where(dr < 0, -1.0, 1.0).to(dr.dtype)"),
    ("safe", "torch.where(dr.abs() < 1.0, one, dr)"),
    ("z0", "hits[start, 2] - hits[start, 0] * dz / safe"),
    ("sinh", "hits[:, 2] / hits[:, 0].clamp(min=1e-6)"),
    ("eta", "sinh.sign() * torch.log(sinh.abs() + torch.sqrt(sinh * sinh + 1))"),
    ("level", "dr == 0"),
    ("slope", "dphi / math.pi * 1000 / torch.where(level, 1.0, dr)"),
    ("phislope", "torch.where(level, 100 * dphi.sign(), slope).clamp(-100, 100)"),
    ("rphislope", "(hits[start, 0] + hits[end, 0]) / 2000 * phislope"),
)
"""Statements that compute `doublets.doublet_features` and `doublets.acorn_features`. Of η by its logarithm: onnxruntime
1.31 has no `Asinh` for double precision."""
ACORN = ("dr / 1000", "dphi / math.pi", "dz / 1000", "(eta[end] - eta[start])", "phislope", "rphislope")


def check_fields(fields: Mapping[str, str | None], metadata: Metadata) -> None:
    """Raise InputError where a source can't be made from hits and edges alone.

    Parameters
    ----------
    fields
        Field of each source that is read.
    """
    wrong = [(source, field) for source, field in fields.items() if field not in FIELDS]
    if wrong:
        raise InputError(
            *(
                f"source {source}: reads {field}, which hits and edges alone don't give; allowed in an export: "
                + ", ".join(FIELDS)
                for source, field in wrong
            )
        )
    allowed = _edge_columns(metadata)
    unknown = [name for name in metadata.edge_features if name not in allowed] if "edge_attr" in fields.values() else []
    if unknown:
        raise InputError(
            f"edge_attr: {', '.join(unknown)} can't be computed from the hits; "
            f"allowed in an export: {', '.join(allowed)}"
        )


def geometry(fields: Mapping[str, str | None], metadata: Metadata, form: Scaled | None) -> tuple[str, ...]:
    """The functions that make the sources."""
    read = set(fields.values())
    physical = () if form is None else (_physical(form),)
    hits = (_hits(metadata),) if "x" in read else ()
    return (*physical, *hits, *((_doublets(metadata, form),) if "edge_attr" in read else ()))


def doublets_call(hits: str, form: Scaled | None) -> Code:
    """The call that makes the features of edges."""
    return call(DOUBLETS, hits, "start", "end", *_given(form))


def _given(form: Scaled | None) -> tuple[str, ...]:
    return ("edge_attr",) if form is not None and form.edges else ()


def _physical(form: Scaled) -> str:
    columns = [f"x[:, {place}].double() {_times(scale)}" for place, scale in zip(form.places, form.scales, strict=True)]
    stack = call("torch.stack", listed(*columns), "dim=1")
    description = f'"""Columns of single precision [N, columns] to [N, {len(columns)}] in physical units."""'
    return "\n".join([f"def {PHYSICAL}(x):", f"    {description}", *lines(stack, "    ", "return ")])


def _times(scale: float) -> str:
    """Code that multiplies by a scale in single precision.

    torch's exporter to ONNX rounds numbers, and `onnx_file.with_exact_numbers` finds their digits again. π in single
    precision and π would be one number there; with a power of two, which changes no digit, they are two.
    """
    return f"* {scale!r}" if scale.is_integer() else f"* {scale * 2**20!r} / {2**20}.0"


def _steps(form: Scaled | None, least: float) -> tuple[tuple[str, str], ...]:
    """The statements of `GEOMETRY` with another least |Δr|; where the caller gives Δr, Δφ and Δz: by these."""
    # Δr is in double precision: a number beside it keeps its digits, two numbers in `torch.where` would not.
    own = (
        {}
        if least == LEAST_STEP
        else {"one": f"{{}} * {least!r}", "safe": f"torch.where(dr.abs() < {least!r}, one, dr)"}
    )
    geometry = tuple((name, own.get(name, "{}").replace("{}", code)) for name, code in GEOMETRY)
    if form is None or not form.edges:
        return geometry
    given = {
        f"step[:, {place}]": f"edge_attr[:, {place}].double() {_times(scale)}"
        for place, scale in enumerate(form.scales[:3])
    }
    return tuple((name, given.get(code, code)) for name, code in geometry)


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
        *(_recentred(metadata.sectors) if several else [WRAPPED]),
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
        WRAPPED,
    ]


def _edge_columns(metadata: Metadata) -> dict[str, str]:
    """Code of each edge feature that hits give: the geometry of doublets, differences of further columns."""
    usual = dict(zip(EDGE_FEATURES, ("dr", "dphi", "dz", "dphi / safe", "z0"), strict=True))
    differences = {difference(name): f"step[:, {place}]" for place, name in enumerate(metadata.node_features)}
    return differences | usual | dict(zip(ACORN_FEATURES, ACORN, strict=True))


def _doublets(metadata: Metadata, form: Scaled | None) -> str:
    known, names = _edge_columns(metadata), metadata.edge_features
    columns = [f"{known[name]} / {scale!r}" for name, scale in zip(names, metadata.edge_scale, strict=True)]
    body = _needed(columns, _steps(form, metadata.least_step))
    description = f"{', '.join(names)} of each edge in the network's scale: [E, {len(names)}]."
    if any(name == "safe" for name, _ in body):
        least = f"{metadata.least_step!r}" if metadata.own_units else "1 mm"
        description += f"\n\nz0 is where its line meets the beam. Below {least}, Δr counts as {least} in a divisor."
    arguments = ", ".join(["hits", "start", "end", *_given(form)])
    rows = [f"def {DOUBLETS}({arguments}):", *docstring(description, "    ")]
    rows += [f"    {name} = {code}" for name, code in body]
    stack = call("torch.stack", listed(*columns), "dim=1")
    return "\n".join([*rows, *lines(stack, "    ", "columns = "), "    return columns.float()"])


def _needed(columns: Sequence[str], steps: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The statements of the geometry that these columns read."""
    words, statements = _words(columns), list[tuple[str, str]]()
    for name, code in reversed(steps):
        if name in words:
            words |= _words([code])
            statements.insert(0, (name, code))
    return statements


def _words(texts: Sequence[str]) -> set[str]:
    return set(re.findall(r"\w+", " ".join(texts)))


def about_hits(metadata: Metadata) -> list[dict[str, Any]]:
    """Name, unit and scale of each column of `hits`."""
    own = "as in the training data"
    length = own if metadata.own_units else "mm"
    units = [length, "rad", length, *[own] * (len(metadata.node_features) - 3)]
    rows = zip(metadata.node_features, units, metadata.node_scale, strict=True)
    return [{"name": name, "unit": unit, "scale": scale} for name, unit, scale in rows]


def about_sectors(sectors: int) -> str:
    """Text on the origin of φ."""
    if sectors == 1:
        return "Trained on whole events; φ in any range of 2π."
    return (
        f"Trained on {sectors} φ sectors of an event, the first of which begins at -π: φ is counted from the middle "
        "of each hit's sector."
    )


MIDDLE = "`middle`, where it is given, is the φ to count from instead: 0 for hits whose φ is counted so already."
