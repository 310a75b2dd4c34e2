"""Files as the stages of acorn leave them: batches of a DataLoader, settings of Lightning, packed files.

No file of acorn's own is at hand: these are made by the classes that acorn uses. PyG's are the real ones; Lightning's
`AttributeDict` is a class of that name, and the real one in the test that is marked `long`.
"""

import gzip
import io
import subprocess
import sys
import types
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from events import barrel_event
from test_acorn import columns, fault_of, prefixed, read, saved
from test_predict import model
from torch_geometric.data import Batch, Data
from torch_geometric.loader import DataLoader

from archioptrx.commands import predict
from archioptrx.core.errors import InputError
from archioptrx.data.sources import load_dataset
from archioptrx.data.sources.trackml import write_event


class AttributeDict(dict):
    """Settings of a stage, as Lightning keeps them."""


@pytest.fixture
def lightning(monkeypatch):
    """A class where Lightning has it, so that files name that place."""
    module = types.ModuleType("lightning.fabric.utilities.data")
    module.AttributeDict = AttributeDict
    monkeypatch.setattr(AttributeDict, "__module__", module.__name__)
    for name in ("lightning", "lightning.fabric", "lightning.fabric.utilities", module.__name__):
        monkeypatch.setitem(sys.modules, name, module)


def loaded(*contents):
    """The batch that a DataLoader makes of events."""
    events = [Data.from_dict({**content, "num_nodes": 5}) for content in contents]
    return next(iter(DataLoader(events, batch_size=len(contents))))


@pytest.mark.parametrize("form", [columns, prefixed])
@pytest.mark.parametrize("event_id", ["000001000", ["000001000"]])
def test_a_learned_stage_leaves_a_batch_with_its_settings(tmp_path, lightning, form, event_id):
    plain = read(saved(tmp_path / "plain" / "event000001000.pyg", form()))
    content = form(event_id=event_id, config=[{"stage": "data_reading"}, AttributeDict(lr=0.1, scales=[float("inf")])])
    batch = loaded(content)
    assert type(batch).__name__ == "DataBatch"
    (tmp_path / "stage").mkdir()
    file = tmp_path / "stage" / "event000001000.pyg"
    torch.save(batch, file)
    assert b"lightning.fabric.utilities.data" in file.read_bytes()
    assert read(file).fingerprint == plain.fingerprint
    packed = tmp_path / "packed" / "event000001000.pyg.gz"
    packed.parent.mkdir()
    packed.write_bytes(gzip.compress(file.read_bytes()))
    assert read(packed.parent).fingerprint == plain.fingerprint


def test_a_batch_of_several_events_is_refused(tmp_path):
    torch.save(loaded(columns(), columns()), tmp_path / "event1.pyg")
    expected = "event1.pyg: holds a batch of 2 graphs; allowed: one event in a file; allowed: event graphs"
    assert fault_of(tmp_path).startswith(expected)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"hello", "can't be read ("),
        (b"", "is empty"),
        (gzip.compress(b"hello", mtime=0), "is cut short or no file of torch.save"),
        (gzip.compress(bytes(2**24 + 1)), "unpacks to more than 16,777,216 bytes, as a bomb does"),
    ],
)
def test_bad_packed_files_are_named(tmp_path, content, message):
    (tmp_path / "event1.pyg.gz").write_bytes(content)
    assert fault_of(tmp_path).startswith(f"event1.pyg.gz: {message}")


def test_packed_files_that_are_cut_are_named(tmp_path):
    stream = io.BytesIO()
    torch.save(Data.from_dict(columns()), stream)
    (tmp_path / "event1.pyg.gz").write_bytes(gzip.compress(stream.getvalue())[:-200])
    assert fault_of(tmp_path).startswith("event1.pyg.gz: can't be read (Compressed file ended before")


class Foreign:
    """A class that no event has."""


def test_a_foreign_class_inside_a_batch_is_refused(tmp_path):
    batch = Batch.from_data_list([Data.from_dict(columns())])
    batch._store.other = Foreign()
    torch.save(batch, tmp_path / "event1.pyg")
    fault = fault_of(tmp_path)
    assert fault.startswith("event1.pyg: holds more than a graph needs (it asks for test_acorn_stages.Foreign)")


