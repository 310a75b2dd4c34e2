"""Parts that the engine is made of, by kind and name: bundled ones and a user's own are registered in the same way.

A kind of part (blocks, data sources, tasks, metrics, samplers, track finders, exporters) has one `Registry`. A
decorator of that kind puts a class or function into it, while the module that defines it is imported. Bundled parts
name their modules beforehand, so that a part which needs torch is imported only when it is asked for. A user's parts
stand in modules that the experiment names under `imports`; `read_imports` imports them before anything else of it is
read, if the person has said yes to them.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from archioptrx.core.config import Fields, finish
from archioptrx.core.docstrings import first_line, summary
from archioptrx.core.errors import (
    RAISED,
    RAISED_BY_CALL,
    ArchiOpTrXError,
    InputError,
    did_you_mean,
    error_text,
    faults_at,
)
from archioptrx.core.own_modules import FINDER, KEPT, ModuleSource, find
from archioptrx.core.trust import is_trusted, remember

Part = TypeVar("Part")
Decorated = TypeVar("Decorated", bound=Callable[..., Any])
Description = TypeVar("Description")
PACKAGE = __name__.partition(".")[0]
SCRIPTS = ("__main__", "__mp_main__")
"""Names of the module that Python was started with; it may be imported a second time, under its own name."""

REGISTRIES: dict[str, Registry[Any]] = {}
"""Every registry by its kind, in the order in which they were made."""


class Registry(Generic[Part]):
    """The parts of one kind.

    Parameters
    ----------
    kind
        Name of one in messages: `block`, `data source` …
    bundled
        Module of each bundled part, by the part's name; it registers the part while it is imported.

    Raises
    ------
    InputError
        From `get`: there is no part of that name. From `register`: another module has registered that name, or a
        bundled part isn't in the table.
    """

    def __init__(self, kind: str, bundled: Mapping[str, str] | None = None) -> None:
        self.kind = kind
        self._modules = dict(bundled or {})
        self._parts: dict[str, Part] = {}
        REGISTRIES[kind] = self

    def register(self, name: str, part: Part, module: str) -> None:
        """Add a part under a name.

        Parameters
        ----------
        module
            Name of the module that defines it. The same module may register a name again, as a reload does.
        """
        owner = self._modules.get(name)
        if owner is None and module.startswith(f"{PACKAGE}."):
            # Without a line there it is known only once something else has imported its module.
            raise InputError(
                f"{self.kind} {name}: is in no line of the table of bundled parts; allowed: {module} there"
            )
        if owner not in (None, module, *SCRIPTS):
            raise InputError(f"{self.kind} {name}: is registered by {owner} already; allowed in {module}: another name")
        self._modules[name], self._parts[name] = module, part

    def registering(self, name: str) -> Callable[[Decorated], Decorated]:
        """Make a decorator that registers a class or a function, under the module that defines it."""

        def decorate(part: Decorated) -> Decorated:
            self.register(name, cast(Part, part), str(getattr(part, "__module__", "")))
            return part

        return decorate

    def get(self, name: str, place: str = "") -> Part:
        """Look a part up; a bundled one's module is imported for it.

        Parameters
        ----------
        place
            Place of the name, the start of the message.
        """
        if name not in self._modules:
            raise InputError(f"{place or self.kind}: is {name!r}; {did_you_mean(name, self)}")
        if name not in self._parts:
            importlib.import_module(self._modules[name])
        if name not in self._parts:
            raise InputError(
                f"{self.kind} {name}: {self._modules[name]} doesn't register it; allowed: a decorator there"
            )
        return self._parts[name]

    def in_order(self) -> list[str]:
        """Names in the order in which they were registered, bundled ones first."""
        return list(self._modules)

    def origin(self, name: str) -> str:
        """Name of the module that defines a part."""
        return self._modules[name]

    def own(self) -> list[str]:
        """Names of the parts that don't come with the package, sorted."""
        return [name for name in self if not self._is_bundled(name)]

    def _is_bundled(self, name: str) -> bool:
        return self.origin(name).partition(".")[0] == PACKAGE

    def about(self, name: str) -> str:
        """First line of a part's attribute `about`, else of its docstring.

        The module of a bundled part is read for it, not imported.
        """
        if name in self._parts:
            part = self._parts[name]
            return first_line(getattr(part, "about", None) or part.__doc__)
        return summary(self.origin(name), name)

    @contextmanager
    def guarded(self, name: str) -> Iterator[None]:
        """Run code of a part; an error of a user's own part becomes one line. Our own faults keep their traceback.

        Notes of the error say where it was raised, such as the event.

        Raises
        ------
        InputError
            The part isn't bundled, and raised something else than our errors.
        """
        try:
            yield
        except ArchiOpTrXError:
            raise
        except RAISED as error:  # a user's part may raise anything
            if self._is_bundled(name):
                raise
            place = "".join(f"{note}: " for note in getattr(error, "__notes__", ()))
            reason = error_text(error)[:220]
            raise InputError(f"{self.kind} {name}: {place}raised {reason}; --debug prints the traceback") from error

    def __contains__(self, name: object) -> bool:
        return name in self._modules

    def __iter__(self) -> Iterator[str]:
        """Names, sorted."""
        return iter(sorted(self._modules))

    def __len__(self) -> int:
        return len(self._modules)


