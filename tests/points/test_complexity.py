"""Measures of Boolean functions against published counts, exhaustion and slow oracles."""

import itertools
import math

import numpy as np
import pytest

from allroads.errors import InputError, UnknownNameError
from allroads.points.complexity import complexity
from allroads.points.complexity.circuits import circuit_sizes
from allroads.points.complexity.formulas import formula_lengths
from allroads.points.complexity.lz76 import first_bit_most_significant, lz76
from allroads.points.complexity.normal_forms import dnf_terms
from allroads.points.complexity.symmetries import npn_classes, substituted, substitutions, variables


def table_of(code, bits):
    return code >> np.arange(2**bits) & 1


def code_of(table):
    return int(np.asarray(table, dtype=int) @ (1 << np.arange(len(table))))


def rows(bits):
    """All inputs, [2^n, n], x0 first."""
    return np.arange(2**bits)[:, None] >> np.arange(bits) & 1


# --- counts over all functions, published

AND_OR = {
    2: [6, 8, 0, 2],
    3: [8, 24, 64, 30, 80, 32, 0, 16, 0, 2],
    4: [10, 48, 256, 940, 2048, 5248, 8672, 11768, 10592, 11536, 5472, 6304, 960, 1472, 96, 114],
}
ANY = {
    2: [6, 10],
    3: [8, 30, 114, 80, 24],
    4: [10, 60, 456, 2474, 10624, 24184, 24640, 3088],
}
CIRCUITS = {2: [6, 10], 3: [8, 30, 114, 80, 24], 4: [10, 60, 456, 2474, 10624, 24184, 25008, 2720]}


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_functions_by_formula_length_and_circuit_size(bits):
    assert np.bincount(formula_lengths(bits, "and_or")).tolist() == AND_OR[bits]
    assert np.bincount(formula_lengths(bits, "any")).tolist() == ANY[bits]
    assert np.bincount(circuit_sizes(bits)).tolist() == CIRCUITS[bits]


def test_functions_by_terms():
    assert np.bincount(dnf_terms(4)).tolist() == [1, 81, 1804, 13472, 28904, 17032, 3704, 512, 26]


@pytest.mark.parametrize(("bits", "classes"), [(0, 1), (1, 2), (2, 4), (3, 14), (4, 222)])
def test_number_of_classes(bits, classes):
    labels, representatives = npn_classes(bits)
    assert len(representatives) == classes == labels.max() + 1
    assert labels[representatives].tolist() == list(range(classes))


# --- slow oracles


def slow_formula_lengths(bits, gates):
    """Lengths by joining every function with every other, without symmetries, to a fixed point."""
    full = 2**2**bits - 1
    free = [0, full, *variables(bits).tolist(), *(full ^ v for v in variables(bits).tolist())]
    length = dict.fromkeys(free, 0)
    while True:
        shorter = {}
        for (g, a), (h, b) in itertools.combinations_with_replacement(length.items(), 2):
            for gate in gates:
                f = gate(g, h, full)
                if a + b + 1 < min(length.get(f, math.inf), shorter.get(f, math.inf)):
                    shorter[f] = a + b + 1
        if not shorter:
            return [length[f] for f in range(full + 1)]
        length |= shorter


AND_OR_GATES = [lambda g, h, full: g & h, lambda g, h, full: g | h]
ALL_GATES = [
    *AND_OR_GATES,
    lambda g, h, full: g ^ h,
    lambda g, h, full: full ^ (g ^ h),
    lambda g, h, full: full ^ (g & h),
    lambda g, h, full: full ^ (g | h),
    lambda g, h, full: g & (full ^ h),
    lambda g, h, full: h & (full ^ g),
    lambda g, h, full: g | (full ^ h),
    lambda g, h, full: h | (full ^ g),
]


@pytest.mark.parametrize("bits", [1, 2, 3])
@pytest.mark.parametrize(("basis", "gates"), [("and_or", AND_OR_GATES), ("any", ALL_GATES)])
def test_every_formula_length_of_three_bits_by_a_slow_way(bits, basis, gates):
    assert formula_lengths(bits, basis).tolist() == slow_formula_lengths(bits, gates)


@pytest.mark.parametrize(("basis", "gates"), [("and_or", AND_OR_GATES), ("any", ALL_GATES)])
def test_sampled_formula_lengths_of_four_bits_are_locally_minimal(basis, gates):
    # L(f) ≤ L(g) + L(h) + 1 for all pairs; where all pairs of one f are gone through, it is attained.
    length = formula_lengths(4, basis).astype(int)
    codes = np.arange(65536)
    rng = np.random.default_rng(0)
    attained = np.full(65536, 99)
    for g in rng.choice(65536, size=200, replace=False):
        for gate in gates:
            np.minimum.at(attained, gate(codes, g, 65535), length + length[g] + 1)
    assert (length <= attained).all()
    sample = rng.choice(np.flatnonzero(length), size=10, replace=False)
    for f in sample:
        # AND of two supersets of f, OR of two subsets, or XOR of any: every way to end a formula of f.
        above, below = codes[codes & f == f], codes[codes | f == f]
        ways = [_cheapest(above, f, length, np.bitwise_and), _cheapest(below, f, length, np.bitwise_or)]
        if basis == "any":
            ways.append((length + length[codes ^ f] + 1).min())
        assert min(ways) == length[f]


