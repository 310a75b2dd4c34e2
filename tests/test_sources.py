"""Sources: HEP.TrkX files, everything that can be wrong with them."""

import io
import json
import math
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from graphs import graph_faults, random_graph, toy
from hypothesis import given, settings
from hypothesis import strategies as st

from archioptrx.core.errors import InputError
from archioptrx.data.dataset import Dataset, Metadata
from archioptrx.data.description import DataDescription
from archioptrx.data.options import SOURCES
from archioptrx.data.sources import check_spec, load_dataset
from archioptrx.data.sources.hitgraphs import write
from archioptrx.models.events import load_splits

NAMES = ("event1_g000", "event1_g001", "event2_g000", "event2_g001")


def arrays(**changes):
    """A file's content: four hits on three layers, five edges, two of them true."""
    content = {
        "X": np.array([[0.1, -0.2, 0], [0.2, -0.15, 0.1], [0.3, -0.1, 0.2], [0.2, 0.4, -0.3]], np.float32),
        "Ro_rows": np.array([0, 1, 0, 3, 0]),
        "Ro_cols": np.array([0, 1, 2, 3, 4]),
        "Ri_rows": np.array([1, 2, 3, 2, 2]),
        "Ri_cols": np.array([0, 1, 2, 3, 4]),
        "y": np.array([1, 1, 0, 0, 0], np.float32),
    }
    return {key: value for key, value in (content | changes).items() if value is not None}


def folder_of(path: Path, changes=None, names=NAMES, everywhere=False):
    """A folder of good files, the first of them changed, or all."""
    path.mkdir(exist_ok=True)
    for k, name in enumerate(names):
        np.savez(path / f"{name}.npz", **arrays(**(changes or {} if k == 0 or everywhere else {})))
    return path


def read(path, **options):
    return load_dataset({"source": "hitgraphs", "path": str(path), **options})


def faults_of(path, **options):
    with pytest.raises(InputError) as error:
        read(path, **options)
    return [fault.replace(f"{path}/", "") for fault in error.value.faults]


def test_a_file_becomes_a_graph(tmp_path):
    dataset = read(folder_of(tmp_path))
    graph = dataset.graphs[0]
    assert [(g.event, g.sector) for g in dataset.graphs] == [(n[:6], int(n[-1])) for n in NAMES]
    assert graph.edge_index.tolist() == [[0, 1, 3, 0, 0], [1, 2, 2, 2, 3]]
    assert graph.edge_order.tolist() == [0, 1, 3, 4, 2]
    assert graph.y.tolist() == [1, 1, 0, 0, 0]
    assert graph.x.tolist() == arrays()["X"].tolist()
    assert graph_faults(graph) == []
    step = np.array([100, 0.05 * math.pi / 2, 100, 0.05 * math.pi / 2 / 100, -100]) / dataset.metadata.edge_scale
    assert np.allclose(graph.edge_attr[0], step, rtol=1e-5)
    assert np.allclose(graph.pos[3], [200 * math.cos(0.2 * math.pi), 200 * math.sin(0.2 * math.pi), -300], rtol=1e-5)


def test_edges_may_stand_in_any_order_in_both_lists(tmp_path):
    swapped = {"Ro_rows": np.array([0, 3, 0, 1, 0]), "Ro_cols": np.array([4, 3, 2, 1, 0])}
    changed = read(folder_of(tmp_path / "changed", swapped)).graphs[0]
    assert torch.equal(changed.edge_index, read(folder_of(tmp_path / "plain")).graphs[0].edge_index)


