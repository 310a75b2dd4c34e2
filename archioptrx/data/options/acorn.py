"""Options of the source `acorn`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from archioptrx.core.config import Fields
from archioptrx.core.errors import InputError
from archioptrx.data.options.acorn_rules import read_rules
from archioptrx.data.options.base import HERE, edge_features_option, option, read_files, take_edge_features

NAMES = r"(?P<event>.+?)_s(?P<sector>\d+)"
"""Names of files that hold a sector of an event: gnn_tracking's data21000_s3.pt is sector 3 of data21000."""
FILES = ("*.pyg", "*.pyg.gz", "*.pt", "*/*.pyg", "*/*.pyg.gz")
"""Names of files by which a path is known to be of this source."""
PT_UNITS = {"GeV": 1.0, "MeV": 1e-3}
"""GeV in the unit of each name."""


@dataclass(frozen=True)
class AcornOptions:
    """Event graphs of acorn and gnn_tracking; see `archioptrx.data.sources.acorn`.

    Attributes
    ----------
    path
        One `.pyg`, `.pyg.gz` or `.pt` file, or a folder of them; folders inside it count too (acorn: trainset, valset,
        testset).
    columns
        Further features of the hits, beside r, φ and z: names of columns [N], with or without `hit_`, or `x3`, `x4` …
        for columns of the matrix `x`. They are taken as they are, but for those of clusters: `cluster_r_1` … are
        divided by acorn's scales, see `archioptrx.data.options.building.CLUSTER_SCALES`.
    scales
        Factors that turn the file's r, φ and z into mm, rad and mm. None: 1, 1, 1 for named columns (acorn keeps
        mm and rad on disk and scales at load), 1000, π, 1000 for columns of the matrix `x` (gnn_tracking's default).
    pt_unit
        Unit of the momenta in the files; graphs have GeV. Athena's are in MeV.
    weights
        Take the files' weight of each edge as its weight in the loss.
    skip_bad
        Leave out files that break the contract (and count them) instead of refusing the whole data set.
    events
        Read the first so many events, by name, and no more. None: all.
    edge_features
        Edge features instead of those that `Metadata` has, by their names in `data.doublets`. Empty: the usual ones.
    without_edges
        Read graphs that have no edges yet, as acorn's feature store has them: for learned edges, see the source
        `learned`. Edges that a file has are left aside.
    acorn_config
        A YAML file of acorn, whose rules say which edges are learned, and with which weight; see
        `archioptrx.data.options.acorn_rules`.
    names
        Regular expression of names (without the ending) of files that hold a sector of an event, with groups `event`
        and `sector`. A file of another name is a whole event.
    """

    source: ClassVar[str] = "acorn"
    about: ClassVar[str] = "event graphs of acorn (gnn4itk) and gnn_tracking, in .pyg, .pyg.gz or .pt files"
    path: Path = option(HERE, "a .pyg, .pyg.gz or .pt file, or a folder of them", str)
    columns: tuple[str, ...] = option((), "further hit features, such as eta, or x3 for a column of x")
    scales: tuple[float, ...] | None = option(None, "what makes r, φ, z of the files mm, rad, mm", list)
    pt_unit: str = option("GeV", "unit of the files' momenta: GeV or MeV")
    weights: bool = option(False, "take the files' edge weights for the loss")
    skip_bad: bool = option(False, "leave out bad files and count them")
    events: int | None = option(None, "read the first so many events", int)
    edge_features: tuple[str, ...] = edge_features_option()
    without_edges: bool = option(False, "read graphs without edges, for learned edges")
    acorn_config: Path | None = option(None, "YAML file of acorn with weighting, hard_cuts, target_tracks", str)
    names: str = option(NAMES, "regular expression of sector files, with groups event and sector")

    @classmethod
    def read(cls, fields: Fields) -> AcornOptions:
        """Take and check the options."""
        columns = fields.take("columns", list, [])
        if not all(isinstance(name, str) for name in columns):
            fields.fault("columns", f"is {columns!r}; allowed: names of columns")
        return cls(
            **read_files(fields, "a folder of .pyg, .pyg.gz or .pt files or one of them"),
            columns=tuple(map(str, columns)),
            scales=_scales(fields),
            pt_unit=fields.take("pt_unit", str, "GeV", choices=PT_UNITS),
            weights=fields.take("weights", bool, False),
            edge_features=take_edge_features(fields),
            without_edges=fields.take("without_edges", bool, False),
            acorn_config=_config(fields),
            names=_names(fields),
        )


def _config(fields: Fields) -> Path | None:
    """Take a file of rules, and check them."""
    written = fields.take("acorn_config", (str, type(None)), None)
    if written is None:
        return None
    try:
        read_rules(Path(written))
    except InputError as error:
        for fault in error.faults:
            fields.fault("acorn_config", fault)
    if fields.content.get("without_edges"):
        fields.fault("acorn_config", "stands beside without_edges; allowed: one of the two")
    if fields.content.get("weights"):
        fields.fault("acorn_config", "stands beside weights; allowed: the files' weights, or those of its rules")
    return Path(written)


def _names(fields: Fields) -> str:
    """Take a pattern with groups for event and sector."""
    pattern: str = fields.take("names", str, NAMES)
    try:
        groups = set(re.compile(pattern).groupindex)
    except (re.error, RecursionError, OverflowError):
        groups = set()
    if not {"event", "sector"} <= groups:
        allowed = f"a regular expression with the groups event and sector, such as {NAMES}"
        fields.fault("names", f"is {pattern!r}; allowed: {allowed}")
    return pattern


def _scales(fields: Fields) -> tuple[float, ...] | None:
    """Take three positive numbers; on the command line they are texts."""
    written = fields.take("scales", (list, type(None)), None)
    if written is None:
        return None
    try:
        scales = tuple(float(scale) for scale in written)
    except (TypeError, ValueError):
        scales = ()
    if len(scales) != 3 or not all(0 < scale < float("inf") for scale in scales):
        fields.fault("scales", f"is {written!r}; allowed: three positive numbers, for r, φ and z")
        return None
    return scales
