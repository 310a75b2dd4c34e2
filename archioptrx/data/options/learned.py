"""Options of the source `learned`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from archioptrx.core.config import Fields
from archioptrx.data.options.base import of_option, option, take_of

if TYPE_CHECKING:
    from archioptrx.data.dataset import Metadata


@dataclass(frozen=True)
class LearnedOptions:
    """Graphs in the space of a learned embedding of another source's hits; see `archioptrx.data.sources.learned`.

    Attributes
    ----------
    of
        Description of the other source; its graphs give the hits and their particles.
    dimension
        Dimension of the space.
    hidden, layers
        Width and number of the network's hidden layers.
    epochs
        Passes over the events that the embedding is fitted on.
    learning_rate
        Learning rate of Adam.
    margin
        Distance beyond which hits of different particles cost nothing.
    radius
        Hits within it are joined. None: as large as `efficiency` of the true edges of the fitted events need.
    efficiency
        Share of the true edges that the radius is to span, before `neighbours` limits it.
    neighbours
        No hit is joined with more than so many others, the nearest; another may still be joined with it.
    truth
        Pairs of hits of one particle that are true: `consecutive` ones, or `all`.
    loss_radius
        Pairs within it are in the loss graph too, of as many neighbours at most. None: it has the predicted edges and
        the missed true ones alone.
    train_events
        Most events that the embedding is fitted on, at most half of all. They stay training events in every split.
    seed
        Seed of weights, pairs, and of the choice of these events.
    like
        Metadata of a model's training data: the embedding that it was trained with is used again. No key of experiment
        files.
    """

    source: ClassVar[str] = "learned"
    about: ClassVar[str] = "graphs of hits that lie near each other in a learned embedding, for any source"
    of: Mapping[str, Any] = of_option("the other source: a path, or a description in YAML (a file or {…})")
    dimension: int = option(8, "dimension of the embedding")
    hidden: int = option(64, "width of the hidden layers")
    layers: int = option(3, "hidden layers")
    epochs: int = option(60, "passes over the events that the embedding is fitted on")
    learning_rate: float = option(5e-3, "learning rate of the fit")
    margin: float = option(1.0, "distance beyond which hits of different particles cost nothing")
    radius: float | None = option(None, "hits within it are joined (default: as --efficiency needs)", float)
    efficiency: float = option(0.98, "share of true edges that the radius is to span")
    neighbours: int = option(50, "a hit is joined with so many others at most, the nearest")
    truth: str = option("consecutive", "true pairs of hits of one particle: consecutive, or all")
    loss_radius: float | None = option(None, "pairs within it are in the loss graph too (default: none more)", float)
    train_events: int = option(20, "fit the embedding on so many events at most, and half of all at most")
    seed: int = option(0, "seed")
    like: Metadata | None = None

    @classmethod
    def read(cls, fields: Fields) -> LearnedOptions:
        """Take and check the options; those of the other source are checked where its description is read."""
        of = take_of(fields)
        counts = {"dimension": 1, "hidden": 1, "layers": 0, "epochs": 1, "neighbours": 1, "train_events": 1, "seed": 0}
        values: dict[str, Any] = {
            name: fields.take(name, int, getattr(cls, name), minimum=low) for name, low in counts.items()
        }
        for name in ("learning_rate", "margin"):
            values[name] = fields.take(name, float, getattr(cls, name), minimum=1e-9)
        values["efficiency"] = fields.take("efficiency", float, cls.efficiency, minimum=0.01, maximum=1)
        for name in ("radius", "loss_radius"):
            values[name] = fields.take(name, (float, type(None)), None, minimum=1e-9)
        return cls(of, truth=fields.take("truth", str, cls.truth, choices=("consecutive", "all")), **values)
