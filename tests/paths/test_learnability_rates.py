"""Effective learning rates of an explorer: of leaves, of their elements, and as gradients turn."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from allroads import Network, float64
from allroads.explorers.adam import Adam
from allroads.explorers.build import build_explorer
from allroads.explorers.gd import GD
from allroads.explorers.gradient import Optax
from allroads.explorers.muon import Muon
from allroads.explorers.sgd import SGD
from allroads.paths.learnability.simulate.learning_rates import (
    UpdateSums,
    effective_learning_rates,
    mean_learning_rate,
)
from allroads.paths.learnability.simulate.rate_tracker import is_adaptive, start_rate_tracker, update_rate_tracker
from allroads.paths.learnability.simulate.target_simulation import broadcast_params, simulate_targets


def test_explorers_are_read_off_their_steps():
    params = {"a": jnp.zeros((3, 2)), "b": jnp.zeros(4)}
    slope = {"a": jnp.arange(1.0, 7.0).reshape(3, 2), "b": jnp.array([1.0, -1.0, 2.0, 5.0])}
    key = jax.random.key(0)
    assert float(effective_learning_rates(GD(learning_rate=0.2), params, slope, key)["a"]) == pytest.approx(
        0.2, rel=1e-4
    )
    silent = effective_learning_rates(GD(learning_rate=0.2), params, slope | {"a": jnp.zeros((3, 2))}, key)
    assert float(silent["a"]) == pytest.approx(0.2, rel=1e-4)
    heavy = effective_learning_rates(SGD(learning_rate=0.01, momentum=0.9, batch_size=4), params, slope, key)
    assert float(heavy["b"]) == pytest.approx(0.1, rel=0.1)
    signs = effective_learning_rates(Adam(learning_rate=0.003), params, slope, key)
    for leaf in ("a", "b"):
        g = np.asarray(slope[leaf])
        assert float(signs[leaf]) == pytest.approx(0.003 * np.abs(g).sum() / (g**2).sum(), rel=1e-3)


class Moments:
    """Adam, a step at a time."""

    def __init__(self, rate):
        self.rate, self.steps, self.mean, self.square = rate, 0, 0.0, 0.0

    def move(self, gradient):
        self.steps += 1
        self.mean, self.square = 0.9 * self.mean + 0.1 * gradient, 0.999 * self.square + 0.001 * gradient**2
        root = np.sqrt(self.square / (1 - 0.999**self.steps))
        return -self.rate * (self.mean / (1 - 0.9**self.steps)) / (root + 1e-8)


def tracked(rate, before, after):
    """Adam where the gradient goes from one to another: the tracker, and the rates of the elements."""
    with float64():
        before, after, key = jnp.asarray(before), jnp.asarray(after), jax.random.key(0)
        explorer, params = Adam(learning_rate=rate), jnp.zeros(before.shape)
        start = start_rate_tracker(
            explorer, params, before, effective_learning_rates(explorer, params, before, key), key
        )
        return update_rate_tracker(explorer, start, after)


def test_rates_within_a_leaf_as_the_gradient_turns():
    """From (3, 4, 0) to (0, 5, 0), of one length at both ends; an element without a gradient has the leaf's rate."""
    before, after = np.array([[3.0, 4.0, 0.0], [0.0, 5.0, 0.0]])
    share = (np.arange(16)[:, None] + 0.5) / 16
    gradients, by_hand = (1 - share) * before + share * after, Moments(0.01)
    moves = np.array([by_hand.move(g) for g in gradients])
    tracker, rates = tracked(0.01, before, after)
    exact = -(moves * gradients).sum(axis=0)[:2] / (gradients**2).sum(axis=0)[:2]
    assert rates[:2].tolist() == pytest.approx(exact, rel=1e-3)
    assert float(rates[2]) == pytest.approx(-(moves * gradients).sum() / (gradients**2).sum(), rel=1e-3)
    assert int(tracker.steps) == 16 and tracker.gradient.tolist() == [0, 5, 0]


def test_the_effect_of_the_gradient_norm_is_divided_out():
    slope = np.array([1.0, 4.0])
    assert tracked(0.01, slope, slope / 10)[1].tolist() == pytest.approx([0.01, 0.0025], rel=1e-3)


def test_the_mean_rate_weighs_leaves_by_their_sizes():
    along, squares = [jnp.array([[1.2]]), jnp.array([0.4])], [jnp.array([[2.0]]), jnp.array([4.0])]
    assert float(mean_learning_rate(UpdateSums(along, squares, squares), [6, 2])) == pytest.approx(
        (6 * 1.2 + 2 * 0.4) / (12 + 8)
    )