class DescribedRegistry(Registry[Part], Generic[Part, Description]):
    """Parts of a kind with descriptions that are known before they are imported: an experiment file is checked without
    torch.

    Parameters
    ----------
    bundled
        Module of each bundled part, which registers it by `registering`, and its description, by the part's name.

    Attributes
    ----------
    descriptions
        All of them by name.
    """

    def __init__(self, kind: str, bundled: Mapping[str, tuple[str, Description]] | None = None) -> None:
        table = bundled or {}
        super().__init__(kind, {name: module for name, (module, _) in table.items()})
        self.descriptions = {name: description for name, (_, description) in table.items()}

    def describe(self, name: str, module: str, description: Description) -> None:
        """Make a part known before the module that registers it is imported."""
        self._modules[name], self.descriptions[name] = module, description

    def describing(self, name: str, description: Description) -> Callable[[Decorated], Decorated]:
        """Make a decorator as `registering` does, of a part with a description."""
        register = self.registering(name)

        def decorate(part: Decorated) -> Decorated:
            register(part)
            self.descriptions[name] = description
            return part

        return decorate

    def description(self, name: str, place: str = "") -> Description:
        """Look up the description of a part without importing it; `place` as in `get`."""
        if name not in self:
            self.get(name, place)
        return self.descriptions[name]

    def about(self, name: str) -> str:
        """A few words from its description (`about`), else the first line of its docstring."""
        description = getattr(self.descriptions[name], "about", "")
        return str(description) if description else super().about(name)


@dataclass
class _Consent:
    """Consent of the user of this process: modules by name, or the modules of all files."""

    names: tuple[str, ...] = ()
    everything: bool = False


_CONSENT = _Consent()


@contextmanager
def user_modules(imports: Sequence[str] = (), trust: bool = False, beside: Sequence[Path] = ()) -> Iterator[None]:
    """Context for a command: the modules that the person names (`--imports`) are imported at its start.

    Parameters
    ----------
    imports
        Names of modules. An experiment that is read in the context has them too.
    trust
        True: modules that files name are imported, though the person hasn't named or allowed them (`--trust`).
    beside
        Folders, besides the current one, where the named modules may lie.

    Raises
    ------
    InputError
        A module can't be imported.
    """
    before = replace(_CONSENT)
    _CONSENT.names, _CONSENT.everything = (*before.names, *imports), before.everything or trust
    try:
        import_modules(imports, beside)
        yield
    finally:
        _CONSENT.names, _CONSENT.everything = before.names, before.everything


def named_modules() -> tuple[str, ...]:
    """Modules that the person names in the current context."""
    return _CONSENT.names


