"""The description of a data set, read and checked once. No torch here.

An experiment and a model folder hold one. Readers of data get their options from it, so that nothing is checked twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from archioptrx.core.config import finish
from archioptrx.core.errors import InputError
from archioptrx.data.built_set import READER, as_built
from archioptrx.data.options import OF, SOURCES, Options, options_of
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
        """The description by which a folder of built graphs was made: other events are built in the same way."""
        made = options_of(metadata.source) if metadata.source in SOURCES else None
        if self.source != READER or made is None or not issubclass(made, Cuts):
            return self
        names = {item.name for item in fields(Cuts)}
        options = {name: value for name, value in metadata.options.items() if name in names}
        return DataDescription({"source": metadata.source, **options}, self.place)

    def load(self, like: Metadata | None = None) -> Dataset:
        """Read or make the data set; see `archioptrx.data.sources.load_dataset`."""
        return load_from(self.options, like)