WRONG = [
    (
        {"Ri_rows": None},
        "lacks Ri_rows; allowed: X, Ri_rows, Ri_cols, Ro_rows, Ro_cols, and y where the truth is known",
    ),
    ({"X": np.zeros((4, 2))}, "X has the shape [4, 2]; allowed: [hits, 3]"),
    ({"X": np.full((4, 3), np.nan)}, "X holds 12 NaN or infinite numbers; allowed: finite ones"),
    ({"X": np.full((4, 3), "a")}, "X holds <U1; allowed: numbers"),
    ({"X": np.ones((4, 3), bool)}, "X holds bool; allowed: numbers"),
    ({"Ri_rows": np.ones(5, bool)}, "Ri_rows holds bool; allowed: whole numbers"),
    ({"Ri_rows": np.array([1, 2])}, "Ri_rows has the shape [2]; allowed: [5], one number per edge of y"),
    ({"Ri_rows": np.array([1.0, 2, 3, 2, 2])}, "Ri_rows holds float64; allowed: whole numbers"),
    ({"Ri_rows": np.array([1, 2, 3, 2, 4])}, "Ri_rows points outside the 4 hits (4); allowed: 0 … 3"),
    ({"Ro_rows": np.array([0, -1, 0, 3, 1])}, "Ro_rows points outside the 4 hits (-1); allowed: 0 … 3"),
    ({"Ro_cols": np.array([0, 1, 2, 3, 3])}, "Ro_cols doesn't name every edge once; allowed: each of 0 … 4 once"),
    ({"y": np.array([1, 0, 2, 0, 0])}, "y holds 2; allowed: 0 and 1"),
    ({"y": np.array([1, 0, np.inf, 0, 0])}, "y holds 1 NaN or infinite numbers; allowed: finite ones"),
    ({"pid": np.array([1, 2])}, "pid has 2 rows; allowed: as many as X, 4"),
    (
        {"loss_pairs": np.zeros((2, 3), np.int64), "y_loss": np.ones(2)},
        "loss_pairs has the shape [2, 3]; allowed: [pairs, 2]",
    ),
    (
        {"loss_pairs": np.array([[0, 4]]), "y_loss": np.ones(1)},
        "loss_pairs points outside the 4 hits (4); allowed: 0 … 3",
    ),
    (
        {"particle_index": np.array([0, 1, 2, 1]), "particle_id": np.array([0, 7]), "particles": np.zeros((2, 8))},
        "particle_index points outside the 2 particles (2); allowed: 0 … 1",
    ),
    ({"loss_pairs": np.array([[0, 1]])}, "loss_pairs stands without y_loss; allowed: both or neither"),
]


@pytest.mark.parametrize(("changes", "message"), WRONG)
def test_every_fault_of_a_file_is_named(tmp_path, changes, message):
    folder = folder_of(tmp_path, changes)
    assert faults_of(folder) == [f"event1_g000.npz: {message}"]
    dataset = read(folder, skip_bad=True)
    assert len(dataset.graphs) == 3
    assert dataset.metadata.options["skipped"] == 1


def pickled(path):
    np.savez(path, **arrays(pid=np.array([{}, {}, {}, {}], dtype=object)))


def truncated(path):
    np.savez(path, **arrays())
    path.write_bytes(path.read_bytes()[:-200])


def damaged(path):
    np.savez_compressed(path, **arrays(X=np.random.default_rng(0).random((4000, 3))))
    content = bytearray(path.read_bytes())
    content[5000:5100] = bytes(100)
    path.write_bytes(content)


def single_array(path):
    with path.open("wb") as file:
        np.save(file, np.zeros(3))


def foreign_zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")


