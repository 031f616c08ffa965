"""What lies next to each program of a map that is enumerated, beside slow counts and published theorems."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from allroads import Atlas, InputError, Network, enumerate_map, exact_neighbour_share
from allroads.atlases.neighbours import EnumeratedMap, enumerated_atlas, neutral_components
from allroads.errors import MemoryBudgetError

sys.path.insert(0, str(Path(__file__).parents[1] / "points"))

from ternary import cube, functions, size, ternary

MIXED = ((0, 1), (2, 3, 5), (0, 1), (-1, 7, 8, 9))
"""Alphabets of different sizes."""


def parity_of_some(points):
    return [("odd" if (a + b * c) % 2 else "even") if d != 8 else ("eight", int(a)) for a, b, c, d in points]


@pytest.fixture(scope="module")
def small():
    return enumerate_map(parity_of_some, MIXED, batch=7, progress=False)


@pytest.fixture(scope="module")
def two():
    return enumerate_map(ternary(2), (-1, 0, 1), cube(2), progress=False)


@pytest.fixture(scope="module")
def three():
    return enumerate_map(ternary(3), (-1, 0, 1), cube(3), progress=False)


@pytest.fixture(scope="module")
def shares(three):
    return exact_neighbour_share(three)


def counted_slowly():
    """Moves between labels, point by point and coordinate by coordinate."""
    found: dict[tuple[object, object], int] = {}
    for point in itertools.product(*MIXED):
        own = parity_of_some([point])[0]
        for place, values in enumerate(MIXED):
            for value in values:
                if value != point[place]:
                    there = parity_of_some([(*point[:place], value, *point[place + 1 :])])[0]
                    found[own, there] = found.get((own, there), 0) + 1
    return found


def test_points_are_counted_as_a_product_is():
    seen = []
    enumerate_map(lambda points: seen.extend(map(tuple, points.tolist())) or ["x"] * len(points), MIXED, progress=False)
    assert seen == list(itertools.product(*MIXED))


def test_shares_are_those_of_a_count_point_by_point(small):
    found, slow = exact_neighbour_share(small), counted_slowly()
    assert {(small.programs[p], small.programs[q]) for p, q in zip(found.source, found.target, strict=True)} == set(
        slow
    )
    total = len(small.labels) * small.degree
    for (p, q), moves in slow.items():
        out = sum(count for (own, _), count in slow.items() if own == p)
        place = small.programs.index(p), small.programs.index(q)
        assert found.between(p, q).value == pytest.approx(moves / out, abs=1e-15)
        assert found.matrix("boundary")[place] == pytest.approx(moves / total, abs=1e-15)
    assert found.between("odd", "odd").error is None


def test_many_programs_are_counted_as_few_are(small, monkeypatch):
    few = exact_neighbour_share(small)
    monkeypatch.setattr("allroads.atlases.neighbours.exact.DENSE", 1)
    many = exact_neighbour_share(small)
    assert (few.matrix() == many.matrix()).all() and (few.source == many.source).all()


def test_boundaries_are_symmetric_and_moves_add_up(small, two):
    for grid in (small, two):
        found = exact_neighbour_share(grid)
        flow = found.matrix("boundary")
        assert (flow == flow.T).all() and flow.sum() == pytest.approx(1, abs=1e-12)
        assert found.matrix().sum(1) == pytest.approx(1, abs=1e-12)
        assert found.balance.value == 1


def test_components_are_those_of_a_search_point_by_point(small):
    labels = dict(zip(itertools.product(*MIXED), parity_of_some(itertools.product(*MIXED)), strict=True))
    left, parts = set(labels), []
    while left:
        wave, part = [left.pop()], set()
        while wave:
            point = wave.pop()
            part.add(point)
            for place, values in enumerate(MIXED):
                for value in values:
                    other = (*point[:place], value, *point[place + 1 :])
                    if other in left and labels[other] == labels[point]:
                        left.remove(other)
                        wave.append(other)
        parts.append((labels[next(iter(part))], len(part)))
    found = neutral_components(small)
    assert sorted(map(str, parts)) == sorted(
        str((small.programs[p], int(n))) for p, n in zip(found.program, found.sizes, strict=True)
    )


def test_two_bits_have_the_figures_that_are_known(two):
    found = exact_neighbour_share(two)
    assert two.counts[:3].tolist() == [7465, 2726, 846] and two.counts.min() == 54 and len(two.programs) == 16
    assert two.programs[:2] == ("0000", "1111") and {two.programs[p] for p in np.flatnonzero(two.counts == 54)} == {
        "0110",
        "1001",
    }
    assert found.value == pytest.approx(0.549, abs=5e-4) and found.null.value == pytest.approx(0.182, abs=5e-4)
    assert (found.source != found.target).sum() == 222


def test_labels_of_a_network_are_those_of_another_implementation(two):
    codes = [sum(int(bit) << row for row, bit in enumerate(program)) for program in two.programs]
    assert (np.array(codes)[two.labels] == functions(2)).all()


@pytest.mark.slow
def test_three_bits_have_the_figures_that_are_known(three, shares):
    counts = dict(zip(three.programs, three.counts.tolist(), strict=True))
    assert len(three.labels) == 3**11 and len(three.programs) == 230
    bits = np.arange(8)[:, None] >> np.arange(3) & 1
    parity, majority, both = (
        "".join(map(str, table.astype(int))) for table in (bits.sum(1) % 2, bits.sum(1) > 1, bits.all(1))
    )
    assert parity not in counts and counts[majority] == 1872 and counts[both] == 1649
    assert shares.robustness.min() == 0 and shares.robustness.max() == pytest.approx(0.776, abs=5e-4)
    assert shares.robustness_by_frequency.value == pytest.approx(0.92, abs=5e-3)
    assert shares.robustness_by_evolvability.value == pytest.approx(0.92, abs=5e-3)
    assert (shares.evolvability.min(), shares.evolvability.max()) == (19, 229)
    assert (shares.source != shares.target).sum() == 11_120 and 230 * 229 == 52_670


@pytest.mark.slow
def test_the_adjacent_share_is_a_u_of_the_hamming_distance(three, shares):
    table = np.array([[int(bit) for bit in program] for program in three.programs])
    distance = (table[:, None] != table).sum(-1)
    adjacent = shares.matrix() > 0
    found = [adjacent[distance == d].mean() for d in range(1, 9)]
    assert found == pytest.approx([1, 0.47, 0.22, 0.13, 0.04, 0.18, 0.47, 0.24], abs=5.1e-3)


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_a_perceptron_answers_one_as_often_as_the_theorem_says(bits):
    """Without bias and with symmetric weights, 1 on t of all inputs of 0 and 1 has probability 2⁻ⁿ for each t < 2ⁿ."""
    inputs = (np.arange(1 << bits)[:, None] >> np.arange(bits) & 1).astype(float)
    unit = Network(lambda key: jnp.zeros(bits), lambda w, x: x @ w)
    sizes = [(-(4.0**d), -(2 * 4.0**d), 4.0**d, 2 * 4.0**d) for d in range(bits)]  # no sum of some is 0
    grid = enumerate_map(unit, sizes, inputs, progress=False)
    ones = np.array([program.count("1") for program in grid.programs])
    assert np.bincount(ones, grid.frequency, minlength=len(inputs) + 1) == pytest.approx(
        [0.5**bits] * len(inputs) + [0]
    )


def test_a_population_of_points_is_read_array_after_array():
    """Two arrays in a dictionary; the first is the bias."""
    network = Network(lambda key: {"b": jnp.zeros(()), "w": jnp.zeros((1, 1))}, lambda p, x: x @ p["w"] + p["b"])
    grid = enumerate_map(network, ((0, 3), (-1, 2)), np.array([[1.0], [-1.0]]), progress=False)
    assert [grid.programs[label] for label in grid.labels] == ["01", "10", "11", "11"] and grid.functions


def test_an_atlas_of_a_map_holds_its_shares(two, tmp_path):
    atlas, found = enumerated_atlas(two), exact_neighbour_share(two)
    shares = found.matrix()
    off = ~np.eye(16, dtype=bool) & (shares > 0)
    assert (atlas.matrix("neighbour_share")[off] == shares[off]).all()
    assert np.isnan(atlas.matrix("neighbour_share")[~off]).all()
    assert atlas.nodes["function"].to_list() == list(two.programs) == atlas.names
    assert atlas.nodes["frequency"].to_list() == two.frequency.tolist()
    assert atlas.nodes["robustness"].to_list() == found.robustness.tolist()
    atlas.save(tmp_path)
    assert (Atlas.load(tmp_path).matrix("boundary")[off] == found.matrix("boundary")[off]).all()


def test_programs_whose_names_are_alike_stay_apart():
    grid = enumerate_map(lambda x: [1 if a else "1" for a in x[:, 0]], (0, 1), coordinates=1, progress=False)
    assert sorted(enumerated_atlas(grid).names) == ["'1'", "1"]


def test_what_has_no_program_is_the_node_of_none():
    def label(points):
        return [None if a else "off" for a in points[:, 0]]

    for function in (label, lambda points: np.array(label(points), object)):
        atlas = enumerated_atlas(enumerate_map(function, (0, 1), coordinates=1, progress=False))
        assert atlas.nodes.select("node", "label").rows() == [("off", "off"), ("none", "none/mixed")]


def test_very_many_programs_have_shares_and_no_matrix():
    """Each point of 15 bits is a program of its own: robustness 0, and as many neighbours as bits."""
    grid = enumerate_map(lambda x: x @ (1 << np.arange(15)), (0, 1), coordinates=15, progress=False)
    found = exact_neighbour_share(grid)
    assert (found.robustness == 0).all() and (found.evolvability == 15).all() and found.share.max() == 1 / 15
    with pytest.raises(MemoryBudgetError, match="32,768 programs"):
        found.matrix()


def test_one_program_is_said():
    grid = enumerate_map(lambda x: np.zeros(len(x), int), (0, 1), coordinates=3, progress=False)
    found = exact_neighbour_share(grid)
    assert found.status.value == "one program" and found.value == 1 and enumerated_atlas(grid).value == 1


def identity(points):
    return points[:, 0]


@pytest.mark.parametrize(
    ("function", "alphabet", "options", "message"),
    [
        (identity, (0, 1), {}, "say how many"),
        (identity, (), {"coordinates": 2}, "expected the values"),
        (identity, "01", {"coordinates": 2}, "expected the values"),
        (identity, (0, 0), {"coordinates": 2}, "different values"),
        (identity, (0.0, np.nan), {"coordinates": 2}, "not finite"),
        (identity, [(0, 1), 2], {}, "got both"),
        (identity, [(0, 1)], {"coordinates": 2}, "one for each of 2"),
        (identity, [()], {}, "different values"),
        (identity, (0, 1), {"coordinates": 40}, "too many to enumerate"),
        (identity, (0, 1), {"coordinates": 0}, "whole number of 1"),
        (identity, (0, 1), {"coordinates": 2, "batch": 0}, "batch"),
        (identity, (0, 1), {"coordinates": 2, "inputs": [1]}, "gives its labels itself"),
        (lambda x: x[:1, 0], (0, 1), {"coordinates": 2}, "returned 1 labels"),
        (lambda x: ["a"], (0, 1), {"coordinates": 2}, "returned 1 labels"),
        (lambda x: [[1]] * len(x), (0, 1), {"coordinates": 2}, "cannot be compared"),
        (lambda x: [float("nan")] * len(x), (0, 1), {"coordinates": 2}, "label is NaN"),
        (lambda x: x[:, 0] * np.nan, (0, 1), {"coordinates": 2}, "label is NaN"),
        (3, (0, 1), {"coordinates": 2}, "expected a Network"),
        (ternary(2), (0, 1), {}, "read by what it answers"),
        (ternary(2), ("a", "b"), {"inputs": cube(2)}, "is a number"),
        (ternary(2), (0, 1), {"inputs": cube(2), "coordinates": 3}, "has 9 parameters"),
    ],
)
def test_what_cannot_be_enumerated_is_refused(function, alphabet, options, message):
    with pytest.raises(InputError, match=message):
        enumerate_map(function, alphabet, progress=False, **options)


def test_outputs_that_are_not_finite_are_refused():
    network = Network(lambda key: jnp.zeros(1), lambda w, x: x[:, 0] / w)
    with pytest.raises(InputError, match=r"at the point \[0.0\] are not finite"):
        enumerate_map(network, (0.0, 1.0), cube(1), progress=False)


def test_what_is_no_map_is_refused(two):
    values = (np.array([0, 1]),) * 2
    for labels, message in (([0, 1], "has 4 points"), ([0, 1, 2, 0], "from 0 to 1"), ([0.5] * 4, "whole numbers")):
        with pytest.raises(InputError, match=message):
            EnumeratedMap(values, np.array(labels), ("a", "b"))
    with pytest.raises(InputError, match="expected EnumeratedMap"):
        exact_neighbour_share(3)
    with pytest.raises(InputError, match="there is no move"):
        exact_neighbour_share(enumerate_map(identity, (1,), coordinates=2, progress=False))
    with pytest.raises(InputError, match="no point of this map"):
        two.place("2222")
    with pytest.raises(InputError, match="was not met"):
        exact_neighbour_share(two).between("0000", "2222")
    assert size(2) == len(two.alphabet)
