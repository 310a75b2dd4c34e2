"""Pulls and resolutions of fitted tracks as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NAMES = {"d0": "d0", "z0": "z0", "phi": "φ", "theta": "θ", "qop": "q/p"}
HEADS = ("pull mean", "pull width", "outside ±5", "bias", "resolution", "of common")
COUNTS = ("given", "without_start", "failed", "fitted", "matched")


def fit_text(fit: Mapping[str, Any]) -> list[str]:
    """Two tables: numbers of tracks, and for each parameter the pulls and resolutions of each kind of tracks."""
    kinds = fit["tracks"]
    width = max(12, *(len(kind) + 2 for kind in kinds))
    heads = "".join(name.replace("_", " ").rjust(15) for name in COUNTS)
    lines = [f"{'Kalman fit':{width}}{heads}"]
    for kind, row in kinds.items():
        lines.append(f"{kind:{width}}" + "".join(_count(row[name]).rjust(15) for name in COUNTS))
    lines += ["", f"{'':6}{'':{width}}" + "".join(head.rjust(16) for head in HEADS)]
    for name, label in NAMES.items():
        for kind, row in kinds.items():
            common = fit["common"]["parameters"][kind][name]["resolution"]
            cells = _cells(row["parameters"][name], common)
            lines.append(f"{label:6}{kind:{width}}" + "".join(cell.rjust(16) for cell in cells))
            label = ""
    common = f"of common: of the {fit['common']['particles']:,} particles that all kinds of tracks have"
    return [*lines, f"at the beam line, {fit['field']:g} T; as {fit['matching']}: {fit['limits_text']}", common]


def _cells(values: Mapping[str, Any], common: float | None) -> list[str]:
    """Cells of one parameter of one kind of tracks."""
    unit = values["unit"]
    pulls = [_with_error(values[name], values[f"{name}_error"]) for name in ("pull_mean", "pull_width")]
    outside = "–" if values["outside"] is None else f"{values['outside']:.4f}"
    return [*pulls, outside, *(_with_unit(number, unit) for number in (values["bias"], values["resolution"], common))]


def _count(number: int | None) -> str:
    return "–" if number is None else f"{number:,}"


def _with_error(value: float | None, error: float | None) -> str:
    return "–" if value is None else f"{value:.3f} ± {error:.3f}"


def _with_unit(value: float | None, unit: str) -> str:
    return "–" if value is None else f"{value:.3g} {unit}"
