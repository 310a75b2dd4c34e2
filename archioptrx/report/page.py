"""Self-contained page: sections of HTML, figures of plotly, scripts and style inline.

jinja2 fills the templates and escapes all text that comes from a run; only `Markup`, which is made here, is inserted as
it is.
"""

from __future__ import annotations

import base64
import gzip
import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import plotly.graph_objects as go
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from archioptrx.core.files import plain, write_atomically, writing
from archioptrx.core.own_files import PAGE, check_page

PACK_FROM = 20_000
"""Characters above which a figure is compressed: with ten thousand points it shrinks to a third."""


@dataclass(frozen=True)
class Section:
    """Section of a page.

    Attributes
    ----------
    name
        Anchor: a word of letters and hyphens, unique in the page.
    title
        Heading, and its name in the table of contents.
    body
        HTML, see `figure` and `fragment`.
    description
        Explanation of the content and of how to read it, in a sentence or two.
    scripts
        Files of `templates/` that the section needs besides `SCRIPTS`; a page holds each file once.
    """

    name: str
    title: str
    body: Markup
    description: str = ""
    scripts: tuple[str, ...] = ()


@dataclass(frozen=True)
class View:
    """Form of a figure, chosen by a switch above it. The first form of each group is shown first.

    Attributes
    ----------
    group
        Subject of the switch (`scale`); with more than five views it is a list.
    label
        Name of this form (`linear`).
    data
        Differences from the figure, by trace: `{"y": [...], "visible": False}`; traces beyond its end stay.
    layout
        Differences in the layout.
    """

    group: str
    label: str
    data: Sequence[Mapping[str, Any]] = ()
    layout: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Cell:
    """Cell of a table that is sorted by `value` instead of its text; None is a missing value and comes last."""

    text: str
    value: float | str | None


def figure(name: str, content: go.Figure, label: str, height: int = 420, views: Sequence[View] = ()) -> Markup:
    """Element of a figure. The page's script draws it when it is scrolled into view, in the colours of the theme.

    Colours that fit the theme are the variables of `page.css`: `color="var(--c2)"`, `"var(--failed)"`.

    Parameters
    ----------
    name
        Id of its element, unique in the page; scripts of the section find it by this id.
    label
        Description for screen readers (`aria-label`).
    height
        Height in pixels.
    views
        Other forms of it, from which a reader chooses.
    """
    plain_figure = json.loads(content.to_json())
    plain_figure["layout"].pop("template", None)  # the page has its own
    plain_figure["views"] = [{**vars(view), "data": list(view.data)} for view in views]
    groups = {
        group: [view.label for view in views if view.group == group] for group in dict.fromkeys(v.group for v in views)
    }
    content_json = script_json(plain_figure)
    small = len(content_json) <= PACK_FROM
    return fragment(
        "figure.html",
        name=name,
        label=label,
        height=height,
        groups=groups,
        kind="json" if small else "gzip",
        content=content_json if small else _packed(plain_figure),
    )


def table(name: str, heads: Sequence[str], rows: Sequence[Sequence[str | Cell]], left: Sequence[int] = ()) -> Markup:
    """Table that a click on a heading sorts. All rows are in the page, so it suits some hundred rows at most.

    Parameters
    ----------
    left
        Indices of text columns, which are aligned to the left.
    """
    return fragment("table.html", name=name, heads=heads, rows=rows, left=left)


def packed(name: str, value: Any) -> Markup:
    """Compressed plain data; a script reads it with `await report.packed(name)`."""
    return fragment("packed.html", name=name, data=_packed(value))


def _packed(value: Any) -> str:
    text = json.dumps(plain(value), ensure_ascii=False, separators=(",", ":"))
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


def fragment(template: str, **values: Any) -> Markup:
    """Fill a template of this package; values are escaped unless they are `Markup`."""
    return Markup(_environment().get_template(template).render(**values))


def script_json(value: Any) -> Markup:
    """Plain data as JSON that may stand inside `<script type="application/json">`."""
    text = json.dumps(plain(value), ensure_ascii=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))


SCRIPTS = ("page.js", "tables.js", "figures.js")
"""Scripts that every page needs, in this order."""


def page(
    title: str,
    subtitle: str,
    facts: Mapping[str, str | Markup],
    sections: Sequence[Section],
    banner: str = "",
    footer: str = "",
) -> str:
    """Text of a whole page.

    Parameters
    ----------
    facts
        Key figures under the heading, by name.
    banner
        Important message above all sections, such as that the search is still running.
    footer
        Date of the page, and program that wrote it.
    """
    scripts = dict.fromkeys([*SCRIPTS, *(name for section in sections for name in section.scripts)])
    return str(
        fragment(
            "page.html",
            mark=PAGE,
            title=title,
            subtitle=subtitle,
            facts=facts,
            sections=sections,
            banner=banner,
            footer=footer,
            style=_asset("page.css") + _asset("trials.css"),
            first=_asset("theme.js"),
            plotly=_inline(get_plotlyjs()),
            scripts=[_asset(name) for name in scripts],
        )
    )


def write_page(path: Path, text: str) -> None:
    """Write a page atomically. Raises InputError where the file can't be written, or isn't a page of our own."""
    check_page(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("archioptrx.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["script_json"] = script_json
    return environment


def _asset(name: str) -> Markup:
    return _inline((files("archioptrx.report") / "templates" / name).read_text(encoding="utf-8"))


def _inline(text: str) -> Markup:
    """Script or style of this package, for inlining: a literal `</script` would end the element."""
    return Markup(text.replace("</script", "<\\/script"))


def hover_text(value: str) -> str:
    """Escaped text, for the hover labels of figures, in which plotly reads a little HTML."""
    return html.escape(value, quote=False)
