"""Seconds of a call: what comes back when they end, or the user asks to stop, on landscapes whose answer is known."""

from __future__ import annotations

import itertools
import sys
import time
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from spelled_out import connection_of

import allroads.budget
import allroads.paths.connect.rounds
import allroads.paths.learnability.simulate.batches
from allroads import InputError, LearnabilityOptions, Network, Problem, align, float64, learnability, road
from allroads.budget import Budget
from allroads.explorers.gd import GD
from allroads.networks.mlp import mlp
from allroads.paths.connect.rounds import _Pace
from allroads.paths.learnability.law.calibration import Calibration
from allroads.paths.learnability.law.quick import on_simulations
from allroads.paths.road.few_inputs import few_rows
from allroads.status import ForecastStatus, PathStatus, RoadStatus

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


def test_a_curve_that_is_cut_short_ends_at_the_end_of_its_schedule(ticking, monkeypatch):
    whole, told = allroads.paths.connect.rounds.compiled_training, []

    def watched(*given):
        run = whole(*given)

        def advance(state, fixed, steps, total, *rest):
            told.append((steps[-1] + 1, total))
            return run.advance(state, fixed, steps, total, *rest)

        return SimpleNamespace(start=run.start, method=run.method, advance=advance)

    monkeypatch.setattr(allroads.paths.connect.rounds, "compiled_training", watched)
    steps = on_ring(budget=20.0).steps
    assert told[0][1] == 800 and told[-1] == (steps, steps)  # the rate is zero at the last step


