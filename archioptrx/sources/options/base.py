"""What the options of all sources share."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

from archioptrx.config import Fields

HERE = Path()


class Options(Protocol):
    """What a source is told: a frozen dataclass whose fields are made with `option`.

    Attributes
    ----------
    source
        Its name in experiment files and on the command line; also that of its module.
    about
        A few words for `--help`.
    """

    source: ClassVar[str]
    about: ClassVar[str]

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take and check the options; faults are added to those of `fields`."""


def option(default: Any, text: str, kind: type | None = None) -> Any:
    """A field of an options class that the command `data` offers as `--name`.

    Parameters
    ----------
    default
        Its value where it isn't told.
    text
        What `--help` says.
    kind
        Type on the command line, where the default doesn't tell it; a list takes several words.
    """
    return field(default=default, metadata={"help": text, "kind": kind or type(default)})
