"""The source helix: graphs of simulated events, the same by way of TrackML CSV, and its command."""

import json

import numpy as np
import pytest

from archioptrx.commands.data import main
from archioptrx.core.errors import InputError
from archioptrx.data.sources import load_dataset

SMALL = {"source": "helix", "events": 3, "particles": 60, "seed": 2}


@pytest.mark.parametrize(
    "cuts",
    [
        {},
        {"preset": "big", "slope_max": 1e-3},
        {"layers": "all", "features": ["eta"], "phi_sectors": 2, "eta_sectors": 2, "signal_pt": 0.5, "skip_layers": 1},
    ],
)
def test_trackml_reads_the_same_graphs_from_the_csv(cuts, tmp_path) -> None:
    simulated = load_dataset({**SMALL, **cuts, "csv": str(tmp_path / "csv")})
    assert len(list((tmp_path / "csv").glob("event00000000?-hits.csv"))) == 3
    read = load_dataset({"source": "trackml", "path": str(tmp_path / "csv"), **cuts})
    assert read.fingerprint == simulated.fingerprint
    counts = simulated.metadata.options["building"]
    assert counts["kept_edges"] > 100
    assert counts.items() <= read.metadata.options["building"].items()


def test_an_event_has_the_same_graph_however_many_there_are() -> None:
    few, many = load_dataset(SMALL), load_dataset({**SMALL, "events": 5})
    assert few.events == many.events[:3]
    for graph, other in zip(few.graphs, many.graphs[:3], strict=True):
        assert graph.x.equal(other.x) and graph.edge_index.equal(other.edge_index) and graph.y.equal(other.y)


def test_graphs_know_their_particles_and_true_edges_join_neighbours() -> None:
    graph = load_dataset({**SMALL, "particles": 200, "slope_max": 3e-3}).graphs[0]
    inner, outer = graph.edge_index[:, graph.y > 0.5].numpy()
    pid, r = graph.pid.numpy(), np.hypot(*graph.pos.numpy()[:, :2].T)
    assert len(inner) > 500
    assert (pid[inner] == pid[outer]).all() and (pid[inner] > 0).all() and (r[inner] < r[outer]).all()
    assert (np.unique(inner, return_counts=True)[1] == 1).all() and (np.unique(outer, return_counts=True)[1] == 1).all()
    assert graph.hit_weight.sum() <= 1.0 and graph.hit_weight[graph.pid == 0].max() == 0
    known = graph["particles"][graph.particle_index]
    assert (known[:, 0] == graph.pt).all()


def test_written_graphs_are_read_again(tmp_path, capsys) -> None:
    folder = tmp_path / "helix"
    arguments = ["helix", "--events", "2", "--particles", "40", "--phi-sectors", "2", "--output", str(folder), "--json"]
    assert main(arguments) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["metadata"]["options"]["particles"] == 40
    assert main(["hitgraphs", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["fingerprint"] == summary["fingerprint"]


def test_csv_goes_to_an_empty_folder_only(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="already holds something; allowed: a new or empty folder"):
        load_dataset({**SMALL, "csv": str(tmp_path)})


def test_events_without_an_edge_are_events() -> None:
    sparse = {"source": "helix", "events": 30, "particles": 2, "eta_high": 0.5, "inefficiency": 0.6}
    dataset = load_dataset(sparse)
    assert len(dataset.graphs) == 30 and "skipped" not in dataset.metadata.options
    assert 0 < sum(graph.num_edges == 0 for graph in dataset.graphs) < 30


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["--particles", "0"], "data: particles: is 0; allowed: 1 or more"),
        (["--noise-share", "1"], "data: noise_share: is 1.0; allowed: 0 or more, 0.95 or less"),
        (["--pt-low", "5", "--pt-high", "2"], "data: pt_low: is 5; allowed: below pt_high, 2"),
        (["--detector", "barell"], "data: detector: is 'barell'; allowed: all, barrel (did you mean barrel?)"),
        (
            ["--features", "eta", "charge"],
            "data: features: has 'charge', and simulated events have no cells; allowed: eta",
        ),
        (["--slope-max", "-1"], "data: slope_max: is -1.0; allowed: 1e-09 or more"),
    ],
)
def test_faults_are_one_line(arguments, fault, capsys) -> None:
    assert main(["helix", *arguments]) == 2
    assert capsys.readouterr().err.splitlines() == [fault]
