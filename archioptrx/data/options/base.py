"""Base of the options of all sources."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import Field, field
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

from archioptrx.core.config import Fields, parse_yaml, read_yaml
from archioptrx.core.errors import did_you_mean
from archioptrx.data.doublets import SCALES

HERE = Path()
OF = "of"
"""The key under which a source that is made of another one describes that."""


class Options(Protocol):
    """Options of a source: a frozen dataclass whose fields are made with `option`.

    Attributes
    ----------
    source
        Name of the source in experiment files and on the command line; also that of its module.
    about
        A few words for `--help`.
    """

    source: ClassVar[str]
    about: ClassVar[str]

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take and check the options; faults are added to those of `fields`."""


class PlainOptions:
    """Options that need no rule but their types: a source of your own declares its fields and no more.

    A path whose default is `HERE` has to be given. For a rule of your own, extend `read` and call `fields.fault`.
    """

    source: ClassVar[str]
    about: ClassVar[str]

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take and check the options."""
        return cls(**{field.name: _plain(fields, field) for field in dataclasses.fields(cls)})  # type: ignore[arg-type]


def _plain(fields: Fields, field: Field[Any]) -> Any:
    """Take one option by the type that it has on the command line; a path is a text there."""
    kind: type = field.metadata["kind"]
    default: Any = field.default
    if isinstance(default, Path):
        path = fields.take(field.name, str, str(default))
        if default == HERE and field.name not in fields.content:
            fields.fault(field.name, "is missing; allowed: a path, also as --data PATH")
        return Path(path)
    if issubclass(kind, tuple):
        return tuple(fields.take(field.name, list, list(default)))
    return fields.take(field.name, (kind, type(None)) if default is None else kind, default)


def option(default: Any, text: str, kind: type | None = None) -> Any:
    """A field of an options class that the command `data` offers as `--name`.

    Parameters
    ----------
    default
        Value where none is given.
    text
        Text of `--help`.
    kind
        Type on the command line, where it isn't that of the default; a list takes several words.
    """
    usual = str if isinstance(default, Path) else type(default)
    return field(default=default, metadata={"help": text, "kind": kind or usual})


def description(written: Any) -> Any:
    """Description of another source: a mapping as it is, YAML text or a YAML file for one, any other text as a path.

    Raises
    ------
    InputError
        The YAML can't be read.

    >>> description("{source: toy, num_samples: 3}")
    {'source': 'toy', 'num_samples': 3}
    >>> description("events")
    {'path': 'events'}
    """
    if not isinstance(written, str):
        return written
    if written.lstrip().startswith("{"):
        return parse_yaml(written, OF)
    return read_yaml(written) if written.endswith((".yaml", ".yml")) else {"path": written}


def read_files(fields: Fields, what: str) -> dict[str, Any]:
    """Take the options of a source that reads files, `path`, `skip_bad` and `events`; `what` has to lie at the path."""
    path = fields.take("path", str, "")
    if not path:
        fields.fault("path", f"is missing; allowed: {what}, also as --data PATH")
    skip_bad = fields.take("skip_bad", bool, False)
    return {
        "path": Path(path),
        "skip_bad": skip_bad,
        "events": fields.take("events", (int, type(None)), None, minimum=1),
    }


def edge_features_option() -> Any:
    """A field for the names of edge features; empty: those of the source, usually `doublets.EDGE_FEATURES`."""
    return option((), f"edge features instead of the usual ones: {', '.join(SCALES)}", list)


def take_edge_features(fields: Fields) -> tuple[str, ...]:
    """Take and check the names of edge features."""
    return take_names(fields, "edge_features", SCALES)


def take_names(fields: Fields, key: str, allowed: Iterable[str]) -> tuple[str, ...]:
    """Take and check a list of names, each of them once."""
    names, known = fields.take(key, (list, tuple), ()), list(allowed)
    for name in names:
        if name not in known:
            fields.fault(key, f"has {name!r}; {did_you_mean(name, known)}")
        elif list(names).count(name) > 1:
            fields.fault(key, f"has {name!r} twice; allowed: each once")
    return tuple(map(str, names))


def of_option(text: str) -> Any:
    """A field for the description of the other source, `--of` of the command `data`; `text` is that of `--help`."""
    return field(default_factory=dict, metadata={"help": text, "kind": str})


def take_of(fields: Fields) -> Mapping[str, Any]:
    """Take the description of the other source, in which paths and YAML have become mappings before."""
    other: Mapping[str, Any] = fields.take(OF, dict, {})
    if not other:
        fields.fault(OF, "describes no data; allowed: {source: NAME, …}, a YAML file of that, or a path")
    return other