def test_rounds_share_the_time_and_the_first_run_does_not_set_the_pace(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(allroads.budget, "time", SimpleNamespace(monotonic=lambda: now[0]))
    pace = _Pace(32, Budget(100.0), 2)
    for seconds, total in ((10.0, 32), (2.0, 2 + 15), (0.0, 32)):  # of 0.85 · 100 / 2 seconds; a coarse clock reads 0
        now[0] += seconds
        pace.ran()
        assert pace.total == total


def test_a_band_out_of_time_has_the_images_so_far(ticking):
    found = on_ring(method="neb", budget=12.0)
    assert found.ended == "budget" and found.steps < 800 and len(found.knots) >= 9
    assert np.isfinite(found.losses).all() and found.stats["ended"] == "budget"


@pytest.mark.parametrize(
    ("budget", "ended", "expected"),
    [(100.0, "budget", [7.5] * 4), (None, "interrupted", [None, 1e-9, 1e-9, 1e-9])],  # 30 % for all; none is left
)
def test_alignments_share_their_part_of_the_budget(budget, ended, expected, monkeypatch):
    now, given = [0.0], []

    def move(network, a, b, inputs, *, budget, **options):
        given.append(budget)
        now[0] += budget or 0.0
        return SimpleNamespace(params=b, ended=ended)

    monkeypatch.setattr(allroads.budget, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(sys.modules["allroads.paths.connect.connect"], "moved_near", move)
    pairs = (jnp.stack([end] * 4) for end in ENDS)
    connection_of(RING, *pairs, "mse", *ONE, population=True, align="weights", steps=8, budget=budget, progress=False)
    assert given == pytest.approx(expected)


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


CUBE = 1.0 - 2 * (np.arange(16)[:, None] >> np.arange(4) & 1)
TARGETS = {f"parity of {k}": CUBE[:, :k].prod(axis=1) for k in (4, 1, 3, 2)} | {"flat": np.ones(16)}
SMALL = mlp((4,), 1, widths=(16,))


def forecast(simulated=None, seeds=1, **options):
    method = LearnabilityOptions(seeds=seeds, draws=4, simulated=simulated)
    return learnability(SMALL, CUBE, TARGETS, "mse", GD(learning_rate=0.05), options=method, progress=False, **options)


@pytest.mark.slow
def test_a_forecast_with_time_enough_is_the_forecast_without_a_budget():
    plain, budgeted = forecast(), forecast(budget=3600.0)
    assert [row.name for row in plain] == [row.name for row in budgeted] and budgeted.ended is None
    for one, other in zip(plain, budgeted, strict=True):
        assert one.simulated == other.simulated and one.order == other.order
        assert one.steps == pytest.approx(other.steps, rel=1e-3)
        assert {n: b.status for n, b in one.baselines.items()} == {n: b.status for n, b in other.baselines.items()}


def test_the_quick_law_follows_simulations_and_doubts_them_as_the_full_law_does():
    def law(variance):
        return Calibration(("x",), (0.0,), (1.0,), (0.0,), (9.0,), (0.0, 1.0), ((variance, 0.0), (0.0, 0.0)), 0.1, {})

    x, simulated = np.array([[1.0], [3.0], [2.0]]), np.array([[1.7], [3.7], [np.nan]])
    mean, doubt = on_simulations(law(1.0), law(0.25), x, simulated).log_steps([2.0])
    precision = 1 + 2 / 0.1**2  # a normal prior, and two that were seen
    assert mean == pytest.approx(2 + 0.7 * (precision - 1) / precision)
    assert doubt == pytest.approx(np.sqrt(1 / precision + 0.25))
    assert on_simulations(law(1.0), law(0.25), x[2:], simulated[2:]) == law(1.0)


@pytest.mark.slow
def test_targets_that_are_not_simulated_are_predicted_from_the_start():
    found = forecast(simulated=1)
    (simulated,) = (row for row in found if row.simulated)
    assert found.ended is None and found["flat"].status == "nothing to learn"
    easy, hard = found["parity of 1"], found["parity of 3"]
    assert easy.steps < simulated.steps < np.inf and easy.steps < hard.steps < np.inf
    assert easy.interval[1] / easy.interval[0] > simulated.interval[1] / simulated.interval[0]
    assert np.isfinite(float(easy.baselines["hitting time"])) and float(easy.baselines["degree"]) == 1
    assert easy.baselines["INAL"].status == ForecastStatus.NOT_COMPUTED and np.isnan(easy.road)


def test_a_budget_that_ends_leaves_hitting_times(ticking):
    found = forecast(budget=5.0)
    assert found.ended == "budget" and not any(row.simulated for row in found)
    assert found["parity of 1"].steps < found["parity of 4"].steps < np.inf
    assert {row.status for row in found} == {ForecastStatus.OK, ForecastStatus.NOTHING_TO_LEARN}


@pytest.mark.slow
def test_a_forecast_says_where_time_for_the_baselines_was_missing(ticking):
    found = forecast(budget=9.0)
    assert all(row.simulated or row.name == "flat" for row in found) and found.ended == "budget"
    assert found["parity of 1"].baselines["INAL"].status == ForecastStatus.NOT_COMPUTED


def test_an_interrupt_returns_the_targets_so_far(monkeypatch, interrupt):
    monkeypatch.setattr(allroads.paths.learnability.simulate.batches, "TARGET_BATCH", 2)
    interrupt(sys.modules["allroads.paths.learnability.learnability"], "simulate_targets", 2)
    found = forecast()
    assert found.ended == "interrupted" and [row.simulated for row in found] == [True, True, False, False, False]
    assert found["parity of 3"].status == ForecastStatus.NOT_COMPUTED


PRODUCT = Network(lambda key: jnp.ones(2), lambda w, x: x * w[0] * w[1])


def way(**options):
    """From 1·1 to 2·2 along the diagonal."""
    with float64():
        problem = Problem(PRODUCT, "mse", np.ones((1, 1)), np.array([[4.0]]))
        return road(problem, jnp.array([1.0, 1.0]), [[4.0]], progress=False, **options)


def test_a_road_with_time_enough_is_the_road_without_a_budget():
    plain, budgeted = way(), way(budget=3600.0)
    assert plain.cost == budgeted.cost == pytest.approx(np.sqrt(2), abs=1e-3)
    assert budgeted.stats["ended"] is None and budgeted.status == RoadStatus.OK


def test_a_budget_that_ends_gives_the_first_part_of_the_road(ticking):
    found, whole = way(budget=20.0), way()
    assert found.status == RoadStatus.NOT_CONVERGED and found.stats["ended"] == "budget" and "budget" in found.reason
    assert 0 < found.stats["steps"] < whole.stats["steps"] and 0 < found.reached < 1
    assert np.allclose(found.ts[:-1], whole.ts[: len(found.ts) - 1]) and found.ts[-1] == found.reached
    # Of the way to f = 1 + 3t along the diagonal, √2 (√f − 1) is behind it.
    assert found.cost == pytest.approx(np.sqrt(2) * (np.sqrt(1 + 3 * found.reached) - 1), abs=1e-3)


def test_a_road_keeps_time_for_what_is_measured_along_it(monkeypatch):
    now, module = [0.0], sys.modules["allroads.paths.road.integrate"]
    whole = module._with_step

    def slow(*given):
        now[0] += 1.0
        return whole(*given)

    monkeypatch.setattr(allroads.budget, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(module, "_with_step", slow)
    assert way(budget=5.0).stats["ended"] == "budget" and now == [4.0]  # a fifth second would use up what is kept


def test_an_interrupt_gives_the_first_part_of_the_road(interrupt):
    interrupt(sys.modules["allroads.paths.road.integrate"], "_with_step", 4)
    found = way()
    assert found.stats["ended"] == "interrupted" and found.stats["steps"] == 3 and 0 < found.reached < 1


SHUFFLED = mlp((3,), 2, widths=(6, 6))


def aligned(method="weights", **options):
    a, b = (SHUFFLED.init(jax.random.key(seed)) for seed in (0, 1))
    inputs = np.random.default_rng(0).normal(size=(16, 3)).astype(np.float32)
    return align(SHUFFLED, a, b, inputs, method=method, progress=False, **options)


@pytest.mark.parametrize("method", ["weights", "activations"])
def test_an_alignment_with_time_enough_is_that_without_a_budget(method):
    plain, budgeted = aligned(method), aligned(method, budget=3600.0)
    assert plain.distance == budgeted.distance and budgeted.ended is None and budgeted.status == PathStatus.OK


@pytest.mark.parametrize(
    ("method", "seconds"), [("weights", 3.0), pytest.param("search", 60.0, marks=pytest.mark.slow)]
)
def test_a_budget_that_ends_gives_an_alignment_of_the_same_function(method, seconds, ticking):
    found = aligned(method, budget=seconds)
    assert found.ended == "budget" and found.status == PathStatus.NOT_CONVERGED
    inputs = jnp.asarray(np.random.default_rng(1).normal(size=(5, 3)), jnp.float32)
    given, moved = (SHUFFLED.apply(point, inputs) for point in (SHUFFLED.init(jax.random.key(1)), found.params))
    assert np.allclose(given, moved, atol=1e-5)


def test_the_searches_and_the_scales_share_the_time(monkeypatch):
    now, ends, module = [0.0], [], sys.modules["allroads.paths.align.align"]
    whole = module.straight_through_search

    def objective(point):
        now[0] += 1.0
        return 1.0, np.zeros(np.shape(point))

    def search(*given):
        found = whole(*given)
        ends.append(now[0])
        return found

    monkeypatch.setattr(allroads.budget, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(module, "segment_objective", lambda *given, **options: objective)
    monkeypatch.setattr(module, "straight_through_search", search)
    assert aligned("search", budget=9.0).ended == "budget" and ends == [3.0, 6.0] and now == [9.0]


def test_an_interrupt_gives_the_alignment_so_far(interrupt):
    interrupt(sys.modules["allroads.paths.align.align"], "match", 2)
    found, first = aligned(), aligned(restarts=0)
    assert found.ended == "interrupted" and found.distance == first.distance < found.distance_before


ROWS = np.random.default_rng(3).normal(size=(600, 640))
STRAIGHT = Network(lambda key: jnp.zeros(640), lambda w, x: (x @ w)[:, None])


def linear_way(**options):
    """From 0 to random answers: the motion is the pseudo-inverse's, whatever the inputs are."""
    answers = np.random.default_rng(4).normal(size=(600, 1))
    with float64():
        problem = Problem(STRAIGHT, "mse", ROWS, answers)
        return road(problem, jnp.zeros(640), answers, progress=False, **options), answers


def shortest(rows, answers):
    return np.linalg.norm(np.linalg.lstsq(ROWS[rows], answers[rows], rcond=None)[0])


def test_a_budget_for_few_inputs_gives_their_road(ticking):
    found, answers = linear_way(budget=50.0)
    rows, all_rows = few_rows(600, 1), np.arange(600)
    assert found.stats["examples"] == len(rows) == 128 and "128 of the 600 inputs" in found.reason
    assert found.status == RoadStatus.NOT_CONVERGED and found.stats["ended"] == "budget" and found.reached == 1.0
    assert found.cost == pytest.approx(shortest(rows, answers), rel=1e-6)
    assert found.cost < 0.5 * shortest(all_rows, answers)
    assert found.values.shape == (len(found.ts), 600, 1)  # of all inputs
    assert np.allclose(found.values[-1][rows], answers[rows], atol=1e-6)


def test_a_road_of_all_inputs_that_came_far_is_preferred_to_one_of_few(monkeypatch):
    module, followed = sys.modules["allroads.paths.road.few_inputs"], []
    whole = module.integrate_lift

    def cut(*given, budget, **options):
        followed.append(given)
        if len(followed) == 2 and stop:
            budget.interrupt()
        return whole(*given, budget=budget, **options)

    monkeypatch.setattr(module, "integrate_lift", cut)
    stop = True
    found, _ = linear_way(budget=3600.0)
    assert found.stats["examples"] == 128 and found.stats["ended"] == "interrupted"
    followed, stop = [], False
    found, answers = linear_way(budget=3600.0)
    plain, _ = linear_way()
    assert found.stats["examples"] == 600 and len(followed) == 3 and found.status == RoadStatus.OK
    assert found.cost == plain.cost == pytest.approx(shortest(np.arange(600), answers), rel=1e-6)
