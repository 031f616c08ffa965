"""Reading of a network of two-valued inputs as a Boolean formula."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from allroads.errors import InputError
from allroads.programs.boolean.decisions import of_table
from allroads.programs.boolean.encoding import NAMED, as_encoding, cube
from allroads.programs.boolean.exact import MOST_EXACT
from allroads.programs.boolean.formula import MOST_INPUTS, Formula
from allroads.programs.boolean.interchange import interchange
from allroads.programs.boolean.minimise import MOST_BITS
from allroads.programs.boolean.modules import MOST_MINIMISED, formula_of
from allroads.programs.boolean.wide import read_wide
from allroads.programs.equivalence import Equivalence
from allroads.programs.language import Reading
from allroads.programs.subject import Subject


def fits(subject: Subject) -> str | None:
    """None where a network answers one of two things to one up to 64 inputs of two values, or why it does not."""
    if subject.network.cell is not None:
        return "the network is recurrent"
    interface = subject.target.interface
    if interface.per_position or len(interface.input_shape) != 1:
        return "the target has more than one answer, or inputs that are no row of values"
    if interface.input_shape[0] > MOST_INPUTS:
        return f"there are {interface.input_shape[0]} inputs; formulas have up to {MOST_INPUTS}"
    if _values(subject) is None:
        return "the inputs do not have two values"
    if _answers(subject) is None:
        return "the target does not have two answers"
    return None


def read(subject: Subject, seed: int) -> Reading:
    """The formula of a network, by its answers to all ``2^n`` inputs, with interchange interventions on its units.

    Above ten inputs see :func:`~allroads.programs.boolean.wide.read_wide`: up to 20 all rows are asked too, and beyond
    that the cube is split into boxes on which sound bounds give the answer. The two values of the inputs are those of
    the data; every combination counts, whether the target holds it or not.

    When it fails: where an answer is neither of the two that the target has (possible for numbers alone), there is no
    formula.
    """
    values, answers = _values(subject), _answers(subject)
    if values is None or answers is None:
        return Reading(None, why=fits(subject) or "")
    seen, shown = values
    count = subject.target.interface.input_shape[0]
    if count > MOST_BITS:
        named = next((name for name, pair in NAMED.items() if pair == shown), shown)
        return read_wide(subject, seen, named, answers, seed)
    inputs = np.array(cube(seen, count), dtype=subject.known.dtype)
    outputs = subject.outputs(inputs)
    labels = {0: answers[0], 1: answers[1]}

    def decide(outputs: np.ndarray) -> np.ndarray:
        said = subject.decide(outputs)
        return np.where(said == labels[1][0], 1, np.where(said == labels[0][0], 0, -1))

    table = decide(outputs)
    encoding = as_encoding(shown, (0, 1))
    if (table < 0).any():
        row = int(np.flatnonzero(table < 0)[0])
        said = f"{subject.decide(outputs)[row]} to {encoding.example(row, count)}"
        return Reading(None, why=f"the network answers {said}, which is neither {labels[0][1]!r} nor {labels[1][1]!r}")
    named = next((name for name, pair in NAMED.items() if pair == shown), shown)
    formula = _formula(table, count, named, (labels[0][1], labels[1][1]))
    given = np.array(formula.run([encoding.example(row, count) for row in range(1 << count)]), dtype=object)
    wrong = np.flatnonzero(given != np.array([labels[int(v)][1] for v in table], dtype=object))
    if len(wrong):
        raise AssertionError(f"minimisation changed row {wrong[0]} of {table.tolist()}")
    margin = float(subject.margins(outputs).min())
    equivalence = Equivalence(True, "exhaustive", 1 << count, margin=margin)
    tie = subject.tie(outputs)
    if tie is not None or not math.isfinite(margin):
        return Reading(None, why=tie or "the network's outputs are not finite on some input")
    measured, why = interchange(subject.network, subject.params, formula, inputs, decide, seed)
    return Reading(formula, equivalence, measured, formula.table_bits, why)


def _formula(table: np.ndarray, count: int, encoding: Any, answers: tuple[Any, Any]) -> Formula:
    """A short formula of a table; above four inputs with counts of variables that may be exchanged."""
    if count > MOST_EXACT:
        held, root = of_table(table)
        if len(held.nodes(root)) <= MOST_MINIMISED:
            found = formula_of(held, root)
            if found is not None:
                return Formula(found, count, encoding, answers)
    return Formula.of_table(table, count, encoding=encoding, answers=answers)


def readings(
    subject: Subject,
) -> tuple[tuple[tuple[Any, Any], tuple[Any, Any]], tuple[tuple[Any, Any], tuple[Any, Any]]]:
    """Of a network that fits: the values of inputs as it sees them and as formulas do, and label and answer of 0 and 1.

    Raises:
        InputError: If it does not fit.
    """
    values, answers = _values(subject), _answers(subject)
    if values is None or answers is None:
        raise InputError(f"the network is no function of bits: {fits(subject)}.")
    return values, answers


def _values(subject: Subject) -> tuple[tuple[Any, Any], tuple[Any, Any]] | None:
    """The two values of the inputs as the network sees them, and as the formula does: for 0, then for 1."""
    alphabet = subject.target.alphabet
    if subject.target.interface.vocabulary is not None and alphabet is not None:
        return ((0, 1), (alphabet[0], alphabet[1])) if len(alphabet) == 2 else None
    found = np.unique(subject.known)
    if len(found) != 2:
        return None
    low, high = (int(v) if float(v).is_integer() else float(v) for v in found.tolist())
    pair = (1, -1) if (low, high) == (-1, 1) else (low, high)
    return pair, pair


def _answers(subject: Subject) -> tuple[tuple[Any, Any], tuple[Any, Any]] | None:
    """For 0 and for 1, the label that the network gives and the answer that the formula gives."""
    target = subject.target
    outputs, symbols = target.interface.outputs, target.output_alphabet
    if target.loss == "cross_entropy":
        shown = symbols if symbols is not None else (0, 1)
        return ((0, shown[0]), (1, shown[1])) if outputs == 2 else None
    if outputs != 1:
        return None
    if target.loss == "bce":
        return (0, 0), (1, 1)
    sides = [target.train, target.held_out, target.full]
    found = np.unique(np.concatenate([side.labels.ravel() for side in sides if side is not None]))
    if len(found) != 2 or not (found == np.rint(found)).all():
        return None
    low, high = (int(v) for v in found.tolist())
    pair = (1, -1) if (low, high) == (-1, 1) else (low, high)
    return (pair[0], pair[0]), (pair[1], pair[1])
