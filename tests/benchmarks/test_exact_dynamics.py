"""The laws of benchmarks/exact_dynamics.py beside independent computations, and its stored figures beside the laws."""

import itertools
import json
import math
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import solve_banded

from allroads import float64
from allroads.explorers.explorer import State

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from exact_dynamics import RESULT, escape_order, signs
from exact_worlds import END, STRENGTHS, Circle, FreshSGD, Mode, mean_time, plackett_luce, slope, strongest_first


def test_the_law_of_orders():
    law = [plackett_luce(order, STRENGTHS) for order in itertools.permutations(range(3))]
    assert law == pytest.approx([1 / 3, 1 / 6, 1 / 4, 1 / 12, 1 / 10, 1 / 15]) and sum(law) == pytest.approx(1)


def test_the_order_of_half_heights_is_that_of_drawn_starts():
    """Tolerance: five standard errors of a million draws."""
    for cut in (1e-4, 1e-2):
        starts = np.random.default_rng(0).uniform(0, cut, size=(1_000_000, 3))
        times = np.log((np.array(STRENGTHS) - starts) / starts) / (2 * np.array(STRENGTHS))
        share = float(((times[:, 0] < times[:, 1]) & (times[:, 1] < times[:, 2])).mean())
        assert strongest_first(cut) == pytest.approx(share, abs=5 * math.sqrt(share * (1 - share) / 1e6))


def test_barriers_and_prefactors_are_those_of_the_potential():
    """Barriers of the table, and Hessians by differentiation of the problem's own loss."""
    table = {2.0: (0.00338, 1.31864), 1.2: (0.00950, 0.26509), 1.0: (0.01390, 0.11499)}
    for s, barriers in table.items():
        mode = Mode(s, 0.3)
        assert [round(mode.barrier(way), 5) for way in ("on", "off")] == list(barriers)
        with float64():
            problem = mode.problem()
            hessian = jax.jit(jax.hessian(problem.mean))
            off, saddle, on = (np.linalg.eigvalsh(hessian(jnp.full(3, u))) for u in (0.0, *mode.roots))
            assert float(problem.mean(jnp.full(3, mode.roots[0]))) == pytest.approx(mode.potential(mode.roots[0]))
        assert saddle[0] < 0 < saddle[1]
        for way, well, ways in (("on", off, 4), ("off", on, 1)):
            expected = 2 * math.pi / abs(saddle[0]) * math.sqrt(abs(saddle.prod()) / well.prod()) / ways
            assert mode.prefactor(way) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("exact", [True, False])
def test_mean_times_solve_the_backward_equation(exact):
    """``D u'' − L' u' = −1`` with u = 0 at ±3π/2, by finite differences."""
    circle = Circle(1.5, 6.0, exact)
    theta, step = np.linspace(-END, END, 4001, retstep=True)
    d, drift = circle.diffusion(theta[1:-1]), -np.sin(theta[1:-1])
    bands = np.zeros((3, 3999))
    bands[0, 1:] = d[:-1] / step**2 + drift[:-1] / (2 * step)
    bands[1] = -2 * d / step**2
    bands[2, :-1] = d[1:] / step**2 - drift[1:] / (2 * step)
    assert circle.mean_time() == pytest.approx(solve_banded((1, 1), bands, -np.ones(3999))[1999], rel=1e-3)


def test_the_formula_of_the_logarithmic_barrier_is_the_limit_of_weak_noise():
    """The quadrature tends to it as k grows: within 2 % at k = 64."""
    ratios = [(circle := Circle(2.0, k, True)).mean_time() / circle.formula() for k in (8.0, 16.0, 64.0)]
    assert ratios == sorted(ratios, reverse=True) and ratios[-1] == pytest.approx(1, abs=0.02)


def test_the_action_of_examples_is_the_log_barrier_to_first_order_alone():
    """At a barrier of .01 all agree within .5 %; at .7 the share of examples that are not zero decides."""
    actions = {share: Circle(2 / math.expm1(0.01), 8.0, False, share).action() for share in (1.0, 0.75, 0.25)}
    assert [found / 0.01 for found in actions.values()] == pytest.approx([1, 1, 1], abs=5e-3)
    floor = 2 / math.expm1(0.7)
    assert Circle(floor, 8.0, True).action() == pytest.approx(0.7)
    large = [Circle(floor, 8.0, False, share).action(101) / 0.7 for share in (1.0, 0.75, 0.25, 0.1)]
    assert large == sorted(large, reverse=True) and large[0] > 1.2 and large[-1] < 0.8