def bomb(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("X.npy", "w") as member:
        for _ in range(257):
            member.write(bytes(2**20))


def endless(path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**15, 3)})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("X.npy", header.getvalue())
        for name in ("Ri_rows", "Ri_cols", "Ro_rows", "Ro_cols", "y"):
            archive.writestr(f"{name}.npy", header.getvalue())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (bomb, "would unpack to 269,484,032 bytes, "),
        (endless, "can't be read (Unable to allocate "),
        (lambda path: path.write_bytes(b""), "is empty; allowed: an .npz file of HEP.TrkX"),
        (
            lambda path: path.write_text("hit_id,x,y\n1,2,3\n"),
            "is cut short or no .npz file (a zip archive of arrays); ",
        ),
        (pickled, "can't be read (Object arrays cannot be loaded"),
        (truncated, "is cut short or no .npz file (a zip archive of arrays); allowed: an .npz file of HEP.TrkX"),
        (damaged, "can't be read ("),
        (foreign_zip, "lacks X, Ri_rows, Ri_cols, Ro_rows, Ro_cols; allowed: X, Ri_rows"),
        (single_array, "is cut short or no .npz file"),
        (lambda path: path.mkdir(), "is no file; allowed: an .npz file of HEP.TrkX"),
    ],
    ids=["bomb", "endless", "empty", "text", "pickle", "truncated", "damaged", "zip", "npy", "folder"],
)
def test_foreign_and_damaged_files_are_named(tmp_path, make, message):
    folder = folder_of(tmp_path)
    (folder / "event1_g000.npz").unlink()
    make(folder / "event1_g000.npz")
    (fault,) = faults_of(folder)
    assert fault.startswith(f"event1_g000.npz: {message}")
    assert "\n" not in fault


def test_all_faulty_files_are_reported_up_to_a_limit(tmp_path):
    for k in range(37):
        (tmp_path / f"event{k:02d}_g000.npz").write_bytes(b"")
    faults = faults_of(tmp_path)
    assert len(faults) == 21
    assert faults[-1] == "and 17 more"
    assert len(faults_of(tmp_path, skip_bad=True)) == 21, "nothing is left to go on with"


def test_missing_and_empty_folders_are_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere: no such file or folder; allowed: HEP.TrkX graphs such as event"):
        read(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r": holds no \*.npz; allowed: HEP.TrkX graphs such as event000001000_g000"):
        read(tmp_path)


def test_a_name_that_ends_in_g_and_a_number_is_a_whole_event(tmp_path):
    folder = folder_of(tmp_path, names=("tracking0", "tracking1", "tracking2"))
    assert read(folder, sectors=1).events == ("tracking0", "tracking1", "tracking2")


def test_a_data_set_without_any_true_edge_or_truth_is_read(tmp_path):
    for name, nothing in (("zero", {"y": np.zeros(5)}), ("none", {"y": None})):
        folder = folder_of(tmp_path / name, nothing, names=NAMES[:1])
        assert read(folder, sectors=2).graphs[0].y.tolist() == [0] * 5


@pytest.mark.parametrize(
    ("names", "change", "sectors"),
    [
        (NAMES, {}, 2),
        (("event1_g003",), {}, 4),
        (("event1_g000",), {"X": np.array([[0.1, -0.99, 0], [0.2, 0.99, 0.1], [0.3, 0.99, 0.2], [0.2, 0.4, 0]])}, 1),
    ],
)
def test_the_number_of_sectors_is_inferred(tmp_path, names, change, sectors):
    metadata = read(folder_of(tmp_path, change, names)).metadata
    assert metadata.sectors == sectors
    assert metadata.node_scale[1] == pytest.approx(math.pi / sectors)
    assert metadata.options["sectors"].startswith("inferred: ")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"options": []}, "isn't a file of the command `data`: options is (); allowed: options of the source by name"),
        ({"options": {"building": [1]}}, "isn't a file of the command `data`: options.building is [1]; allowed: count"),
        ({"source": "../../evil"}, "isn't a file of the command `data`: source is '../../evil'; allowed: a name with"),
        ({"sectors": 10**400}, "isn't a file of the command `data`: sectors is 1000"),
        ({"embedding": -1}, "isn't a file of the command `data`: embedding is -1; allowed: 0 … 1,000,000"),
        ({"node_scale": [10**400, 1, 1]}, "isn't a file of the command `data`: node_scale is (1000"),
        ({"options": {"signal_pt": 10**400}}, "isn't a file of the command `data`: options.signal_pt is 1000"),
        (
            {"options": {"building": {"edges": 10**400}}},
            "isn't a file of the command `data`: options.building.edges is",
        ),
        (
            {"options": {"building": {"edges": "3"}}},
            "isn't a file of the command `data`: options.building.edges is '3'",
        ),
        ("[" * 20_000, "is nested too deeply"),
    ],
)
def test_a_description_of_data_has_its_types(tmp_path, changes, message):
    dataset = read(folder_of(tmp_path / "raw"))
    write(dataset, tmp_path / "built")
    file = tmp_path / "built" / "metadata.json"
    text = changes if isinstance(changes, str) else json.dumps(json.loads(file.read_text()) | changes)
    file.write_text(text)
    (fault,) = faults_of(tmp_path / "built")
    assert fault.startswith(f"metadata.json: {message}")


