"""`archioptrx compare`: real small models on the same events."""

import json
import shutil
from dataclasses import replace

import pytest
import torch

from archioptrx.commands import compare, train
from archioptrx.data.hitgraph import sorted_graph
from archioptrx.graphs.architecture import Architecture
from archioptrx.models.events import ModelData, events_for
from archioptrx.models.model_folder import load_model
from archioptrx.report.comparison.compare import compare_models
from archioptrx.report.comparison.events import _view, row_order, views_of
from archioptrx.report.comparison.models import ArchitectureTraining, LoadedModel, _experiment
from archioptrx.report.comparison.text import comparison_text
from archioptrx.report.comparison.units import events_of

TOY = ("--set", "data.num_samples=60", "--epochs", "1")


def trained(folder, architecture, *options):
    assert train.main([architecture, *options, "--output", str(folder)]) == 0
    return str(folder)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A copy of the first, and two others: one trained on the same events, one on others of the same source."""
    folder = tmp_path_factory.mktemp("models")
    names = {
        "a": trained(folder / "a", "message_passing", *TOY),
        "b": trained(folder / "b", "interaction", *TOY),
        "other": trained(folder / "other", "message_passing", *TOY, "--set", "split.seed=1"),
    }
    shutil.copytree(folder / "a", folder / "twin")
    return names | {"twin": str(folder / "twin")}


def refused(capsys, *arguments):
    assert compare.main([*map(str, arguments)]) == 2
    return capsys.readouterr().err.splitlines()[-1]


def test_a_model_beside_its_copy(models):
    comparison = compare_models([models["a"], models["twin"]], resamples=200)
    assert [entry.name for entry in comparison.entries] == ["a", "twin"]
    assert comparison.unit == "events" and comparison.units == comparison.events == 9
    twin = comparison.entries[1]
    assert {"auc", "purity", "loss", "track_efficiency", "trackml_score"} <= set(twin.differences)
    defined = [difference for difference in twin.differences.values() if difference.value is not None]
    assert len(defined) > 8
    assert all((difference.value, difference.low, difference.p) == (0.0, None, None) for difference in defined)
    pair = comparison.pair("a", "twin")
    assert (pair.fixes, pair.worsens, pair.p) == (0, 0, 1.0)
    assert pair.rows == comparison.rows > 1000


def test_the_order_of_models_only_turns_signs(models):
    forward, back = (compare_models([models[x], models[y]], resamples=200) for x, y in ("ab", "ba"))
    by_name = {entry.name: entry for entry in back.entries}
    for entry in forward.entries:
        assert entry.metrics == by_name[entry.name].metrics
        assert (entry.parameters, entry.memory) == (by_name[entry.name].parameters, by_name[entry.name].memory)
    auc, mirror = forward.entries[1].differences["auc"], back.entries[1].differences["auc"]
    assert auc.value == -mirror.value != 0
    assert (auc.low, auc.high) == pytest.approx((-mirror.high, -mirror.low))
    pair, other = forward.pair("a", "b"), back.pair("b", "a")
    assert (pair.fixes, pair.worsens) == (other.worsens, other.fixes)
    assert pair.fixes + pair.worsens > 0
    assert forward.pair("b", "a") == other


def test_metrics_are_those_of_evaluate(models, capsys):
    from archioptrx.commands import evaluate

    assert evaluate.main([models["b"], "--cut", "0.3", "--json"]) == 0
    evaluation = json.loads(capsys.readouterr().out)
    assert compare.main([models["a"], models["b"], "--cut", "0.3", "--json", "--resamples", "100"]) == 0
    comparison = json.loads(capsys.readouterr().out)
    entry = comparison["models"][1]
    tracks = evaluation.pop("tracks")
    shared = [name for name in entry["metrics"] if name in evaluation]
    assert {"auc", "loss", "accuracy", "purity_0.7"} <= set(shared)
    for name in entry["metrics"]:
        whole = evaluation[name] if name in evaluation else tracks[name]
        assert entry["metrics"][name]["value"] == (None if whole is None else pytest.approx(whole, rel=1e-5))
    assert comparison["rows"] == evaluation["edges"]
    assert comparison["pairs"][0]["net"] == comparison["pairs"][0]["fixes"] - comparison["pairs"][0]["worsens"]
    interval = entry["metrics"]["auc"]
    assert interval["low"] < interval["value"] < interval["high"]


def test_each_model_at_its_own_cut_of_equal_efficiency(models):
    comparison = compare_models([models["a"], models["b"]], efficiency=0.9, resamples=100)
    first, second = comparison.entries
    assert first.cut != second.cut
    for entry in comparison.entries:
        # Chosen on other events: near to what was asked for.
        assert abs(entry.metrics["efficiency"].value - 0.9) < 0.1


def test_for_reading(models, capsys):
    assert compare.main([models["a"], models["b"], "--resamples", "100"]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 120
    head, _, titles, *rows = text.splitlines()
    assert head.startswith("test events of a: 9 events, ")
    interval = ["95", "%,", "9", "events"]
    assert titles.split() == ["a", *interval, "b", *interval, "difference", *interval]
    assert [row.split()[0] for row in rows[:3]] == ["auc", "average", "accuracy"]
    assert next(row for row in rows if row.startswith("parameters")).split() == [
        "parameters",
        "18,113",
        "20,801",
        "×",
        "1.15",
    ]
    assert "95 %: bootstrap (the same 100 resamples for all models) and Student's t of 9 events" in text
    assert "intervals are about a, b: these weights, on other events" in text
    assert "differences together (Holm's correction)" in text and "by chance about 0." in text
    assert "b fixes " in text and "that a has wrong and worsens" in text


def test_five_models_fit_in_the_width(models, tmp_path, capsys):
    copies = [str(tmp_path / f"copy-{k}") for k in range(3)]
    for folder in copies:
        shutil.copytree(models["a"], folder)
    assert compare.main([models["a"], models["b"], *copies, "--resamples", "100"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 120
    titles = next(line for line in lines if "copy-0" in line)
    assert titles.split() == ["95", "%,", "9", "events", "a", "b", "copy-0", "copy-1", "copy-2"]
    assert any(
        line.startswith("McNemar p with *: holds for all 10 pairs together (Holm's correction): ") for line in lines
    )
    assert sum(line.startswith(("b fixes", "copy")) for line in lines) == 10


def test_an_architecture_is_trained_like_the_model_beside_it(models, tmp_path, capsys):
    again = compare_models([models["a"], "message_passing"], output=tmp_path / "out", resamples=100, seeds=1)
    assert "message_passing: has no weights; trained like a" in capsys.readouterr().err
    entry = again.entries[1]
    assert entry.trained and entry.place == str(tmp_path / "out" / "message_passing")
    # The same architecture, data, settings and seed: the same network.
    assert entry.differences["auc"].value == 0.0
    first, second = (load_model(place) for place in (models["a"], entry.place))
    assert first.provenance == second.provenance
    assert entry.train_seconds > 0 and entry.epochs == 1
    with pytest.raises(Exception, match="holds other files"):
        compare_models([models["a"], "message_passing"], output=tmp_path / "out")


def test_architectures_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert data_files("data", 40, 0) == 0
    options = ("--data", "data", "--epochs", "1", "--resamples", "100", "--seeds", "2")
    assert compare.main(["message_passing", "interaction", *options]) == 0
    output = capsys.readouterr()
    assert "interaction: has no weights; trained on hitgraphs events, 1 epochs, seeds 0 to 1; kept in" in output.err
    assert "trained: models/message_passing-1" in output.out and "trained: models/interaction-1" in output.out
    statement = "message_passing, 2 seeds; interaction, 2 seeds: the architecture, with other seeds and on other events"
    assert statement in output.out
    each = [load_model(f"models/interaction-1/seed-{seed}") for seed in (0, 1)]
    assert [model.provenance.training["seed"] for model in each] == [0, 1]
    assert each[0].provenance.data.source == "hitgraphs"
    experiment, seed, text = _experiment(["x"], [Architecture.load("interaction")], None, ArchitectureTraining())
    assert experiment.data.source == "toy" and seed == 0 and text.endswith("seeds 0 to 2")
    # The folder stands for the architecture: nothing is trained again.
    both = compare_models(["models/message_passing-1", "models/interaction-1"], resamples=100)
    assert "has no weights" not in capsys.readouterr().err
    single = [
        compare_models(["models/message_passing-1/seed-0", name], resamples=100).entries[1].metrics["auc"]
        for name in ("models/interaction-1/seed-0", "models/interaction-1/seed-1")
    ]
    auc = both.entries[1].metrics["auc"]
    assert auc.value == pytest.approx(sum(metric.value for metric in single) / 2)
    # Two seeds leave one degree of freedom each.
    assert auc.high - auc.low > max(metric.high - metric.low for metric in single)
    shutil.copytree("models/message_passing-1/seed-0", "models/interaction-1/seed-2")
    assert "differ in more than the seed" in refused(capsys, "models/interaction-1", "models/message_passing-1")


def test_events_that_a_model_was_trained_on_are_refused(models, tmp_path, capsys):
    line = refused(capsys, models["a"], models["other"])
    assert line.startswith("other: was trained on ") and " of the 9 test events of a (toy0000" in line
    assert line.endswith("allowed: --data PATH of events that no model was trained on")
    # The same events in files, scaled and named otherwise: known by what they are.
    assert data_files(tmp_path / "same", 60, 0) == 0
    assert "b: was trained on 51 of the 60 events in " in refused(
        capsys, models["a"], models["b"], "--data", tmp_path / "same"
    )
    # Before an architecture is trained.
    assert (
        compare.main(["interaction", models["b"], "--data", str(tmp_path / "same"), "--output", str(tmp_path / "x")])
        == 2
    )
    assert "epoch" not in capsys.readouterr().err and not (tmp_path / "x").exists()


def test_training_events_under_other_names_with_other_cuts_are_refused(tmp_path, capsys):
    from archioptrx.commands import data

    events, renamed = tmp_path / "events", tmp_path / "renamed"
    assert data.main(["helix", "--events", "6", "--particles", "20", "--csv", str(events)]) == 0
    renamed.mkdir()
    for file in events.glob("*.csv"):
        shutil.copy(file, renamed / f"event00000050{file.name[13:]}")
    source = ("--epochs", "1", "--set", "data.source=trackml", "--data")
    host = trained(tmp_path / "host", "message_passing", *source, str(events))
    cuts = ("--set", "data.slope_max=0.001", "--set", "split.seed=3")
    other = trained(tmp_path / "other", "message_passing", *source, str(renamed), *cuts)
    tested = events_of(events_for(load_model(host), None).graphs)
    unseen = [f"event00000000{name[13:]}" for name in events_of(events_for(load_model(other), None).graphs)]
    assert not {*tested} & {*unseen}, "the events that one tests on, the other was trained on"
    line = refused(capsys, host, other)
    assert line.startswith(
        f"other: was trained on 1 of the 1 test events of host ({tested[0]}); allowed: --data PATH of"
    )


def data_files(folder, number, seed):
    from archioptrx.commands import data

    return data.main(["toy", "--num-samples", str(number), "--seed", str(seed), "--output", str(folder)])


def test_other_events(models, tmp_path):
    assert data_files(tmp_path / "new", 4, 5) == 0
    comparison = compare_models([models["a"], models["other"]], data=tmp_path / "new", resamples=100)
    assert (comparison.events, comparison.unit, comparison.units) == (4, "φ parts of the graphs", 16)
    assert comparison.entries[1].differences["auc"].low is not None
    assert comparison.entries[1].metrics["track_efficiency"].low is None
    assert any("too few for intervals" in note for note in comparison.notes)


def test_events_that_stand_twice_are_named(models, tmp_path, capsys):
    from archioptrx.commands import data, evaluate

    folder = tmp_path / "twice"
    assert data_files(folder, 3, 5) == 0
    names = sorted(file.stem.partition("_")[0] for file in folder.glob("*.npz"))
    for file in list(folder.glob("*.npz")):
        shutil.copy(file, folder / f"copy{file.name}")
    text = f"3 of its events are copies of others in it: {', '.join(names)}"
    comparison = compare_models([models["a"], models["b"]], data=folder, resamples=100)
    assert f"{folder}: {text}" in comparison.notes
    capsys.readouterr()
    assert evaluate.main([models["a"], "--data", str(folder)]) == 0
    assert f"{folder}: {text}" in capsys.readouterr().err.splitlines()
    assert data.main(["hitgraphs", str(folder)]) == 0
    assert f"data: {text}; allowed: each event once" in capsys.readouterr().err.splitlines()


def test_data_of_another_kind_are_named(models, tmp_path, capsys):
    from archioptrx.commands import data, evaluate, predict

    other = str(tmp_path / "other")
    kind = ("--num-samples", "4", "--seed", "5", "--event-size-max", "20", "--curve-min", "10")
    assert data.main(["toy", *kind, "--output", other]) == 0
    warning = "curve_min 10 (training: 15), event_size_max 20 (training: 12)"
    assert evaluate.main([models["a"], "--data", other]) == 0
    assert f"{other}: is of another kind than the training data: {warning}" in capsys.readouterr().err
    assert predict.main([models["a"], "--data", other, "--output", str(tmp_path / "predicted")]) == 0
    assert warning in capsys.readouterr().err
    comparison = compare_models([models["a"], models["b"]], data=other, resamples=100)
    assert [note for note in comparison.notes if "another kind" in note] == [
        f"{other}: is of another kind than the training data: {warning}"
    ]
    # Other events of the same kind.
    assert data_files(tmp_path / "same", 4, 5) == 0
    assert evaluate.main([models["a"], "--data", str(tmp_path / "same")]) == 0
    assert "another kind" not in capsys.readouterr().err


def test_each_sees_the_events_in_its_own_scales(models):
    host = LoadedModel("a", models["a"], load_model(models["a"]))
    scales = host.model.metadata.node_scale
    wide = replace(host.model.metadata, node_scale=tuple(2 * scale for scale in scales))
    other = LoadedModel("b", models["b"], replace(load_model(models["b"]), metadata=wide))
    (mine, its), notes = views_of([host, other], host, None)
    assert notes == [] and its.same
    assert torch.equal(its.graphs[0].x * 2, mine.graphs[0].x)
    assert torch.equal(its.graphs[0].edge_attr, mine.graphs[0].edge_attr)


def test_edges_in_another_order_are_matched(models):
    graphs = events_for(load_model(models["a"]), None).graphs
    turned = []
    for seed, graph in enumerate(graphs):
        hits = torch.randperm(len(graph.x), generator=torch.Generator().manual_seed(seed))
        place = torch.argsort(hits)
        content = {key: graph[key][hits] for key in ("x", "pid", "hit_id")}
        content |= {"edge_index": place[graph.edge_index], "y": graph.y, "edge_attr": graph.edge_attr}
        turned.append(sorted_graph(content, graph.event, 0))
    turned = turned[::-1]
    order = row_order(graphs, turned)
    every, other = (torch.cat([g.edge_attr for g in some]) for some in (graphs, turned))
    assert not torch.equal(every, other)
    assert torch.equal(every, other[order])
    turned[0].y[0] = 1 - turned[0].y[0]
    assert row_order(graphs, turned) is None
    assert row_order(graphs, turned[1:]) is None


def test_models_with_cuts_of_their_own(tmp_path, capsys):
    data = "data={{source: helix, events: 10, particles: 30, slope_max: {}}}"
    narrow, wide = (
        trained(tmp_path / name, "message_passing", "--set", data.format(cut), "--epochs", "1")
        for name, cut in (("narrow", 6e-4), ("wide", 1e-3))
    )
    comparison = compare_models([narrow, wide], resamples=100)
    assert comparison.pairs == ()
    assert comparison.notes[-1] == "wide: has graphs of its own, so its edges can't be compared one by one"
    assert comparison.entries[1].metrics["auc"].value is not None
    host, other = (LoadedModel(name, name, load_model(name)) for name in (narrow, wide))
    graphs = list(events_for(host.model, None)[0])[::-1]
    view = _view(other, host, ModelData(graphs, True, host.model.metadata), None)
    assert not view.same and events_of(view.graphs) == events_of(graphs)
    assert comparison.rows < sum(graph.num_edges for graph in events_for(load_model(wide), None)[0])


def test_a_task_without_decisions(tmp_path, capsys):
    options = ("--set", "task={name: node_regression, parameters: [charge_over_pt, inverse_pt, phi]}", *TOY)
    first, second = (
        trained(tmp_path / name, "hits", *options, *more) for name, more in (("one", ()), ("two", ("--seed", "1")))
    )
    comparison = compare_models([first, second], resamples=100)
    assert comparison.pairs == () and comparison.rows is None
    assert comparison.unit == "events" and comparison.entries[1].differences["loss"].low is not None
    assert max(map(len, comparison_text(comparison).splitlines())) <= 120


def test_scores_that_mean_something_else_are_not_compared(models, tmp_path, capsys):
    regression = [
        trained(tmp_path / name, "hits", "--set", f"task={{name: node_regression, parameters: [{name}]}}", *TOY)
        for name in ("phi", "inverse_pt")
    ]
    expected = "inverse_pt: differs from phi in parameters [inverse_pt] and [phi]; allowed: models with the same"
    assert refused(capsys, *regression) == expected
    balanced = trained(tmp_path / "x", "interaction", "--set", "task.class_weight=balanced", *TOY)
    comparison = compare_models([models["b"], balanced], resamples=100)
    assert "loss" not in {*comparison.entries[1].differences, *comparison.entries[0].metrics}
    assert "auc" in comparison.entries[1].differences
    assert any("different options of the task, so loss says nothing" in note for note in comparison.notes)


def test_a_trial_is_known_by_its_number(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "experiment.yaml").touch()
    assert compare.main(["run/7", "run/0007"]) == 2
    assert "run/0007: stands twice; allowed: each once" in capsys.readouterr().err.splitlines()


def test_a_file_and_a_folder_of_one_name_are_two_models(models, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(models["b"], tmp_path / "interaction")
    shutil.copytree(models["a"], tmp_path / "interaction.yml")
    comparison = compare_models(["interaction", "interaction.yml"], resamples=100)
    assert [entry.name for entry in comparison.entries] == ["interaction", "interaction.yml"]
    assert len(comparison.pairs) == 2


def test_faults(models, tmp_path, capsys):
    assert refused(capsys, models["a"]) == "compare: 1 given; allowed: at least two models or architectures"
    assert refused(capsys, models["a"], f"{models['a']}/").endswith("/a/: stands twice; allowed: each once")
    line = refused(capsys, models["a"], "interacton")
    assert line.startswith("interacton: no such run, model or architecture; allowed: attention, ")
    assert line.endswith("(did you mean interaction?), or a path")
    assert "hits: targets: answer (node); allowed for edge_classification" in refused(capsys, models["a"], "hits")
    assert refused(capsys, models["a"], models["b"], "--cut", "2") == "--cut: is 2; allowed: between 0 and 1"
    assert refused(capsys, models["a"], models["b"], "--seeds", "0") == "--seeds: is 0; allowed: 1 or more"
    assert refused(capsys, models["a"], models["b"], "--resamples", "5") == "--resamples: is 5; allowed: 100 or more"
    assert refused(capsys, models["a"], tmp_path).endswith(
        "allowed: a folder that `archioptrx train` or `search` wrote"
    )
    (tmp_path / "experiment.yaml").write_text("name: x\n")
    assert "the search has no trained winner yet" in refused(capsys, models["a"], tmp_path)
