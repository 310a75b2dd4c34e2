"""Copies of a graph are recognised by what they hold, and no other graph is taken for one."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from graphs import random_dataset, toy

from archioptrx.core.errors import InputError
from archioptrx.data.copies import (
    GraphMoments,
    KnownGraphs,
    MomentIndex,
    known_events,
    repeated_events,
    repetition,
    shared_events,
)
from archioptrx.data.dataset import Dataset, Metadata, cut_sectors, make_graph
from archioptrx.data.hitgraph import HitGraph
from archioptrx.data.sources import load_dataset


@cache
def events(source: str, seed: int = 0, number: int = 12) -> Dataset:
    """Events of a source."""
    if source == "random":
        return random_dataset(number)
    size = "num_samples" if source == "toy" else "events"
    return load_dataset({"source": source, size: number, "seed": seed})


def disguised(graph: HitGraph, dataset: Dataset, seed: int = 1) -> HitGraph:
    """The same hits and edges in another order, in other scales, with another middle of φ and another name."""
    random = np.random.default_rng(seed)
    hits, edges = random.permutation(len(graph.x)), random.permutation(len(graph.y))
    scale = np.array(dataset.metadata.node_scale)
    physical = graph.x.double().numpy() * scale
    physical[:, 1] = (physical[:, 1] + 0.3 + np.pi) % (2 * np.pi) - np.pi
    other = (700.0, 1.7, 900.0)
    arrays = {
        "x": (physical / np.array(other))[hits].astype(np.float32),
        "edge_index": hits.argsort()[graph.edge_index.numpy()[:, edges]],
        "y": graph.y.numpy()[edges],
    }
    return make_graph(arrays, replace(dataset.metadata, node_scale=other, sectors=1), "other", 0)


@pytest.mark.parametrize("source", ["toy", "helix", "random"])
def test_a_copy_is_found_in_any_disguise(source):
    dataset = events(source)
    known = KnownGraphs(dataset.graphs[:6])
    assert all(known.holds(disguised(graph, dataset)) for graph in dataset.graphs[:6])
    assert not any(known.holds(graph) for graph in dataset.graphs[6:])


@pytest.mark.parametrize("source", ["line_graph", "triplets"])
def test_events_are_known_by_their_hits_where_nodes_are_chains(source):
    helix = {"source": "helix", "events": 3, "particles": 30, "slope_max": 0.002}
    plain = load_dataset(helix)
    made = load_dataset({"source": source, "of": helix})
    names = [graph.event for graph in plain.graphs]
    assert known_events(plain.graphs, made.graphs[:2]) == names[:2]
    assert known_events(made.graphs, plain.graphs[:2]) == names[:2]
    other = load_dataset({"source": source, "of": {**helix, "seed": 5}})
    assert known_events(plain.graphs, other.graphs) == []


def test_no_other_event_is_taken_for_a_copy():
    """Toy events are the most alike: all on the plane z = 0, on the same layers, many with equal numbers of hits."""
    known, others = events("toy", number=300), events("toy", seed=1, number=300)
    known_graphs = KnownGraphs(known.graphs)
    assert not any(known_graphs.holds(graph) for graph in others.graphs)


def test_few_graphs_of_equal_counts_are_compared_and_none_is_missed():
    """Near figures are candidates, wherever they lie in the grid; others of one detector seldom are."""
    draws = np.random.default_rng(0)
    index, count = MomentIndex(), 2000
    moments = draws.lognormal(0, 0.05, (count, 18)) * draws.lognormal(3, 2, 18)
    moments[: count // 2, [0, 1, 2, 6, 7, 8, 12, 13, 14]] = 0.0  # of a plane
    figures = [GraphMoments((10, 20, 5), row) for row in moments]
    for number, of_graph in enumerate(figures):
        index.add(str(number), of_graph)
    for number, of_graph in enumerate(figures):
        shifted = GraphMoments(of_graph.counts, of_graph.moments * (1 + draws.uniform(-9e-5, 9e-5, 18)))
        assert of_graph.near(shifted) and index.holds(shifted)
        assert str(number) in [name for name, _ in index.candidates(shifted)]
        assert not index.holds(shifted, but=str(number))
    compared = sum(len(list(index.candidates(of_graph))) for of_graph in figures)
    assert compared < 5 * count


def test_a_truth_that_differs_is_another_event():
    dataset = toy(3)
    changed = dataset.graphs[0].clone()
    changed.y = 1 - changed.y
    assert not KnownGraphs(dataset.graphs).holds(changed)


def test_events_without_anything_to_tell_are_no_copies():
    empty = make_graph(
        {"x": np.zeros((0, 3), np.float32), "edge_index": np.zeros((2, 0), np.int64), "y": np.zeros(0)},
        toy(3).metadata,
        "e",
        0,
    )
    assert not KnownGraphs([empty]).holds(empty)


def test_a_test_set_with_its_hits_in_another_order_is_refused():
    dataset = events("helix")
    copies = Dataset(tuple(disguised(graph, dataset) for graph in dataset.graphs[:2]), dataset.metadata)
    with pytest.raises(InputError, match=r"^test: holds events of the training data: other; allowed: other events$"):
        dataset.split(test=copies)
    assert torch.is_tensor(dataset.split(test=events("helix", seed=7, number=3)).test[0].x)


@pytest.mark.parametrize("turned", [False, True])
def test_an_event_that_is_divided_in_another_way_is_refused(turned):
    dataset = events("helix", number=4)
    pieces = tuple(piece for graph in dataset.graphs[:2] for piece in cut_sectors(graph, dataset.metadata, 2))
    sectors = Dataset(pieces, replace(dataset.metadata, sectors=2))
    known, test = (sectors, Dataset(dataset.graphs[:1], dataset.metadata)) if turned else (dataset, sectors)
    with pytest.raises(InputError, match=r"^test: holds events of the training data: event000000000"):
        known.split(test=test, by="sectors")


def divided(dataset: Dataset, parts: int, prefix: str, each: bool = False) -> Dataset:
    """φ sectors of renamed events, counted from their middles; with `each` every sector is an event of its own."""
    if parts == 1:
        pieces = [graph.clone() for graph in dataset.graphs]
    else:
        pieces = [piece for graph in dataset.graphs for piece in cut_sectors(graph, dataset.metadata, parts)]
    for piece in pieces:
        piece.event = f"{prefix}{piece.event[-1]}" + (f"_{piece.sector}" if each else "")
    return Dataset(tuple(pieces), replace(dataset.metadata, sectors=parts))


def part_of(dataset: Dataset, *places: int) -> Dataset:
    return Dataset(tuple(dataset.graphs[place] for place in places), dataset.metadata)


@pytest.mark.parametrize("each", [False, True])
@pytest.mark.parametrize(("known", "test"), [(1, 4), (4, 1), (2, 5), (5, 2), (3, 3)])
def test_renamed_sectors_of_training_events_are_no_test_events(known, test, each):
    dataset = events("helix", number=5)
    training = divided(part_of(dataset, 0, 1, 2, 3), known, "a", each)
    pieces = divided(part_of(dataset, 4, 2), test, "b", each)
    with pytest.raises(InputError, match=r"^test: holds events of the training data: b2") as error:
        training.split(test=pieces)
    assert "b4" not in str(error.value)


def test_renamed_sectors_of_other_events_are_test_events():
    """All are of one detector: the layers are the same, and no event is another one's."""
    training, others = events("helix"), events("helix", seed=5)
    for parts, each in ((1, False), (4, False), (4, True)):
        pieces = divided(others, parts, "b", each)
        assert len(training.split(test=pieces).test) == len(pieces.graphs)


