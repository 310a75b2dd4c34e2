"""Options of the data sources, read and checked without torch: an experiment file needs none to be checked."""

from __future__ import annotations

from archioptrx.data.options.acorn import AcornOptions
from archioptrx.data.options.acts import ActsOptions
from archioptrx.data.options.base import HERE, OF, Options, PlainOptions, description, option
from archioptrx.data.options.colliderml import ColliderMLOptions
from archioptrx.data.options.fatras import FatrasOptions
from archioptrx.data.options.helix import HelixOptions
from archioptrx.data.options.hitgraphs import HitgraphsOptions
from archioptrx.data.options.learned import LearnedOptions
from archioptrx.data.options.line_graph import LineGraphOptions, TripletsOptions
from archioptrx.data.options.pickle import PickleOptions
from archioptrx.data.options.registry import SOURCES, SourceDescription, has_option, options_of, source, source_at
from archioptrx.data.options.toy import ToyOptions
from archioptrx.data.options.trackml import TrackmlOptions

__all__ = [
    "HERE",
    "OF",
    "SOURCES",
    "AcornOptions",
    "ActsOptions",
    "ColliderMLOptions",
    "FatrasOptions",
    "HelixOptions",
    "HitgraphsOptions",
    "LearnedOptions",
    "LineGraphOptions",
    "Options",
    "PickleOptions",
    "PlainOptions",
    "SourceDescription",
    "ToyOptions",
    "TrackmlOptions",
    "TripletsOptions",
    "description",
    "has_option",
    "option",
    "options_of",
    "source",
    "source_at",
]
