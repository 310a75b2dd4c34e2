"""First lines of docstrings, also of modules that aren't imported: a list of all parts needs no torch."""

from __future__ import annotations

import ast
import inspect
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""Folder of the package."""
Definition = ast.ClassDef | ast.FunctionDef


def first_line(text: str | None) -> str:
    """First line of a docstring, without its full stop; empty where there is none.

    >>> first_line(" Walk along the edges.\\n\\n    Best path first.")
    'Walk along the edges'
    """
    lines = inspect.cleandoc(text or "").splitlines()
    return lines[0].rstrip(".") if lines else ""


def summary(module: str, name: str) -> str:
    """First line of the docstring of a part of this package, found by its registered name, else of its module.

    Parameters
    ----------
    module
        Full name of the module. It is parsed, not imported.
    name
        A text among the arguments of the part's decorator, or, in backticks, in the first line of its docstring.
    """
    tree = _parsed(module)
    if tree is None:
        return ""
    definitions = [node for node in tree.body if isinstance(node, Definition)]
    named = [node for node in definitions if f"`{name}`" in first_line(ast.get_docstring(node))]
    definition = next((node for node in definitions if name in _words(node)), named[0] if named else None)
    return first_line((definition and ast.get_docstring(definition)) or ast.get_docstring(tree))


@lru_cache(maxsize=256)
def _parsed(module: str) -> ast.Module | None:
    """Syntax tree of a module of this package; None: there is no source."""
    path = ROOT.parent.joinpath(*module.split("."))
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if file.is_file():
            return ast.parse(file.read_text(encoding="utf-8"))
    return None


def _words(node: Definition) -> set[object]:
    """Texts in the decorators of a class or a function."""
    parts = (part for decorator in node.decorator_list for part in ast.walk(decorator))
    return {part.value for part in parts if isinstance(part, ast.Constant)}
