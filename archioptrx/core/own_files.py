"""Pages and pictures: a file of our own is replaced by a newer one, any other file of that name is refused.

They can be made again at any time. What can't be (models, data, exports) is written to new files and folders only.
"""

from __future__ import annotations

import re
from pathlib import Path

from archioptrx.core.config import finish

DRAWING, PAGE = "archioptrx-drawing", "archioptrx-page"
"""Marks by which pictures (also SVG, by its class) and pages of our own are known."""
_MARK = re.compile(f"{DRAWING}|{PAGE}".encode())
_BEGIN, _END = 2000, 100_000
"""Bytes at the beginning of a file, or of a PDF at its end before the table of its objects, where the mark stands."""


def check_replaceable(*paths: Path) -> None:
    """Raise InputError where a file exists that isn't a page or a picture of our own. An empty file may be replaced."""
    finish(
        [
            f"{path}: exists already, and archioptrx didn't write it; allowed: another name"
            for path in paths
            if path.is_file() and not _is_own(path)
        ]
    )


def check_page(path: Path) -> None:
    """Raise InputError where a page can't be written to a path, before any work is done."""
    finish([f"{path}: is a folder; allowed: a file, such as {path / 'report.html'}"] if path.is_dir() else [])
    check_replaceable(path)


def picture_metadata(path: Path) -> dict[str, str | None]:
    """Metadata for matplotlib's `savefig`, with our mark; without the time, so that equal pictures are equal files."""
    if path.suffix.lower() == ".svg":
        return {"Creator": DRAWING, "Date": None}
    return {"Creator" if path.suffix.lower() == ".pdf" else "Software": DRAWING}


def _is_own(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            begin = file.read(_BEGIN)
            if begin.startswith(b"%PDF"):
                file.seek(max(0, path.stat().st_size - _END))
                begin = file.read()
            return not begin or bool(_MARK.search(begin))
    except OSError:
        return False
