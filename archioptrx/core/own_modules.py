"""Source of the user's own modules: found, read once, named by a digest, kept in run folders, and run from there.

An *own* module lies in a folder of the user's: the folder where the command runs, the folder of an experiment file, or
`modules/` of a run folder or a model folder. Every other module is *installed*: it lies elsewhere on Python's path, and
comes first where a name is both.

What an own module imports from its folder belongs to it, so that one digest says what will run. It runs from the bytes
of which the digest was taken, never from `__pycache__`, and the folder doesn't come on Python's path: a file there
can't take the place of a library, and a file that the digest doesn't cover can't run.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from archioptrx.core.errors import InputError
from archioptrx.core.files import write_atomically, writing

KEPT = "modules"
"""Folder in a run folder and in a model folder with the source of own modules."""
LARGEST = 2**24
"""Bytes of source of an own module and what it imports, at most."""
PACKAGE = __name__.partition(".")[0]


@dataclass(frozen=True)
class ModuleSource:
    """Source of a module.

    Attributes
    ----------
    name
        Name of the module, dotted for one inside a package.
    folder
        Folder that it lies in; None: it is installed.
    files
        Content by path inside the folder: the module and all that it imports from there. Of an installed module its own
        file, under its path; none where it has no file.
    """

    name: str
    folder: Path | None
    files: Mapping[str, bytes]

    @property
    def digest(self) -> str:
        """SHA-256 of names and contents."""
        total = hashlib.sha256(self.name.encode() if self.folder is None else b"")
        for name, content in sorted(self.files.items()):
            total.update(f"\0{name}\0{len(content)}\0".encode() + content)
        return total.hexdigest()

    @property
    def place(self) -> str:
        """File of the module, for messages."""
        top = self.name.partition(".")[0]
        inside = [name for name in (f"{top}.py", f"{top}/__init__.py") if name in self.files]
        if self.folder is None or not inside:
            return str(self.folder / top) if self.folder else next(iter(self.files), "built into Python")
        return str(self.folder / inside[0])


def find(name: str, kept_folders: Sequence[Path], beside: Sequence[Path]) -> ModuleSource | None:
    """Find a module and read its source; nothing is imported for it.

    Parameters
    ----------
    kept_folders
        Folders of source that a run or a model keeps; these come first.
    beside
        Folders that come after the installed modules, in this order.

    Raises
    ------
    InputError
        Its source is larger than `LARGEST`, or can't be read.
    """
    top = name.partition(".")[0]
    for folder in kept_folders:
        if files := _with_imports(top, folder):
            return ModuleSource(name, folder, files)
    folders = [*beside, *_working()]
    if (installed := _installed(name, folders)) is not None:
        return installed
    for folder in folders:
        if files := _with_imports(top, folder):
            return ModuleSource(name, folder, files)
    return None


def _working() -> list[Path]:
    """The folder where the command runs; none where it has been removed."""
    try:
        return [Path.cwd()]
    except OSError:
        return []


def _spec(top: str) -> importlib.machinery.ModuleSpec | None:
    """Python's specification of a module in no package, found without `FINDER`; None: not found. Imports nothing."""
    for finder in sys.meta_path:
        if finder is not FINDER and (spec := finder.find_spec(top, None)) is not None:
            return spec
    return None


def _is_installed(top: str, folders: Sequence[Path]) -> bool:
    """Whether Python finds a module elsewhere than in these folders, one of which may stand on its path."""
    if top == PACKAGE or top in sys.stdlib_module_names:
        return True
    spec = _spec(top)
    if spec is None:
        return False
    locations = list(spec.submodule_search_locations or ()) or [spec.origin or ""]
    own = {folder.resolve() for folder in (*folders, *_working())}
    return not all(Path(location).resolve().parent in own for location in locations)


def _installed(name: str, folders: Sequence[Path]) -> ModuleSource | None:
    """Source of an installed module: its own file alone."""
    top, *rest = name.split(".")
    if not _is_installed(top, folders):
        return None
    spec, path = _spec(top), top
    for part in rest:
        inside = None if spec is None else spec.submodule_search_locations
        path = f"{path}.{part}"
        spec = None if inside is None else importlib.machinery.PathFinder.find_spec(path, list(inside))
    if spec is None:
        return None
    file = Path(spec.origin or "")
    return ModuleSource(name, None, {str(file): file.read_bytes()} if spec.has_location and file.is_file() else {})


def _with_imports(top: str, folder: Path) -> dict[str, bytes]:
    """Files of a module and of all modules in the folder that it imports, directly or not; none: it isn't there."""
    files: dict[str, bytes] = {}
    known, waiting = {top}, [top]
    while waiting:
        sources = _files(waiting.pop(), folder)
        files |= sources
        if sum(map(len, files.values())) > LARGEST:
            raise InputError(f"imports: {top}: has over {LARGEST >> 20} MiB of source in {folder}; allowed: install it")
        names = {name for content in sources.values() for name in _imported(content)} - known
        known |= names
        waiting += sorted(name for name in names if not _is_installed(name, [folder]))
    return files


