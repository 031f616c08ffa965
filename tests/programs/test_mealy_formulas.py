"""Formulas of machines: found where short ones exist, checked on every reachable state, shorter than the table."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from allroads.programs.mealy import Machine
from allroads.programs.mealy.enumerate import shortest_expressions
from allroads.programs.mealy.expression import Expression, combine
from allroads.programs.mealy.numberings import numberings, windows
from allroads.programs.mealy.rule import Rule, letter_values, named
from allroads.programs.mealy.rules import shortest_rule
from allroads.targets.mealy import minimal_mealy
from allroads.targets.mips_finite import FINITE_TASKS

SHORT = {
    "Parity_All": None,
    "Parity_Zeros": None,
    "Add_Mod_5": ("next: (s + x) % 5", "output: s"),
    "Div_5": "next: (2 * s + x) % 5",
    "Div_7": "next: (2 * s + x) % 7",
    "Dithering": "next: (s + x) % 15",
    "Parity_Last4": ("next: s1", "next: s2", "next: x", "output: (s0 + s1 + s2 + x) % 2"),
    "Previous_Equals_Current": ("next: x", "output: int(s == x)"),
    "Alternating_Last3": None,
    "Base_4_Addition": ("next: (s + x0 + x1) // 4", "output: (s + x0 + x1) % 4"),
    "Base_6_Addition": ("next: (s + x0 + x1) // 6", "output: (s + x0 + x1) % 6"),
    "Min_Seen": ("next: min(s, x)", "output: s"),
    "Bit_Dot_Prod_Mod2": None,
    "Bitwise_And": None,
}
"""Tasks with short formulas; where a text stands, it has to be among them."""


@pytest.mark.parametrize("name", SHORT)
def test_short_formulas_are_found(name):
    task = FINITE_TASKS[name]
    letters = list(task.alphabet) if task.channels == 1 else list(itertools.product(task.alphabet, repeat=2))
    machine = Machine.of(minimal_mealy(task.step, task.initial_state, letters))
    wanted = SHORT[name]
    assert machine.formulas  # shorter than the table
    if isinstance(wanted, str):
        assert wanted in machine.formulas
    elif wanted is not None:
        assert machine.formulas == wanted
    assert machine.bits == 1 + machine.rule.bits
    # The rule by its own steps, made minimal, is the machine.
    values, _ = letter_values(machine.alphabet)
    back = minimal_mealy(machine.rule.step, machine.rule.initial, values)
    assert np.array_equal(back.transitions, machine.transitions) and back.outputs == machine.outputs


def test_a_machine_without_rhyme_keeps_its_table(seed):
    rng = np.random.default_rng(seed)
    machine = Machine((0, 1, 2), rng.integers(7, size=(7, 3)).tolist(), rng.integers(4, size=(7, 3)).tolist())
    assert machine.canonical().states > 3
    assert machine.formulas == () and "following" in machine.source


def test_expressions_read_as_python_reads_them(seed):
    rng = np.random.default_rng(seed)
    heads = ["+", "-", "*", "//", "%", "min", "max", "==", "!=", "<", "^", "&", "|"]

    def draw(depth):
        if depth == 0:
            return Expression(["s", "x", 3][rng.integers(3)])
        return Expression(heads[rng.integers(len(heads))], draw(rng.integers(depth)), draw(rng.integers(depth)))

    for _ in range(300):
        e, s, x = draw(3), int(rng.integers(0, 9)), int(rng.integers(0, 9))
        try:
            wanted = eval(str(e), {}, {"s": s, "x": x, "min": min, "max": max, "int": int})
        except ZeroDivisionError:
            continue
        assert wanted == e.values({"s": s, "x": x}), str(e)


def test_a_part_in_common_is_computed_once():
    t = combine("+", combine("*", Expression("s"), Expression(2)), Expression("x"))
    rule = Rule((0,), (Expression("%", t, Expression(7)),), Expression("//", t, Expression(7)))
    assert "t = 2 * s + x" in rule.source and "ys.append(t // 7)" in rule.source
    assert rule.bits < 2 + 3 + 2 + sum(e.bits(2) for e in (*rule.following, rule.output))
    assert rule.step((5,), (1,)) == ((4,), 1)


def test_enumeration_gives_the_shortest():
    s, x = (g.ravel() for g in np.meshgrid(np.arange(5), np.arange(3)))
    found = shortest_expressions({"s": s, "x": x}, [np.minimum(s, x), s - x, s * x + 1, s**5 % 7], (1, 2), 3)
    assert [str(e) for e in found] == ["min(s, x)", "s - x", "1 + s * x", "None"]
    assert shortest_expressions({}, [], ()) == []


def test_windows_and_numberings():
    last_two = np.array([[0, 1], [2, 3], [0, 1], [2, 3]])
    k, filling, states = windows(last_two)
    assert (k, filling, states[(0, 1)], states[(1, 0)]) == (2, 0, 1, 2)
    assert windows(np.array([[0, 1], [1, 0]])) is None  # parity has no window
    residues = np.array([[(2 * s + x) % 5 for x in (0, 1)] for s in range(5)])
    assert (0, 1, 2, 3, 4) in set(numberings(residues, residues * 0, [np.arange(2)]))
    assert named("s", 2) == ["s0", "s1"]
    assert shortest_rule(Machine((0, 1), [[0, 0]], [[1, 0]])).formulas == ("output: 1 - x",)
