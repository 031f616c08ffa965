"""Quantities behind learnability, against closed forms, simulations and dense linear algebra."""

import contextlib
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from allroads import InputError, Network, ParameterFunctionMap, float64
from allroads.explorers.adam import Adam
from allroads.explorers.gd import GD
from allroads.explorers.muon import Muon
from allroads.networks.mlp import mlp
from allroads.paths.learnability.baselines.eigenlearning import eigenlearning
from allroads.paths.learnability.baselines.inal import inal
from allroads.paths.learnability.baselines.kernel_norms import kernel_norms
from allroads.paths.learnability.baselines.kernel_spectrum import kernel_spectra
from allroads.paths.learnability.baselines.table import boolean_baselines
from allroads.paths.learnability.baselines.truth_table import truth_table_rows
from allroads.paths.learnability.simulate.hitting_time import hitting_time
from allroads.paths.learnability.simulate.loss_flow import identity_kernel_flow
from allroads.paths.learnability.simulate.optimizer_steps import optimizer_steps
from allroads.paths.learnability.simulate.residual_spectrum import ResidualSpectrum, compiled_kernel_lanczos
from allroads.paths.learnability.simulate.segment import LinearisedSegment, gradient_norms_along
from allroads.paths.learnability.simulate.target_simulation import Resolution, broadcast_params, simulate_targets
from allroads.pfmap.lanczos import lanczos
from allroads.pfmap.losses import resolve_loss


def cube(bits):
    return 1.0 - 2.0 * (np.arange(2**bits)[:, None] >> np.arange(bits) & 1)


LINE = Network(lambda key: jax.random.normal(key, (6,)), lambda w, x: (x @ w)[:, None], name="line")


