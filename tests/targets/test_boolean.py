"""Boolean targets against theorems and slow oracles."""

import itertools
import math

import numpy as np
import pytest

from allroads.errors import InputError
from allroads.targets import build_target
from allroads.targets.boolean import boolean
from allroads.targets.expression import evaluate_expression, named_variables
from allroads.targets.rules import RULES, all_bits
from allroads.targets.walsh import (
    degree,
    leap,
    noise_stability,
    sensitivities,
    support,
    total_influence,
    truth_of,
    walsh,
)


def table_of(bits, rule, **options):
    return RULES[rule](all_bits(bits), **options)


def signs_of(table):
    return 1 - 2 * np.asarray(table, dtype=int)


def random_tables(bits, count=5):
    rng = np.random.default_rng(bits)
    return [rng.integers(2, size=2**bits) for _ in range(count)]


# --- spectrum


@pytest.mark.parametrize("bits", [0, 1, 2, 3, 5])
def test_walsh_is_the_correlation_with_each_character(bits):
    values = np.random.default_rng(bits).normal(size=2**bits)
    signs = 1 - 2 * all_bits(bits).astype(int)
    slow = [np.mean(values * np.prod(signs[:, [i for i in range(bits) if s >> i & 1]], axis=1)) for s in range(2**bits)]
    np.testing.assert_allclose(walsh(values), slow, atol=1e-14)


@pytest.mark.parametrize("bits", [1, 4, 8])
def test_parseval_and_inversion(bits):
    for table in random_tables(bits):
        coefficients = walsh(signs_of(table))
        assert (coefficients**2).sum() == 1.0
        np.testing.assert_array_equal(walsh(coefficients) * 2**bits, signs_of(table))


def test_a_table_has_a_power_of_two_entries():
    with pytest.raises(InputError, match="2\\^n entries, got 3"):
        walsh(np.ones(3))


# --- sensitivity


@pytest.mark.parametrize("bits", [1, 3, 6])
def test_sensitivity_by_flipping_each_bit(bits):
    for table in random_tables(bits):
        value = {tuple(row): v for row, v in zip(all_bits(bits).astype(int).tolist(), table.tolist(), strict=True)}
        slow = []
        for row in value:
            flips = [(*row[:i], 1 - row[i], *row[i + 1 :]) for i in range(bits)]
            slow.append(sum(value[row] != value[f] for f in flips))
        assert sensitivities(table).tolist() == slow
        assert total_influence(walsh(signs_of(table))) == pytest.approx(np.mean(slow), abs=1e-12)


@pytest.mark.parametrize("k", range(1, 8))
def test_a_character_of_k_bits(k):
    coefficients = walsh(signs_of(table_of(7, "parity", k=k)))
    assert support(coefficients).tolist() == [2**k - 1]
    assert (degree(coefficients), total_influence(coefficients), leap(support(coefficients))) == (k, k, k)
    for rho in (-0.7, 0.0, 0.3, 1.0):
        assert noise_stability(coefficients, rho) == pytest.approx(rho**k, abs=1e-15)


