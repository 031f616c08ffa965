"""Reading of networks of 11 to 64 bits as formulas: proved on the whole cube without asking every row."""

from __future__ import annotations

from typing import Any

import numpy as np

from allroads.programs.boolean.branch import BOXES
from allroads.programs.boolean.decisions import Decisions
from allroads.programs.boolean.formula import Formula
from allroads.programs.boolean.interchange import MOST_PARTS, interchange
from allroads.programs.boolean.modules import formula_of
from allroads.programs.boolean.normal_form import sub_formulas
from allroads.programs.boolean.tree import ZERO
from allroads.programs.boolean.whole import Whole, answered, asked, whole_of
from allroads.programs.equivalence import Equivalence
from allroads.programs.language import Reading
from allroads.programs.subject import Subject

SAMPLED = 4096
"""Rows that are compared where branching did not end, in the open boxes and in the whole cube each."""

NEARLY = 0.99
"""Share of the cube that has to be proved before the rest is guessed from samples."""

UNIFORM, EACH = 512, 16
"""Rows of interventions that are drawn uniformly, and of each value of each part."""


def read_wide(
    subject: Subject,
    values: tuple[Any, Any],
    encoding: str | tuple[Any, Any],
    answers: tuple[tuple[Any, Any], tuple[Any, Any]],
    seed: int,
    most: int = BOXES,
) -> Reading:
    """The formula of a network of many bits, proved by its rows or by bounds over boxes.

    Args:
        subject: The network.
        values: The two values of an input as the network sees them.
        encoding: How the formula reads inputs.
        answers: For 0 and for 1, the label of the network and the answer of the formula.
        seed: Decides the order of inputs, samples and interventions.
        most: Boxes that may be bounded.

    Returns:
        The reading. The statistics of its equivalence hold ``boxes`` (or rows that were asked), ``nodes`` of the
        decision diagram, ``share`` of the cube that is proved, and the ``method``.

    When it fails: where branching does not end, there is no program, or where 99 % of the cube are proved and samples
    of the rest agree, one of scope *sampled*. A function without a short formula has none either; ``why`` says so.
    """
    labels, width = (answers[0][0], answers[1][0]), subject.target.interface.input_shape[0]
    whole = whole_of(subject, values, labels, seed, most)
    table_bits = Formula(ZERO, width, encoding).table_bits
    if whole.held is None:
        return Reading(None, table_bits=table_bits, why=whole.why)
    said = f"{whole.share:.4%} of the cube are proved by {whole.boxes:,} {whole.method}"
    root = whole.root if whole.open == 0 else _guessed(subject, values, labels, whole, seed)
    if root is None:
        return Reading(None, table_bits=table_bits, why=f"{said}: {whole.why}")
    found = formula_of(whole.held, root)
    nodes = len(whole.held.nodes(root))
    if found is None:
        return Reading(
            None, table_bits=table_bits, why=f"{said}; the decision diagram has {nodes} nodes and no short formula"
        )
    if whole.held.made(found) != root:
        raise AssertionError(f"the formula {str(found)[:200]} is not the diagram that it was read from")
    formula = Formula(found, width, encoding, (answers[0][1], answers[1][1]))
    stats = {"boxes": whole.boxes, "nodes": nodes, "share": whole.share, "method": whole.method}
    equivalence = Equivalence(True, "exhaustive", 1 << width, margin=whole.margin, stats=stats)
    if whole.open != 0:
        wrong = _compared(subject, values, labels, whole, root, seed)
        if wrong:
            return Reading(None, table_bits=table_bits, why=f"{said}: {whole.why}; {wrong}")
        equivalence = Equivalence(True, "sampled", 2 * SAMPLED, stats=stats)
        said = f"{said}: {whole.why}"

    def decide(outputs: np.ndarray) -> np.ndarray:
        return answered(subject, labels, outputs)

    rows = _rows(whole.held, formula, seed)
    inputs = np.where(rows, values[1], values[0]).astype(subject.known.dtype)
    measured, why = interchange(subject.network, subject.params, formula, inputs, decide, seed, rows)
    return Reading(formula, equivalence, measured, table_bits, f"{said}; {why}")


def _guessed(subject: Subject, values: tuple[Any, Any], labels: tuple[Any, Any], whole: Whole, seed: int) -> int | None:
    """The function with the open boxes filled, where these are few and answer alike on samples."""
    assert whole.held is not None
    if whole.share < NEARLY:
        return None
    rows = whole.held.drawn(whole.open, SAMPLED, np.random.default_rng([seed, 21]))
    said = set(answered(subject, labels, asked(subject, values, rows)).tolist())
    if len(said) != 1 or said == {-1}:
        return None
    return whole.held.apply("|", whole.root, whole.open) if said == {1} else whole.root


def _compared(
    subject: Subject, values: tuple[Any, Any], labels: tuple[Any, Any], whole: Whole, root: int, seed: int
) -> str:
    """What fresh samples say against a function; empty where they agree."""
    assert whole.held is not None
    rng = np.random.default_rng([seed, 22])
    rows = np.concatenate([whole.held.drawn(whole.open, SAMPLED, rng), whole.held.drawn(1, SAMPLED, rng)])
    outputs = asked(subject, values, rows)
    why = subject.tie(outputs)
    if why is not None:
        return why
    same = answered(subject, labels, outputs) == whole.held.values(root, rows)
    return "" if same.all() else "samples of the open boxes do not agree with each other"


def _rows(held: Decisions, formula: Formula, seed: int) -> np.ndarray:
    """Rows ``[N, n]`` on which every part of a formula takes both values often enough."""
    rng = np.random.default_rng([seed, 23])
    found = [held.drawn(1, UNIFORM, rng)]
    parts = sorted(sub_formulas(formula.root), key=str)
    for part in parts if len(parts) <= MOST_PARTS else ():
        one = held.made(part)
        found += [held.drawn(side, EACH, rng) for side in (one, held.negation(one)) if side != 0]
    return np.concatenate(found)