@pytest.fixture(scope="module")
def linear_case():
    """Four targets of a linear network, easy and hard, on inputs of very unequal scales."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(20, 6)) * np.geomspace(1, 0.1, 6)
    labels = inputs @ (rng.normal(size=(6, 4)) / np.geomspace(1, 0.1, 6)[:, None])
    return inputs, labels.T, np.full(4, 1e-2) * (labels**2).mean(axis=0)


def simulate_the_line(inputs, labels, goals, rate=0.3):
    """A start of the linear network, and the simulation of each target under gradient descent."""
    with float64():
        start = np.asarray(LINE.init(jax.random.key(3)))
        return start, simulate_targets(
            LINE, "mse", GD(learning_rate=rate), broadcast_params(start, len(labels)), inputs, labels, goals
        )


def descend(inputs, y, w, rate, goal):
    """First step of gradient descent at which the mean square is at its goal."""
    for step in itertools.count():
        gap = inputs @ w - y
        if (gap**2).mean() <= goal:
            return step
        w = w - rate * 2 * inputs.T @ gap / len(y)


def test_a_linear_network_takes_the_predicted_steps(linear_case):
    inputs, labels, goals = linear_case
    start, seen = simulate_the_line(inputs, labels, goals)
    actual = [descend(inputs, y, start, 0.3, goal) for y, goal in zip(labels, goals, strict=True)]
    assert min(actual) > 30 and max(actual) > 1.5 * min(actual)
    assert [math.ceil(sight.hitting_time) for sight in seen] == pytest.approx(actual, abs=1)


def test_what_a_linear_network_cannot_say_is_never_reached():
    inputs = np.array([[1.0, 0], [1.0, 0], [0, 1.0]])
    line = Network(lambda key: jnp.zeros(2), lambda w, x: (x @ w)[:, None])
    odd = np.array([[1.0, -1.0, 0.0]])
    assert (
        simulate_targets(line, "mse", GD(), np.zeros((1, 2)), inputs, odd, np.array([0.05]))[0].hitting_time == math.inf
    )


def test_kernel_descent_is_followed_to_a_step():
    rng = np.random.default_rng(1)
    rates, energies = rng.uniform(0.001, 0.9, 30), rng.uniform(0, 1, 30)
    for level in (0.5, 0.1, 1e-3):
        left = np.array([(energies * (1 - rates) ** (2 * t)).sum() for t in range(5000)])
        found = hitting_time(ResidualSpectrum(rates, energies), level)
        assert math.ceil(found) == np.flatnonzero(left <= level * energies.sum())[0]


MODE = ResidualSpectrum(np.array([1e-3]), np.array([3.0]))


def one_segment(spectrum, level):
    return (LinearisedSegment(spectrum, level, 2.0, 0.0, 1.0, 0.0),)


@pytest.mark.parametrize("level", [0.5, 1e-2, 1e-4])
def test_the_steps_of_gradient_descent_are_the_hitting_time(level):
    for explorer in (GD(learning_rate=0.2), GD(learning_rate=1e-4)):
        found = optimizer_steps(explorer, {"w": np.zeros((3, 2)), "b": np.zeros(2)}, [one_segment(MODE, level)])[0]
        assert found == pytest.approx(hitting_time(MODE, level), rel=1e-3)


def test_the_steps_of_a_normalised_update_are_the_path_over_its_length():
    """The path to e^(−x) of one mode is 1 − e^(−x) of what x steps as large as the first would cover."""
    for level in (0.25, 1e-2):
        flow = hitting_time(MODE, level)
        rate = -math.log(1 - 1e-3)
        found = optimizer_steps(
            Muon(momentum=0.0, nesterov=False), {"w": np.zeros((3, 2))}, [one_segment(MODE, level)]
        )[0]
        assert found == pytest.approx((1 - math.exp(-rate * flow)) / rate, rel=0.02)


@pytest.mark.parametrize("x64", [False, True])
def test_the_steps_of_adam_are_those_of_adam_on_a_parabola(x64):
    """From w = 1 with η = 1e-3 the first steps contract by 1e-3; afterwards Adam remembers larger gradients."""
    w, mean, square, step = 1.0, 0.0, 0.0, 0
    actual = {}
    while w > 0.01:
        step += 1
        mean, square = 0.9 * mean + 0.1 * w, 0.999 * square + 0.001 * w**2
        w -= 1e-3 * (mean / (1 - 0.9**step)) / math.sqrt(square / (1 - 0.999**step))
        for end in (0.3, 0.1, 0.03):
            if w <= end:
                actual.setdefault(end, step)
    with float64() if x64 else contextlib.nullcontext():
        found = optimizer_steps(Adam(learning_rate=1e-3), np.zeros(1), [one_segment(MODE, end**2) for end in actual])
    assert found == pytest.approx(list(actual.values()), rel=0.01)
    assert found[-1] < 0.6 * hitting_time(MODE, 0.03**2)  # gradient descent would slow down


def test_the_steps_to_what_is_never_reached_or_already_there():
    blind = ResidualSpectrum(np.array([0.0, 0.1]), np.array([1.0, 1.0]))
    assert optimizer_steps(GD(), np.zeros(2), [one_segment(blind, 0.1), one_segment(MODE, 1.0)]).tolist() == [
        math.inf,
        0.0,
    ]


PRODUCT = Network(lambda key: jnp.array([0.3, 0.1]), lambda w, x: x * w[0] * w[1], name="product")
"""Two layers of one unit: gradient flow of the product has a sigmoid for a solution."""


def steps_of_a_product(a, b, y, rate, share):
    """Steps of gradient descent on ``(ab − y)²`` until the loss is that share of the first, interpolated."""
    loss = [(a * b - y) ** 2]
    while loss[-1] > share * loss[0]:
        slope = 2 * (a * b - y)
        a, b = a - rate * slope * b, b - rate * slope * a
        loss.append((a * b - y) ** 2)
    past, now = np.log(loss[-2]), np.log(loss[-1])
    return len(loss) - 2 + (past - np.log(share * loss[0])) / (past - now)


def test_segments_follow_a_kernel_that_grows():
    """From (0.3, 0.1) the kernel grows twentyfold on the way to 1; the first linearisation misses that."""
    signs = np.array([[1.0], [-1.0]])
    with float64():
        loss = (0.03 - 1) ** 2
        args = PRODUCT, "mse", GD(learning_rate=1e-3), broadcast_params(jnp.array([0.3, 0.1]), 1), signs, signs[None]
        seen = {
            most: simulate_targets(*args, np.array([0.01 * loss]), resolution=Resolution(max_segments=most))[0]
            for most in (1, 2, 24)
        }
    actual = steps_of_a_product(0.3, 0.1, 1.0, 1e-3, 0.01)
    by_the_first_kernel = math.log(0.01) / (2 * math.log1p(-2e-3 * (0.3**2 + 0.1**2)))
    assert all(one.hitting_time == pytest.approx(by_the_first_kernel, rel=1e-3) for one in seen.values())
    assert seen[1].path_steps > seen[2].path_steps > 1.5 * actual
    assert seen[24].path_steps == pytest.approx(actual, rel=0.06) and len(seen[24].segments) < 8
    a, b, segments = 0.3, 0.1, seen[24].segments
    for _ in range(round(sum(one.corrected_time(one.duration) for one in segments[:2]))):
        slope = 2 * (a * b - 1)
        a, b = a - 1e-3 * slope * b, b - 1e-3 * slope * a
    assert segments[2].level == pytest.approx(0.01 * loss / (a * b - 1) ** 2, rel=0.05)
    slope = gradient_norms_along(segments, np.array([sum(one.corrected_time(one.duration) for one in segments[:2])]))[0]
    assert slope == pytest.approx(np.hypot(a, b) * (1 - a * b) / (np.hypot(0.3, 0.1) * 0.97), rel=0.05)


def test_no_segment_raises_the_loss():
    """A fast output whose square is taken from a slow one: where the linearised map still holds, the loss may rise.

    Gradient flow never raises it. Each of these targets has a segment that does so where only linearity counts.
    """

    def apply(w, x):
        return x @ jnp.stack([w[0], 0.05 * (w[1] + 10 * w[1] ** 2) - 8 * w[0] ** 2])

    goal, labels = 0.1, np.array([[0.1, 1.0], [0.15, 1.0], [0.2, 1.0], [0.4, 1.0]], np.float32)
    curved, points = Network(lambda key: jnp.zeros(2), apply), broadcast_params(np.zeros(2, np.float32), len(labels))
    given = points, np.eye(2, dtype=np.float32), labels, np.full(len(labels), goal)
    for one in simulate_targets(curved, "mse", GD(learning_rate=0.05), *given):
        levels = [segment.level for segment in one.segments]
        assert len(levels) > 2 and (np.diff(levels) >= 0).all()


def test_a_segment_that_gains_speed_takes_less_time():
    """At a speed that grows from 1 to 2 over ten steps, s of them take 10 log(1 + s/10), and later ones half each."""
    segment = LinearisedSegment(MODE, 0.1, 2.0, 10.0, 2.0, 0.5)
    true = [10 * math.log(1.5), 10 * math.log(2), 10 * math.log(2) + 2]
    assert [float(segment.corrected_time(t)) for t in (5, 10, 14)] == pytest.approx(true)
    assert segment.linear_time(np.array(true)).tolist() == pytest.approx([5, 10, 14])
    gradients = [segment.initial_gradient_norm * speed * (1 - 1e-3) ** t for t, speed in ((5, 1.5), (10, 2), (14, 2))]
    assert segment.gradient_norms(np.array(true)).tolist() == pytest.approx(gradients)
    ten = hitting_time(MODE, 0.1)
    assert segment.time_to_goal() == pytest.approx(10 * math.log(2) + (ten - 10) / 2)


def test_lanczos_ends_where_nothing_but_rounding_is_left():
    vector = np.random.default_rng(0).normal(size=50)
    with float64():
        v = jnp.asarray(vector / np.linalg.norm(vector))
        found = lanczos(lambda x: 3 * v * (v @ x), 2 * v, 4)
    assert found.off_diagonal.tolist() == [0, 0, 0] and found.diagonal.tolist() == pytest.approx([3, 0, 0, 0])
    np.testing.assert_array_equal(found.basis[1:], 0)


def test_a_linear_map_is_followed_to_its_end(linear_case):
    inputs, labels, goals = linear_case
    start, seen = simulate_the_line(inputs, labels, goals)
    actual = [descend(inputs, y, start, 0.3, goal) for y, goal in zip(labels, goals, strict=True)]
    assert [sight.path_steps for sight in seen] == pytest.approx(actual, abs=1)


@pytest.mark.parametrize("rate", [0.3, 0.01])
def test_the_road_of_a_linear_map_is_the_shortest_solution(rate):
    rng = np.random.default_rng(3)
    inputs, labels = rng.normal(size=(20, 6)), rng.normal(size=(4, 6))
    start, seen = simulate_the_line(inputs, labels @ inputs.T, np.full(4, 0.1), rate)
    shortest = np.linalg.norm(labels - start, axis=1) / np.linalg.norm(start)
    assert [sight.solution_norm for sight in seen] == pytest.approx(shortest, rel=0.01)


@pytest.mark.slow
def test_lanczos_agrees_with_the_whole_kernel(seed):
    bits, network = cube(5), mlp((5,), 1, widths=(16, 16))
    rng = np.random.default_rng(2)
    labels = np.stack([bits[:, 0], bits[:, :3].prod(axis=1), bits.prod(axis=1), rng.choice([-1.0, 1.0], 32)])
    with float64():
        params = jax.tree.map(jnp.asarray, network.init(jax.random.key(0)))
        points, goals = broadcast_params(params, 4), np.full(4, 0.1)
        seen = simulate_targets(
            network,
            "mse",
            GD(learning_rate=0.01),
            points,
            bits,
            labels,
            goals,
            resolution=Resolution(krylov=32, max_segments=1),
        )
        flat = kernel_spectra(network, "mse", broadcast_params(params, 4), bits, labels)
        kernel = np.asarray(ParameterFunctionMap(network, bits).kernel(params))
        outputs = np.asarray(network.apply(params, bits))[:, 0]
        starts = broadcast_params(params, 2)
        (diagonal, frobenius), again = kernel_norms(network, bits, starts, seed)
    values, vectors = np.linalg.eigh(kernel)
    for sight, plain, y in zip(seen, flat, labels, strict=True):
        energies = (vectors.T @ (2 * (y - outputs))) ** 2
        dense = ResidualSpectrum(values * 2 * 0.01 / 32, energies)
        level = 0.1 / ((y - outputs) ** 2).mean()
        assert sight.hitting_time == pytest.approx(hitting_time(dense, level), rel=1e-3)
        shift = 1e-3 * np.trace(kernel) / 32
        assert plain.energy(shift) == pytest.approx((energies / (values + shift)).sum(), rel=1e-3)
        assert plain.alignment() == pytest.approx(energies @ values / energies.sum(), rel=1e-6)
    assert diagonal == pytest.approx(np.trace(kernel) / 32, rel=0.2)
    assert frobenius == pytest.approx(np.linalg.norm(kernel), rel=0.2)
    assert again.tolist() == [diagonal, frobenius]


def test_one_program_serves_few_lanczos_steps_and_many():
    """The first 3 steps of a program with room for 9 are those of a program with room for 3, which J Jᵀ confirms."""
    network, inputs = mlp((3,), 2, widths=(4,)), cube(3)
    rng = np.random.default_rng(1)
    with float64():
        points = broadcast_params(jax.tree.map(jnp.asarray, network.init(jax.random.key(0))), 8)
        residuals = jnp.asarray(rng.normal(size=(8, 8, 2)))
        rates = jax.tree.map(lambda leaf: rng.uniform(0.5, 1.5, 8), points)
        found = [compiled_kernel_lanczos(network, room)(points, inputs, residuals, rates, 3) for room in (3, 9)]
        jacobian = jax.jacobian(lambda p: network.apply(p, inputs).ravel())(jax.tree.map(lambda p: p[0], points))
        few, many, jacobian, residuals = jax.tree.map(np.asarray, (*found, jacobian, residuals))
    for part, wide, length in zip(few, many, (3, 2), strict=True):
        np.testing.assert_allclose(part, wide[:, :length], rtol=1e-9)
        assert not wide[:, 3:].any()
    pairs = zip(jax.tree.leaves(jacobian), jax.tree.leaves(rates), strict=True)
    kernel = sum(rate[0] * leaf.reshape(16, -1) @ leaf.reshape(16, -1).T for leaf, rate in pairs)
    first = residuals[0].ravel() / np.linalg.norm(residuals[0])
    assert float(few[0][0, 0]) == pytest.approx(float(first @ kernel @ first), rel=1e-9)
    assert float(few[1][0, 0]) == pytest.approx(float(np.linalg.norm(kernel @ first - few[0][0, 0] * first)), rel=1e-9)


def test_losses_on_a_map_whose_kernel_is_the_identity():
    """Squared error falls by e^(−4t/C); the logistic loss solves f' = 1/(1 + e^f), so t = f + e^f − 1."""
    with float64():
        outputs, labels = jnp.zeros((3, 2)), jnp.ones((1, 3, 2))
        time, first = identity_kernel_flow(resolve_loss("mse"))(outputs, labels[0], 0.05)
        assert float(first) == 1 and float(time) == pytest.approx(math.log(20) / 2, rel=1e-6)
        goal = 0.1 * math.log(2)
        time, _ = identity_kernel_flow(resolve_loss("bce"))(jnp.zeros((4, 1)), jnp.ones((4, 1)), goal)
    f = -math.log(math.expm1(goal))
    assert float(time) == pytest.approx(f + math.exp(f) - 1, rel=1e-4)


