"""A source of the user's own: registered by a decorator, its options checked by their types."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from registries import restored
from small_search import allow

from archioptrx.core.errors import InputError
from archioptrx.data.built_event import BuiltEvent
from archioptrx.data.dataset import Dataset, Metadata, make_graph
from archioptrx.data.hitgraph import PARTICLE_FIELDS, HitGraph, batch_graphs
from archioptrx.data.kinds import other_kind
from archioptrx.data.options import HERE, SOURCES, PlainOptions, ToyOptions, option
from archioptrx.data.sources import check_spec, load_dataset, source, toy, with_path
from archioptrx.data.sources.stream import Job, stream
from archioptrx.models.events import no_fit
from archioptrx.runs.experiment import parse_experiment
from archioptrx.tasks.binary import places_of
from archioptrx.tasks.edge_classification import EdgeClassification
from archioptrx.tasks.options.tracks import TrackOptions

TOY = toy.load(ToyOptions(num_samples=1))


@dataclass(frozen=True)
class Plain(PlainOptions):
    """One option of each type."""

    source = "plain"
    about = "of a test"
    path: Path = option(HERE, "")
    aside: Path = option(Path("here"), "")
    events: int | None = option(None, "", int)
    names: tuple[str, ...] = option(("a",), "")
    fast: bool = option(False, "")


RAIN = """from dataclasses import dataclass
from archioptrx.data.options import PlainOptions
from archioptrx.data.sources import source, toy
@dataclass(frozen=True)
class Rain(PlainOptions):
    source = "rain"
    about = ""
@source(Rain)
def load(options):
    return toy.load(options)
"""


@pytest.fixture(autouse=True)
def registries() -> Iterator[None]:
    """What is registered in a test is forgotten after it."""
    with restored(SOURCES):
        source(Plain)(lambda options: toy.load(ToyOptions(num_samples=options.events or 2)))
        yield


def test_options_are_checked_by_their_types():
    content = {"source": "plain", "path": "p", "aside": "q", "events": 3, "names": ["b"], "fast": True}
    assert check_spec(content, "data", []) == Plain(Path("p"), Path("q"), 3, ("b",), True)
    assert check_spec({"source": "plain", "path": "p"}, "data", []) == Plain(Path("p"))
    faults: list[str] = []
    assert check_spec({"source": "plain", "events": "x", "fast": 1, "name": "b"}, "data", faults) is None
    assert faults == [
        "data: path: is missing; allowed: a path, also as --data PATH",
        "data: events: is 'x'; allowed: a whole number or null",
        "data: fast: is 1; allowed: true or false",
        "data: name: is unknown; allowed: aside, events, fast, names, path, source (did you mean names?)",
    ]


def test_a_module_may_register_a_name_again():
    assert len(load_dataset({"source": "plain", "path": "p"}).graphs) == 2
    source(Plain)(lambda options: toy.load(ToyOptions(num_samples=5)))
    assert len(load_dataset({"source": "plain", "path": "p"}).graphs) == 5


def test_its_files_tell_it_before_those_of_bundled_sources():
    spec = {"source": "plain", "path": "p", "names": ["b"], "events": 3}
    assert with_path(spec, "q.pyg") == {"source": "acorn", "path": "q.pyg"}
    source(Plain, files=("*.pyg",))(lambda options: toy.load(ToyOptions()))
    assert with_path(spec, "q.pyg") == {"source": "plain", "path": "q.pyg", "names": ["b"]}


def test_its_files_tell_it_in_an_experiment_that_names_no_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The module that registers it is imported before the files are looked at."""
    (tmp_path / "straw_source_of_a_test.py").write_text(
        "from archioptrx.data.sources import source, toy\n"
        "from archioptrx.data.options import HERE, PlainOptions, option\n"
        "from dataclasses import dataclass\n"
        "from pathlib import Path\n"
        "@dataclass(frozen=True)\n"
        "class Straws(PlainOptions):\n"
        "    source = 'straws'\n"
        "    about = ''\n"
        "    path: Path = option(HERE, '')\n"
        "@source(Straws, files=('*.straw',))\n"
        "def load(options):\n"
        "    return toy.load(options)\n"
    )
    (tmp_path / "events").mkdir()
    (tmp_path / "events" / "first.straw").touch()
    monkeypatch.chdir(tmp_path)
    allow("straw_source_of_a_test", tmp_path)
    document = {"name": "straws", "imports": ["straw_source_of_a_test"], "data": {"path": "events"}}
    assert parse_experiment(document, "straws.yaml").data.to_dict() == {
        "source": "straws",
        "path": str(tmp_path / "events"),
    }


