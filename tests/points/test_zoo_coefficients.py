"""Exact learning coefficients against tabulated values and against each other."""

import itertools
import math

import numpy as np
import pytest

from allroads.errors import InputError
from allroads.points.zoo import (
    deep_linear_learning_coefficient,
    localised_learning_coefficient,
    normal_crossings_learning_coefficient,
    quadratic,
    reduced_rank_learning_coefficient,
    sum_of_powers,
    tanh_units_learning_coefficient,
    two_layer_linear_learning_coefficient,
)


@pytest.mark.parametrize(
    ("widths", "rank", "expected"),
    [
        ((4, 7, 3, 6, 5), 2, (8, 1)),
        ((50,) * 5, 10, (950, None)),
        ((50,) * 5, 50, (1250, 1)),
        ((10, 20, 10), 10, (50, 1)),
        ((5, 3, 5), 0, (6.5, 2)),
        ((10, 10, 10), 4, (45.5, None)),
        ((100, 100, 100), 30, (4387.5, None)),
        ((3, 4, 3), 1, (4.5, 2)),
    ],
)
def test_deep_linear_of_worked_examples(widths, rank, expected):
    coefficient, multiplicity = deep_linear_learning_coefficient(widths, rank)
    assert coefficient == expected[0]
    assert expected[1] in (None, multiplicity)


def test_deep_linear_is_reduced_rank_regression_where_there_are_two_layers():
    cases = 0
    for widths in itertools.product(range(1, 9), repeat=3):
        for rank in range(min(widths) + 1):
            assert deep_linear_learning_coefficient(widths, rank) == reduced_rank_learning_coefficient(widths, rank)
            cases += 1
    assert cases == 1808


def test_deep_linear_by_its_definition():
    rng = np.random.default_rng(1)
    for _ in range(1000):
        widths = rng.integers(1, 10, size=rng.integers(2, 8)).tolist()
        rank = int(rng.integers(0, min(widths) + 1))
        spare = sorted(width - rank for width in widths)
        sets = [
            spare[: ell + 1]
            for ell in range(len(spare))
            if sum(spare[: ell + 1]) >= ell * spare[ell]
            and all(spare[ell] < m and sum(spare[: ell + 1]) < ell * m for m in spare[ell + 1 :])
        ]
        assert len(sets) == 1, "the conditions choose one set"
        (chosen,) = sets
        ell, total = len(chosen) - 1, sum(chosen)
        a = total - (math.ceil(total / ell) - 1) * ell
        expected = (
            rank * (widths[0] + widths[-1] - rank) / 2
            + a * (ell - a) / (4 * ell)
            - (ell * (ell - 1) / 4) * (total / ell) ** 2
            + sum(m * n for m, n in itertools.combinations(chosen, 2)) / 2
        )
        coefficient, multiplicity = deep_linear_learning_coefficient(widths, rank)
        assert coefficient == pytest.approx(expected, abs=1e-9)
        assert multiplicity == a * (ell - a) + 1


@pytest.mark.parametrize("layers", range(1, 8))
def test_a_chain_of_scalars_is_a_normal_crossing(layers):
    chain = deep_linear_learning_coefficient((1,) * (layers + 1), 0)
    assert chain == (0.5, layers) == normal_crossings_learning_coefficient((1,) * layers)


def test_deep_linear_in_general():
    rng = np.random.default_rng(0)
    for _ in range(300):
        widths = rng.integers(1, 12, size=rng.integers(2, 7)).tolist()
        rank = int(rng.integers(0, min(widths) + 1))
        coefficient, multiplicity = deep_linear_learning_coefficient(widths, rank)
        assert coefficient == deep_linear_learning_coefficient(widths[::-1], rank)[0]
        inner = [widths[0], *rng.permutation(widths[1:-1]).tolist(), widths[-1]]
        assert (coefficient, multiplicity) == deep_linear_learning_coefficient(inner, rank)
        parameters = sum(a * b for a, b in itertools.pairwise(widths))
        # A map of rank r is at least as singular to learn as its tangent space, and no more than all maps of this kind.
        assert rank * (widths[0] + widths[-1] - rank) / 2 <= coefficient
        assert coefficient <= min(parameters, widths[0] * widths[-1]) / 2
        assert 1 <= multiplicity <= len(widths) - 1


