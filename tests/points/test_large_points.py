"""Points with many parameters: few vectors, memory that is said and refused, examples in parts."""

from __future__ import annotations

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from allroads import Network, Problem, llc, spectrum
from allroads.budget import Budget
from allroads.errors import MemoryBudgetError
from allroads.pfmap.objective import Objective
from allroads.points.sampling import Chains, draw
from allroads.points.sampling import memory as chains_memory
from allroads.points.sampling.free_parameters import free_parameters
from allroads.points.sampling.memory import check_memory
from allroads.points.spectrum import SpectrumOptions, top_eigenvalue
from allroads.points.spectrum import options as spectrum_options
from allroads.points.spectrum.options import vectors_for
from allroads.points.spectrum.recurrence import VECTORS
from allroads.points.spectrum.spectrum import spectrum_until

SIZE = 20_000
CURVATURE = np.concatenate([[100.0, 50.0, 25.0], np.linspace(0, 1, SIZE - 3)])


def diagonal() -> tuple[Problem, np.ndarray]:
    """A loss whose Hessian is diagonal: ½ Σ h_j w_j²."""
    root = np.sqrt(CURVATURE * SIZE / 2).astype("f4")  # the loss is the mean over the outputs
    network = Network(lambda key: jnp.zeros(SIZE), lambda w, x: x * w * root)
    return Problem(network, "mse", np.ones((1, 1)), np.zeros((1, SIZE))), np.zeros(SIZE, "f4")


def test_a_spectrum_of_few_vectors_has_the_known_eigenvalues_and_traces():
    """In 20 vectors of single precision, where the usual way holds 180 of double."""
    problem, params = diagonal()
    options = SpectrumOptions(probes=8, steps=40, memory=4 * SIZE * 40)
    assert vectors_for(SIZE, 4, 1, options, None).lean
    found = spectrum(problem, params, matrix="gauss_newton", top=1, shift=0.5, options=options, progress=False)
    assert found.status.value == "ok"
    np.testing.assert_allclose(found.eigenvalues, [100.0], rtol=1e-4)
    assert abs(np.asarray(found.eigenvectors)[0, 0]) > 0.999
    exact = {
        "trace": CURVATURE.sum(),
        "log_determinant": np.log(CURVATURE + 0.5).sum(),
        "effective_dimension": 0.5 * (CURVATURE / (CURVATURE + 0.5)).sum(),
    }
    for name, value in exact.items():
        got = getattr(found, name)
        assert abs(got.value - value) < 4 * got.error, name
        assert got.error < 0.02 * abs(value), name
    assert found.norm == pytest.approx(100.0, rel=1e-4)


def test_three_vectors_give_the_density_and_no_eigenpairs():
    problem, params = diagonal()
    options = SpectrumOptions(probes=2, steps=40, memory=4 * SIZE * (VECTORS + 7))
    found = spectrum(problem, params, matrix="gauss_newton", top=0, options=options, progress=False)
    assert found.eigenvalues.size == 0
    assert found.norm == pytest.approx(100.0, rel=1e-4)
    assert found.density.weights.sum() == pytest.approx(1.0)
    outliers = found.density.weights[found.density.nodes > 2].sum()
    assert 0.1 * 3 / SIZE < outliers < 4 * 3 / SIZE  # of two random vectors: χ² of six degrees of freedom


def test_the_largest_eigenvalue_of_three_vectors_is_the_usual_one():
    problem, params = diagonal()
    lean = top_eigenvalue(problem, params, memory=4 * SIZE * (VECTORS + 7))
    usual = top_eigenvalue(problem, params)
    assert lean.value == pytest.approx(100.0, abs=0.1)
    assert usual.value == pytest.approx(100.0, abs=0.1)
    assert lean.error <= 2e-3 * 100 and lean.status.value == "ok"


def test_the_recurrence_of_a_zero_matrix_is_flat():
    network = Network(lambda key: jnp.zeros(SIZE), lambda w, x: x + 0 * w[:1])
    problem = Problem(network, "mse", np.ones((1, 1)), np.zeros((1, 1)))
    found = top_eigenvalue(problem, np.zeros(SIZE, "f4"), memory=4 * SIZE * (VECTORS + 7))
    assert (found.value, found.status.value) == (0.0, "flat")


def test_a_spectrum_that_no_machine_holds_is_refused_with_what_to_change():
    with pytest.raises(MemoryBudgetError, match=r"100,000,000 parameters with 10 eigenpairs: needs .*fewer eigenpairs"):
        vectors_for(10**8, 4, 10, SpectrumOptions(), 8 * 2**30)
    assert vectors_for(10**8, 4, 0, SpectrumOptions(), 8 * 2**30).lean


def test_what_the_machine_has_left_bounds_a_spectrum_and_an_eigenvalue(monkeypatch):
    problem, params = diagonal()
    for function in (spectrum, top_eigenvalue):
        monkeypatch.setattr(sys.modules[function.__module__], "memory_left", lambda device: 4 * SIZE)
    few = 4 * SIZE * 40
    with pytest.raises(MemoryBudgetError, match="that are left"):
        spectrum(problem, params, top=1, options=SpectrumOptions(memory=few), progress=False)
    with pytest.raises(MemoryBudgetError, match=r"largest eigenvalue of 20,000 parameters.*mask"):
        top_eigenvalue(problem, params, memory=few)