def test_a_path_takes_the_place_of_a_source_that_makes_its_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the module that the file names says that the source has no path, so it is imported before `--data` acts."""
    (tmp_path / "rain_source_of_a_test.py").write_text(RAIN)
    (tmp_path / "events").mkdir()
    monkeypatch.chdir(tmp_path)
    allow("rain_source_of_a_test", tmp_path)
    document = {"name": "rain", "imports": ["rain_source_of_a_test"], "data": {"source": "rain"}}
    options, data = {"data.path": "--data"}, {"source": "hitgraphs", "path": str(tmp_path / "events")}
    assert parse_experiment(document, "rain.yaml", options, {"data.path": "events"}).data.to_dict() == data
    with pytest.raises(InputError, match=r"^rain\.yaml: imports\[0\]: is 3; allowed: a text$"):
        parse_experiment({**document, "imports": [3]}, "rain.yaml", options, {"data.path": "events"})


def test_what_one_graph_knows_all_know() -> None:
    def load(options: Plain) -> Dataset:
        graphs = [graph.clone() for graph in toy.load(ToyOptions(num_samples=3)).graphs]
        del graphs[1].pid
        return Dataset(tuple(graphs), Metadata("plain"))

    source(Plain)(load)
    with pytest.raises(
        InputError, match=r"^data source plain: .* sector 0: lacks pid, which .* sector 0 has; allowed: "
    ):
        load_dataset({"source": "plain", "path": "p"})


def changed(graph: HitGraph, **fields: Any) -> HitGraph:
    """A copy of a graph with other fields."""
    return HitGraph(**{**graph.to_dict(), **fields})


def as_it_is(job: Job) -> BuiltEvent:
    """The event that a job holds."""
    return BuiltEvent((job.content,))


def loaded(*graphs: HitGraph, streamed: bool = False, **metadata: Any) -> Dataset:
    """The data set of a source that gives these graphs: as they are, or by `stream`."""
    own = Metadata("plain", node_scale=TOY.metadata.node_scale, **metadata)
    jobs = [Job(f"event {place}", graph) for place, graph in enumerate(graphs)]
    streams = partial(stream, jobs, as_it_is, own)
    source(Plain)(lambda options: streams() if streamed else Dataset(graphs, own))
    return load_dataset({"source": "plain", "path": "p"})


@pytest.mark.parametrize("streamed", [False, True])
def test_graphs_of_any_making_are_repaired_as_those_of_files(
    streamed: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """Edges in both directions count twice, and make tracks that turn back; noise isn't a particle."""
    graph = TOY.graphs[0]
    order = torch.argsort(torch.cat([graph.edge_index[1], graph.edge_index[0]]), stable=True)
    both = {name: torch.cat([graph[name], graph[name]])[order] for name in ("y", "edge_attr")}
    both["edge_index"] = torch.cat([graph.edge_index, graph.edge_index.flip(0)], dim=1)[:, order]
    pid = graph.pid.clone()
    pid[0] = -1
    both |= dict.fromkeys((*PARTICLE_FIELDS, "particle_index"))
    twice = changed(graph, pid=pid, edge_order=torch.arange(2 * graph.num_edges), **both)
    result = loaded(twice, streamed=streamed).graphs[0]
    before, after = (
        torch.cat([one.edge_index.T, one.y[:, None], one.edge_attr], dim=1)[np.lexsort(one.edge_index.numpy())]
        for one in (graph, result)
    )
    assert torch.equal(before, after)
    assert result.pid.tolist() == [0, *graph.pid[1:].tolist()]
    said = f"{graph.num_edges} edges stood twice or in both directions and are one each; 1 hits of particle -1 or NaN"
    assert f"plain: {said}" in capsys.readouterr().err


def test_what_make_graph_made_stays_as_it_is() -> None:
    """A source that knows the layers says which hit is the inner one."""
    x = np.array([[0.2, 0, 0], [0.1, 0, 0.1], [0.3, 0.1, 0]])
    arrays = {"x": x, "edge_index": [[0, 1], [1, 2]], "y": [1, 1]}
    graph = make_graph(arrays, TOY.metadata, "loop", 0, directed=True)
    assert loaded(graph).graphs[0] is graph
    assert loaded(graph.clone()).graphs[0].edge_index.tolist() == [[1, 1], [0, 2]]


def test_features_of_edges_stay_where_their_edges_do() -> None:
    features = torch.randn(TOY.graphs[0].num_edges, 1)
    graph = changed(TOY.graphs[0], edge_attr=features)
    own = {"edge_features": ("charge",), "edge_scale": (1.0,)}
    assert torch.equal(loaded(graph, **own).graphs[0].edge_attr, features)
    with pytest.raises(InputError, match=r"charge can't be computed; .*; edges that stand once, outwards, keep"):
        loaded(changed(graph, edge_index=graph.edge_index.flip(0)), **own)


