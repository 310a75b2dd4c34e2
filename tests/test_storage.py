"""Graphs on disk: files, views, and everything that takes graphs from memory."""

import os
import pickle
import resource
import shutil

import numpy as np
import processes
import pytest
import torch
from graphs import random_arrays, random_dataset, random_graph
from hypothesis import given, settings
from hypothesis import strategies as st
from streams import ON_DISK, dataset
from test_fit import SmallNetwork
from test_stream import assert_same, folder  # noqa: F401  (a fixture)
from torch import nn

from archioptrx.core.errors import InputError
from archioptrx.data.batches import batched, cut, graphs_for
from archioptrx.data.dataset import Dataset, Metadata, make_graph, summary
from archioptrx.data.event import PARTICLE_COLUMNS
from archioptrx.data.hitgraph import HitGraph, graph_digest, subgraph
from archioptrx.data.sources.hitgraphs import write
from archioptrx.data.storage.graph_file import GraphFile, GraphWriter, graph_bytes
from archioptrx.data.storage.graph_views import Changed, Joined, digests_of, facts_of, in_memory
from archioptrx.data.storage.stored import StoredGraphs, cache, remade, write_graphs
from archioptrx.tasks import make_task
from archioptrx.training.fit import evaluate_model, fit
from archioptrx.training.settings import Training

TASK = make_task("edge_classification")


def full_graph(seed: int, hits: int, edges: int, particles: int) -> HitGraph:
    """A graph with masks, particles and triplets."""
    random, arrays = np.random.default_rng(seed), random_arrays(seed, hits, edges)
    edges = arrays["y"].size
    content = {
        **{name: arrays[name] for name in ("x", "edge_index", "y")},
        "edge_mask": random.integers(0, 2, edges),
        "particles": random.normal(size=(particles, len(PARTICLE_COLUMNS))),
        "particle_id": np.arange(particles),
        "particle_index": random.integers(0, particles, hits),
        "triplet_index": random.integers(0, max(1, edges), (2, edges // 2)),
    }
    return make_graph(content, Metadata("test"), "μ", seed)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 12), st.integers(1, 5)), min_size=1, max_size=4))
def test_what_is_written_is_read(tmp_path_factory, sizes):
    graphs = [full_graph(seed, *size) for seed, size in enumerate(sizes)]
    path = tmp_path_factory.mktemp("file") / "a.graphs"
    with GraphWriter(path) as file:
        entries = [file.add(graph) for graph in graphs]
    mapped = GraphFile(path, path.stat().st_size)
    for graph, entry in zip(graphs, entries, strict=True):
        again = mapped.read(entry)
        assert mapped.whole(entry)
        assert {k: v.dtype for k, v in again.to_dict().items() if hasattr(v, "dtype")} == {
            k: v.dtype for k, v in graph.to_dict().items() if hasattr(v, "dtype")
        }
        assert graph_digest(again).hex() == graph_digest(graph).hex() == entry.digest
        assert (entry.event, entry.sector, entry.hits, entry.edges) == ("μ", again.sector, len(again.x), len(again.y))


def test_what_pieces_share_is_written_once(tmp_path):
    graph = full_graph(0, 8, 20, particles=4000)
    pieces = [subgraph(graph, torch.arange(8) < n) for n in (4, 6, 8)]
    with GraphWriter(tmp_path / "a") as file:
        entries = [file.add(piece) for piece in pieces]
        assert file.size < 1.5 * graph_bytes(pieces[0])
    mapped = GraphFile(tmp_path / "a", file.size)
    for piece, entry in zip(pieces, entries, strict=True):
        assert graph_digest(mapped.read(entry)) == graph_digest(piece)


def test_what_is_written_to_a_tensor_never_reaches_the_file(folder):  # noqa: F811
    stored = dataset(limits=ON_DISK)
    stored.graphs[0].x[:] = 7
    stored.graphs.store._mapped.clear()
    assert float(stored.graphs[0].x.max()) <= 1
    assert_same(stored, dataset())


def test_more_than_a_file_s_size_goes_to_further_files(tmp_path):
    graphs = [random_graph(seed, hits=100, edges=900) for seed in range(6)]
    files = write_graphs(tmp_path, "a", iter(graphs), size=int(1.5 * graph_bytes(graphs[0])))
    assert [file.name for file in files] == [f"a{end}.graphs" for end in ("", "-1", "-2")]
    assert [len(file.entries) for file in files] == [2, 2, 2]
    assert write_graphs(tmp_path, "none", []) == []


