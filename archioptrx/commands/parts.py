"""`archioptrx parts [KIND …]`: all parts that experiments and commands can name. Imports neither torch nor ray."""

from __future__ import annotations

import argparse
import importlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from archioptrx.commands.cli import command, new_parser
from archioptrx.core.errors import InputError, did_you_mean
from archioptrx.core.plugins import REGISTRIES

DEFINING = (
    "archioptrx.graphs.signatures",
    "archioptrx.data.options",
    "archioptrx.sampling.samplers",
    "archioptrx.tasks.options",
    "archioptrx.runs.loggers",
    "archioptrx.models.predictions",
    "archioptrx.models.export",
    "archioptrx.report.registry",
)
"""Modules that make the registries; none of them needs torch."""


@dataclass(frozen=True)
class Listed:
    """One line of the list.

    Attributes
    ----------
    kind, name
        Kind of the part, and the name that experiments and commands give it.
    about
        First line of its docstring or description.
    module
        The module that defines it.
    own
        Whether it is a user's own, from outside of this package.
    """

    kind: str
    name: str
    about: str
    module: str
    own: bool


def parser() -> argparse.ArgumentParser:
    """The options of this command."""
    new = new_parser("parts", "List the parts that experiments and commands can name, and where each is defined.")
    new.add_argument("kinds", nargs="*", metavar="KIND", help="only these kinds, such as sampler or 'data source'")
    new.add_argument("--json", action="store_true", help="print one JSON document")
    return new


def run(args: argparse.Namespace) -> int:
    """Import what makes the registries and the user's modules, and list."""
    for module in DEFINING:
        importlib.import_module(module)
    parts = listed(args.kinds or REGISTRIES)
    print(json.dumps([asdict(part) for part in parts], indent=1, ensure_ascii=False) if args.json else as_text(parts))
    return 0


def listed(kinds: Iterable[str]) -> list[Listed]:
    """The parts of some kinds, kind by kind, by name.

    Raises
    ------
    InputError
        A kind is unknown.
    """
    chosen = list(dict.fromkeys(kinds))
    wrong = [kind for kind in chosen if kind not in REGISTRIES]
    if wrong:
        raise InputError(*(f"KIND: is {kind!r}; {did_you_mean(kind, REGISTRIES)}" for kind in wrong))
    return [
        Listed(kind, name, registry.about(name), registry.origin(name), name in registry.own())
        for kind, registry in ((kind, REGISTRIES[kind]) for kind in chosen)
        for name in registry
    ]


def as_text(parts: list[Listed]) -> str:
    """One line for each part, under a line with its kind."""
    width = max((len(part.name) for part in parts), default=0)
    lines: list[str] = []
    kind = None
    for part in parts:
        if part.kind != kind:
            lines += [""] * bool(lines) + [part.kind]
            kind = part.kind
        lines.append(f"  {part.name:{width}}  {part.about}  [{part.module}]".rstrip())
    return "\n".join(lines)


main = command(parser, run)
