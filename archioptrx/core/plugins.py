"""Parts that the engine is made of, by kind and name: bundled ones and a user's own are registered in the same way.

A kind of part (blocks, data sources, tasks, metrics, samplers, track finders, exporters) has one `Registry`. A
decorator of that kind puts a class or function into it, while the module that defines it is imported. Bundled parts
name their modules beforehand, so that a part which needs torch is imported only when it is asked for. A user's parts
stand in modules that the experiment names under `imports`; `import_modules` imports them before anything else of it is
read.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from archioptrx.core.config import Fields, finish
from archioptrx.core.docstrings import first_line, summary
from archioptrx.core.errors import ArchiOpTrXError, InputError, did_you_mean

Part = TypeVar("Part")
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
        By name of a bundled part the module that registers it while it is imported.

    Raises
    ------
    InputError
        From `get`: there is no part of that name. From `register`: another module has registered that name.
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
        if owner not in (None, module, *SCRIPTS):
            raise InputError(f"{self.kind} {name}: is registered by {owner} already; allowed in {module}: another name")
        self._modules[name], self._parts[name] = module, part

    def registering(self, name: str) -> Callable[[Part], Part]:
        """Make a decorator that registers a class or a function, under the module that defines it."""

        def decorate(part: Part) -> Part:
            self.register(name, part, str(getattr(part, "__module__", "")))
            return part

        return decorate

    def get(self, name: str, place: str = "") -> Part:
        """Look a part up; a bundled one's module is imported for it.

        Parameters
        ----------
        place
            Where the name stands, the start of the message.
        """
        if name not in self._modules:
            raise InputError(f"{place or self.kind}: is {name!r}; {did_you_mean(name, self)}")
        if name not in self._parts:
            importlib.import_module(self._modules[name])
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
        """Run code of a part; what a user's own part raises becomes one line. Our own faults keep their traceback.

        Raises
        ------
        InputError
            The part isn't bundled, and raised something else than our errors.
        """
        try:
            yield
        except ArchiOpTrXError:
            raise
        except Exception as error:  # a user's part may raise anything
            if self._is_bundled(name):
                raise
            reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}".removesuffix(": ")
            raise InputError(f"{self.kind} {name}: raised {reason}; --debug prints the traceback") from error

    def __contains__(self, name: object) -> bool:
        return name in self._modules

    def __iter__(self) -> Iterator[str]:
        """Names, sorted."""
        return iter(sorted(self._modules))

    def __len__(self) -> int:
        return len(self._modules)


class DescribedRegistry(Registry[Part], Generic[Part, Description]):
    """Parts of a kind of which something has to be known before they are imported, for an experiment file is checked
    without torch.

    Parameters
    ----------
    bundled
        By name of a bundled part the module that registers it, by `registering`, and its description.

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

    def describing(self, name: str, description: Description) -> Callable[[Part], Part]:
        """Make a decorator as `registering` does, of a part with a description."""
        register = self.registering(name)

        def decorate(part: Part) -> Part:
            register(part)
            self.descriptions[name] = description
            return part

        return decorate

    def description(self, name: str, place: str = "") -> Description:
        """Look up what is known of a part without importing it; `place` as in `get`."""
        if name not in self:
            self.get(name, place)
        return self.descriptions[name]

    def about(self, name: str) -> str:
        """A few words from its description (`about`), else the first line of its docstring."""
        about = getattr(self.descriptions[name], "about", "")
        return str(about) if about else super().about(name)


def read_imports(document: Fields) -> tuple[str, ...]:
    """Take the key `imports` and import its modules, before any other key of the document is read.

    Every command comes here with each experiment, run folder and model folder, so that all other keys may name parts
    of the user's own.

    Raises
    ------
    InputError
        A name is no text, or its module can't be imported. What else is wrong may come of that, and isn't looked for.
    """
    faults: list[str] = []
    names = Fields(document.content, document.place, faults).take("imports", list, [])
    document.taken.append("imports")
    for index, name in enumerate(names):
        if not isinstance(name, str):
            faults.append(f"{document.at('imports')}[{index}]: is {name!r}; allowed: a text")
    finish(faults)
    import_modules(names)
    return tuple(names)


def import_modules(names: Sequence[str]) -> None:
    """Import the modules with the user's own parts; the current folder is searched too.

    Raises
    ------
    InputError
        One can't be imported, for whatever reason.
    """
    if names and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    faults = []
    for name in names:
        try:
            importlib.import_module(name)
        except InputError as error:  # a part of it can't be registered
            faults += [f"imports: {name}: {fault}" for fault in error.faults]
        except Exception as error:  # a module may do anything while it is imported
            where = ""
            if isinstance(error, ModuleNotFoundError) and error.name == name.partition(".")[0]:
                where = f"; allowed: an installed module, or one in the current folder, {os.getcwd()}"
            text = " ".join(str(error).split())
            faults.append(f"imports: {name}: can't be imported: {type(error).__name__}: {text}{where}")
    finish(faults)
