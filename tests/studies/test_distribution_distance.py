"""Distances between counted distributions: closed forms, a slow second way, the null's level, coverage."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from allroads import InputError
from allroads.studies.attribution.information import information
from allroads.studies.reached import distribution_distance
from allroads.studies.reached.distance import aligned_counts
from allroads.studies.reached.overlap import Pair, overlaps


def labels(counts):
    return np.repeat(np.arange(len(counts)), counts).tolist()


def test_overlaps_are_the_distances_by_their_definitions():
    rng = np.random.default_rng(0)
    for _ in range(20):
        p, q = rng.dirichlet(np.full(9, 0.3), size=2) * (rng.random((2, 9)) < 0.7)
        p, q = p / p.sum(), q / q.sum()
        expected = [abs(p - q).sum() / 2, jensenshannon(p, q, base=2) ** 2]
        assert overlaps(p, q) == pytest.approx(expected, abs=1e-12)
        assert overlaps(p, q)[1] == pytest.approx(information(np.stack([p, q])[None])[0, 1], abs=1e-12)


@pytest.mark.parametrize("sizes", [((3, 1), (1, 3)), ((2, 1, 1), (0, 1, 4))])
def test_the_split_null_is_the_mean_over_all_splits(sizes):
    """Every way to choose the smaller side from the pooled runs, against 10,000 random ones."""
    pair = Pair(*map(np.array, sizes))
    pooled = labels(pair.first + pair.second)
    every = []
    for chosen in itertools.combinations(range(len(pooled)), pair.sizes[0]):
        here = np.bincount([pooled[i] for i in chosen], minlength=len(sizes[0]))
        every.append(overlaps(here / pair.sizes[0], (pair.first + pair.second - here) / pair.sizes[1]))
    drawn = pair.split(10_000, np.random.default_rng(0))
    deviation = np.std(every, axis=0) / 100
    assert (abs(drawn.mean(axis=0) - np.mean(every, axis=0)) <= 5 * deviation).all()


def test_the_lower_bounds_are_exact_for_known_rules():
    """All mass apart: the rule of one half is right for all of the other, but for the smoothing of its shares."""
    low, deviation = Pair(np.array([4000, 0]), np.array([0, 4000])).told(np.random.default_rng(0))
    assert low[0] == 1 and deviation[0] == 0 and low[1] == pytest.approx(1, abs=2e-3) and low[1] < 1


def zipf(functions):
    p = 1 / np.arange(1, functions + 1)
    return p / p.sum()


def tilted(p, share):
    """Half of the labels with less of their mass; the distance from p is known by the definition."""
    q = p.copy()
    q[: len(p) // 2] *= 1 - share
    return q / q.sum()


CASES = {
    "coin": (np.array([0.75, 0.25]), np.array([0.5, 0.5]), 400, 400),
    "alike": (zipf(30), zipf(30), 300, 300),
    "turned": (zipf(30), zipf(30)[::-1].copy(), 300, 900),
    "many rare": (zipf(1000), tilted(zipf(1000), 0.5), 300, 3000),
    "atom": (np.r_[0.5, np.full(200, 0.0025)], np.r_[0.3, np.full(200, 0.0035)], 500, 500),
}


@pytest.mark.parametrize("case", CASES)
def test_intervals_hold_known_distances(case, seed):
    """40 pairs of tables: of 95 % intervals at most 8 miss, as fewer hold in 1 of 2,000 runs at exactly 95 %."""
    p, q, few, many = CASES[case]
    truth, rng, missed, rejected = overlaps(p, q), np.random.default_rng(seed), np.zeros(2), 0
    for k in range(40):
        sides = labels(rng.multinomial(few, p)), labels(rng.multinomial(many, q))
        found = distribution_distance(*sides, resamples=99, seed=k)
        both = found.total_variation, found.jensen_shannon
        missed += [
            not one.stats["low"] - 1e-12 <= true <= one.stats["high"] for one, true in zip(both, truth, strict=True)
        ]
        rejected += both[1].stats["p"] <= 0.05
        assert all(one.stats["low"] <= one.value <= one.stats["high"] for one in both)
    assert missed.max() <= 8
    assert rejected == 40 if case in ("coin", "turned") else case != "alike" or rejected <= 8


def test_identical_explorers_differ_as_often_as_the_level_says(seed):
    """200 pairs from one distribution: p ≤ 5 % in 21 at most, which more than 5 % of them exceed in 1 of 1,000 runs."""
    rng, p = np.random.default_rng(seed), zipf(50)
    found = []
    for k in range(200):
        sides = labels(rng.multinomial(60, p)), labels(rng.multinomial(90, p))
        found.append(distribution_distance(*sides, resamples=99, seed=k).jensen_shannon.stats["p"])
    assert sum(value <= 0.05 for value in found) <= 21
    assert 0.4 < np.mean(found) < 0.65


def test_the_correction_takes_off_most_of_what_counting_adds():
    """Zipf's law on 200 labels and its half-weakened form: mean over 20 tables of 1,024 runs."""
    p, q = zipf(200), tilted(zipf(200), 0.8)
    rng, truth, values, counted = np.random.default_rng(0), overlaps(p, q), [], []
    for k in range(20):
        found = distribution_distance(
            labels(rng.multinomial(1024, p)), labels(rng.multinomial(1024, q)), resamples=99, seed=k
        )
        values.append([found.total_variation.value, found.jensen_shannon.value])
        counted.append([found.total_variation.stats["counted"], found.jensen_shannon.stats["counted"]])
    left, before = abs(np.mean(values, axis=0) - truth), np.mean(counted, axis=0) - truth
    assert (before > 0.04).all() and (left < before / 3).all()


def test_runs_that_share_nothing_by_chance_are_undersampled():
    found = distribution_distance(range(100), range(1000, 1100), resamples=99)
    assert found.status == "undersampled" and found.total_variation.stats["p"] == 1 and found.shared == 0
    assert found.total_variation.stats["low"] == 0 and found.total_variation.stats["high"] == 1


def test_counted_functions_are_aligned_by_what_they_answer():
    assert [side.tolist() for side in aligned_counts(list("ab") * 10, ["b", "c", None] * 10)] == [
        [10, 10, 0],
        [0, 10, 10],
    ]


@pytest.mark.parametrize(
    "sides", [(["a"] * 19, ["a"] * 30), (["a"] * 30, []), ([["a"]] * 30, ["a"] * 30), ({"a": 30}, {"a": 30.5})]
)
def test_too_few_runs_and_labels_that_cannot_be_compared_are_refused(sides):
    with pytest.raises(InputError, match=r"first: |second: "):
        distribution_distance(*sides)


def test_fractions_hold_the_smallest_p_value():
    found = distribution_distance(["a"] * 30, ["b"] * 30, resamples=199)
    assert Fraction(found.jensen_shannon.stats["p"]).limit_denominator(1000) == Fraction(1, 200)
    assert found.value == 1.0


@pytest.mark.parametrize("runs", [20, 30, 37, 1000])
def test_two_explorers_that_each_reach_one_function_have_ends(runs):
    """All votes are alike, so their variance is 0, or below it by rounding."""
    found = distribution_distance("a" * runs, "b" * 30, resamples=99)
    for part in (found.total_variation, found.jensen_shannon):
        assert 0.9 < part.stats["low"] <= part.value <= part.stats["high"] == 1
