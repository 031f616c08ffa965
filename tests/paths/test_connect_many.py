"""Stars, populations, alignment, and what connect refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from spelled_out import connection_of

from allroads import InputError, Network, float64
from allroads.networks.mlp import mlp
from allroads.status import PathStatus

RNG = np.random.default_rng(0)
RING = Network(lambda key: jnp.ones(2), lambda w, x: x * (w**2).sum())
ONE = (np.ones((1, 1)), np.ones((1, 1)))
LINEAR = Network(lambda key: jnp.zeros((3, 2)), lambda w, x: x @ w)
INPUTS, LABELS = RNG.normal(size=(20, 3)), RNG.normal(size=(20, 2))


def test_the_centre_of_points_in_a_convex_bowl_has_no_barrier(seed):
    with float64():
        a, b = jnp.asarray(RNG.normal(size=(3, 2))), jnp.asarray(RNG.normal(size=(4, 3, 2)))
        found = connection_of(LINEAR, a, b, "mse", INPUTS, LABELS, method="star", seed=seed)
        centre, last = np.asarray(found[0].params_at(0.5)), [np.asarray(c.params_at(1.0)) for c in found]

    def risk(w):
        return float(((INPUTS @ w - LABELS) ** 2).mean())

    assert len(found) == 4 and all(c.height < 1e-9 and c.status == PathStatus.OK for c in found)
    for member, c, end in zip(np.asarray(b), found, last, strict=True):
        np.testing.assert_array_equal(c.control[1], centre)  # one centre for all
        np.testing.assert_array_equal(end, member)
        for point in (np.asarray(a), member):
            arm = [risk((1 - t) * point + t * centre) for t in np.linspace(0, 1, 11)]
            assert max(arm) <= max(arm[0], arm[-1]) + 1e-12
    # ∫ t ((1−t) p + t c − w) dt = 0 on average over the points p, with w the least squares: c = 3w/2 − mean(p)/2.
    best = np.linalg.lstsq(INPUTS, LABELS)[0]
    mean = np.concatenate([np.asarray(a)[None], np.asarray(b)]).mean(axis=0)
    # The noise of the random t leaves a deviation of 0.016 an entry.
    np.testing.assert_allclose(centre, 1.5 * best - 0.5 * mean, atol=0.1)


def test_a_star_finds_the_middle_of_a_ring_of_valleys(seed):
    # In (√(u² + v²) − 1)² with a floor towards the third coordinate: out at z = 1 the ring's hole is filled.
    hole = Network(
        lambda key: None, lambda w, x: 0 * x + jnp.maximum(1 - w[2], 0) ** 2 * (w[0] ** 2 + w[1] ** 2 - 1) ** 2
    )
    angles = 2 * np.pi * np.arange(5) / 5
    points = jnp.asarray(np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=1))
    options = {"method": "star", "steps": 1600, "seed": seed}
    found = connection_of(hole, points[0], points[1:], lambda o, y: o[:, 0], *ONE, **options)
    assert min(c.straight.height for c in found) > 0.1
    assert max(c.height for c in found) < 0.05


@pytest.mark.parametrize("method", ["bezier", "neb"])
def test_a_pair_comes_out_in_a_population_as_it_does_alone(method):
    network = mlp((3,), 2, widths=(8,))
    keys = jax.random.split(jax.random.key(0), 6)
    options = {"method": method, "steps": 40, "batch_size": 8, "held_out": (INPUTS[:5], LABELS[:5]), "insertions": 0}
    with float64():
        points = jax.vmap(network.init)(keys)
        a, b = (jax.tree.map(lambda leaf, side=side: leaf[side], points) for side in (slice(0, 3), slice(3, 6)))
        many = connection_of(network, a, b, "mse", INPUTS, LABELS, population=True, **options)
        second = (jax.tree.map(lambda leaf: leaf[1:2], side) for side in (a, b))
        alone = connection_of(
            network, *(jax.tree.map(lambda leaf: leaf[0], p) for p in second), "mse", INPUTS, LABELS, **options
        )
    assert len(many) == 3
    for x, y in zip(jax.tree.leaves(alone.control), jax.tree.leaves(many[1].control), strict=True):
        np.testing.assert_allclose(x, y, atol=1e-6)
    np.testing.assert_allclose(alone.ts, many[1].ts, atol=1e-12)
    np.testing.assert_allclose(alone.losses, many[1].losses, atol=1e-6)
    np.testing.assert_allclose(alone.held_out_losses, many[1].held_out_losses, atol=1e-6)
    assert alone.height == pytest.approx(many[1].height, abs=1e-6) and alone.gradients == many[1].gradients


def test_a_population_of_one_is_a_list_of_one():
    a, b = jnp.array([[-1.0, 0.0]]), jnp.array([[1.0, 0.0]])
    found = connection_of(RING, a, b, "mse", *ONE, population=True, bends=2)
    assert len(found) == 1 and found[0].height < 1e-2 and found[0].control.shape == (4, 2)


def test_alignment_takes_a_shuffle_away_first():
    network = mlp((3,), 2, widths=(8,))
    with float64():
        a = network.init(jax.random.key(1))
        first, last = a["layers"]
        order = RNG.permutation(8)
        b = {
            "layers": [
                {"weight": first["weight"][:, order], "bias": first["bias"][order]},
                {"weight": last["weight"][order], "bias": last["bias"]},
            ]
        }
        labels = network.apply(a, INPUTS)
        plain, moved = (
            connection_of(network, a, b, "mse", INPUTS, labels, steps=8, align=how) for how in (None, "weights")
        )
    assert plain.distance > 0.5 and plain.straight.height > 1e-3
    assert moved.distance < 1e-6 and moved.straight.height < 1e-6


def test_a_geodesic_is_shorter_in_function_space_than_the_segment(seed):
    network = mlp((3,), 2, widths=(16,), activation="tanh")
    with float64():
        options = {"method": "geodesic", "batch_size": None, "seed": seed}
        a, b = (network.init(jax.random.key(n)) for n in (0, 1))
        found = connection_of(network, a, b, "mse", INPUTS, LABELS, **options)

        def length(at):
            images = np.array([network.apply(at(t), INPUTS) for t in np.linspace(0, 1, 65)])
            return np.linalg.norm(np.diff(images, axis=0), axis=(1, 2)).sum(), np.linalg.norm(images[-1] - images[0])

        curve, chord = length(found.params_at)
        straight, _ = length(lambda t: jax.tree.map(lambda p, q: p + t * (q - p), a, b))
    assert chord <= curve < chord + 0.5 * (straight - chord)


A, B = jnp.array([-1.0, 0.0]), jnp.array([1.0, 0.0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"b": jnp.zeros(3)}, "not of one architecture"),
        ({"b": {"w": jnp.zeros(2)}}, "not of one architecture"),
        ({"b": jnp.array([jnp.nan, 0.0])}, "b holds NaN"),
        ({"b": jnp.array([1, 0])}, "b is int32, not a floating-point"),
        ({"a": {}, "b": {}}, "no array in it"),
        ({"method": "bezir"}, "did you mean 'bezier'"),
        ({"loss": "mes"}, "did you mean 'mse'"),
        ({"method": "geodesic", "chart": "plane"}, "unknown chart"),
        ({"align": "weight"}, "did you mean 'weights'"),
        ({"points": 1}, "points: expected a whole number of 2 or more"),
        ({"bends": 0}, "bends: expected a whole number of 1 or more"),
        ({"steps": 0}, "steps: expected a whole number of 1 or more"),
        ({"steps": 2.5}, "steps: expected a whole number"),
        ({"batch_size": -1}, "batch_size: expected"),
        ({"batch_size": 0}, "batch_size: expected"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"held_out": (np.ones((1, 2)), np.ones((1, 1)))}, "labels have shape|outputs of shape|cannot be applied"),
        ({"held_out": (np.ones((2, 1)), np.ones((3, 1)))}, "2 inputs and 3 labels"),
        ({"held_out": np.ones((1, 1))}, "held_out: expected a problem"),
        ({"inputs": np.zeros((0, 1)), "labels": np.zeros((0, 1))}, "at least one example"),
        ({"labels": np.array([[np.nan]])}, "labels: NaN"),
        ({"labels": np.ones((1, 3))}, "one number per output"),
        ({"loss": lambda o, y: o.sum()}, "one number per example"),
        ({"method": "star"}, "b has"),
        ({"method": "star", "b": jnp.zeros((2, 2)), "bends": 3}, "one free point"),
        ({"population": True, "a": jnp.zeros((2, 2)), "b": jnp.zeros((3, 2))}, "expected pairs"),
        ({"population": True, "a": jnp.zeros(()), "b": jnp.zeros(())}, "no population"),
    ],
)
def test_what_cannot_be_used_is_named(change, message):
    given = {"a": A, "b": B, "loss": "mse", "inputs": ONE[0], "labels": ONE[1], "steps": 8} | change
    with pytest.raises(InputError, match=message):
        connection_of(RING, **given)


def test_inputs_that_the_network_cannot_take_are_named():
    with pytest.raises(InputError, match="cannot be applied to"):
        connection_of(LINEAR, jnp.zeros((3, 2)), jnp.ones((3, 2)), "mse", np.ones((4, 5)), np.ones((4, 2)))
