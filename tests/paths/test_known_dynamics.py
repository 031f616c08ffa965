"""Paths that gradient descent is known to take, followed by the explorers and measured."""

import jax.numpy as jnp
import numpy as np
import pytest

from allroads import Network, Problem, directness, explore, float64, turning
from allroads.explorers.gd import GD
from allroads.explorers.recording import Recording
from allroads.networks.deep_linear import deep_linear
from allroads.paths.certify import certify


def saxe_run(s, start, rate, steps, records=512):
    """Two-layer linear network with whitened inputs and a balanced start: mode s at ``start``."""
    n = len(s)
    network = deep_linear((n,), n, widths=(n,))
    root = np.sqrt(start) * np.eye(n)
    params = {"layers": [{"weight": jnp.asarray(root[None])}, {"weight": jnp.asarray(root[None])}]}
    inputs = np.sqrt(n) * np.eye(n)  # XᵀX / N = I
    problem, record = Problem(network, "mse", inputs, inputs @ np.diag(s)), Recording(records=records)
    run = explore(problem, GD(learning_rate=rate), 1, steps=steps, start=params, record=record)
    strengths = np.diagonal(run.values[0], axis1=1, axis2=2) / np.sqrt(n)
    # The loss is a mean over n outputs, so its gradient flow is Saxe's with τ = n / 2.
    return run, np.asarray(strengths), np.asarray(run.steps) * rate, n / 2


def saxe(s, start, t, tau):
    with np.errstate(over="ignore"):
        return s / (1 - (1 - s / start) * np.exp(-2 * s * t[:, None] / tau))


def test_a_deep_linear_network_follows_saxe():
    s, start = np.array([3.0, 2.0, 1.0]), 1e-3
    with float64():
        _, strengths, t, tau = saxe_run(s, start, rate=5e-4, steps=20_000)
    assert np.abs(strengths - saxe(s, start, t, tau)).max() < 1e-3 * s.max()
    half = np.array([np.interp(0.5, strengths[:, k] / s[k], t) for k in range(3)])
    expected = tau / (2 * s) * np.log((s / 2) * (s - start) / (start * (s / 2)))
    np.testing.assert_allclose(half, expected, rtol=1e-3)


def test_its_directness_tends_to_the_ratio_of_norms_and_the_loss_only_falls():
    s = np.array([3.0, 1.0])
    with float64():
        run, strengths, _, _ = saxe_run(s, 1e-8, rate=0.01, steps=2_200, records=2_000)
    limit = np.linalg.norm(s) / s.sum()
    assert directness(strengths[:, None], points=None) == pytest.approx(limit, abs=1e-3)
    assert (np.diff(run.curves["train_loss"][0]) <= 0).all()
    # It starts off along (3, 1), turns to the first mode, and at the stair by a right angle: more than the bound of
    # squared error, so the whole is not certified although it falls; each of its stretches is.
    found = certify(strengths[:, None], s[None], "mse")
    assert found.turning == pytest.approx(np.pi / 2 + np.arctan(1 / 3), abs=0.01)
    assert not found.certified
    assert found.share == pytest.approx(1.0, abs=1e-6)


def test_kernel_gradient_descent_follows_the_exponential():
    rates, steps, size = np.array([1.0, 0.05]), 20_000, 0.02
    network = Network(lambda key: jnp.zeros(2), lambda w, x: x @ (jnp.sqrt(rates) * w)[:, None])
    with float64():
        # The mean over two examples halves the gradient of a square: df/dt = −K (f − y).
        problem = Problem(network, "mse", np.eye(2), np.ones((2, 1)))
        run = explore(problem, GD(learning_rate=size), 1, steps=steps, record=Recording(records=4_000))
    path, t = run.values[0], run.steps[:, None] * size
    assert np.abs(path[..., 0] - (1 - np.exp(-rates * t))).max() < 5e-3  # first order in the step size
    np.testing.assert_allclose(path[..., 0], 1 - (1 - size * rates) ** run.steps[:, None], atol=1e-12)
    assert directness(path) == pytest.approx(0.7677, abs=2e-3)
    assert turning(path) < np.pi / 2
    found = certify(path, np.ones((2, 1)), "mse")
    assert found.certified and found.share == 1.0


def test_kernel_gradient_descent_in_one_eigenspace_is_straight():
    t = np.linspace(0, 5, 50)[:, None, None]
    path = 1 - np.exp(-t) * np.array([[2.0], [-1.0], [0.3]])
    assert directness(path) == pytest.approx(1.0, abs=1e-12)
    spread = 1 - np.exp(-np.linspace(0, 60, 200_000)[:, None, None] * np.array([[1e3], [1.0]]))
    assert directness(spread, points=None) == pytest.approx(np.sqrt(2) / 2, abs=1e-2)
