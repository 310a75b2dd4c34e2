"""The documentation of the user's files names everything that the files may hold."""

import ast
import importlib
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import yaml

from archioptrx.commands.data import building_text
from archioptrx.commands.parts import DEFINING
from archioptrx.core.plugins import REGISTRIES
from archioptrx.data.dataset import Metadata
from archioptrx.data.options.building import Cuts
from archioptrx.data.sources import SOURCES
from archioptrx.data.triplets import line_metadata
from archioptrx.graphs.decisions import Trace
from archioptrx.graphs.function_graph import FunctionGraph
from archioptrx.graphs.signatures import SIGNATURES
from archioptrx.runs.experiment import Experiment
from archioptrx.runs.experiment_sections import (
    Budget,
    Constraints,
    Keep,
    Resources,
    Retrain,
    Scheduler,
    ScreenSettings,
    Split,
)
from archioptrx.sampling.samplers import replay
from archioptrx.sampling.search_space import SearchSpace, WalkLimits
from archioptrx.sampling.walk import WalkSpace
from archioptrx.search.study import parse_study
from archioptrx.tasks.comparison import Baseline, against_baseline, medals
from archioptrx.tasks.options import EdgeOptions, objective_metrics
from archioptrx.training.objective import COSTS
from archioptrx.training.settings import Training

DOCS = Path(__file__).resolve().parents[1] / "docs"
FILES = (DOCS / "files.md").read_text(encoding="utf-8")
EXPERIMENT = FILES.partition("## Experiment")[2]


@pytest.mark.parametrize(
    "name", ["mlp", "aggregate", "attention", "gate", "gru", "norm", "readout", "broadcast", "pyg"]
)
def test_each_block_stands_with_all_of_its_parameters(name):
    row = next(line for line in FILES.splitlines() if line.startswith(f"| `{name}` |"))
    for parameter in SIGNATURES[name].parameters:
        assert f"`{parameter.name}`" in row or "as `mlp`" in row


PAGES = {
    "block": "files.md",
    "data source": "data.md",
    "exporter": "export.md",
    "logger": "loggers.md",
    "metric": "files.md",
    "prediction writer": "tracks.md",
    "report figures": "report.md",
    "sampler": "samplers.md",
    "task": "tasks.md",
    "track finder": "tracks.md",
    "triplet track finder": "tracks.md",
}
"""The page that describes the parts of each kind."""


@pytest.mark.parametrize("kind", PAGES)
def test_every_bundled_part_stands_on_the_page_of_its_kind(kind):
    for module in DEFINING:
        importlib.import_module(module)
    registry, text = REGISTRIES[kind], (DOCS / PAGES[kind]).read_text(encoding="utf-8")
    bundled = [name for name in registry if name not in registry.own()]
    code = " ".join(re.findall(r"`[^`\n]+`", text))
    assert [name for name in bundled if not re.search(rf"(?<![\w.]){re.escape(name)}(?!\w)", code)] == []


def test_every_kind_of_part_has_a_page():
    for module in DEFINING:
        importlib.import_module(module)
    assert set(REGISTRIES) == set(PAGES)


SECTIONS = (Split, Scheduler, Budget, Training, Constraints, ScreenSettings, Retrain, Resources, Keep)


@pytest.mark.parametrize("section", SECTIONS)
def test_every_key_of_a_section_of_the_experiment_file_is_described(section):
    assert [field.name for field in fields(section) if not re.search(rf"\b{field.name}\b", EXPERIMENT)] == []


def test_all_keys_of_an_experiment_and_of_a_walk_are_there():
    first = {
        word
        for line in FILES.splitlines()
        for word in re.findall(r"`(\w+)`", line.split("|")[1] if "|" in line else "")
    }
    assert {field.name for field in fields(Experiment)} | {"vary"} <= first
    assert {field.name for field in fields(WalkLimits)} <= first


def test_all_metrics_of_an_objective_are_there():
    known = objective_metrics(EdgeOptions()).all
    assert [name for name in (*known, *COSTS) if f"`{name}`" not in FILES] == []


def test_every_option_of_graph_building_is_described():
    text = (DOCS / "data.md").read_text(encoding="utf-8")
    assert [field.name for field in fields(Cuts) if f"`{field.name}`" not in text] == []
    shown = re.search(r"^building .*$", text, re.MULTILINE)[0]
    counts = {"true_edges": 5400, "kept_edges": 5186, "edges": 20631, "crossing_edges": 45}
    assert shown == f"{'building':16}{building_text(counts)}, …"


