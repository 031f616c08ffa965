"""Counts as gates of formulas, formulas of many inputs, and decision diagrams."""

from __future__ import annotations

import math

import jax.numpy as jnp
import numpy as np
import pytest

from allroads import Network, Target, extract, run_source
from allroads.errors import InputError
from allroads.programs.boolean import LANGUAGE, Formula, compile_formula
from allroads.programs.boolean.decisions import Decisions, of_table
from allroads.programs.boolean.evaluate import all_rows, values_of
from allroads.programs.boolean.modules import formula_of
from allroads.programs.boolean.parse import parse

MAJORITY = " + ".join(f"x{i}" for i in range(31)) + " >= 16"


def drawn(rng, variables, counts=True):
    """A read-once formula of some variables, as text."""
    if len(variables) == 1:
        return "~" * int(rng.integers(2)) + f"x{variables[0]}"
    if counts and len(variables) == 5:
        some = sorted(rng.choice(6, size=int(rng.integers(1, 6)), replace=False).tolist())
        return f"({' + '.join(f'x{i}' for i in variables)} in ({', '.join(map(str, some))},))"
    cut = int(rng.integers(1, len(variables)))
    sides = [drawn(rng, part, counts) for part in (variables[:cut], variables[cut:])]
    return f"({sides[0]} {'&|^'[rng.integers(3)]} {sides[1]})"


def test_counts_are_counted_in_every_form(seed):
    """Table, rows, source, normal form, negation, network and diagram give the number of true operands."""
    rng = np.random.default_rng(seed)
    rows = all_rows(6)
    for _ in range(12):
        some = sorted(set(rng.integers(5, size=int(rng.integers(1, 5))).tolist()))
        truth = np.isin(rows[:, 0] * 1 + ~rows[:, 2] + rows[:, 3] + (rows[:, 4] ^ rows[:, 5]), some)
        text = f"(x0 + ~x2 + x3 + (x4 ^ x5) in ({', '.join(map(str, some))},))"
        formula = Formula.parse(text, 6)
        assert (
            formula.table.tolist() == truth.astype(int).tolist() == values_of(formula.root, rows).astype(int).tolist()
        )
        assert formula.canonical().table.tolist() == formula.table.tolist()
        assert Formula.parse(f"~{text}", 6).canonical().table.tolist() == (1 - formula.table).tolist()
        assert run_source(formula.source, rows.astype(int).tolist()) == formula.table.tolist()
        assert Formula.parse(str(formula.canonical().root), 6).equals(formula).proved
        network, params = compile_formula(formula)
        assert (np.asarray(network.apply(params, rows.astype(np.float32)))[:, 0] > 0).tolist() == truth.tolist()
        held = Decisions(range(6))
        assert held.values(held.made(formula.root), rows).tolist() == truth.tolist()


def test_counts_that_are_other_gates_become_these():
    assert str(Formula.parse("x0 + x1 + x2 >= 3", 3).canonical().root) == "x0 & x1 & x2"
    assert str(Formula.parse("x0 + x1 + x2 in (1, 3)", 3).canonical().root) == "x0 ^ x1 ^ x2"
    assert str(Formula.parse("x0 + x1 + x2 == 0", 3).canonical().root) == "~x0 & ~x1 & ~x2"
    assert str(Formula.parse("x0 + x1 + 1 >= 2", 3).canonical().root) == "x0 | x1"
    assert str(Formula.parse("x0 + x1 in (0, 1, 2)", 3).canonical().root) == "1"
    negated, plain = Formula.parse("~x0 + ~x1 + ~x2 >= 2", 3), Formula.parse("x0 + x1 + x2 <= 1", 3)
    assert negated.canonical() == plain.canonical() and negated.distance(plain) == 0
    assert plain.distance(Formula.parse("(x0 + x1 + x2 == 0) | (x0 + x1 + x2 == 1)", 3)) > 0


def test_the_length_of_a_count_is_that_of_its_code():
    """Three operands of five inputs: a constant that announces it, how many, the kind, the number; and its leaves."""
    leaf = 2 + math.log2(6)
    assert Formula.parse("x0 + x1 + x2 >= 2", 5).bits == pytest.approx(
        leaf + math.log2(5) + 2 + math.log2(4) + 3 * leaf + 1 + 2
    )
    assert Formula.parse(MAJORITY, 31).bits < 300 < Formula.parse(MAJORITY, 31).table_bits


