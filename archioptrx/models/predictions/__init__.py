"""Prediction writers: scores and tracks of a network in the form of a source's files.

A writer is one decorated function. A user's own stands in a module that the experiment names under `imports`::

    @prediction_writer("straws")
    def write_predictions(predictions, options, output):
        for one in predictions:                            # archioptrx.models.predictions.prediction.Prediction
            ...                                            # write files of this graph's event to the folder `output`

`predictions` come graph by graph in the order of the data set, an event's graphs one after the other, and are made
while they are asked for: a writer that forgets them needs memory for one event alone. `options` are those that the
source read the events with; `output` is an empty folder, which becomes the user's when all is written.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from archioptrx.core.plugins import DescribedRegistry

Write = Callable[..., Any]
"""Function that writes predictions to files; it gets the predictions, the source's options and an output folder."""


@dataclass(frozen=True)
class WriterDescription:
    """Description of a prediction writer, known without importing it.

    Attributes
    ----------
    other_edges
        True: it also writes for graphs that another source made of these events, such as a line graph: the hits are
        those of the files, the edges aren't.
    """

    other_edges: bool = False


_HERE = "archioptrx.models.predictions"

PREDICTION_WRITERS: DescribedRegistry[Write, WriterDescription] = DescribedRegistry(
    "prediction writer",
    {
        "acorn": (f"{_HERE}.acorn_predictions", WriterDescription()),
        "acts": (f"{_HERE}.submission", WriterDescription(other_edges=True)),
        "colliderml": (f"{_HERE}.colliderml_submission", WriterDescription(other_edges=True)),
        "hitgraphs": (f"{_HERE}.hitgraph_predictions", WriterDescription()),
        "pickle": (f"{_HERE}.pickle_predictions", WriterDescription()),
        "trackml": (f"{_HERE}.submission", WriterDescription(other_edges=True)),
    },
)
"""Every prediction writer, by the name of its source."""


def prediction_writer(source: str, other_edges: bool = False) -> Callable[[Write], Write]:
    """Make a decorator that registers the prediction writer of a data source.

    Parameters
    ----------
    source
        Name of the data source.
    other_edges
        See `WriterDescription`.
    """
    return PREDICTION_WRITERS.describing(source, WriterDescription(other_edges))
