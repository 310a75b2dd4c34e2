"""Memory of the source that the user has allowed to run: one line with a digest for each, in the user's own file.

The file is `$ARCHIOPTRX_TRUST`, else `$XDG_CONFIG_HOME/archioptrx/trusted`, else `~/.config/archioptrx/trusted`. A line
that is removed is forgotten.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

FILE = "ARCHIOPTRX_TRUST"


def trust_file() -> Path:
    """Path of the file, which need not exist."""
    if setting := os.environ.get(FILE, ""):
        return Path(setting).expanduser()
    settings = os.environ.get("XDG_CONFIG_HOME", "")
    return (Path(settings) if settings else Path.home() / ".config") / "archioptrx" / "trusted"


def is_trusted(digest: str) -> bool:
    """Whether a source was allowed before; False where the file can't be read."""
    try:
        return any(line.split()[:1] == [digest] for line in trust_file().read_text(encoding="utf-8").splitlines())
    except (OSError, RuntimeError, UnicodeDecodeError):
        return False


def remember(digest: str, name: str) -> None:
    """Allow a source from now on. Where the file can't be written, one line on stderr says so."""
    if is_trusted(digest):
        return
    try:
        file = trust_file()
        file.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "a", encoding="utf-8") as stream:
            stream.write(f"{digest} {name}\n")
    except (OSError, RuntimeError) as error:
        reason = str(getattr(error, "strerror", None) or error).lower()
        print(f"imports: {name}: isn't remembered: {reason}; allowed: {FILE}=FILE that can be written", file=sys.stderr)
