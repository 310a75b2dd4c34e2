"""Events that Acts simulates, by the real pyacts: counted in its files, and the same whatever else is written."""

import csv
import json
from collections import defaultdict
from itertools import groupby, pairwise, product

import numpy as np
import pytest
from acts_files import PARTS

from archioptrx.commands.data import main
from archioptrx.core.errors import InputError
from archioptrx.data.options import FatrasOptions, source_at
from archioptrx.data.simulation import fatras
from archioptrx.data.simulation.detector import TRACKML
from archioptrx.data.sources import load_dataset

COMMON = {"layers": "all", "slope_max": 0.001, "particles": 20, "pileup": 2, "pileup_particles": 5, "seed": 3}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Two small events, the graphs of them, and the folder of their CSV files."""
    pytest.importorskip("acts")
    folder = tmp_path_factory.mktemp("fatras") / "csv"
    spec = {"source": "fatras", **COMMON, "events": 2, "csv": str(folder)}
    return load_dataset(spec), folder


def rows(file):
    with file.open(encoding="latin-1", newline="") as stream:
        return list(csv.DictReader(stream))


def tracks_of(folder, event):
    """Steps, layers and numbers of the measurements of each particle, counted row by row."""
    table = {part: rows(folder / f"{event}-{part}.csv") for part in ("measurements", "hits", "measurement-simhit-map")}
    hits_of, tracks = defaultdict(list), defaultdict(list)
    for link in table["measurement-simhit-map"]:
        hits_of[link["measurement_id"]].append(table["hits"][int(link["hit_id"])])
    for measurement in table["measurements"]:
        hits = hits_of[measurement["measurement_id"]]
        assert len({tuple(hit[part] for part in PARTS) for hit in hits}) == 1  # so few particles share none
        module = int(measurement["geometry_id"])
        layer = module // 2**56, module // 2**36 % 2**12
        step = min(int(hit["index"]) for hit in hits)
        tracks[tuple(hits[0][part] for part in PARTS)].append((step, layer, int(measurement["measurement_id"])))
    return [sorted(track) for track in tracks.values()]


def true_pairs_of(track):
    """Numbers of the pairs of measurements in one visit of a layer and the next."""
    visits = [[number for _, _, number in visit] for _, visit in groupby(track, key=lambda step: step[1])]
    return {pair for inner, outer in pairwise(visits) for pair in product(inner, outer)}


def test_the_graphs_are_counted_in_the_files(written):
    dataset, folder = written
    tracks = [track for event in dataset.events for track in tracks_of(folder, event)]
    pairs = [pair for track in tracks for pair in pairwise(track)]
    counts = dataset.metadata.options["building"]
    assert counts["true_edges"] == sum(len(true_pairs_of(track)) for track in tracks) > 300
    assert counts["overlap_pairs"] == sum(a[1] == b[1] for a, b in pairs) > 20
    for graph in dataset.graphs:
        own = tracks_of(folder, graph.event)
        assert len(graph.x) == sum(map(len, own))
        pid = dict(zip(graph.hit_id.tolist(), graph.pid.tolist(), strict=True))
        names = [{pid[number] for _, _, number in track} for track in own]
        assert all(len(name) == 1 for name in names) and len(set.union(*names)) == len(own) == 30
        assert graph.pt.min() >= 0.3 and graph.pt.max() <= 10
        true = set().union(*map(true_pairs_of, own))
        for inner, outer in graph.hit_id[graph.edge_index[:, graph.y.bool()]].T.tolist():
            assert (inner, outer) in true or (outer, inner) in true


def test_an_event_depends_on_seed_and_number_alone(written, tmp_path):
    """One event instead of two, without files or with those of TrackML: its graph is the same."""
    dataset, folder = written
    first = dataset.graphs[0]
    spec = {"source": "fatras", **COMMON, "events": 1}
    for more in ({}, {"csv": str(tmp_path / "trackml"), "csv_format": "trackml"}):
        (graph,) = load_dataset({**spec, **more}).graphs
        assert (graph.x == first.x).all() and (graph.y == first.y).all() and (graph.hit_id == first.hit_id).all()
    (other,) = load_dataset({**spec, "seed": 4}).graphs
    assert other.x.shape != first.x.shape or not (other.x == first.x).all()
    cuts = {"layers": "all", "slope_max": 0.001}
    read = load_dataset({"source": "acts", "path": str(folder), **cuts})
    assert [(a.x == b.x).all() and (a.y == b.y).all() for a, b in zip(read.graphs, dataset.graphs, strict=True)]
    (graph,) = load_dataset({"source": "trackml", "path": str(tmp_path / "trackml"), **cuts}).graphs
    assert len(graph.x) == len(first.x) and graph.pid.unique().tolist() == first.pid.unique().tolist()


def test_the_tables_of_acts_are_the_same_events(tmp_path):
    """Acts writes one event as CSV and as Parquet; `acts` reads the first, `colliderml` the second."""
    acts = pytest.importorskip("acts")
    examples, level = pytest.importorskip("acts.examples"), acts.logging.ERROR
    arrow, schemas = pytest.importorskip("acts.examples.arrow"), pytest.importorskip("acts.arrow")
    options, random = FatrasOptions(particles=20), examples.RandomNumbers(seed=7)
    sequencer = examples.Sequencer(events=1, numThreads=1, logLevel=level, trackFpes=False, outputTimingFile="")
    fatras._particles(sequencer, options, random)
    fatras._detector_response(sequencer, options, random)
    of_hits = {"inputSimHits": "hits", "inputClusters": "clusters", "inputSimHitMeasurementsMap": "hit_measurements"}
    common = {"level": level, "inputParticles": "particles_simulated"}
    sequencer.addAlgorithm(arrow.ArrowParticleOutputConverter(outputTable="a", **common))
    detectors = arrow.makeVolumeIdDetectorResolver({})
    hits = arrow.ArrowSimHitOutputConverter(outputTable="b", detectorResolver=detectors, **common, **of_hits)
    sequencer.addAlgorithm(hits)
    (tmp_path / "csv").mkdir()
    tables = {"a": "particles", "b": "tracker_hits"}
    expected = {"a": schemas.particleSchema(), "b": schemas.simHitSchema()}
    folder = str(tmp_path / "parquet")
    writer = arrow.ParquetWriter(level=level, outputDir=folder, collections=tables, expectedSchemas=expected)
    sequencer.addWriter(writer)
    fatras._writers(sequencer, str(tmp_path / "csv"))
    sequencer.run()
    assert [source_at(tmp_path / name) for name in ("csv", "parquet")] == ["acts", "colliderml"]
    ours, theirs = (load_dataset({"path": str(tmp_path / name), "layers": "all"}) for name in ("csv", "parquet"))
    assert ours.metadata.options["building"] == theirs.metadata.options["building"]
    assert sorted(ours.graphs[0].pt.tolist()) == pytest.approx(sorted(theirs.graphs[0].pt.tolist()))
    with pytest.raises(InputError, match="or for these files the source colliderml"):
        load_dataset({"source": "acts", "path": folder})


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["--particle", "proton"], "data: particle: is 'proton'; allowed: electron, muon, pion (did you mean pion?)"),
        (["--pt-low", "20"], "data: pt_low: is 20; allowed: below pt_high, 10"),
        (["--pileup", "-1"], "data: pileup: is -1; allowed: 0"),
        (["--features", "cells"], "data: features: has 'cells', and events of Fatras have no cells; allowed: eta"),
    ],
)
def test_faults_are_one_line(arguments, fault, capsys):
    assert main(["fatras", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(fault)


def test_without_pyacts_the_extra_is_named(monkeypatch, capsys):
    monkeypatch.setattr(fatras, "PACKAGE", "pyacts-that-nobody-has")
    assert main(["fatras"]) == 2
    assert capsys.readouterr().err == (
        'data source fatras: needs pyacts, which isn\'t installed; allowed: pip install "archioptrx[acts]"\n'
    )


def test_the_digitization_is_that_of_all_volumes():
    entries = fatras.digitization()["entries"]
    assert [entry["volume"] for entry in entries] == list(TRACKML.volumes)
    errors = {entry["volume"]: [axis["stddev"] for axis in entry["value"]["smearing"]] for entry in entries}
    np.testing.assert_allclose(errors[8], [0.0144338, 0.0144338], rtol=1e-5)
    np.testing.assert_allclose(errors[17], [0.0346410, 3.1176915], rtol=1e-5)
    assert json.loads(json.dumps(fatras.digitization())) == fatras.digitization()