def test_learnabilities_sum_to_the_number_of_examples():
    values = np.geomspace(1, 1e-6, 64)
    for n in (1, 10, 63):
        assert eigenlearning(values, np.ones(64), n).learnabilities.sum() == pytest.approx(n, abs=1e-8)
    whole = eigenlearning(values, np.ones(64), 64)
    np.testing.assert_allclose(whole.learnabilities, 1, atol=1e-12)
    assert whole.test_mse == 0
    found = eigenlearning(values, np.ones(64), 10, ridge=0.1)
    assert found.learnabilities.sum() + 0.1 / found.kappa == pytest.approx(10, abs=1e-8)


def test_eigenlearning_predicts_kernel_regression(seed):
    """The theory, of many examples, says a tenth less than 40 give; 2,000 draws tell their mean to 1.1 %."""
    bits, rng = cube(7), np.random.default_rng(seed)
    kernel = np.exp(bits @ bits.T / 7)
    values, vectors = np.linalg.eigh(kernel / 128)
    y = bits[:, :2].prod(axis=1) + bits[:, 3]
    predicted = eigenlearning(np.maximum(values, 0), vectors.T @ y / math.sqrt(128), 40)
    errors = []
    for _ in range(2000):
        chosen = rng.choice(128, 40, replace=False)
        rows = kernel[np.ix_(chosen, chosen)] + 1e-9 * np.eye(40)
        errors.append(((kernel[:, chosen] @ np.linalg.solve(rows, y[chosen]) - y) ** 2).mean())
    assert predicted.test_mse == pytest.approx(np.mean(errors), rel=0.15)


