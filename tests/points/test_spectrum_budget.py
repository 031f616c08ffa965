"""A spectrum that ends before its time: what it gives is true, and says how far it is to be trusted."""

import time
from collections import deque

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from allroads import InputError, Network, Problem, SpectrumOptions, float64, spectrum
from allroads.budget import Budget
from allroads.networks.mlp import mlp
from allroads.points.spectrum import matrix as matrices
from allroads.points.spectrum.eigenpairs import extreme_eigenpairs, seen_pairs
from allroads.points.spectrum.loss_matrix import loss_matrix
from allroads.status import SpectrumStatus

RNG = np.random.default_rng(3)
NET = mlp((6,), 2, widths=(14, 12), activation="tanh")  # 304 parameters
PROBLEM = Problem(NET, "mse", RNG.normal(size=(101, 6)), RNG.normal(size=(101, 2)))
FREE = SpectrumOptions(method="matrix_free")


def point():
    return NET.init(jax.random.key(0))


def measured(**options):
    with float64():
        return spectrum(PROBLEM, point(), matrix="gauss_newton", progress=False, **options)


class Stopping:
    """A diagonal matrix whose product is interrupted once, or whose budget ends, after so many products."""

    def __init__(self, diagonal, products, budget, interrupts=False):
        self.diagonal, self.products, self.budget, self.interrupts = diagonal, products, budget, interrupts

    def __call__(self, v):
        self.products -= 1
        if self.products == 0:
            if self.interrupts:
                raise KeyboardInterrupt
            self.budget.interrupt()
        return self.diagonal * v


@pytest.mark.parametrize("interrupts", [True, False])
@pytest.mark.parametrize("end", ["top", "bottom"])
def test_pairs_of_a_search_that_ended_lie_within_their_residuals(interrupts, end):
    diagonal = np.linspace(-1.0, 1.0, 400) ** 3
    budget = Budget()
    found = extreme_eigenpairs(Stopping(diagonal, 60, budget, interrupts), 400, 5, end=end, budget=budget)
    assert not found.complete and budget.interrupted and len(found.values) == 5
    nearest = np.abs(diagonal[None] - found.values[:, None]).min(axis=1)
    assert (nearest <= found.residuals + 1e-12).all()
    assert found.residuals.max() > 1e-8  # else nothing was cut short
    np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=1), 1.0, atol=1e-9)
    best = diagonal[-1] if end == "top" else diagonal[0]
    assert found.values[0] == pytest.approx(best, abs=0.05)


def test_pairs_of_products_that_span_an_invariant_space_are_its_own():
    diagonal = np.array([5.0, -7.0, 3.0, 1.0, 9.0, 2.0])
    vectors = RNG.normal(size=(3, 3)) @ np.eye(6)[:3]  # neither of length 1 nor at right angles
    seen = deque((v, diagonal * v) for v in [*vectors, 1e3 * vectors[0]])
    for which, expected in (("LA", [3.0, 5.0]), ("LM", [5.0, -7.0])):
        values, pairs, complete = seen_pairs(seen, 2, which)
        np.testing.assert_allclose(values, expected, rtol=1e-9)
        np.testing.assert_allclose(diagonal[:, None] * pairs, pairs * values, atol=1e-8)
        assert not complete


def test_a_search_with_time_is_the_search_without_a_budget():
    diagonal = np.linspace(-1.0, 1.0, 200)
    plain, watched = (extreme_eigenpairs(lambda v: diagonal * v, 200, 3, budget=b) for b in (None, Budget(600.0)))
    np.testing.assert_array_equal(plain.values, watched.values)
    assert plain.complete and watched.complete


@pytest.mark.slow
def test_a_budget_that_is_over_gives_estimates_with_honest_errors():
    exact = measured()
    measured(options=FREE, budget=0.001)  # compiled
    began = time.monotonic()
    rough = measured(options=FREE, budget=0.001)
    assert time.monotonic() - began < 20
    assert rough.ended == rough.stats["ended"] == "budget"
    assert rough.status == SpectrumStatus.NOT_CONVERGED and np.isfinite(rough.trace.error)
    assert abs(rough.trace - exact.trace) <= 6 * rough.trace.error
    assert rough.eigenvalues[0] == pytest.approx(exact.eigenvalues[0], abs=rough.residuals[0] + 1e-9)


@pytest.mark.slow
def test_with_time_enough_nothing_changes():
    free, limited = measured(options=FREE), measured(options=FREE, budget=600.0)
    assert free.ended == limited.ended == "complete" and measured().ended == "complete"
    assert free.trace.value == limited.trace.value
    np.testing.assert_array_equal(free.eigenvalues, limited.eigenvalues)


@pytest.mark.parametrize("seed", ["a", -1, 0.5])
def test_a_seed_that_is_no_whole_number_is_refused(seed):
    with pytest.raises(InputError, match="seed"):
        measured(seed=seed)


@pytest.mark.parametrize("budget", [0, "long", float("nan")])
def test_a_budget_that_is_no_time_is_refused(budget):
    with pytest.raises(InputError, match="budget"):
        measured(budget=budget)


def test_random_vectors_are_followed_in_single_precision_where_rounding_is_small():
    exact, found = measured(shift=0.01), measured(shift=0.01, options=FREE)
    for quantity in ("trace", "log_determinant", "effective_dimension"):
        truth, estimate = getattr(exact, quantity), getattr(found, quantity)
        assert truth.stats["precision"] == "float64" and estimate.stats["precision"] == "float32"
        assert abs(estimate - truth) <= 5 * estimate.error
    assert found.residuals.max() <= 1e-7 * found.norm  # eigenpairs are in double precision all the same
    assert measured(shift=1e-8, options=FREE).trace.stats["precision"] == "float64"


@pytest.mark.slow
def test_double_precision_stays_where_estimates_are_more_exact_than_single_precision():
    """All eigenvalues are 2: every random vector gives the trace exactly, and single precision would not."""
    sphere = Network(lambda key: jnp.zeros(80), lambda w, x: x * w)
    problem = Problem(sphere, "mse", np.ones((1, 80)), np.zeros((1, 80)))
    with float64():
        found = spectrum(problem, jnp.zeros(80), top=0, shift=1.0, options=FREE, progress=False)
    assert found.trace.value == pytest.approx(80 * 2 / 80, rel=1e-12)
    assert found.trace.stats["precision"] == "float64"


def test_a_network_that_computes_in_double_precision_on_its_own_is_measured_so():
    with float64():
        table = jnp.asarray(RNG.normal(size=(6, 90)))
        own = Network(lambda key: jnp.zeros(90), lambda w, x: (x @ table.astype(jnp.float64)) * w.astype(table.dtype))
        problem = Problem(own, "mse", RNG.normal(size=(20, 6)), np.zeros((20, 90)))
        dense, found = (
            spectrum(problem, jnp.zeros(90), shift=0.01, options=options, progress=False)
            for options in (SpectrumOptions(), FREE)
        )
    assert abs(found.trace - dense.trace) <= 5 * found.trace.error + 1e-12


@pytest.mark.slow
def test_rows_made_one_by_one_are_the_rows_made_together(monkeypatch):
    with float64():
        operator = loss_matrix(PROBLEM, PROBLEM.point(point()), "hessian", held=0, memory=2**31)
        one_by_one = operator.dense()
        monkeypatch.setattr(matrices, "_IN_TURN", 0)
        np.testing.assert_allclose(operator.dense(), one_by_one, atol=1e-12)
