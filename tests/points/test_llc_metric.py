"""Coordinates of the sampler: a change of them is one and no more, and they take the shape of the curvature."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from allroads import float64
from allroads.points.llc.chains import Place, squared_distance
from allroads.points.llc.metric import Metric, Moments, changed, gradient_metric, joined, split, to_weights
from allroads.points.llc.problem import Block

BLOCKS = (Block(0, 3, 4, None), Block(1, 5, 1, None))


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
        weights = joined([to_weights(x, m) for x, m in zip(split(z, BLOCKS), first, strict=True)])
        place = Place([], None, first, 1.0)
        distance = squared_distance(place, split(z, BLOCKS))
        assert float(distance) == pytest.approx(float((weights**2).sum()), rel=1e-12)
        moved = changed(z, first, second, BLOCKS)
        same = joined([to_weights(x, m) for x, m in zip(split(moved, BLOCKS), second, strict=True)])
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
