"""Coordinates of the sampler: a change of them is one and no more, and they take the shape of the curvature."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from allroads import float64
from allroads.points.sampling.free_parameters import Block, FreeParameters, join
from allroads.points.sampling.metric import Metric, Moments, change_metric, gradient_metric, to_weights
from allroads.points.sampling.posterior import LocalPosterior, squared_distance

FREE = FreeParameters(jax.tree.structure([0, 0]), (Block(0, 3, 4, None), Block(1, 5, 1, None)))


def random_metric(rng):
    def turn(side):
        return jnp.asarray(np.linalg.qr(rng.normal(size=(side, side)))[0])

    return (
        Metric(turn(3), turn(4), jnp.asarray(rng.uniform(0.1, 50, (3, 4)))),
        Metric(turn(5), None, jnp.asarray(rng.uniform(0.1, 50, (5, 1)))),
    )


def test_the_distance_is_that_of_the_weights_and_a_change_of_metric_moves_none():
    rng = np.random.default_rng(0)
    with float64():
        first, second, z = random_metric(rng), random_metric(rng), jnp.asarray(rng.normal(size=17))
        weights = join([to_weights(x, m) for x, m in zip(FREE.split(z), first, strict=True)])
        local = LocalPosterior([], None, first, 1.0)
        distance = squared_distance(local, FREE.split(z))
        assert float(distance) == pytest.approx(float((weights**2).sum()), rel=1e-12)
        moved = change_metric(z, first, second, FREE)
        same = join([to_weights(x, m) for x, m in zip(FREE.split(moved), second, strict=True)])
        np.testing.assert_allclose(same, weights, rtol=1e-10, atol=1e-12)


def test_gradients_of_a_kronecker_curvature_become_white():
    """Gradients of covariance A ⊗ B: in the metric, every direction has variance 1 (masses at exact moments)."""
    rng = np.random.default_rng(1)
    with float64():
        a, b = (m @ m.T + np.eye(len(m)) for m in (rng.normal(size=(3, 3)), rng.normal(size=(4, 4))))
        of = gradient_metric(Moments(jnp.asarray(a * np.trace(b)), jnp.asarray(b * np.trace(a))), 0.0)
        columns = [np.asarray(to_weights(jnp.asarray(e.reshape(3, 4)), of)).ravel() for e in np.eye(12)]
        map_ = np.array(columns).T
        np.testing.assert_allclose(map_.T @ np.kron(a, b) @ map_, np.eye(12), atol=1e-10)


def test_wide_directions_of_long_sides_are_no_noise_in_the_energy_of_the_narrow():
    """At the widths of the coldest default, 10⁻⁶ and 10⁻¹, over all narrow directions of a layer of 500 × 275.

    Chains that move by a ten-millionth of their widths keep an energy of 25 · 275 / 2 within a hundredth, far below the
    energy error of 1 at which steps begin to be refused.
    """
    rows, columns, stiff = 500, 275, 25
    rng = np.random.default_rng(2)
    left, right = (np.linalg.qr(rng.normal(size=(side, side)))[0] for side in (rows, columns))
    a, b = np.where(np.arange(rows) < stiff, 1e12, 1e2), np.linspace(0.5, 1.5, columns)
    with float64():
        sides = (left * a) @ left.T * b.sum(), (right * b) @ right.T * a.sum()
        of = gradient_metric(Moments(*map(jnp.asarray, sides)), 0.0)
        z = rng.normal(size=(rows, columns))
        moved = [jnp.asarray(z * (1 + 1e-7 * rng.normal(size=z.shape))) for _ in range(4)]
        weights = [np.asarray(to_weights(one, of)) for one in moved]
    energies = [0.5e12 * (b * (left[:, :stiff].T @ w @ right) ** 2).sum() for w in weights]
    assert np.mean(energies) == pytest.approx((z[-stiff:] ** 2).sum() / 2, rel=1e-4)  # eigenvalues ascend
    assert np.std(energies) < 0.01
