"""Steering: a unit whose end is decided by weights, by its start or by the explorer, and bad input."""

import time

import jax
import numpy as np
import pytest

from allroads import GD, InputError, Network, Problem, steer
from allroads.atlases.steering import PILOT
from allroads.status import AtlasStatus

LINE = Network(lambda key: jax.random.normal(key, (2,)), lambda w, x: x * w[0] + w[1])
PROBLEM = Problem(LINE, "bce", [[-1.0], [1.0]], [0, 1])
PLACES = np.array([[-1.0], [0.25], [1.0]])


@pytest.mark.slow
def test_weights_move_the_boundary():
    """In logistic regression on −1 and 1 the boundary goes to the side of the lighter example."""
    low = steer(PROBLEM, GD(learning_rate=0.5), [0, 0, 1], PLACES, steps=20, runs=100, rounds=3, candidates=8)
    assert low.status is AtlasStatus.OK and low.after.value > 0.5 > low.before.stats["high"]
    assert low.weights[0] > 1 > low.weights[1] and low.weights.mean() == pytest.approx(1)
    assert low.stats["pilot"] == 3 * 8 * 32 and low.value == low.after.value and "steered by weights" in str(low)
    other = steer(PROBLEM, GD(learning_rate=0.5), [0, 1, 1], PLACES, steps=20, runs=100, rounds=1, candidates=4)
    assert other.before.value == pytest.approx(1 - low.before.value, abs=0.03)
    assert other.status is AtlasStatus.NOT_STEERED, "almost all runs end there already"


def test_starts_decide_where_the_data_do_not():
    """Of two inputs the second is never seen, and has a weight of its own: its sign is that of the start."""
    both = Network(lambda key: jax.random.normal(key, (2,)), lambda w, x: (x @ w)[:, None])
    problem = Problem(both, "bce", [[1.0, 0.0]], [1])
    inputs = np.eye(2)
    found = steer(problem, GD(learning_rate=1.0), [1, 0], inputs, steps=50, by="start", among=16, runs=100)
    assert abs(found.before.value - 0.5) < 0.2 and found.after.value == 1.0 and found.weights is None
    assert found.stats["functions_before"] == 2 and found.stats["fit_after"] == 1.0


def test_the_explorer_that_ends_there_is_chosen():
    still, moves = GD(learning_rate=1e-9), GD(learning_rate=0.5)
    found = steer(PROBLEM, still, [0, 1, 1], PLACES, steps=20, by="explorer", explorers=[still, moves], runs=100)
    assert found.explorer == moves and found.status is AtlasStatus.OK and found.stats["shares"][1] > 0.9
    assert found.stats["fit_before"] < 0.6 and found.stats["fit_after"] > 0.95


class Stopped:
    """Pilot and counted runs of a search that are made up; some calls are interrupted."""

    def __init__(self, *interrupts, first=0.0):
        self.calls, self.interrupts, self.first = 0, interrupts, first

    def ends(self, asked, members, start=None):
        self.calls += 1
        if self.calls == 1:
            time.sleep(self.first)
        if self.calls in self.interrupts:
            raise KeyboardInterrupt
        heavy = self.calls > 1 and asked.problem.weights is not None
        return np.tile([0, 0 if heavy else 1, 1], (len(members), 1))


@pytest.mark.parametrize(
    "interrupts, status, pilot",
    [((), "ok", 16), ((7,), "cut short", 5), ((7, 8), "unfinished", 5), ((18,), "unfinished", 16)],
)
def test_an_interrupt_ends_the_search_and_keeps_what_is_there(monkeypatch, interrupts, status, pilot):
    """Call 1 is that of the runs before, 2 to 17 are pilots; then come the runs after."""
    stopped = Stopped(*interrupts)
    monkeypatch.setattr("allroads.atlases.steering._Asked.ends", lambda *given, **more: stopped.ends(*given, **more))
    found = steer(PROBLEM, GD(), [0, 0, 1], PLACES, steps=5, runs=20, pilot=3, rounds=2, candidates=8, progress=False)
    assert found.status.value == status and found.stats["pilot"] == 3 * pilot and found.before.value == 0
    assert found.stats["ended"] == ("interrupted" if interrupts else None)
    assert found.weights.mean() == pytest.approx(1) and found.weights.std() > 0
    assert np.isnan(found.value) == (status == "unfinished") and ("not measured" in str(found)) == np.isnan(found.value)


def test_a_budget_leaves_time_for_the_runs_after(monkeypatch):
    stopped = Stopped()
    monkeypatch.setattr("allroads.atlases.steering._Asked.ends", lambda *given, **more: stopped.ends(*given, **more))
    found = steer(PROBLEM, GD(), [0, 0, 1], PLACES, steps=5, runs=20, budget=1e-9, progress=False)
    assert found.status.value == "cut short" and found.stats["ended"] == "budget" and found.stats["pilot"] == 0
    assert (found.weights == 1).all() and found.after.stats["samples"] == 20
    stopped = Stopped(first=0.2)  # as long as this are the runs after, so that nothing is left for the search
    held = steer(PROBLEM, GD(), [0, 0, 1], PLACES, steps=5, runs=20, budget=0.35, progress=False)
    assert held.stats["ended"] == "budget" and held.stats["pilot"] == 0 and held.after.stats["samples"] == 20
    stopped = Stopped()
    one = steer(PROBLEM, GD(), [0, 0, 1], PLACES, steps=5, by="explorer", explorers=["gd"], budget=1e-9, progress=False)
    assert one.explorer == GD() and one.stats["shares"] == [] and one.status.value == "cut short"


def test_runs_that_are_counted_are_none_of_the_search():
    assert PILOT > 10**7


@pytest.mark.parametrize(
    "change, says",
    [
        ({"chosen": [0, 2, 1]}, "from 0 to 1; got 0 to 2"),
        ({"chosen": [0, 1]}, "2.* for 3 inputs"),
        ({"chosen": [1, 1, 1]}, "differ from the labels"),
        ({"chosen": [0, 0.5, 1]}, "whole numbers"),
        ({"by": "luck"}, "unknown by 'luck'"),
        ({"by": "explorer"}, "one explorer or more"),
        ({"explorers": [GD()]}, "for by='explorer'"),
        ({"runs": 0}, "runs: expected"),
        ({"candidates": 1}, "candidates: expected"),
        ({"problem": 3}, "problem: expected"),
        ({"budget": 0}, "budget: expected"),
    ],
)
def test_bad_input(change, says):
    given = {"problem": PROBLEM, "explorer": GD(), "chosen": [0, 0, 1], "inputs": PLACES, "steps": 5} | change
    with pytest.raises(InputError, match=says):
        steer(**given)
