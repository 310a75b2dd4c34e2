"""Python source, line by line, in the form that ruff and black give it.

Plain functions, not a template engine: the places of line breaks have to be computed, which a template can't do.
"""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

WIDTH = 88
"""Longest line: black's own limit. Lines that fit it fit any longer limit too."""
TAB = "    "


@dataclass(frozen=True, slots=True)
class Call:
    """Something in front of brackets with arguments: a call, a list, the head of a function."""

    head: str
    args: tuple[Code, ...]
    brackets: str = "()"


@dataclass(frozen=True, slots=True)
class Sum:
    """Terms with a plus between."""

    terms: tuple[str, ...]


Code = str | Call | Sum


def call(head: str, *args: Code) -> Call:
    """A call.

    >>> flat(call("torch.cat", listed("x[start]", "x[end]"), "dim=1"))
    'torch.cat([x[start], x[end]], dim=1)'
    """
    return Call(head, args)


def listed(*args: Code) -> Call:
    """A list."""
    return Call("", args, "[]")


def joined(codes: Sequence[Code]) -> Code:
    """Values side by side.

    >>> flat(joined(["x", "y"])), flat(joined(["x"]))
    ('torch.cat([x, y], dim=1)', 'x')
    """
    return codes[0] if len(codes) == 1 else call("torch.cat", listed(*codes), "dim=1")


def flat(code: Code) -> str:
    """Code on one line."""
    if isinstance(code, str):
        return code
    if isinstance(code, Sum):
        return " + ".join(code.terms)
    return f"{code.head}{code.brackets[0]}{', '.join(map(flat, code.args))}{code.brackets[1]}"


def lines(code: Code, pad: str = "", before: str = "", after: str = "") -> list[str]:
    """Code between two texts: on one line where it fits, else one line for each argument (or term).

    >>> lines(call("f", "x" * 50, "y" * 50), before="z = ")[0]
    'z = f('
    """
    whole = f"{pad}{before}{flat(code)}{after}"
    if len(whole) <= WIDTH or isinstance(code, str):
        return [whole]
    if isinstance(code, Sum):
        inner = pad + TAB
        short = inner + flat(code)
        body = [short] if len(short) <= WIDTH else _terms(code, inner)
        return [f"{pad}{before}(", *body, f"{pad}){after}"]
    body = [line for arg in code.args for line in lines(arg, pad + TAB, after=",")]
    return [f"{pad}{before}{code.head}{code.brackets[0]}", *body, f"{pad}{code.brackets[1]}{after}"]


def _terms(code: Sum, pad: str) -> list[str]:
    return [f"{pad}{'+ ' if place else ''}{term}" for place, term in enumerate(code.terms)]


def literal(value: object) -> str:
    """A constant as code.

    >>> literal({"heads": 2, "aggr": ("add", "max"), "bias": None})
    '{"heads": 2, "aggr": ["add", "max"], "bias": None}'
    """
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{literal(key)}: {literal(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(literal, value))}]"
    return repr(value)


def docstring(text: str, pad: str = "") -> list[str]:
    """A docstring, in which quotes and backslashes of the text are escaped."""
    safe = text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"').rstrip()
    rows = [f"{pad}{row}".rstrip() for row in safe.splitlines()]
    rows[0] = f'{pad}"""{rows[0].lstrip()}'
    if len(rows) > 1:
        return [*rows, f'{pad}"""']
    return [rows[0] + (' """' if safe.endswith('"') else '"""')]


def identifier(text: str) -> str:
    """A name that Python accepts, as near to the text as possible.

    >>> identifier("edge net"), identifier("2nd"), identifier("class"), identifier("l")
    ('edge_net', '_2nd', 'class_', 'l_')
    """
    name = re.sub(r"\W", "_", text, flags=re.ASCII) or "_"
    name = f"_{name}" if name[0].isdigit() else name
    return f"{name}_" if keyword.iskeyword(name) or name in ("l", "O", "I") else name


def class_name(text: str) -> str:
    """The name of a class.

    >>> class_name("edge_net"), class_name("GNN layer"), class_name("2nd")
    ('EdgeNet', 'GNNLayer', '_2nd')
    """
    parts = [part for part in identifier(text).split("_") if part]
    name = "".join(part[0].upper() + part[1:] for part in parts) or "_"
    return identifier(name)


class Names:
    """Source of names that aren't in use yet."""

    def __init__(self, taken: Iterable[str]) -> None:
        self.taken = set(taken)

    def new(self, wish: str) -> str:
        """The wish itself, or with the first number from 2 that is free.

        >>> names = Names(["end"])
        >>> names.new("x"), names.new("x"), names.new("end")
        ('x', 'x_2', 'end_2')
        """
        name, number = wish, 2
        while name in self.taken:
            name, number = f"{wish}_{number}", number + 1
        self.taken.add(name)
        return name