def _cheapest(operands, f, length, gate):
    """Fewest gates of f = g gate h over all g and h among the operands."""
    best = 99
    for g in operands:
        if length[g] < best - 1:
            fits = operands[gate(operands, g) == f]
            best = min(best, (length[g] + length[fits] + 1).min(initial=99))
    return best


def slow_circuit_size(code, bits):
    """Fewest gates by going through all circuits, deeper and deeper, without symmetries."""
    full = 2**2**bits - 1
    start = variables(bits).tolist()
    if code in (0, full, *start, *(full ^ v for v in start)):
        return 0

    def within(nodes, gates):
        for g, h in itertools.combinations(nodes, 2):
            for new in (g & h, g & (full ^ h), h & (full ^ g), g | h, g ^ h):
                if new in (code, full ^ code):
                    return True
                if gates > 1 and new not in nodes and within((*nodes, new), gates - 1):
                    return True
        return False

    return next(gates for gates in itertools.count(1) if within(tuple(start), gates))


def test_every_circuit_size_of_three_bits_by_going_through_all_circuits():
    classes, representatives = npn_classes(3)
    by_class = [slow_circuit_size(int(code), 3) for code in representatives]
    assert circuit_sizes(3).tolist() == np.array(by_class)[classes].tolist()


def test_sampled_circuits_of_four_bits_by_going_through_all_circuits():
    sizes = circuit_sizes(4)
    sample = np.random.default_rng(0).choice(np.flatnonzero(sizes == 3), size=4, replace=False)
    assert [slow_circuit_size(int(code), 4) for code in sample] == [3] * 4


def test_known_circuits():
    x = rows(4)
    ones = x.sum(1)
    assert circuit_sizes(4)[code_of(ones % 2)] == 3  # parity
    assert circuit_sizes(4)[code_of(ones >= 3)] == circuit_sizes(4)[code_of(ones >= 2)] == 7
    assert circuit_sizes(4)[code_of(ones == 2)] == 6
    three = rows(3)
    assert circuit_sizes(3)[code_of(three.sum(1) >= 2)] == 4  # majority
    assert circuit_sizes(3)[code_of(np.where(three[:, 0], three[:, 1], three[:, 2]))] == 3  # multiplexer


@pytest.mark.parametrize("bits", [1, 2, 3])
def test_every_number_of_terms_by_covering(bits):
    products = {0}
    x = rows(bits)
    for signs in itertools.product((0, 1, None), repeat=bits):
        holds = [(x[:, i] == sign) for i, sign in enumerate(signs) if sign is not None]
        products.add(code_of(np.logical_and.reduce(holds) if holds else np.ones(2**bits)))
    products.discard(0)
    terms = dnf_terms(bits)
    for code in range(2**2**bits):
        implicants = [p for p in products if p & ~code == 0]
        least = next(
            k
            for k in itertools.count()
            if any(_union(chosen) == code for chosen in itertools.combinations(implicants, k))
        )
        assert terms[code] == least


def _union(codes):
    total = 0
    for code in codes:
        total |= code
    return total


def test_measures_that_ignore_the_names_of_bits_do():
    rng = np.random.default_rng(1)
    codes = rng.integers(65536, size=50).astype(np.uint16)
    for order in list(substitutions(4))[::37]:
        moved = substituted(codes, order)
        for tables in (formula_lengths(4, "and_or"), formula_lengths(4, "any"), circuit_sizes(4), dnf_terms(4)):
            assert tables[moved].tolist() == tables[codes].tolist()
    assert (circuit_sizes(4) <= formula_lengths(4, "any")).all()
    assert (formula_lengths(4, "any") <= formula_lengths(4, "and_or")).all()


def test_an_unknown_basis_is_named():
    with pytest.raises(UnknownNameError, match="Known: and_or, any"):
        formula_lengths(2, "nand")


# --- Lempel–Ziv, variant of simplicity bias


@pytest.mark.parametrize(("ones", "expected"), [(2, 35.0), (10, 70.0), (21, 101.5)])
def test_lz76_of_published_targets(ones, expected):
    # A text of 128 symbols in lexicographic order, x1 the most significant; drawn with replacement.
    text = np.zeros(128, dtype=int)
    text[np.random.RandomState(10).choice(128, size=ones)] = 1
    assert lz76(text) == expected


