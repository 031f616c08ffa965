"""An inspection within a budget: what there was no time for is named, and what is there is right."""

import dataclasses
import time

import jax.numpy as jnp
import numpy as np
import pytest

from allroads import InputError, Network, Problem, inspect_point
from allroads.errors import UnknownNameError
from allroads.points import inspection
from allroads.points.description import factorised_size
from allroads.report.point.terminal import as_json
from allroads.report.point.words import description_facts
from made_up_inspection import made_up

RNG = np.random.default_rng(5)
LINE = Network(lambda key: jnp.zeros(3), lambda w, x: (x @ w)[:, None])
INPUTS = RNG.normal(size=(30, 3))
PROBLEM = Problem(LINE, "mse", INPUTS, INPUTS @ np.ones(3))
QUICK = {"sampler": "sgld", "nbeta": 1000.0, "localisation": 1.0, "draws": 50, "burn_in": 50, "progress": False}


def inspected(**options):
    return inspect_point(PROBLEM, jnp.ones(3), **QUICK, **options)


@pytest.fixture
def slow_lengths(monkeypatch):
    """Description lengths of which the first ends the time that there is."""
    began = []

    def slow(problem, params):
        began.append(1)
        time.sleep(1.2)
        return factorised_size(problem, params)

    monkeypatch.setattr(inspection, "NETWORK_MEASURES", {"first": slow, "second": slow})
    monkeypatch.setattr(inspection, "llc", lambda problem, params, **options: made_up().llc)
    return began


def interrupting(problem, params):
    raise KeyboardInterrupt


def test_lengths_for_which_no_time_is_left_are_named(slow_lengths):
    found = inspected(budget=1.0)
    hessian = 2 * np.linalg.eigvalsh(INPUTS.T @ INPUTS / 30)
    assert found.spectrum.trace.value == pytest.approx(hessian.sum(), rel=1e-6)
    assert len(slow_lengths) <= 1 and "second" in found.left_out
    assert {*found.description, *found.left_out} == {"first", "second"}
    assert ("second", "left out: no time was left") in description_facts(found)
    assert "second" in as_json(found, [])["left_out"]


def test_an_interrupt_leaves_out_the_rest(slow_lengths, monkeypatch):
    monkeypatch.setattr(inspection, "NETWORK_MEASURES", {"first": interrupting, "second": interrupting})
    found = inspected()
    assert found.left_out == ("first", "second") and found.spectrum.ended == "complete"


def test_an_interrupt_of_the_first_measure_leaves_out_the_lengths(slow_lengths, monkeypatch):
    coefficient = made_up().llc
    stopped = dataclasses.replace(coefficient, stats={**coefficient.stats, "ended": "interrupted"})
    monkeypatch.setattr(inspection, "llc", lambda problem, params, **options: stopped)
    found = inspected()
    assert not slow_lengths and found.left_out == ("first", "second")
    assert found.loss == 0.25 and np.isfinite(found.spectrum.trace.value)


def test_a_budget_that_is_over_at_once_is_no_error(slow_lengths, monkeypatch):
    seconds = []

    def coefficient(problem, params, *, budget, **options):
        seconds.append(budget)
        return made_up().llc

    monkeypatch.setattr(inspection, "llc", coefficient)
    found = inspected(budget=1e-6)
    assert not slow_lengths and found.spectrum.ended in ("budget", "complete")
    assert 0 < seconds[0] <= 1e-6 and np.isfinite(found.spectrum.trace.value)


@pytest.mark.parametrize("wrong", [{"budget": 0}, {"seed": "a"}, {"top": -1}, {"drawss": 3}])
def test_what_cannot_be_used_is_refused_before_any_work(wrong, monkeypatch):
    monkeypatch.setattr(inspection, "llc", None)
    with pytest.raises((InputError, UnknownNameError), match=next(iter(wrong))):
        inspected(**wrong)
