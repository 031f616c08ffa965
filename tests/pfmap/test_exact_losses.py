"""Losses, slopes and curvatures at margins where the usual forms have lost all digits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from allroads import Network, Problem, float64, spectrum, top_eigenvalue
from allroads.pfmap.losses import bce, cross_entropy

PRECISIONS = [(jnp.float32, 1e-6), (jnp.float64, 1e-13)]


@pytest.mark.parametrize("offset", [0.0, 1e4, 1e6, 1e8, 1e30])
def test_two_equal_scores_cost_log_two_at_every_offset(offset):
    scores = jnp.full((1, 2), offset, jnp.float32)
    assert float(cross_entropy(scores, jnp.array([0]))[0]) == pytest.approx(np.log(2), rel=1e-7)


@pytest.mark.parametrize(("dtype", "accuracy"), PRECISIONS)
@pytest.mark.parametrize("margin", [1.0, 14.0, 16.0, 18.0, 40.0, 80.0])
@pytest.mark.parametrize("label", [0, 1])
def test_binary_losses_keep_their_digits_on_both_sides(dtype, accuracy, margin, label):
    with float64():
        loss, slope, curvature = np.log1p(np.exp(-margin)), -np.exp(-margin), np.exp(-margin)
        slope, curvature = slope / (1 + np.exp(-margin)), curvature / (1 + np.exp(-margin)) ** 2
        sign = 1 if label else -1

        def of_logit(f):
            return bce(f[None, None], jnp.array([label]))[0]

        def of_scores(f):  # the same as two classes
            return cross_entropy(jnp.stack([jnp.zeros((), dtype), f])[None], jnp.array([label]))[0]

        for function in (of_logit, of_scores):
            at = jnp.asarray(sign * margin, dtype)
            assert float(function(at)) == pytest.approx(loss, rel=accuracy)
            assert float(jax.grad(function)(at)) == pytest.approx(sign * slope, rel=accuracy)
            assert float(jax.grad(jax.grad(function))(at)) == pytest.approx(curvature, rel=accuracy)


@pytest.mark.parametrize(("dtype", "accuracy"), PRECISIONS)
def test_the_derivatives_of_five_classes_are_those_of_exact_arithmetic(dtype, accuracy):
    from fractions import Fraction

    from mpmath import mp, mpf

    scores, label = [21.0, 0.5, -1.25, 0.0, 1.0], 0
    with float64(), mp.workdps(60):
        exponentials = [mp.exp(mpf(Fraction(s).numerator) / Fraction(s).denominator) for s in scores]
        p = [e / sum(exponentials) for e in exponentials]
        slope = [float(value - (c == label)) for c, value in enumerate(p)]
        curvature = [[float(p[a] * ((a == b) - p[b])) for b in range(5)] for a in range(5)]

        def loss(f):
            return cross_entropy(f[None], jnp.array([label]))[0]

        at = jnp.asarray(scores, dtype)
        assert float(loss(at)) == pytest.approx(float(-mp.log(p[label])), rel=10 * accuracy)
        np.testing.assert_allclose(jax.grad(loss)(at), slope, rtol=20 * accuracy)
        np.testing.assert_allclose(
            jax.hessian(loss)(at), curvature, rtol=20 * accuracy, atol=accuracy * curvature[0][0]
        )


def test_extreme_scores_have_finite_derivatives():
    for scores, label, loss in (
        ([0.0, -np.inf], 0, 0.0),
        ([0.0, -np.inf, 0.0], 0, np.log(2)),
        ([3.0], 0, 0.0),
        ([-300.0, 300.0], 1, 0.0),
    ):
        at = jnp.asarray(scores, jnp.float32)
        found, slope = jax.value_and_grad(lambda f, y=label: cross_entropy(f[None], jnp.array([y]))[0])(at)
        assert float(found) == pytest.approx(loss, abs=1e-6) and np.isfinite(slope).all()
    impossible = cross_entropy(jnp.array([[-jnp.inf, 0.0]]), jnp.array([0]))
    assert np.isposinf(impossible[0])


@pytest.mark.parametrize("margin", [18.0, 25.0, 40.0])
@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("matrix", ["hessian", "gauss_newton"])
def test_curvature_of_confident_answers_is_twice_p_one_minus_p_and_zero(margin, precision, matrix):
    """Two scores that are parameters: ∇² = p(1 − p) [[1, −1], [−1, 1]], with eigenvalues 2p(1 − p) and 0."""
    scores = Network(lambda key: jnp.zeros(2), lambda w, x: x * w)
    problem = Problem(scores, "cross_entropy", np.ones((1, 1)), [0])
    q = np.exp(-margin) / (1 + np.exp(-margin))
    exact, rounding = 2 * q * (1 - q), 1e-5 if precision == "float32" else 1e-12

    def check():
        found = spectrum(problem, np.array([margin, 0.0]), matrix=matrix).eigenvalues
        assert found[0] == pytest.approx(exact, rel=rounding) and abs(found[1]) <= rounding * exact
        top = top_eigenvalue(problem, np.array([margin, 0.0]), matrix=matrix)
        assert top.value == pytest.approx(exact, rel=1e-3)

    if precision == "float64":
        with float64():
            check()
    else:
        check()


def test_a_fisher_matrix_of_confident_answers_is_twice_the_squared_error_of_its_probability():
    """The slope is (−q, q), so the matrix is q² [[1, −1], [−1, 1]]."""
    scores = Network(lambda key: jnp.zeros(2), lambda w, x: x * w)
    problem = Problem(scores, "cross_entropy", np.ones((1, 1)), [0])
    q = np.exp(-18.0) / (1 + np.exp(-18.0))
    found = spectrum(problem, np.array([18.0, 0.0]), matrix="fisher").eigenvalues
    assert found[0] == pytest.approx(2 * q * q, rel=1e-5) and abs(found[1]) <= 1e-5 * 2 * q * q


@pytest.mark.parametrize("matrix", ["hessian", "gauss_newton"])
def test_a_linear_network_of_large_margins_has_the_spectrum_of_double_precision(matrix):
    rng = np.random.default_rng(3)
    inputs, weights = rng.normal(size=(40, 6)), rng.normal(size=(6, 5))
    scores = inputs @ weights
    labels = scores.argmax(1)
    others = np.where(np.arange(5) == labels[:, None], -np.inf, scores).max(1)
    weights *= 20 / (scores.max(1) - others).min()  # every margin is 20 or more
    linear = Network(lambda key: jnp.zeros((6, 5)), lambda w, x: x @ w)
    problem = Problem(linear, "cross_entropy", inputs, labels)
    single = spectrum(problem, weights, matrix=matrix, top=1, bottom=1)
    with float64():
        double = spectrum(problem, weights, matrix=matrix, top=1, bottom=1)
    assert single.eigenvalues[0] == pytest.approx(double.eigenvalues[0], rel=1e-3)
    assert abs(single.smallest_eigenvalues[0]) <= 1e-3 * double.eigenvalues[0]
