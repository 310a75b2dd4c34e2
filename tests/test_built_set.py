"""Folders that `data --output` wrote, as the data of any experiment."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from registries import restored
from test_own_sources import Plain

from archioptrx.commands import data, train
from archioptrx.core.config import bundled_names
from archioptrx.core.errors import InputError
from archioptrx.data.built_set import as_built
from archioptrx.data.description import DataDescription
from archioptrx.data.options import SOURCES, ToyOptions, source
from archioptrx.data.sources import load_dataset, toy, with_path
from archioptrx.data.sources.hitgraphs import write
from archioptrx.data.storage.graph_views import digests_of
from archioptrx.runs.experiment import load_experiment
from archioptrx.runs.overrides import override
from archioptrx.search.setup import prepare

HELIX = {"source": "helix", "events": 3, "particles": 20, "slope_max": 8e-4, "seed": 3}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Folders of built graphs by the source that made them."""
    top = tmp_path_factory.mktemp("built")
    events = top / "events"
    specs: dict[str, dict[str, Any]] = {
        "helix": {**HELIX, "csv": str(events)},
        "trackml": {"source": "trackml", "path": str(events), "slope_max": 8e-4},
        "triplets": {"source": "triplets", "of": {"source": "toy", "num_samples": 3}},
        "line": {"source": "line_graph", "of": HELIX},
        "lines": {"source": "line_graph", "of": {"source": "trackml", "path": str(events), "slope_max": 8e-4}},
    }
    for name, spec in specs.items():
        write(load_dataset(spec), top / name)
    return {name: str(top / name) for name in specs} | {"events": str(events)}


@pytest.mark.parametrize("source", ["trackml", "helix"])
def test_a_source_of_other_files_reads_the_graphs_that_were_built(folders: dict[str, str], source: str) -> None:
    folder = folders[source]
    expected = load_dataset({"source": "hitgraphs", "path": folder})
    loaded = load_dataset({"source": "trackml", "path": folder, "slope_max": 8e-4, "phi_sectors": 8})
    assert loaded.fingerprint == expected.fingerprint and loaded.metadata == expected.metadata
    assert loaded.metadata.source == source and loaded.metadata.options["slope_max"] == 8e-4


def test_options_of_building_that_differ_are_named(folders: dict[str, str]) -> None:
    folder = folders["trackml"]
    content, notes = as_built({"source": "trackml", "path": folder, "phi_sectors": 8, "slope_max": 8e-4, "events": 2})
    assert content == {"source": "hitgraphs", "path": folder, "events": 2}
    assert notes == (f"{folder}: was built with phi_sectors 1, so that phi_sectors 8 has no effect",)


def test_a_source_of_another_one(folders: dict[str, str]) -> None:
    read = {"source": "hitgraphs", "path": folders["trackml"]}
    content, _ = as_built({"source": "triplets", "of": {"source": "trackml", "path": folders["trackml"]}})
    assert content == {"source": "triplets", "of": read}
    content, _ = as_built({"source": "line_graph", "of": {"source": "helix", "path": folders["line"]}})
    assert content == {"source": "hitgraphs", "path": folders["line"]}
    for other in ({"source": "trackml", "path": folders["events"]}, {"source": "toy"}, read):
        assert as_built(other) == (other, ())


@pytest.mark.parametrize("named", [{}, {"source": "hitgraphs"}])
def test_a_folder_under_of_is_data_as_they_are(folders: dict[str, str], named: dict[str, str]) -> None:
    spec = {"source": "line_graph", "of": {**named, "path": folders["line"]}}
    assert as_built(spec) == (spec, ())
    expected = load_dataset({"source": "line_graph", "of": {"source": "line_graph", "of": HELIX}})
    assert load_dataset(spec).graphs[0].chain.tolist() == expected.graphs[0].chain.tolist()


def test_options_without_a_value_in_the_record_are_named_at_every_level(folders: dict[str, str]) -> None:
    helix = {"source": "helix", "path": folders["line"], "slope_max": 0.005}
    _, notes = as_built({"source": "line_graph", "model": "m", "cut": 0.6, "most": 9, "of": helix})
    assert notes == tuple(
        f"{folders['line']}: {text} has no effect"
        for text in (
            "was built without a model, so that model m",
            "is built already, so that cut 0.6",
            "is built already, so that most 9",
            "was built with slope_max 0.0008, so that slope_max 0.005",
        )
    )
    _, notes = as_built({"source": "triplets", "of": {"source": "trackml", "path": folders["line"]}})
    assert notes == (f"{folders['line']}: was built by line_graph of helix, so that source trackml has no effect",)


@pytest.mark.parametrize("trained_on", [{"source": "trackml", "path": "raw"}, {"source": "toy"}])
def test_other_data_of_a_model_are_put_at_the_level_that_they_were_built_for(
    folders: dict[str, str], trained_on: dict[str, Any]
) -> None:
    line, triplets = ({"source": "hitgraphs", "path": folders[name]} for name in ("line", "triplets"))
    triplet_model = {"source": "line_graph", "of": trained_on}
    quadruplet_model = {"source": "line_graph", "of": triplet_model}
    assert with_path(triplet_model, folders["line"]) == line
    assert with_path(quadruplet_model, folders["line"]) == {"source": "line_graph", "of": line}
    of_folder = {"source": "line_graph", "of": line}
    assert with_path(of_folder, folders["line"]) == of_folder
    assert with_path(triplet_model, folders["triplets"]) == {"source": "line_graph", "of": triplets}


