"""Options of the sources `line_graph` and `triplets`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from archioptrx.core.config import Fields
from archioptrx.data.options.base import of_option, option, take_of

if TYPE_CHECKING:
    from archioptrx.data.dataset import Metadata

CUT = 0.1
MOST = 5_000_000


@dataclass(frozen=True)
class TripletsOptions:
    """Triplets beside the hits and doublets of another source; see `archioptrx.models.triplet_sources`.

    Attributes
    ----------
    of
        Description of that source.
    model
        Folder of a trained classifier of doublets. None: the probabilities that the data bring along (`baseline`), or
        else all doublets take part.
    cut
        Least probability of doublets that take part. Keep it low: no triplet classifier finds a lost doublet again.
    most
        Largest number of triplets of one graph.
    cut_logit
        Logit from which doublets take part, in place of `cut`, as `evaluate --efficiency` gives it. A probability near
        1 can't hold it. None: `cut` counts.
    like
        Metadata of the data that a model was trained on, whose learned embedding is taken. None: one is fitted.
    """

    source: ClassVar[str] = "triplets"
    about: ClassVar[str] = "hits and doublets of another source with the triplets among them"
    of: Mapping[str, Any] = of_option("the other source: a path, or a description in YAML (a file or {…})")
    model: str | None = option(None, "folder of a trained classifier of doublets (default: all take part)", str)
    cut: float = option(CUT, "doublets of this probability or more take part")
    most: int = option(MOST, "triplets of one graph that are allowed")
    cut_logit: float | None = option(None, "in the place of --cut: a logit, as evaluate --efficiency gives it", float)
    like: Metadata | None = None

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take and check the options; those of the other source are checked where its description is read."""
        of = take_of(fields)
        model = fields.take("model", (str, type(None)), None)
        cut = fields.take("cut", float, CUT, minimum=0, maximum=1)
        if model is not None and not Path(model).expanduser().is_dir():
            fields.fault("model", f"{model}: no such folder; allowed: one that `archioptrx train` or `search` wrote")
        logit = fields.take("cut_logit", (float, type(None)), None)
        return cls(of, model, cut, fields.take("most", int, MOST, minimum=1), logit)


@dataclass(frozen=True)
class LineGraphOptions(TripletsOptions):
    """The graph whose nodes are the doublets of another source; the same options as `TripletsOptions`."""

    source: ClassVar[str] = "line_graph"
    about: ClassVar[str] = "the doublets of another source as nodes, its triplets as edges"
