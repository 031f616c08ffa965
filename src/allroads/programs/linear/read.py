"""Reading of recurrent networks that answer whole numbers as integer recurrences."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from allroads.programs.equivalence import Equivalence
from allroads.programs.language import Reading
from allroads.programs.linear.affine import AffineCell, affine_cell
from allroads.programs.linear.ask import Oracle, impulses, superposed
from allroads.programs.linear.bound import bound
from allroads.programs.linear.interchange import interchange
from allroads.programs.linear.realise import realise
from allroads.programs.linear.recurrence import Recurrence, of_space
from allroads.programs.linear.shorten import shorten
from allroads.programs.subject import Subject

WHOLE = 0.25
"""Distance from a whole number from which on a response per unit of input counts as no whole number."""
SURE = 0.1
"""Distance of outputs from whole numbers up to which answers that do not depend on the inputs count as a program."""
FRESH = 256
"""Sequences that are drawn anew, of twice the length."""
MOST_TERMS = 64
"""Longest impulse response that is asked for beyond the length of the target."""
SAME = 1e-6
"""Largest difference, relative to the outputs, between a network and the fold of its cell."""


def fits(subject: Subject) -> str | None:
    """Why a network cannot be read as a recurrence; ``None`` where it can be tried.

    It needs a cell, numbers as inputs that are whole, and one answer a position that is rounded (loss ``mse``).
    """
    target = subject.target
    if subject.network.cell is None:
        return "the network has no recurrent cell"
    if target.loss != "mse" or target.interface.vocabulary is not None:
        return "the target does not ask whole numbers of numbers (loss mse, as_numbers)"
    if not target.interface.per_position:
        return "the target does not ask an answer at each position"
    if not np.array_equal(subject.known, np.rint(subject.known)):
        return "the inputs are not whole numbers"
    return subject.asks_fractions


@dataclass(frozen=True)
class _Question:
    """What is read, and what it is compared on."""

    subject: Subject
    oracle: Oracle
    known: np.ndarray
    answers: np.ndarray
    fresh: np.ndarray
    fresh_answers: np.ndarray
    low: np.ndarray
    high: np.ndarray
    cell: AffineCell | str

    @property
    def positions(self) -> int:
        return int(self.known.shape[1])


def read(subject: Subject, seed: int = 0) -> Reading:
    """The integer recurrence that a recurrent network computes, from its impulse responses.

    Responses to impulses inside the range of the inputs are rounded and realised over the whole numbers. The recurrence
    must then answer as the network does, rounded, on all known inputs. How far that holds is shown by a bound where
    each operation of the network's step is affine. Where one is not, answers are compared.

    Args:
        subject: The network, its point and its target.
        seed: Decides the fresh inputs and the interventions.

    Returns:
        The reading. Without a program ``why`` says what failed: inputs whose responses do not add up, a response that
        is not whole, or an impulse response that no short recurrence explains.

    References: [ho1966] [michaud2024]
    """
    question = _question(subject, seed)
    if isinstance(question, str):
        return Reading(None, why=question)
    positions = question.positions
    most = max(2 * positions, min(2 * question.oracle.start.size + 4, MOST_TERMS))
    why, partial = "", None
    for terms in (positions, most):
        found = _realised(question, terms)
        if isinstance(found, str):
            why = why or found
            continue
        first = _first_difference(found, question.known, question.answers)
        if first is not None:
            why = f"the recurrence of its impulse responses answers otherwise on {first[0]}: {first[1]}, not {first[2]}"
            continue
        against = subject.tie(subject.outputs(subject.known)) or _unmoved(question, found)
        if against is not None:
            why = against
            continue
        later = _first_difference(found, question.fresh, question.fresh_answers)
        if later is None:
            return _reading(question, found, None, seed)
        partial = partial or (found, later)
    if partial is not None:
        return _reading(question, partial[0], partial[1], seed)
    return Reading(None, table_bits=_table_bits(question), why=why)


def _question(subject: Subject, seed: int) -> _Question | str:
    oracle, rng = Oracle(subject), np.random.default_rng(seed)
    known = np.asarray(subject.known, dtype=float)
    known = known.reshape(*known.shape[:2], -1)
    low, high = known.min(axis=(0, 1)), known.max(axis=(0, 1))
    if subject.target.alphabet is not None:
        low, high = np.full_like(low, min(subject.target.alphabet)), np.full_like(high, max(subject.target.alphabet))
    if (low == high).any():
        return "a channel of the inputs never changes"
    outputs, folded = subject.outputs(subject.known), oracle.run(known)[0]
    if not np.isfinite(outputs).all():
        return "the network's outputs are not finite"
    apart = float(np.abs(outputs - folded).max())
    if apart > SAME * max(1.0, float(np.abs(outputs).max())):
        return f"the network's cell does not give its outputs: they differ by {apart:.3g}"
    shape = (FRESH, 2 * known.shape[1], known.shape[2])
    values = subject.target.alphabet
    fresh = rng.integers(low.astype(int), high.astype(int) + 1, size=shape).astype(float)
    if values is not None:
        fresh = np.asarray(values, dtype=float)[rng.integers(len(values), size=shape)]
    longer = np.rint(oracle.run(fresh)[0])
    return _Question(subject, oracle, known, np.rint(outputs), fresh, longer, low, high, affine_cell(subject))


def _realised(question: _Question, terms: int) -> Recurrence | str:
    """The recurrence of the first terms of the impulse response, or what stands against one."""
    response, free, rest = impulses(question.oracle, question.low, question.high, terms)
    if isinstance(question.cell, str):
        against = _not_additive(question, response, free, rest)
        if against is not None:
            return against
    whole = np.rint(response)
    off = np.abs(response - whole)
    if not off.max() <= WHOLE:
        lag, output, channel = np.unravel_index(int(np.argmax(off > WHOLE)), off.shape)
        value = float(response[lag, output, channel])
        return (
            f"output {output} answers a unit of input {channel} at lag {lag} with {value:.3f}, which is no whole number"
        )
    resting = np.cumsum(whole @ rest, axis=0)
    space = realise(
        [[[int(value) for value in row] for row in block] for block in whole],
        [[int(value) for value in row] for row in np.rint(free) - resting],
    )
    if space is None:
        return f"its impulse response of {terms} terms follows no recurrence of fewer than {(terms + 1) // 2} states"
    return shorten(of_space(space))


def _not_additive(question: _Question, response: np.ndarray, free: np.ndarray, rest: np.ndarray) -> str | None:
    """The first inputs on which responses do not add up to within ½."""
    count = min(len(question.known), FRESH)
    inputs = question.known[np.linspace(0, len(question.known) - 1, count).astype(int)]
    outputs = question.oracle.run(inputs)[0]
    sums = superposed(response, free, rest, inputs[:, : len(free)])
    wrong = np.any(~(np.abs(outputs[:, : sums.shape[1]] - sums) < 0.5), axis=2)
    if not wrong.any():
        return None
    position = int(np.argmax(wrong.any(axis=0)))
    example = int(np.argmax(wrong[:, position]))
    shown = _shown(inputs[example, : position + 1])
    return (
        f"not affine ({question.cell}): on {shown} it answers {_shown(outputs[example, position][None])[0]}, and its "
        f"responses add up to {_shown(sums[example, position][None])[0]}"
    )


def _unmoved(question: _Question, program: Recurrence) -> str | None:
    """Why a recurrence that reads no input is none: outputs that round to it by chance, as those of small weights."""
    if any(name.split("/")[1].startswith("x") for name, _, _ in program.coefficients):
        return None
    outputs = question.subject.outputs(question.subject.known)
    off = float(np.abs(outputs - np.rint(outputs)).max())
    if off <= SURE:
        return None
    return f"its rounded answers do not depend on its inputs, and its outputs are up to {off:.2f} away from them"


def _shown(rows: np.ndarray) -> list[Any]:
    rounded = [tuple(round(float(value), 3) for value in row) for row in rows]
    plain = [tuple(int(value) if value == int(value) else value for value in row) for row in rounded]
    return [row[0] if len(row) == 1 else row for row in plain]


def _first_difference(
    program: Recurrence, inputs: np.ndarray, answers: np.ndarray
) -> tuple[list[Any], Any, Any] | None:
    """The shortest prefix among inputs on which a program and answers differ, and both answers there."""
    said = program.answer(inputs)
    wrong = (said != answers).any(axis=2)
    if not wrong.any():
        return None
    position = int(np.argmax(wrong.any(axis=0)))
    example = int(np.argmax(wrong[:, position]))
    both = (said[example, position].astype(float), answers[example, position])
    return _shown(inputs[example, : position + 1]), *(_shown(np.asarray(side)[None])[0] for side in both)


def _reading(question: _Question, program: Recurrence, later: Any, seed: int) -> Reading:
    subject, positions = question.subject, question.positions
    outputs = subject.outputs(subject.known)
    margin, length, always = float(subject.margins(outputs).min()), 0, False
    if isinstance(question.cell, AffineCell):
        reach = np.maximum(np.abs(question.low), np.abs(question.high))
        shown = bound(question.cell, program, reach, positions)
        length, always = shown.length, shown.always
        if not subject.folds(question.fresh, question.fresh_answers):  # the bound is of the step alone
            length, always = min(length, positions), False
        margin = min(margin, 0.5 - shown.error) if length else margin
    stats: dict[str, Any] = {
        "range": [[int(low), int(high)] for low, high in zip(question.low, question.high, strict=True)],
        "affine": isinstance(question.cell, AffineCell),
        "sequences": len(question.known) + (len(question.fresh) if later is None else 0),
    }
    if later is not None:
        stats["longer"] = {"input": later[0], "program": later[1], "network": later[2]}
    checked = stats["sequences"]
    if always:
        equivalence = Equivalence(True, "all lengths", checked, margin=margin, stats=stats)
    elif subject.domain is not None:
        equivalence = Equivalence(True, "exhaustive", len(question.known), margin=margin, stats=stats | {"to": length})
    elif length >= positions:
        equivalence = Equivalence(True, "to length", checked, length=length, margin=margin, stats=stats)
    else:
        equivalence = Equivalence(True, "sampled", checked, length=positions, margin=margin, stats=stats)
    why = "impulse responses of the network, realised over the whole numbers"
    if later is not None:
        why += f"; beyond the target's length it differs, first at length {len(later[0])}"
    return Reading(
        program,
        equivalence,
        interchange(question.oracle, program, question.known, seed),
        _table_bits(question),
        why,
    )


def _table_bits(question: _Question) -> float | None:
    """Length of the table of all prefixes, where the domain was enumerated."""
    if question.subject.domain is None:
        return None
    symbols = len(np.unique(question.known.reshape(-1, question.known.shape[2]), axis=0))
    prefixes = sum(symbols**length for length in range(1, question.positions + 1))
    answers = len(np.unique(question.answers.reshape(-1, question.answers.shape[2]), axis=0))
    return float(prefixes * math.log2(max(answers, 2)))