def test_a_path_of_an_experiment_is_put_at_the_level_that_it_was_built_for(folders: dict[str, str]) -> None:
    document = {"data": {"source": "line_graph", "cut": 0.6, "of": {"source": "trackml", "slope_max": 0.005}}}
    changed = override(document, {"data.path": folders["line"]}, "file")["data"]
    content, notes = as_built(changed)
    assert content == {"source": "hitgraphs", "path": folders["line"]} and len(notes) == 2
    deeper = override(
        {"data": {"source": "line_graph", "of": document["data"]}}, {"data.path": folders["line"]}, "file"
    )
    assert as_built(deeper["data"]) == ({"source": "line_graph", "of": content}, notes)


@pytest.mark.parametrize("experiment", sorted({*bundled_names("experiments")} - {"samplers"}))  # a study of several
def test_every_bundled_experiment_takes_a_built_folder(folders: dict[str, str], experiment: str) -> None:
    data = load_experiment(experiment, {"data.path": folders["trackml"]}).data
    while data.inner is not None:
        data = data.inner
    assert data.content["source"] == "hitgraphs" and data.content["path"] == folders["trackml"]


def test_a_search_says_what_has_no_effect(folders: dict[str, str]) -> None:
    experiment = load_experiment("trackml", {"data.path": folders["trackml"]})
    warnings = "\n".join(prepare(experiment).warnings)
    assert "was built with phi_sectors 1, so that phi_sectors 8 has no effect" in warnings
    assert "was built with z0_max 200.0, so that z0_max 100 has no effect" in warnings


def test_events_for_a_model_of_built_graphs_are_built_in_the_same_way(folders: dict[str, str]) -> None:
    data = DataDescription({"source": "hitgraphs", "path": folders["trackml"]})
    made = data.made_by(data.load().metadata).at(folders["events"])
    assert made.source == "trackml" and made.content["slope_max"] == 8e-4
    assert made.load().fingerprint == data.load().fingerprint
    other = data.made_by(data.load().metadata).at(folders["helix"])
    assert other.content == {"source": "hitgraphs", "path": folders["helix"]}


def test_graphs_of_other_graphs_are_built_in_the_same_way(folders: dict[str, str]) -> None:
    """Line graphs of events with the cuts of the training; line graphs on disk are read as they are."""
    data = DataDescription({"source": "hitgraphs", "path": folders["lines"]})
    dataset = data.load()
    made = data.other(folders["events"], dataset.metadata)
    assert made.source == "line_graph" and made.inner is not None and made.inner.content["slope_max"] == 8e-4
    for path in (folders["events"], folders["trackml"], folders["lines"]):
        other = data.other(path, dataset.metadata).load(like=dataset.metadata)
        assert sorted(digests_of(other.graphs)) == sorted(digests_of(dataset.graphs))
        if path != folders["events"]:
            single = data.other(str(min(Path(path).glob("*.npz"))), dataset.metadata).load(like=dataset.metadata)
            assert digests_of(single.graphs) == digests_of(dataset.graphs)[:1]
    options = {**dataset.metadata.options, "model": {"weights": "0", "same_data": True}}
    chosen = replace(dataset.metadata, options=options)
    assert data.other(folders["lines"], chosen).content == {"source": "hitgraphs", "path": folders["lines"]}
    with pytest.raises(InputError) as error:
        data.other(folders["events"], chosen)
    assert error.value.faults == (
        f"data: {folders['events']}: the training graphs hold doublets that a model chose, which their folder doesn't "
        f"name; allowed: graphs that `data line_graph --of {folders['events']} --model MODEL --output` writes",
    )


DAMAGED = {
    "[]": "isn't a file of the command `data`; allowed: source and options",
    '{"source": "trackml"': "is not JSON",
    '{"source": "trackml"}': "isn't a file of the command `data`; allowed: source and options",
    '{"source": 3, "options": {}}': "isn't a file of the command `data`; allowed: source and options",
    '{"source": "trackml", "options": []}': "isn't a file of the command `data`; allowed: source and options",
    '{"source": "nothing", "options": {}}': "source is 'nothing'; allowed: acorn, acts, colliderml,",
}


@pytest.mark.parametrize("text", DAMAGED)
def test_a_damaged_or_unknown_record_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "metadata.json").write_text(text)
    (tmp_path / "a_g000.npz").write_bytes(b"")
    for read in (
        lambda: as_built({"source": "trackml", "path": str(tmp_path)}),
        lambda: as_built({"source": "triplets", "of": {"source": "trackml", "path": str(tmp_path)}}),
        lambda: load_experiment("trackml", {"data.path": str(tmp_path)}),
    ):
        with pytest.raises(InputError) as error:
            read()
        (fault,) = error.value.faults
        assert fault.startswith(f"{tmp_path / 'metadata.json'}: {DAMAGED[text]}")


def test_a_source_of_your_own_may_have_such_a_file(tmp_path: Path) -> None:
    with restored(SOURCES):
        source(Plain)(lambda options: toy.load(ToyOptions()))
        (tmp_path / "metadata.json").write_text("[]")
        (tmp_path / "a_g000.npz").write_bytes(b"")
        spec = {"source": Plain.source, "path": str(tmp_path)}
        assert as_built(spec) == (spec, ())


def test_data_and_train_say_which_options_have_no_effect(
    folders: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = folders["trackml"]
    assert data.main(["trackml", folder, "--slope-max", "0.005"]) == 0
    told = [line for line in capsys.readouterr().err.splitlines() if "no effect" in line]
    assert len(told) == 1 and "slope_max" in told[0]
    spec = f"data={{source: trackml, path: {folder}, slope_max: 0.005}}"
    assert train.main(["interaction", "--epochs", "1", "--set", spec, "--output", str(tmp_path / "model")]) == 0
    assert told[0] in capsys.readouterr().err.splitlines()
