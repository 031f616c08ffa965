"""Navigability beside a search point by point, and random landscapes beside what is known of them."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import networkx as nx
import numpy as np
import pytest

from allroads import InputError, enumerate_map, navigability
from allroads.atlases import landscapes
from allroads.atlases.landscapes import (
    Neighbourhoods,
    accessible,
    adaptive_basins,
    grid_of,
    peaks,
    random_basin,
    random_peaks,
)

sys.path.insert(0, str(Path(__file__).parents[1] / "points"))

from ternary import cube, ternary


def cells(size, coordinates):
    """A grid on which each point is a program of its own."""
    return enumerate_map(lambda x: list(map(tuple, x.tolist())), range(size), coordinates=coordinates, progress=False)


@pytest.fixture(scope="module")
def grid():
    """A made-up map of four coordinates: twelve programs, thrown on the points, most of which fall into parts."""
    labels = np.random.default_rng(7).integers(0, 12, 81)
    return enumerate_map(lambda x: labels[x @ [27, 9, 3, 1]], (0, 1, 2), coordinates=4, progress=False)


@pytest.fixture(scope="module")
def two():
    return enumerate_map(ternary(2), (-1, 0, 1), cube(2), progress=False)


def reached_slowly(grid, fitness, target):
    """Share of each program's points from which a walk that never falls comes to the target, by networkx."""
    graph = nx.DiGraph()
    labels = dict(zip(itertools.product(*grid.alphabet), grid.labels.tolist(), strict=True))
    graph.add_nodes_from(labels)
    for point, label in labels.items():
        for place, values in enumerate(grid.alphabet):
            for value in values:
                other = (*point[:place], value, *point[place + 1 :])
                if other != point and fitness[labels[other]] >= fitness[label]:
                    graph.add_edge(point, other)
    graph.add_edges_from((point, "end") for point, label in labels.items() if label == target)
    found = nx.ancestors(graph, "end")
    return np.bincount([labels[point] for point in found], minlength=len(grid.programs)) / grid.counts


def test_shares_are_those_of_a_search_point_by_point(grid, monkeypatch):
    """The fitness of each draw is caught, and the search done again by networkx."""
    caught = []

    def catch(graph, fitness, targets):
        caught.append((fitness, targets))
        return accessible(graph, fitness, targets)

    monkeypatch.setattr("allroads.atlases.navigability.accessible", catch)
    found = navigability(grid, 48, null_draws=2, shuffles=2, progress=False)
    assert found.stats["components"] > len(grid.programs) == 12
    whole = caught[1 : 2 * 48 : 2]  # after each search on components, one on programs, whose fitness is per program
    slow = []
    for (fitness, _), target, share in zip(whole, found.targets, found.shares, strict=True):
        assert fitness[target] == 1
        each = reached_slowly(grid, fitness, target)
        assert each[target] == 1 and share == pytest.approx((each.sum() - 1) / 11, abs=1e-12)
        slow.append(share)
    assert found.value == pytest.approx(np.mean(slow), abs=1e-12)
    assert np.std(slow) > 0.02 and found.by_programs.value > found.value
    assert sorted(np.bincount(found.targets)) == [4] * 12


def test_the_random_null_is_the_map_on_which_each_point_is_a_program(seed):
    alone = navigability(cells(2, 6), 400, null_draws=400, progress=False, seed=seed)
    assert abs(alone.value - alone.random.value) < 2.5 * np.hypot(alone.error, alone.random.error)
    assert abs(alone.value - alone.shuffled.value) < 3 * np.hypot(alone.error, alone.shuffled.error)
    assert alone.by_programs.value == alone.value


def test_shuffling_takes_away_that_neighbours_are_alike(seed):
    """Six programs, each next to all others at each point, so that ψ is 1; thrown on the points they are not."""
    grid = enumerate_map(lambda x: x[:, 0], [range(6), (0, 1)], progress=False)
    found = navigability(grid, 12, null_draws=200, shuffles=40, seed=seed, progress=False)
    assert found.value == 1 and found.error == 0
    assert 0.5 < found.shuffled.value < found.shuffled.value + found.shuffled.error < 0.999
    assert found.stats["shuffled"] == 200


def test_two_bits_are_as_navigable_as_is_known(two, seed):
    """ψ is .99 by exact shares over 16 targets; both nulls lie below it."""
    found = navigability(two, 320, null_draws=32, seed=seed, progress=False)
    assert found.value == pytest.approx(0.994, abs=5e-3) and found.status.value == "ok"
    assert found.random.value < 0.7 < found.value - found.error
    assert found.shuffled.value < found.value
    assert found.by_programs.value >= found.value


@pytest.mark.slow
def test_three_bits_are_as_navigable_as_is_known(seed):
    """With programs whole ψ is .95 ± .01; from a point of the source, as it is defined, it is .935."""
    three = enumerate_map(ternary(3), (-1, 0, 1), cube(3), progress=False)
    found = navigability(three, 230, null_draws=4, shuffles=2, seed=seed, progress=False)
    assert found.by_programs.value == pytest.approx(0.95, abs=0.012)
    assert found.value == pytest.approx(0.935, abs=0.012)
    assert found.random.value < 0.8 and found.by_programs.value > found.value