def test_formulas_of_many_inputs_are_run_and_compared_without_a_table(seed):
    rng = np.random.default_rng(seed)
    formula = Formula.parse(MAJORITY, 31)
    rows = rng.integers(2, size=(50, 31))
    truth = (rows.sum(axis=1) >= 16).astype(int).tolist()
    assert formula.run(rows.tolist()) == truth == run_source(formula.source, rows.tolist())
    with pytest.raises(InputError, match="2\\^31 rows"):
        _ = formula.table
    every = " & ".join(f"x{i}" for i in range(31))
    near = Formula.parse(f"({MAJORITY}) ^ ({every})", 31)
    found = formula.equals(near)
    assert not found.equal and found.counterexample == [1] * 31 and found.answers == (1, 0)
    assert formula.equals(formula.canonical()).proved and formula.equals(formula).checked == 2**31
    other = Formula.parse(MAJORITY.replace(">= 16", "<= 15"), 31)
    assert not formula.equals(other).equal
    turned = Formula.parse(MAJORITY.replace(">= 16", "<= 15"), 31, answers=(1, 0))
    assert formula.equals(turned).proved
    third = Formula.parse(MAJORITY, 31, answers=(0, 2))
    found = formula.equals(third)
    assert not found.equal and found.answers == (1, 2) and sum(found.counterexample) >= 16


def test_read_once_formulas_come_back_from_their_diagrams(seed):
    rng = np.random.default_rng(seed)
    for bits in (12, 13, 16):
        formula = Formula.parse(drawn(rng, rng.permutation(bits).tolist()), bits)
        held, root = of_table(formula.table)
        found = formula_of(held, root)
        assert found is not None and held.made(found) == root
        assert Formula(found, bits).gates <= formula.canonical().gates
        assert values_of(found, all_rows(bits)).astype(int).tolist() == formula.table.tolist()


def test_diagrams_agree_with_tables_in_any_order(seed):
    rng = np.random.default_rng(seed)
    table = rng.integers(2, size=64)
    for order in (None, rng.permutation(6).tolist()):
        held, root = of_table(table, order)
        assert held.values(root, all_rows(6)).astype(int).tolist() == table.tolist()
        assert held.share(root) == pytest.approx(table.mean())
        assert (
            held.values(held.restricted(root, 2, 1), all_rows(6)).tolist()
            == held.values(root, all_rows(6) | (np.arange(6) == 2)).tolist()
        )
        assert held.values(root, held.drawn(root, 40, rng)).all()
        row = held.model(root)
        assert table[row] == 1 and (order is not None or row == int(np.flatnonzero(table)[0]))
    assert held.model(0) is None and held.made(parse("x0 & ~x0")) == 0


def test_diagrams_that_are_too_large_are_refused():
    pairs = " | ".join(f"x{i} & x{i + 20}" for i in range(20))
    with pytest.raises(InputError, match="more than 5,000 nodes"):
        Decisions(range(40)).made(parse(pairs), 5000)


def test_a_function_without_modules_gets_no_formula(seed):
    held, root = of_table(np.random.default_rng(seed).integers(2, size=1 << 13))
    assert formula_of(held, root) is None


def test_a_majority_of_five_is_read_as_a_count_that_is_shorter_than_its_table():
    """The table has 32 rows, 5 leaves to look up, and 2 bits of how inputs and answer are read."""
    rows = np.indices((2,) * 5).reshape(5, -1).T[:, ::-1]
    labels = (rows.sum(axis=1) >= 3).astype(float)
    target = Target("majority", inputs=rows, labels=labels, loss="bce", complete=True, train_fraction=1)
    network = Network(lambda key: jnp.ones(()), lambda p, x: p * (x.sum(axis=1, keepdims=True) - 2.5))
    found = extract(network, jnp.ones(()), target, languages=[LANGUAGE])
    assert str(found.program.root) == "x0 + x1 + x2 + x3 + x4 >= 3" and found.correct.equal
    assert found.stats["table_bits"] == pytest.approx(34 + 5 * (2 + math.log2(6)))
    assert found.status == "behaves as" and found.program.bits < found.stats["table_bits"]