def read_imports(document: Fields, typed: bool = False) -> tuple[str, ...]:
    """Take the key `imports` and import its modules, before any other key of the document is read.

    Every command comes here with each experiment, run folder and model folder, so that all other keys may name parts
    of the user's own. A document is data, perhaps a stranger's: a module is imported only if the person names it, said
    yes to its source before, or does so now (`user_modules`). See docs/guides/parts.md. Where the document comes from
    a file, its modules may lie in the folder of that file, or in `modules/` of it.

    Parameters
    ----------
    typed
        True: the person typed the key (`--set imports=[...]`), and so names the modules.

    Raises
    ------
    InputError
        A name is no name of a module, its module can't be imported, or needs a yes. The first fault ends the reading:
        further faults may follow from it.
    """
    faults: list[str] = []
    names = Fields(document.content, document.place, faults).take("imports", list, [])
    document.taken.append("imports")
    finish(faults)
    for index, name in enumerate(names):
        check_module_name(name, f"{document.at('imports')}[{index}]")
    file = Path(document.place)
    beside = (file.parent,) if file.is_file() else ()
    if typed:
        import_modules(names, beside)
    for name in names:
        if not _is_imported(name, beside):
            _run(_allowed(name, document.at("imports"), beside), name)
    return tuple(names)


def check_module_name(name: object, place: str) -> None:
    """Raise InputError unless a value is the name of a module."""
    if not isinstance(name, str):
        raise InputError(f"{place}: is {name!r}; allowed: a text")
    if not all(part.isidentifier() for part in name.split(".")):
        raise InputError(f"{place}: is {name!r}; allowed: name of a module, such as my_parts")


def import_modules(names: Sequence[str], beside: Sequence[Path] = ()) -> None:
    """Import modules that the person names: installed ones, or ones in a folder of `beside` or the current folder.

    Their source is remembered, so that files may ask for it later.

    Raises
    ------
    InputError
        A module can't be imported, for any reason; those after it aren't tried.
    """
    for name in names:
        check_module_name(name, "imports")
        if name in sys.modules and name.partition(".")[0] not in FINDER.sources:
            continue
        source = FINDER.sources.get(name.partition(".")[0]) if name in sys.modules else find(name, (), beside)
        if source is None:
            raise _missing(name)
        remember(source.digest, name)
        _run(source, name)


def import_shipped(sources: Sequence[ModuleSource], names: Sequence[str]) -> None:
    """Import modules in a worker process; `sources`: of the own ones, from `own_sources` of the other process."""
    for source in sources:
        FINDER.add(source)
    for name in names:
        _import(name)


def _is_imported(name: str, beside: Sequence[Path]) -> bool:
    """Whether a module that a file asks for is imported already, so that nothing new would run.

    Raises
    ------
    InputError
        The file has another version of it.
    """
    top = name.partition(".")[0]
    if name not in sys.modules:
        return False
    if top in FINDER.sources and top not in {named.partition(".")[0] for named in _CONSENT.names}:
        for folder in beside:
            if (folder / KEPT).is_dir() and (source := find(name, (folder / KEPT,), ())) and source.folder is not None:
                FINDER.add(source)
    return True


def _allowed(name: str, place: str, beside: Sequence[Path]) -> ModuleSource:
    """Source of a module that a file asks for. Raises InputError if there is none, or the person hasn't said yes."""
    source = find(name, [folder / KEPT for folder in beside], beside)
    if source is None:
        raise _missing(name)
    if _CONSENT.everything:
        remember(source.digest, name)
    elif not is_trusted(source.digest):
        raise InputError(
            f"{place}: {name} is code ({source.place}) that runs only with your consent; allowed: --trust, which "
            f"remembers this source, or --imports {name}, your own module of that name"
        )
    return source


def _missing(name: str) -> InputError:
    reason = f"can't be imported: ModuleNotFoundError: No module named {name!r}"
    return InputError(
        f"imports: {name}: {reason}; allowed: an installed module, or one in the current folder, {os.getcwd()}"
    )


def _run(source: ModuleSource, name: str) -> None:
    if source.folder is not None:
        FINDER.add(source)
    _import(name)


def _import(name: str) -> None:
    with faults_at(f"imports: {name}"):
        try:
            importlib.import_module(name)
        except InputError:  # a part of it can't be registered
            raise
        except RAISED_BY_CALL as error:  # a module may do anything while it is imported
            raise InputError(f"can't be imported: {error_text(error)}") from error