def test_a_program_that_stands_for_none_is_no_target_and_least_fit(grid):
    found = navigability(grid, 33, null_draws=2, shuffles=2, undefined=0, progress=False)
    assert grid.place(0) not in found.targets and set(found.targets) == set(range(12)) - {grid.place(0)}


def test_a_seed_decides_and_a_budget_ends(grid):
    first, again = (navigability(grid, 20, null_draws=4, seed=3, progress=False) for _ in range(2))
    assert (first.shares == again.shares).all() and first.shuffled == again.shuffled and first.random == again.random
    found = navigability(grid, 10**6, budget=1e-6, progress=False)
    assert found.stats["ended"] == "budget" and found.stats["targets"] >= 2 and found.stats["shuffles"] == 2


def test_paths_may_not_cross_a_valley():
    """Two hills on a path of seven nodes; from the lower one the higher cannot be reached."""
    line = Neighbourhoods.of(np.stack([np.arange(6), np.arange(1, 7)], axis=1), 7)
    fitness = np.array([0.1, 0.6, 0.2, 0.2, 0.5, 1.0, 0.9])
    assert accessible(line, fitness, np.array([5])).tolist() == [False, False, True, True, True, True, True]
    assert peaks(line, fitness).tolist() == [1, 5]
    assert adaptive_basins(line, fitness, np.array([1, 5])).tolist() == [4 / 7, 5 / 7]


@pytest.mark.parametrize(("size", "coordinates"), [(2, 6), (3, 4), (4, 3)])
def test_a_random_landscape_has_as_many_peaks_as_the_formula_says(size, coordinates, seed):
    graph, generator = grid_of(cells(size, coordinates)), np.random.default_rng(seed)
    found = [len(peaks(graph, generator.random(size**coordinates))) for _ in range(600)]
    error = np.std(found, ddof=1) / 600**0.5
    assert abs(np.mean(found) - random_peaks(size, coordinates)) < 4 * error


def test_all_orders_of_a_square_have_the_peaks_and_basins_that_follow():
    """Exact, all 24 orders of the four points of two bits.

    Two opposite points are peaks in a third of the orders, each with itself and its two neighbours as basin. In the
    others there is one peak, which all points reach.
    """
    graph = grid_of(cells(2, 2))
    orders = [np.array(order, float) for order in itertools.permutations(range(4))]
    assert np.mean([len(peaks(graph, order)) for order in orders]) == pytest.approx(random_peaks(2, 2), abs=1e-12)
    basins = [adaptive_basins(graph, order, peaks(graph, order)).mean() for order in orders]
    assert np.mean(basins) == pytest.approx(2 / 3 + 3 / 4 / 3, abs=1e-12)


@pytest.mark.parametrize(
    ("bits", "landscapes", "known", "within"),
    [(8, 100, 0.36, 0.01), pytest.param(12, 24, 0.29, 0.02, marks=pytest.mark.slow)],
)
def test_basins_of_peaks_are_as_large_as_is_known(bits, landscapes, known, within, seed):
    """The mean share of the other points from which a peak is reached; what is known is simulated, to two digits."""
    graph, generator = grid_of(cells(2, bits)), np.random.default_rng(seed)
    found = []
    for _ in range(landscapes):
        fitness = generator.random(2**bits)
        tops = generator.permutation(peaks(graph, fitness))[:40]
        found.append(adaptive_basins(graph, fitness, tops).mean() - 0.5**bits)
    assert np.mean(found) == pytest.approx(known, abs=within + 3.3 * np.std(found) / landscapes**0.5)


def test_the_limit_of_basins_is_the_published_one():
    assert random_basin(4) == pytest.approx(0.528, abs=5e-4)
    assert random_basin(2) == pytest.approx(1 - np.arcsinh(2) / 2, abs=1e-9)  # published for the hypercube
    assert (np.diff([random_basin(size) for size in (2, 3, 4, 8, 20)]) > 0).all()


def test_what_cannot_be_navigated_is_refused(grid):
    one = enumerate_map(lambda x: np.zeros(len(x), int), (0, 1), coordinates=2, progress=False)
    for call, message in (
        (lambda: navigability(3), "expected EnumeratedMap"),
        (lambda: navigability(one), "one program alone"),
        (lambda: navigability(grid, 1), "draws"),
        (lambda: navigability(grid, null_draws=1), "null_draws"),
        (lambda: navigability(grid, shuffles=1), "shuffles"),
        (lambda: navigability(grid, seed=-1), "seed"),
        (lambda: navigability(grid, budget=0), "budget"),
        (lambda: navigability(grid, undefined="never"), "no point of this map"),
        (lambda: landscapes.random_peaks(1, 3), "size"),
        (lambda: landscapes.random_basin(1), "size"),
        (lambda: landscapes.grid_of(3), "expected EnumeratedMap"),
    ):
        with pytest.raises(InputError, match=message):
            call()
