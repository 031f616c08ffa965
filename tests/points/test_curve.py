"""Curves of learning coefficients: points with known λ side by side, and stages of planted curves."""

import itertools

import jax
import numpy as np
import pytest

from allroads import InputError, Network, Problem, explore
from allroads.errors import MemoryBudgetError, UnknownNameError
from allroads.explorers.gd import GD
from allroads.explorers.recording import Recording
from allroads.points import curve as module
from allroads.points.change_points import change_points, excess_scatter
from allroads.points.curve import llc_curve, trajectory_llc
from allroads.points.llc import LearningCoefficient, llc
from allroads.points.sampling import Chains
from allroads.points.zoo import quadratic, two_layer_linear
from allroads.status import LLCStatus

COLD = 1e10
"""nβ at which 1/log nβ no longer shows."""


@pytest.mark.slow
def test_points_of_one_function_have_their_own_coefficients(seed):
    truths = [two_layer_linear((4, 2, 4), ranks, examples=4) for ranks in ((0, 0, 0), (0, 2, 0))]
    exact = np.array([t.learning_coefficient for t in truths])
    assert len(set(exact)) == 2
    first = truths[0]
    points = jax.tree.map(lambda *leaves: np.stack(leaves), *[t.params for t in truths])
    options = {"nbeta": COLD, "localisation": 30.0, "chains": Chains(draws=300, count=16), "seed": seed}
    found = llc_curve(first.problem, points, steps=[1, 8], **options)
    assert np.abs(found.value / exact - 1).max() < 0.08
    assert (found.nbeta, found.localisation) == (COLD, 30.0)
    assert all(m.stats["nbeta"] == COLD and m.stats["localisation"] == 30.0 for m in found.measurements)
    alone = llc(first.problem, first.params, **options)
    together = found.measurements[0]
    noise = np.hypot(alone.stats["standard_error"], together.stats["standard_error"])
    assert abs(alone.value - together.value) < 4 * noise and noise < 0.05 * exact[0]
    np.testing.assert_array_equal(found.error, [m.error for m in found.measurements])
    assert found.statuses == tuple(m.status for m in found.measurements)


@pytest.mark.slow
def test_a_member_of_a_trajectory_descends_to_its_minimum(seed):
    network = Network(lambda key: jax.random.normal(key, (2,)), lambda w, x: x @ w[:, None])
    inputs, labels = np.sqrt(2) * np.eye(2, dtype=np.float32), np.zeros(2, np.float32)  # L = ‖w‖²
    problem, record = Problem(network, "mse", inputs, labels), Recording(records=8, checkpoints=4)
    run = explore(problem, GD(learning_rate=0.2), 2, steps=40, record=record, seed=seed)
    found = trajectory_llc(problem, run, 1, nbeta=1e3, localisation=1.0, chains=Chains(count=16), seed=seed)
    assert found.steps.tolist() == run.checkpoint_steps.tolist()
    assert found.statuses[0] == found.status == LLCStatus.NOT_AT_MINIMUM and found.value[0] < 0
    # E[nβ(L − L(w*))] of a quadratic, from any point: the variance's part and the displacement's.
    stiff, pull = 1e3 * 2.0, 1.0
    w = np.asarray(run.member(1)["params"], float)
    mean = pull / (stiff + pull) * w
    exact = stiff / 2 * ((mean**2).sum(1) - (w**2).sum(1)) + stiff / (stiff + pull)
    np.testing.assert_allclose(found.value, exact, atol=0.05, rtol=0.01)
    with pytest.raises(InputError, match="a position from 0 to 1"):
        trajectory_llc(problem, run, 2)


def test_by_default_nbeta_is_the_usual_one_and_the_localisation_that_of_the_median_curvature():
    t = quadratic((8.0, 2.0), examples=100)
    chains = Chains(count=4, draws=8, burn_in=0, ladder=False)
    found = llc_curve(t.problem, np.zeros((3, 2)), chains=chains, progress=False)
    nbeta = 100 / np.log(100)
    assert found.nbeta == pytest.approx(nbeta)
    assert found.localisation == pytest.approx((nbeta * 8) ** 0.25 / 10, rel=1e-2)


def test_by_default_all_points_share_the_usual_temperature_and_localisation(monkeypatch):
    asked = {}

    def estimate(problem, free, points, nbeta, localisation, plan, seed, budget, common):
        asked.update(common=common, seed=seed, chains=plan.chains)
        stats = {"standard_error": 0.01, "nbeta": 2.0, "localisation": 3.0}
        return [LearningCoefficient(v, 0.1, LLCStatus.CONVERGED, stats) for v in (1.0, 1.0, 1.0, 2.0, 2.0, 2.0)]

    monkeypatch.setattr(module, "estimate", estimate)
    t = quadratic((8.0, 2.0), examples=100)
    found = llc_curve(t.problem, np.zeros((6, 2)), chains=Chains(count=6), seed=3, shape="constant")
    assert asked == {"common": True, "seed": 3, "chains": 6} and (found.nbeta, found.localisation) == (2.0, 3.0)
    assert found.boundaries.tolist() == [3] and found.steps.tolist() == list(range(6))


def planted(levels, lengths, sigma, seed):
    truth = np.repeat(np.asarray(levels, float), lengths)
    return truth + sigma * np.random.default_rng(seed).normal(size=len(truth)), np.cumsum(lengths)[:-1].tolist()


@pytest.mark.parametrize("shape", ["constant", "linear"])
def test_steps_of_a_planted_staircase_are_found_exactly(shape, seed):
    """Noise makes another step in 1 of 100 staircases at most; in more than three of 20 by 5e-5."""
    found = 0
    for number in range(20):
        values, steps = planted([0, 2, 3, 7], [12, 8, 15, 10], 0.1, [seed, number])
        found += change_points(values, 0.1, shape=shape).tolist() == steps
    assert found >= 17


