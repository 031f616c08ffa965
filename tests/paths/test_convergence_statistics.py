"""Statistics of members: exact expectations by enumeration, closed forms, coverage of the intervals."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from allroads import InputError
from allroads.paths.convergence import collision_probability, disagreement, effective_number, entropy, holm, reached
from allroads.paths.convergence.member_jackknife import mean_over_pairs

SKEWED = np.array([0.5, 0.25, 0.125, 0.125])
GEOMETRIC = 0.5 ** np.arange(1, 11) / (1 - 0.5**10)


def draws(p, members, times, seed=0):
    return np.random.default_rng(seed).choice(len(p), size=(times, members), p=p)


def test_the_collision_probability_is_unbiased():
    """The expectation over all 81 outcomes of four draws of three labels is Σ p²."""
    p = np.array([0.6, 0.3, 0.1])
    expected = sum(
        np.prod(p[list(outcome)]) * collision_probability(outcome).value
        for outcome in itertools.product(range(3), repeat=4)
    )
    assert expected == pytest.approx((p**2).sum(), abs=1e-12)


@pytest.mark.parametrize("p", [np.full(4, 0.25), SKEWED, np.array([0.95, 0.05]), np.full(100, 0.01)])
@pytest.mark.parametrize("members", [4, 15])
def test_its_interval_holds_the_truth_for_every_distribution(p, members):
    """At 95 % or more by a theorem; 300 draws with fewer than 272 have probability 1e-3 at exactly 95 %."""
    truth, held = (p**2).sum(), 0
    for labels in draws(p, members, 300):
        found = collision_probability(labels.tolist())
        held += found.stats["low"] <= truth <= found.stats["high"]
        assert found.stats["low"] <= found.value <= found.stats["high"]
    assert held >= 272


def test_the_interval_solves_its_equation():
    """All alike: k pairs give exp(−log 40 / k) as lower end, and 1 as upper end; none alike the reverse."""
    low = math.exp(-math.log(40) / 8)
    alike, apart = collision_probability("a" * 16).stats, collision_probability("abcdefghijklmnop").stats
    assert (alike["low"], alike["high"]) == (pytest.approx(low, abs=1e-9), 1.0)
    assert (apart["low"], apart["high"]) == (0.0, pytest.approx(1 - low, abs=1e-9))


def test_the_effective_number_is_the_inverse_and_a_lower_bound_where_nothing_meets():
    found = effective_number("aabb")
    assert found.value == pytest.approx(3.0) and found.status == "ok"
    apart = effective_number(range(16))
    assert apart.status == "lower bound" and apart.status.sound
    assert apart.value == pytest.approx(1 / (1 - math.exp(-math.log(40) / 8))) and math.isinf(apart.stats["high"])
    many = [effective_number(row.tolist()).value for row in draws(np.full(8, 1 / 8), 200, 20)]
    assert np.mean(many) == pytest.approx(8, abs=0.25)


@pytest.mark.parametrize(("p", "bits"), [(SKEWED, 1.75), (np.full(8, 1 / 8), 3.0), (GEOMETRIC, None)])
def test_the_entropy_is_near_the_truth_and_its_interval_holds_it(p, bits):
    truth = -(p * np.log2(p)).sum() if bits is None else bits
    found = [entropy(row.tolist()) for row in draws(p, 64, 200)]
    held = np.mean([one.stats["low"] <= truth <= one.stats["high"] for one in found])
    assert np.mean([one.value for one in found]) == pytest.approx(truth, abs=0.06) and held >= 0.88


def test_the_entropy_is_that_of_chao_wang_and_jost():
    """Counts (2, 1): 5/6 nat was seen; A = ½ adds 1/3 (1 − A)^(1 − 3) (−ln A − ½ − ⅛)."""
    found = entropy("aab")
    assert found.value == pytest.approx((5 / 6 + 4 / 3 * (math.log(2) - 5 / 8)) / math.log(2), abs=1e-9)
    assert found.stats["coverage"] == pytest.approx(2 / 3)


def test_what_members_do_not_show_of_the_entropy_is_said():
    assert entropy("aaaa").value == 0 and math.isinf(entropy("aaaa").error)
    assert entropy("aabcde").status == "ok" and math.isinf(entropy("aabcde").stats["high"])
    apart = entropy("abcd")
    assert apart.status == "lower bound" and apart.value == pytest.approx(math.log2(effective_number("abcd").value))


def test_labels_are_numbered_from_the_most_frequent_on():
    found = reached([("b",), ("a",), ("a",), ("c",)])
    assert found.members.tolist() == [1, 0, 0, 2] and found.counts.tolist() == [2, 1, 1]
    assert found.value == pytest.approx(1 / 6) and found.status == "ok" and "3 among 4" in found.describe()
    assert reached(["a", "b"]).status == "lower bound"


@pytest.mark.parametrize("labels", [["a"], [], [["a"], ["b"]]])
def test_labels_that_are_too_few_or_cannot_be_compared_are_refused(labels):
    with pytest.raises(InputError, match="labels: "):
        reached(labels)


def test_a_calibrated_ensemble_disagrees_as_often_as_it_errs():
    """Answers and labels drawn alike from p: both expectations are 1 − Σ p² exactly; 6 standard errors are allowed."""
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(3), size=4000)
    sample = lambda: (rng.random((4000, 1)) > p.cumsum(1)).sum(1)  # noqa: E731
    found = disagreement(np.array([sample() for _ in range(30)]), sample())
    truth = (1 - (p**2).sum(1)).mean()
    assert found.expected.value == pytest.approx(truth, abs=0.02)
    assert found.mistaken.value == pytest.approx(truth, abs=0.045) and abs(found.gap.value) < 0.045


def test_members_that_err_alike_do_not_disagree():
    said, right = np.tile([0, 1, 1, 0, 0, 0, 0, 0, 0, 1], (5, 1)), np.zeros(10)
    found = disagreement(said, right)
    assert (found.value, found.mistaken.value, found.gap.value) == (0.0, 0.3, -0.3)
    assert disagreement(said).mistaken is None and disagreement(said).gap is None


def test_intervals_over_members_hold_the_truth():
    """Members whose chances q of error are uniform up to 1/2: error E q = 1/4, disagreement 2 E q (1 − E q) = 3/8."""
    rng, held = np.random.default_rng(1), np.zeros(2)
    for _ in range(200):
        wrong = rng.random((12, 400)) < rng.random((12, 1)) / 2
        found = disagreement(wrong.astype(int), np.zeros(400))
        held += (
            abs(found.expected.value - 3 / 8) <= found.expected.error,
            abs(found.gap.value - 1 / 8) <= found.gap.error,
        )
    assert (held >= 178).all()  # fewer have probability 1e-3 at 94 %


def test_the_mean_over_pairs_is_a_jackknife_by_members():
    values = np.random.default_rng(0).normal(size=(5, 5))
    values = values + values.T
    upper = lambda v: v[np.triu_indices(len(v), 1)].mean()  # noqa: E731
    without = [upper(np.delete(np.delete(values, m, 0), m, 1)) for m in range(5)]
    mean, error = mean_over_pairs(values, within=True)
    assert mean == pytest.approx(upper(values))
    assert error == pytest.approx(2.776445 * math.sqrt(4 / 5 * ((without - np.mean(without)) ** 2).sum()), rel=1e-6)
    assert math.isinf(mean_over_pairs(np.ones((2, 2)), within=True)[1])
    assert math.isnan(mean_over_pairs(np.full((2, 2), np.nan), within=True)[0])
    rows, columns = np.array([[1.0, 2, 4], [2, 3, 5]]), 3
    spread = 1 / 2 * 0.5 + (columns - 1) / columns * (np.array([3.5, 3, 2]) - 17 / 6).var() * columns
    assert mean_over_pairs(rows, within=False) == (
        pytest.approx(17 / 6),
        pytest.approx(12.7062 * spread**0.5, rel=1e-4),
    )


def test_holm_is_the_least_level_at_which_the_procedure_rejects():
    p = np.array([[0.01, 0.04], [0.03, np.nan], [0.011, 0.5]])
    given = p[~np.isnan(p)]

    def rejected(alpha):
        order, out = np.argsort(given), np.zeros(len(given), bool)
        for rank, place in enumerate(order):
            if given[place] > alpha / (len(given) - rank):
                break
            out[place] = True
        return out

    adjusted = holm(p)
    assert np.isnan(adjusted[1, 1])
    for place, value in enumerate(adjusted[~np.isnan(p)]):
        assert rejected(value + 1e-12)[place] and (value == 1 or not rejected(value - 1e-9)[place])


@pytest.mark.parametrize(("answers", "labels"), [([[1, 2]], None), ([1, 2], None), ([[1, 2], [1, 2]], [1])])
def test_answers_of_too_few_members_are_refused(answers, labels):
    with pytest.raises(InputError, match=r"answers have shape|labels have shape"):
        disagreement(answers, labels)