@pytest.mark.parametrize("order", [np.asarray, first_bit_most_significant])
def test_lz76_of_named_functions(order):
    x = rows(7)
    for table, expected in [
        (np.zeros(128), 7.0),
        (np.ones(128), 7.0),
        (x[:, 0], 21.0),
        (x[:, 6], 21.0),
        (x.sum(1) % 2, 91.0),
        (x.sum(1) >= 4, 70.0),
        (x.sum(1) == 7, 17.5),
    ]:
        assert lz76(order(table)) == expected


def test_lz76_of_all_functions_of_three_bits():
    values = [lz76(table_of(code, 3)) for code in range(256)]
    levels, counts = np.unique(values, return_counts=True)
    assert levels.tolist() == [3, 7.5, 9, 10.5, 12, 13.5, 15]
    assert counts.tolist() == [2, 4, 26, 60, 102, 48, 14]


def test_lz76_words_of_the_textbook_example():
    # 0001101001000101 parses as 0|001|10|100|1000|101: six words; in reverse as 1|0|100|01001|011|000: six.
    assert lz76([int(c) for c in "0001101001000101"]) == 4 * (6 + 6) / 2


def test_the_order_of_rows_is_the_documented_one():
    x = rows(5)
    for i in range(5):
        listed = np.array(list(itertools.product((0, 1), repeat=5)))[:, i]  # lexicographic, x0 first
        assert first_bit_most_significant(x[:, i]).tolist() == listed.tolist()
    table = np.random.default_rng(0).integers(2, size=32)
    assert first_bit_most_significant(first_bit_most_significant(table)).tolist() == table.tolist()
    assert lz76(table) != lz76(first_bit_most_significant(table))


# --- all together


@pytest.mark.parametrize(
    ("function", "degree", "influence", "l1"),
    [
        (lambda x: x.sum(1) % 2, 7, 7.0, 1.0),
        (lambda x: x.sum(1) >= 4, 7, 2.1875, 6.0),
        (lambda x: x[:, 0], 1, 1.0, 1.0),
        (lambda x: x.all(1), 7, 7 / 64, 2.96875),
    ],
)
def test_spectral_measures_of_seven_bits(function, degree, influence, l1):
    measured = complexity(np.asarray(function(rows(7)), dtype=int))
    assert (measured.walsh_degree, measured.total_influence, measured.walsh_l1) == (degree, influence, l1)


def test_sensitivity_and_entropy():
    majority = complexity(rows(5).sum(1) >= 3)
    assert majority.max_sensitivity == 3
    assert majority.entropy == 1.0
    assert complexity(rows(5).all(1)).max_sensitivity == 5
    p = 1 / 32
    assert complexity(rows(5).all(1)).entropy == pytest.approx(-p * math.log2(p) - (1 - p) * math.log2(1 - p))


def test_small_functions_have_every_measure():
    for bits in (1, 2, 3, 4):
        constant = complexity([0] * 2**bits)
        assert not constant.missing
        exact = (constant.formula_and_or, constant.formula_any, constant.circuit_size, constant.dnf_terms)
        assert exact == (0, 0, 0, 0)
        assert (constant.lz76, constant.entropy, constant.walsh_l1, constant.max_sensitivity) == (bits, 0, 1, 0)
        assert math.copysign(1, constant.entropy) == 1


def test_a_function_is_read_as_a_boolean_target_reads_it():
    from allroads.targets.boolean import boolean

    table = "0001001000110111"
    truth = boolean(truth_table=table).truth
    measured = complexity(table)
    assert measured == complexity([int(c) for c in table]) == complexity(np.array(list(table)) == "1")
    assert (measured.walsh_degree, measured.walsh_l1) == (truth["degree"], truth["l1"])
    assert measured.dnf_terms == dnf_terms(4)[code_of([int(c) for c in table])]
    # x0 & ~x1 over two bits is true in row 1 alone.
    assert complexity("0100").formula_and_or == 1


def test_what_is_out_of_reach_is_none_and_says_why():
    measured = complexity([0, 1] * 16)
    assert set(measured.missing) == {"formula_and_or", "formula_any", "circuit_size", "dnf_terms"}
    assert all(getattr(measured, name) is None for name in measured.missing)
    assert "at most 4 bits" in measured.missing["circuit_size"] and "has 5" in measured.missing["circuit_size"]
    long = complexity(np.arange(2**17) % 2)
    assert long.lz76 is None and "16 bits" in long.missing["lz76"]
    assert (long.walsh_degree, long.total_influence) == (1, 1.0)


@pytest.mark.parametrize("table", ["011", [0, 1, 1], [], [1], "", np.zeros(2**21, dtype=int)])
def test_a_table_of_another_length_is_refused(table):
    with pytest.raises(InputError, match=r"2\^n entries"):
        complexity(table)


NOT_BITS = ["0x10", [0, 2], [0, -1], [0.5, 1], [[0, 1], [1, 0]], [0, math.nan], [[0], [0, 1]], ["0", "1"]]


@pytest.mark.parametrize("table", NOT_BITS)
def test_a_table_of_other_symbols_is_refused(table):
    with pytest.raises(InputError, match="zeros and ones"):
        complexity(table)
