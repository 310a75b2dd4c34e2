"""Cache of data sets on disk: its folder, names, locks and removal of old content.

The folder is `$ARCHIOPTRX_CACHE`, else `$XDG_CACHE_HOME/archioptrx`, else `~/.cache/archioptrx`; `ARCHIOPTRX_CACHE=off`
keeps nothing from one call to the next. Each data set is a folder there, named by its source and by a digest of all
that its content depends on. It can be deleted at any time when no search runs on it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import os
import pickle
import re
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from archioptrx.core.config import PACKAGE
from archioptrx.core.files import clean_name
from archioptrx.core.version import __version__

FOLDER = "ARCHIOPTRX_CACHE"
OFF = ("off", "none", "no", "0")
KEEP_DAYS = 30.0
"""Days after its last use that a data set stays."""
ABANDONED_DAYS = 2.0
"""Days after which a folder that was never finished is removed."""
_OURS = re.compile(r"[a-z0-9_]+-[0-9a-f]{32}")
_UNFINISHED = re.compile(r"\.[a-z0-9_]+-[0-9a-f]{32}-\w+")
_LOCK = re.compile(r"\.[a-z0-9_]+-[0-9a-f]{32}\.lock")
INDEX = "index.json"


def root() -> Path | None:
    """The folder of all cached data sets; None where nothing is to be kept, or it can't be written."""
    setting = os.environ.get(FOLDER, "")
    if setting.lower() in OFF:
        return None
    base = Path(setting).expanduser() if setting else _usual()
    try:
        base.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return base.resolve() if os.access(base, os.W_OK) else None


def _usual() -> Path:
    caches = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(caches) if caches else Path.home() / ".cache") / "archioptrx"


def key_of(*parts: object) -> str:
    """Name of a content, made of all that it depends on: 32 hexadecimal digits.

    Code and versions are among the parts: data of older code are never taken for data of this one.
    """
    content = io.BytesIO()
    pickler = pickle.Pickler(content, 4)
    pickler.fast = True  # or the bytes would tell whether two equal strings are one object
    pickler.dump(parts)
    return hashlib.sha256(code_digest().encode() + content.getvalue()).hexdigest()[:32]


def code_files() -> list[Path]:
    """Files of the package's code, sorted."""
    return sorted(PACKAGE.rglob("*.py"))


@lru_cache(maxsize=1)
def code_digest() -> str:
    """SHA-256 of the whole package's code, and of the versions of the libraries that it computes with.

    Of the whole package, since code in many places makes graphs: sources, simulation, embeddings, models.
    """
    digest = hashlib.sha256(f"{__version__} {np.__version__} {torch.__version__}".encode())
    for file in code_files():
        digest.update(str(file.relative_to(PACKAGE)).encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def draft(source: str, key: str, keep: bool) -> Path:
    """A new folder to build a data set in.

    Parameters
    ----------
    keep
        It will be put in the cache, where there is one. Else it is one of the system's temporary folders, named after
        this process.
    """
    base = root() if keep else None
    if base is None:
        return Path(tempfile.mkdtemp(prefix=f"archioptrx-{os.getpid()}-"))
    tidy(base)
    return Path(tempfile.mkdtemp(prefix=f".{clean_name(source)}-{key}-", dir=base))


def place(source: str, key: str) -> Path | None:
    """Path that a data set has in the cache, whether it exists or not; None without a cache."""
    base = root()
    return None if base is None else base / f"{clean_name(source)}-{key}"


def replace(folder: Path, target: Path) -> None:
    """Give a finished folder the name of one that is damaged."""
    old = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    with contextlib.suppress(FileNotFoundError):  # another process was faster
        target.rename(old / "old")
    folder.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def touch(folder: Path) -> None:
    """Note that a data set is in use."""
    with contextlib.suppress(OSError):  # for example of another user: it can be read all the same
        os.utime(folder / INDEX)


def tidy(base: Path) -> None:
    """Remove data sets that haven't been used for long; only paths with names that this module gives."""
    for path in base.iterdir():
        with contextlib.suppress(FileNotFoundError):  # another process tidies too
            if _OURS.fullmatch(path.name) and (path / INDEX).exists():
                if _days(path / INDEX) > KEEP_DAYS:
                    shutil.rmtree(path, ignore_errors=True)
            elif _LOCK.fullmatch(path.name) and _days(path) > ABANDONED_DAYS:
                path.unlink()
            elif any(pattern.fullmatch(path.name) for pattern in (_OURS, _UNFINISHED)) and _days(path) > ABANDONED_DAYS:
                shutil.rmtree(path, ignore_errors=True)


def _days(path: Path) -> float:
    """Days since a file or folder was touched."""
    return (time.time() - path.stat().st_mtime) / 86400


def size_of(folders: Iterable[Path]) -> int:
    """Bytes of the files of some folders."""
    total = 0
    for folder in folders:
        with contextlib.suppress(FileNotFoundError):
            total += sum(file.stat().st_size for file in folder.iterdir())
    return total


def cached_folders() -> list[Path]:
    """The folders of all data sets in the cache."""
    base = root()
    return [] if base is None else sorted(f for f in base.iterdir() if _OURS.fullmatch(f.name))


def size_text(size: float) -> str:
    """A number of bytes as text.

    >>> size_text(999), size_text(1234567), size_text(2.5e12)
    ('999 B', '1.2 MB', '2.5 TB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


@contextlib.contextmanager
def locked(source: str, key: str) -> Iterator[None]:
    """Let one process at a time make a data set; the others wait, and then find it. Without a cache: do nothing."""
    base = root()
    if base is None:
        yield
        return
    with (base / f".{clean_name(source)}-{key}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