@pytest.mark.parametrize(
    ("values", "coefficients", "n", "words"),
    [([0.0, 0.0], [1, 1], 1, "not all zero"), ([1.0, 0.0], [1, 1], 2, "rank 1"), ([1.0, np.nan], [1, 1], 1, "finite"),
     ([1.0, 1.0], [1], 1, "shapes"), ([1.0], [1], 0, "positive")],
)  # fmt: skip
def test_kernels_that_eigenlearning_refuses(values, coefficients, n, words):
    with pytest.raises(InputError, match=words):
        eigenlearning(values, coefficients, n)


def test_boolean_baselines_are_the_identities():
    bits, rows = cube(5), truth_table_rows(cube(5))
    for k in (1, 3, 5):
        parity = boolean_baselines(rows, bits[:, :k].prod(axis=1))
        assert parity == {"degree": k, "average sensitivity": pytest.approx(k), "leap": k}
    for n in (3, 5):
        majority = boolean_baselines(truth_table_rows(cube(n)), np.sign(cube(n).sum(axis=1)))
        assert majority["average sensitivity"] == pytest.approx(n * math.comb(n - 1, (n - 1) // 2) / 2 ** (n - 1))
        assert majority["degree"] == n and majority["leap"] == 1
    x1, x2, x3 = cube(5)[:, :3].T
    assert boolean_baselines(rows, x1 + x1 * x2 + x1 * x2 * x3)["leap"] == 1
    assert boolean_baselines(rows, x1 + x1 * x2 * x3)["leap"] == 2


def test_only_a_whole_cube_is_boolean():
    order = np.random.default_rng(0).permutation(16)
    assert truth_table_rows(cube(4)[order]).tolist() == order.tolist()
    assert truth_table_rows((cube(4) < 0).astype(int)).tolist() == list(range(16))
    for other in (cube(4)[:-1], np.vstack([cube(4)[:-1], cube(4)[:1]]), 2 * cube(4), np.zeros((4, 3, 2))):
        assert truth_table_rows(other) is None


def test_inal_of_a_neuron_by_quadrature(seed):
    """One ReLU unit on two bits: E over its two normal weights on a grid, for targets that are units themselves."""
    unit = Network(lambda key: jax.random.normal(key, (2,)), lambda w, x: jax.nn.relu(x @ w)[:, None])
    bits = cube(2)
    nodes, weights = np.polynomial.hermite_e.hermegauss(100)
    grid = np.array(list(itertools.product(nodes, nodes)))
    mass = np.outer(weights, weights).ravel() / (2 * math.pi)
    targets = np.stack([np.maximum(bits @ [1.0, 0.5], 0), bits[:, 0], bits.prod(axis=1)])
    exact = [mass @ (np.maximum(grid @ bits.T, 0) @ y / 4) ** 2 for y in targets]
    assert exact[1] == pytest.approx(0.25, rel=1e-6)  # relu(z) = (z + |z|)/2, so the mean of x1 relu(w·x) is w1/2
    for found, value in zip(inal(unit, bits, targets, draws=2000, seed=seed), exact, strict=True):
        assert abs(found - value) < 4 * found.error < 0.2 * value


def test_inal_sees_hidden_units():
    bits = cube(3)
    network = mlp((3,), 1, widths=(10,), scale=1.0)
    found = inal(network, bits, bits[None, :, 0], draws=16)[0]
    assert found.stats["neurons"] == 11
