"""The benchmark of false programs: its second implementation agrees with the networks, and its judge can condemn."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest

from allroads import extract, float64

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from false_program_cases import FAMILIES, cases
from false_programs import judge, packs
from program_networks import outputs_of

KINDS = [(family, "near miss") for family in FAMILIES]
KINDS += [pytest.param(family, "random", marks=pytest.mark.slow) for family in FAMILIES]


def test_there_are_five_thousand_networks():
    assert sum(count for _, _, _, count in packs(1.0)) == 5000


@pytest.mark.parametrize(("family", "kind"), KINDS)
def test_numpy_computes_what_the_networks_compute(family, kind):
    for case in cases(family, kind, 0, 2):
        inputs = case.target.full.inputs
        with float64():
            params = {name: leaf for name, leaf in case.params.items()}
            outputs = np.asarray(case.network.apply(params, inputs), float)
        own = outputs_of(case.params, inputs, **case.form)
        assert np.allclose(own, outputs, atol=1e-4 * max(1.0, np.abs(own).max()))


def judged(family, kind, change):
    """What the judge says of a right extraction, and of the same one after a change."""
    case = next(iter(cases(family, kind, 0, 1)))
    known = [one for one in _languages() if one.name == family]
    found = extract(case.network, case.params, case.target, languages=known)
    assert found.program is not None and found.equivalence.equal
    return judge(case, found)["wrong"], judge(case, change(found))["wrong"]


def _languages():
    from allroads.programs.language import languages

    return languages()


def test_a_false_formula_is_condemned():
    from allroads.programs.boolean import Formula

    def flipped(found):
        table = found.program.table
        table[3] ^= 1
        return dataclasses.replace(found, program=Formula.of_table(table, found.program.inputs, encoding="signs"))

    right, wrong = judged("boolean", "near miss", flipped)
    assert right == [] and "another answer on the domain" in wrong


def test_a_machine_that_is_false_only_on_long_words_is_condemned():
    """A counter of letters up to 20 follows the machine, then answers otherwise: no word of the domain is so long."""
    from allroads.programs.mealy import Machine

    def late(found):
        machine, most = found.program, 20
        size = machine.states
        moves = [[t * size + q for q in row] for t in range(1, most) for row in machine.transitions]
        moves += [[(most - 1) * size + q for q in row] for row in machine.transitions]
        said = [list(row) for _ in range(most - 1) for row in machine.outputs]
        said += [[1 - o for o in row] for row in machine.outputs]
        other = Machine(machine.alphabet, tuple(map(tuple, moves)), tuple(map(tuple, said)))
        return dataclasses.replace(found, program=other)

    right, wrong = judged("mealy", "near miss", late)
    assert right == [] and "another answer on a word of 40 letters" in wrong
    assert "another answer on the domain" not in wrong


def test_a_false_word_on_the_target_is_condemned():
    def praised(found):
        return dataclasses.replace(found, correct=dataclasses.replace(found.correct, equal=True, counterexample=None))

    right, wrong = judged("boolean", "near miss", praised)
    assert right == [] and wrong == ["correct is wrong of the target"]