@pytest.mark.parametrize("shape", ["constant", "linear"])
def test_noise_has_no_stages(shape, seed):
    generator, found = np.random.default_rng([0, seed]), 0
    for _ in range(300):
        errors = 0.1 * np.exp(generator.normal(size=40) / 2)
        found += len(change_points(3 + errors * generator.normal(size=40), errors, shape=shape)) > 0
    assert found <= 9  # 3 %


def test_a_ramp_is_one_line_and_a_bend_is_two(seed):
    """Noise makes another line in 1 of 100 curves at most; in more than three of 20 by 5e-5."""
    generator, at, lines, bends = np.random.default_rng([1, seed]), np.arange(40.0), 0, 0
    for _ in range(20):
        noise = 0.1 * generator.normal(size=40)
        lines += change_points(at / 4 + noise, 0.1).size == 0
        found = change_points(np.maximum(at - 20, 0) / 4 + noise, 0.1)
        bends += found.size == 1 and abs(found[0] - 20) <= 3
    assert lines >= 17 and bends >= 17


def test_errors_that_are_too_small_do_not_make_stages_of_noise(seed):
    """In 1 of 20 curves at most, whose scatter is read off 40 points; in more than 15 of 100 by 7e-5."""
    generator = np.random.default_rng([2, seed])
    found = sum(change_points(generator.normal(size=40), 1e-3, shape="constant").size > 0 for _ in range(100))
    assert found <= 15
    values, steps = planted([0, 20], [20, 20], 1.0, seed)
    assert set(steps) <= set(change_points(values, 1e-3, shape="constant").tolist())


@pytest.mark.parametrize(("shape", "numbers", "least"), [("constant", 1, 2), ("linear", 2, 3)])
def test_the_search_is_exact(shape, numbers, least):
    """Against every split of ten points, fitted by a library's least squares."""
    generator, sizes = np.random.default_rng(4), set()

    def splits(start):
        if 10 - start >= least:
            yield [10]
        for cut in range(start + least, 10 - least + 1):
            for rest in splits(cut):
                yield [cut, *rest]

    for _ in range(20):
        values = np.repeat(generator.normal(size=2) * 4, 5) + generator.normal(size=10)
        errors = generator.uniform(0.5, 2, size=10)
        sigma = errors * max(1.0, excess_scatter(values, errors, numbers))

        def cost(cuts, values=values, sigma=sigma):
            total = (numbers + 2) * np.log(10) * (len(cuts) - 2)
            for a, b in itertools.pairwise(cuts):
                fit = np.polynomial.Polynomial.fit(np.arange(a, b), values[a:b], numbers - 1, w=1 / sigma[a:b])
                total += (((fit(np.arange(a, b)) - values[a:b]) / sigma[a:b]) ** 2).sum()
            return total

        best = min(([0, *rest] for rest in splits(0)), key=cost)[1:-1]
        assert change_points(values, errors, shape=shape).tolist() == best
        sizes.add(len(best))
    assert len(sizes) > 1


def test_noisier_neighbours_than_stated_are_seen(seed):
    """A median of 40,000 differences is known to 1 %: five standard deviations."""
    white = np.random.default_rng([5, seed]).normal(size=40_000)
    for order in (1, 2):
        assert excess_scatter(3 * white, np.ones(40_000), order) == pytest.approx(3, rel=0.05)


T = quadratic((2.0, 2.0), examples=8)


@pytest.mark.parametrize(
    ("params", "options", "error", "match"),
    [
        (np.zeros(()), {}, InputError, "along one leading axis"),
        ({"a": np.zeros((2, 2)), "b": np.zeros((3, 2))}, {}, InputError, "along one leading axis"),
        (np.zeros((0, 2)), {}, InputError, "along one leading axis"),
        (np.full((2, 2), np.nan), {}, InputError, "NaN"),
        (np.zeros((2, 2), int), {}, InputError, "int"),
        (np.zeros((2, 2)), {"steps": [0]}, InputError, "steps: expected 2 rising"),
        (np.zeros((2, 2)), {"steps": [1, 0]}, InputError, "steps: expected 2 rising"),
        (np.zeros((2, 2)), {"nbeta": -1.0}, InputError, "nbeta"),
        (np.zeros((2, 2)), {"mask": np.zeros((2, 2), bool)}, InputError, "mask"),
        (np.zeros((2, 2)), {"chains": Chains(memory=1000)}, MemoryBudgetError, "MiB"),
        (np.zeros((2, 2)), {"shape": "lines"}, UnknownNameError, "did you mean 'linear'"),
    ],
)
def test_bad_input_is_refused(params, options, error, match):
    with pytest.raises(error, match=match):
        llc_curve(T.problem, params, **options)


def test_a_loss_that_is_not_finite_at_one_point_is_refused():
    network = Network(lambda key: np.zeros(1), lambda w, x: x / w)
    with pytest.raises(InputError, match="not finite"):
        llc_curve(Problem(network, "mse", np.ones((3, 1)), np.ones(3)), np.array([[1.0], [0.0]]), nbeta=1.0)


@pytest.mark.parametrize(
    ("values", "errors", "match"),
    [
        ([1.0, np.nan], 1.0, "values"),
        (np.zeros((2, 2)), 1.0, "values"),
        ([1.0, 2.0], 0.0, "errors"),
        ([1.0, 2.0], [1.0, 1.0, 1.0], "errors"),
    ],
)
def test_change_points_refuses(values, errors, match):
    with pytest.raises(InputError, match=match):
        change_points(values, errors)


def test_two_points_have_no_boundary():
    assert change_points([0.0, 100.0], 0.1).size == 0