def _files(top: str, folder: Path) -> dict[str, bytes]:
    """Files of one module, or of one package with all inside it, by path in the folder."""
    package, file = folder / top, folder / f"{top}.py"
    try:
        if (package / "__init__.py").is_file() or (not file.is_file() and any(package.glob("*.py"))):
            paths = [path for path in sorted(package.rglob("*.py")) if path.is_file()]
        else:
            paths = [file] if file.is_file() else []
        if sum(path.stat().st_size for path in paths) > LARGEST:
            raise InputError(f"imports: {top}: has over {LARGEST >> 20} MiB of source in {folder}; allowed: install it")
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
    except OSError as error:
        raise InputError(
            f"imports: {top}: {folder}: can't be read: {(error.strerror or str(error)).lower()}"
        ) from error


def _imported(content: bytes) -> Iterator[str]:
    """First parts of the names that a source imports, wherever in it; of one that can't be parsed none."""
    try:
        nodes = list(ast.walk(ast.parse(content)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return  # the import says it
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.partition(".")[0]


class _SourceLoader(importlib.abc.SourceLoader):
    """Loader of a module from source in memory. It gives no file dates, so Python neither reads nor writes bytecode."""

    def __init__(self, path: str, content: bytes) -> None:
        self.path, self.content = path, content

    def get_filename(self, fullname: str) -> str:
        """Path for tracebacks and `__file__`."""
        return self.path

    def get_data(self, path: str | bytes | os.PathLike[str]) -> bytes:
        """Source of the module; there is nothing else."""
        if path != self.path:
            raise OSError(f"{path!r} is not the source of this module")
        return self.content


class _Finder(importlib.abc.MetaPathFinder):
    """Finder of own modules that may run, the first that Python asks.

    Attributes
    ----------
    sources : dict of ModuleSource
        Sources by the first part of the module's name.
    """

    def __init__(self) -> None:
        self.sources: dict[str, ModuleSource] = {}
        self._files: dict[str, tuple[Path, str, bytes]] = {}

    def add(self, source: ModuleSource) -> None:
        """Make an own module, with all that belongs to it, ready to be imported.

        Raises
        ------
        InputError
            Another version of a file is imported already.
        """
        assert source.folder is not None
        files = {_module_name(path): (source.folder, path, content) for path, content in source.files.items()}
        for name in [*files]:
            while (name := name.rpartition(".")[0]) and name not in files:
                files[name] = (source.folder, f"{name.replace('.', '/')}/__init__.py", b"")  # a namespace package
        for name, (folder, path, content) in files.items():
            known = self._files.get(name)
            if known is not None and name in sys.modules and known[2] != content:
                raise InputError(
                    f"imports: {source.name}: {folder / path} differs from {known[0] / known[1]}, which is imported "
                    f"already; allowed: --imports {source.name} takes your own one for all"
                )
        self._files |= files
        self.sources[source.name.partition(".")[0]] = source

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Spec of an own module; None for all others."""
        if fullname not in self._files:
            return None
        folder, file, content = self._files[fullname]
        place = str(folder / file)
        package: list[str] | None = [] if file.endswith("__init__.py") else None
        return importlib.util.spec_from_file_location(
            fullname, place, loader=_SourceLoader(place, content), submodule_search_locations=package
        )


def _module_name(path: str) -> str:
    """Dotted name of the module in a file.

    >>> _module_name("lab/blocks.py"), _module_name("lab/__init__.py")
    ('lab.blocks', 'lab')
    """
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


FINDER = _Finder()
sys.meta_path.insert(0, FINDER)


def own_sources(names: Sequence[str]) -> tuple[ModuleSource, ...]:
    """Sources of the own modules among names, as they were imported; the installed ones are left out."""
    sources: dict[str, ModuleSource] = {}
    for name in names:
        top = name.partition(".")[0]
        source = FINDER.sources.get(top) or find(name, (), ())
        if source is not None and source.folder is not None:
            sources[top] = source
    return tuple(sources.values())


def keep_modules(folder: Path, names: Sequence[str]) -> None:
    """Write the source of own modules to `modules/` of a new run folder or model folder."""
    with writing(folder / KEPT):
        for source in own_sources(names):
            for name, content in source.files.items():
                path = folder / KEPT / name
                for parent in reversed(path.relative_to(folder).parents[:-1]):
                    if (folder / parent).is_symlink():
                        raise InputError(f"{folder / parent}: is a link; allowed: a folder of the run itself")
                path.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(path, content)  # a link of this name is replaced
