"""What the commands say of networks, tasks and data that don't suit each other, and of several targets."""

import json

import numpy as np
import pandas as pd
import pytest
from test_predict import event
from test_tasks_several import TASK, sampled

from archioptrx.commands import evaluate, predict, train
from archioptrx.core.errors import InputError
from archioptrx.data.description import DataDescription
from archioptrx.data.sources import load_dataset
from archioptrx.data.sources.hitgraphs import write
from archioptrx.data.sources.trackml import write_event
from archioptrx.data.triplets import Doublets, triplet_metadata, with_triplets
from archioptrx.graphs.architecture import Architecture
from archioptrx.models.events import own_splits
from archioptrx.models.model_folder import Provenance, load_model, save_model
from archioptrx.models.predictions.prediction import Prediction
from archioptrx.models.predictions.submission import write_triplets
from archioptrx.runs.experiment import load_experiment
from archioptrx.search.run import check_events, load_events
from archioptrx.search.setup import prepare
from archioptrx.tasks import describe_task, make_task
from archioptrx.training.fit import predict as outputs_of
from archioptrx.training.trial import build, weights_of


def untrained(folder, data):
    """A network of two targets for some data, in a folder."""
    dataset, architecture = load_dataset(data), Architecture(sampled(), {})
    network = build(architecture.graph, {}, dataset.metadata, make_task(TASK), seed=1)
    split = {"validation": 0.3, "test": 0.3, "seed": 0}
    provenance = Provenance(DataDescription(data), split, None, dataset.fingerprint, describe_task(TASK), {})
    save_model(folder, architecture, weights_of(network), dataset.metadata, provenance, {})
    return folder


@pytest.fixture
def several(tmp_path):
    """Such a network, and the events that it is for."""
    for number in (7, 8, 9):
        write_event(event(f"event00000000{number}", seed=number), tmp_path / "events")
    data = {"source": "trackml", "path": str(tmp_path / "events")}
    return untrained(tmp_path / "m", data), data


def test_train_says_that_a_network_has_another_target_than_the_task(tmp_path, capsys):
    arguments = ["interaction", "--set", "task.name=node_regression", "--set", "data.num_samples=12"]
    assert train.main([*arguments, "--output", str(tmp_path / "m")]) == 2
    expected = "interaction: targets: score (edge); allowed for node_regression: one of domain node"
    assert capsys.readouterr().err.splitlines()[-1] == expected


def test_a_search_says_that_a_reference_has_another_target_than_the_task():
    experiment = load_experiment("regression", {"data.events": 12, "references": ["interaction"]})
    with pytest.raises(InputError, match=r"^interaction: targets: score \(edge\); allowed for node_regression: one of"):
        check_events(prepare(experiment), load_events(experiment))


def test_evaluate_says_what_other_data_lack(several, tmp_path, capsys):
    _, data = several
    for name, lacking in (("known", ()), ("unknown", ("particles", "particle_id", "particle_index"))):
        write(load_dataset(data), tmp_path / name)
        for file in (tmp_path / name).glob("*.npz"):
            with np.load(file) as content:
                arrays = {key: content[key] for key in content.files if key not in lacking}
            np.savez_compressed(file, **arrays)
    folder = untrained(tmp_path / "of_files", {"source": "hitgraphs", "path": str(tmp_path / "known")})
    assert evaluate.main([str(folder), "--data", str(tmp_path / "known")]) == 0
    assert "score |η|" in capsys.readouterr().out
    assert evaluate.main([str(folder), "--data", str(tmp_path / "unknown")]) == 2
    assert (
        capsys.readouterr().err.splitlines()[-1].startswith("--data: the events have no particles; allowed: a source")
    )


def test_the_cut_of_an_efficiency_is_that_of_the_target_that_has_one(several, capsys):
    folder, _ = several
    assert evaluate.main([str(folder), "--efficiency", "0.9", "--json"]) == 0
    cut = json.loads(capsys.readouterr().out)["score.cut"]
    model = load_model(folder)
    graphs = own_splits(model).validation
    scores = [output[0] for output in outputs_of(model.model, graphs)]
    assert make_task().metrics(scores, graphs, cut=cut)["efficiency"] >= 0.9
    assert make_task().metrics(scores, graphs, cut=min(0.999, cut + 1e-3))["efficiency"] < 0.95
    assert cut != 0.5


def test_predict_finds_the_tracks_of_several_targets_with_another_cut(several, capsys):
    folder, data = several
    arguments = [str(folder), "--data", data["path"], "--cut", "0.999"]
    assert predict.main([*arguments, "--output", str(folder.parent / "out")]) == 0
    assert (pd.read_csv(folder.parent / "out" / "submission.csv").track_id == 0).all()
    names = {str(file.relative_to(folder.parent / "out")) for file in (folder.parent / "out").glob("*/*")}
    assert names == {f"{kind}/event00000000{n}{of}.csv" for n in (7, 8, 9) for kind, of in
                     (("scores", ""), ("outputs", "-parameters"))}  # fmt: skip


def test_scores_of_triplets_name_their_three_hits(several, tmp_path):
    _, data = several
    dataset = load_dataset(data)
    graph = dataset.graphs[0]
    everything = Doublets(graph, dataset.metadata, np.ones(graph.num_edges, dtype=bool))
    both = with_triplets(everything, triplet_metadata(dataset.metadata, scored=False))
    write_triplets("e", [Prediction(both, None, None, {}, both.y_triplet / 2)], tmp_path / "triplets")
    table = pd.read_csv(tmp_path / "triplets" / "e.csv")
    pid = dict(zip(both.hit_id.tolist(), both.pid.tolist(), strict=True))
    pairs = {tuple(pair) for pair in both.hit_id[both.edge_index].T.tolist()}
    assert table.score.max() == 0.5 and len(table) == both.triplet_index.shape[1]
    for inner, middle, outer, score in table.itertuples(index=False):
        assert {(inner, middle), (middle, outer)} <= pairs
        if score:
            assert pid[inner] == pid[middle] == pid[outer] != 0
