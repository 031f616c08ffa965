"""Analysis of variance, Sobol indices and distances, beside closed forms, least squares and sums over pairs."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from attribution_tables import runs_of, subsets_of, table_of

from allroads import AttributionOptions, attribute
from allroads.studies.attribution.anova import anova
from allroads.studies.attribution.design import Design
from allroads.studies.attribution.inversion import World, interval
from allroads.studies.attribution.null import permutation_p_value, split_p_value
from allroads.studies.attribution.omega import Omega2, eta2
from allroads.studies.attribution.resampling import bootstrap, seed_split

FEW = AttributionOptions(resamples=199)


def contrasts(column):
    """Columns that sum to zero over the levels of a factor."""
    levels = np.unique(column)
    return np.stack([(column == level).astype(float) - (column == levels[-1]) for level in levels[:-1]], axis=1)


def least_squares(table, factors):
    """Sums of squares of all terms: what each takes off the residual of an explicit design matrix."""
    y = table["y"]
    design = np.ones((len(y), 1))
    left, found = ((y - y.mean()) ** 2).sum(), {}
    for term in subsets_of(factors):
        columns = np.ones((len(y), 1))
        for factor in term:
            columns = (columns[:, :, None] * contrasts(table[factor])[:, None]).reshape(len(y), -1)
        design = np.hstack([design, columns])
        rest = ((y - design @ np.linalg.lstsq(design, y)[0]) ** 2).sum()
        found[" × ".join(term)], left = left - rest, rest
    return found, left


def test_sums_of_squares_are_those_of_least_squares_on_a_design_matrix():
    rng = np.random.default_rng(0)
    table = table_of(rng.normal(size=(2, 3, 4)), 5, rng)
    found = attribute(table, "y", ["a", "b", "c"], FEW)
    expected, residual = least_squares(table, ("a", "b", "c"))
    assert found.terms == tuple(expected)
    np.testing.assert_allclose(found.columns["ss"], list(expected.values()), rtol=1e-9)
    assert found.stats["ss_within"] == pytest.approx(residual)
    assert found.columns["df"].tolist() == [1, 2, 3, 2, 3, 6, 6]


def test_shares_are_their_textbook_formulas_and_pool_the_high_orders():
    rng = np.random.default_rng(1)
    table = table_of(rng.normal(size=(2, 3, 2)), 5, rng)
    found = attribute(table, "y", ["a", "b", "c"], AttributionOptions(order=1, resamples=199))
    ss, rest = least_squares(table, ("a", "b", "c"))
    total = sum(ss.values()) + rest
    mean = (rest + sum(size for term, size in ss.items() if "×" in term)) / (48 + 2 + 1 + 2 + 2)
    assert found.terms == ("a", "b", "c") and found.stats["pooled"] == 4 and found.stats["df_residual"] == 55
    for term, df in zip("abc", (1, 2, 1), strict=True):
        row = found.row(term)
        assert row["omega2"] == pytest.approx((ss[term] - df * mean) / (total + mean))
        assert row["partial_omega2"] == pytest.approx((ss[term] - df * mean) / (ss[term] + (60 - df) * mean))
        assert row["eta2"] == pytest.approx(ss[term] / total)


def test_omega2_of_a_normal_model_is_right_on_average_and_eta2_is_not():
    """Variances 1, ½ and ¼ of two factors and their interaction beside noise of 1: N = 60, in 4,000 tables."""
    a, b = np.array([-1.0, 1.0]), np.sqrt([1.5, 0, 1.5]) * [-1, 0, 1]
    means = a[:, None] + math.sqrt(0.5) * b + 0.5 * np.outer(a, b)
    design = Design((2, 3), 10, 2)
    rng = np.random.default_rng(2)
    shares = []
    for _ in range(4000):
        found = anova(design, (means[..., None] + rng.normal(size=(2, 3, 10))).reshape(6, 10, 1))
        groups = np.eye(3, dtype=bool)
        shares.append(
            [*(Omega2(design, g).statistic(found.ss, found.within) for g in groups), *eta2(found.ss, found.within)]
        )
    mean = np.mean(shares, axis=0)
    np.testing.assert_allclose(mean[:3], np.array([1, 0.5, 0.25]) / 2.75, atol=0.006)
    expected = (60 * np.array([1, 0.5, 0.25]) + [1, 2, 2]) / (60 * 2.75 - 1)
    np.testing.assert_allclose(mean[3:], expected, atol=0.006)


def test_a_product_has_the_sobol_indices_of_its_closed_form():
    """∏(1 + cᵢhᵢ) with h of mean 0 and variance 1: the variance of a term is the product of its c²."""
    levels = {"a": np.array([-1.0, 1.0]), "b": np.sqrt(1.5) * np.array([-1.0, 0.0, 1.0]), "c": np.array([-1.0, 1.0])}
    c = {"a": 1.0, "b": 0.5, "c": 0.2}
    factors = [1 + c[name] * levels[name] for name in "abc"]
    found = attribute(table_of(np.einsum("i,j,k->ijk", *factors), 5), "y", ["a", "b", "c"], FEW)
    total = math.prod(1 + size**2 for size in c.values()) - 1
    for term in subsets_of("abc"):
        row = found.row(" × ".join(term))
        share = math.prod(c[name] ** 2 for name in term) / total
        assert row["omega2"] == pytest.approx(share) and row["sobol"] == pytest.approx(share)
        assert row["sobol_low"] == pytest.approx(share) and row["sobol_high"] == pytest.approx(share)
    for name in "abc":
        others = math.prod(1 + c[other] ** 2 for other in "abc" if other != name)
        assert found.row(name)["sobol_total"] == pytest.approx(c[name] ** 2 * others / total)
    assert found.value == pytest.approx(1) and found.error == pytest.approx(0)


def test_ishigami_on_a_grid_has_the_sobol_indices_of_their_definition():
    x = np.linspace(-np.pi, np.pi, 7)
    f = np.sin(x)[:, None, None] + 7 * np.sin(x)[:, None] ** 2 + 0.1 * x**4 * np.sin(x)[:, None, None]
    found = attribute(table_of(f, 5), "y", ["a", "b", "c"], FEW)
    for axis, name in enumerate("abc"):
        others = tuple(other for other in range(3) if other != axis)
        assert found.row(name)["sobol"] == pytest.approx(f.mean(axis=others).var() / f.var(), abs=1e-9)
        assert found.row(name)["sobol_total"] == pytest.approx(f.var(axis=axis).mean() / f.var(), abs=1e-9)
    assert found.row("c")["sobol"] < 1e-9 < 0.1 < found.row("c")["sobol_total"]


def test_sobol_indices_leave_the_noise_of_the_seeds_out():
    rng = np.random.default_rng(3)
    means = np.array([[-1.0, -1.0], [1.0, 1.0]]) + 0.5 * np.array([[-1.0, 1.0], [-1.0, 1.0]])
    found = attribute(table_of(means, 2000, rng, noise=3.0), "y", ["a", "b"], AttributionOptions(resamples=99))
    assert found.row("a")["sobol"] == pytest.approx(0.8, abs=0.05)
    assert found.row("a")["omega2"] == pytest.approx(1 / 10.25, abs=0.02)


def test_the_bias_of_the_bootstrap_is_taken_off():
    """No effect at all, 9 degrees of freedom: plain resamples of ω² hardly hold 0, the inverted test does."""
    design, group = Design((4, 4), 5, 2), np.array([False, False, True])
    held, plain = 0, 0
    for index in range(60):
        rng = np.random.default_rng([4, index])
        values = rng.normal(size=(16, 5, 1))
        found = anova(design, values)
        low, _ = interval(Omega2(design, group), World(found, bootstrap(found, 199, rng)))
        held += low == 0
        again = values[np.arange(16)[:, None], rng.integers(5, size=(199, 16, 5))]
        effects = design.effects(again.mean(axis=2).reshape(199, 4, 4, 1))
        ss = design.products(effects, effects, np.ones(1))
        shares = Omega2(design, group).statistic(ss, 5 * again.var(axis=2).sum(axis=(1, 2)))
        plain += np.quantile(shares, 0.025) <= 0
    assert held >= 0.92 * 60 and plain <= 0.8 * 60


@pytest.mark.slow
def test_intervals_hold_the_truth_in_92_to_98_of_100_tables(seed):
    design, groups = Design((3, 4), 8, 2), [np.arange(3) == term for term in range(3)]
    truth = np.array([0.3, 0.0, 0.1])
    directions = design.effects(np.random.default_rng(5).normal(size=(1, 3, 4, 1)))
    means = sum(
        part * math.sqrt(size / (np.broadcast_to(part, (1, 3, 4, 1)) ** 2).mean())
        for part, size in zip(directions, truth, strict=True)
    )
    held = np.zeros(3)
    for index in range(600):
        rng = np.random.default_rng([6, seed, index])
        found = anova(design, (means[0] + rng.normal(size=(3, 4, 8))).reshape(12, 8, 1))
        world = World(found, bootstrap(found, 199, rng))
        ends = [interval(Omega2(design, group), world) for group in groups]
        held += [low <= share <= high for (low, high), share in zip(ends, truth / 1.4, strict=True)]
    assert (held >= 0.92 * 600).all() and (held[[0, 2]] <= 0.98 * 600).all(), held


def test_terms_without_effect_are_rarely_called_effects():
    design, groups = Design((3, 2), 6, 2), [np.arange(3) == term for term in range(3)]
    small = np.zeros(3)
    for index in range(400):
        rng = np.random.default_rng([7, index])
        found = anova(design, rng.normal(size=(6, 6, 1)) * np.linspace(0.5, 1.5, 6)[:, None, None])
        splits = seed_split(found, 99, rng)
        small += [split_p_value(found, group, splits) <= 0.05 for group in groups]
    assert (small <= 400 * 0.05 + 3 * math.sqrt(400 * 0.05 * 0.95)).all(), small


def test_noise_of_seed_splits_has_the_variance_of_cell_means_for_odd_numbers_too():
    rng = np.random.default_rng(8)
    for seeds in (6, 7):
        design = Design((2,), seeds, 1)
        found = anova(design, rng.normal(size=(2, seeds, 1)) * 3)
        splits = seed_split(found, 20000, rng)
        assert splits.own.mean() == pytest.approx(found.noise, rel=0.04)
        assert splits.within.mean() / design.df_within == pytest.approx(found.noise, rel=0.04)


def test_the_permutation_test_is_that_over_all_exchanges():
    values = np.array([[1.0, 2.0, 4.0, 3.0, 2.5], [3.5, 5.0, 2.0, 4.5, 3.8]])
    pooled = values.ravel()
    gaps = [
        abs(pooled[list(chosen)].mean() - np.delete(pooled, chosen).mean())
        for chosen in itertools.combinations(range(10), 5)
    ]
    exact = np.mean(np.array(gaps) >= abs(values[0].mean() - values[1].mean()) - 1e-12)
    found = anova(Design((2,), 5, 1), values[..., None])
    assert permutation_p_value(found, 0, 4000, np.random.default_rng(9)) == pytest.approx(exact, abs=0.02)


# --- distances


def between_groups(distances, groups):
    """Total and between-group dispersion from sums over pairs of runs."""
    total = distances.sum() / (2 * len(groups))
    within = sum(
        distances[np.ix_(groups == g, groups == g)].sum() / (2 * (groups == g).sum()) for g in np.unique(groups)
    )
    return total, total - within


@pytest.mark.parametrize("exponent", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("euclidean", [True, False])
def test_dispersions_are_those_of_sums_over_pairs(exponent, euclidean):
    rng = np.random.default_rng(10)
    table = runs_of((2, 3), 5)
    points = rng.normal(size=(30, 3)) + table["a"][:, None]
    distances = np.abs(points[:, None] - points[None]).max(axis=-1)  # no Euclidean space has these
    if euclidean:
        distances = np.sqrt(((points[:, None] - points[None]) ** 2).sum(axis=-1))
    found = attribute(
        table, distances, ["a", "b"], AttributionOptions(exponent=exponent, resamples=99), kind="distances"
    )
    powers = distances**exponent
    total, a = between_groups(powers, table["a"])
    _, b = between_groups(powers, table["b"])
    _, cells = between_groups(powers, 3 * table["a"] + table["b"])
    np.testing.assert_allclose(found.columns["ss"], [a, b, cells - a - b], rtol=1e-8, atol=1e-10)
    assert found.stats["ss_within"] == pytest.approx(total - cells)


def test_the_exponent_two_on_a_line_is_the_analysis_of_variance():
    rng = np.random.default_rng(11)
    table = table_of(rng.normal(size=(2, 2)), 6, rng)
    plain = attribute(table, "y", ["a", "b"], FEW)
    distances = np.abs(table["y"][:, None] - table["y"])
    found = attribute(table, distances, ["a", "b"], AttributionOptions(resamples=199, exponent=2), kind="distances")
    for name in ("ss", "omega2", "omega2_low", "omega2_high", "sobol_total", "p", "p_any"):
        np.testing.assert_allclose(found.columns[name], plain.columns[name], rtol=1e-6, atol=1e-9)


def test_truth_tables_are_analysed_at_the_distance_of_hamming():
    rng = np.random.default_rng(12)
    table = runs_of((2, 2), 8)
    bits = rng.random((32, 16)) < 0.3 + 0.4 * table["a"][:, None]
    hamming = (bits[:, None] != bits[None]).mean(axis=-1)
    found = attribute(table, bits, ["a", "b"], FEW)
    by_matrix = attribute(table, hamming, ["a", "b"], FEW, kind="distances")
    assert found.kind == "bits" and found.row("a")["p_any"] == 0.005 and found.row("b")["p_any"] > 0.05
    for name in ("ss", "omega2", "omega2_low"):
        np.testing.assert_allclose(found.columns[name], by_matrix.columns[name], rtol=1e-6, atol=1e-9)