def test_a_full_disk_is_one_line(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(
            InputError, match=r"can't be written \(File too large\); allowed: ARCHIOPTRX_CACHE=DIR, a fo"
        ):
            write_graphs(tmp_path, "a", [random_graph(0, hits=100, edges=1000)] * 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_view_is_a_sequence(folder):  # noqa: F811
    plain, stored = dataset(), dataset(limits=ON_DISK)
    for place in (slice(None), slice(1, 4), slice(None, None, -2), slice(3, 3)):
        view = stored.graphs[place]
        assert isinstance(view, StoredGraphs)
        assert [g.hit_id.tolist() for g in view] == [g.hit_id.tolist() for g in plain.graphs[place]]
        assert facts_of(view) == facts_of(plain.graphs[place])
    assert stored.graphs[-1].event == "e004"
    with pytest.raises(IndexError):
        stored.graphs[10]
    assert [g.event for g in stored.graphs[2:].take([3, 0])] == ["e002", "e001"]


def test_a_view_is_pickled_as_the_name_of_its_folder(folder):  # noqa: F811
    stored = dataset(12, limits=ON_DISK, edges=2000)
    parts = pickle.dumps(stored.split())
    assert len(parts) < 5000
    code = (
        f"import pickle\nparts = pickle.loads({parts!r})\n"
        "print([g.event for g in parts.test], float(sum(g.x.double().sum() for g in parts.train)))"
    )
    printed = processes.python(code)
    splits = dataset(12, edges=2000, key="memory").split()
    total = float(sum(g.x.double().sum() for g in splits.train))
    assert printed.strip() == f"{[g.event for g in splits.test]} {total}"


def test_a_small_view_is_taken_into_memory_for_a_cluster(folder):  # noqa: F811
    stored = dataset(limits=ON_DISK)
    assert in_memory(stored.graphs, 1000) is stored.graphs
    here = in_memory(stored.graphs, 2**20)
    assert isinstance(here, tuple)
    assert in_memory(here, 0) is here
    shutil.rmtree(stored.graphs.store.folder)
    assert [graph_digest(g) for g in pickle.loads(pickle.dumps(here))] == [graph_digest(g) for g in dataset().graphs]


def test_files_that_go_while_they_are_in_use_are_one_line(folder):  # noqa: F811
    stored = dataset(limits=ON_DISK)
    first = stored.graphs[0]
    shutil.rmtree(stored.graphs.store.folder)
    assert graph_digest(first) == graph_digest(dataset().graphs[0]), "a mapped file stays until it isn't used any more"
    with pytest.raises(
        InputError, match=r"0000004.graphs: can't be read any more \(it is gone\); allowed: start again$"
    ):
        stored.graphs[9]


def test_a_view_of_another_machine_s_folder_is_one_line(folder):  # noqa: F811
    parts = pickle.dumps(dataset(limits=ON_DISK).graphs)
    (entry,) = folder.iterdir()
    entry.rename(folder / "elsewhere")
    with pytest.raises(
        InputError, match=r"can't be read here \(.*\); allowed: a cache that all machines share \(ARCHI"
    ):
        pickle.loads(parts)


@pytest.mark.parametrize("number", [1, 2, 3, 8])
@pytest.mark.parametrize("sectors", [1, 2])
def test_splits_scales_and_summaries_are_those_of_memory(folder, tmp_path, number, sectors):  # noqa: F811
    if number * sectors == 2:
        pytest.skip("two sectors can't be divided into three parts")
    options = {"number": number, "sectors": sectors, "edges": 600}
    plain, stored = dataset(**options), dataset(limits=ON_DISK, **options)
    assert summary(plain) == summary(stored)
    other = Metadata("test", node_scale=(500.0, 1.0, 250.0), sectors=2)
    for plain_data, stored_data in ((plain, stored), (plain.scaled_like(other), stored.scaled_like(other))):
        assert plain_data.fingerprint == stored_data.fingerprint
        first, second = plain_data.split(seed=3), stored_data.split(seed=3)
        assert first.rule == second.rule
        for part in ("train", "validation", "test"):
            known = [graph_digest(g) for g in getattr(first, part)]
            assert known == [graph_digest(g) for g in getattr(second, part)] != []
    assert isinstance(stored.scaled_like(other).graphs, Changed)
    write(plain, tmp_path / "plain")
    write(stored, tmp_path / "stored")
    assert {p.name: p.stat().st_size for p in (tmp_path / "plain").iterdir()} == {
        p.name: p.stat().st_size for p in (tmp_path / "stored").iterdir()
    }


def test_test_events_may_not_be_among_stored_training_events(folder):  # noqa: F811
    stored = dataset(limits=ON_DISK)
    with pytest.raises(
        InputError, match=r"^test: holds events of the training data: e000, e001; allowed: other events$"
    ):
        stored.split(test=Dataset(stored.graphs[:3], stored.metadata))
    assert len(stored.split(test=random_dataset(3)).test) == 3


@pytest.mark.parametrize("edges_per_step", [150, 5000])
def test_training_gives_the_same_numbers_bit_for_bit(folder, edges_per_step):  # noqa: F811
    options = {"number": 8, "sectors": 1, "edges": 600}
    answers = []
    for data in (dataset(**options), dataset(limits=ON_DISK, **options)):
        splits = data.split()
        torch.manual_seed(0)
        model = SmallNetwork()
        settings = Training(epochs=3, edges_per_step=edges_per_step, learning_rate=0.01)
        reports = [report.to_dict() for report in fit(model, TASK, splits.train, splits.validation, settings)]
        for report in reports:
            del report["seconds"], report["train_seconds"]
        scores = evaluate_model(model, TASK, splits.test)
        answers.append((reports, scores, {name: value.tolist() for name, value in model.state_dict().items()}))
    assert answers[0] == answers[1]
    assert len(answers[0][0]) == 3


def test_pieces_go_to_disk_once(folder):  # noqa: F811
    plain, stored = (dataset(limits=limits, edges=600).graphs for limits in (None, ON_DISK))
    pieces, stored_pieces = cut(plain, 150), cut(stored, 150)
    assert isinstance(stored_pieces, StoredGraphs)
    assert [graph_digest(g) for g in stored_pieces] == [graph_digest(g) for g in pieces]
    assert len(stored_pieces) > 3 * len(stored)
    written = {path: path.stat().st_ino for path in folder.rglob("*.graphs")}
    assert [graph_digest(g) for g in cut(stored, 150)] == [graph_digest(g) for g in pieces]
    assert {path: path.stat().st_ino for path in folder.rglob("*.graphs")} == written
    key = cache.key_of(digests_of(stored), 150)
    assert len(remade(map(pytest.fail, ["cut again"]), "pieces", key)) == len(pieces)
    assert cut(stored, 700) is stored
    assert graphs_for(stored_pieces, 300) == graphs_for(pieces, 300) > 1


def test_batches_are_joined_when_they_are_asked_for(folder):  # noqa: F811
    plain, stored = (dataset(limits=limits).graphs for limits in (None, ON_DISK))
    first, second = batched(plain, 4), batched(stored, 4)
    assert isinstance(second, Joined)
    assert len(first) == len(second) == 3
    assert [b.edge_index.tolist() for b in first[1:]] == [b.edge_index.tolist() for b in second[1:]]
    assert [b.event for b in second] == [b.event for b in first]


class Watching(nn.Module):
    """The smallest network of edges, which notes the memory of each step."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(5, 1)
        self.peak = 0

    def forward(self, data: HitGraph) -> torch.Tensor:
        """One logit per edge."""
        self.peak = max(self.peak, anonymous_memory())
        return self.linear(data.edge_attr).squeeze(1)


def anonymous_memory() -> int:
    """Bytes of this process that no file backs: what the system can't drop."""
    with open("/proc/self/status") as status:
        fields = dict(line.split(":", 1) for line in status)
    return int(fields["RssAnon"].split()[0]) * 1024


def epoch_of_much_data(size: int) -> None:
    """Build so many bytes of graphs, train for an epoch on them and say how much memory that took; a process's main."""
    edges = 20_000
    each = graph_bytes(random_graph(0, hits=edges // 2, edges=edges))
    before = anonymous_memory()
    data = dataset(size // each, limits=ON_DISK, edges=edges, sectors=1)
    built = anonymous_memory() - before
    splits = data.split()
    settings = Training(epochs=1, batch_size=2, threads=1)
    model = Watching()
    (report,) = fit(model, TASK, splits.train, splits.validation, settings)
    assert report.steps == -(-len(splits.train) // 2)
    print(len(splits.train) * each, built, model.peak - before)


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs Linux's /proc")
@pytest.mark.parametrize("size", [150e6, pytest.param(2e9, marks=pytest.mark.long)])
def test_data_larger_than_memory_are_streamed(folder, size):  # noqa: F811
    code = f"import test_storage; test_storage.epoch_of_much_data({int(size)})"
    total, built, trained = map(int, processes.python(code, {"ARCHIOPTRX_CACHE": str(folder)}).split())
    assert total > 0.6 * size
    # Steps take the same memory whatever the size; what is known of each graph without its content grows a little.
    assert max(built, trained) < max(0.25 * 150e6, 0.05 * size)
