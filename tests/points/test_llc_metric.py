"""Coordinates of the sampler: a change of them is one and no more, and they take the shape of the curvature."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from allroads import float64
from allroads.points.llc.chains import Place, squared_distance
from allroads.points.llc.metric import (
    SINGLE,
    Metric,
    Moments,
    changed,
    gradient_metric,
    joined,
    split,
    to_coordinates,
    to_weights,
)
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


def test_single_precision_rotations_of_long_sides_leave_the_narrowest_directions_their_energy():
    """The widths of the coldest default: 10⁻⁶ and 10⁻¹. Energies from the exact directions, in double precision."""
    side, stiff = SINGLE + 44, 30
    rng = np.random.default_rng(2)
    turns = [np.linalg.qr(rng.normal(size=(side, side)))[0] for _ in range(2)]
    sizes = np.where(np.arange(side) < stiff, 1e6, 1e1)
    a, b = ((turn * sizes) @ turn.T for turn in turns)
    with float64():
        of = gradient_metric(Moments(jnp.asarray(a * np.trace(b)), jnp.asarray(b * np.trace(a))), 0.0)
        assert of.left.dtype == of.right.dtype == jnp.float32
        z = rng.normal(size=(side, side))
        weights = np.asarray(to_weights(jnp.asarray(z), of))
        assert weights.dtype == float
        back = np.asarray(to_coordinates(jnp.asarray(weights), of))
    narrow = turns[0][:, :stiff].T @ weights @ turns[1][:, :stiff]
    energy = 1e12 * (narrow**2).mean()
    assert energy == pytest.approx((z[-stiff:, -stiff:] ** 2).mean(), rel=0.005)  # eigenvalues ascend
    assert np.sqrt(((back - z)[-stiff:, -stiff:] ** 2).mean()) < 0.05
