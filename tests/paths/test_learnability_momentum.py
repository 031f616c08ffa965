"""Momentum along the linearised path: an explorer's memory, the bound that it sets, and steps under Adam."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from allroads import Network
from allroads.explorers.adam import Adam
from allroads.explorers.gd import GD
from allroads.explorers.sgd import SGD
from allroads.paths.learnability.simulate.gradient_memory import decay_bound, gradient_memory, momentum_at
from allroads.paths.learnability.simulate.linearised_path import compiled_segment
from allroads.paths.learnability.simulate.target_simulation import broadcast_params, simulate_targets

SHAPES = {"w": np.zeros((7, 5)), "b": np.zeros(5), "c": np.zeros(1)}


@pytest.mark.parametrize(
    ("explorer", "memory"),
    [
        (Adam(beta1=0.9), 0.9),
        (Adam(beta1=0.95), 0.95),
        (SGD(momentum=0.9), 0.9),
        # Nesterov weighs gradients of age k by μ^(k+1), the present one by 1 + μ: their mean age is μ²/(1 − μ) = 8.1.
        (SGD(momentum=0.9, nesterov=True), 8.1 / 9.1),
    ],
)
def test_the_memory_of_momentum(explorer, memory):
    assert gradient_memory(explorer, SHAPES) == pytest.approx(memory, abs=1e-3)


@pytest.mark.parametrize("explorer", [GD(), SGD(batch_size=4), Adam(beta1=0.0)])
def test_explorers_without_momentum_have_no_memory_and_no_bound(explorer):
    assert gradient_memory(explorer, SHAPES) == 0
    assert np.isinf(decay_bound(0.0, np.array([0.0, 1.0, 1e6]))).all()


@pytest.mark.parametrize("momentum", [0.5, 0.9, 0.99])
def test_the_bound_is_the_decay_of_the_companion_matrix(momentum):
    bound, critical = float(decay_bound(momentum, 1e5)), (1 - momentum**0.5) / (1 + momentum**0.5)
    for contraction in np.r_[np.geomspace(1e-3, 0.99, 6) * critical, np.geomspace(1.001 * critical, 1.0, 6)]:
        moved = (1 - momentum) * contraction
        companion = np.array([[1 - moved, -momentum], [moved, momentum]])  # of x and m
        decay = -np.log(np.abs(np.linalg.eigvals(companion)).max())
        if contraction >= critical:
            assert decay == pytest.approx(bound, rel=1e-3)
        else:
            assert 1 <= decay / -np.log1p(-contraction) <= 2


def test_the_momentum_of_a_step_is_the_weight_of_earlier_gradients():
    weights = 0.9 ** np.arange(30)
    expected = [1 - 1 / weights[:t].sum() for t in range(1, 31)]
    assert momentum_at(0.9, np.arange(1.0, 31.0)).tolist() == pytest.approx(expected, abs=1e-5)


def heavy_ball_steps(curvatures, residuals, rate, momentum, goal):
    """Steps of gradient descent with momentum on ``mean r²`` in the coordinates of its modes, written out."""
    left, average, steps = residuals.copy(), np.zeros_like(residuals), 0
    while np.mean(left**2) > goal:
        average = momentum * average + 2 * curvatures * left / len(left)
        left, steps = left - rate * average, steps + 1
    return steps


def test_momentum_on_a_linear_map_with_more_modes_than_lanczos_steps():
    """Stiff modes decay at the bound, which no polynomial of 8 steps resolves. That neither ends nor speeds a path."""
    count, rate, goals = 48, 0.05, np.array([0.1, 0.3, 0.1])
    curvatures = np.geomspace(1e-3, 1.0, count) * count
    start = np.stack([np.ones(count), curvatures**-0.3, curvatures**-0.3])
    start /= np.sqrt(np.square(start).mean(axis=1, keepdims=True))
    actual = [heavy_ball_steps(curvatures, r, rate, 0.9, g) for r, g in zip(start, goals, strict=True)]
    line = Network(lambda key: jnp.zeros(count), lambda w, x: x @ w)
    points, inputs = broadcast_params(np.zeros(count, np.float32), 3), np.diag(curvatures**0.5).astype(np.float32)
    explorer = SGD(learning_rate=rate, momentum=0.9)
    found = simulate_targets(line, "mse", explorer, points, inputs, start.astype(np.float32), goals)
    assert [one.path_steps for one in found] == pytest.approx(actual, rel=0.05)  # 217, 213 and 553
    for one in found:
        assert all(segment.end_speed == pytest.approx(1, abs=0.01) for segment in one.segments[:-1])


def test_truncation_does_not_end_a_segment_of_a_linear_map():
    """A slow mode and 39 stiff ones along momentum: halving a step does not resolve them, and the map is linear."""
    count, targets = 40, 8
    contractions = np.r_[1e-3, np.geomspace(0.05, 2.5, count - 1)]
    residual = np.r_[0.99, np.full(count - 1, 0.14 / (count - 1) ** 0.5)]
    labels = np.tile(residual / np.sqrt(np.square(residual).mean()), (targets, 1)).astype(np.float32)
    line = Network(lambda key: jnp.zeros(count), lambda w, x: x @ w)
    inputs = np.diag(np.sqrt(contractions * count / 2)).astype(np.float32)
    points, rates = np.zeros((targets, count), np.float32), np.ones((targets, count), np.float32)
    goals, elapsed = np.full(targets, 0.5, np.float32), np.full(targets, 1e3, np.float32)
    segment = compiled_segment(line, "mse", 8, 0.0)
    *_, durations, speeds, end_losses, _ = segment(points, inputs, labels, goals, rates, elapsed, 0.9)[2]
    assert (np.asarray(durations) > 5).all() and (np.asarray(end_losses) < 0.98).all()
    assert np.asarray(speeds) == pytest.approx(1, abs=1e-3)


def gated_network(width=32, hidden=64, blocks=2):
    """A residual network of gated blocks behind layer norms, with 128 inputs of 7 bits."""

    def init(key):
        keys = iter(jax.random.split(key, 3 * blocks + 2))

        def normal(rows, columns):
            return jax.random.normal(next(keys), (rows, columns)) / rows**0.5

        def block():
            return {"gate": normal(width, hidden), "up": normal(width, hidden), "down": normal(hidden, width)}

        return {"in": normal(7, width), "blocks": [block() for _ in range(blocks)], "out": normal(width, 1)}

    def layer_norm(h):
        h = h - h.mean(-1, keepdims=True)
        return h / jnp.sqrt(jnp.square(h).mean(-1, keepdims=True) + 1e-5)

    def apply(params, x):
        h = x @ params["in"]
        for block in params["blocks"]:
            u = layer_norm(h)
            h = h + (jax.nn.silu(u @ block["gate"]) * (u @ block["up"])) @ block["down"]
        return layer_norm(h) @ params["out"]

    return Network(init, apply)


GATED = gated_network()


def boolean_targets():
    x = 1.0 - 2 * (np.arange(128)[:, None] >> np.arange(7) & 1)
    gate = np.where((x[:, 0] < 0) & (x[:, 1] < 0), -1.0, 1.0)
    random = np.sign(np.random.default_rng(0).permutation(128) - 63.5)
    labels = [
        x[:, 0] * x[:, 1],
        np.sign(x[:, :3].sum(axis=1)),
        np.sign(x.sum(axis=1)),
        np.where(x[:, 0] > 0, x[:, 1], x[:, 2]),
        np.where(x[:, 0] * x[:, 1] > 0, x[:, 2] * x[:, 3], x[:, 4:].prod(axis=1)),
        gate * x[:, 2],
        np.sign(x[:, :3].sum(axis=1)) * np.sign(x[:, 3:6].sum(axis=1)),
        random,
    ]
    return x.astype(np.float32), np.array(labels, np.float32)[:, :, None]


def steps_of_adam(start, inputs, labels, goal, steps=160, rate=1e-3):
    """Steps of Adam until the mean squared error is at its goal, written out."""

    def loss(params, y):
        return jnp.square(GATED.apply(params, inputs) - y).mean()

    def losses(y):
        def step(carry, t):
            params, mean, square = carry
            value, g = jax.value_and_grad(loss)(params, y)
            mean = jax.tree.map(lambda m, a: 0.9 * m + 0.1 * a, mean, g)
            square = jax.tree.map(lambda v, a: 0.999 * v + 0.001 * a**2, square, g)
            move = jax.tree.map(
                lambda m, v: rate * m / (1 - 0.9**t) / (jnp.sqrt(v / (1 - 0.999**t)) + 1e-8), mean, square
            )
            return (jax.tree.map(jnp.subtract, params, move), mean, square), value

        zeros = jax.tree.map(jnp.zeros_like, start)
        return jax.lax.scan(step, (start, zeros, zeros), jnp.arange(1.0, steps + 1))[1]

    curves = np.asarray(jax.jit(jax.vmap(losses))(labels))
    assert (curves.min(axis=1) < goal).all()
    return (curves < goal).argmax(axis=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_steps_of_adam_within_the_memory_of_its_momentum(seed):
    """Targets that are learned in 15 to 70 steps: the stationary rate of momentum says a quarter to a third fewer."""
    inputs, labels = boolean_targets()
    start = GATED.init(jax.random.key(seed))
    actual = steps_of_adam(start, inputs, labels, 0.1)
    points, goals = broadcast_params(start, len(labels)), np.full(len(labels), 0.1)
    found = simulate_targets(GATED, "mse", Adam(learning_rate=1e-3), points, inputs, labels, goals)
    ratios = np.array([one.path_steps for one in found]) / actual
    assert 1 / 1.2 < np.median(ratios) < 1.2
