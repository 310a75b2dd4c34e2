"""Effects of choices: numbers that a person can check, planted effects, and how often intervals err."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archioptrx.runs.effects import Effect, best_curve_of, effect_of, effects_of, standings
from archioptrx.runs.trial_choices import TrialChoice, choices_of

CURVES = st.lists(st.lists(st.sampled_from([0.1, 0.2, 0.5, 0.9]), min_size=1, max_size=4), min_size=2, max_size=12)


def trial(number: int, curve: list[float], status: str = "finished", **values: Any) -> dict[str, Any]:
    row = {
        "proposal": number,
        "status": status,
        "curve": curve,
        "score": max(curve) if curve else None,
        "hyperparameters": {},
        "parameters": 100,
        "trace": {"decisions": []},
    }
    return row | values


def line(*functions: str) -> dict[str, Any]:
    size = {"steps": len(functions), "executed": 3, "rounds": 0, "loops": 0, "depth": 2}
    return {"graph": {"steps": [{"function": name} for name in functions]}, "size": size}


@given(CURVES)
def test_a_standing_is_the_share_of_the_pairs_that_are_won_at_equal_epochs(curves: list[list[float]]) -> None:
    best = [[max(curve[: epoch + 1]) for epoch in range(len(curve))] for curve in curves]
    wins = [0.0] * len(best)
    for first, second in permutations(range(len(best)), 2):
        both = min(len(best[first]), len(best[second])) - 1
        mine, its = best[first][both], best[second][both]
        wins[first] += 1.0 if mine > its else 0.5 if mine == its else 0.0
    shares = standings(best)
    assert shares.tolist() == pytest.approx([won / (len(best) - 1) for won in wins])
    assert shares.mean() == pytest.approx(0.5)


def test_a_pruned_trial_is_not_held_to_epochs_that_it_never_had() -> None:
    # Ahead after one epoch, when it was stopped; the others gained in the epochs that it wasn't given.
    shares = standings([[0.8], [0.7, 0.95], [0.6, 0.99]])
    assert shares.tolist() == [1.0, 0.0, 0.5]


def test_the_best_epoch_is_the_first_goals_for_all_goals() -> None:
    row = trial(0, [0.5, 0.7, 0.6], curves=[[0.5, -30.0], [0.7, -20.0], [0.6, -10.0]])
    assert best_curve_of(row) == [0.5, 0.7, 0.7]
    assert best_curve_of(row, 1) == [-30.0, -20.0, -20.0]


def test_an_effect_by_hand() -> None:
    chosen = np.array([True, True, True, False, False, False, False])
    scope = np.array([True] * 6 + [False])  # the last could not make it
    standing = np.array([0.9, 0.7, 0.8, 0.2, 0.3, 0.4, 0.6])
    effect = effect_of(TrialChoice("function", "f", chosen, scope), standing)
    assert (effect.trials, effect.others) == (3, 3)
    assert effect.difference == pytest.approx(0.5) and effect.standing == pytest.approx(0.8)
    # Squares: 0.02 on each side, so a pooled variance of 0.04 / 4; error sqrt(0.01 * 2/3); t(0.975, 4) = 2.7764.
    reach = 2.776445 * (0.01 * 2 / 3) ** 0.5
    assert (effect.low, effect.high) == (pytest.approx(0.5 - reach), pytest.approx(0.5 + reach))
    assert effect.p == pytest.approx(0.0036, abs=2e-4)  # t = 6.12
    assert effect.clear and effect.sure == pytest.approx(0.5 - reach)


def test_two_trials_with_a_choice_have_no_interval() -> None:
    chosen = np.array([True, True, False, False, False])
    effect = effect_of(TrialChoice("function", "f", chosen, np.ones(5, dtype=bool)), np.linspace(1, 0, 5))
    assert effect.few and (effect.low, effect.p) == (None, None) and effect.difference == pytest.approx(0.625)


def test_no_difference_of_standings_is_beyond_one() -> None:
    made = np.array([True] * 3 + [False] * 3)
    found = effect_of(TrialChoice("function", "f", made, np.ones(6, dtype=bool)), np.array([1, 1, 0.5, 0.5, 0, 0]))
    assert found.high == 1.0 and found.difference == pytest.approx(2 / 3)


def test_effects_without_spread_have_no_width() -> None:
    chosen = np.array([True] * 3 + [False] * 3)
    same = effect_of(TrialChoice("function", "f", chosen, np.ones(6, dtype=bool)), np.full(6, 0.5))
    assert (same.low, same.high, same.p) == (0.0, 0.0, 1.0) and not same.clear


def test_choices_by_hand() -> None:
    merging = {"decisions": [["merge", "x", "add"], ["value", "x", "x3"], ["iterations", "0", "2"]]}
    other = {"decisions": [["merge", "x", "concat"]]}
    rows = [
        trial(4, [0.5], hyperparameters={"hidden": 16}, trace=merging, parameters=10),
        trial(2, [0.6], hyperparameters={"hidden": 32}, trace=other, parameters=20),
        trial(9, [0.7], hyperparameters={"hidden": 32}, parameters=30),
    ]
    choices = choices_of(rows, {4: line("f", "f", "g"), 2: line("g"), 9: line("f", "g")})
    by_name = {choice.name: (choice.chosen_by.tolist(), choice.scope.tolist()) for choice in choices}
    every = [True] * 3
    assert by_name["f"] == ([True, False, True], every)
    assert by_name["f, twice or more"] == ([True, False, False], every)
    assert "g" not in by_name  # all have it
    assert by_name["merge at x: add"] == ([True, False, False], [True, True, False])
    assert by_name["hidden 32"] == ([False, True, True], every)
    assert by_name["parameters 20"] == ([False, True, False], every)
    assert by_name["steps 3"] == ([True, False, False], every)
    assert not any(
        "x3" in name or name.startswith("loop 1") for name in by_name
    )  # a value's number; nobody could differ


def test_many_numbers_are_put_together_in_quarters() -> None:
    rows = [trial(n, [0.5], parameters=1000 + n) for n in range(16)]
    choices = [choice for choice in choices_of(rows, {n: line("f") for n in range(16)}) if choice.group == "size"]
    assert [choice.name for choice in choices] == [
        "parameters 1,000–1,003",
        "parameters 1,004–1,007",
        "parameters 1,008–1,011",
        "parameters 1,012–1,015",
    ]
    assert np.sum([choice.chosen_by for choice in choices], axis=0).tolist() == [1] * 16


def searched(generator: np.random.Generator, trials: int, gain: float) -> tuple[list[dict[str, Any]], dict[int, Any]]:
    """Random trials of ten functions and two hyperparameters; function f0 adds `gain` spreads to the score."""
    rows, lines = [], {}
    for number in range(trials):
        functions = [f"f{i}" for i in range(10) if generator.random() < 0.5]
        score = float(generator.normal() + gain * ("f0" in functions))
        epochs = int(generator.integers(1, 4))
        curve = [score - 0.1 * (epochs - epoch) for epoch in range(epochs)]
        width = int(generator.choice([16, 32, 64]))
        rows.append(trial(number, curve, hyperparameters={"hidden": width, "rate": float(generator.random())}))
        lines[number] = line("end", *functions)
    return rows, lines


def test_a_planted_effect_leads() -> None:
    for seed in range(5):
        effects = effects_of(*searched(np.random.default_rng(seed), 80, 2.0)).effects
        assert effects[0].name == "f0" and effects[0].firm and effects[0].difference > 0.2
        assert {effect.name for effect in effects if effect.firm} == {"f0"}


def test_intervals_miss_zero_by_chance_as_often_as_they_say() -> None:
    """With no effect at all 5 % of the intervals exclude 0, and in 5 % of the searches an effect is called firm."""
    judged: list[Effect] = []
    firm = 0
    for seed in range(200):
        effects = effects_of(*searched(np.random.default_rng(1000 + seed), 40, 0.0)).judged
        judged += effects
        firm += any(effect.firm for effect in effects)
    share = np.mean([effect.clear for effect in judged])
    # Some 17 intervals of a search hang together; 200 searches are at least 200 draws: a deviation of 0.0154 at most.
    assert 0.05 - 3 * 0.0154 < share < 0.05 + 3 * 0.0154
    assert firm <= 0.05 * 200 + 3 * (200 * 0.05 * 0.95) ** 0.5


def test_choices_that_the_same_trials_made_are_told_once() -> None:
    rows = [trial(n, [n / 10], hyperparameters={"act": "relu" if n < 4 else "tanh"}) for n in range(8)]
    lines = {n: line("a", "b") if n < 4 else line("c", "b") for n in range(8)}
    names = {effect.name: effect.also for effect in effects_of(rows, lines).effects}
    assert names == {"a": ("not c", "act relu", "not act tanh")}


def test_the_caution_counts() -> None:
    effects = effects_of(*searched(np.random.default_rng(0), 80, 2.0))
    clear = sum(effect.clear for effect in effects.judged)
    assert effects.caution.startswith(
        f"{clear} of {len(effects.judged)} intervals exclude 0; by chance alone about 1 would"
    )
    assert "1 holds for all choices together" in effects.caution


def test_failed_trials_and_too_few_say_nothing() -> None:
    failed = trial(1, [], status="failed")
    for rows in ([], [failed], [trial(0, [0.5]), failed]):
        effects = effects_of(rows, {0: line("f"), 1: line("g")})
        assert not effects.effects and effects.caution.startswith("No choice")