def test_a_spectrum_says_what_its_vectors_take_before_it_computes():
    problem, params = diagonal()
    said: list[str] = []
    spectrum_until(Budget(None, said.append), problem, params, top=0, options=SpectrumOptions(probes=2, steps=3))
    assert said[0].startswith("compilation; vectors take about ")


@pytest.mark.parametrize(("dtype", "bytes_"), [("float32", 4), (None, 8)])
def test_chains_count_the_bytes_of_their_precision(dtype, bytes_):
    free = free_parameters({"w": jax.ShapeDtypeStruct((2000, 5000), "float32")})
    options = Chains(count=2, ladder=False, dtype=dtype, metric="none", memory=2**40)
    needed = bytes_ * 12 * 2 * 10**7
    assert chains_memory.chains_bytes(free, 2, options) == needed


def test_chains_that_exceed_budget_or_machine_are_refused_with_what_to_change(monkeypatch):
    free = free_parameters({"w": jax.ShapeDtypeStruct((2000, 5000), "float32")})
    with pytest.raises(
        MemoryBudgetError, match=r"4 chains of 10,000,000 parameters in double.*budget is 1.0 GiB.*mask"
    ):
        check_memory(free, 4, Chains(memory=2**30))
    monkeypatch.setattr(chains_memory, "memory_left", lambda device: 2**30)
    with pytest.raises(
        MemoryBudgetError, match=r"in single precision: needs .* of 1.0 GiB that are left.*fewer chains"
    ):
        check_memory(free, 4, Chains(memory=2**40, dtype="float32"))


def test_losses_and_curvature_in_parts_are_those_of_all_and_take_a_part_of_the_memory():
    """Seven examples three at a time, so that the last part is filled up; 64 parts of one."""

    def apply(w, x):
        hidden = x
        for _ in range(4):
            hidden = jnp.tanh(hidden @ w)
        return hidden

    network = Network(lambda key: jnp.zeros((64, 64)), apply)
    rng = np.random.default_rng(0)
    weights = (rng.normal(size=(64, 64)) / 8).astype("f4")
    problem = Problem(network, "mse", rng.normal(size=(7, 64)), rng.normal(size=(7, 64)), regulariser=0.1)
    whole, parted = problem.objective, problem.objective.in_parts(3)
    np.testing.assert_allclose(
        parted.losses(weights, problem.data), whole.losses(weights, problem.data), rtol=1e-5
    )  # fmt: skip

    def product(objective: Objective, data):
        return jax.jit(lambda w: jax.jvp(jax.grad(lambda v: objective.mean(v, data)), (w,), (w,))[1])

    np.testing.assert_allclose(
        product(parted, problem.data)(weights), product(whole, problem.data)(weights), rtol=1e-4, atol=1e-6
    )
    many = Problem(network, "mse", rng.normal(size=(4096, 64)), rng.normal(size=(4096, 64)))
    temporary = [
        product(objective, many.data).lower(weights).compile().memory_analysis().temp_size_in_bytes
        for objective in (many.objective, many.objective.in_parts(64))
    ]
    assert temporary[1] < temporary[0] / 8


def test_chains_look_at_many_examples_in_parts_and_at_few_at_once(monkeypatch):
    network = Network(lambda key: jnp.zeros((2, 1)), lambda w, x: x @ w)
    problem = Problem(network, "mse", np.ones((50, 2)), np.zeros((50, 1)))
    point = jnp.zeros((2, 1))
    assert draw._in_parts(problem, point, 5) is problem.objective
    monkeypatch.setattr(draw, "PART_BYTES", 40)
    assert draw._in_parts(problem, point, 5) == problem.objective.in_parts(5)
    assert draw._in_parts(problem, point, None).at_a_time == 10
    coupled = Network(lambda key: jnp.zeros((2, 1)), lambda w, x: (x - x.mean(0)) @ w)
    mixed = Problem(coupled, "mse", np.random.default_rng(0).normal(size=(50, 2)), np.zeros((50, 1)))
    assert draw._in_parts(mixed, point, None) is mixed.objective


@pytest.mark.parametrize("seed", [1, 2])
def test_chains_go_on_until_as_many_draws_as_a_status_asks_for_are_there(seed):
    """λ = d/2 · nβ/(nβ + γ) = 999 is precise to 1 % after ten draws, which show nothing of the chains."""
    size = 2_000
    network = Network(lambda key: jnp.zeros(size), lambda w, x: x * w * (size / 2) ** 0.5)
    problem = Problem(network, "mse", np.ones((4, 1)), np.zeros((4, size)))
    chains = Chains(count=4, ladder=False, metric="none")
    found = llc(problem, np.zeros(size, "f4"), nbeta=1e3, localisation=1.0, chains=chains, seed=seed, progress=False)
    assert found.status == "ok" and found.stats["ended"] == "precision"
    assert found.value == pytest.approx(size / 2 * 1000 / 1001, rel=0.03)


def test_options_of_memory_are_checked():
    assert spectrum_options.SpectrumOptions().budget == 2**31
    assert spectrum_options.SpectrumOptions(memory=5).budget == 5