PINNED = ("lightning==2.5.5", "lightning-utilities==0.15.2", "torchmetrics==1.8.2")
MAKE = """
import sys, torch
sys.path[:0] = [sys.argv[1], sys.argv[3]]
from lightning.fabric.utilities.data import AttributeDict
from test_acorn import columns
from test_acorn_stages import loaded
torch.save(loaded(columns(config=[AttributeDict(lr=0.1)])), sys.argv[2])
"""


@pytest.mark.long
def test_settings_of_lightning_itself_are_read(tmp_path, request):
    folder, file = tmp_path / "packages", tmp_path / "event1.pyg"
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(folder), *PINNED]
    subprocess.run(install, check=True)
    tests = str(request.path.parent)
    subprocess.run([sys.executable, "-c", MAKE, str(folder), str(file), tests], check=True)
    assert read(file).events == ("event1",)


def test_our_graph_building_runs_on_a_feature_store(tmp_path, capsys):
    """acorn keeps all columns of the hits in the file of the truth, with hits from 0, beside a graph without edges."""
    event = replace(barrel_event(cells=False), hit_id=np.random.default_rng(1).permutation(len(barrel_event().pid)))
    write_event(event, tmp_path / "csv")
    store = tmp_path / "feature_store" / "trainset"
    store.mkdir(parents=True)
    parts = ("hits", "truth", "particles")
    hits, truth, particles = (pd.read_csv(tmp_path / "csv" / f"{event.name}-{part}.csv") for part in parts)
    whole = truth.merge(hits, on="hit_id").assign(region=1, module_index=2)
    whole.to_csv(store / f"{event.name}-truth.csv", index=False)
    particles.assign(pt=1.0, radius=0.0).to_csv(store / f"{event.name}-particles.csv", index=False)
    saved(store / f"{event.name}-graph.pyg", columns(edge_index=None, y=None))
    data = {"source": "trackml", "slope_max": 0.002, "phi_sectors": 2}
    stored = load_dataset({**data, "path": str(store.parent)})
    assert stored.fingerprint == load_dataset({**data, "path": str(tmp_path / "csv")}).fingerprint
    model(tmp_path / "m", {**data, "path": str(store.parent)})
    assert predict.main([str(tmp_path / "m"), "--data", str(store), "--output", str(tmp_path / "out")]) == 2
    assert "or without_edges for a feature store" in capsys.readouterr().err
    file = str(store / f"{event.name}-truth.csv")
    assert predict.main([str(tmp_path / "m"), "--data", file, "--output", str(tmp_path / "out")]) == 0
    assert pd.read_csv(tmp_path / "out" / "submission.csv").hit_id.tolist() == whole.hit_id.tolist()
    truth.to_csv(store / f"{event.name}-truth.csv", index=False)
    with pytest.raises(InputError, match=r"-hits.csv is missing beside it; allowed: hits with it"):
        load_dataset({**data, "path": str(store.parent)})


def test_edges_of_a_feature_store_are_learned(tmp_path):
    for number in range(4):
        events = load_dataset({"source": "toy", "num_samples": 4, "seed": number}).graphs
        (r, phi, z), pid = (events[0].x * torch.tensor([1000, np.pi, 1000])).T, events[0].pid
        order = torch.argsort(r + 10_000 * pid)
        follows = pid[order][1:] == pid[order][:-1]
        pairs = torch.stack([order[:-1][follows], order[1:][follows]])
        content = {"hit_r": r, "hit_phi": phi, "hit_z": z, "hit_id": torch.arange(len(r)), "track_edges": pairs}
        saved(tmp_path / f"event{number}-graph.pyg", content | {"track_particle_id": pid[pairs[0]]})
    inner = {"source": "acorn", "path": str(tmp_path), "without_edges": True}
    assert all(graph.num_edges == 0 for graph in load_dataset(inner).graphs)
    learned = load_dataset({"source": "learned", "of": inner, "epochs": 2, "train_events": 2})
    assert learned.metadata.options["building"]["kept_edges"] > 0
    (tmp_path / "rules.yaml").write_text("hard_cuts: {pt: 1}")
    rules = str(tmp_path / "rules.yaml")
    with pytest.raises(InputError) as error:
        load_dataset({**inner, "acorn_config": rules})
    assert error.value.faults == ("data: acorn_config: stands beside without_edges; allowed: one of the two",)