@pytest.mark.parametrize("n", [1, 3, 5, 7, 9, 11])
def test_average_sensitivity_of_majority(n):
    expected = n * math.comb(n - 1, (n - 1) // 2) / 2 ** (n - 1)
    truth = truth_of(signs_of(table_of(n, "majority")))
    assert truth["average_sensitivity"] == pytest.approx(expected, rel=1e-12)
    assert (truth["balance"], truth["max_sensitivity"]) == (0.5, (n + 1) // 2)


def test_known_values_for_seven_bits():
    def known(rule, **options):
        truth = truth_of(signs_of(table_of(7, rule, **options)))
        return truth["degree"], round(truth["average_sensitivity"], 4), round(truth["l1"], 3)

    assert known("parity") == (7, 7.0, 1.0)
    assert known("majority") == (7, 2.1875, 6.0)
    assert known("parity", k=1) == (1, 1.0, 1.0)
    assert known("and") == (7, 0.1094, 2.969)


def test_noise_stability_is_a_correlation_under_noise():
    table = random_tables(4)[0]
    values, rows, rho = signs_of(table), all_bits(4), 0.4
    keep, flip = (1 + rho) / 2, (1 - rho) / 2
    slow = np.mean(
        [values[x] * values[y] * np.prod(np.where(rows[x] == rows[y], keep, flip)) * 16
         for x, y in itertools.product(range(16), repeat=2)]
    )  # fmt: skip
    assert noise_stability(walsh(values), rho) == pytest.approx(slow, abs=1e-12)
    with pytest.raises(InputError, match="correlation"):
        noise_stability(walsh(values), 1.5)


# --- leap


def leap_by_all_orders(sets):
    best = math.inf
    for order in itertools.permutations(sets):
        covered, most = 0, 0
        for s in order:
            most = max(most, (s & ~covered).bit_count())
            covered |= s
        best = min(best, most)
    return best


def test_leap_of_the_known_cases():
    def leap_of(*monomials):
        return boolean(bits=3, monomials=monomials).truth["leap"]

    assert leap_of([0], [0, 1], [0, 1, 2]) == 1
    assert leap_of([0, 1, 2], [0], [0, 1]) == 1
    assert leap_of([0], [0, 1, 2]) == 2
    assert [leap_of(list(range(k))) for k in (1, 2, 3)] == [1, 2, 3]


def test_leap_is_the_minimum_over_all_orders():
    rng = np.random.default_rng(0)
    for _ in range(200):
        sets = rng.integers(1, 64, size=5).tolist()
        assert leap(np.array(sets)) == leap_by_all_orders(sets)
    assert leap(np.array([0])) == 0


# --- expressions


@pytest.mark.parametrize(
    ("text", "slow"),
    [
        ("x0 & (x1 ^ x2)", lambda x: x[0] & (x[1] ^ x[2])),
        ("~x0 | x2 & x1", lambda x: (1 - x[0]) | (x[2] & x[1])),
        ("x0 ^ x1 & ~x2 | 0", lambda x: x[0] ^ (x[1] & (1 - x[2]))),
        ("~(x0 ^ 1)", lambda x: x[0]),
    ],
)
def test_expressions(text, slow):
    rows = all_bits(3)
    assert evaluate_expression(text, rows).astype(int).tolist() == [slow(x) for x in rows.astype(int).tolist()]


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "x0.real",
        "x0 + x1",
        "x0 and x1",
        "y0",
        "x",
        "x-1",
        "x0 &",
        "",
        "2",
        "True if x0 else x1",
        "[x0]",
        "x0 & x٣",
        "lambda: x0",
        "x0 == x1",
        "~" * 9_000 + "x0",
        "(" * 500 + "x0" + ")" * 500,
        "x0 & " * 3_000 + "x0",
        "x0\0",
        3,
    ],
)
def test_expressions_hold_nothing_else(text):
    with pytest.raises(InputError, match=r"expression|bits is missing"):
        boolean(expression=text)


def test_variables_beyond_the_bits_are_refused():
    assert named_variables("x3 | ~x10") == [3, 10]
    with pytest.raises(InputError, match="names x3 and there are 2 bits"):
        boolean(expression="x0 ^ x3", bits=2)


# --- rules


def test_rules_by_their_meaning():
    rows = all_bits(7).astype(int)
    signs = 1 - 2 * rows
    assert (table_of(7, "and", k=3) == (rows[:, :3].sum(1) == 3)).all()
    assert (table_of(7, "or", variables=[1, 6]) == (rows[:, 1] + rows[:, 6] > 0)).all()
    assert (table_of(7, "majority", k=5) == (rows[:, :5].sum(1) >= 3)).all()
    stairs = signs[:, 0] + signs[:, 0] * signs[:, 1] + signs[:, 0] * signs[:, 1] * signs[:, 2]
    assert (table_of(7, "staircase", k=3) == (stairs < 0)).all()
    chosen = [row[2 + row[0] + 2 * row[1]] for row in rows]
    assert table_of(7, "mux", address=2).tolist() == [bool(c) for c in chosen]
    weights = np.arange(1, 8)
    assert (table_of(7, "linear_threshold", weights=weights) == (signs @ weights < 0)).all()


def test_a_staircase_climbs_one_variable_at_a_time():
    assert truth_of(signs_of(table_of(7, "staircase", k=3)))["leap"] == 1


@pytest.mark.parametrize("k", [1, 2, 4])
def test_a_junta_depends_on_exactly_its_variables(k):
    for function_seed in range(5):
        table = table_of(6, "junta", k=k, function_seed=function_seed)
        rows = np.arange(64)
        relevant = [i for i in range(6) if (table != table[rows ^ (1 << i)]).any()]
        assert len(relevant) == k and table.sum() == 32


def test_random_tables_are_balanced_unless_told_otherwise():
    assert all(table_of(6, "random", function_seed=s).sum() == 32 for s in range(5))
    assert {int(table_of(6, "random", balanced=False, function_seed=s).sum()) for s in range(8)} != {32}


# --- targets


@pytest.mark.parametrize("encoding", ["signs", "bits"])
@pytest.mark.parametrize("loss", ["bce", "cross_entropy", "mse"])
def test_conventions(encoding, loss):
    target = boolean(truth_table="01101000", encoding=encoding, loss=loss, train_fraction=1)
    rows = np.array([[r & 1, r >> 1 & 1, r >> 2 & 1] for r in range(8)])
    np.testing.assert_array_equal(target.full.inputs, rows if encoding == "bits" else 1 - 2 * rows)
    bits = np.array([0, 1, 1, 0, 1, 0, 0, 0])
    np.testing.assert_array_equal(target.full.labels, 1 - 2 * bits if loss == "mse" else bits)
    assert target.interface.outputs == (2 if loss == "cross_entropy" else 1)
    assert [target.function(x) for x in target.full.inputs] == target.full.labels.tolist()
    assert target.truth["balance"] == 3 / 8


