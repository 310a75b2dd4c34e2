"""Pulls and resolutions: the helix of a particle followed step by step, and numbers that are known."""

import numpy as np
import pytest

from archioptrx.tasks.tracks.pulls import CURVATURE, Residuals, residuals_of, summary, true_parameters


@pytest.mark.parametrize("charge", [-1.0, 0.0, 1.0, 2.0])
@pytest.mark.parametrize("seed", range(3))
def test_true_parameters_are_those_of_the_point_next_to_the_axis(charge, seed):
    random = np.random.default_rng(seed)
    momentum, vertex = random.normal(size=3), 5 * random.normal(size=3)
    pt = np.hypot(*momentum[:2])
    arc = np.linspace(-60, 60, 1_200_001)
    phi = np.arctan2(momentum[1], momentum[0]) - charge * CURVATURE * 2.0 / pt * arc
    step = np.diff(arc, prepend=arc[0])
    # Places along the track, by the directions between two steps, from the vertex in the middle.
    x, y = (np.cumsum(f((phi + np.roll(phi, 1)) / 2) * step) for f in (np.cos, np.sin))
    x, y = (values - values[len(arc) // 2] + start for values, start in zip((x, y), vertex, strict=False))
    near = np.hypot(x, y).argmin()
    d0 = -x[near] * np.sin(phi[near]) + y[near] * np.cos(phi[near])
    z0 = vertex[2] + arc[near] * momentum[2] / pt
    theta, qop = np.arctan2(pt, momentum[2]), charge / np.linalg.norm(momentum)
    (found,) = true_parameters(momentum[None], vertex[None], np.array([charge]), 2.0)
    turn = (phi[near] + np.pi) % (2 * np.pi) - np.pi
    np.testing.assert_allclose(found, [d0, z0, turn, theta, qop], atol=2e-3)


def test_residuals_have_units_and_the_shorter_angle():
    fitted = np.array([[0.02, 1.5, 3.13, 0.5, 0.51]])
    true = np.array([[0.01, 1.0, -3.14, 0.4, -0.5]])
    found = residuals_of(np.zeros(1, np.int64), fitted, np.array([[1e-4, 0.25, 1e-4, 0.0, 0.01]]), true)
    turn = 3.13 + 3.14 - 2 * np.pi
    np.testing.assert_allclose(found.residual, [[10, 500, 1e3 * turn, 100, 202]])
    np.testing.assert_allclose(found.pull, [[1, 1, turn / 0.01, np.nan, 10.1]])


def test_widths_are_robust_and_outliers_are_counted():
    random = np.random.default_rng(1)
    normal = random.normal(size=(20_000, 5))
    pull = np.concatenate([0.1 + 1.2 * normal, np.full((200, 5), 50.0), np.full((1, 5), np.nan)])
    residual = np.concatenate([3 * normal, np.full((201, 5), 1e4)])
    for row in summary(Residuals(np.arange(len(pull)), residual, pull)).values():
        assert row["pull_mean"] == pytest.approx(0.1, abs=5 * row["pull_mean_error"])
        assert row["pull_width"] == pytest.approx(1.2, abs=5 * row["pull_width_error"])
        assert row["pull_mean_error"] == pytest.approx(1.2 / np.sqrt(20_000), rel=0.02)
        assert row["outside"] == pytest.approx(200 / 20_200, rel=0.02)
        assert row["resolution"] == pytest.approx(3, rel=0.03) and abs(row["bias"]) < 0.1


def test_without_tracks_there_are_no_numbers():
    nothing = Residuals(np.zeros(0, np.int64), np.zeros((0, 5)), np.zeros((0, 5)))
    assert all({*row.values()} - {row["unit"]} == {None} for row in summary(nothing).values())
    one = Residuals(np.zeros(1, np.int64), np.ones((1, 5)), np.full((1, 5), np.nan))
    assert summary(one)["d0"]["resolution"] == 0 and summary(one)["d0"]["pull_mean"] is None
