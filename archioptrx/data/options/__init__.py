"""What each source can be told. No torch here: an experiment file is checked without it."""

from __future__ import annotations

from pathlib import Path

from archioptrx.data.options.acorn import AcornOptions
from archioptrx.data.options.base import HERE, OF, Options, PlainOptions, description, option
from archioptrx.data.options.helix import HelixOptions
from archioptrx.data.options.hitgraphs import HitgraphsOptions
from archioptrx.data.options.learned import LearnedOptions
from archioptrx.data.options.line_graph import LineGraphOptions, TripletsOptions
from archioptrx.data.options.pickle import PickleOptions
from archioptrx.data.options.toy import ToyOptions
from archioptrx.data.options.trackml import TrackmlOptions

__all__ = [
    "HERE",
    "MODULES",
    "OF",
    "OWN_FILES",
    "SOURCES",
    "AcornOptions",
    "HelixOptions",
    "HitgraphsOptions",
    "LearnedOptions",
    "LineGraphOptions",
    "Options",
    "PickleOptions",
    "PlainOptions",
    "ToyOptions",
    "TrackmlOptions",
    "TripletsOptions",
    "description",
    "option",
    "source_at",
]

_ALL: tuple[type[Options], ...] = (
    ToyOptions,
    HelixOptions,
    HitgraphsOptions,
    TrackmlOptions,
    AcornOptions,
    PickleOptions,
    LearnedOptions,
    LineGraphOptions,
    TripletsOptions,
)
SOURCES: dict[str, type[Options]] = {one.source: one for one in _ALL}
"""Each source by name. The module of that name in `archioptrx.data.sources` has `load(options) -> Dataset`."""

MODULES = {"line_graph": "archioptrx.models.triplet_sources", "triplets": "archioptrx.models.triplet_sources"}
"""Sources that run trained models have their `load` above the models, not among the other sources."""

PATTERNS = {
    "trackml": ("event*-*.csv*", "*/event*-hits.csv*", "*event*.zip"),
    "acorn": ("*.pyg", "*.pt", "*/*.pyg"),
    "pickle": ("*.pickle", "*.pkl"),
}
"""Files by which the source of a path is known; whatever else is `hitgraphs`."""

OWN_FILES: dict[str, tuple[str, ...]] = {}
"""The same of the user's own sources, which come first."""


def source_at(path: Path) -> str:
    """Guess the source of a path from the names of its files.

    >>> source_at(Path("nowhere"))
    'hitgraphs'
    """
    for source, patterns in {**OWN_FILES, **PATTERNS}.items():
        if source in SOURCES and any(path.match(p) or (path.is_dir() and any(path.glob(p))) for p in patterns):
            return source
    return "hitgraphs"
