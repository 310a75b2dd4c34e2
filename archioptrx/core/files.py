"""Files that stay valid after a crash: atomic writes, journals of lines, locks, new folders."""

from __future__ import annotations

import errno
import fcntl
import json
import math
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from types import UnionType
from typing import Any, get_args

from archioptrx.core.errors import InputError, WriteError
from archioptrx.core.reading import parse_json, reading, shown

ALLOWED = {errno.ENOSPC: "a disk with room", errno.EDQUOT: "a disk with room"}
"""Advice in the message of an error of the system, by its number."""
Types = type | UnionType
"""A type, or several, as `isinstance` takes them."""


def plain(value: Any) -> Any:
    """Nested data for JSON: numpy numbers become Python numbers, numbers that are not finite become None."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if not isinstance(value, str) and hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Context in which a file or a folder is written.

    Raises
    ------
    WriteError
        The system can't write it: the disk is full, the place isn't to be written to, or a file stands in the way.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        allowed = ALLOWED.get(error.errno or 0, "a path that can be written")
        reason = (error.strerror or str(error)).lower()
        raise WriteError(f"{path}: can't be written: {reason}; allowed: {allowed}") from error


def check_writable(folder: Path) -> None:
    """Raise InputError if a new folder can't be made, before hours of work are to go there."""
    _refuse_dangling(folder)
    with writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        for parent in (folder.parent, folder) if folder.is_dir() else (folder.parent,):
            Path(tempfile.mkdtemp(prefix=f".{folder.name}.new.", dir=parent)).rmdir()


def clean_name(text: str) -> str:
    """Name for a file, made of a text that may come from a file: letters, digits and `_ . + -`, at most 100.

    >>> clean_name("../../x"), clean_name("deep sets (2)"), clean_name("")
    ('x', 'deep_sets_2', 'unnamed')
    """
    return re.sub(r"[^\w.+-]+", "_", text.replace("..", "/")).strip("._")[:100] or "unnamed"


def refuse_links(folder: Path) -> None:
    """Raise InputError if an entry of a folder is a symbolic link: writing there would change files elsewhere.

    A missing folder has none.
    """
    try:
        with os.scandir(folder) as entries:
            links = sorted(entry.name for entry in entries if entry.is_symlink())
    except (FileNotFoundError, NotADirectoryError):
        return
    if links:
        raise InputError(f"{folder / links[0]}: is a link; allowed: a file or folder of the run itself")