def clouds(seed: int, hits: int, strip: float, event: str) -> HitGraph:
    """Hits without edges on ten barrel layers, at z that are whole multiples of a strip's length (mm)."""
    random = np.random.default_rng(seed)
    z = np.round(random.uniform(-1000, 1000, hits) / strip) * strip if strip else random.uniform(-1000, 1000, hits)
    r = random.integers(1, 11, hits) * 100.0
    x = np.stack([r / 1000, random.uniform(-1, 1, hits), z / 1000], axis=1)
    return make_graph({"x": x, "edge_index": np.zeros((2, 0), int), "y": np.zeros(0)}, Metadata("test"), event, 0)


@pytest.mark.parametrize(("hits", "strip"), [(100_000, 0.0), (20_000, 0.05), (3_000, 5.0), (3_000, 50.0)])
def test_places_that_hits_share_by_chance_make_no_event_another(hits, strip):
    known = [clouds(seed, hits, strip, f"a{seed}") for seed in (0, 1)]
    others = [clouds(seed, hits, strip, f"b{seed}") for seed in (2, 3)]
    assert shared_events(others, known) == []
    if strip < 1:
        pieces = cut_sectors(known[1], Metadata("test"), 4)
        assert shared_events(pieces[2:3], known) == ["a1"]


def test_planes_tell_no_events_apart():
    assert shared_events(events("toy", seed=1).graphs, events("toy").graphs) == []
    assert shared_events([clouds(1, 0, 0.0, "b")], [clouds(1, 0, 0.0, "a")]) == []


