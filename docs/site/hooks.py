"""Hooks of mkdocs: they insert the README as the first page, and the help of all commands."""

from __future__ import annotations

import os
import re
from contextlib import redirect_stdout
from io import StringIO
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
    from archioptrx.commands.cli import main

    os.environ.update({"COLUMNS": "82", "NO_COLOR": "1"})
    printed = StringIO()
    with redirect_stdout(printed):
        try:
            code = main([*words, "--help"])
        except SystemExit as end:  # argparse ends the program
            code = end.code
    if code:
        raise RuntimeError(f"archioptrx {' '.join(words)} --help: ended with {code}")
    return f"```text\n{printed.getvalue().rstrip()}\n```"
