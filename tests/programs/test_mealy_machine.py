"""Machines as programs: normal form, equality at all lengths, distance, code and source."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from allroads.errors import InputError
from allroads.programs.mealy import Machine
from allroads.programs.mealy.code import natural_bits, node_bits, table_bits
from allroads.programs.sandbox import run_source
from allroads.targets.mealy import minimal_mealy
from allroads.targets.mips_finite import FINITE_TASKS
from allroads.targets.tomita import TOMITA


def of_task(name):
    task = FINITE_TASKS[name]
    letters = list(task.alphabet) if task.channels == 1 else list(itertools.product(task.alphabet, repeat=2))
    return Machine.of(minimal_mealy(task.step, task.initial_state, letters))


def of_tomita(grammar):
    return Machine.of(minimal_mealy(TOMITA[grammar].step, 0, (0, 1)))


def drawn(rng, states, letters=2, symbols=2):
    moves, said = rng.integers(states, size=(states, letters)), rng.integers(symbols, size=(states, letters))
    return Machine(tuple(range(letters)), moves.tolist(), said.tolist())


def words(machine, length):
    return [list(word) for n in range(1, length + 1) for word in itertools.product(machine.alphabet, repeat=n)]


@pytest.mark.parametrize("grammar", range(1, 8))
def test_the_normal_form_is_the_minimal_machine(grammar):
    least = of_tomita(grammar)
    double = Machine(  # two copies that lead to each other
        (0, 1),
        [[q + least.states for q in row] for row in least.transitions] + [list(row) for row in least.transitions],
        [list(row) for row in (*least.outputs, *least.outputs)],
    )
    assert double.canonical() == least == least.canonical()
    assert double.equals(least).proved


def test_machines_are_equal_where_all_words_agree_and_the_counterexample_is_shortest(seed):
    rng = np.random.default_rng(seed)
    for _ in range(40):
        a, b = drawn(rng, 3), drawn(rng, 3)
        found = a.equals(b)
        apart = [w for w in words(a, 5) if a(w) != b(w)]  # S_a S_b − 1 letters would do; 5 find nearly all
        if found.equal:
            assert not apart and a.canonical() == b.canonical()
        else:
            assert found.answers == (a(found.counterexample), b(found.counterexample))
            assert a(found.counterexample) != b(found.counterexample)
            assert not apart or len(found.counterexample) == min(map(len, apart))


def test_distance_is_a_metric(seed):
    rng = np.random.default_rng(seed)
    machines = [drawn(rng, int(rng.integers(1, 4))) for _ in range(12)]
    for a, b, c in itertools.product(machines, repeat=3):
        assert a.distance(b) == b.distance(a) >= 0
        assert (a.distance(b) == 0) == a.equals(b).equal
        assert a.distance(c) <= a.distance(b) + b.distance(c)
    other = Machine(("a",), [[0]], [[0]])
    assert machines[0].distance(other) == math.inf


def test_the_order_of_letters_does_not_matter():
    a = Machine((0, 1), [[0, 1], [1, 0]], [[0, 1], [1, 0]])
    b = Machine((1, 0), [[1, 0], [0, 1]], [[1, 0], [0, 1]])
    assert a.equals(b).proved and a.distance(b) == 0


def test_codes_are_complete():
    """Kraft's sum of a complete prefix code is 1."""
    assert sum(2.0 ** -natural_bits(n) for n in range(2**14 - 1)) == pytest.approx(1, abs=1e-3)
    heads = ["s", "x", "+", "-", "*", "//", "%", "min", "max", "<", "==", "!=", "^", "&", "|"]
    numbers = sum(2.0 ** -node_bits(n, 2) for n in range(2**14 - 1))
    assert sum(2.0 ** -node_bits(h, 2) for h in heads) + numbers == pytest.approx(1, abs=1e-3)
    assert table_bits([[0]], [["a"]]) == pytest.approx(3 + 2 * (1 + math.log2(46 / 4)))


@pytest.mark.parametrize("name", ["Add_Mod_5", "Base_3_Addition", "Parity_Last4", "Dithering"])
def test_source_computes_what_the_machine_does(name):
    machine = of_task(name)
    rng = np.random.default_rng(0)
    inputs = [[machine.alphabet[i] for i in rng.integers(len(machine.alphabet), size=12)] for _ in range(20)]
    assert run_source(machine.source, inputs) == machine.run(inputs)
    table = Machine(machine.alphabet, machine.transitions, machine.outputs)
    object.__setattr__(table, "rule", None)  # without formulas
    assert run_source(table.source, inputs) == machine.run(inputs)


def test_texts_are_letters_and_symbols():
    machine = Machine("()", [[0, 1], [1, 1]], [["ok", "bad"], ["bad", "bad"]])
    assert machine("())(") == ["ok", "bad", "bad", "bad"]
    assert run_source(machine.source, [list("()")]) == [["ok", "bad"]]
    assert len(machine.parts) >= 8 and machine.parts == machine.canonical().parts


def test_what_is_no_machine_is_refused():
    with pytest.raises(InputError, match="state 3 does not exist"):
        Machine((0, 1), [[0, 3]], [[0, 1]])
    with pytest.raises(InputError, match="outputs: expected 1 rows of 2"):
        Machine((0, 1), [[0, 0]], [[0]])
    with pytest.raises(InputError, match="none twice"):
        Machine((0, 0), [[0, 0]], [[0, 1]])
    with pytest.raises(InputError, match="is missing"):
        Machine.of({"alphabet": [0]})
    machine = Machine((0, 1), [[0, 0]], [[0, 1]])
    with pytest.raises(InputError, match="7 is not in the alphabet"):
        machine([7])
    with pytest.raises(InputError, match="other letters"):
        machine.equals(Machine((0, 2), [[0, 0]], [[0, 1]]))
    with pytest.raises(InputError, match="expected a Machine"):
        machine.equals("machine")
