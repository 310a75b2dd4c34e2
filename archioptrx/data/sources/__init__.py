"""Data sources. `load_dataset` reads or makes any data set from a plain description.

A source is one decorated function. A user's own stands in a module that the experiment names under `imports`, which is
installed or lies in the folder where the command is run::

    @dataclass(frozen=True)
    class StrawOptions(PlainOptions):
        source = "straws"                                  # data: {source: straws, path: …}
        about = "hits of the straw tube tracker, one .csv an event"
        path: Path = option(HERE, "a folder of .csv files")

    @source(StrawOptions, files=("*.csv",))
    def load(options):
        ...
        return stream(jobs, make, metadata)

`examples/custom_data.py` is a whole one. `load` returns a `Dataset`; `dataset.make_graph` completes arrays to a graph,
and `stream` builds events one by one, in worker processes where that takes long. So that `predict` writes files of its
form too, see `archioptrx.models.predictions`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archioptrx.core.config import Fields, finish
from archioptrx.core.errors import InputError
from archioptrx.data.built_set import as_built, placed
from archioptrx.data.options import (
    OF,
    SOURCES,
    HitgraphsOptions,
    LearnedOptions,
    Options,
    TripletsOptions,
    description,
    options_of,
    source,
    source_at,
)
from archioptrx.data.options.building import Cuts

if TYPE_CHECKING:
    from archioptrx.data.dataset import Dataset, Metadata

FILES = ("path", "model", "acorn_config")
"""Keys of a description whose values are paths."""
CHOICE = ("events", "from_event", "below_event", "dataset")
"""Keys of a description that choose some of the events at its path."""

__all__ = ["SOURCES", "check_spec", "load_dataset", "resolved", "source", "with_path"]


def check_spec(content: Mapping[str, Any], place: str, faults: list[str]) -> Options | None:
    """Read a data description without loading anything (and without torch).

    Parameters
    ----------
    content
        `{source: NAME, path: …, **options}`; without `source` the files at the path decide, and no path means `toy`.
    place
        Place where it stands, the start of each message.
    faults
        The list that faults are added to.

    Returns
    -------
    The options of the source, or None where anything was wrong.
    """
    before = len(faults)
    described = _described(content, faults)
    if isinstance(described, Mapping) and len(faults) == before:
        described, _ = as_built(described)
    fields = Fields(described, place, faults)
    name = fields.take("source", str, usual_source(fields.content), choices=SOURCES)
    if len(faults) > before:
        return None
    with SOURCES.guarded(name):
        options = options_of(name).read(fields)
    if not isinstance(options, options_of(name)):
        allowed = options_of(name).__name__
        raise InputError(f"data source {name}: its options are read as {type(options).__name__}; allowed: {allowed}")
    if OF in fields.taken and isinstance(inner := fields.content.get(OF, {}), Mapping):
        check_spec(inner, fields.at(OF), faults)
    fields.rest()
    return options if len(faults) == before else None


def _described(content: Mapping[str, Any], faults: list[str]) -> Mapping[str, Any]:
    """Description with a mapping for the other source, which may be given by a path or in YAML."""
    if not isinstance(content, Mapping) or OF not in content:
        return content
    try:
        return {**content, OF: description(content[OF])}
    except InputError as error:
        faults += error.faults
        return content


def usual_source(content: Mapping[str, Any]) -> str:
    """The source of a description that doesn't name it."""
    return source_at(Path(str(content["path"]))) if "path" in content else "toy"


def resolved(content: Mapping[str, Any]) -> dict[str, Any]:
    """A description that means the same in any folder: with its source, and absolute paths; those inside it too.

    A folder of built graphs is read by its own reader: see `as_built`.
    """
    content, _ = as_built(content)
    absolute = dict(content)
    if OF in absolute:
        inner = description(absolute[OF])
        absolute[OF] = resolved(inner) if isinstance(inner, Mapping) else inner
    absolute.setdefault("source", usual_source(content))
    for key in FILES:
        if isinstance(absolute.get(key), str):
            absolute[key] = str(Path(absolute[key]).expanduser().resolve())
    return absolute


def with_path(content: Mapping[str, Any], path: str) -> dict[str, Any]:
    """The same description of other files, as a model that was trained on the one reads the other.

    The path goes to the source that reads files: to the innermost one, where a source is made of another. Where the
    files are of another kind, their own source reads them; where both build graphs of events, with the same cuts.
    Graphs that were built as those of the description, or as those under its `of`, are read as they are: see `placed`.

    >>> with_path({"source": "hitgraphs", "path": "a", "sectors": 4, "events": 9}, "b")
    {'source': 'hitgraphs', 'path': 'b', 'sectors': 4}
    >>> with_path({"source": "toy", "num_samples": 3}, "b")
    {'source': 'hitgraphs', 'path': 'b'}
    >>> with_path({"source": "helix", "events": 9, "z0_max": 100}, "event000001000-hits.csv")
    {'source': 'trackml', 'path': 'event000001000-hits.csv', 'z0_max': 100}
    >>> with_path({"source": "learned", "of": "a"}, "b")
    {'source': 'learned', 'of': {'source': 'hitgraphs', 'path': 'b'}}
    """
    if (built := placed(content, path)) is not None:
        return built
    if OF in content:
        return {**content, OF: with_path(description(content[OF]), path)}
    source = source_at(Path(path))
    if content.get("source") == source:
        return {**{key: value for key, value in content.items() if key not in CHOICE}, "path": path}
    both = [name for name in (content.get("source", ""), source) if name in SOURCES]
    builders = [issubclass(options_of(name), Cuts) for name in both]
    cuts = {field.name for field in fields(Cuts)} if builders == [True, True] else set()
    return {"source": source, "path": path, **{key: value for key, value in content.items() if key in cuts}}


def load_dataset(spec: Mapping[str, Any], place: str = "data", like: Metadata | None = None) -> Dataset:
    """Read or make a data set.

    Parameters
    ----------
    spec
        See `check_spec`.
    place
        Place where the description stands, the start of messages about it.
    like
        Metadata of a model's training data: the data come in its scales and in its learned embedding, and with its
        number of φ sectors where neither the description nor `metadata.json` nor edges that wrap around say it.

    Raises
    ------
    InputError
        The description or the data are wrong; one line per fault.
    """
    faults: list[str] = []
    options = check_spec(spec, place, faults)
    finish(faults)
    assert options is not None
    return load_from(options, like)


def load_from(options: Options, like: Metadata | None = None) -> Dataset:
    """Read or make a data set from options that have been checked; `like` as in `load_dataset`."""
    if like is not None and isinstance(options, HitgraphsOptions):
        options = replace(options, usual_sectors=like.sectors)
    if like is not None and isinstance(options, LearnedOptions | TripletsOptions):
        options = replace(options, like=like)
    dataset = _loaded(options)
    return dataset if like is None else dataset.scaled_like(like)


def _loaded(options: Options) -> Dataset:
    """Call the source's own function."""
    from archioptrx.data.dataset import Dataset
    from archioptrx.data.own_graphs import checked

    load = SOURCES.get(options.source)
    with SOURCES.guarded(options.source):
        dataset = load(options)
    if not isinstance(dataset, Dataset):
        raise InputError(f"data source {options.source}: gave {type(dataset).__name__}; allowed: a Dataset")
    return checked(options.source, dataset) if options.source in SOURCES.own() else dataset
