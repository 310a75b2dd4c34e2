"""The documentation as a site: built without a warning, whole, and in need of nothing from elsewhere."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from archioptrx.commands.cli import COMMANDS
from archioptrx.data.sources import SOURCES

ROOT = Path(__file__).resolve().parents[1]
pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec(name) is None, reason="needs the extra `docs`")
    for name in ("material", "mkdocstrings")
]
LOADED = re.compile(r"""<(?:script|link|img|iframe|source)\b[^>]*\b(?:src|href)=["']?((?:https?:)?//[^"'\s>]+)""")


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The site as CI builds it."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr, done.stderr
    return folder


def page(site: Path, name: str) -> str:
    return (site / f"{name}.html").read_text(encoding="utf-8")


def test_no_page_loads_anything_from_elsewhere(site):
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 15
    assert {str(path.relative_to(site)): LOADED.findall(path.read_text(encoding="utf-8")) for path in pages} == {
        str(path.relative_to(site)): [] for path in pages
    }
    styles = [path.read_text(encoding="utf-8") for path in site.rglob("*.css")]
    assert [style for style in styles if re.search(r"@import|url\([\"']?(https?:)?//", style)] == []


def test_every_command_says_what_it_takes(site):
    text = page(site, "commands")
    for name in [*COMMANDS, *(f"data {source}" for source in SOURCES)]:
        assert f"usage: archioptrx {name} " in text


def test_the_reference_comes_from_the_docstrings(site):
    text = page(site, "python")
    for name in ("data.hitgraph.HitGraph", "graphs.function_graph.FunctionGraph.load", "networks.blocks.block"):
        assert f'id="archioptrx.{name}"' in text
    assert "Multiplied by the data set's" in text  # of an attribute
    assert "&gt;&gt;&gt; " not in re.sub(r"<pre>.*?</pre>", "", text, flags=re.DOTALL)  # examples are shown as code
    assert "doctest:" not in text


def test_the_first_page_is_the_readme_and_its_links_lead_to_pages(site):
    text = page(site, "index")
    titles = re.findall(r"^## (.*)$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert [title for title in titles if f">{title}<" not in text] == []
    links = re.findall(r'<a href="([^"#]+)', text)
    inside = [link for link in links if ":" not in link]
    assert len(inside) > 10
    assert [link for link in inside if not (site / link).exists()] == []


def test_what_is_looked_for_is_found_in_the_index(site):
    content = (site / "search" / "search_index.js").read_text(encoding="utf-8").removeprefix("var __index = ")
    locations = {entry["location"] for entry in json.loads(content)["docs"] if "recurrence" in entry["text"]}
    assert any(location.startswith("files.html") for location in locations)


def test_code_shown_in_guides_is_that_of_the_examples(site):
    shown = page(site, "guides/block")
    assert ">Difference</span>" in shown
    assert "--8&lt;--" not in shown
