"""The singular fluctuation against a closed form (linear regression) and quadrature (a singular model)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from allroads import Network, Problem, llc
from allroads.pfmap.precision import float64
from allroads.points.llc.singular_fluctuation import singular_fluctuation
from allroads.points.sampling import Chains
from allroads.points.zoo import normal_crossings, tanh_units

CHAINS = Chains(count=32, draws=240, burn_in=60, ladder=False)


def asked(problem, point, **options):
    found = llc(problem, point, chains=CHAINS, progress=False, **options)
    return found.stats["singular_fluctuation"], found.stats["singular_fluctuation_error"]


def test_linear_regression(seed):
    """ℓ = (r − f)² with f ~ N(0, h): its variance is 4 r² h + 2 h². At β = 1 and noise ½, ν is near d/2 = 2."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(400, 4))
    labels = inputs @ np.ones((4, 1)) + rng.normal(size=(400, 1)) * 0.5**0.5
    point = np.linalg.lstsq(inputs, labels, rcond=None)[0]
    network = Network(lambda key: jnp.zeros((4, 1)), lambda w, x: x @ w)
    found, error = asked(Problem(network, "mse", inputs, labels), point, nbeta=400.0, localisation=1e-3, seed=seed)
    covariance = np.linalg.inv(2 * inputs.T @ inputs + 1e-3 * np.eye(4))
    h = np.einsum("id,de,ie->i", inputs, covariance, inputs)
    residual = (labels - inputs @ point)[:, 0]
    exact = (4 * residual**2 * h + 2 * h**2).sum() / 2
    assert exact == pytest.approx(2, rel=0.15)
    assert found == pytest.approx(exact, rel=0.06)  # 4 standard errors of some 5,000 draws
    assert 0 < error < 0.1 * exact


@pytest.mark.slow
def test_a_crossing_of_valleys_with_noise(seed):
    """f = w₀ w₁ x, by quadrature over both weights; here ν is neither λ nor d/2 = 1."""
    rng = np.random.default_rng(1)
    inputs, labels = rng.normal(size=(50, 1)), rng.normal(size=(50, 1)) * 0.5**0.5
    network = Network(lambda key: jnp.zeros(2), lambda w, x: w[0] * w[1] * x)
    found, _ = asked(Problem(network, "mse", inputs, labels), np.zeros(2), nbeta=50.0, localisation=1.0, seed=seed)
    grid = np.linspace(-6, 6, 601)
    a, b = np.meshgrid(grid, grid)
    product = (a * b).ravel()
    losses = (product[:, None] * inputs[:, 0] - labels[:, 0]) ** 2
    density = np.exp(-losses.sum(1) - (a**2 + b**2).ravel() / 2)
    density /= density.sum()
    variance = density @ losses**2 - (density @ losses) ** 2
    assert found == pytest.approx(variance.sum() / 2, rel=0.08)


@pytest.mark.slow
@pytest.mark.parametrize(
    "truth", [normal_crossings((1, 1), examples=50), tanh_units(1, examples=50)], ids=lambda truth: truth.name
)
def test_models_of_the_zoo_that_fit_without_noise(truth, seed):
    """By quadrature over both weights; without noise only the squares of the outputs fluctuate."""
    leaves, structure = jax.tree.flatten(truth.params)
    options = {"chains": CHAINS, "nbeta": 50.0, "localisation": 1.0, "progress": False, "seed": seed}
    found = llc(truth.problem, truth.params, **options).stats["singular_fluctuation"]
    grid = np.linspace(-5, 5, 501)
    steps = np.stack(np.meshgrid(grid, grid), -1).reshape(-1, 2)

    def losses(step):
        at, moved = 0, []
        for leaf in leaves:
            size = np.size(leaf)
            moved.append(jnp.asarray(leaf) + step[at : at + size].reshape(np.shape(leaf)))
            at += size
        return truth.problem.losses(jax.tree.unflatten(structure, moved))

    with float64():
        seen = np.asarray(jax.jit(jax.vmap(losses))(jnp.asarray(steps)))
    density = np.exp(-50.0 * seen.mean(1) - (steps**2).sum(1) / 2)
    density /= density.sum()
    variance = density @ seen**2 - (density @ seen) ** 2
    assert found == pytest.approx(50.0 / 2 * variance.mean(), rel=0.1)


def test_a_sampler_on_batches_has_none(seed):
    network = Network(lambda key: jnp.zeros(1), lambda w, x: x * w)
    problem = Problem(network, "mse", np.ones((8, 1)), np.zeros((8, 1)))
    chains = Chains(count=4, draws=8, burn_in=0, ladder=False)
    found = llc(problem, np.zeros(1), sampler="sgld", chains=chains, progress=False, seed=seed)
    assert found.stats["examples_per_gradient"] == 8 and np.isfinite(found.stats["singular_fluctuation"])
    batches = llc(problem.on(np.ones((2000, 1)), np.zeros((2000, 1))), np.zeros(1), sampler="sgld", chains=chains)
    assert np.isnan(batches.stats["singular_fluctuation"])


def test_the_variance_is_about_the_mean_and_the_error_that_of_a_mean_over_rounds():
    """Variances 1, 2, 3 and 6 about a mean of 1: ν̂ = 3, with a standard error of their deviation over √4."""
    found, error = singular_fluctuation(np.ones((4, 1)), np.array([[2.0], [3.0], [4.0], [7.0]]), 2.0)
    assert found == pytest.approx(3.0) and error == pytest.approx(np.std([1, 2, 3, 6], ddof=1) / 2)


def test_one_round_has_no_error():
    assert singular_fluctuation(np.zeros((1, 2)), np.ones((1, 2)), 4.0) == (2.0, float("inf"))
