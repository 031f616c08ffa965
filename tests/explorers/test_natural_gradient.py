"""The natural gradient: contraction whatever the features, gradient descent under damping, dense algebra, bad input."""

import jax
import numpy as np
import pytest

from allroads import InputError, NaturalGradient, Network, Problem, explore, float64
from allroads.errors import MemoryBudgetError
from allroads.explorers.recording import Recording
from allroads.networks.mlp import mlp

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(6, 10)) @ np.diag(10.0 ** np.linspace(-1, 1, 10))
LABELS = RNG.normal(size=(6, 2))
LINEAR = Network(lambda key: jax.random.normal(key, (10, 2)), lambda w, x: x @ w)
SMALL = mlp((2,), 2, widths=(3,), activation="tanh")
INPUTS = RNG.normal(size=(5, 2))


@pytest.mark.parametrize(("rate", "outputs"), [pytest.param(0.3, 1, marks=pytest.mark.slow), (0.3, 2)])
def test_outputs_contract_alike_whatever_the_features(rate, outputs):
    """``f − y`` by ``1 − 2η/C`` per step, for features of scales from 0.1 to 10."""
    network = Network(lambda key: jax.random.normal(key, (10, outputs)), lambda w, x: x @ w)
    with float64():
        problem = Problem(network, "mse", FEATURES, LABELS[:, :outputs])
        explorer = NaturalGradient(learning_rate=rate, damping=0.0)
        run = explore(problem, explorer, 2, steps=4, record=Recording(records=5))
        apart = run.values - LABELS[:, :outputs]
        for k in range(5):
            np.testing.assert_allclose(apart[:, k], (1 - 2 * rate / outputs) ** k * apart[:, 0], rtol=0, atol=1e-8)
    assert (run.cost.gradients == 4 * (6 * outputs + 1)).all() and (run.cost.forwards == 0).all()


@pytest.mark.parametrize(
    ("loss", "labels"),
    [pytest.param("mse", LABELS[:5], marks=pytest.mark.slow), ("cross_entropy", np.array([0, 1, 1, 0, 1]))],
)
def test_a_step_is_that_of_dense_algebra_in_parameter_space(loss, labels):
    """``(JᵀJ/N + δI)⁻¹ ∇L`` by a solution in the space of parameters; with large δ it is ``∇L/δ``."""
    with float64():
        problem = Problem(SMALL, loss, INPUTS, labels)
        point = jax.jit(SMALL.init)(jax.random.key(1))
        flat, unravel = jax.flatten_util.ravel_pytree(point)
        jacobian = np.asarray(jax.jit(jax.jacrev(lambda p: SMALL.apply(unravel(p), INPUTS).ravel()))(flat))
        gradient = np.asarray(jax.jit(jax.grad(lambda p: problem.mean(unravel(p))))(flat))
        for damping in (0.1, 1e9):
            rule = NaturalGradient(learning_rate=damping, damping=damping).rule
            moved = jax.jit(lambda p: rule.step(rule.init(None, p, problem), problem, 0)[0].params)(point)  # noqa: B023
            moved = np.asarray(jax.flatten_util.ravel_pytree(moved)[0]) - flat
            metric = jacobian.T @ jacobian / 5 + damping * np.eye(len(flat))
            np.testing.assert_allclose(moved, -damping * np.linalg.solve(metric, gradient), rtol=0, atol=1e-9)
    np.testing.assert_allclose(moved, -gradient, rtol=0, atol=1e-6)  # the last one is gradient descent


def test_bad_input_is_refused():
    with pytest.raises(InputError, match=r"natural_gradient.*damping"):
        NaturalGradient(damping=-1.0)
    with pytest.raises(InputError, match="penalty"):
        explore(Problem(LINEAR, "mse", FEATURES, LABELS, weight_decay=0.1), NaturalGradient(), 1, steps=1)
    with pytest.raises(MemoryBudgetError):
        explore(Problem(LINEAR, "mse", FEATURES, LABELS), NaturalGradient(memory=100), 1, steps=1)


@pytest.mark.slow
def test_equations_without_a_solution_end_as_diverged():
    twice = Problem(LINEAR, "mse", np.ones((3, 10)), np.array([[1.0, 0], [0, 1], [1, 1]]))
    run = explore(twice, NaturalGradient(damping=0.0), 1, steps=2)
    assert run.status.value == "diverged"