def test_moves_that_are_mostly_noise_have_one_rate():
    key, slope = jax.random.key(0), jnp.array([1.0, 4.0, 0.5])
    rule = optax.chain(optax.adam(0.01), optax.add_noise(1e-2, 0.0, 0))
    noisy = Optax(rule, name="noisy")
    start = start_rate_tracker(
        noisy, jnp.zeros(3), slope, effective_learning_rates(noisy, jnp.zeros(3), slope, key), key
    )
    assert len(set(update_rate_tracker(noisy, start, slope)[1].tolist())) == 1


@pytest.mark.parametrize(
    ("explorer", "does"),
    [(GD(), False), (SGD(momentum=0.9, weight_decay=0.1), False), (build_explorer("sgld", nbeta=10.0), False),
     (Adam(), True), (Muon(), True)],
)  # fmt: skip
def test_which_explorers_are_adaptive(explorer, does):
    assert is_adaptive(explorer, {"w": jnp.zeros((3, 2)), "b": jnp.zeros(2)}) is does


DIAGONAL = Network(
    lambda key: {"a": jnp.full(8, 0.3), "b": jnp.full(8, 0.1)}, lambda p, x: (x @ (p["a"] * p["b"]))[:, None]
)
"""A two-layer diagonal network: every coefficient is a product of its own two weights."""


@pytest.mark.slow
def test_segments_follow_adam_within_a_leaf():
    """Adam takes all coefficients side by side, at speeds of their own; one rate a leaf is off by up to a half."""
    inputs = np.random.default_rng(1).choice([-1.0, 1.0], (64, 8))
    labels = np.stack([np.geomspace(1, 0.2, 8), np.ones(8), np.r_[1, np.full(7, 0.1)]]) @ inputs.T
    goals = 0.02 * (labels**2).mean(axis=1)
    with float64():
        start = jax.tree.map(np.asarray, DIAGONAL.init(jax.random.key(0)))
        explorer = Adam(learning_rate=1e-3)
        seen = simulate_targets(DIAGONAL, "mse", explorer, broadcast_params(start, 3), inputs, labels, goals)
    actual = []
    for y, goal in zip(labels, goals, strict=True):
        point, by_hand = np.stack([start["a"], start["b"]]), Moments(1e-3)
        while ((inputs @ point.prod(axis=0) - y) ** 2).mean() > goal:
            slope = 2 * inputs.T @ (inputs @ point.prod(axis=0) - y) / len(y)
            point = point + by_hand.move(slope * point[::-1])
        actual.append(by_hand.steps)
    assert [sight.path_steps for sight in seen] == pytest.approx(actual, rel=0.15)


LINE = Network(lambda key: jnp.zeros(6), lambda w, x: (x @ w)[:, None])


@pytest.mark.slow
def test_adam_on_a_linear_map_is_read_again_where_the_gradient_has_turned():
    """The whole path in one segment, at one rate, would take twice as long for the last target."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(20, 6)) * np.geomspace(1, 0.5, 6)
    labels = (rng.normal(size=(6, 4)) / np.geomspace(1, 0.5, 6)[:, None]).T @ inputs.T
    goals = 0.01 * (labels**2).mean(axis=1)
    with float64():
        seen = simulate_targets(
            LINE, "mse", Adam(learning_rate=1e-3), broadcast_params(np.zeros(6), 4), inputs, labels, goals
        )
    actual = []
    for y, goal in zip(labels, goals, strict=True):
        w, by_hand = np.zeros(6), Moments(1e-3)
        while ((inputs @ w - y) ** 2).mean() > goal:
            w = w + by_hand.move(2 * inputs.T @ (inputs @ w - y) / len(y))
        actual.append(by_hand.steps)
    assert [sight.path_steps for sight in seen] == pytest.approx(actual, rel=0.2)
    assert seen[3].hitting_time > 1.7 * actual[3]


@pytest.mark.slow
def test_layers_under_an_output_that_starts_at_zero_are_learned_too():
    """They have no gradient at first, which says nothing of the rate that they will learn at."""
    inputs = np.random.default_rng(0).choice([-1.0, 1.0], (64, 6))
    label = inputs[:, :3].prod(axis=1)
    w, v = np.random.default_rng(1).normal(size=(6, 16)), np.zeros(16)
    network = Network(
        lambda key: {"w": jnp.asarray(w), "v": jnp.asarray(v)}, lambda p, x: jnp.tanh(x @ p["w"]) @ p["v"]
    )
    with float64():
        explorer = GD(learning_rate=0.1)
        seen = simulate_targets(
            network, "mse", explorer, broadcast_params({"w": w, "v": v}, 1), inputs, label[None], np.array([0.1])
        )[0]
    steps = 0
    while (((hidden := np.tanh(inputs @ w)) @ v - label) ** 2).mean() > 0.1:
        gap = 2 * (hidden @ v - label) / 64
        w, v = w - 0.1 * inputs.T @ (gap[:, None] * v * (1 - hidden**2)), v - 0.1 * hidden.T @ gap
        steps += 1
    assert seen.path_steps == pytest.approx(steps, rel=0.4)
    assert seen.hitting_time > 100 * steps