@pytest.mark.parametrize("source", ["toy", "helix"])
def test_other_events_of_the_same_names_are_allowed(source):
    known, others = events(source), events(source, seed=5)
    assert known.events == others.events
    splits = known.split(test=others)
    assert len(splits.test) == len(others.graphs) and splits.caution == ""


@pytest.mark.parametrize("source", ["toy", "helix"])
def test_events_that_stand_twice_in_one_set_are_found(source):
    dataset = events(source)
    twice = [*dataset.graphs, *(disguised(graph, dataset, 2) for graph in dataset.graphs[:2])]
    for number, graph in enumerate(twice[-2:]):
        graph.event = f"copy{number}"
    assert repeated_events(twice) == ["copy0", "copy1"]
    assert repetition(twice) == "2 of its events are copies of others in it: copy0, copy1"
    assert repetition(twice[:-1]) == "one event is a copy of another: copy0"
    assert repeated_events(dataset.graphs) == [] and repetition(dataset.graphs) == ""
    twice[-1].event = twice[1].event
    assert repeated_events(twice) == ["copy0"], "sectors of one event may be alike"


def test_each_part_of_a_split_says_which_events_it_has_twice():
    dataset, new = events("helix"), events("helix", seed=7, number=3)
    again = new.graphs[0].clone()
    again.event = "again"
    splits = dataset.split(test=Dataset((*new.graphs, again), new.metadata))
    assert splits.caution == "test: one event is a copy of another: again; allowed: each event once"
    more = [graph.clone() for graph in dataset.graphs]
    for graph in more:
        graph.event = f"x{graph.event}"
    caution = Dataset((*dataset.graphs, *more), dataset.metadata).split(0.2, 0.2).caution
    assert "training: " in caution and " are copies of others in it: " in caution


def test_copies_in_other_parts_of_a_split_are_named():
    dataset = events("helix", number=4)
    copies = [disguised(graph, dataset) for graph in dataset.graphs]
    for number, graph in enumerate(copies):
        graph.event = f"copy{number}"
    both = Dataset((*dataset.graphs, *copies), dataset.metadata)
    seeds = [both.split(0.3, 0.3, seed) for seed in range(3)]
    for splits in seeds:
        known = KnownGraphs(splits.train)
        held = [graph.event for graph in (*splits.validation, *splits.test) if known.holds(graph)]
        assert all(name in splits.caution for name in held)
        assert ("holds copies of other events" in splits.caution) or not held
    assert any("holds copies of other events" in splits.caution for splits in seeds)
