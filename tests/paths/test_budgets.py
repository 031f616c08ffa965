"""Seconds of a call: what comes back when they end, or the user asks to stop, on landscapes whose answer is known."""

from __future__ import annotations

import itertools
import time
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest
from spelled_out import connection_of

import allroads.budget
import allroads.paths.connect.rounds
from allroads import InputError, Network, float64
from allroads.status import PathStatus

ONE = (jnp.ones((1, 1)), jnp.ones((1, 1)))
ENDS = jnp.array([-1.0, 0.0]), jnp.array([1.0, 0.0])
RING = Network(lambda key: jnp.ones(2), lambda w, x: x * (w**2).sum())


@pytest.fixture
def ticking(monkeypatch):
    """A clock that goes on by a second whenever it is read."""
    monkeypatch.setattr(allroads.budget, "time", SimpleNamespace(monotonic=itertools.count().__next__))


@pytest.fixture
def interrupt(monkeypatch):
    """``interrupt(module, name, calls)``: the user asks to stop in that call of a function, and in those after it."""

    def arrange(module, name, calls, once=True):
        whole, count = getattr(module, name), itertools.count(1)

        def interrupted(*given, **options):
            number = next(count)
            if number == calls or (number > calls and not once):
                raise KeyboardInterrupt
            return whole(*given, **options)

        monkeypatch.setattr(module, name, interrupted)

    return arrange


def on_ring(**options):
    with float64():
        return connection_of(RING, *ENDS, "mse", *ONE, progress=False, **options)


def test_a_curve_with_time_enough_is_the_curve_without_a_budget():
    plain, budgeted = on_ring(), on_ring(budget=3600.0)
    assert np.array_equal(plain.losses, budgeted.losses) and budgeted.ended is None and budgeted.status == plain.status


def test_a_budget_that_ends_cuts_the_steps_of_a_curve(ticking):
    found, whole = on_ring(budget=20.0), 800
    assert found.ended == "budget" and found.status == PathStatus.NOT_CONVERGED
    assert 0 < found.steps < whole and found.gradients == 4 * found.steps
    assert found.height < found.straight.height == pytest.approx(1.0, abs=1e-9)


def test_a_band_out_of_time_has_the_images_so_far(ticking):
    found = on_ring(method="neb", budget=12.0)
    assert found.ended == "budget" and found.steps < 800 and len(found.knots) >= 9
    assert np.isfinite(found.losses).all() and found.stats["ended"] == "budget"


@pytest.mark.slow
def test_seconds_are_held():
    on_ring(steps=8)
    began = time.monotonic()
    found = on_ring(steps=10**7, budget=4.0)
    assert found.ended == "budget" and time.monotonic() - began < 20  # all steps would take ten minutes


def test_an_interrupt_returns_the_curve_so_far_and_a_second_ends_the_call(interrupt):
    interrupt(allroads.paths.connect.rounds, "_peaks", 3)
    found = on_ring()
    assert found.ended == "interrupted" and found.steps == 200 and found.status == PathStatus.NOT_CONVERGED
    assert found.height < 0.5 < found.straight.height
    interrupt(allroads.paths.connect.rounds, "_peaks", 3, once=False)
    with pytest.raises(KeyboardInterrupt):
        on_ring()


@pytest.mark.parametrize("seconds", [0, -1.0, float("nan"), "10"])
def test_budgets_that_are_no_seconds_are_refused_before_anything_runs(seconds, monkeypatch):
    monkeypatch.setattr(allroads.paths.connect.rounds, "compiled_training", None)
    with pytest.raises(InputError, match="budget"):
        on_ring(budget=seconds)