def test_a_source_may_have_units_of_its_own() -> None:
    x = TOY.graphs[0].x * torch.tensor([1000.0, 1, 1000])
    graph = changed(TOY.graphs[0], x=x)
    assert torch.equal(loaded(graph, own_units=True).graphs[0].x, x)
    assert other_kind(TOY.metadata, Metadata("toy", own_units=True)).startswith("units own (training: mm, rad)")


def helix_events(factor: float) -> Dataset:
    """Events of helices whose lengths are in another unit than mm, where the factor isn't 1."""
    events = load_dataset({"source": "helix", "events": 2, "particles": 60, "seed": 3})
    r, phi, z = events.metadata.node_scale
    metadata = replace(events.metadata, node_scale=(r * factor, phi, z * factor), own_units=factor != 1)
    names = ("x", "edge_index", "y", "pid", "hit_id")
    graphs = [make_graph({k: g[k].numpy() for k in names}, metadata, g.event, g.sector) for g in events.graphs]
    return Dataset(tuple(graphs), metadata)


@pytest.mark.parametrize("factor", [0.1, 1e-3])
def test_features_of_edges_are_the_same_in_units_of_a_source(factor: float) -> None:
    own, usual = helix_events(factor), helix_events(1)
    units = torch.tensor([factor, 1, factor, 1 / factor, factor])
    for graph, same in zip(own.graphs, usual.graphs, strict=True):
        torch.testing.assert_close(graph.edge_attr, same.edge_attr * units, rtol=1e-5, atol=1e-6)
    for made in (Metadata("a"), Metadata("a", own_units=True)):
        assert made.least_step == 1


def test_tracks_in_units_of_a_source_are_neither_completed_nor_fitted() -> None:
    metres, kept = helix_events(1e-3), TrackOptions(complete=False)
    fitted = EdgeClassification(tracks=TrackOptions(complete=True, chi2_max=9.0))
    for graph in (*metres.graphs, batch_graphs(metres.graphs)):
        scores = 12 * graph.y - 6
        assert places_of(graph) is None
        assert torch.equal(fitted.tracks(scores, graph), EdgeClassification(tracks=kept).tracks(scores, graph))
    assert places_of(helix_events(1).graphs[0]) is not None
    text = "lengths are in units of their own: chi2_max has no effect, for the fit needs mm"
    assert no_fit(fitted, metres.metadata) == text
    assert no_fit(fitted, helix_events(1).metadata) == no_fit(EdgeClassification(), metres.metadata) == ""


def without_phi(job: Job) -> BuiltEvent:
    """An event whose reading fails if it is the second."""
    columns: dict[str, int] = {} if job.name == "second" else {"phi": 0}
    return BuiltEvent((), {"phi": columns["phi"]})


def test_an_error_of_its_code_names_the_event() -> None:
    source(Plain)(lambda options: stream([Job("first", 0), Job("second", 1)], without_phi, Metadata("plain")))
    with pytest.raises(InputError, match=r"^data source plain: event second: raised KeyError: 'phi'; --debug"):
        load_dataset({"source": "plain", "path": "p"})


def spoilt_twin(graph: HitGraph) -> HitGraph:
    """A copy whose first edge starts at a hit that isn't there."""
    twin = graph.clone()
    twin.event, twin.edge_index = "twin", twin.edge_index.clone()
    twin.edge_index[0, 0] = -1
    return twin


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda graphs: (), "gave no graph; allowed: one or more"),
        (lambda graphs: (graphs[0], graphs[0]), ".* are called .* sector 0; allowed: names of their own"),
        (lambda graphs: (graphs[0], spoilt_twin(graphs[0])), "twin sector 0: edge_index points outside the .* hits"),
        (lambda graphs: (changed(graphs[0], x=graphs[0].x * 1000),), ".* sector 0: r is .*; allowed: 0 … 100000 mm"),
        (lambda graphs: (changed(graphs[0], edge_attr=graphs[0].edge_attr[:, :2]),), ".*: edge_attr has 2 columns; "),
    ],
)
def test_graphs_of_any_making_are_looked_at(change: Callable[..., Any], fault: str) -> None:
    source(Plain)(lambda options: Dataset(change(toy.load(ToyOptions(num_samples=1)).graphs), Metadata("plain")))
    with pytest.raises(InputError, match=f"^data source plain: {fault}"):
        load_dataset({"source": "plain", "path": "p"})
