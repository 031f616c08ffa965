"""What searches cost, and the gain of one against another: closed forms, simulation, and what cannot be used."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

from allroads import (
    GD,
    GuessAndCheck,
    InputError,
    MeasurementError,
    Network,
    Problem,
    Recording,
    Splitting,
    Trajectory,
    VolumeStatus,
    channel_gain,
    explore,
    function_log_probability,
    function_posterior,
    function_prior,
)
from allroads.points.prior import clopper_pearson
from allroads.points.volume import Volume
from allroads.results import Measurement
from allroads.status import ChannelStatus, PriorStatus
from allroads.studies.channels import first_fit, neutral_cost, restart_cutoff, search_cost

ANGLE = 2.5
PLANE = Network(lambda key: jax.random.normal(key, (2,)), lambda w, x: x @ w[:, None])
WEDGE = Problem(PLANE, "bce", [[1.0, 0.0], [math.cos(ANGLE), math.sin(ANGLE)]], [1, 1])
"""Both inputs are answered 1 where the weights lie within a wedge of π − angle: P = (π − angle) / 2π."""
SHARE = (math.pi - ANGLE) / (2 * math.pi)
LINE = Network(lambda key: jax.random.normal(key, (1,)), lambda w, x: x @ w[:, None])
POSITIVE = Problem(LINE, "bce", [[1.0], [2.0]], [1, 1])


def share_of(count, samples):
    low, high = clopper_pearson(count, samples)
    stats = {"count": count, "samples": samples, "low": low, "high": high}
    return Measurement(count / samples, 0.0, PriorStatus.OK, stats)


def runs_of(problem, rate, members, steps, **options):
    return explore(
        problem, GD(learning_rate=rate), members, steps=steps, record=Recording(records=steps + 1), **options
    )


# --- cost with restarts


def test_without_memory_the_cost_does_not_depend_on_the_cutoff():
    """A search that fits with probability q at each unit of cost takes 1 / q, wherever runs are given up."""
    q, rng = 0.1, np.random.default_rng(0)
    cost = rng.geometric(q, size=100_000)
    for cutoff in (1, 3, 20, 200):
        found = search_cost(np.minimum(cost, 1000), cost <= 1000, cutoff)
        assert found.value == pytest.approx(math.log2(1 / q), abs=0.05)
        assert found.stats["low"] < math.log2(1 / q) < found.stats["high"]


@pytest.mark.parametrize(("q", "cutoff"), [(0.1, 5), (0.1, 40), (0.02, 40), (0.5, 30)])
def test_the_interval_covers_the_cost(q, cutoff):
    rng = np.random.default_rng(1)
    inside = 0
    for cost in rng.geometric(q, size=(1000, 32)):
        found = search_cost(np.minimum(cost, cutoff), cost <= cutoff)
        inside += found.stats["low"] <= math.log2(1 / q) <= found.stats["high"]
    assert inside >= 920


def test_a_cutoff_below_every_fit_is_a_search_that_fails():
    found = search_cost([8.0] * 16, [1] * 16, cutoff=4.0)
    assert found.status is ChannelStatus.LOWER_BOUND and found.stats["fitted"] == 0
    assert found.value == pytest.approx(math.log2(4.0 / (1 - 0.025 ** (1 / 16))))


def test_one_fit_among_many_runs_leaves_the_cost_without_an_upper_end():
    found = search_cost([5.0] + [9.0] * 15, [1] + [0] * 15)
    assert found.status is ChannelStatus.UNDERSAMPLED and found.stats["high"] == math.inf
    assert 0 < found.stats["low"] < found.value == math.log2(5 + 15 * 9)


def test_the_best_cutoff_of_a_mixture():
    """Half of the runs fit at 10, half at 1000: giving up at 10 costs 20, waiting costs 505."""
    assert restart_cutoff([10] * 5 + [1000] * 5, [1] * 10) == 10
    assert search_cost([10] * 5 + [1000] * 5, [1] * 10, 10).value == pytest.approx(math.log2(20))
    assert restart_cutoff([7.0, 9.0], [0, 0]) == 9


@pytest.mark.parametrize(
    ("spent", "fitted", "says"),
    [([1.0], [1], "4 or more, got 1"), ([1.0, 2.0], [1], "one each per run"), ([1.0, 0.0, 1, 1], [1] * 4, "above 0")],
)
def test_runs_that_have_no_cost(spent, fitted, says):
    with pytest.raises(InputError, match=says):
        search_cost(spent, fitted)


# --- neutral cost


@pytest.mark.slow
def test_the_neutral_cost_of_a_wedge_by_draws_and_by_splitting():
    truth = -math.log2(SHARE)
    draws = neutral_cost(function_prior(PLANE, WEDGE.inputs, 20_000, progress=False).probability([1, 1]))
    split = neutral_cost(function_log_probability(WEDGE, method=Splitting(particles=1024)))
    assert draws.stats["by"] == "draws" and split.stats["by"] == "splitting"
    for found in (draws, split):
        assert abs(found.value - truth) < 0.25 and abs(found.value - truth) < 1.5 * found.error


def test_a_function_that_was_never_drawn_has_a_least_cost():
    found = neutral_cost(share_of(0, 1000))
    assert found.status is ChannelStatus.LOWER_BOUND
    assert found.value == pytest.approx(-math.log2(1 - 0.025 ** (1 / 1000)))


def test_what_is_no_probability_is_refused():
    with pytest.raises(InputError, match=r"prior\.probability"):
        neutral_cost(Measurement(0.5))
    with pytest.raises(InputError, match="prior"):
        neutral_cost(0.5)


def test_a_posterior_over_functions_holds_the_cost():
    """log P(S) with its exact interval, which is that of the share of draws that fit."""
    prior = function_prior(PLANE, WEDGE.inputs, 20_000, progress=False)
    posterior = function_posterior(PLANE, WEDGE.inputs, [1, 1], WEDGE.inputs, prior=prior)
    found, draws = neutral_cost(posterior), neutral_cost(prior.probability([1, 1]))
    assert [found.value, found.error] == pytest.approx([draws.value, draws.error])
    assert [found.stats[end] for end in ("low", "high")] == pytest.approx([draws.stats[e] for e in ("low", "high")])
    assert found.stats["by"] == "rejection" and found.value == pytest.approx(-math.log2(SHARE), abs=0.25)
    runs = runs_of(WEDGE, 4.0, 32, 4)
    gain = channel_gain(posterior, runs, WEDGE)
    assert gain.value == pytest.approx(channel_gain(prior.probability([1, 1]), runs, WEDGE).value)
    one = function_posterior(PLANE, WEDGE.inputs[:1], [1], WEDGE.inputs, prior=prior)
    with pytest.raises(InputError, match="given 1 examples, and the problem has 2"):
        channel_gain(one, runs, WEDGE)


def test_a_volume_counts_in_bits_and_one_that_is_not_sound_is_refused():
    def volume(status):
        return Volume(-3 * math.log(2), math.log(2), status, None, np.zeros(0), np.zeros(0), {})

    found = neutral_cost(volume(VolumeStatus.OK))
    assert [found.value, found.stats["low"], found.stats["high"]] == pytest.approx([3, 2, 4])
    with pytest.raises(InputError, match="not equilibrated"):
        neutral_cost(volume(VolumeStatus.NOT_EQUILIBRATED))


# --- first fit and gain


def test_the_gain_of_one_weight_is_that_of_its_recursion():
    """The weight moves by η mean x σ(−w x), so the cost is an integral over its start."""
    rate, steps = 4.0, 6
    start = norm.ppf((np.arange(200_000) + 0.5) / 200_000)
    w, cost = start.copy(), np.full(len(start), 1.0 + 3 * steps)
    x = np.array([1.0, 2.0])
    for step in range(steps + 1):
        cost = np.where((w > 0) & (cost > 1 + 3 * step), 1.0 + 3 * step, cost)
        w = w + rate * (x / (1 + np.exp(w[:, None] * x))).mean(axis=1)
    truth = 1.0 - math.log2(cost.mean())
    assert (w > 0).all(), "all starts fit within the steps, so that no restarts enter"
    runs = runs_of(POSITIVE, rate, 1024, steps)
    found = channel_gain(share_of(50_000, 100_000), runs, POSITIVE, pilot=0)
    assert found.value == pytest.approx(truth, abs=0.1)
    assert found.stats["low"] < truth < found.stats["high"]
    assert found.stats["resolution"] == 0


def test_an_explorer_without_steps_gains_nothing():
    runs = runs_of(WEDGE, 0.1, 400, 0)
    fitted = int(first_fit(runs, WEDGE).fitted.sum())
    found = channel_gain(share_of(fitted, 400), runs, WEDGE, pilot=0)
    assert found.value == pytest.approx(0.0, abs=1e-9) and found.explorer.value == pytest.approx(found.neutral.value)


def test_an_explorer_that_stands_still_loses_what_its_gradients_cost():
    """With a rate of 0 it pays 3 per step and knows no more than its start."""
    steps = 5
    runs = runs_of(WEDGE, 0.0, 400, steps)
    fit = first_fit(runs, WEDGE)
    share = fit.fitted.mean()
    found = channel_gain(share_of(int(fit.fitted.sum()), 400), runs, WEDGE, pilot=0)
    assert found.value == pytest.approx(-math.log2(share + (1 - share) * (1 + 3 * steps)), abs=1e-9)


def test_the_pilot_learns_to_give_up_at_once():
    """The same explorer, whose first runs choose the cutoff: no gradient is then taken, and nothing is lost."""
    runs = runs_of(WEDGE, 0.0, 400, 5)
    fit = first_fit(runs, WEDGE)
    found = channel_gain(share_of(int(fit.fitted[100:].sum()), 300), runs, WEDGE)
    assert found.stats["pilot"] == 100 and found.explorer.stats["cutoff"] == 1.0
    assert found.value == pytest.approx(0.0, abs=1e-9)


def test_records_that_lie_apart_see_a_fit_late_and_say_by_how_much():
    fine, coarse = (
        explore(POSITIVE, GD(learning_rate=0.05), 16, steps=64, record=Recording(records=n)) for n in (65, 6)
    )
    exact, late = first_fit(fine, POSITIVE), first_fit(coarse, POSITIVE)
    both = exact.fitted & late.fitted
    assert (late.steps[both] >= exact.steps[both]).all() and exact.resolution == 0
    assert ((late.steps - exact.steps)[both] <= late.resolution * late.steps[both] + 1e-9).all()


def test_bounds_where_a_search_never_comes_to_a_fit():
    never = Problem(PLANE, "bce", [[1.0, 0.0], [2.0, 0.0]], [1, 0])
    failing, fitting = runs_of(never, 0.1, 16, 2), runs_of(WEDGE, 1.0, 16, 40)
    upper = channel_gain(share_of(50, 100), failing, never)
    assert upper.status is ChannelStatus.UPPER_BOUND and upper.value == upper.stats["high"] < 0
    lower = channel_gain(share_of(0, 10**6), fitting, WEDGE)
    assert lower.status is ChannelStatus.LOWER_BOUND and lower.value == lower.stats["low"] > 8
    neither = channel_gain(share_of(0, 100), failing, never)
    assert neither.status is ChannelStatus.NEVER and math.isnan(neither.value)
    assert "never reached" in str(neither)
    with pytest.raises(MeasurementError):
        channel_gain(share_of(0, 100), failing, never, throw=True)


def test_runs_that_cannot_be_used():
    with pytest.raises(InputError, match="8 or more, got 1"):
        channel_gain(share_of(5, 10), runs_of(WEDGE, 0.1, 1, 1), WEDGE)
    read = Trajectory.from_checkpoints(LINE, [jnp.zeros(1)], steps=[0], problem=POSITIVE)
    with pytest.raises(InputError, match="cost was not counted"):
        first_fit(read, POSITIVE)
    with pytest.raises(InputError, match="goal"):
        first_fit(runs_of(WEDGE, 0.1, 2, 1), WEDGE, goal=0)


def test_what_a_guess_costs_is_not_spread_over_the_steps_after_the_fit():
    """Guess and check is the blind search, with a gain of 0. It pays nothing once it fits."""
    runs = explore(POSITIVE, GuessAndCheck(), 64, steps=40, record=Recording(records=41))
    half = function_prior(LINE, POSITIVE.inputs, 4096, progress=False).probability([1, 1])
    with pytest.raises(InputError, match=r"run.cost.forwards"):
        channel_gain(half, runs, POSITIVE)
    found = search_cost(runs.cost.forwards, [True] * 64)
    assert found.stats["low"] < 1 < found.stats["high"], "two guesses are one bit"


def test_what_are_no_runs_is_refused():
    half = share_of(50, 100)
    runs = runs_of(POSITIVE, 1.0, 8, 2)
    for given in ((half, runs.values, POSITIVE), (half, runs, None)):
        with pytest.raises(InputError, match=r"expected (Trajectory|Problem)"):
            channel_gain(*given)
