"""Splitting in a basin of many parameters, its moves, and whether it says when it cannot be trusted."""

import math
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flat_calls import local_volume
from scipy.stats import kstest

from allroads import Network, float64
from allroads.points.volume import Box, flights
from allroads.points.volume.local_volume import mixing
from allroads.points.volume.moves import _ranks
from allroads.points.volume.splitting import Descent, _next_level
from allroads.status import VolumeStatus

ONE = np.ones((1, 1))


def half_square(outputs, labels):
    return 0.5 * (outputs**2).sum(-1)


def fourth_powers(outputs, labels):
    return (outputs**4).sum(-1)


def log_body(power, dimension, cutoff):
    """Log-volume of ``Σ |w|^p ≤ ε``."""
    scale = dimension * (math.log(2) + math.lgamma(1 + 1 / power)) - math.lgamma(1 + dimension / power)
    return scale + dimension / power * math.log(cutoff)


def stretched(dimension, curvatures):
    """The map ``w → √h (Q w)`` with a random rotation Q, whose lengths no single parameter shows."""
    rotation = np.linalg.qr(np.random.default_rng(0).standard_normal((dimension, dimension)))[0]
    matrix = np.sqrt(curvatures)[:, None] * rotation
    return Network(lambda key: jnp.zeros(dimension), lambda w, x: x * (jnp.asarray(matrix) @ w))


def volume(network, dimension, loss, cutoff, **options):
    options = {"measure": Box(1.0), "particles": 1024, "replicas": 4} | options
    return local_volume(network, np.zeros(dimension), loss, ONE, ONE, cutoff=cutoff, **options)


@pytest.mark.slow
def test_rotated_ellipsoid_in_sixty_parameters(seed):
    curvatures = np.logspace(-2, 3, 60)
    exact = log_body(2, 60, 2e-4) - 0.5 * np.log(curvatures).sum()
    found = volume(stretched(60, curvatures), 60, half_square, 1e-4, seed=seed)
    assert found.log_volume == pytest.approx(exact, abs=0.2)
    assert abs(found.log_volume - exact) < 2 * found.error
    assert found.status == VolumeStatus.OK and abs(found.stats["restored"]) < 0.2
    assert found.stats["levels"] < 25  # the Hessian's shape is where it starts, so little is left to do


@pytest.mark.slow
def test_fourth_powers_where_the_hessian_says_nothing(seed):
    scales = np.logspace(-1, 1, 8)
    network = Network(lambda key: jnp.zeros(8), lambda w, x: x * (jnp.asarray(scales) * w))
    exact = log_body(4, 8, 1e-4) - np.log(scales).sum()
    found = volume(network, 8, fourth_powers, 1e-4, seed=seed)
    assert found.log_volume == pytest.approx(exact, abs=0.4)
    assert abs(found.log_volume - exact) < 2 * found.error
    assert found.status == VolumeStatus.OK


@pytest.mark.slow
def test_moves_too_few_for_a_long_way_are_not_vouched_for(seed):
    curvatures = np.logspace(-3, 3, 30)
    network = Network(lambda key: jnp.zeros(30), lambda w, x: x * (jnp.sqrt(jnp.asarray(curvatures)) * w))
    exact = log_body(2, 30, 2e-4) - 0.5 * np.log(curvatures).sum()
    options = {"sweeps": 1, "particles": 512, "preconditioner": np.ones(30), "seed": seed}
    found = volume(network, 30, half_square, 1e-4, **options)
    assert found.log_volume < exact - 5  # far too low, and all replicas alike
    assert found.status == VolumeStatus.NOT_EQUILIBRATED
    assert found.stats["restored"] > 1


def descent(**changes):
    masses = np.log(0.25) + 0.01 * np.array([[-1.0], [0.5], [1.0], [-0.5]])
    known = Descent(
        cutoffs=np.array([0.1]),
        log_masses=masses,
        variances=np.array([1e-4]),
        renewals=np.ones(1),
        decorrelation=np.ones(1),
        restored=np.array([0.01]),
        noise=np.array([1e-4]),
        acceptance=0.9,
        evaluations=1,
        ancestors=9,
        lowest=0.0,
        reached=True,
    )
    return replace(known, **changes)