@pytest.mark.parametrize("names", [["Δq"], []])
def test_edge_features_that_nobody_knows_are_named(tmp_path, names):
    write(read(folder_of(tmp_path / "raw")), tmp_path / "built")
    file = tmp_path / "built" / "metadata.json"
    facts = json.loads(file.read_text()) | {"edge_features": names, "edge_scale": [1.0] * len(names)}
    file.write_text(json.dumps(facts))
    assert "; allowed: Δr, " in faults_of(tmp_path / "built")[0]


def test_whole_coordinates_are_read_as_any_others(tmp_path):
    """Unsigned numbers wrap where one is taken from a larger one: a step in φ would look like one across ±π."""
    whole = np.array([[1, 1, 0], [1, 0, 1], [2, 1, 1], [2, 0, 0]])
    names = [f"event1_g{number:03d}" for number in range(4)]
    first, second = (
        read(folder_of(tmp_path / kind, {"X": whole.astype(kind)}, names, everywhere=True))
        for kind in ("float64", "uint8")
    )
    assert first.metadata.sectors == second.metadata.sectors == 4
    assert torch.equal(first.graphs[0].edge_attr, second.graphs[0].edge_attr)


def test_halves_of_z_are_no_phi_sectors(tmp_path):
    for k in range(8):
        half = np.abs(arrays()["X"]) * [1, 1, -1 if k % 2 else 1] + [0, 0, -1e-3 if k % 2 else 1e-3]
        np.savez(tmp_path / f"event1_g{k:03d}.npz", **arrays(X=half))
    assert read(tmp_path).metadata.sectors == 4


def test_sectors_that_can_t_be_told_must_be_given(tmp_path):
    folder = folder_of(tmp_path, names=("event1_g000", "event2_g000"))
    (fault,) = faults_of(folder)
    assert "one graph an event doesn't give the number of sectors" in fault
    assert read(folder, sectors=8).metadata.sectors == 8
    assert read(folder / "event1_g000.npz", sectors=1).metadata.options["sectors"] == "given"


def test_pairs_of_the_loss_and_embeddings_are_written_and_read_again(tmp_path):
    graph = random_graph(1)
    graph.embedding = torch.rand(12, 4)
    graph.loss_index, graph.y_loss = torch.tensor([[3, 1, 5], [2, 11, 0]]), torch.tensor([1.0, 0.0, 1.0])
    graph.edge_attr, graph.pos = None, None
    write(Dataset((graph,), Metadata("test", embedding=4)), tmp_path / "new")
    dataset = read(tmp_path / "new")
    assert dataset.metadata.widths == {"x": 3, "pos": 3, "edge_attr": 5, "embedding": 4}
    for key in ("embedding", "loss_index", "y_loss"):
        assert torch.equal(dataset.graphs[0][key], graph[key]), key


def test_the_first_events_by_name_are_read_whole(tmp_path):
    path = folder_of(tmp_path, names=("event2_g000", "event1_g001", "event3_g000", "event1_g000"))
    event_sectors = [(g.event, g.sector) for g in read(path, sectors=2, events=2).graphs]
    assert event_sectors == [("event1", 0), ("event1", 1), ("event2", 0)]
    assert read(path, sectors=2, events=3).fingerprint == read(path, sectors=2, events=99).fingerprint
    assert faults_of(path, events=0) == ["data: events: is 0; allowed: 1 or more"]