def test_the_momentum_of_an_action_solves_its_equation():
    """E exp(−p g) = 1 over a million examples at one angle."""
    circle, theta = Circle(1.5, 8.0, False, 0.25), 1.2
    generator = np.random.default_rng(0)
    p = circle.momentum(theta)
    angle, n = generator.uniform(0, 2 * np.pi, 1_000_000), generator.normal(size=1_000_000)
    x = (
        math.sqrt(2 / 0.25)
        * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        * (generator.random((1_000_000, 1)) < 0.25)
    )
    along = x @ [-math.sin(theta), math.cos(theta)]
    terms = np.exp(-p * (x @ [math.cos(theta) - 1, math.sin(theta)] - math.sqrt(2 * 1.5) * n) * along)
    assert terms.mean() == pytest.approx(1, abs=5 * terms.std() / 1000) and p > 0


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.75, 0.25])
def test_the_noise_of_examples_has_the_stated_variance(share):
    """Mean and variance of the gradient over 200,000 examples; the fourth moment is below 30 squared variances."""
    circle, theta, n = Circle(0.5, 8.0, False, share), 1.1, 200_000
    rule, problem = FreshSGD(circle), circle.problem()

    def moved(key):
        return rule.step(State(jnp.full(1, theta), key), problem, 0)[0].params[0]

    gradients = 8.0 * (theta - np.asarray(jax.jit(jax.vmap(moved))(jax.random.split(jax.random.key(0), n)), float))
    variance = 2 * 8.0 * circle.diffusion(theta)
    assert gradients.mean() == pytest.approx(math.sin(theta), abs=5 * math.sqrt(variance / n))
    assert gradients.var() == pytest.approx(variance, rel=5 * math.sqrt(30 / n))


def test_a_mean_time_is_found_from_when_members_were_looked_at():
    """Exponential times of mean 3, seen at 20 times up to 4; tolerance: five of its own standard errors."""
    drawn = np.random.default_rng(1).exponential(3.0, size=4000)
    times = np.linspace(0, 4, 20)
    found, error = mean_time(times, drawn[:, None] <= times)
    assert math.log(found / 3) == pytest.approx(0, abs=5 * error)
    assert error == pytest.approx(1 / math.sqrt(4000 * (1 - math.exp(-4 / 3))), rel=0.05)
    assert slope(np.arange(4.0), 2 * np.arange(4.0) + 1, np.array([1.0, 2, 1, 3]))[0] == pytest.approx(2)


@pytest.mark.slow
def test_a_short_run_has_the_law_of_orders():
    """Tolerance: five standard errors, and .003 for steps of finite size."""
    found = escape_order(4000)
    for order, law in found["law"].items():
        assert found["orders"]["cut"][order] == pytest.approx(law, abs=5 * math.sqrt(law * (1 - law) / 4000) + 0.003)


@pytest.mark.slow
def test_gradient_descent_changes_no_sign_and_adam_does():
    descent, adam = signs("gd, rate 0.01", 64), signs("adam, rate 0.01", 64)
    assert descent["changed a sign"] == descent["mean square below 0.01"] == 0
    assert descent["largest change of the invariant"] < descent["least margin at the start"]
    assert descent["least mean square"] == pytest.approx(0.25, abs=1e-3)  # mean of ReLU(x₁)² on the circle
    assert adam["changed a sign"] > 0


def test_the_stored_figures_are_those_of_the_laws():
    stored = json.loads(RESULT.read_text("utf-8"))
    order, signs_ = stored["rows"]["order"]["all"], stored["rows"]["signs"]
    assert order["members"] >= 100_000
    assert order["first at cut"] == pytest.approx([1 / 2, 1 / 3, 1 / 6], abs=0.01)
    assert order["orders"]["cut"]["321"] == pytest.approx(1 / 3, abs=0.01)
    assert order["orders"]["half"]["321"] == pytest.approx(order["law of strongest first at half"], abs=0.001)
    assert signs_["gd, rate 0.01"]["changed a sign"] == 0
    assert min(signs_[name]["changed a sign"] for name in signs_ if not name.startswith("gd")) > 0
    for name, found in stored["summary"].items():
        if name.startswith("langevin"):
            assert found["slope"] == pytest.approx(1, abs=0.05)
        if name.startswith("sgd equation"):
            assert found["slope"] == pytest.approx(found["slope of formula"], rel=0.05)