def test_a_sum_of_monomials_is_real():
    target = boolean(monomials=[[0], [0, 1], [0, 1, 2]], coefficients=[1, 2, 4], train_fraction=1)
    signs = target.full.inputs
    expected = signs[:, 0] + 2 * signs[:, :2].prod(1) + 4 * signs.prod(1)
    np.testing.assert_allclose(target.full.labels, expected)
    assert target.loss == "mse"
    assert target.truth["spectrum"] == [[[0, 1, 2], 4.0], [[0, 1], 2.0], [[0], 1.0]]


def test_ways_to_give_the_same_function_agree():
    prints = {
        boolean(**way, bits=3).fingerprint()
        for way in (
            {"rule": "parity"},
            {"expression": "x0 ^ x1 ^ x2"},
            {"truth_table": "01101001"},
            {"truth_table": [0, 1, 1, 0, 1, 0, 0, 1]},
        )
    }
    assert len(prints) == 1


def test_many_bits_are_drawn():
    target = boolean(bits=20, rule="parity", k=2, train_size=64, held_out_size=32)
    assert target.full is None and target.train.inputs.shape == (64, 20)
    expected = target.train.inputs[:, :2].prod(axis=1) < 0
    np.testing.assert_array_equal(target.train.labels, expected)
    assert target.truth["average_sensitivity"] == 2.0


def test_long_spectra_are_cut_at_the_largest_coefficients():
    truth = build_target("boolean", bits=9, rule="random").truth
    assert truth["nonzero"] > len(truth["spectrum"]) == 64 and not truth["spectrum_complete"]
    sizes = [abs(c) for _, c in truth["spectrum"]]
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "exactly one of the ways"),
        ({"bits": 3, "rule": "parity", "expression": "x0"}, "got expression, rule"),
        ({"bits": 3, "rule": "party"}, "did you mean 'parity'"),
        ({"rule": "parity"}, "bits is missing"),
        ({"bits": 21, "rule": "parity"}, r"bits.*1 … 20, got 21"),
        ({"bits": 0, "rule": "parity"}, "bits"),
        ({"bits": "7", "rule": "parity"}, "bits.*whole number"),
        ({"bits": 3, "rule": "parity", "k": 4}, r"k.*1 … 3, got 4"),
        ({"bits": 3, "rule": "parity", "variables": [0, 0]}, "none twice"),
        ({"bits": 3, "rule": "parity", "variables": [3]}, "variables"),
        ({"bits": 3, "rule": "parity", "variables": [0], "k": 1}, "both k and variables"),
        ({"bits": 3, "rule": "mux", "k": 1}, "no option 'k'; it has address"),
        ({"bits": 3, "rule": "mux", "address": 2}, "needs 6 bits, got 3"),
        ({"bits": 4, "rule": "majority"}, "ties.*odd"),
        ({"bits": 4, "rule": "staircase"}, "odd number k of steps"),
        ({"bits": 3, "rule": "linear_threshold", "weights": [1, 2]}, "needs 3 weights, got 2"),
        ({"bits": 3, "rule": "linear_threshold", "weights": [1, 2, float("nan")]}, "weights.*NaN"),
        ({"expression": "x0", "k": 3}, "k belong to a rule"),
        ({"expression": "x0 | ~x0"}, "constant: one class only"),
        ({"truth_table": "0000"}, "constant"),
        ({"truth_table": "011"}, r"2\^n entries; got 3"),
        ({"truth_table": "0110", "bits": 3}, "got 4 for 3 bits"),
        ({"truth_table": "01x0"}, "zeros and ones"),
        ({"truth_table": [0, 2]}, "zeros and ones"),
        ({"truth_table": []}, "truth_table: empty"),
        ({"monomials": [[0]], "loss": "bce"}, "must be 'mse'"),
        ({"monomials": [[0], [1]], "coefficients": [1]}, "as many coefficients"),
        ({"monomials": [[0], [1]], "coefficients": [1, 1], "k": 1}, "k belong"),
        ({"monomials": [[0], []], "coefficients": [0, 3]}, "constant"),
        ({"bits": 3, "rule": "parity", "encoding": "bit"}, "did you mean 'bits'"),
        ({"bits": 3, "rule": "parity", "loss": "bc"}, "did you mean 'bce'"),
        ({"bits": 7, "rule": "and", "seed": 0, "train_size": 3}, "one class only"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        boolean(**options)
