"""Boolean formulas as programs: normal form, length, parts, distance, equality and source."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from allroads.errors import InputError
from allroads.programs.boolean import Formula
from allroads.programs.boolean.edit_distance import edit_distance
from allroads.programs.boolean.encoding import as_encoding, cube
from allroads.programs.boolean.formula import as_number
from allroads.programs.boolean.normal_form import normal_form, sub_formulas, unsigned
from allroads.programs.boolean.parse import parse
from allroads.programs.boolean.source import source_of
from allroads.programs.boolean.tree import ONE, ZERO, Node, gate, negation, nodes, table_of, variable
from allroads.programs.program import shared_parts
from allroads.programs.sandbox import run_source
from allroads.targets.expression import evaluate_expression
from allroads.targets.rules import all_bits


def drawn(rng, bits=4, depth=3):
    """A random expression."""
    kind = rng.integers(5) if depth else 0
    if kind == 0:
        return variable(int(rng.integers(bits))) if rng.integers(8) else (ZERO, ONE)[rng.integers(2)]
    if kind == 1:
        return negation(drawn(rng, bits, depth - 1))
    return gate("&|^"[kind - 2], tuple(drawn(rng, bits, depth - 1) for _ in range(rng.integers(2, 4))))


def shuffled(node, rng):
    """The same steps in another order, with negations in other places."""
    if node.op == "~":
        return negation(shuffled(node.args[0], rng))
    args = [shuffled(arg, rng) for arg in node.args]
    if not args:
        return node
    rng.shuffle(args)
    if len(args) > 2:
        args = [Node(node.op, tuple(args[:2])), *args[2:]]
    if node.op == "^":
        return negation(gate("^", (negation(args[0]), *args[1:])))
    dual = "|" if node.op == "&" else "&"
    return negation(gate(dual, tuple(map(negation, args)))) if rng.integers(2) else Node(node.op, tuple(args))


def test_parsing_agrees_with_the_expressions_of_targets(seed):
    rng = np.random.default_rng(seed)
    rows = all_bits(4)
    for _ in range(50):
        node = drawn(rng)
        text = str(node)
        assert table_of(parse(text), 4) == table_of(node, 4) == as_number(evaluate_expression(text, rows))


@pytest.mark.parametrize(
    ("text", "bits", "said"),
    [
        ("x0 + x1", 2, "is not allowed"),
        ("x0 + x1 >= 3", 2, "is not allowed"),
        ("x0 >= 1", 2, "is not allowed"),
        ("x0 + x1 < 2", 2, "is not allowed"),
        ("x0 & y", 2, "is not allowed"),
        ("x0 &", 2, "cannot be read"),
        ("x0 & x3", 3, "names x3"),
        ("x0", 65, "up to 64"),
        ("x0", 0, "1 or more"),
        ("__import__('os')", 2, "is not allowed"),
    ],
)
def test_bad_formulas_are_refused(text, bits, said):
    with pytest.raises(InputError, match=said):
        Formula.parse(text, bits)


@pytest.mark.parametrize("table", [[0, 1, 1], [0, 1, 2, 1], [[0, 1], [1, 0]], "0110"])
def test_bad_tables_are_refused(table):
    with pytest.raises(InputError, match="zeros and ones"):
        Formula.of_table(table, 2)


def test_normal_form_keeps_the_function_and_forgets_the_order(seed):
    rng = np.random.default_rng(seed)
    for _ in range(200):
        node = drawn(rng)
        normal = normal_form(node)
        assert table_of(normal, 4) == table_of(node, 4)
        assert normal_form(normal) == normal
        assert normal_form(shuffled(node, rng)) == normal
        assert table_of(normal_form(node, True), 4) == 0xFFFF ^ table_of(node, 4)
        assert unsigned(normal) == unsigned(normal_form(normal, True))
        assert normal.gates <= node.gates


def test_normal_form_keeps_the_steps():
    assert normal_form(parse("x0 & x1 | x0 & x2")) != normal_form(parse("x0 & (x1 | x2)"))
    assert str(normal_form(parse("x0 & ~x0 | x1 & 1"))) == "x1"
    assert str(normal_form(parse("x0 ^ ~x0 ^ x1"))) == "~x1"
    assert Formula.parse("~~x0", 1).canonical() == Formula.parse("x0", 1)


def test_the_code_is_a_prefix_code():
    """Kraft: 2^−length adds up to at most 1 over all formulas; every tree of up to two gates over two variables."""
    leaves = [*(negation(v) if s else v for v in map(variable, range(2)) for s in (0, 1)), ZERO, ONE]
    one = [Node(op, pair) for op in "&|^" for pair in itertools.product(leaves, repeat=2)]
    two = [Node(op, pair) for op in "&|^" for a, b in itertools.product(one, leaves) for pair in ((a, b), (b, a))]
    length = {0: 2 + math.log2(3), 1: 1 + math.log2(3) + 2 * (2 + math.log2(3))}
    length[2] = 2 * (1 + math.log2(3)) + 3 * (2 + math.log2(3))
    total = sum(len(found) * 2 ** -length[gates] for gates, found in enumerate((leaves, one, two)))
    assert total == pytest.approx(1 / 2 + 1 / 8 + 1 / 16)  # 1 of 2, then 1/2 · 1/4, then two shapes of 1/4 · 1/8
    assert Formula.parse("x0 & ~x1", 2).bits == pytest.approx(length[1] + 2)
    assert Formula.parse("x0 | x1 ^ x0 & 1 & x1", 2).bits == pytest.approx(length[2] + 1 + math.log2(3) + length[0] + 2)
    assert Formula.parse("0", 3).table_bits == 8 + 3 * 4 + 2
    assert Formula.parse("x0", 1, encoding=(2, 5)).bits == Formula.parse("x0", 1).bits + 16


def test_parts_are_gates_up_to_order_and_sign():
    a, b = Formula.parse("(x0 & x1) | x2", 3), Formula.parse("x2 ^ ~(x1 & x0)", 3)
    assert a.parts == {"x0 & x1", "x2 | x0 & x1"}
    assert shared_parts(a, b) == pytest.approx(1 / 3)
    assert Formula.parse("~x1", 3).parts == {"x1"}
    assert {str(part) for part in sub_formulas(parse("~x0 | ~x1"))} == {"x0 & x1"}
    assert a.gates == 2


def test_distance_is_a_metric_on_normal_forms(seed):
    rng = np.random.default_rng(seed)
    found = [Formula(drawn(rng), 4) for _ in range(12)]
    for a, b in itertools.product(found, repeat=2):
        assert a.distance(b) == b.distance(a)
        assert (a.distance(b) == 0) == (a.canonical() == b.canonical())
        assert all(a.distance(c) <= a.distance(b) + b.distance(c) for c in found)
        sizes = [len(list(nodes(f.canonical().root))) for f in (a, b)]
        assert abs(sizes[0] - sizes[1]) <= a.distance(b) <= sum(sizes)


def test_distance_of_known_pairs():
    assert edit_distance(parse("x0 & x1"), parse("x0 & x1")) == 0
    assert edit_distance(parse("x0 & x1"), parse("x0 & x2")) == 1
    assert edit_distance(parse("x0 & x1"), parse("x0 & x1 & x2")) == 1
    assert edit_distance(parse("x0 & x1"), parse("x0 & (x1 | x2)")) == 2
    assert edit_distance(parse("x0"), parse("~(x1 ^ x0)")) == 3


def test_planted_pairs_are_told_apart(seed):
    """Fifty formulas: written otherwise they are equal; with one row flipped they differ, there."""
    rng = np.random.default_rng(seed)
    for number in range(50):
        formula = Formula(drawn(rng), 4, encoding="signs" if number % 2 else "bits")
        other = Formula.of_table(formula.table, 4, encoding=formula.encoding)
        assert formula.equals(other).proved
        assert formula.equals(Formula(shuffled(formula.root, rng), 4, formula.encoding)).equal
        row = int(rng.integers(16))
        near = formula.table
        near[row] ^= 1
        found = formula.equals(Formula.of_table(near, 4, encoding=formula.encoding))
        assert not found.equal and found.checked == 16
        assert found.counterexample == list(cube(formula.reading.values, 4)[row])
        assert found.answers == (formula.table[row], near[row]) == (formula(found.counterexample), near[row])


def test_formulas_of_other_domains_are_not_equal():
    formula = Formula.parse("x0", 2)
    for other in (Formula.parse("x0", 3), Formula.parse("x0", 2, encoding="signs")):
        assert not formula.equals(other).equal
    assert not formula.equals(Formula.parse("x0", 2, answers=("no", "yes"))).equal
    assert formula.equals(Formula.parse("~x0", 2, answers=(1, 0))).proved


@pytest.mark.parametrize(
    ("encoding", "answers"),
    [("bits", (0, 1)), ("signs", (0, 1)), ("signs", (1, -1)), (("(", ")"), ("no", "yes")), ((2, 5.5), (0, 1))],
)
def test_source_gives_the_same_answers(encoding, answers, seed):
    rng = np.random.default_rng(seed)
    for depth in (0, 3, 5):
        formula = Formula(drawn(rng, 4, depth), 4, encoding, answers)
        rows = [list(row) for row in cube(formula.reading.values, 4)]
        said = [answers[value] for value in formula.table]
        assert run_source(formula.source, rows) == formula.run(rows) == said


def test_source_names_what_occurs_twice():
    node = normal_form(parse("(x0 ^ x1) & x2 | ~(x0 ^ x1) & x3"))
    assert source_of(node, 4, as_encoding("bits", (0, 1))).splitlines() == [
        "def program(x):",
        "    x0, x1, x2, x3 = (v > 0.5 for v in x[:4])",
        "    a0 = x0 ^ x1",
        "    return int(x2 & a0 | x3 & (not a0))",
    ]


def test_long_source_has_lines(seed):
    formula = Formula.of_table(np.random.default_rng(seed).integers(2, size=256), 8)
    assert max(map(len, formula.source.splitlines())) < 1000
    rows = [list(row) for row in cube((0, 1), 8)]
    assert run_source(formula.source, rows) == formula.table.tolist()


@pytest.mark.parametrize(
    ("encoding", "answers", "said"),
    [("sign", (0, 1), "encoding"), ((1, 1), (0, 1), "encoding"), ("bits", (1, 1), "answers"), ("bits", 3, "answers")],
)
def test_bad_readings_are_refused(encoding, answers, said):
    with pytest.raises(InputError, match=said):
        Formula.parse("x0", 1, encoding=encoding, answers=answers)


def test_examples_that_do_not_fit_are_refused():
    formula = Formula.parse("x0 & x1", 2, encoding="signs")
    assert formula(np.array([-1.0, -1.0])) == 1
    with pytest.raises(InputError, match="2 inputs"):
        formula([1])
    with pytest.raises(InputError, match="reads 1 and -1"):
        formula([1, 0])
    assert math.isinf(formula.distance("x0"))  # type: ignore[arg-type]
