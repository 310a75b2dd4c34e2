"""Scores against scikit-learn, ties included."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from archioptrx.tasks.classification_metrics import Ranking, cut_for_efficiency, rates

rows = st.lists(st.tuples(st.integers(-3, 3) | st.floats(-4, 4), st.booleans()), min_size=2, max_size=60)


@given(rows)
def test_auc_and_average_precision_are_those_of_scikit_learn(pairs):
    scores, truth = np.array([float(s) for s, _ in pairs]), np.array([t for _, t in pairs])
    ranking = Ranking.of(scores, truth)
    if truth.all() or not truth.any():
        assert ranking.auc is None
        assert ranking.average_precision is None
        return
    assert ranking.auc == pytest.approx(sk.roc_auc_score(truth, scores), abs=1e-12)
    assert ranking.average_precision == pytest.approx(sk.average_precision_score(truth, scores), abs=1e-12)


@given(rows, st.floats(-4, 4))
def test_rates_are_those_of_scikit_learn(pairs, cut):
    scores, truth = np.array([float(s) for s, _ in pairs]), np.array([t for _, t in pairs])
    ours = rates(scores >= cut, truth)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert ours["accuracy"] == pytest.approx(sk.accuracy_score(truth, scores >= cut))
        assert (ours["efficiency"] or 0) == pytest.approx(sk.recall_score(truth, scores >= cut))
        assert (ours["purity"] or 0) == pytest.approx(sk.precision_score(truth, scores >= cut))
    assert (ours["efficiency"] is None) == (not truth.any())
    assert (ours["purity"] is None) == (not (scores >= cut).any())


@given(rows, st.floats(0.01, 1))
def test_the_cut_for_an_efficiency_is_the_highest_that_reaches_it(pairs, efficiency):
    scores, truth = np.array([float(s) for s, _ in pairs]), np.array([t for _, t in pairs])
    cut = cut_for_efficiency(scores, truth, efficiency)
    if not truth.any():
        assert cut is None
        return
    assert (scores[truth] >= cut).mean() >= efficiency - 1e-9
    higher = scores[scores > cut]
    assert not len(higher) or (scores[truth] >= higher.min()).mean() < efficiency
    selected = scores >= cut
    assert Ranking.of(scores, truth).purity_at_efficiency(efficiency) == pytest.approx(truth[selected].mean())


def test_nothing_to_rank():
    empty = Ranking.of(np.zeros(0), np.zeros(0, dtype=bool))
    assert empty.auc is empty.average_precision is empty.purity_at_efficiency(0.98) is None
    assert rates(np.zeros(0, bool), np.zeros(0, bool)) == {"accuracy": None, "efficiency": None, "purity": None}
