"""A page that needs nothing but itself: sections of HTML, figures of plotly, its script and style inline.

jinja2 fills the template, which escapes whatever comes from a run; what is `Markup` has been made here.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archioptrx.errors import InputError
from archioptrx.run_folder import plain, write_atomically

if TYPE_CHECKING:
    import jinja2
    import plotly.graph_objects as go
    from markupsafe import Markup


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
    about
        What is shown and how to read it, in a sentence or two.
    """

    name: str
    title: str
    body: Markup
    about: str = ""


def figure(name: str, content: go.Figure, label: str, height: int = 420) -> Markup:
    """A figure. The page's script draws it when it comes into view, in the colours of the theme.

    Parameters
    ----------
    name
        Id of its element, unique in the page; the script of a section finds it by that.
    label
        What it shows, for those who can't see it (`aria-label`).
    """
    return fragment("figure.html", name=name, label=label, height=height, content=content.to_json())


def fragment(template: str, **values: Any) -> Markup:
    """Fill a template of this package; values are escaped unless they are `Markup`."""
    from markupsafe import Markup

    return Markup(_environment().get_template(template).render(**values))


def script_json(value: Any) -> Markup:
    """Plain data as JSON that may stand inside `<script type="application/json">`."""
    from markupsafe import Markup

    text = json.dumps(plain(value), ensure_ascii=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))


def page(title: str, subtitle: str, facts: Mapping[str, str], sections: Sequence[Section]) -> str:
    """The text of a whole page.

    Parameters
    ----------
    facts
        Short figures under the heading, by name.
    """
    from plotly.offline import get_plotlyjs

    return str(
        fragment(
            "page.html",
            title=title,
            subtitle=subtitle,
            facts=facts,
            sections=sections,
            style=_asset("page.css"),
            script=_asset("page.js"),
            plotly=_inline(get_plotlyjs()),
        )
    )


def write_page(path: Path, text: str) -> None:
    """Write a page, at once. Raises InputError where that can't be done."""
    if path.is_dir():
        raise InputError(f"{path}: is a folder; legal: a file, such as {path / 'report.html'}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text)
    except OSError as error:
        raise InputError(f"{path}: can't be written: {(error.strerror or str(error)).lower()}") from error


@cache
def _environment() -> jinja2.Environment:
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.PackageLoader("archioptrx.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["script_json"] = script_json
    return made


def _asset(name: str) -> Markup:
    return _inline((files("archioptrx.report") / "templates" / name).read_text(encoding="utf-8"))


def _inline(text: str) -> Markup:
    """Our own script or style: `</` may not stand in it as it is."""
    from markupsafe import Markup

    return Markup(text.replace("</script", "<\\/script"))


def text_of(value: str) -> str:
    """Escaped text, for the hover labels of figures, in which plotly reads a little HTML."""
    return html.escape(value, quote=False)
