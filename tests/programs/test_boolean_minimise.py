"""Minimisation of Boolean formulas against exhaustive tables, theorems and brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from allroads.errors import InputError
from allroads.points.complexity.formulas import formula_lengths
from allroads.programs.boolean import Formula, exact_formula, exact_sizes, minimise
from allroads.programs.boolean.decompose import cofactor, decompositions
from allroads.programs.boolean.formula import as_number
from allroads.programs.boolean.sums import as_rows, factored, or_sum, prime_implicants, product_table, xor_sum
from allroads.programs.boolean.tree import depends_on, substitute, table_of, variable
from allroads.programs.sandbox import run_source
from allroads.targets.rules import all_bits, majority, multiplexer, random

SIZES = {3: [8, 30, 114, 80, 24], 4: [10, 60, 456, 2474, 10624, 24184, 24640, 3088]}
"""How many functions have a shortest formula of 0, 1, 2, … gates."""


@pytest.mark.parametrize("bits", SIZES)
def test_exact_sizes_are_the_published_counts_and_those_of_another_algorithm(bits):
    assert np.bincount(exact_sizes(bits)).tolist() == SIZES[bits]
    assert np.array_equal(exact_sizes(bits), formula_lengths(bits, "any"))


def test_all_functions_of_three_bits_have_a_minimal_formula_and_right_source():
    rows = all_bits(3).astype(int).tolist()
    for table in range(256):
        truth = [table >> row & 1 for row in range(8)]
        formula = Formula.of_table(truth, 3)
        assert formula.gates == exact_sizes(3)[table]
        assert formula.table.tolist() == truth
        names: dict = {}
        exec(formula.source, names)
        assert [names["program"](row) for row in rows] == truth
        if table % 13 == 0:
            assert run_source(formula.source, rows) == truth


def test_functions_of_four_bits_have_a_minimal_formula(seed):
    for table in np.random.default_rng(seed).integers(65536, size=300).tolist():
        formula = minimise(table, 4)
        assert table_of(formula, 4) == table
        assert formula.gates == exact_sizes(4)[table] == exact_formula(table, 4).gates


def read_once(variables, rng):
    """A random formula in which each variable occurs once: its n − 1 gates cannot be fewer."""
    parts = [f"{'~' if rng.integers(2) else ''}x{i}" for i in rng.permutation(variables)]
    while len(parts) > 1:
        i, j = rng.choice(len(parts), 2, replace=False)
        joined = f"({parts[i]} {'&|^'[rng.integers(3)]} {parts[j]})"
        parts = [part for k, part in enumerate(parts) if k not in (i, j)] + [joined]
    return parts[0]


def test_read_once_functions_reach_the_optimum(seed):
    """A function that depends on n variables needs n − 1 gates."""
    rng = np.random.default_rng(seed)
    for bits in (5, 6, 7, 8, 9, 10, 10, 10):
        formula = Formula.parse(read_once(bits, rng), bits)
        found = Formula.of_table(formula.table, bits)
        assert found.equals(formula).equal
        assert found.gates == bits - 1


def carry(bits):
    """The carry of the sum of two numbers of so many bits, and its shortest known formula."""
    rows = all_bits(2 * bits).astype(int)
    values = 1 << np.arange(bits)
    return (rows[:, :bits] @ values + rows[:, bits:] @ values) >> bits


@pytest.mark.parametrize(
    ("table", "bits", "gates"),
    [
        (all_bits(10).sum(axis=1) % 2, 10, 9),
        (all_bits(10).all(axis=1), 10, 9),
        ((all_bits(10)[:, ::2] & all_bits(10)[:, 1::2]).any(axis=1), 10, 9),
        (carry(3), 6, 9),  # four gates a further position: x ^ (x ^ y) & (x ^ carry)
        (multiplexer(all_bits(6)), 6, 9),  # three gates a choice
    ],
    ids=["parity", "and", "dnf", "carry", "multiplexer"],
)
def test_large_functions_reach_the_best_known_size(table, bits, gates):
    formula = Formula.of_table(np.asarray(table).astype(int), bits)
    assert np.array_equal(formula.table, table)
    assert formula.gates <= gates


def test_majorities_are_shorter_than_their_sums():
    table = as_number(majority(all_bits(5)))
    plain = factored(or_sum(table, 5), "|")
    assert table_of(minimise(table, 5), 5) == table
    assert minimise(table, 5).gates < plain.gates


@pytest.mark.parametrize("bits", [8, 10])
def test_random_functions_are_as_long_as_their_table(bits, seed):
    table = random(all_bits(bits), function_seed=seed).astype(int)
    formula = Formula.of_table(table, bits)
    assert np.array_equal(formula.table, table)
    assert formula.bits >= formula.table_bits > 2**bits


def test_bits_that_play_no_part_do_not_enter():
    formula = Formula.of_table((all_bits(12)[:, 3] ^ all_bits(12)[:, 11]).astype(int), 12)
    assert str(formula.root) == "x3 ^ x11"
    with pytest.raises(InputError, match="depends on 11 bits"):
        minimise(as_number(all_bits(11).all(axis=1)), 11)


def test_decompositions_put_together_are_the_function(seed):
    rng = np.random.default_rng(seed)
    count = 0
    for width, most in ((2, 2), (3, 2), (3, 4)):
        for _ in range(10):
            block = rng.integers(2, size=(2, 8))
            outer = (
                rng.integers(2, size=32)
                if most == 4
                else rng.integers(2, size=8).repeat(4).reshape(8, 2, 2).transpose(0, 2, 1).ravel()
            )
            rows = all_bits(6).astype(int)
            place = rows[:, :3] @ [1, 2, 4]
            table = as_number(outer[block[0][place] + 2 * block[1][place] + 4 * (rows[:, 3:] @ [1, 2, 4])])
            used = tuple(i for i in range(6) if depends_on(table, i, 6))
            for found in decompositions(table, used, width, 6, most):
                inner = {i: minimise(h, 6) for i, h in found.inner}
                assert table_of(substitute(minimise(found.outer, 6), inner), 6) == table
                assert len(found.inner) == 1 or most == 4
                count += 1
    assert count > 20


def test_prime_implicants_are_those_of_brute_force(seed):
    for table in np.random.default_rng(seed).integers(1, 256, size=20).tolist():
        products = [
            frozenset((i, s == 1) for i, s in enumerate(signs) if s < 2)
            for signs in itertools.product(range(3), repeat=3)
        ]
        implicants = [p for p in products if product_table(p, 3) & ~table == 0]
        primes = {p for p in implicants if not any(q < p for q in implicants)}
        assert set(prime_implicants(table, 3)) == primes


def test_sums_are_the_function(seed):
    for _ in range(10):
        table = as_number(np.random.default_rng(seed).integers(2, size=64))
        assert table_of(factored(or_sum(table, 6), "|"), 6) == table
        assert table_of(factored(xor_sum(table, 6), "^"), 6) == table
    assert or_sum(0, 3) == [] and str(factored([], "|")) == "0"
    assert len(xor_sum(as_number(all_bits(6).sum(axis=1) % 2), 6)) == 6


def test_tables_and_cofactors():
    table = as_number(all_bits(3)[:, 0] & all_bits(3)[:, 2])
    assert as_rows(table, 3).tolist() == (all_bits(3)[:, 0] & all_bits(3)[:, 2]).tolist()
    assert cofactor(table, 0, 0, 3) == 0
    assert cofactor(table, 0, 1, 3) == table_of(variable(2), 3)
    assert [depends_on(table, i, 3) for i in range(3)] == [True, False, True]
