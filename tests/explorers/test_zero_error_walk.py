"""The walk among points without errors, in worlds where the set and its measure are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import kstest

from allroads import InputError, Network, Problem, UnknownNameError, ZeroErrorWalk, explore
from allroads.explorers.recording import Recording

UNIT = Network(lambda key: jax.random.normal(key, (2,)), lambda w, x: (x @ w)[:, None])
PLANE = Network(lambda key: jax.random.normal(key, (2,)), lambda w, x: w * x)
CONE = Problem(UNIT, "bce", [[1.0, 0.0], [-0.5, np.sqrt(0.75)]], [1, 1])
"""``w`` is right where it lies within 90° of both inputs, at 0° and 120°: from 30° to 90°, a sixth of all angles."""
BOX = Problem(PLANE, "mse", [[1.0, 1.0]], [[0.0, 2.0]])
FEW = Recording(records=3, checkpoints=3)


def angles(points):
    return np.degrees(np.arctan2(points[:, 1], points[:, 0]))


@pytest.mark.parametrize("step_size", [0.3, pytest.param(1.0, marks=pytest.mark.slow)])
def test_in_a_cone_the_law_is_the_prior_given_the_cone(step_size):
    """From one point: angles uniform over the cone, squared lengths with the law of the prior, exponential of mean 2.

    Members are independent, so Kolmogorov and Smirnov decide; level 1e-4.
    """
    start = np.tile([np.cos(0.6), np.sin(0.6)], (1500, 1))
    run = explore(CONE, ZeroErrorWalk(step_size=step_size), 1500, steps=100, start=start, record=FEW)
    ends = run.ends()
    assert (run.curves["train_accuracy"] == 1).all()
    low, high = 30.0, 90.0
    assert angles(ends).min() > low - 1e-3 and angles(ends).max() < high + 1e-3
    assert kstest(angles(ends), "uniform", (low, high - low)).pvalue > 1e-4
    assert kstest((ends**2).sum(1), "expon", (0, 2)).pvalue > 1e-4
    assert (run.cost.forwards == 100).all() and (run.cost.examples == 200).all() and (run.cost.gradients == 0).all()


def test_of_an_init_that_is_not_normal_the_law_is_the_prior_too():
    """Weights uniform on (−1, 1), of which the positive half is right: uniform on (0, 1)."""
    uniform = Network(lambda key: jax.random.uniform(key, (1,), minval=-1.0), lambda w, x: w * x)
    problem = Problem(uniform, "bce", [[1.0]], [[1.0]])
    start = np.full((1500, 1), 0.9)
    ends = explore(problem, ZeroErrorWalk(step_size=0.5), 1500, steps=40, start=start, record=FEW).ends()
    assert kstest(ends[:, 0], "uniform", (0, 1)).pvalue > 1e-4


@pytest.mark.slow
def test_members_outside_guess_until_they_are_inside_and_then_have_the_law_at_once():
    """A guess is right with probability 60/360; the first that is right is a draw of the prior in the cone."""
    start = np.tile([-1.0, 0.0], (3000, 1))
    run = explore(CONE, ZeroErrorWalk(step_size=1e-6), 3000, steps=12, start=start, record=FEW)
    inside = run.curves["train_accuracy"][:, -1] == 1
    outside = (5 / 6) ** 12
    assert abs(inside.mean() - (1 - outside)) < 5 * np.sqrt(outside * (1 - outside) / 3000)
    ends = run.ends()
    assert kstest(angles(ends[inside]), "uniform", (30, 60)).pvalue > 1e-4
    assert kstest((ends[inside] ** 2).sum(1), "expon", (0, 2)).pvalue > 1e-4
    np.testing.assert_array_equal(ends[~inside], start[~inside])  # a wrong guess is not taken


@pytest.mark.slow
def test_in_a_box_the_uniform_walk_is_uniform():
    """Outputs round to 0 and 2 in (−½, ½) × (3/2, 5/2); the prior would prefer the lower half of the second."""
    start = np.tile([0.4, 1.6], (1500, 1))
    ends = explore(
        BOX, ZeroErrorWalk(step_size=0.4, measure="uniform"), 1500, steps=100, start=start, record=FEW
    ).ends()
    assert kstest(ends[:, 0], "uniform", (-0.5, 1)).pvalue > 1e-4
    assert kstest(ends[:, 1], "uniform", (1.5, 1)).pvalue > 1e-4
    assert abs(np.corrcoef(ends.T)[0, 1]) < 5 / np.sqrt(1500)
    prior = explore(BOX, ZeroErrorWalk(step_size=0.4), 1500, steps=100, start=start, record=FEW).ends()
    assert kstest(prior[:, 1], "truncnorm", (1.5, 2.5)).pvalue > 1e-4
    assert kstest(prior[:, 1], "uniform", (1.5, 1)).pvalue < 1e-9


@pytest.mark.slow
def test_outputs_that_are_not_finite_are_no_fit():
    """A logit that is NaN is not positive, so it would count as a right answer of label 0."""
    broken = Network(lambda key: jax.random.normal(key, (1,)), lambda w, x: jnp.log(w) * x)
    run = explore(
        Problem(broken, "bce", [[1.0]], [0]), ZeroErrorWalk(step_size=0.5), 64, steps=30, start=np.full((64, 1), 0.5)
    )
    assert (run.ends() > 0).all() and (run.ends() < 1).all() and run.status.value == "ok"


@pytest.mark.parametrize(
    "options", [{"step_size": 0.0}, {"step_size": 1.5}, {"step_size": np.inf, "measure": "uniform"}]
)
def test_bad_options_are_refused(options):
    with pytest.raises(InputError, match=r"zero_error_walk.*step_size"):
        ZeroErrorWalk(**options)


def test_an_unknown_measure_is_refused():
    with pytest.raises(UnknownNameError, match="measure"):
        ZeroErrorWalk(measure="gaussian")
