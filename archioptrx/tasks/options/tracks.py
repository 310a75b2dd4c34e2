"""Options of finding tracks from scores. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass

from archioptrx.core.config import Fields

METHODS = {"walk_through": 0.1, "components": 0.5}
"""How edges become tracks, and the usual cut of each; see `archioptrx.tasks.tracks.finding`."""


@dataclass(frozen=True)
class TrackOptions:
    """How tracks are found from scores of edges.

    Attributes
    ----------
    method
        `walk_through` or `components`.
    cut
        Probability below which an edge is dropped.
    follow
        For the walk: at a branch every edge from here on is tried, below it only the best one.
    min_hits
        Hits of a track at least.
    """

    method: str = "walk_through"
    cut: float = METHODS["walk_through"]
    follow: float = 0.6
    min_hits: int = 3

    @classmethod
    def read(cls, fields: Fields) -> TrackOptions:
        """Take and check the section `tracks`: a method's name, or `{method: …, cut: …}`."""
        written = fields.take("tracks", (dict, str), {})
        content = {"method": written} if isinstance(written, str) else written
        inside = Fields(content, fields.at("tracks"), fields.faults)
        method = inside.take("method", str, "walk_through", choices=METHODS)
        cut = inside.take("cut", float, METHODS[method], minimum=0, maximum=1)
        follow = cls.follow
        if method == "walk_through":
            follow = inside.take("follow", float, follow, minimum=0, maximum=1)
        min_hits = inside.take("min_hits", int, cls.min_hits, minimum=2)
        inside.rest()
        return cls(method, cut, follow, min_hits)


USUAL = TrackOptions()
