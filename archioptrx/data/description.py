"""The description of a data set, read and checked once. No torch here.

An experiment and a model folder hold one. Readers of data get their options from it, so that nothing is checked twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archioptrx.core.config import finish
from archioptrx.core.errors import InputError
from archioptrx.data.built_set import READER, BuiltSet, as_built
from archioptrx.data.options import OF, SOURCES, Options, options_of, source_at
from archioptrx.data.options.building import Cuts
from archioptrx.data.sources import check_spec, load_from, resolved, with_path

if TYPE_CHECKING:
    from archioptrx.data.dataset import Dataset, Metadata


@dataclass(frozen=True)
class DataDescription:
    """A data set as an experiment describes it.

    Attributes
    ----------
    content
        The description as plain data, which means the same in any folder: the source, absolute paths, and the options
        that are given.
    place
        Place where it stands, the start of messages about it.
    notes
        Options that have no effect, as the data were built with others.
    """

    content: Mapping[str, Any]
    place: str = field(default="data", compare=False)
    notes: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def read(cls, content: Mapping[str, Any], place: str, faults: list[str]) -> DataDescription:
        """Check a description; faults are added to the list. See `check_spec`."""
        try:
            description = cls(resolved(content), place, as_built(content)[1])
        except InputError as error:
            faults += error.faults
            return cls(content, place)
        options = check_spec(description.content, place, faults)
        if options is not None:
            description.__dict__["options"] = options  # where the property keeps it
        return description

    @cached_property
    def options(self) -> Options:
        """All options of the source, checked when they are first asked for.

        A model folder of another machine may describe data that can't be checked here, and isn't checked where other
        data are given.

        Raises
        ------
        InputError
            The description is wrong; one line per fault.
        """
        faults: list[str] = []
        options = check_spec(self.content, self.place, faults)
        finish(faults)
        assert options is not None
        return options

    @property
    def source(self) -> str:
        """Name of the source."""
        return str(self.content["source"])

    def to_dict(self) -> dict[str, Any]:
        """Plain data for YAML and JSON."""
        return dict(self.content)

    @property
    def inner(self) -> DataDescription | None:
        """The other source that this one is made of; None: it isn't made of another."""
        content = self.content.get(OF)
        return DataDescription(content, f"{self.place}.{OF}") if isinstance(content, Mapping) else None

    def but(self, **changes: Any) -> DataDescription:
        """Copy with other values of some options; options that have been checked aren't checked again."""
        other = DataDescription({**self.content, **changes}, self.place)
        if "options" in self.__dict__:
            other.__dict__["options"] = replace(self.options, **changes)  # type: ignore[type-var]
        return other

    def at(self, path: str, place: str = "data") -> DataDescription:
        """The same description of other files; see `with_path`."""
        return DataDescription(with_path(self.content, path), place)

    def made_by(self, metadata: Metadata) -> DataDescription:
        """The description by which a folder of built graphs was made: other events are built in the same way.

        That of its own files where the folder doesn't say it.
        """
        content = _building(metadata.source, metadata.options) if self.source == READER else None
        return self if content is None else DataDescription(content, self.place)

    def other(self, path: str, metadata: Metadata, place: str = "data") -> DataDescription:
        """Other events for a model that was trained on these data.

        Parameters
        ----------
        path
            Files of the events, or graphs that were built of them.
        metadata
            Metadata of the training data.
        place
            Place where the path stands, the start of messages about it.

        Raises
        ------
        InputError
            The training data don't say how such graphs are made of other events.
        """
        made, graphs = self.made_by(metadata), source_at(Path(path)) == READER
        if graphs and self.source == READER and made.inner is not None and made.source == _source_of_graphs(path):
            return self.at(path, place)  # the same kind of graphs, built already
        if not graphs and made.source == self.source == READER and _chosen_by_model(metadata.options):
            raise InputError(
                f"{place}: {path}: the training graphs hold doublets that a model chose, which their folder doesn't "
                f"name; allowed: graphs that `data {metadata.source} --of {path} --model MODEL --output` writes"
            )
        return made.at(path, place)

    def load(self, like: Metadata | None = None) -> Dataset:
        """Read or make the data set; see `archioptrx.data.sources.load_dataset`."""
        return load_from(self.options, like)


def _source_of_graphs(path: str) -> str | None:
    """Source that built a folder of graphs, or the folder of a file; None: there is no record."""
    built = BuiltSet.at(path if Path(path).is_dir() else str(Path(path).parent))
    return None if built is None else built.source


def _building(source: str, options: Mapping[str, Any]) -> dict[str, Any] | None:
    """Description by which graphs were built, without the files; None: it isn't known.

    Parameters
    ----------
    source, options
        Record of the graphs, in `Metadata`: its options have that of another source in the place of its description.
    """
    made = options_of(source) if source in SOURCES else None
    if made is None or not is_dataclass(made) or _chosen_by_model(options):
        return None
    names = {item.name for item in fields(Cuts if issubclass(made, Cuts) else made)}
    content = {name: value for name, value in options.items() if name in names and value is not None}
    if not isinstance(inner := options.get(OF), Mapping):
        return {"source": source, **content} if issubclass(made, Cuts) else None
    # Files of an inner source that builds no graphs are read by their own source.
    of = _building(str(inner.get("source")), inner.get("options", {})) or {"source": READER}
    return {"source": source, **content, OF: of}


def _chosen_by_model(options: Mapping[str, Any]) -> bool:
    """Whether a model, or a learned embedding, chose the doublets of line graphs or triplets.

    The model's folder isn't in their record, and the embedding that a model keeps is that of its own graphs.
    """
    inner = options.get(OF)
    if not isinstance(inner, Mapping):
        return False
    return "model" in options or inner.get("source") == "learned" or _chosen_by_model(inner.get("options", {}))
