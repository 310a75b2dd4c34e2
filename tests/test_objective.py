"""Objectives: reading, combined scores, standings, pruning with several goals."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import ConstantOracle
from registries import restored

from archioptrx.data.sources import load_dataset
from archioptrx.runs.experiment import parse_experiment
from archioptrx.runs.leaderboard import Front, front_numbers, pareto_front, ranked, worth_training_again
from archioptrx.search.schedule import StoppingAsha
from archioptrx.tasks import make_task
from archioptrx.tasks.classification_metrics import ClassifiedRows
from archioptrx.tasks.metrics import LARGE, METRICS, TRACKS, metric, metrics_of
from archioptrx.tasks.options import EdgeOptions, TripletOptions, objective_metrics
from archioptrx.tasks.tracks.scores import track_numbers
from archioptrx.training.objective import COSTS, EDGE, Goal, Objective, Price

Scores = tuple[float, ...]


def read(objective: Any) -> Objective:
    return parse_experiment({"name": "one", "objective": objective}, "one.yaml").objective


def rows(*all_scores: Scores | None) -> list[dict[str, Any]]:
    """Rows of trials with several goals; None: failed."""
    return [
        {"proposal": number, "score": scores[0] if scores else None, "scores": list(scores) if scores else None}
        for number, scores in enumerate(all_scores)
    ]


def proposals(trials: list[dict[str, Any]]) -> list[int]:
    return [row["proposal"] for row in trials]


def dominated(point: Scores, others: list[Scores]) -> bool:
    """Straight from the definition."""
    return any(all(a >= b for a, b in zip(o, point, strict=True)) and o != point for o in others)


score_lists = st.integers(2, 3).flatmap(
    lambda goals: st.lists(st.tuples(*[st.integers(0, 5).map(float)] * goals), min_size=1, max_size=25)
)
"""Few values, so that equal and dominated ones are many."""


@pytest.mark.parametrize(
    ("written", "goals"),
    [
        ({}, [Goal("auc", "max")]),
        ({"metric": None, "mode": "max"}, [Goal("auc", "max")]),
        ("loss", [Goal("loss", "min")]),
        ({"metric": "purity", "mode": "min"}, [Goal("purity", "min")]),
        (["auc", {"metric": "latency"}], [Goal("auc", "max"), Goal("latency", "min")]),
        ({"metric": "auc", "cost": "latency"}, [Goal("auc", "max", Price("latency", 0.2))]),
        (
            [{"metric": "auc", "cost": {"metric": "parameters", "per_doubling": 1}}, "seconds_per_epoch"],
            [Goal("auc", "max", Price("parameters", 1.0)), Goal("seconds_per_epoch", "min")],
        ),
    ],
)
def test_every_form_is_read_and_round_trips(written: Any, goals: list[Goal]) -> None:
    objective = read(written)
    assert objective == Objective(tuple(goals))
    assert read(objective.to_plain()) == objective


def test_what_can_be_named_is_what_the_task_gives() -> None:
    from small_search import small

    from archioptrx.search.run import load_events

    known = objective_metrics(EdgeOptions())
    of_tracks = {track_metric.name for track_metric in metrics_of("edge_classification", TRACKS)}
    event = load_events(small()).data.splits.validation[0]
    task, outputs = make_task("edge_classification"), [ConstantOracle()(event)]
    metrics = task.metrics(outputs, [event])
    of_the_data = {"cut", "cut_logit", "edges", "true_fraction"}
    named = set(known.all) - of_tracks
    assert named | of_the_data == {k for k, v in metrics.items() if not isinstance(v, list)}
    assert of_tracks <= set(track_numbers(task, outputs, [event]))
    assert not set(COSTS) & set(metrics)


def test_bundled_metrics_keep_their_tasks_and_their_sign() -> None:
    def spread(rows: ClassifiedRows) -> float:
        """Distance between the largest and the smallest logit."""
        return float(np.ptp(rows.logits))

    spread.__module__ = "archioptrx.tasks.classification_metrics"
    event = load_dataset({"source": "toy", "num_samples": 1}).graphs[0]
    with restored(METRICS):
        METRICS._modules["spread"] = spread.__module__  # a line of the table
        metric("spread", of=("edges", "triplets"), better=LARGE, tasks=["triplet_classification"])(spread)
        assert METRICS.own() == []
        assert objective_metrics(TripletOptions()).larges == ("spread",)
        assert objective_metrics(EdgeOptions()).larges == ()
        assert "spread" in [known.name for known in make_task("triplet_classification").judging]
        task = make_task("edge_classification")
        assert "spread" not in task.scores([task.perfect(event)], [event])
        METRICS._modules["width"] = spread.__module__
        metric("width", of="edges", better=LARGE, tasks=["edge_classification"])(spread)
        scores = make_task("edge_classification").metrics([task.perfect(event)], [event], bins=True)
        assert scores["width"] == 20 and all("width" in row for row in scores["pt"])


def test_scores_are_turned_so_that_larger_is_better() -> None:
    objective = read(["auc", "parameters", "loss"])
    assert objective.scores({"auc": 0.9, "parameters": 100, "loss": 0.3}) == (0.9, -100.0, -0.3)
    assert [goal.label for goal in objective.goals] == ["auc", "-parameters", "-loss"]
    for missing in ({"auc": 0.9, "parameters": 100}, {"auc": math.nan, "parameters": 1, "loss": 0.1}):
        assert objective.scores(missing) is None


@given(st.floats(0.01, 0.9999), st.floats(0.01, 1e6), st.floats(0.01, 2))
def test_twice_the_cost_pays_if_the_odds_rise_enough(share: float, cost: float, per_doubling: float) -> None:
    goal = Goal("auc", "max", Price("seconds_per_epoch", per_doubling))
    odds = share / (1 - share) * math.exp(per_doubling)
    before = goal.value({"auc": share, "seconds_per_epoch": cost})
    assert before == pytest.approx(goal.value({"auc": odds / (1 + odds), "seconds_per_epoch": 2 * cost}), abs=1e-9)
    assert goal.value({"auc": share, "seconds_per_epoch": 2 * cost}) == pytest.approx(before - per_doubling)


def test_near_one_it_is_the_error_that_counts() -> None:
    goal = Goal("auc", "max", Price("latency", 0.2))
    dear, cheap = {"auc": 1 - 1e-4 / math.exp(0.2), "latency": 2.0}, {"auc": 1 - 1e-4, "latency": 1.0}
    assert goal.value(dear) == pytest.approx(goal.value(cheap), abs=1e-4)


def test_a_combined_score_is_finite_for_every_share_and_missing_for_what_is_none() -> None:
    goal = Goal("auc", "max", Price("parameters"))
    perfect = goal.value({"auc": 1.0, "parameters": 0})
    assert perfect == pytest.approx(-math.log(EDGE), abs=1e-6)
    assert goal.value({"auc": 0.0, "parameters": 1}) == pytest.approx(-perfect)
    assert goal.value({"auc": 1.2, "parameters": 1}) is None and goal.value({"auc": 0.5}) is None
    bad = Goal("purity", "min", Price("parameters"))
    assert bad.value({"purity": 0.1, "parameters": 1}) == pytest.approx(math.log(9))


@given(score_lists)
def test_the_front_is_exactly_what_nothing_dominates(scores: list[Scores]) -> None:
    expected = {n for n, point in enumerate(scores) if not dominated(point, scores)}
    front = pareto_front(rows(*scores, None))
    assert set(proposals(front)) == expected == {n for n, f in front_numbers(rows(*scores)).items() if f == 1}
    assert [row["score"] for row in front] == sorted((row["score"] for row in front), reverse=True)


@given(score_lists)
def test_the_front_grows_with_the_trials(scores: list[Scores]) -> None:
    front = Front()
    for row in rows(*scores, None):
        front.add(row)
    assert sorted(front.scores) == sorted(tuple(row["scores"]) for row in pareto_front(rows(*scores)))


@given(score_lists)
def test_standings_agree_with_dominance(scores: list[Scores]) -> None:
    order = proposals(ranked(rows(None, *scores)))
    assert order[-1] == 0, "a failed trial is last"
    place = {number: at for at, number in enumerate(order)}
    for number, point in enumerate(scores, 1):
        better = [n for n, other in enumerate(scores, 1) if dominated(point, [other])]
        assert all(place[n] < place[number] for n in better)


@given(st.lists(st.tuples(st.integers(0, 9).map(float), st.integers(0, 9).map(float)), min_size=1, max_size=20))
def test_the_best_in_the_first_goal_leads(scores: list[Scores]) -> None:
    assert ranked(rows(*scores))[0]["score"] == max(point[0] for point in scores)


def test_one_goal_is_ranked_by_score_and_the_earlier_first() -> None:
    several = [{"proposal": n, "score": score} for n, score in enumerate((0.5, None, 0.9, 0.5))]
    assert proposals(ranked(several)) == [2, 0, 3, 1]
    assert front_numbers(several) == {} and pareto_front(several) == []
    assert proposals(worth_training_again(several)) == [2, 0, 3]


def test_a_value_that_no_cost_can_be_set_against_is_named() -> None:
    priced = Objective((Goal("adjusted_rand", "max", Price("latency")), Goal("auc")))
    reason = "no score after 3 epochs: adjusted_rand is -0.01; allowed with a cost: a share, 0 to 1"
    assert priced.missing({"adjusted_rand": -0.01, "latency": 1.0, "auc": 0.5}, 3) == reason
    both = priced.missing({"adjusted_rand": -0.01, "latency": 1.0, "auc": None}, 1)
    assert both.startswith("no score after 1 epoch: the validation auc is undefined, adjusted_rand is -0.01;")


def test_a_cheap_network_that_can_do_nothing_is_not_trained_again() -> None:
    trials = rows((0.50, -10.0), (0.99, -9000.0), (0.98, -4000.0), (0.97, -4500.0), (0.51, -11.0))
    assert proposals(ranked(trials))[:3] == [1, 0, 2]
    assert proposals(worth_training_again(trials)) == [1, 2, 3]


@given(score_lists, st.sampled_from([1.5, 2.0, 3.0]))
def test_asha_keeps_the_front_of_a_rung_where_there_is_room(scores: list[Scores], factor: float) -> None:
    asha = StoppingAsha(1, factor)
    for number, point in enumerate(scores):
        pruned = asha.prunes(number, 1, point)
        so_far = scores[: number + 1]
        front = [other for other in so_far if not dominated(other, so_far)]
        room = math.ceil(len(so_far) / factor)
        if point[0] > max((other[0] for other in so_far[:-1]), default=-1.0):
            assert not pruned, "the best in the first goal goes on"
        if point in front:
            assert not pruned or len(front) > room
        elif len(front) >= room:
            assert pruned


@given(st.lists(score_lists, min_size=1, max_size=8))
def test_asha_remembers_curves_of_several_goals(curves: list[list[Scores]]) -> None:
    curves = [[point[:2] for point in curve] for curve in curves]
    pruner, other = StoppingAsha(), StoppingAsha()
    for number, curve in enumerate(curves):
        other.remember(number, curve)
        for epoch, scores in enumerate(curve, 1):
            pruner.prunes(number, epoch, scores)
    assert [pruner.prunes(99, epoch, (3.0, 3.0)) for epoch in (1, 3, 9)] == [
        other.prunes(99, epoch, (3.0, 3.0)) for epoch in (1, 3, 9)
    ]


def test_asha_with_several_goals_counts_the_best_epoch_of_the_first() -> None:
    asha = StoppingAsha(1, 2.0)
    assert not asha.prunes(0, 1, (0.9, -10.0)), "alone"
    assert asha.prunes(1, 1, (0.5, -1.0)), "nothing dominates it, but there is room for one"
    assert not asha.prunes(2, 1, (0.4, -0.5)), "now there is room for two, and it is an end of the front"
    assert asha.prunes(4, 1, (0.3, -20.0))
    assert not asha.prunes(0, 2, (0.8, -10.0)), "0.9 at epoch 1 counts, alone at this rung"
    assert asha.prunes(3, 2, (0.85, -10.0)), "dominated by 0.9"
