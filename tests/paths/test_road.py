"""Roads whose lift is known in closed form, and what makes any road a lift of its segment."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad
from spelled_out import path_cost_of, road_of

from allroads import Network, ParameterFunctionMap, Problem, explore, float64
from allroads.errors import InputError, MemoryBudgetError, UnknownNameError
from allroads.explorers.gd import GD
from allroads.explorers.recording import Recording
from allroads.networks.mlp import mlp
from allroads.status import RoadStatus

ONE = np.ones((1, 1))
LINE = Network(lambda key: jnp.zeros(15), lambda w, x: (x @ w)[:, None])
PRODUCT = Network(lambda key: jnp.ones(2), lambda w, x: x * w[0] * w[1])
SQUARE = Network(lambda key: jnp.ones(1), lambda w, x: x * w**2)
ROOT = Network(lambda key: jnp.ones(1), lambda w, x: x * jnp.sqrt(w))
SCORE = Network(lambda key: jnp.zeros(1), lambda w, x: x * w)
BITS = 2.0 * ((np.arange(16)[:, None] >> np.arange(4)) & 1) - 1
TANH = mlp((4,), 2, widths=(24,), activation="tanh")
RELU = mlp((4,), 1, widths=(16,), activation="relu")
FINE = {"tolerance": 1e-4, "records": 200}


def rms(a, b):
    return np.sqrt(
        sum(
            ((np.asarray(x) - np.asarray(y)) ** 2).sum()
            for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
        )
    )


@pytest.fixture(scope="module")
def bent():
    """A road of a tanh network to a drawn target, its losses, and what it was asked with."""
    rng = np.random.default_rng(3)
    target = rng.standard_normal((16, 2))
    with float64():
        params = TANH.init(jax.random.key(1))
        found = road_of(TANH, params, BITS, target, loss="mse", labels=target, held_out=(BITS[:8], target[:8]), **FINE)
    return params, target, found


@pytest.mark.parametrize("dense", [2000, 0])
def test_a_linear_map_is_followed_along_its_pseudo_inverse(dense):
    rng = np.random.default_rng(0)
    X, y, start = rng.standard_normal((6, 15)), rng.standard_normal(6), rng.standard_normal(15)
    with float64():
        found = road_of(LINE, start, X, y, dense=dense)
    way = np.linalg.pinv(X) @ (y - X @ start)
    assert found.cost == pytest.approx(np.linalg.norm(way), abs=1e-8)
    np.testing.assert_allclose(found.params, start + way, atol=1e-8)
    assert found.status == RoadStatus.OK and found.reached == 1.0 and found.reason == ""
    assert found.stats["method"] == ("dense" if dense else "matrix-free")
    np.testing.assert_allclose(found.gains, found.stats["chord"] / np.linalg.norm(way), rtol=1e-8)


def test_a_product_is_followed_along_its_hyperbola():
    a, b, target = 1.5, 0.5, 4.0
    with float64():
        found = road_of(PRODUCT, jnp.array([a, b]), ONE, [[target]], tolerance=1e-4)
    gap = a**2 - b**2  # the lift is orthogonal to the fibre, which is tangent to (a, −b)
    last = np.sqrt((-gap + np.sqrt(gap**2 + 4 * target**2)) / 2)
    truth = quad(lambda y: np.sqrt(1 + y**2 / (y**2 + gap)), b, last)[0]
    assert found.cost == pytest.approx(truth, rel=1e-4)
    assert abs(found.cost - truth) < found.error
    assert found.stats["lifted"] == pytest.approx(truth, rel=1e-4)
    np.testing.assert_allclose(found.path[:, 0] ** 2 - found.path[:, 1] ** 2, gap, atol=1e-3)


def test_a_square_cannot_be_followed_through_zero():
    with float64():
        found = road_of(SQUARE, jnp.ones(1), ONE, [[-1.0]])
    assert found.status == "rank loss" and "t = 0.5 " in found.reason
    assert found.reached == pytest.approx(0.5, abs=1e-3)
    assert found.cost == pytest.approx(1.0, abs=5e-3)  # from w = 1 to w = 0
    assert (np.diff(found.gains[found.gains > 0.02]) < 0).all() and found.gains[-1] < 0.02
    assert found.smallest[-1] < 1e-3
    assert found.params[0] >= 0  # it does not jump to the other root


def test_the_share_outside_the_range_is_that_of_the_projection():
    rng = np.random.default_rng(5)
    X, y = rng.standard_normal((6, 2)) @ rng.standard_normal((2, 15)), rng.standard_normal(6)
    with float64():
        found = road_of(LINE, np.zeros(15), X, y)
    outside = np.linalg.norm(y - X @ np.linalg.pinv(X) @ y) ** 2 / np.linalg.norm(y) ** 2
    # Zero eigenvalues come out as some 1e-15 of the largest, against an r of 1e-12.
    np.testing.assert_allclose(found.outside, outside, rtol=1e-3)
    assert found.status == "rank loss" and f"{outside:.1%} of the direction" in found.reason
    # What is outside is left undone from the start, so the tolerance is used up at once.
    assert found.reached == pytest.approx(1e-3 / np.sqrt(outside), rel=0.02)


def test_a_constant_network_has_no_road():
    network = Network(lambda key: jnp.zeros(1), lambda w, x: x + 0 * w)
    found = road_of(network, jnp.zeros(1), ONE, [[0.0]])
    assert found.status == "rank loss" and "kernel is zero" in found.reason and found.cost == 0


def test_the_image_follows_the_segment(bent):
    params, target, found = bent
    with float64():
        F = ParameterFunctionMap(TANH, BITS)
        start = np.asarray(F.values(params))
        images = np.stack([F.values(jax.tree.map(lambda leaf, k=k: leaf[k], found.path)) for k in range(len(found.ts))])
    segment = start + found.ts[:, None, None] * (target - start)
    off = np.linalg.norm((images - segment).reshape(len(images), -1), axis=1) / np.linalg.norm(target - start)
    assert found.reached == 1.0 and off.max() <= found.deviation * (1 + 1e-9) <= 1e-4
    np.testing.assert_allclose(found.values, images, atol=1e-12)
    assert found.directness > 0.9999 and found.stages.count == 1
    assert found.cost == found.lengths[-1] >= found.parameter_length and found.lengths[0] == 0
    # Squared error to the target falls with the square of what is left.
    np.testing.assert_allclose(
        found.losses["train_loss"], (1 - found.ts) ** 2 * found.losses["train_loss"][0], atol=3e-3
    )
    assert set(found.losses) == {"train_loss", "train_accuracy", "held_out_loss", "held_out_accuracy"}
    assert found.losses["train_accuracy"][-1] == 1.0


def test_forming_the_kernel_or_not_gives_the_same_road(bent):
    params, target, found = bent
    with float64():
        free = road_of(TANH, params, BITS, target, dense=0, **FINE)
    assert free.smallest is None and free.stats["method"] == "matrix-free"
    assert free.cost == pytest.approx(found.cost, rel=1e-6)
    assert rms(free.params, found.params) < 1e-5


def test_the_same_road_backward_and_in_parts(bent):
    params, target, found = bent
    with float64():
        F = ParameterFunctionMap(TANH, BITS)
        start = np.asarray(F.values(params))
        back = road_of(TANH, found.params, BITS, start, **FINE)
        first = road_of(TANH, params, BITS, 0.7 * start + 0.3 * target, **FINE)
        second = road_of(TANH, first.params, BITS, target, **FINE)
        between = road_of(TANH, params, BITS, target_params=found.params, **FINE)
    assert back.cost == pytest.approx(found.cost, rel=1e-3)
    assert rms(back.params, params) < 1e-2 * found.cost
    assert first.cost + second.cost == pytest.approx(found.cost, rel=1e-3)
    assert between.cost == pytest.approx(found.cost, rel=1e-3)
    assert between.stats["distance"] == pytest.approx(rms(found.params, params), rel=1e-9)
    assert between.stats["distance"] < between.cost


@pytest.mark.slow
def test_a_road_through_switching_units_is_steered_and_says_so():
    rng = np.random.default_rng(2)
    target = rng.permutation(np.repeat([-1.0, 1.0], 8))
    with float64():
        params = RELU.init(jax.random.key(0))
        coarse = road_of(RELU, params, BITS, target, tolerance=1e-2)
        fine = road_of(RELU, params, BITS, target, tolerance=1e-3)
    assert coarse.reached == fine.reached == 1.0 and fine.deviation <= 1e-3
    assert fine.cost == pytest.approx(coarse.cost, rel=0.03)
    assert fine.stats["lifted"] < fine.parameter_length


def test_single_precision_is_enough_for_the_default_tolerance(bent):
    params, target, found = bent
    single = road_of(TANH, jax.tree.map(jnp.float32, params), BITS, target)
    assert jax.tree.leaves(single.path)[0].dtype == np.float32
    assert single.reached == 1.0 and single.cost == pytest.approx(found.cost, rel=1e-3)


def test_in_the_chart_of_probabilities_a_logit_is_moved():
    with float64():
        found = road_of(SCORE, jnp.zeros(1), ONE, [[0.1, 0.9]], chart="probabilities")
        sure = road_of(SCORE, jnp.zeros(1), ONE, [[0.0, 1.0]], chart="probabilities")
    assert found.cost == pytest.approx(np.log(9), rel=2e-3)  # the tolerance at the end
    assert found.values.shape == (len(found.ts), 1, 1) and found.chart == "probabilities"
    shares = 1 / (1 + np.exp(-found.values[:, 0, 0]))
    np.testing.assert_allclose(shares, 0.5 + 0.4 * found.ts, atol=1e-3)
    assert sure.reached > 0.999 and sure.cost > np.log(1e3)


def test_a_target_that_is_there_already_costs_nothing():
    found = road_of(SCORE, jnp.ones(1), ONE, [[1.0]], loss="mse", labels=[[1.0]])
    assert (found.cost, found.reached, found.status) == (0.0, 1.0, RoadStatus.DEGENERATE)
    assert "present function" in found.reason and found.losses["train_loss"].tolist() == [0.0]


def test_values_that_stop_being_finite_end_it():
    with float64():
        found = road_of(ROOT, jnp.ones(1), ONE, [[-1.0]])
        short = road_of(SQUARE, jnp.ones(1), ONE, [[4.0]], most_steps=3)
    assert found.status == RoadStatus.DIVERGED and found.reached == pytest.approx(0.5, abs=1e-3)
    assert short.status == RoadStatus.NOT_CONVERGED and 0 < short.reached < 1 and "most_steps" in short.reason


@pytest.mark.slow
def test_gradient_flow_is_horizontal_and_longer_than_the_road(bent):
    params, target, found = bent
    with float64():
        start = jax.tree.map(lambda leaf: leaf[None], params)
        problem, record = Problem(TANH, "mse", BITS, target), Recording(records=120, checkpoints=120)
        run = explore(problem, GD(learning_rate=0.05), 1, steps=20_000, start=start, record=record)
        taken = path_cost_of(TANH, run.member(0)["params"], BITS, loss="mse", labels=target)
    assert taken.cost == pytest.approx(taken.parameter_length, rel=2e-3) and taken.cost <= taken.parameter_length
    assert len(taken.lengths) == len(taken.ts) == len(run.checkpoint_steps) > 90
    assert taken.directness < found.directness and taken.deviation > found.deviation
    np.testing.assert_allclose(taken.losses["train_loss"], run.curves["train_loss"][0], rtol=1e-6)
    assert taken.stages.count >= 1 and taken.stats["ridge"] == pytest.approx(found.stats["ridge"])


@pytest.mark.parametrize("dense", [2000, 0])
def test_a_road_costs_as_a_path_what_it_costs_as_a_road(bent, dense):
    _, _, found = bent
    with float64():
        again = path_cost_of(TANH, found.path, BITS, dense=dense)
    assert again.cost == pytest.approx(found.cost, rel=2e-3)
    assert again.deviation <= 1e-3 and again.directness > 0.9999


def test_motion_along_the_fibre_costs_nothing():
    turn = np.linspace(0.0, 1.0, 200)
    with float64():
        along = path_cost_of(PRODUCT, jnp.stack([jnp.exp(turn), jnp.exp(-turn)], axis=1), ONE)
        still = path_cost_of(LINE, jnp.stack([jnp.zeros(15), jnp.ones(15)]), np.zeros((1, 15)))
    assert along.cost < 5e-3 < along.parameter_length
    assert still.status == RoadStatus.DEGENERATE and still.cost == 0


X, W = np.ones((3, 15)), np.zeros(15)
SCORES = Network(lambda key: jnp.zeros((15, 4)), lambda w, x: x @ w)
SCORED = np.zeros((15, 4))


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda: road_of(LINE, W, X), "exactly one of target"),
        (lambda: road_of(LINE, W, X, np.zeros(3), target_params=W), "exactly one of target"),
        (lambda: road_of(LINE, W, X, np.zeros(4)), r"shape \(4,\); expected \(3, 1\)"),
        (lambda: road_of(LINE, W, X, [0.0, np.nan, 0.0]), "NaN or infinite at example 1"),
        (lambda: road_of(LINE, W * np.nan, X, np.zeros(3)), "params holds NaN"),
        (lambda: road_of(LINE, np.zeros(15, int), X, np.zeros(3)), "floating-point"),
        (lambda: road_of(LINE, W, X, target_params=np.zeros(14)), "not of one architecture"),
        (lambda: road_of(SCORES, SCORED, X, [0, 1, 2]), r"class labels.*np.eye\(4\)"),
        (lambda: road_of(SCORES, SCORED, X, np.full((3, 4), 0.3), chart="probabilities"), "outside the chart.*1.2"),
        (lambda: road_of(SCORES, SCORED, X, [[-0.5, 0.5, 0.5, 0.5]] * 3, chart="probabilities"), "least entry -0.5"),
        (lambda: road_of(LINE, W, X, np.zeros(3), chart="sphere"), "leaves it"),
        (lambda: road_of(LINE, W, X, np.ones(3), held_out=(X, np.ones(2))), "3 inputs and 2 labels"),
        (lambda: road_of(LINE, W, X, np.ones(3), regularisation=0.0), "regularisation"),
        (lambda: road_of(LINE, W, X, np.ones(3), dense=-1), "dense"),
        (lambda: road_of(LINE, W, X, np.ones(3), tolerance=0.0), "tolerance"),
        (lambda: road_of(LINE, W, X * np.nan, np.ones(3)), "inputs: NaN or infinite in 3 of 3"),
        (lambda: road_of(ROOT, jnp.zeros(1), ONE, [[1.0]]), "derivative at the start is not finite"),
        (lambda: path_cost_of(LINE, W[None], X), "K ≥ 2"),
        (lambda: path_cost_of(LINE, np.stack([W, W + np.nan]), X), "path holds NaN"),
    ],
)
def test_what_cannot_be_used_is_refused(ask, says):
    with pytest.raises(InputError, match=says):
        ask()


def test_other_refusals():
    with pytest.raises(UnknownNameError, match="probabilities"):
        road_of(LINE, W, X, np.ones(3), chart="probability")
    with pytest.raises(MemoryBudgetError, match="records"):
        road_of(LINE, W, X, np.ones(3), memory=1000)
    with pytest.raises(MemoryBudgetError, match="kernel"):
        road_of(LINE, np.zeros(400), np.ones((300, 400)), np.ones(300), memory=1_000_000, records=1)
