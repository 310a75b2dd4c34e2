"""Checks of the source that blocks give for exports: a fault of a user's block becomes one line with its place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from archioptrx.core.errors import ArchiOpTrXError, InputError, error_text
from archioptrx.graphs.source.helpers import HELPERS
from archioptrx.graphs.source.step import Expression, LayerClass, LayerSource, Source
from archioptrx.graphs.source.text import flat
from archioptrx.graphs.steps import Step
from archioptrx.models.export.program import Program


def check_source(source: object, step: Step, title: str) -> None:
    """Raise InputError where the result of a signature's `source` can't be written as Python.

    Parameters
    ----------
    title
        The step, for messages.
    """
    place = f"{title}: source of block {step.block}"
    if not isinstance(source, Expression | LayerSource):
        raise InputError(f"{place}: gives a {type(source).__name__}; allowed: an Expression or a LayerSource")
    if isinstance(source, LayerSource) and not step.weights:
        raise InputError(f"{place}: gives a LayerSource, but the step has no weights; allowed: an Expression")
    try:
        for code in _codes(source):
            compile(code, "<source>", "eval")
    except Exception as error:  # also what isn't text
        raise InputError(f"{place}: isn't Python: {error_text(error)}; allowed: one expression") from error
    for name, text in source.helpers.items():
        try:
            compile(text, "<source>", "exec")
        except Exception as error:
            raise InputError(f"{place}: helper {name} isn't Python: {error_text(error)}") from error


def _codes(source: Source) -> Iterator[str]:
    """The expressions of a step's source."""
    if isinstance(source, Expression):
        yield flat(source.code)
        return
    yield f"call({', '.join(source.arguments)})"  # an argument may have a keyword
    if isinstance(source.made, LayerClass):
        statements = [(statement.target, statement.code) for statement in source.made.body]
        yield from (flat(code) for _, code in (*source.made.members, *statements, ("", source.made.result)))
    else:
        yield flat(source.made)


def check_helpers(sources: Iterable[Source]) -> dict[str, str]:
    """Collect the functions and classes that users' blocks bring along.

    Raises
    ------
    InputError
        Two of one name differ, or one has the name of a bundled function.
    """
    helpers: dict[str, str] = {}
    for source in sources:
        for name, text in source.helpers.items():
            known = HELPERS.get(name, helpers.setdefault(name, text))
            if known != text:
                raise InputError(f"export: two different helpers are called {name}; allowed: different names")
    return {name: text for name, text in helpers.items() if name not in HELPERS}


@contextmanager
def faults_of(program: Program) -> Iterator[None]:
    """Turn errors of exported code into one line, where it holds code of a user's blocks."""
    try:
        yield
    except ArchiOpTrXError:
        raise
    except Exception as error:
        if not program.own:
            raise
        message = error_text(error)
        raise InputError(f"export: the code fails, which has {'; '.join(program.own)}: {message}") from error
