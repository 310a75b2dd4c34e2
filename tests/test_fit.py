"""Training: numbers that repeat, best weights, early ends, faults that name their place."""

import copy
import itertools
import math

import pytest
import torch
from graphs import random_graph, toy
from torch import nn

from archioptrx.core.errors import InputError, TrialError
from archioptrx.data.batches import graphs_for, pieces_of
from archioptrx.data.hitgraph import batch_graphs, subgraph
from archioptrx.tasks import make_task
from archioptrx.training.fit import Fitting, evaluate_model, fit, predict
from archioptrx.training.optimizer import rate_factor
from archioptrx.training.settings import Training

TASK = make_task()
DATA = toy(24).split(seed=1)


class SmallNetwork(nn.Module):
    """Edge features, one round of messages, dropout."""

    def __init__(self, width: int = 8, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.encode = nn.Sequential(nn.Linear(5, width), nn.LayerNorm(width), nn.ReLU())
            self.score = nn.Sequential(nn.Linear(3 * width, width), nn.ReLU(), nn.Linear(width, 1))
        self.dropout = nn.Dropout(0.1)

    def forward(self, data):
        start, end = data.edge_index
        edges = self.encode(data.edge_attr)
        nodes = edges.new_zeros(len(data.x), edges.shape[1]).index_add(0, end, edges).index_add(0, start, edges)
        return self.score(self.dropout(torch.cat([nodes[start], nodes[end], edges], dim=1))).squeeze(1)


def run(model=None, train=None, validation=None, **settings):
    model = model or SmallNetwork()
    parts = (DATA.train if train is None else train, DATA.validation if validation is None else validation)
    return model, list(fit(model, TASK, *parts, Training(**{"epochs": 3, "edges_per_step": 500, **settings})))


def numbers(reports):
    return [(r.epoch, r.loss, r.metrics, r.learning_rate, r.gradient_norm) for r in reports]


def weights(model):
    return copy.deepcopy(model.state_dict())


def same(first, second):
    return all(torch.equal(first[key], second[key]) for key in first)


def test_training_learns():
    model, reports = run(epochs=15, learning_rate=0.01, edges_per_step=150)
    assert reports[-1].loss < 0.7 * reports[0].loss
    scores = evaluate_model(model, TASK, DATA.test)
    untrained = evaluate_model(SmallNetwork(), TASK, DATA.test)
    assert scores["auc"] > 0.88 > 0.7 > untrained["auc"]


def test_a_seed_gives_the_same_numbers_whatever_the_global_generator_says():
    torch.manual_seed(1)
    first_model, first = run(seed=5)
    torch.manual_seed(2)
    torch.rand(7)
    second_model, second = run(seed=5)
    assert numbers(first) == numbers(second)
    assert same(weights(first_model), weights(second_model))
    assert numbers(run(seed=6)[1]) != numbers(first)


def test_the_global_generator_is_left_alone():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    run()
    assert torch.equal(before, torch.get_rng_state())


def test_the_best_weights_are_in_the_model_at_the_end():
    model = SmallNetwork()
    by_epoch = {}
    for report in fit(model, TASK, DATA.train, DATA.validation, Training(epochs=6, learning_rate=0.3, warmup=0)):
        by_epoch[report.epoch] = (report, weights(model))
    best = max(by_epoch.values(), key=lambda pair: pair[0].metrics["auc"])
    assert same(best[1], weights(model))
    assert [r.best for r, _ in by_epoch.values()] == [
        r.metrics["auc"] > max([s.metrics["auc"] for s, _ in by_epoch.values()][:k], default=-1)
        for k, (r, _) in enumerate(by_epoch.values())
    ]
    assert best[0].epoch < 6, "or this test shows nothing"
    assert not model.training


def test_a_training_that_is_closed_early_keeps_its_best_weights():
    model = SmallNetwork()
    reports = fit(model, TASK, DATA.train, DATA.validation, Training(epochs=9, learning_rate=0.3, warmup=0))
    by_epoch = [(next(reports).metrics["auc"], weights(model)) for _ in range(4)]
    reports.close()
    assert same(max(by_epoch, key=lambda pair: pair[0])[1], weights(model))


def test_patience_ends_a_training():
    _, reports = run(epochs=50, patience=2, learning_rate=0.5, warmup=0)
    assert len(reports) < 50
    assert [r.best for r in reports[-2:]] == [False, False]


def test_a_training_goes_on_from_a_state_to_the_same_numbers():
    settings = Training(epochs=4, seed=3)
    whole_model, whole = SmallNetwork(), []
    fitting = Fitting(whole_model, TASK, DATA.train, DATA.validation, settings)
    for _ in range(4):
        whole.append(fitting.epoch())
        if fitting.epochs == 2:
            state = fitting.state_dict()
    fitting.close()
    model = SmallNetwork(seed=9)
    rest = list(fit(model, TASK, DATA.train, DATA.validation, settings, state=state))
    assert numbers(rest) == numbers(whole[2:])
    assert same(weights(model), weights(whole_model))


def test_without_validation_the_loss_decides():
    _, reports = run(validation=())
    assert all(r.metrics == {} for r in reports)
    assert reports[0].best


def test_a_validation_set_of_one_class_decides_by_its_loss():
    graph = random_graph(1)
    graph.y[:] = 1
    _, reports = run(validation=[graph])
    assert reports[0].metrics["auc"] is None
    assert reports[0].best


class Breaks(SmallNetwork):
    """Answers NaN from some call on."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.left = after

    def forward(self, data):
        self.left -= 1
        return super().forward(data) * (math.nan if self.left < 0 else 1)


def test_a_loss_that_is_no_number_names_epoch_and_step():
    with pytest.raises(TrialError, match=r"^epoch 1, step 3: the loss is nan$"):
        run(Breaks(2), batch_size=4)
    steps, batches = math.ceil(len(DATA.train) / 4), 1
    with pytest.raises(TrialError, match=r"^epoch 2, step 2: the loss is nan$"):
        run(Breaks(steps + batches + 1), batch_size=4)


def test_scores_that_are_no_numbers_name_the_epoch():
    steps = math.ceil(len(DATA.train) / 4)
    with pytest.raises(TrialError, match=r"^epoch 1, validation: \d+ of \d+ scores aren't finite numbers$"):
        run(Breaks(steps), batch_size=4)


def test_a_failed_training_leaves_finite_weights():
    model = Breaks(2)
    with pytest.raises(TrialError):
        run(model, batch_size=4)
    assert all(torch.isfinite(p).all() for p in model.parameters())


def test_what_can_t_be_trained_is_refused():
    with pytest.raises(InputError, match=r"^training: has no graphs; allowed: at least one$"):
        run(train=())
    with pytest.raises(InputError, match=r"^training: precision bfloat16 needs CUDA; allowed here: float32$"):
        run(precision="bfloat16")
    with pytest.raises(TrialError, match=r"^Identity has no weights to train$"):
        run(nn.Identity())


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "adamax", "sgd"])
def test_every_optimizer_lowers_the_loss(optimizer):
    _, reports = run(optimizer=optimizer, epochs=4, learning_rate=0.01)
    assert reports[-1].loss < reports[0].loss


def test_only_matrices_decay():
    fitting = Fitting(SmallNetwork(), TASK, DATA.train, (), Training(weight_decay=0.1))
    decays = {p.dim() > 1: g["weight_decay"] for g in fitting.optimizer.param_groups for p in g["params"]}
    assert decays == {True: 0.1, False: 0.0}


def test_gradients_are_clipped():
    model = SmallNetwork()
    before = weights(model)
    settings = {"optimizer": "sgd", "learning_rate": 1.0, "warmup": 0, "schedule": "constant", "weight_decay": 0}
    _, reports = run(model, train=DATA.train[:1], validation=(), epochs=1, gradient_clip=1e-3, batch_size=1, **settings)
    step = math.sqrt(sum(float(((model.state_dict()[k] - v) ** 2).sum()) for k, v in before.items()))
    assert step == pytest.approx(1e-3, rel=1e-2)
    assert reports[0].gradient_norm > 1e-2


def test_the_learning_rate_rises_and_falls():
    settings = Training(epochs=10, warmup=0.5)
    factors = [rate_factor(settings, step, 20) for step in range(200)]
    assert factors[:10] == pytest.approx([(k + 1) / 10 for k in range(10)])
    assert all(a >= b for a, b in itertools.pairwise(factors[10:]))
    assert factors[-1] == pytest.approx(0.01)
    constant = Training(epochs=10, warmup=0.5, schedule="constant")
    assert {rate_factor(constant, step, 20) for step in range(10, 300)} == {1.0}


def test_threads_are_set_for_the_training_only():
    before = torch.get_num_threads()
    during = []
    for _ in fit(SmallNetwork(), TASK, DATA.train, (), Training(epochs=1, threads=before + 1)):
        during.append(torch.get_num_threads())
    assert during == [before + 1]
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("parts", [2, 3])
def test_parts_of_passes_are_the_same_training(parts):
    """Same steps, rates and scores as in whole passes, but scores more often. Without warm-up, which counts epochs."""
    settings = {"warmup": 0.0, "batch_size": 2, "learning_rate": 0.01}
    _, passes = run(epochs=2, **settings)
    _, reports = run(epochs=2 * parts, epochs_per_pass=parts, **settings)
    assert sum(report.steps for report in reports) == sum(report.steps for report in passes)
    assert [report.metrics for report in reports[parts - 1 :: parts]] == [report.metrics for report in passes]
    assert reports[parts - 1].learning_rate == passes[0].learning_rate


def test_a_part_goes_on_where_it_was_left():
    settings = Training(epochs=4, epochs_per_pass=2, batch_size=2)
    fitting = Fitting(SmallNetwork(), TASK, DATA.train, DATA.validation, settings)
    fitting.epoch()
    state = fitting.state_dict()
    rest = [fitting.epoch() for _ in range(3)]
    again = Fitting(SmallNetwork(seed=3), TASK, DATA.train, DATA.validation, settings)
    again.load_state_dict(state)
    assert numbers([again.epoch() for _ in range(3)]) == numbers(rest)


def test_parts_without_a_step_are_refused():
    with pytest.raises(InputError, match=r"epochs_per_pass is 9; allowed: up to 8, the steps of a pass"):
        Fitting(SmallNetwork(), TASK, DATA.train[:8], (), Training(epochs_per_pass=9, batch_size=1))


def test_a_training_passes_all_graphs_once():
    with pytest.raises(
        InputError, match=r"epochs_per_pass: is 4; allowed: up to the epochs, 3, or some graphs are nev"
    ):
        Training(epochs=3, epochs_per_pass=4)


def test_large_graphs_are_cut_into_sectors_that_share_no_hit():
    graph = random_graph(1, hits=300, edges=4000)
    pieces = pieces_of(graph, 1000)
    hits = torch.cat([p.hit_id for p in pieces])
    assert len(pieces) == 4
    assert len(hits.unique()) == len(hits)
    edges = {tuple(e) for e in graph.hit_id[graph.edge_index].T.tolist()}
    assert {tuple(e) for p in pieces for e in p.hit_id[p.edge_index].T.tolist()} <= edges
    assert pieces_of(graph, 3000) == [graph]
    del graph.pos
    assert pieces_of(graph, 1000) == [graph]


def test_steps_see_about_the_wanted_number_of_edges():
    fitting = Fitting(SmallNetwork(), TASK, DATA.train, (), Training(edges_per_step=600))
    total = sum(g.num_edges for g in DATA.train)
    assert fitting.batch_size == round(600 * len(DATA.train) / total) > 1
    whole = Fitting(SmallNetwork(), TASK, DATA.train, (), Training(edges_per_step=10, batch_size=3))
    assert (whole.batch_size, len(whole.graphs)) == (3, len(DATA.train))
    assert whole.steps_per_epoch == math.ceil(len(DATA.train) / 3)
    assert graphs_for([random_graph(1, edges=0)], 100) == 1


def test_predictions_are_those_of_single_graphs_and_leave_the_mode():
    model = SmallNetwork().train()
    graphs = DATA.test[:3]
    (joined,) = predict(model, [batch_graphs(graphs)])
    assert torch.allclose(joined, torch.cat(predict(model, graphs)), atol=1e-6)
    assert model.training
    assert not joined.requires_grad


def test_graphs_without_edges_do_no_harm():
    first = DATA.train[0]
    empty = subgraph(first, first.x[:, 0] == first.x[:, 0].min())  # one layer: no edges
    assert empty.num_edges == 0 < len(empty.x)
    _, reports = run(train=[*DATA.train, empty], validation=[*DATA.validation, empty], batch_size=1)
    assert all(math.isfinite(r.loss) for r in reports)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_a_gpu_trains_in_every_precision(precision):
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    model = SmallNetwork()
    settings = Training(epochs=8, learning_rate=0.01, precision=precision, edges_per_step=500)
    reports = list(fit(model, TASK, DATA.train, DATA.validation, settings, device="cuda"))
    assert reports[-1].loss < 0.8 * reports[0].loss
    assert next(model.parameters()).device.type == "cuda"


def test_an_incomplete_last_step_is_left_out_where_asked():
    graphs, task = DATA.train[:7], make_task()
    steps = {
        (size, drop): Fitting(
            SmallNetwork(), task, graphs, [], Training(batch_size=size, drop_last=drop)
        ).steps_per_epoch
        for size in (2, 7, 9)
        for drop in (False, True)
    }
    assert steps == {(2, False): 4, (2, True): 3, (7, False): 1, (7, True): 1, (9, False): 1, (9, True): 1}
    fitting = Fitting(SmallNetwork(), task, graphs, [], Training(batch_size=2, drop_last=True))
    assert fitting.epoch().steps == 3
