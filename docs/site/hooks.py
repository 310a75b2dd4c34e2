"""Hooks of mkdocs: they insert the README as the first page, and the help of all commands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
README = "<!-- README -->"
HELP = "<!-- help of all commands -->"


def on_page_markdown(markdown: str, **keywords: Any) -> str:
    """Replace comments by texts."""
    if README in markdown:
        markdown = markdown.replace(README, readme())
    return markdown.replace(HELP, commands()) if HELP in markdown else markdown


def readme() -> str:
    """Text of the README, with links that are relative to the folder `docs`."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.sub(r"\]\(docs/", "](", text)


def commands() -> str:
    """Help of each command, under a heading."""
    from archioptrx.commands.cli import COMMANDS
    from archioptrx.data.sources import SOURCES

    parts = []
    for name, description in COMMANDS.items():
        parts.append(f"## {name}\n\n{description[:1].upper()}{description[1:]}.\n\n{shown(name)}")
        if name == "data":
            parts += [f"### data {source}\n\n{shown(name, source)}" for source in sorted(SOURCES)]
    return "\n\n".join(parts)


def shown(*words: str) -> str:
    """The help of a command, in a block."""
    result = subprocess.run(
        [sys.executable, "-m", "archioptrx", *words, "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "82", "NO_COLOR": "1", "PYTHONPATH": str(ROOT)},
    )
    return f"```text\n{result.stdout.rstrip()}\n```"
