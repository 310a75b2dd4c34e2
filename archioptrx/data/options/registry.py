"""The data sources by name: the description of each, without torch, and the function that loads it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

from archioptrx.core.errors import InputError
from archioptrx.core.plugins import DescribedRegistry
from archioptrx.data.options import acorn, acts, colliderml, pickle, trackml
from archioptrx.data.options.acorn import AcornOptions
from archioptrx.data.options.acts import ActsOptions
from archioptrx.data.options.base import Options
from archioptrx.data.options.colliderml import ColliderMLOptions
from archioptrx.data.options.fatras import FatrasOptions
from archioptrx.data.options.helix import HelixOptions
from archioptrx.data.options.hitgraphs import HitgraphsOptions
from archioptrx.data.options.learned import LearnedOptions
from archioptrx.data.options.line_graph import LineGraphOptions, TripletsOptions
from archioptrx.data.options.pickle import PickleOptions
from archioptrx.data.options.toy import ToyOptions
from archioptrx.data.options.trackml import TrackmlOptions

Load = Callable[[Any], Any]
"""Function from the options of a source to its `archioptrx.data.dataset.Dataset`."""


@dataclass(frozen=True)
class SourceDescription:
    """A data source as experiment files and the command `data` know it.

    Attributes
    ----------
    options
        Class of its options.
    files
        Patterns of file names by which a path alone is known to be of this source.
    holds
        Function that knows a path by the content of a file, where its names are those of another source too.
    """

    options: type[Options]
    files: tuple[str, ...] = ()
    holds: Callable[[Path], bool] | None = None

    @property
    def about(self) -> str:
        """A few words for `--help`."""
        return self.options.about


_SOURCES = "archioptrx.data.sources"
_OF_TRIPLETS = "archioptrx.models.triplet_sources"  # these run trained models, so they stand above the models

SOURCES: DescribedRegistry[Load, SourceDescription] = DescribedRegistry(
    "data source",
    {
        "acorn": (f"{_SOURCES}.acorn", SourceDescription(AcornOptions, acorn.FILES)),
        "acts": (f"{_SOURCES}.acts", SourceDescription(ActsOptions, acts.FILES, acts.holds_hits_of_acts)),
        "colliderml": (f"{_SOURCES}.colliderml", SourceDescription(ColliderMLOptions, colliderml.FILES)),
        "fatras": (f"{_SOURCES}.fatras", SourceDescription(FatrasOptions)),
        "helix": (f"{_SOURCES}.helix", SourceDescription(HelixOptions)),
        "hitgraphs": (f"{_SOURCES}.hitgraphs", SourceDescription(HitgraphsOptions)),
        "learned": (f"{_SOURCES}.learned", SourceDescription(LearnedOptions)),
        "line_graph": (_OF_TRIPLETS, SourceDescription(LineGraphOptions)),
        "pickle": (f"{_SOURCES}.pickle", SourceDescription(PickleOptions, pickle.FILES)),
        "toy": (f"{_SOURCES}.toy", SourceDescription(ToyOptions)),
        "trackml": (f"{_SOURCES}.trackml", SourceDescription(TrackmlOptions, trackml.FILES)),
        "triplets": (_OF_TRIPLETS, SourceDescription(TripletsOptions)),
    },
)
"""Every data source. A module under `imports` adds to it with `source`."""

USUAL = "hitgraphs"
"""The source of files that match no pattern."""


def source(options: type[Options], files: Sequence[str] = ()) -> Callable[[Load], Load]:
    """Make a decorator that registers a function `load(options) -> Dataset` as a data source.

    Parameters
    ----------
    options
        Class of its options, with the name of the source.
    files
        Patterns of file names by which `--data PATH` is known to be of this source, for example `*.csv`. They are
        tried before those of bundled sources.

    Raises
    ------
    InputError
        The class of options is no dataclass, or lacks `source`, `about` or `read`.
    """
    lacking = [member for member in ("source", "about", "read") if not hasattr(options, member)]
    if lacking or not is_dataclass(options):
        fault = f"has no {', no '.join(lacking)}" if lacking else "is no dataclass"
        raise InputError(f"@source: {options.__name__} {fault}; allowed: a dataclass that extends PlainOptions")
    return SOURCES.describing(options.source, SourceDescription(options, tuple(files)))


def options_of(name: str) -> type[Options]:
    """Class of the options of a source."""
    return SOURCES.description(name).options


def has_option(source: object, name: str) -> bool:
    """Whether a source has an option of that name: one that reads files has a `path`. False where no source is named.

    >>> has_option("trackml", "path"), has_option("toy", "path")
    (True, False)
    """
    return source in SOURCES and name in {field.name for field in fields(options_of(str(source)))}  # type: ignore[arg-type]


def source_at(path: Path) -> str:
    """Guess the source of a path from the names of its files.

    >>> source_at(Path("nowhere"))
    'hitgraphs'
    """
    own = SOURCES.own()
    for name in (*own, *(name for name in SOURCES if name not in own)):
        description = SOURCES.description(name)
        patterns = description.files
        if (description.holds is not None and description.holds(path)) or any(
            path.match(pattern) or (path.is_dir() and any(path.glob(pattern))) for pattern in patterns
        ):
            return name
    return USUAL
