"""Where data come from. `load_dataset` reads or makes any data set from a plain description."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from archioptrx.config import Fields, finish
from archioptrx.sources.options import SOURCES, HitgraphsOptions, Options

if TYPE_CHECKING:
    from archioptrx.dataset import Dataset, Metadata

__all__ = ["SOURCES", "check_spec", "load_dataset"]


def check_spec(content: Mapping[str, Any], place: str, faults: list[str]) -> Options | None:
    """Read a data description without loading anything (and without torch).

    Parameters
    ----------
    content
        `{source: toy | hitgraphs, path: …, **options}`; without `source`, a path means `hitgraphs`, else `toy`.
    place
        Where it stands, the start of each message.
    faults
        The list that faults are added to.

    Returns
    -------
    The options of the source, or None where anything was wrong.
    """
    before = len(faults)
    fields = Fields(content, place, faults)
    usual = "hitgraphs" if "path" in fields.content else "toy"
    source = fields.take("source", str, usual, choices=SOURCES)
    if len(faults) > before:
        return None
    options = SOURCES[source].read(fields)
    fields.rest()
    return options if len(faults) == before else None


def load_dataset(spec: Mapping[str, Any], place: str = "data", like: Metadata | None = None) -> Dataset:
    """Read or make a data set.

    Parameters
    ----------
    spec
        See `check_spec`.
    place
        Where the description stands, the start of messages about it.
    like
        Metadata of a model's training data: the data come in its scales, and with its number of φ sectors where neither
        the description nor `metadata.json` nor edges that wrap around tell it.

    Raises
    ------
    InputError
        The description or the data are wrong; one line per fault.
    """
    faults: list[str] = []
    options = check_spec(spec, place, faults)
    finish(faults)
    assert options is not None
    if like is not None and isinstance(options, HitgraphsOptions):
        options = replace(options, usual_sectors=like.sectors)
    dataset: Dataset = importlib.import_module(f"archioptrx.sources.{options.source}").load(options)
    return dataset if like is None else dataset.scaled_like(like)
