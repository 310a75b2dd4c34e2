"""Track finders by name, and the section `tracks` of a task that chooses one. Torch-free."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from archioptrx.core.config import Fields
from archioptrx.core.errors import InputError
from archioptrx.core.plugins import Decorated, DescribedRegistry, Registry


@dataclass(frozen=True)
class FinderDescription:
    """Description of a track finder, known without importing it.

    Attributes
    ----------
    cut
        Usual probability below which an edge is dropped.
    options
        Further numbers from 0 that it takes, each with its usual value.
    """

    cut: float
    options: Mapping[str, float] = field(default_factory=dict)


USUAL_FINDER = "walk_through"
_BUNDLED = "archioptrx.tasks.tracks.finding"

TRACK_FINDERS: DescribedRegistry[Callable[..., Any], FinderDescription] = DescribedRegistry(
    "track finder",
    {
        "components": (_BUNDLED, FinderDescription(cut=0.5)),
        "junction_removal": (_BUNDLED, FinderDescription(cut=0.5)),
        USUAL_FINDER: (_BUNDLED, FinderDescription(cut=0.1, options={"follow": 0.6})),
    },
)
"""Every track finder; see `track_finder` for how one is called."""
TRIPLET_FINDERS: Registry[Callable[..., Any]] = Registry("triplet track finder", {USUAL_FINDER: _BUNDLED})
"""Forms of track finders for scores of triplets, by the name of the finder; see `triplet_finder`."""
RESERVED = ("method", "min_hits", "complete", "chi2_max", "resolution", "edge_index", "triplet_index", "scores", "hits")
"""Names that no option of a finder has: keys of `task.tracks` for every finder, and what finders are called with."""


def track_finder(name: str, cut: float = 0.5, **options: float) -> Callable[[Decorated], Decorated]:
    """Make a decorator that registers a function from scores of edges to tracks.

    It is called as `find(edge_index, scores, hits, cut=…, min_hits=…, **options)` with `edge_index` (int64 [2, E],
    inner and outer hit), `scores` (float64 [E], probabilities) and the number of `hits` of one graph, or of a batch
    whose graphs no edge connects. It returns the track of each hit, int64 [hits], -1 for none.

    Parameters
    ----------
    name
        Name in experiment files, under `task.tracks.method`.
    cut
        Usual probability below which an edge is dropped.
    **options
        Further numbers from 0 that the function takes by name, each with its usual value: keys of `task.tracks`.

    Raises
    ------
    InputError
        An option has the name of another key or argument, a usual value is no number from 0, or the cut is above 1.
    """
    if taken := [key for key in options if key in RESERVED]:
        named = ", ".join(taken)
        raise InputError(f"track finder {name}: has an option {named}; allowed: names other than {', '.join(RESERVED)}")
    for key, value in {"cut": cut, **options}.items():
        most = 1.0 if key == "cut" else math.inf
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= most:
            allowed = "a number from 0 to 1" if key == "cut" else "a number from 0"
            raise InputError(f"track finder {name}: {key} is {value!r}; allowed: {allowed}")
    numbers = {key: float(value) for key, value in options.items()}
    return TRACK_FINDERS.describing(name, FinderDescription(float(cut), numbers))


def triplet_finder(name: str) -> Callable[[Decorated], Decorated]:
    """Make a decorator that registers the form of a track finder for scores of triplets.

    It is called as `find(triplet_index, scores, edge_index, hits, cut=…, min_hits=…, **options)` with `triplet_index`
    (int64 [2, T], inner and outer edge) and `scores` of the triplets, the rest and the result as of `track_finder`. A
    finder without this form gets the edges of the triplets, each with the largest score of its triplets.

    Parameters
    ----------
    name
        Name of the track finder.
    """
    return TRIPLET_FINDERS.registering(name)


@dataclass(frozen=True)
class TrackOptions:
    """Options for finding tracks from scores of edges.

    Attributes
    ----------
    method
        Name of the track finder.
    cut
        Probability below which an edge is dropped.
    min_hits
        Least number of hits of a track.
    further
        Further options of the track finder by name, in the order of the names; see `FinderDescription`.
    complete
        Whether hits that no edge brought to their track are added by geometry, and parts of a track joined; see
        `archioptrx.tasks.tracks.completion`.
    chi2_max
        Largest χ² per degree of freedom of a track's helix fit, see `archioptrx.tasks.tracks.helix_fit`; tracks are
        then searched in several passes, those with good scores first. 0: no limit, and one pass.
    resolution
        Expected distance of hits from a helix, as a multiple of that of TrackML's detector.
    """

    method: str = USUAL_FINDER
    cut: float = TRACK_FINDERS.description(USUAL_FINDER).cut
    min_hits: int = 3
    further: tuple[tuple[str, float], ...] = tuple(TRACK_FINDERS.description(USUAL_FINDER).options.items())
    complete: bool = True
    chi2_max: float = 0.0
    resolution: float = 1.0

    @classmethod
    def read(cls, fields: Fields) -> TrackOptions:
        """Take and check the section `tracks`: a track finder's name, or `{method: …, cut: …}`."""
        written = fields.take("tracks", (dict, str), {})
        content = {"method": written} if isinstance(written, str) else written
        return cls.inside(Fields(content, fields.at("tracks"), fields.faults))

    @classmethod
    def inside(cls, inside: Fields) -> TrackOptions:
        """Take and check all keys of such a section."""
        method = inside.take("method", str, USUAL_FINDER, choices=TRACK_FINDERS)
        finder = TRACK_FINDERS.description(method)
        cut = inside.take("cut", float, finder.cut, minimum=0, maximum=1)
        further = {name: inside.take(name, float, usual, minimum=0) for name, usual in sorted(finder.options.items())}
        min_hits = inside.take("min_hits", int, cls.min_hits, minimum=2)
        complete = inside.take("complete", bool, cls.complete)
        chi2_max = inside.take("chi2_max", float, cls.chi2_max, minimum=0)
        resolution = inside.take("resolution", float, cls.resolution, minimum=1e-3)
        inside.rest()
        return cls(method, cut, min_hits, tuple(further.items()), complete, chi2_max, resolution)

    @property
    def limits(self) -> tuple[float, ...]:
        """Numbers that a track finder may compare scores with."""
        return (self.cut, *(value for _, value in self.further))

    def content(self) -> dict[str, Any]:
        """The section that these options are read from."""
        numbers = {"cut": self.cut, "min_hits": self.min_hits, **dict(self.further)}
        geometry = {"complete": self.complete, "chi2_max": self.chi2_max, "resolution": self.resolution}
        return {"method": self.method, **numbers, **geometry}


USUAL = TrackOptions()