def remove_files(folder: Path, names: str) -> None:
    """Remove the files of a folder whose whole name fits a pattern, and the folder when it is empty then.

    All others stay, and so does everything behind a link.
    """
    if folder.is_symlink() or not folder.is_dir():
        return
    for path in folder.iterdir():
        if re.fullmatch(names, path.name) and (path.is_file() or path.is_symlink()):
            path.unlink()
    if not any(folder.iterdir()):
        folder.rmdir()


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file so that readers see the old content or the new one, also after a crash."""
    data = content.encode() if isinstance(content, str) else content
    with writing(path):
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, 0o644)
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


@contextmanager
def new_folder(target: Path, replace: bool = False) -> Iterator[Path]:
    """Context with an empty folder, which becomes `target` when the block ends without an error.

    Parameters
    ----------
    target
        Path of the new folder; its parents are made.
    replace
        True: a folder with this path is replaced. False: it must be empty or missing.

    Raises
    ------
    InputError
        The folder can't be written, is a link, or another one has got its path in the meantime.
    """
    if replace and target.is_symlink():
        raise InputError(f"{target}: is a link; allowed: a folder, which is replaced")
    _refuse_dangling(target)
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=f".{target.name}.new.", dir=target.parent))
        os.chmod(fresh, 0o755)
    old = target.parent / f".{target.name}.old"
    try:
        with writing(target):
            yield fresh
        if replace and target.exists():
            shutil.rmtree(old, ignore_errors=True)
            with writing(target):
                os.rename(target, old)
        _put_in_place(fresh, target)
        shutil.rmtree(old, ignore_errors=True)
    except UnfinishedMove:
        raise
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    shutil.rmtree(fresh, ignore_errors=True)


class UnfinishedMove(WriteError):
    """Finished content could not be moved to its place: it is kept where it was made."""


def _refuse_dangling(path: Path) -> None:
    """Raise InputError if a path is a link to nothing: no folder can be made there."""
    if path.is_symlink() and not path.exists():
        raise InputError(
            f"{path}: is a link to {os.readlink(path)}, which is missing; allowed: a folder, or a new path"
        )


def _put_in_place(fresh: Path, target: Path) -> None:
    """Rename a folder to its path; where that is an empty folder that must stay, its content is moved there.

    A link to a folder, a mount point and the working folder can't be replaced by another folder.
    """
    try:
        if target.is_dir() and target.resolve() == Path.cwd():
            raise IsADirectoryError
        os.rename(fresh, target)
    except OSError as error:
        if not target.is_dir() or any(entry != fresh for entry in target.iterdir()):
            raise InputError(f"{target}: is in use; allowed: a new or empty folder") from error
        try:
            for entry in sorted(fresh.iterdir()):
                shutil.move(entry, target / entry.name)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            allowed = f"move the rest from {fresh}, where it is kept, by hand"
            raise UnfinishedMove(f"{target}: can't be written: {reason}; allowed: {allowed}") from error


class Journal:
    """A file with a JSON object on each line; a line is on disk before `append` returns.

    Parameters
    ----------
    path
        The file; a missing one is an empty journal. A last line without a newline was cut off by a crash: readers skip
        it, and `repair`, with which every writer begins, removes it.
    keys
        Types of the keys that every line has, but for the lines with a key `refused`, which have `proposal` alone.
    further
        Types of keys that a line may have, and of items: `metrics.*` stands for all that a mapping or list `metrics`
        holds, `curves.*.*` for the items of lists in a list.
    """

    def __init__(
        self, path: Path, keys: Mapping[str, Types] | None = None, further: Mapping[str, Types] | None = None
    ) -> None:
        self.path, self.keys, self.further = path, keys or {}, further or {}
        # JSON has few types, and type() in a set is much faster than isinstance of a union.
        self._exact = {key: {*(get_args(types) or (types,))} for key, types in self.further.items()}
        self._optional = [key for key in self.further if "." not in key]
        self._holding = {key.removesuffix(".*") for key in self.further if key.endswith(".*")}
        self._file: FileIO | None = None

    def read(self) -> list[dict[str, Any]]:
        """Objects of all complete lines.

        Raises
        ------
        InputError
            A complete line is not JSON, or lacks a key, as after a change by another program.
        """
        if not self.path.exists():
            return []
        with reading(str(self.path)):
            *lines, _ = self.path.read_bytes().split(b"\n")
            return [self._row(line, f"{self.path}: line {number}") for number, line in enumerate(lines, 1)]

    def _row(self, line: bytes, place: str) -> dict[str, Any]:
        row: dict[str, Any] = parse_json(line, place)
        if not isinstance(row, dict):
            raise InputError(f"{place}: is {shown(row)}; the file has been changed")
        keys = {key: self.keys[key] for key in self.keys if key == "proposal"} if "refused" in row else self.keys
        for key, types in keys.items():
            value = row.get(key)
            wrong = key not in row or not isinstance(value, types) or (isinstance(value, bool) and types is not bool)
            least = -1 if key == "repeat" else 0  # of a trial that is repeated with its own seed
            if wrong or (types is int and not least <= int(row[key]) < 2**63):
                fault = f"is {shown(value)}" if key in row else "is missing"
                raise InputError(f"{place}: {key} {fault}; the file has been changed")
        for key in self._optional:
            if key in row and type(row[key]) not in self._exact[key]:
                raise InputError(f"{place}: {key} is {shown(row[key])}; the file has been changed")
        for key in self._holding & row.keys():
            self._check_items(row[key], place, key, key)
        return row

    def _check_items(self, holder: object, place: str, name: str, key: str) -> None:
        """Check all that a mapping or list holds; `name` is that of its key in messages, `key` that in `further`."""
        if not isinstance(holder, dict | list):
            return
        item_key = f"{key}.*"
        allowed = self._exact[item_key]
        items = holder.items() if isinstance(holder, dict) else enumerate(holder)
        for inner, value in items:
            if type(value) not in allowed or item_key in self._holding:
                inner_name = f"{name}.{inner}" if isinstance(holder, dict) else f"{name}[{inner}]"
                if type(value) not in allowed:
                    raise InputError(f"{place}: {inner_name} is {shown(value)}; the file has been changed")
                self._check_items(value, place, inner_name, item_key)

    def append(self, row: Mapping[str, Any], sync: bool = True) -> None:
        """Add one line and wait until it is on disk.

        Without `sync` it waits only until the system has it: the line then survives the end of this process.
        """
        self.repair()
        assert self._file is not None
        line = json.dumps(plain(row), ensure_ascii=False, allow_nan=False).encode() + b"\n"
        with writing(self.path):
            # Not buffered: what a full disk didn't take isn't tried again when the file is closed.
            if self._file.write(line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if sync:
                os.fsync(self._file.fileno())

    def repair(self) -> None:
        """Open the file for writing and remove a last line that is not complete."""
        if self._file is None:
            with writing(self.path):
                self._file = open(self.path, "ab", buffering=0)  # noqa: SIM115 - closed by close()
                self._file.truncate(self.path.read_bytes().rfind(b"\n") + 1)

    def close(self) -> None:
        """Close the file; a later `append` opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Context in which only this process writes to a folder. The lock ends with the process, also after a crash.

    Raises
    ------
    InputError
        Another process is writing to the folder, or a link in it leads elsewhere.
    """
    refuse_links(folder)
    with writing(folder / "lock"):
        opened = open(folder / "lock", "a+")  # noqa: SIM115 - closed below
    with opened as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            owner = file.read().strip() or "unknown"
            raise InputError(f"{folder}: process {owner} is writing to it; allowed: wait, or stop it") from error
        with writing(folder / "lock"):
            file.truncate(0)
            file.write(f"{os.getpid()}\n")
            file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def refuse_used(path: Path) -> None:
    """Raise InputError unless a path is free for the folder of a new run or model: missing or empty."""
    _refuse_dangling(path)
    if not path.exists():
        return
    if not path.is_dir():
        raise InputError(f"{path}: is a file; allowed: a new or empty folder")
    if (path / "experiment.yaml").exists():
        raise InputError(f"{path}: holds another search; allowed: --resume {path}, or another --output")
    if any(path.iterdir()):
        raise InputError(f"{path}: holds other files; allowed: a new or empty folder")


def next_folder(name: str, parent: Path = Path("runs")) -> Path:
    """Path of a new folder: `runs/<name>-<n>` with the number after the largest that exists, from 1 on."""
    numbers = [0]
    for path in parent.glob(f"{name}-*"):
        tail = path.name.removeprefix(f"{name}-")
        if tail.isdecimal():
            numbers.append(int(tail))
    return parent / f"{name}-{max(numbers) + 1}"