@pytest.mark.parametrize(
    ("ranks", "expected"),
    [((0, 0, 0), 14), ((0, 3, 0), 14.5), ((0, 4, 0), 16), ((2, 2, 2), 19.5), ((3, 3, 2), 19.5), ((2, 4, 2), 20)],
)
def test_two_layer_linear_at_points_of_known_ranks(ranks, expected):
    assert two_layer_linear_learning_coefficient((8, 4, 8), ranks)[0] == expected


def test_two_layer_linear_is_smallest_where_both_layers_have_the_rank_of_the_map():
    for widths in itertools.product(range(1, 6), repeat=3):
        for h1, h2 in itertools.product(range(min(widths[:2]) + 1), range(min(widths[1:]) + 1)):
            for rank in range(max(0, h1 + h2 - widths[1]), min(h1, h2) + 1):
                here = two_layer_linear_learning_coefficient(widths, (h1, h2, rank))
                least = reduced_rank_learning_coefficient(widths, rank)
                assert here[0] >= least[0]
                if h1 == h2 == rank:
                    assert here == least
                if h1 + h2 - rank == widths[1]:
                    # No hidden direction is free: the point is a smooth one of the fibre, half its codimension.
                    codimension = widths[0] * widths[2] - (widths[0] - h1) * (widths[2] - h2)
                    assert here == (codimension / 2, 1)


def test_tanh_units():
    found = [tanh_units_learning_coefficient(units) for units in range(1, 10)]
    assert [round(coefficient, 4) for coefficient, _ in found[:4]] == [0.5, 0.6667, 0.8333, 1.0]
    assert [multiplicity for _, multiplicity in found] == [2, 1, 1, 2, 1, 1, 1, 1, 2]


def test_normal_crossings_and_sums():
    assert normal_crossings_learning_coefficient((0, 1)) == (0.5, 1)
    assert normal_crossings_learning_coefficient((2, 2)) == (0.25, 2)
    assert normal_crossings_learning_coefficient((1, 3)) == (1 / 6, 1)
    assert normal_crossings_learning_coefficient((1, 2), (1, 3)) == (1.0, 2)
    assert sum_of_powers((2, 1)).learning_coefficient == 0.75
    assert sum_of_powers((3, 3, 3)).learning_coefficient == 0.5
    assert quadratic((2.0,) * 7).learning_coefficient == 3.5


def test_localised_coefficient_is_the_mean_excess_of_its_density(seed):
    h, nbeta, localisation = np.array([0.01, 0.5, 2.0]), 50.0, 3.0
    w = np.random.default_rng(seed).normal(size=(2_000_000, 3)) / np.sqrt(nbeta * h + localisation)
    sampled = nbeta * quadratic(h).excess(w).mean()
    exact = localised_learning_coefficient(h, nbeta, localisation)
    assert sampled == pytest.approx(exact, rel=0.005)
    hessian = np.diag(h)
    assert exact == pytest.approx(np.trace(hessian @ np.linalg.inv(hessian + localisation / nbeta * np.eye(3))) / 2)
    assert localised_learning_coefficient([*h, 0.0], nbeta, 0.0) == 1.5


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: deep_linear_learning_coefficient((3,), 0), "widths: expected at least 2 whole numbers of 1 or more"),
        (lambda: deep_linear_learning_coefficient((3, 0), 0), "widths"),
        (lambda: deep_linear_learning_coefficient((3, 2.0), 0), "widths"),
        (lambda: deep_linear_learning_coefficient((3, 2), 3), "rank at most 2, got 3"),
        (lambda: reduced_rank_learning_coefficient((3, 2, 3, 4), 1), "three widths"),
        (lambda: two_layer_linear_learning_coefficient((3, 2, 3), (2, 2, 1)), "no matrices 3×2 and 2×3"),
        (lambda: two_layer_linear_learning_coefficient((3, 2, 3), (3, 1, 1)), "h₁ ≤ 2"),
        (lambda: normal_crossings_learning_coefficient((0, 0)), "a constant"),
        (lambda: normal_crossings_learning_coefficient((1, -1)), "powers"),
        (lambda: normal_crossings_learning_coefficient((1, 1), (1,)), "prior_powers: expected one for each of the 2"),
        (lambda: tanh_units_learning_coefficient(0), "units"),
        (lambda: localised_learning_coefficient([-1.0], 1.0, 1.0), "spectrum"),
        (lambda: localised_learning_coefficient([1.0], 0.0, 1.0), "nbeta above 0"),
    ],
)
def test_sizes_that_do_not_fit_are_named(call, message):
    with pytest.raises(InputError, match=message):
        call()
