"""Budgets: what is left, what an end is called, and interrupts from the keyboard."""

import jax.numpy as jnp
import numpy as np
import pytest

from allroads import GD, Network, Problem, explore, llc
from allroads.budget import Budget, budgeted
from allroads.errors import InputError


def test_a_budget_counts_down():
    budget = Budget(100.0)
    assert budget.limited and budget.ended is None
    assert 99 < budget.left <= 100 and budget.left + budget.spent == pytest.approx(100, abs=0.1)


def test_no_budget_never_ends():
    budget = Budget()
    assert not budget.limited and budget.left == float("inf") and budget.ended is None


def test_a_budget_that_is_spent_has_ended():
    budget = Budget(1e-9)
    assert budget.left == 0 and budget.ended == "budget"


def test_the_first_interrupt_ends_the_budget_and_the_second_the_call():
    budget, after = Budget(100.0), []
    with budget.interruptible():
        after.append("began")
        raise KeyboardInterrupt
    assert after == ["began"] and budget.ended == "interrupted" and budget.left == 0
    with pytest.raises(KeyboardInterrupt), budget.interruptible():
        raise KeyboardInterrupt


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), "ten", True])
def test_budgets_that_are_no_seconds_are_refused(seconds):
    with pytest.raises(InputError, match="budget"), budgeted("llc", seconds):
        pass


def test_arrays_of_numpy_that_a_network_holds_in_another_precision_are_named():
    """JAX keeps the array in single precision while the function that was compiled first is alive."""
    held = np.linspace(1.0, 2.0, 5)
    network = Network(lambda key: jnp.ones(5), lambda w, x: x * (w**2 * held).sum())
    problem = Problem(network, "mse", np.ones((2, 1)), np.zeros((2, 1)))
    explore(problem, GD(), 2, steps=2)
    with pytest.raises(InputError, match=r"llc: .* NumPy array of double precision"):
        llc(problem, np.ones(5), progress=False)
