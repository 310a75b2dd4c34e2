"""Files that a source reads: search in a folder, and refusal of links out of it and of zip bombs."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

from archioptrx.core.errors import InputError
from archioptrx.data.options.registry import SOURCES, USUAL, source_at


def stamp(file: Path) -> str:
    """Text that changes when a file does: its place, size and time."""
    if not file.exists():
        return f"{file} is no file"
    status = file.stat()
    return f"{file.resolve()} {status.st_size} {status.st_mtime_ns}"


def files_in(path: Path, patterns: Sequence[str], allowed: str, deep: bool = True) -> list[Path]:
    """Name the files of a folder, sorted, or the one file.

    Parameters
    ----------
    patterns
        Patterns of file names, such as `*.pyg`.
    allowed
        Text in messages of what is allowed there.
    deep
        Whether the folders inside it count too.

    Raises
    ------
    InputError
        There is no such file.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise InputError(f"{path}: no such file or folder; allowed: {allowed}")
    files = sorted({file for pattern in patterns for file in (path.rglob if deep else path.glob)(pattern)})
    if not files:
        own = [name for name in SOURCES if set(patterns) & set(SOURCES.description(name).files)]
        hint = other_source(path, *own)
        raise InputError(f"{path}: holds no {' or '.join(patterns)}; allowed: {allowed}{hint}")
    return files


def other_source(path: Path, *own: str) -> str:
    """End of a message about a path whose files are known by their names to be of another source; "": they aren't."""
    name = source_at(path)
    return "" if name in (*own, USUAL) else source_hint(name, path)


def source_hint(name: str, path: Path) -> str:
    """End of a message that names the source of files."""
    return f", or for these files the source {name} (archioptrx data {name} {path})"


def file_fault(file: Path, folder: Path, largest: int) -> str | None:
    """Find a reason not to open a file that was found in a folder; None: there is none.

    Parameters
    ----------
    folder
        Folder in which it was found: a link that leads out of it isn't followed. The file itself where the user named
        it.
    largest
        Bytes that it may have.
    """
    if file != folder and not file.resolve().is_relative_to(folder.resolve()):
        return "is a link out of the folder; allowed: files inside it"
    if not file.is_file():
        return "is no file"
    size = file.stat().st_size
    if not size:
        return "is empty"
    if size > largest:
        return f"has {size:,} bytes; allowed: {largest:,} or less"
    return None


def unpacked_fault(file: Path, ratio: float, usual: int = 0) -> str | None:
    """Refuse a zip archive that holds more than `ratio` times its own size (a zip bomb); None: nothing to say.

    So many bytes are `usual` that they are allowed in any case.
    """
    with zipfile.ZipFile(file) as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > max(usual, ratio * file.stat().st_size):
        return (
            f"would unpack to {size:,} bytes, {size / file.stat().st_size:.0f} times its size; allowed: {ratio:g} times"
        )
    return None
