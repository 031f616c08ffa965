"""How the kernel of a road is solved: by J in double precision, by JᵀJ, and by the kernel where examples depend."""

import jax.numpy as jnp
import numpy as np
import pytest
from spelled_out import road_of

from allroads import Network, float64
from allroads.paths.road.factors import DenseKernel, FactoredJacobian
from allroads.paths.road.tangent_lift import Lifter
from allroads.pfmap.jacobian import jacobian_function

LINE = Network(lambda key: jnp.zeros(5), lambda w, x: (x @ w)[:, None])
CENTRED = Network(lambda key: jnp.zeros(5), lambda w, x: ((x - x.mean(axis=0)) @ w)[:, None])
PRODUCT = Network(lambda key: jnp.ones(2), lambda w, x: x * w[0] * w[1])
X = np.random.default_rng(0).standard_normal((70, 5))


@pytest.mark.parametrize("shape", [(9, 4), (4, 9)])
def test_a_factored_jacobian_solves_as_its_kernel_does(shape):
    rng = np.random.default_rng(1)
    J, v, ridge = rng.standard_normal(shape), rng.standard_normal(shape[0]), 1e-3
    weights = np.linalg.solve(J @ J.T + ridge * np.eye(len(J)), v)
    held, formed = FactoredJacobian.of(J, ridge), DenseKernel.of(J @ J.T, ridge)
    by_held, by_formed = held.solve(v), formed.solve(v)
    np.testing.assert_allclose(by_held.motion, J.T @ weights, rtol=1e-9)
    np.testing.assert_allclose(by_formed.weights, weights, rtol=1e-9)
    for solved in (by_held, by_formed):
        assert solved.square == pytest.approx(v @ weights, rel=1e-9)
        assert solved.outside == pytest.approx(np.sum((v - J @ J.T @ weights) ** 2) / (v @ v), rel=1e-6, abs=1e-12)
    assert held.smallest() == pytest.approx(max(0.0, np.linalg.eigvalsh(J @ J.T)[0]), abs=1e-12)


def test_a_kernel_that_rounding_left_indefinite_is_solved_by_its_eigenvectors():
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    solved = DenseKernel.of(turn @ np.diag([3.0, -2.0]) @ turn.T, 1.0).solve(turn @ [4.0, 5.0])
    np.testing.assert_allclose(solved.weights, turn @ [1.0, 5.0], atol=1e-12)  # 4/(3 + 1), and −2 counts as 0


def test_what_is_not_finite_has_no_factor():
    for broken in (FactoredJacobian.of(np.full((2, 3), np.inf), 1.0), DenseKernel.of(np.full((2, 2), np.nan), 1.0)):
        assert np.isnan(broken.solve(np.ones(2)).square) and np.isnan(broken.smallest())


def test_the_jacobian_has_a_row_for_every_example():
    with float64():
        found = jacobian_function(LINE)(jnp.zeros(5), jnp.asarray(X))  # 70 examples are no whole number of blocks
    np.testing.assert_array_equal(found, X)


def test_more_outputs_than_parameters_are_followed_by_normal_equations():
    start, end = np.zeros(5), np.arange(5.0)
    aside = np.random.default_rng(2).standard_normal(70)
    aside -= X @ np.linalg.pinv(X) @ aside
    with float64():
        found = road_of(LINE, start, X, X @ end)
        stopped = road_of(LINE, start, X, X @ end + aside)
    assert found.stats["method"] == "normal equations" and found.status == "ok"
    assert found.cost == pytest.approx(np.linalg.norm(end), abs=1e-8)
    np.testing.assert_allclose(found.params, end, atol=1e-8)
    assert (found.smallest == 0).all()
    size = aside @ aside
    np.testing.assert_allclose(stopped.outside, size / (size + np.sum((X @ end) ** 2)), rtol=1e-9)
    assert stopped.status == "rank loss"


def test_examples_that_depend_on_each_other_have_their_kernel_formed():
    inputs, y = X[:4], np.arange(4.0)
    seen = inputs - inputs.mean(axis=0)
    target = seen @ np.linalg.pinv(seen) @ y
    with float64():
        found = road_of(CENTRED, np.zeros(5), inputs, target)
    assert found.stats["method"] == "dense"
    assert found.cost == pytest.approx(np.linalg.norm(np.linalg.pinv(seen) @ y), rel=1e-6)


def test_steps_that_are_far_too_long_cost_no_kernel(monkeypatch):
    made, at = [], Lifter.at
    monkeypatch.setattr(Lifter, "at", lambda self, params: made.append(1) or at(self, params))
    with float64():
        found = road_of(PRODUCT, jnp.array([1e-3, 1e-3]), np.ones((1, 1)), [[4.0]])
    # From a = b = 10⁻³ the lift follows the diagonal, 4000 times faster at first than at the end.
    assert found.cost == pytest.approx(np.sqrt(2) * (2 - 1e-3), rel=1e-3)
    steps, rejected = found.stats["steps"], found.stats["rejected"]
    assert rejected >= 2
    assert len(made) <= 1 + 3 * (steps + rejected - 2)  # two at least ended before a kernel was formed
