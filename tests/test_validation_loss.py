"""The loss in metrics: without chance, and the same whatever the batching; what a training draws is its own."""

import pytest
import torch
from graphs import random_graph, toy
from torch import Tensor, nn

from archioptrx.data.hitgraph import HitGraph, batch_graphs, subgraph
from archioptrx.report.comparison.statistics import RowStatistic
from archioptrx.report.comparison.units import units_of
from archioptrx.tasks import make_task
from archioptrx.tasks.node_embedding import pairs_of, random_pairs
from archioptrx.tasks.task import Task
from archioptrx.training.fit import evaluate_model, fit
from archioptrx.training.settings import Training

TASKS = [
    "edge_classification",
    {"name": "edge_classification", "class_weight": "balanced"},
    {"name": "edge_classification", "class_weight": 3.0},
    {"name": "node_embedding", "random_pairs": 3},
    {"name": "node_embedding", "random_pairs": 0, "distance": "plain"},
    "track_count",
]


def graphs_of_all_sizes() -> list[HitGraph]:
    """Graphs of a source, of which one has a single hit, and which differ in their share of true edges."""
    graphs = toy(5).graphs
    lonely = first_hit(graphs[0])
    graphs[1].y[: graphs[1].num_edges // 2] = 0
    return [*graphs, lonely]


def first_hit(graph: HitGraph) -> HitGraph:
    """The first hit alone."""
    return subgraph(graph, torch.arange(len(graph.x)) == 0)


def outputs_for(task: Task, graph: HitGraph) -> Tensor:
    draws = torch.Generator().manual_seed(len(graph.x))
    width = task.target_width
    assert isinstance(width, int)
    shape = {"edge": (graph.num_edges,), "node": (len(graph.x), width), "graph": (1,)}[task.domain]
    return 0.7 * torch.randn(shape, generator=draws)


@pytest.mark.parametrize("spec", TASKS, ids=str)
def test_metrics_do_not_depend_on_batching(spec: object) -> None:
    task, graphs = make_task(spec), graphs_of_all_sizes()  # type: ignore[arg-type]
    outputs = [outputs_for(task, graph) for graph in graphs]
    single = task.metrics(outputs, graphs)
    for size in (2, 4, 6):
        parts = [slice(first, first + size) for first in range(0, len(graphs), size)]
        batches = [batch_graphs(graphs[part]) for part in parts]
        joined = task.metrics([torch.cat(outputs[part]) for part in parts], batches)
        assert joined == pytest.approx(single, rel=1e-5)
    torch.manual_seed(5)
    assert task.metrics(outputs, graphs) == single, "nothing is drawn"


def test_the_comparison_has_the_loss_of_the_metrics() -> None:
    task = make_task({"name": "edge_classification", "class_weight": "balanced"})
    graphs = graphs_of_all_sizes()[:5] * 2  # of ten graphs, each one is a unit
    outputs = [outputs_for(task, graph) for graph in graphs]
    units = units_of(graphs, None)
    fast = RowStatistic(task, outputs, graphs, units, 0.5)(torch.ones(units.number, dtype=torch.int64).numpy())
    assert fast["loss"] == pytest.approx(task.metrics(outputs, graphs)["loss"], rel=1e-6)


def test_pairs_of_a_training_are_new_each_time_and_follow_its_seed() -> None:
    batch = batch_graphs(toy(3).graphs)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        first, second = random_pairs(batch, 2), random_pairs(batch, 2)
        torch.manual_seed(1)
        assert torch.equal(random_pairs(batch, 2), first) and not torch.equal(first, second)
    for pairs in (first, second):
        assert torch.equal(batch.batch[pairs[0]], batch.batch[pairs[1]]) and (pairs[0] != pairs[1]).all()
    assert torch.equal(random_pairs(batch, 2, fixed=True), random_pairs(batch, 2, fixed=True))


class Points(nn.Module):
    """A linear map of the hits to a plane."""

    def __init__(self) -> None:
        super().__init__()
        self.map = nn.Linear(3, 2)
        with torch.no_grad():
            self.map.weight.copy_(torch.arange(6.0).reshape(2, 3) / 6)
            self.map.bias.zero_()

    def forward(self, graph: HitGraph) -> Tensor:
        points: Tensor = self.map(graph.x)
        return points


def course(seed: int, learning_rate: float = 1e-9) -> list[tuple[float, float]]:
    """Loss and validation loss of each epoch of a training that hardly changes the weights."""
    graphs = toy(6).graphs
    settings = Training(epochs=3, seed=seed, learning_rate=learning_rate, weight_decay=0.0, batch_size=6)
    task = make_task({"name": "node_embedding", "random_pairs": 4})
    reports = fit(Points(), task, graphs[:1], graphs[4:], settings)
    return [(report.loss, report.metrics["loss"]) for report in reports]


def test_each_epoch_of_a_training_sees_other_pairs_and_a_seed_the_same_ones() -> None:
    losses, validation = zip(*course(seed=3), strict=True)
    assert len(set(losses)) == 3, "the weights are the same, so the pairs differ"
    assert max(validation) == pytest.approx(min(validation), rel=1e-6)
    assert course(seed=3) == course(seed=3) and course(seed=4) != course(seed=3)


def test_the_evaluation_of_a_model_does_not_depend_on_the_batch_size() -> None:
    graphs, task = toy(6).graphs, make_task({"name": "node_embedding", "random_pairs": 4})
    alone, together = (evaluate_model(Points(), task, graphs, batch_size=size, bins=False) for size in (1, 6))
    assert alone == pytest.approx(together, rel=1e-5)


def test_a_graph_of_one_hit_has_no_pairs() -> None:
    lonely = first_hit(random_graph(1))
    assert random_pairs(lonely, 3).shape == random_pairs(lonely, 3, fixed=True).shape == (2, 0)
    assert pairs_of(lonely)[0].shape == (2, 0)