def test_the_search_space_shown_is_valid():
    shown = re.search(r"```yaml\n(.*?)```", FILES, re.DOTALL)
    space = SearchSpace.from_dict(yaml.safe_load(shown[1]))
    assert len(space.grid["learning_rate"].values) == 8


def test_the_study_shown_is_valid():
    shown = next(yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", FILES, re.DOTALL) if "vary:" in text)
    study = parse_study({"name": "mine", **shown}, "files.md")
    assert len(study.combinations) == 24


def test_the_samplers_of_optuna_are_described():
    assert "`optuna:NAME`" in (DOCS / "samplers.md").read_text(encoding="utf-8")


def test_what_evaluate_adds_for_triplets_and_how_they_are_made_is_described():
    text = (DOCS / "triplets.md").read_text(encoding="utf-8")
    yes = np.ones(1, dtype=bool)
    added = [
        *against_baseline(yes, Baseline(np.ones(1), True), yes, 0.5),
        *medals(yes, yes, np.zeros((2, 1), int), yes),
    ]
    options = SOURCES.description("line_graph").options
    keys = [field.name for field in fields(options) if field.metadata]  # without what a model gives
    features = line_metadata(Metadata("any"), scored=True)
    names = [*added, *keys, *features.node_features, *features.edge_features]
    assert [name for name in names if not re.search(rf"(`|, ){re.escape(name)}(`|, )", text)] == []


WALK = (DOCS / "walk.md").read_text(encoding="utf-8")
"""The page about the walk: a function graph and what was sampled from it."""


def printed() -> list[str]:
    """The networks that it prints: blocks of no language."""
    blocks = re.findall(r"^```(\w*)\n(.*?)\n```$", WALK, re.DOTALL | re.MULTILINE)
    return [text for language, text in blocks if not language]


@pytest.fixture(scope="module")
def walked():
    """The walks of the page's traces through its function graph."""
    shown = re.search(r"```yaml\n(.*?)```", WALK, re.DOTALL)
    content = yaml.safe_load((DOCS / "walk_traces.yaml").read_text(encoding="utf-8"))
    graph = FunctionGraph.from_dict(yaml.safe_load(shown[1]))
    space = WalkSpace(graph, SearchSpace.from_dict(content["search_space"]))
    return [replay(space, Trace.from_json({"decisions": decisions})) for decisions in content["traces"].values()]


def test_the_networks_of_the_page_about_the_walk_come_out_of_it(walked):
    assert printed() == [str(candidate.graph) for candidate in walked]
    # Each is an example of what the text before it speaks of.
    events = [candidate.events for candidate in walked]
    assert [counts["walks"] for counts in events] == [1, 1, 2, 2]
    assert [counts["recurrences"] for counts in events] == [0, 0, 1, 0]
    assert [counts["branches"] for counts in events] == [0, 0, 0, 1]
    assert events[1]["reverse walks"] > events[0]["reverse walks"]


def test_the_decisions_of_the_page_about_the_walk_are_those_of_its_first_network(walked):
    rows = re.findall(r"^\| `(\S+)` \| `(\S+)` \| `(\S+)` \|$", WALK, re.MULTILINE)
    assert rows == [(decision.kind, decision.place, decision.label) for decision in walked[0].trace.decisions]


ROOT = DOCS.parent
CODE = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def public() -> dict[str, list[str]]:
    """The modules of the page about Python with the names that stand there."""
    text = (DOCS / "python.md").read_text(encoding="utf-8")
    entries = re.findall(r"^::: (\S+)\n    options: \{members: \[(.*)\]\}$", text, re.MULTILINE)
    assert len(entries) == text.count("\n::: ")  # a module without names would make all of it public
    return {module: names.split(", ") for module, names in entries}


def test_every_public_name_exists():
    lacking = [
        f"{module}.{name}"
        for module, names in public().items()
        for name in names
        if not hasattr(importlib.import_module(module), name)
    ]
    assert lacking == []


def imported(code: str) -> Iterator[tuple[str, str]]:
    """Modules of the package and names that code imports from them."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and str(node.module).partition(".")[0] == "archioptrx":
            yield from ((str(node.module), alias.name) for alias in node.names)


def test_examples_and_pages_import_public_names_alone():
    pages = [ROOT / "README.md", *DOCS.rglob("*.md")]
    shown = [text for page in pages for text in CODE.findall(page.read_text(encoding="utf-8"))]
    codes = [*shown, *(path.read_text() for path in (ROOT / "examples").glob("*.py"))]
    used = sorted({pair for code in codes for pair in imported(code)})
    assert len(used) > 30
    allowed = public()
    assert [(module, name) for module, name in used if name not in allowed.get(module, ())] == []