def test_a_limit_of_events_is_not_for_test_events(tmp_path):
    names = [f"event{k}_g000" for k in range(9)]
    searched = folder_of(tmp_path / "searched", names=names[:4])
    others = folder_of(tmp_path / "others", names=names[4:])
    for k, file in enumerate(sorted(others.iterdir())):
        np.savez(file, **arrays(X=arrays()["X"] + np.array([0, 0, (k + 1) / 1000], np.float32)))
    data = {"source": "hitgraphs", "path": str(searched), "sectors": 1, "events": 3}
    _, splits, _ = load_splits(DataDescription(data), {"validation": 0.3, "test": 0.1, "seed": 0}, str(others))
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (2, 1, 5)


def test_a_model_s_metadata_bring_its_sectors_and_scales(tmp_path):
    model = Metadata("test", sectors=4, node_scale=(500.0, math.pi / 4, 1000.0))
    spec = {"path": str(folder_of(tmp_path / "one", names=("event1_g000",)))}
    dataset = load_dataset(spec, like=model)
    assert (dataset.metadata.sectors, dataset.metadata.node_scale) == (4, model.node_scale)
    assert torch.allclose(dataset.graphs[0].x, torch.tensor(arrays()["X"]) * torch.tensor([2.0, 1.0, 1.0]))
    whole = {"X": np.array([[0.1, -0.99, 0], [0.2, 0.99, 0.1], [0.3, 0.99, 0.2], [0.2, 0.4, 0]])}
    wrapping = {"path": str(folder_of(tmp_path / "whole", whole, names=("event1_g000",)))}
    dataset = load_dataset(wrapping, like=model)
    assert dataset.metadata.sectors == 1
    assert float(dataset.graphs[0].x[0, 1]) == pytest.approx(-0.99 * 4), "the same angle in the model's unit"


def test_zero_is_a_particle_where_a_true_edge_says_so(tmp_path):
    zero = read(folder_of(tmp_path / "zero", {"pid": np.array([0, 0, 0, 5])}, everywhere=True)).graphs[0]
    assert zero.pid.tolist() == [1, 1, 1, 6]
    noise = read(folder_of(tmp_path / "noise", {"pid": np.array([7, 7, 7, 0])}, everywhere=True))
    assert noise.graphs[0].pid.tolist() == [7, 7, 7, 0]
    assert "pid" not in noise.metadata.options


@pytest.mark.parametrize(("changes", "label"), [({"pid": np.array([7, 7, 7, 0])}, "pid"), ({"y": None}, "truth")])
def test_what_one_file_knows_all_know(changes, label, tmp_path):
    allowed = "allowed: the same arrays for all events"
    verb, other_verb = ("has", "lacks") if changes.get("y", 1) is None else ("lacks", "has")
    faults = faults_of(folder_of(tmp_path, changes))
    assert faults == [f"{name}: {verb} {label}, which event1_g000 {other_verb}; {allowed}" for name in NAMES[1:]]
    np.savez(tmp_path / "event1_g000.npz", **arrays())
    np.savez(tmp_path / "event2_g001.npz", **arrays(**changes))
    assert [graph.event for graph in read(tmp_path, skip_bad=True).graphs] == ["event1", "event1", "event2"]


def test_two_files_of_one_event_and_sector_are_refused(tmp_path):
    folder = folder_of(tmp_path, names=("event1_g0", "event1_g000", "event2_g000"))
    allowed = "allowed: events and sectors of their own"
    assert faults_of(folder) == [f"event1_g000.npz: is event1 sector 0, as is event1_g0.npz; {allowed}"]


def test_a_sector_beyond_all_numbers_is_refused(tmp_path):
    name = f"event1_g{10**20}"
    (fault,) = faults_of(folder_of(tmp_path, names=(name,)), sectors=2)
    assert fault == f"{name}.npz: sector is {10**20}; allowed: 0 … 999,999,999"


