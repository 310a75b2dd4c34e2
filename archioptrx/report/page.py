"""A page that needs nothing but itself: sections of HTML, figures of plotly, its script and style inline.

jinja2 fills the template, which escapes whatever comes from a run; what is `Markup` has been made here.
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
from typing import TYPE_CHECKING, Any

from archioptrx.core.errors import InputError
from archioptrx.core.files import plain, write_atomically

if TYPE_CHECKING:
    import jinja2
    import plotly.graph_objects as go
    from markupsafe import Markup


PACK_FROM = 20_000
"""A figure with more letters than this is packed: with ten thousand points it is a third of the size."""


@dataclass(frozen=True)
class Section:
    """A part of a page.

    Attributes
    ----------
    name
        Its anchor: a word of letters and hyphens, unique in the page.
    title
        Heading, and its name in the table of contents.
    body
        HTML, see `figure` and `fragment`.
    description
        What is shown and how to read it, in a sentence or two.
    scripts
        Files of `templates/` that the section needs besides `SCRIPTS`; a page has each once.
    """

    name: str
    title: str
    body: Markup
    description: str = ""
    scripts: tuple[str, ...] = ()


@dataclass(frozen=True)
class View:
    """A form of a figure that a switch above it chooses. The first of each group is the one that is shown first.

    Attributes
    ----------
    group
        What the switch is about (`scale`); with more than five views it is a list.
    label
        Says which form this is (`linear`).
    data
        By trace what differs from the figure: `{"y": [...], "visible": False}`; traces beyond its end stay.
    layout
        What differs in the layout.
    """

    group: str
    label: str
    data: Sequence[Mapping[str, Any]] = ()
    layout: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Cell:
    """A cell of a table that is not sorted by its text but by `value`; None is missing and comes last."""

    text: str
    value: float | str | None


def figure(name: str, content: go.Figure, label: str, height: int = 420, views: Sequence[View] = ()) -> Markup:
    """A figure. The page's script draws it when it comes into view, in the colours of the theme.

    Colours that fit the theme are the variables of `page.css`: `color="var(--c2)"`, `"var(--failed)"`.

    Parameters
    ----------
    name
        Id of its element, unique in the page; the script of a section finds it by that.
    label
        What it shows, for those who can't see it (`aria-label`).
    height
        In pixels.
    views
        Other forms of it, which a reader chooses.
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


def table(
    name: str, heads: Sequence[str], rows: Sequence[Sequence[str | Cell]], left: Sequence[int] = (), caption: str = ""
) -> Markup:
    """A table that a click on a heading sorts. Of all rows in the page, so for some hundred at most.

    Parameters
    ----------
    left
        Columns that are text.
    """
    return fragment("table.html", name=name, heads=heads, rows=rows, left=left, caption=caption)


def packed(name: str, value: Any) -> Markup:
    """Plain data, small: a script gets it by `await report.packed(name)`."""
    return fragment("packed.html", name=name, data=_packed(value))


def _packed(value: Any) -> str:
    text = json.dumps(plain(value), ensure_ascii=False, separators=(",", ":"))
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


def fragment(template: str, **values: Any) -> Markup:
    """Fill a template of this package; values are escaped unless they are `Markup`."""
    from markupsafe import Markup

    return Markup(_environment().get_template(template).render(**values))


def script_json(value: Any) -> Markup:
    """Plain data as JSON that may stand inside `<script type="application/json">`."""
    from markupsafe import Markup

    text = json.dumps(plain(value), ensure_ascii=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))


SCRIPTS = ("page.js", "tables.js", "figures.js")
"""What every page needs, in this order."""


def page(
    title: str,
    subtitle: str,
    facts: Mapping[str, str | Markup],
    sections: Sequence[Section],
    banner: str = "",
    footer: str = "",
) -> str:
    """The text of a whole page.

    Parameters
    ----------
    facts
        Short figures under the heading, by name.
    banner
        What a reader has to know first: that the search still runs.
    footer
        When and by what it was written.
    """
    from plotly.offline import get_plotlyjs

    scripts = dict.fromkeys([*SCRIPTS, *(name for section in sections for name in section.scripts)])
    return str(
        fragment(
            "page.html",
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
    """Write a page, at once. Raises InputError where that can't be done."""
    if path.is_dir():
        raise InputError(f"{path}: is a folder; allowed: a file, such as {path / 'report.html'}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text)
    except OSError as error:
        raise InputError(f"{path}: can't be written: {(error.strerror or str(error)).lower()}") from error


@cache
def _environment() -> jinja2.Environment:
    import jinja2

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
    """Our own script or style: `</` may not stand in it as it is."""
    from markupsafe import Markup

    return Markup(text.replace("</script", "<\\/script"))


def hover_text(value: str) -> str:
    """Escaped text, for the hover labels of figures, in which plotly reads a little HTML."""
    return html.escape(value, quote=False)
