"""Extension of mkdocstrings' reader of docstrings, because our examples are in no section `Examples`."""

from __future__ import annotations

import re
from typing import Any

import griffe

EXAMPLE = re.compile(r"^>>> .*\n(?:.+\n?)*", re.MULTILINE)


class Docstrings(griffe.Extension):
    """Shows doctests as code, and code after `::` too."""

    def on_object(self, *, obj: griffe.Object, **keywords: Any) -> None:
        """Rewrite one docstring; `value` has no indentation."""
        if obj.docstring is not None:
            text = re.sub(r"::$", ":", obj.docstring.value, flags=re.MULTILINE)
            text = re.sub(r" *# doctest: \+SKIP", "", text)
            obj.docstring.value = EXAMPLE.sub(lambda match: f"```pycon\n{match[0].rstrip()}\n```\n", text)