@settings(max_examples=8)
@given(st.integers(0, 99), st.integers(1, 6))
def test_written_data_are_read_to_the_same_fingerprint(tmp_path_factory, seed, events):
    dataset = toy(events, seed=seed)
    folder = tmp_path_factory.mktemp("data") / "toy"
    write(dataset, folder)
    again = read(folder)
    assert again.fingerprint == dataset.fingerprint
    assert again.metadata == dataset.metadata


def test_edges_are_written_in_the_callers_order(tmp_path):
    weighted = {"edge_weight": np.arange(5, dtype=np.float32)}
    named = {"pid": np.array([1, 1, 1, 0]), "hit_id": np.array([9, 8, 7, 6])}
    dataset = read(folder_of(tmp_path / "in", {**named, **weighted}, everywhere=True))
    write(dataset, tmp_path / "out")
    with np.load(tmp_path / "out" / "event1_g000.npz") as written:
        for key, value in arrays().items():
            assert np.array_equal(written[key], value), key
        assert written["hit_id"].tolist() == [9, 8, 7, 6]
        assert written["edge_weight"].tolist() == [0, 1, 2, 3, 4]


def test_a_folder_that_holds_something_is_not_written_to(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match=r"already holds something; allowed: a new or empty folder$"):
        write(toy(2), tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_metadata_that_aren_t_ours_or_contradict_are_named(tmp_path):
    write(toy(3), tmp_path / "toy")
    with pytest.raises(InputError, match=r"sectors is 4; allowed: 1, by its metadata.json$"):
        read(tmp_path / "toy", sectors=4)
    for text in (
        "{",
        "[]",
        json.dumps({"colour": 1}),
        json.dumps({"source": "toy", "node_scale": [1.0]}),
        '{"source": "x", "sectors": 0}',
    ):
        (tmp_path / "toy" / "metadata.json").write_text(text)
        with pytest.raises(InputError, match=r"metadata.json: is(n't a file of the command `data`| not JSON)"):
            read(tmp_path / "toy")


@pytest.mark.parametrize(
    ("spec", "faults"),
    [
        ({"source": "toys"}, [f"data: source: is 'toys'; allowed: {', '.join(sorted(SOURCES))} (did you mean toy?)"]),
        (
            {"source": "hitgraphs"},
            ["data: path: is missing; allowed: a folder of .npz files or one of them, also as --data PATH"],
        ),
        ({"path": "x", "sectors": 0}, ["data: sectors: is 0; allowed: 1 or more"]),
        ({"path": "x", "sectors": "four"}, ["data: sectors: is 'four'; allowed: auto"]),
        (
            {"num_samples": -3, "curve_min": 60, "colour": 1},
            [
                "data: num_samples: is -3; allowed: 1 or more",
                "data: curve_min: is 60.0; allowed: curve_max or less, 50.0",
                "data: colour: is unknown; allowed: curve_max",
            ],
        ),
        (
            {"curve_min": 0.5},
            ["data: curve_min: is 0.5: no track that reaches two layers; allowed: 1 or more"],
        ),
        ({"max_angle": 7.0}, ["data: max_angle: is 7; allowed: 2π rad or less"]),
    ],
)
def test_wrong_descriptions_are_named_all_at_once(spec, faults):
    with pytest.raises(InputError) as error:
        load_dataset(spec)
    assert len(error.value.faults) == len(faults)
    assert all(ours.startswith(start) for ours, start in zip(error.value.faults, faults, strict=True))


def test_a_description_is_checked_without_torch():
    code = (
        "import sys\n"
        "from archioptrx.data.sources import check_spec\nfrom archioptrx.tasks.options import read_task\n"
        "from archioptrx.training.settings import Training\n"
        "faults = []\ncheck_spec({'source': 'toy'}, 'x: data', faults)\n"
        "read_task('edge_classification', 'x: task', faults)\n"
        "Training.read({'epochs': 0}, 'x: training', faults)\nprint(faults, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['x: training.epochs: is 0; allowed: 1 or more'] False"
    assert check_spec({"source": "toy"}, "x", []) is not None