DOUBTFUL = {
    "not reached": {"reached": False},
    "heights that stay": {"decorrelation": np.array([0.9, 0.3])},
    "replicas apart": {"log_masses": np.log(0.25) + np.array([[-0.1], [0.1], [0.05], [-0.05]])},
    "a replica dead": {"log_masses": np.array([[-1.0], [-1.0], [-np.inf], [-1.0]])},
    "refilled by moves": {"restored": np.full(30, 0.02), "noise": np.full(30, 1e-4)},
}


def test_what_is_as_it_should_be_is_ok(seed):
    assert mixing(descent()) == VolumeStatus.OK
    noisy = np.random.default_rng(seed).standard_normal(30)
    assert mixing(descent(restored=noisy, noise=np.ones(30))) == VolumeStatus.OK


@pytest.mark.parametrize("name", DOUBTFUL)
def test_each_doubt_is_enough(name):
    assert mixing(descent(**DOUBTFUL[name])) == VolumeStatus.NOT_EQUILIBRATED


@pytest.mark.parametrize("replicas", [2, 8])
def test_independent_particles_fail_no_more_often_than_stated(replicas, seed):
    """Of 1,000 descents of independent particles a tenth is expected to fail at most; more than three by 4e-6."""
    rng, failed = np.random.default_rng([replicas, seed]), 0
    for _ in range(1000):
        masses = np.log(0.25) + 0.01 * rng.standard_normal((replicas, 1))
        restored = 0.1 * rng.standard_normal(30)
        failed += mixing(descent(log_masses=masses, restored=restored, noise=np.full(30, 0.01))) != VolumeStatus.OK
    assert failed <= 3


def test_equal_heights_share_a_rank_and_are_no_sign_of_moves_that_fail():
    assert _ranks(jnp.array([[0.0, 2.0], [0.0, 1.0]])).tolist() == [2, 7, 2, 5]  # twice the middle, one more
    heights = np.where(np.random.default_rng(0).random((2, 4000)) < 0.3, 0.0, 1.0)  # before, and drawn anew
    assert abs(np.corrcoef(*(_ranks(jnp.asarray(one)) for one in heights))[0, 1]) < 5 / 4000**0.5


def test_a_level_that_all_particles_are_below_is_reached():
    assert _next_level(np.zeros(8), 0.0) == 0.0
    assert _next_level(np.array([0.0] * 3 + [1.0] * 5), 0.0) == 0.0
    assert _next_level(np.ones(8), 0.0) is None


@pytest.fixture(scope="module")
def flown(seed):
    """Uniform draws of an ellipsoid cut by a tilted plane, before and after twenty flights in a wrong metric."""
    dimension, count = 4, 4000
    axes = jnp.array([1.0, 2.0, 0.5, 1.0])
    with float64():
        keys = jax.random.split(jax.random.key(seed), 22)
        normal = jax.random.normal(keys[0], (20 * count, dimension))
        ball = normal / jnp.linalg.norm(normal, axis=1, keepdims=True)
        ball = ball * jax.random.uniform(keys[1], (20 * count, 1)) ** (1 / dimension) * axes
        start = ball[ball.sum(1) < 0.5][:count][None]

        def height(w):
            return jnp.maximum(((w / axes) ** 2).sum(), 2 * w.sum())

        def looks(w):
            return jax.vmap(jax.vmap(height))(w), 0.0 * w[..., 0]

        @jax.jit
        def fly(key, state):
            return flights.reflected_flight(
                key,
                state,
                jnp.ones((1, 1, dimension)),
                jnp.log(0.4),
                inside=lambda heights: heights <= 1,
                looks=looks,
                slope=jax.vmap(jax.vmap(jax.value_and_grad(height))),
            )

        state = (start, *looks(start))
        for key in keys[2:]:
            state, taken = fly(key, state)
    return np.asarray(start[0]), np.asarray(state[0][0]), float(taken)


def test_flights_leave_a_set_uniformly_filled(flown):
    before, after, taken = flown
    assert 0.3 < taken < 1
    for axis in np.eye(4):
        assert kstest(before @ axis, after @ axis).pvalue > 1e-3
    assert kstest((before**2) @ np.ones(4), (after**2) @ np.ones(4)).pvalue > 1e-3
    assert kstest(before.sum(1), after.sum(1)).pvalue > 1e-3


def test_flights_go_far(flown):
    before, after, _ = flown
    correlations = [abs(np.corrcoef(before[:, i], after[:, i])[0, 1]) for i in range(4)]
    assert max(correlations) < 0.2
