"""Whether a network of bits computes a formula that is given: a proof over the whole cube, or a counterexample."""

from __future__ import annotations

from typing import Any

import numpy as np

from allroads.checks import check_count
from allroads.errors import InputError
from allroads.pfmap.network import Network
from allroads.programs.boolean.branch import BOXES
from allroads.programs.boolean.formula import Formula
from allroads.programs.boolean.read import fits, readings
from allroads.programs.boolean.whole import answered, asked, whole_of
from allroads.programs.equivalence import Equivalence
from allroads.programs.subject import subject_of
from allroads.progress import progress as watched
from allroads.targets.target import Target

SAMPLED = 4096
"""Rows that are compared where the boxes leave some of the cube open."""


def verify(
    network: Network,
    params: Any,
    target: Target,
    formula: Formula,
    *,
    boxes: int = BOXES,
    seed: int = 0,
    progress: bool = True,
) -> Equivalence:
    """Whether a network answers as a formula does on all ``2^n`` inputs, for up to 64 bits.

    Up to 20 inputs every row is asked, where 2^n rows times parameters are at most 2^34. Beyond that the cube is split
    into boxes. Over each the outputs are bounded by the mean-value form, the rounding of double precision included. No
    sample finds one row in 2^30 on which the two differ; a proof that holds everywhere else does.

    Args:
        network: The network.
        params: The point.
        target: How inputs and outputs are read; its labels play no part.
        formula: The formula.
        boxes: Boxes that may be bounded.
        seed: Decides the order of inputs, and samples.
        progress: Whether progress is written to the standard error, after two seconds.

    Returns:
        The scope is ``exhaustive``, or ``sampled`` where the boxes run out. ``margin`` is the least proven one. The
        statistics hold ``boxes``, the ``share`` of the cube that is proved, and the ``method``. A counterexample is a
        row on which the network itself was run.

    Raises:
        InputError: If the network answers no bit to bits, or the formula reads other inputs or gives other answers.

    When it fails: margins of 1e-9 and less are not proved, and neither is a network whose answer hangs on many bits in
    a way that bounds do not see.

    Example:
        >>> from allroads.programs.boolean.compile import compile_formula
        >>> rows = np.eye(30)
        >>> target = Target("mine", inputs=rows, labels=np.arange(30) % 2, loss="bce")
        >>> every = " & ".join(f"x{i}" for i in range(30))
        >>> network, params = compile_formula(Formula.parse(f"x0 ^ ({every})", 30))
        >>> found = verify(network, params, target, Formula.parse("x0", 30))
        >>> found.equal, found.counterexample == [1] * 30, found.answers
        (False, True, (0, 1))
    """
    check_count("boxes", boxes)
    check_count("seed", seed, 0)
    if not isinstance(formula, Formula):
        raise InputError(f"formula: expected a Formula; got {formula!r}.")
    subject = subject_of(network, params, target)
    why = subject.unreadable or fits(subject)
    if why is not None:
        raise InputError(f"the network cannot be compared with a formula: {why}.")
    (seen, shown), answers = readings(subject)
    width = subject.target.interface.input_shape[0]
    given = (formula.inputs, formula.reading.values, formula.answers)
    if given != (width, shown, (answers[0][1], answers[1][1])):
        raise InputError(
            f"formula: expected one of {width} inputs with values {shown!r} and answers "
            f"{(answers[0][1], answers[1][1])!r}; got {given[0]} inputs, {given[1]!r} and {given[2]!r}."
        )
    labels = answers[0][0], answers[1][0]
    with watched("verify", progress) as say:
        say(f"all rows or boxes of {width} bits")
        whole = whole_of(subject, seen, labels, seed, boxes)
    stats = {"boxes": whole.boxes, "share": whole.share, "method": whole.method, "why": whole.why}

    def differs(row: np.ndarray) -> Equivalence | None:
        said = int(answered(subject, labels, asked(subject, seen, row[None]))[0])
        example = [shown[int(bit)] for bit in row]
        if said == formula.answers.index(formula(example)):
            return None
        pair = answers[said][1] if said >= 0 else None, formula(example)
        return Equivalence(False, scope, 1 << width, counterexample=example, answers=pair, stats=stats)

    rng = np.random.default_rng([seed, 24])
    if whole.held is None:
        scope, open_rows = "sampled", rng.random((SAMPLED, width)) < 0.5
    else:
        held = whole.held
        scope = "exhaustive" if whole.open == 0 else "sampled"
        apart = held.apply("^", whole.root, held.made(formula.root))
        row = held.model(held.apply("&", apart, held.negation(whole.open)))
        if row is not None:
            found = differs(np.array([bool(row >> i & 1) for i in range(width)]))
            if found is None:
                raise AssertionError("a proven answer is not the network's")
            return found
        if whole.open == 0:
            return Equivalence(True, scope, 1 << width, margin=whole.margin, stats=stats)
        open_rows = held.drawn(whole.open, SAMPLED, rng)
    said = answered(subject, labels, asked(subject, seen, open_rows))
    own = np.array([formula.answers.index(answer) for answer in formula.run(_examples(open_rows, shown))])
    for row in open_rows[said != own][:1]:
        found = differs(row)
        if found is not None:
            return found
    return Equivalence(True, "sampled", SAMPLED, stats=stats)


def _examples(rows: np.ndarray, shown: tuple[Any, Any]) -> list[list[Any]]:
    return [[shown[int(bit)] for bit in row] for row in rows]
