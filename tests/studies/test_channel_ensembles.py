"""Races, funnels and traps: planted relations, linear regression, the diagonal network, and what cannot be used."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import spearmanr

from allroads import (
    GD,
    InputError,
    MeasurementError,
    Network,
    Problem,
    Recording,
    Trajectory,
    explore,
    float64,
    funnel,
    race,
    traps,
)
from allroads.status import ChannelStatus
from allroads.studies.channels import dimension, first_fit, plateaus, spread
from allroads.studies.channels.funnel import _ratio
from allroads.studies.channels.ranks import rank_relation

# --- ranks


def test_ranks_of_one_stratum_are_those_of_scipy_and_p_is_that_of_all_orders():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=6), np.round(rng.normal(size=6), 1)
    found = rank_relation(x, y, permutations=50_000)
    assert found.value == pytest.approx(spearmanr(x, y).statistic)
    every = [abs(spearmanr(x, order).statistic) for order in itertools.permutations(y)]
    exact = np.mean(np.array(every) >= abs(found.value) - 1e-9)
    assert found.stats["p"] == pytest.approx(exact, abs=0.01)


def test_what_differs_between_strata_does_not_count():
    rng = np.random.default_rng(1)
    strata = np.repeat(np.arange(6), 8)
    x, y = rng.normal(size=48), rng.normal(size=48)
    found = rank_relation(x, y, strata)
    moved = rank_relation(x + 100 * strata, y - 100 * strata, strata)
    assert moved.value == pytest.approx(found.value) and moved.stats == pytest.approx(found.stats)
    parts = [spearmanr(x[strata == s], y[strata == s]).statistic for s in range(6)]
    assert found.value == pytest.approx(np.mean(parts)), "without ties and of one size, the mean over strata"


@pytest.mark.parametrize("strata", [1, pytest.param(12, marks=pytest.mark.slow)])
def test_the_interval_and_the_p_value_are_honest(strata):
    """Normal pairs of correlation r have ρ = (6/π) asin(r/2); in strata of 5 the expected ρ is another, known one."""
    rng, r, n, repeats = np.random.default_rng(2), 0.5, 60, 300
    labels = np.repeat(np.arange(strata), n // strata)
    size = n // strata
    whole = 6 / math.pi * math.asin(r / 2)
    truth = whole if strata == 1 else (3 / (size + 1)) * 2 / math.pi * (math.asin(r) + (size - 2) * math.asin(r / 2))
    inside = false = 0
    for _ in range(repeats):
        x, e = rng.normal(size=(2, n))
        found = rank_relation(x, r * x + math.sqrt(1 - r * r) * e, labels, permutations=1)
        inside += found.stats["low"] <= truth <= found.stats["high"]
        false += rank_relation(x, e, labels, permutations=199).stats["p"] <= 0.05
    assert inside >= 0.9 * repeats
    assert false <= 0.05 * repeats + 3 * math.sqrt(0.0475 * repeats)


@pytest.mark.parametrize("size", [2, 4])
def test_strata_that_agree_by_chance_have_an_interval(size):
    """Three strata that all agree have no spread, though orders at random agree so in 1 of 4, or 1 of 6,912, cases."""
    x, strata = np.tile(np.arange(size), 3), np.repeat(np.arange(3), size)
    found = rank_relation(x, x, strata)
    assert found.value == 1 and found.stats["high"] == 1
    assert (found.stats["low"] < 0) == (size == 2) and found.stats["low"] < 0.95


def test_intervals_of_few_strata_hold_a_strong_relation():
    rng, r, n, inside = np.random.default_rng(5), 0.9, 4, 0
    truth = (3 / (n + 1)) * 2 / math.pi * (math.asin(r) + (n - 2) * math.asin(r / 2))
    for _ in range(300):
        x, e = rng.normal(size=(2, 3 * n))
        found = rank_relation(x, r * x + math.sqrt(1 - r * r) * e, np.repeat(np.arange(3), n), permutations=1)
        inside += found.stats["low"] <= truth <= found.stats["high"]
    assert inside >= 0.9 * 300


def test_ranks_that_cannot_be_taken():
    assert rank_relation([1, 1, 1, 1], [1, 2, 3, 4]).status is ChannelStatus.CONSTANT
    assert rank_relation([1, 2, 3, 4], [4, 3, 2, 1], [0, 0, 1, 1]).stats["low"] == -1.0
    for x, y, says in (
        ([1, 2], [1, 2], "4 members"),
        ([1, 2, 3, 4], [1, 2], "one of each"),
        ([1, 2, 3, math.inf], [1] * 4, "finite"),
        (["a", "b", "c", "d"], [1] * 4, "one number per member"),
        ([[1, 2, 3, 4]], [1] * 4, "one number per member"),
        ([1, 2, 3, 4], [{}] * 4, "one number per member"),
    ):
        with pytest.raises(InputError, match=says):
            rank_relation(x, y)
    for options in ({"permutations": 0}, {"permutations": "x"}, {"seed": -1}, {"strata": [0, 1]}):
        with pytest.raises(InputError, match="expected"):
            rank_relation([1, 2, 3, 4], [1, 2, 3, 4], **options)
    assert rank_relation([1, 2, 3, 4], [1, 2, 3, 4], [None, "a", "a", None]).stats["strata"] == 2


@pytest.mark.parametrize(
    "ask", [lambda x: race(x, [1, 2, 3, 4]), lambda x: race([1, 2, 3, 4], x), lambda x: traps(x, x)]
)
def test_what_is_no_number_per_run_is_refused(ask):
    with pytest.raises(InputError, match="one number per member"):
        ask(["a", "b", "c", "d"])


# --- race


def test_a_planted_race_is_found_and_its_reverse_has_the_other_sign():
    rng = np.random.default_rng(3)
    complexity = rng.integers(1, 5, size=80)
    times = 2.0**complexity * rng.exponential(size=80)
    found = race(times, complexity)
    assert found.value == pytest.approx(spearmanr(complexity, times).statistic) and found.stats["low"] > 0.3
    assert found.stats["p"] < 0.001 and found.median[3] > 2 * found.median[0] and found.counts.sum() == 80
    assert race(1 / times, complexity).value == pytest.approx(-found.value)


def test_runs_that_never_fit_are_left_out():
    fitted = np.array([1, 1, 1, 1, 0, 0])
    found = race([1, 2, 3, 4, 99, 0], [1, 2, 3, 4, 0, 9], fitted=fitted)
    assert found.value == 1.0 and found.stats["left_out"] == 2 and found.error > 0
    with pytest.raises(InputError, match="2 of 6 runs fit"):
        race(np.arange(6), np.arange(6), fitted=[1, 1, 0, 0, 0, 0])


def test_data_that_fix_the_function_leave_nothing_to_race():
    plane = Network(lambda key: jax.random.normal(key, (2,)), lambda w, x: x @ w[:, None])
    problem = Problem(plane, "bce", np.eye(2), [1, 1])
    runs = explore(problem, GD(learning_rate=1.0), 8, steps=30, record=Recording(records=31))
    fit = first_fit(runs, problem)
    assert fit.fitted.all() and set(fit.codes()) == {"11"}
    found = race(fit.steps, [len(set(code)) for code in fit.codes()])
    assert found.status is ChannelStatus.CONSTANT and "training data" in found.status.remedy
    with pytest.raises(MeasurementError):
        race(fit.steps, np.zeros(8), throw=True)


# --- spread and dimension


def test_both_are_means_over_pairs_and_quadruples():
    points = np.random.default_rng(4).normal(size=(6, 3)) * [3, 1, 0.5] + 7
    pairs = [((points[i] - points[j]) ** 2).sum() for i, j in itertools.permutations(range(6), 2)]
    assert spread(points) == pytest.approx(np.mean(pairs) / 3)
    square, below = [], []
    for i, j, k, m in itertools.permutations(range(6), 4):
        a, b = points[i] - points[j], points[k] - points[m]
        square.append((a @ a) * (b @ b) / 4)
        below.append((a @ b) ** 2 / 4)
    assert dimension(points).value == pytest.approx(np.mean(square) / np.mean(below))


def test_the_dimension_of_known_covariances():
    """Σ = diag(4, 1, 1) has (4 + 1 + 1)² / (16 + 1 + 1) = 2; 12 members tell 40 dimensions."""
    rng = np.random.default_rng(5)
    assert dimension(rng.normal(size=(800, 3)) * [2, 1, 1]).value == pytest.approx(2, rel=0.06)
    few = [dimension(rng.normal(size=(12, 40))) for _ in range(60)]
    assert np.median([one.value for one in few]) == pytest.approx(40, rel=0.15)
    inside = np.mean([one.stats["low"] <= 40 <= one.stats["high"] for one in few])
    assert inside >= 0.85


def test_ensembles_without_a_dimension():
    assert dimension(np.ones((5, 2))).status is ChannelStatus.CONSTANT
    assert dimension(np.eye(4)).status is ChannelStatus.UNDERSAMPLED, "four members have no error"
    for ensemble, says in ((np.ones((3, 2)), "4 members"), (np.full((4, 1), math.nan), "not finite")):
        with pytest.raises(InputError, match=says):
            spread(ensemble)


# --- funnel: linear regression, whose ensemble contracts by Π(1 − ηh)²


CURVATURES = np.array([1.0, 0.1])
"""Of ½ Σ h w²: two inputs √h e_i, labels 0, so that the mean squared error is that sum."""
PLANE = Network(lambda key: jax.random.normal(key, (2,)), lambda w, x: x @ w[:, None])
BOWL = Problem(PLANE, "mse", np.diag(np.sqrt(CURVATURES)), np.zeros((2, 1)))


def test_descent_contracts_an_ensemble_by_its_curvatures():
    rate, steps = 0.5, 12
    with float64():
        runs = explore(BOWL, GD(learning_rate=rate), 64, steps=steps, record=Recording(records=steps + 1))
        draws = explore(BOWL, GD(), range(64, 264), steps=0)
        found = funnel(runs, draws, "mse")
    variance = runs.values[:, 0, :, 0].var(axis=0, ddof=1)
    factors = (1 - rate * CURVATURES) ** (2 * np.arange(steps + 1)[:, None])
    assert found.along["steps"].tolist() == list(range(steps + 1))
    np.testing.assert_allclose(found.along["spread"], (factors * variance).sum(axis=1), rtol=1e-9)


@pytest.mark.slow
def test_at_one_loss_descent_is_wider_and_flatter_than_draws():
    """On the shell ½ Σ h w² = ℓ outputs z = √h w lie on a circle of squared radius 2ℓ.

    Draws of one loss fill the circle, weighted by a density known in closed form. One step with a rate of 1 leaves the
    flat direction alone to a run, so its outputs lie at two points of the circle: dimension 1. Their spread is
    2 · 2ℓ / 2. For draws it is the same, since both are centred and have the same norm.
    """
    runs = explore(BOWL, GD(learning_rate=1.0), 400, steps=60, record=Recording(records=61))
    draws = explore(BOWL, GD(), range(400, 20_400), steps=0)
    low, high = 0.018, 0.022
    found = funnel(runs, draws, "mse", edges=[low, high])
    ours, theirs = found.runs[0], found.neutral[0]
    angle = np.linspace(0, 2 * math.pi, 20_001)[:-1]
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    weight = np.exp(-0.02 * (circle**2 / CURVATURES).sum(axis=1))  # density of z = √h w on the circle |z|² = 2 · 0.02
    second = (circle**2 * weight[:, None]).sum(axis=0) / weight.sum()
    assert theirs.dimension.value == pytest.approx(1 / (second**2).sum(), rel=0.15)
    assert ours.dimension.value == pytest.approx(1.0, abs=0.05)
    for one in (ours, theirs):
        assert low < one.loss < high and one.spread == pytest.approx(2 * one.loss, rel=0.1)
    assert found.status is ChannelStatus.OK and abs(found.value - math.log2(ours.loss / theirs.loss)) < 2 * found.error


def test_ensembles_without_a_loss_in_common():
    runs = explore(BOWL, GD(learning_rate=0.5), 8, steps=3)
    far = np.full((20, 2, 1), 9.0) + np.arange(20)[:, None, None], np.full(20, 50.0)
    found = funnel(runs, far, "mse")
    assert found.status is ChannelStatus.NO_MATCH and math.isnan(found.value) and found.stats["matched"] == 0
    for neutral, edges, says in (
        ((far[0][:, :1], far[1]), None, "probes"),
        ((far[0], far[1][:3]), None, "one loss per draw"),
        (far, [1.0, 1.0], "rising"),
        ("prior", None, "trajectory"),
        ((far[0][:2], far[1][:2]), None, "2 neutral"),
    ):
        with pytest.raises(InputError, match=says):
            funnel(runs, neutral, "mse", edges=edges)


# --- plateaus and traps: the diagonal network Σ ½(a b − s)², balanced, where u = a b is logistic

STRENGTHS = np.array([2.0, 1.2, 0.8])


def height(strength, start, time, modes):
    """u of one mode of the mean over ``modes`` of (u − s)²: it grows at the rate 4 s / modes."""
    return strength / (1 + (strength / start - 1) * np.exp(-4 * strength / modes * time))


def curve(strengths, start, time):
    return sum((height(s, start, time, len(strengths)) - s) ** 2 for s in strengths) / len(strengths)


@pytest.mark.slow
def test_a_run_of_the_diagonal_network_waits_as_long_as_its_logistic_curve():
    start = 1e-8
    network = Network(lambda key: {"a": jnp.ones(3), "b": jnp.ones(3)}, lambda p, x: x @ jnp.diag(p["a"] * p["b"]))
    problem = Problem(network, "mse", np.eye(3), np.diag(STRENGTHS))
    # The mean runs over inputs and outputs alike, so the rate of the network is a third of that of `curve`.
    rate, steps = 0.015, 4800
    point = jax.tree.map(lambda leaf: math.sqrt(start) * np.ones((1, 3)), {"a": 0, "b": 0})
    with float64():
        runs = explore(
            problem, GD(learning_rate=rate), 1, steps=steps, start=point, record=Recording(records=steps + 1)
        )
    time = rate * np.arange(steps + 1) / 3
    loss = runs.curves["train_loss"][0] * 3
    found = plateaus(time, loss)
    assert [one.ended for one in found] == [True, True, True, False]
    levels = [np.sum(STRENGTHS[k:] ** 2) / 3 for k in range(4)]
    assert [one.loss for one in found] == pytest.approx(levels, abs=0.05)
    flow = plateaus(time, curve(STRENGTHS, start, time))
    assert [one.residence for one in found[:3]] == pytest.approx([one.residence for one in flow[:3]], rel=0.02)
    # The first ends when the loss has fallen by 5 % of its range.
    range_ = np.ptp(loss)
    left = brentq(lambda t: curve(STRENGTHS, start, 0) - curve(STRENGTHS, start, t) - 0.05 * range_, 0, 40)
    assert found[0].residence == pytest.approx(left, rel=0.02)


def test_residence_grows_with_the_logarithm_of_the_start():
    """log(1/a₀) / s: the k-th plateau gains (3/4)(1/s_{k+1} − 1/s_k) per nat by which the start is smaller."""
    time = np.linspace(0, 60, 6001)
    held = [[p.residence for p in plateaus(time, curve(STRENGTHS, start, time))][:3] for start in (1e-12, 1e-20)]
    slopes = (np.array(held[1]) - held[0]) / math.log(1e8)
    np.testing.assert_allclose(slopes, np.diff(1 / STRENGTHS, prepend=0) * 3 / 4, rtol=0.01)


def test_the_spectrum_decides_whether_degenerate_plateaus_hold():
    """λ grows with every mode that is on. Later plateaus are longer where the gaps of 1/s grow, else shorter."""
    time = np.linspace(0, 60, 3001)
    gaps = {1: np.array([0.3, 0.4, 0.5]), -1: np.array([0.5, 0.4, 0.3])}
    for sign, gap in gaps.items():
        held, coefficients, runs, ended = [], [], [], []
        for run, scale in enumerate((1.0, 1.3, 1.7, 2.0)):
            for k, one in enumerate(plateaus(time, curve(1 / np.cumsum(scale * gap), 1e-9, time), width=0.02)):
                held, coefficients = [*held, one.residence], [*coefficients, k / 2]
                runs, ended = [*runs, run], [*ended, one.ended]
        found = traps(held, coefficients, runs, ended=ended)
        assert found.value == sign and found.stats["runs"] == 4 and found.stats["left_out"] == 4
        assert found.stats["plateaus"] == 12 and found.stats["p"] < 0.01


def test_curves_without_plateaus_and_what_cannot_be_used():
    assert plateaus([0, 1, 2], [1.0, 1.0, 1.0]) == ()
    for times, losses, options, says in (
        ([0, 1], [1.0], {}, "two records"),
        ([1, 0], [1.0, 2.0], {}, "rising"),
        ([0, 1], [1.0, math.nan], {}, "finite"),
        ([0, 1], [1.0, 2.0], {"width": 0.9}, "width"),
    ):
        with pytest.raises(InputError, match=says):
            plateaus(times, losses, **options)
    with pytest.raises(InputError, match="3 plateaus"):
        traps([1, 2, 3, 4], [1, 2, 3, 4], ended=[1, 1, 1, 0])
    with pytest.raises(InputError, match="one of each"):
        traps([1, 2, 3, 4], [1, 2, 3])


def test_a_bin_in_which_one_member_alone_differs_has_no_interval():
    runs = explore(BOWL, GD(), 16, steps=0)
    losses, values = np.full(16, float(np.median(runs.curves["train_loss"]))), np.zeros((16, 2, 1))
    values[3] = 1.0
    found = funnel(runs, (values, losses), "mse", edges=[0.0, 100.0])
    assert found.status is ChannelStatus.NO_MATCH and found.ratios[0].status is ChannelStatus.UNDERSAMPLED


def test_ensembles_that_cannot_be_compared_are_refused():
    runs = explore(BOWL, GD(), 16, steps=0)
    values, losses = runs.values[:, 0], runs.curves["train_loss"][:, 0]
    unknown = Trajectory.from_checkpoints(BOWL.network, [[np.ones(2)]] * 4, steps=[0], probes=BOWL.inputs)
    for given, options, says in (
        ((runs, (values, losses * np.nan)), {}, "not finite"),
        ((runs, (values, losses)), {"edges": "ab"}, "edges: expected numbers"),
        ((runs, ([["a"]] * 16, losses)), {}, "expected numbers"),
        ((values, (values, losses)), {}, "expected Trajectory"),
        ((unknown, (values, losses)), {}, "no training loss"),
        ((runs, unknown), {}, "no training loss"),
    ):
        with pytest.raises(InputError, match=says):
            funnel(*given, "mse", **options)


def test_the_interval_of_a_ratio_counts_both_ensembles(seed):
    """Two normal ensembles of one law: log₂ of their spreads differs by 0, and 95 % intervals hold it.

    Of 400, 358 is five standard errors below 380. An interval of one ensemble alone would hold it in 333, 83 %.
    """
    generator = np.random.default_rng(seed)
    ratios = [_ratio(*generator.normal(size=(2, 32, 6))) for _ in range(400)]
    assert sum(ratio.stats["low"] <= 0 <= ratio.stats["high"] for ratio in ratios) >= 358
