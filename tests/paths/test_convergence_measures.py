"""Measures of two representations: closed forms, slow implementations, exact nulls by enumeration, invariances."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes
from scipy.spatial.distance import pdist
from scipy.stats import spearmanr

from allroads import InputError, UnknownNameError, compare_representations
from allroads.budget import Budget
from allroads.paths.convergence import cka, mutual_neighbours, procrustes, rsa, stitching
from allroads.paths.convergence.comparison import Comparison
from allroads.paths.convergence.input_jackknife import input_errors
from allroads.paths.convergence.measures import MEASURES, chosen_measures
from allroads.paths.convergence.null import permutation_null

FUNCTIONS = {"cka": cka, "procrustes": procrustes, "neighbours": mutual_neighbours, "rsa": rsa, "stitching": stitching}
SAME = {"cka": 1.0, "procrustes": 0.0, "neighbours": 1.0, "rsa": 1.0, "stitching": 1.0}


def draws(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def rotation(d, seed=9):
    return np.linalg.qr(draws(d, d, seed=seed))[0]


def planted(n, shared, d, e, seed):
    """Two representations with some units in common, all units independent with variance 1."""
    common = draws(n, shared, seed=seed)
    return (
        np.hstack([common, draws(n, d - shared, seed=seed + 1)]),
        np.hstack([common, draws(n, e - shared, seed=seed + 2)]),
    )


def hsic(x, y):
    """The unbiased estimator, written out as published."""
    n = len(x)
    k, m = x @ x.T, y @ y.T
    np.fill_diagonal(k, 0)
    np.fill_diagonal(m, 0)
    one = np.ones(n)
    first = np.trace(k @ m) + (one @ k @ one) * (one @ m @ one) / ((n - 1) * (n - 2))
    return (first - 2 * (one @ k @ m @ one) / (n - 2)) / (n * (n - 3))


def test_debiased_cka_is_the_ratio_of_unbiased_estimators():
    x, y = planted(15, 2, 3, 5, 0)
    expected = hsic(x, y) / math.sqrt(hsic(x, x) * hsic(y, y))
    assert cka(x + 7, y) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("d", "published"), [(40, 0.241), (512, 0.801)])
def test_biased_cka_of_unrelated_representations_grows_with_their_width(d, published):
    """Its expectation is d / (n + d) up to 1/n²; the published figure is of one draw."""
    pairs = [draws(2, 128, d, seed=seed) for seed in range(8)]
    biased = np.mean([cka(x, y, debiased=False) for x, y in pairs])
    assert biased == pytest.approx(d / (128 + d), abs=0.006) and biased == pytest.approx(published, abs=0.012)
    assert np.mean([cka(x, y) for x, y in pairs]) == pytest.approx(0, abs=0.01)


def test_procrustes_is_the_distance_after_the_best_rotation():
    x, y = planted(30, 2, 4, 4, 3)
    first, second = ((z - z.mean(0)) / np.linalg.norm(z - z.mean(0)) for z in (x, y))
    best, _ = orthogonal_procrustes(second, first)
    apart = np.linalg.norm(first - second @ best)
    assert procrustes(x, y) == pytest.approx(2 * math.asin(apart / 2), abs=1e-9)


def test_procrustes_is_the_same_with_more_units_than_inputs_and_is_a_metric():
    x, y, z = draws(3, 12, 40)
    centred = [w - w.mean(0) for w in (x, y)]
    sizes = np.linalg.svd(centred[0].T @ centred[1], compute_uv=False).sum()
    expected = math.acos(sizes / np.prod([np.linalg.norm(w) for w in centred]))
    assert procrustes(x, y) == pytest.approx(expected, abs=1e-9)
    assert procrustes(x, z) <= procrustes(x, y) + procrustes(y, z) and procrustes(x, y) == pytest.approx(
        procrustes(y, x)
    )


def test_neighbours_are_those_of_a_search_one_by_one():
    x, y, k = draws(25, 3), draws(25, 4, seed=1) + 0.3, 4

    def near(z, i):
        cosine = [z[i] @ z[j] / np.linalg.norm(z[i]) / np.linalg.norm(z[j]) if j != i else -2 for j in range(25)]
        return set(sorted(range(25), key=lambda j: -cosine[j])[:k])

    expected = np.mean([len(near(x, i) & near(y, i)) / k for i in range(25)])
    assert mutual_neighbours(x, y, k=k) == pytest.approx(expected, abs=1e-12)


def test_equally_near_inputs_share_the_places_and_no_order_of_rows_decides():
    """Four equal rows and two: each of the four has three neighbours at cosine 1 for two places."""
    x = np.array([[1.0, 0], [1, 0], [1, 0], [1, 0], [0, 1], [0, 1]])
    y = draws(6, 3)
    order = np.random.default_rng(5).permutation(6)
    assert mutual_neighbours(x, x, k=2) == 1.0
    assert mutual_neighbours(x, y, k=2) == pytest.approx(mutual_neighbours(x[order], y[order], k=2), abs=1e-12)
    other = np.array([[1.0, 0], [1, 0], [0, 1], [0, 1], [0, 1], [0, 1]])
    # k = 1 is written out: an input in common of three candidates (1/3) and one (1), and so on, the smaller part each
    expected = np.mean([1 / 3, 1 / 3, 1 / 3, 1 / 3, 1 / 3, 1 / 3])
    assert mutual_neighbours(x, other, k=1) == pytest.approx(expected, abs=1e-12)


def test_rsa_is_the_rank_correlation_of_the_distances():
    x, y = planted(20, 1, 3, 2, 4)
    assert rsa(x, y) == pytest.approx(spearmanr(pdist(x), pdist(y)).statistic, abs=1e-4)


def test_stitching_is_ridge_regression_on_one_half_scored_on_the_other():
    x, y = planted(41, 2, 3, 4, 6)
    x, y = x + 2, y - 1
    error = total = 0.0
    for fold in (0, 1):
        held_out, held_in = np.arange(fold, 41, 2), np.arange(1 - fold, 41, 2)
        mean, centre = x[held_in].mean(0), y[held_in].mean(0)
        source = x[held_in] - mean
        penalty = 0.01 * (source**2).sum() / 3
        weights = np.linalg.solve(source.T @ source + penalty * np.eye(3), source.T @ (y[held_in] - centre))
        error += ((y[held_out] - centre - (x[held_out] - mean) @ weights) ** 2).sum()
        total += ((y[held_out] - centre) ** 2).sum()
    assert stitching(x, y) == pytest.approx(1 - error / total, abs=1e-9)
    assert stitching(x, y) != pytest.approx(stitching(y, x), abs=1e-3)


def test_what_two_representations_share_is_measured():
    """Shared units r of d and e: CKA and the cosine are r / √(d e), and the share predicted of y is r / e."""
    found = [planted(600, 3, 6, 4, seed) for seed in (0, 10, 20)]
    truth = 3 / math.sqrt(24)
    assert np.mean([cka(x, y) for x, y in found]) == pytest.approx(truth, abs=0.03)
    assert np.mean([math.cos(procrustes(x, y)) for x, y in found]) == pytest.approx(truth, abs=0.03)
    assert np.mean([stitching(x, y) for x, y in found]) == pytest.approx(3 / 4, abs=0.03)
    assert np.mean([stitching(y, x) for x, y in found]) == pytest.approx(3 / 6, abs=0.03)


@pytest.mark.parametrize("name", MEASURES)
def test_nothing_changes_under_rotation_and_scale_and_the_same_is_nearest(name):
    measure, x, y = FUNCTIONS[name], draws(40, 5), draws(40, 3, seed=1)
    moved = 2.5 * x @ rotation(5)
    assert measure(x, moved) == pytest.approx(SAME[name], abs=2e-3 if name == "stitching" else 1e-6)
    assert measure(moved, y) == pytest.approx(measure(x, y), abs=1e-6)
    assert measure(x[:, [3, 0, 4, 1, 2]], y) == pytest.approx(measure(x, y), abs=1e-9)
    if name != "neighbours":
        assert measure(x + np.arange(5), y) == pytest.approx(measure(x, y), abs=1e-6)


@pytest.mark.parametrize(("name", "mean"), [("cka", 0.0), ("neighbours", 2 / 5), ("rsa", 0.0)])
def test_the_mean_over_all_permutations_is_exact(name, mean):
    x, y, extra = draws(6, 2), draws(6, 4, seed=1), {"k": 2} if name == "neighbours" else {}
    values = [FUNCTIONS[name](x, y[list(order)], **extra) for order in itertools.permutations(range(6))]
    assert np.mean(values) == pytest.approx(mean, abs=1e-6 if name == "rsa" else 1e-12)


def test_the_published_null_of_neighbours():
    values = [mutual_neighbours(*draws(2, 128, 40, seed=seed)) for seed in range(30)]
    assert np.mean(values) == pytest.approx(10 / 127, abs=0.003) and round(10 / 127, 4) == 0.0787


@pytest.mark.parametrize("name", MEASURES)
def test_a_permutation_is_the_measure_of_shuffled_rows(name):
    (comparison,) = chosen_measures([name], 3, 14)
    x, y, order = draws(14, 3), draws(14, 4, seed=1), np.random.default_rng(2).permutation(14)
    moved = comparison.value(comparison.prepare(x), comparison.reorder(comparison.prepare(y), order))
    assert moved == pytest.approx(comparison.between(x, y[order]), abs=1e-9)


def test_p_values_count_the_observed_order():
    comparison = Comparison("product", 1, lambda x: x, lambda x, order: x[order], lambda a, b: float(a @ b))
    a, b = np.arange(5.0), np.array([0.0, 1, 2, 4, 3])
    null = permutation_null(
        comparison, {0: a}, {7: b}, [(0, 7)], np.array([a @ b]), 5, 50, np.random.default_rng(3), Budget()
    )
    rng = np.random.default_rng(3)
    values = np.array([a @ b[rng.permutation(5)] for _ in range(50)])
    assert null.p[0] == (1 + (values >= a @ b - 1e-6).sum()) / 51 and null.permutations == 50
    assert null.mean[0] == pytest.approx(values.mean()) and null.deviation[0] == pytest.approx(values.std())


def test_an_interrupt_keeps_the_permutations_that_were_done():
    calls = itertools.count()

    def value(a, b):
        if next(calls) == 6:
            raise KeyboardInterrupt
        return float(a @ b)

    comparison = Comparison("product", 1, lambda x: x, lambda x, order: x[order], value)
    a, clock = np.arange(5.0), Budget()
    given = [(0, 0), (0, 1)], np.array([30.0, 30.0]), 5, 50, np.random.default_rng(0), clock
    null = permutation_null(comparison, {0: a}, {0: a, 1: a}, *given)
    assert null.permutations == 3 and clock.ended == "interrupted" and (null.p >= 1 / 4).all()


def test_intervals_over_inputs_hold_the_truth():
    """Of 120 draws 95 % should; fewer than 104 have probability 2e-4 if 93 % do."""
    (comparison,), held = chosen_measures(["cka"], None, 100), 0
    for seed in range(120):
        x, y = planted(100, 2, 4, 4, 1000 + 3 * seed)
        error = input_errors(comparison, [x], [y], [(0, 0)], Budget())[0]
        held += abs(cka(x, y) - 0.5) <= error
    assert held >= 104


def test_two_representations_are_compared_by_every_measure():
    x, y = planted(60, 3, 4, 5, 0)
    found = compare_representations(x.astype(np.float32), y, permutations=199)
    assert list(found.measures) == list(MEASURES) and found.status == "ok" and found.inputs == 60
    for name, measured in found.measures.items():
        assert measured.stats["p"] == 1 / 200 and measured.stats["excess"] > 2 * measured.stats["null_deviation"], name
        assert 0 < measured.error < 0.5 and name in found.describe()
    assert found["neighbours"].stats["null"] == pytest.approx(10 / 59, abs=0.01)
    assert found["cka"].stats["null"] == pytest.approx(0, abs=0.01)
    again = compare_representations(x.astype(np.float32), y, permutations=199)
    assert again["rsa"].stats == found["rsa"].stats


def test_unrelated_representations_are_not_beyond_chance():
    found = compare_representations(draws(50, 60), draws(50, 60, seed=1), permutations=199)
    assert min(found.stats.values()) > 0.01 and found["procrustes"].value < 1.0  # near, and no nearer than chance


def test_a_constant_representation_has_a_status_and_no_number():
    found = compare_representations(np.ones((20, 3)) * 1e3, draws(20, 3), measures=("cka", "stitching"))
    assert found.status == "degenerate" and not found.status.sound and "degenerate" in found.describe()
    for name in MEASURES:
        assert math.isnan(FUNCTIONS[name](np.ones((20, 3)), draws(20, 3))), name
    assert math.isnan(cka(np.eye(8), draws(8, 2)))  # a kernel that varies on its diagonal alone


def test_a_budget_ends_the_permutations_and_the_p_values_hold():
    found = compare_representations(draws(30, 3), draws(30, 3), budget=1e-9, progress=False)
    assert found.status == "not converged" and found.permutations == 0 and set(found.stats.values()) == {1.0}
    assert math.isinf(found.error) and np.isfinite(found.value)


@pytest.mark.parametrize(
    ("x", "y", "options", "message"),
    [
        (draws(3, 2), draws(3, 2), {}, "x has 3 inputs; expected 4 or more"),
        (draws(8, 2), draws(9, 2), {}, "8 inputs and y has 9"),
        (draws(8), draws(8, 2), {}, r"expected a matrix \[inputs, units\]"),
        (draws(8, 2), np.full((8, 2), np.nan), {}, "y: NaN or infinite at 8 inputs"),
        (np.zeros((10_000, 1)), np.zeros((10_000, 1)), {}, "need about 5 GB; take 9,128 of them"),
        (draws(8, 2), draws(8, 2), {"k": 8}, "k: an input has 7 neighbours among 8 inputs; got k = 8"),
        (draws(8, 2), draws(8, 2), {"k": 0}, "k: expected a whole number of 1 or more"),
        (draws(8, 2), draws(8, 2), {"permutations": 0}, "permutations: expected a whole number"),
        (draws(8, 2), draws(8, 2), {"measures": ()}, "measures: got none"),
        (draws(8, 2), draws(8, 2), {"seed": -1}, "seed: expected"),
    ],
)
def test_what_cannot_be_compared_is_refused(x, y, options, message):
    with pytest.raises(InputError, match=message):
        compare_representations(x, y, **options)


def test_names_and_options_of_measures_are_checked():
    with pytest.raises(UnknownNameError, match="measure"):
        compare_representations(draws(8, 2), draws(8, 2), measures="ckka")
    with pytest.raises(InputError, match="ridge"):
        stitching(draws(8, 2), draws(8, 2), ridge=0)


# --- what users hand in


@pytest.mark.parametrize("power", [-700, -250, 250, 900])
def test_no_measure_depends_on_the_scale_of_a_representation(power):
    """By a power of two, whose products are exact, at which squares are infinite or 0."""
    x, y = draws(40, 5), draws(40, 5, seed=1)
    for name in MEASURES:
        measure = FUNCTIONS[name]
        assert measure(x * 2.0**power, x + y) == measure(x, x + y), name


def test_orthonormal_representations_have_no_angle_by_rounding():
    """A rotation maps the one onto the other in whatever order inputs are, so that every permutation is as near."""
    found = compare_representations(np.eye(30), rotation(30), measures="procrustes", permutations=99, progress=False)
    assert found["procrustes"].value == 0.0 and found["procrustes"].stats["p"] == 1.0


def test_complex_activations_are_refused():
    with pytest.raises(InputError, match="real and imaginary parts side by side"):
        compare_representations(draws(20, 3) * 1j, draws(20, 3), progress=False)


def test_a_comparison_that_a_budget_ended_still_shows_its_numbers():
    x, y = draws(40, 5), draws(40, 5, seed=1)
    found = compare_representations(x, x + y, budget=1e-6, progress=False)
    assert f"cka: {cka(x, x + y):.3g} ±" in str(found) and "(not converged)" in str(found)
    assert f"cka={cka(x, x + y):.3g}" in repr(found)
