"""The ceiling of graphs at the usual options: what the true answers reach, on simulated and real events."""

import importlib.util
import json

import numpy as np
import pytest

from archioptrx.commands import data as data_command
from archioptrx.data.sources import load_dataset
from archioptrx.tasks import make_task
from archioptrx.tasks.tracks.ceiling import ceiling
from archioptrx.tasks.tracks.metrics import Matched, Selection, joined
from archioptrx.tasks.tracks.scores import events_of_task

ACTS = importlib.util.find_spec("acts") is not None


def double_matching(data, least=7, pt=1.0):
    """Efficiency, fake rate and completeness by Acts' double matching, with all tracks of perfect edge scores.

    A half is enough for both. A track that no particle is matched to is a fake.
    """
    task = make_task()
    graphs = list(data.graphs)
    matched = Matched.of(joined(events_of_task(task, [task.perfect(graph) for graph in graphs], graphs)))
    hits = matched.event.hits
    shared, particle = matched.shared, matched.particle
    good = (particle >= 0) & (2 * shared >= np.append(hits, 1)[particle])
    chosen = (matched.event.pt >= pt) & (hits >= least)
    found = np.isin(np.arange(len(hits)), particle[good])
    counted = good & np.append(chosen, False)[particle]
    completeness = (shared[counted] / hits[particle[counted]]).mean()
    assert chosen.sum() > 50
    return found[chosen].mean(), (~good).mean(), completeness


def test_helix():
    efficiency, fakes, completeness = double_matching(load_dataset({"source": "helix", "events": 12, "layers": "all"}))
    assert efficiency >= 0.998 and fakes <= 0.01 and completeness >= 0.98


@pytest.mark.skipif(not ACTS, reason="pyacts isn't installed (extra acts)")
def test_fatras():
    data = load_dataset({"source": "fatras", "events": 1, "particles": 500, "layers": "all", "seed": 77})
    efficiency, fakes, completeness = double_matching(data)
    assert efficiency >= 0.998 and fakes <= 0.01 and completeness >= 0.98


def test_real_events(shared_data):
    """Two particles of event 1000 scatter so much that neither a cut on z0 nor a helix holds their hits."""
    data = load_dataset({"source": "trackml", "path": str(shared_data / "trackml"), "layers": "all"})
    efficiency, fakes, completeness = double_matching(data)
    assert efficiency >= 0.996 and fakes <= 0.01 and completeness >= 0.98


def test_data_prints_what_the_ceiling_is_and_where_it_is_lost(capsys):
    arguments = ["helix", "--events", "2", "--layers", "all"]
    assert data_command.main([*arguments, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)["ceiling"]
    data = load_dataset({"source": "helix", "events": 2, "layers": "all"})
    assert facts == {"matching": "double", "events": 2} | ceiling(make_task(), list(data.graphs), Selection())
    assert 0 < facts["track_efficiency"] < 1 and facts["broken_chains"] > 0
    assert data_command.main(arguments) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("ceiling")]
    efficiency, pieces = facts["track_efficiency"], facts["broken_chains"]
    assert f"track efficiency {efficiency:.4f}, above 1 GeV 1.0000, fakes 0.0000" in line
    assert f"{pieces} particles in pieces, of {facts['particles']} particles of 2 events" in line


def test_large_data_have_the_ceiling_of_their_first_events(monkeypatch, capsys):
    monkeypatch.setattr(data_command, "MOST_HITS", 1000)
    assert data_command.main(["helix", "--events", "4", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ceiling"]["events"] == 2


def test_chains_break_where_true_edges_leave_a_particle_in_pieces():
    (graph,) = load_dataset({"source": "toy", "num_samples": 1}).graphs
    assert ceiling(make_task(), [graph], Selection())["broken_chains"] == 0
    # Without the true edges of the last particle's middle hit it is in pieces.
    hits = (graph.pid == graph.pid.max()).nonzero().ravel()
    graph.y[(graph.edge_index == hits[2]).any(dim=0)] = 0
    assert ceiling(make_task(), [graph], Selection())["broken_chains"] == 1
