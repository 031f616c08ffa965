"""The function of a network of bits as a decision diagram: by all its rows, or by branching."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from allroads.programs.boolean.boxes import Boxes
from allroads.programs.boolean.branch import BOXES, SAME, branch
from allroads.programs.boolean.decisions import Decisions, of_table
from allroads.programs.boolean.influence import order_of
from allroads.programs.bounds.bound import UnboundedError
from allroads.programs.subject import Subject

MOST_ROWS = 20
"""Inputs up to which all rows may be asked."""

WORK = 1 << 34
"""Rows times parameters up to which they are: some ten seconds on one core."""

CHUNK = 1 << 15
"""Rows that are asked at once."""

Values = tuple[Any, Any]
"""What stands for 0 and for 1."""


@dataclass(frozen=True, eq=False)
class Whole:
    """What is known of a network on the whole cube.

    Args:
        held: The diagrams; ``None`` where there are none.
        root: The function, 0 where it is open.
        open: 1 where it is open; the constant 0 for a function that is proved.
        margin: Least margin, a lower bound, over what is proved.
        share: Share of the cube that is proved.
        boxes: Boxes that were bounded, or rows that were asked.
        method: ``"rows"`` or ``"boxes"``.
        why: What stood in the way.
    """

    held: Decisions | None
    root: int = 0
    open: int = 1
    margin: float = float("nan")
    share: float = 0.0
    boxes: int = 0
    method: str = "rows"
    why: str = ""


def whole_of(subject: Subject, values: Values, labels: Values, seed: int, most: int = BOXES) -> Whole:
    """The function of a network of n bits.

    All rows are asked where that is quick: up to 20 inputs, and 2^34 rows times parameters. Otherwise boxes are split.

    Args:
        subject: The network, of one logit, two scores or one number.
        values: The two values of an input, for 0 and 1.
        labels: The labels that stand for 0 and for 1.
        seed: Decides the order of the inputs, which changes no answer.
        most: Boxes that may be bounded.
    """
    width = subject.target.interface.input_shape[0]
    size = sum(int(np.size(leaf)) for leaf in jax.tree.leaves(subject.params))
    if width <= MOST_ROWS and size << width <= WORK:
        return _by_rows(subject, values, labels, seed)
    try:
        boxes = Boxes(subject, values, labels)
        order = order_of(lambda bits: number(subject, asked(subject, values, bits)), width, seed, _beside(boxes))
        used = 0
        for same in SAME:
            found = branch(boxes, order, most // len(SAME), same)
            used += found.boxes
            if found.closed:
                break
    except UnboundedError as error:
        return Whole(None, method="boxes", why=str(error))
    return Whole(found.held, found.root, found.open, found.margin, found.share, used, "boxes", found.why)


def asked(subject: Subject, values: Values, bits: np.ndarray) -> np.ndarray:
    """Outputs ``[N, C]`` of a network on rows of bits ``[N, n]``."""
    return subject.outputs(np.asarray(np.where(bits, values[1], values[0]), subject.known.dtype))


def number(subject: Subject, outputs: np.ndarray) -> np.ndarray:
    """The number ``[N]`` whose sign or size decides the answer."""
    found: np.ndarray = outputs[:, 1] - outputs[:, 0] if subject.scores else outputs[:, 0]
    return found


def answered(subject: Subject, labels: Values, outputs: np.ndarray) -> np.ndarray:
    """Answers ``[N]``: 0, 1, or -1 where a network gives another one."""
    said = subject.decide(outputs)
    return np.where(said == labels[1], 1, np.where(said == labels[0], 0, -1))


def _beside(boxes: Boxes) -> np.ndarray | None:
    """How much two inputs share units: products of their shares in what moves a unit, summed over units."""
    try:
        steep = boxes.reach()
    except UnboundedError:
        return None
    total = steep.sum(axis=1, keepdims=True)
    shares = np.divide(steep, total, out=np.zeros_like(steep), where=total > 0)
    return np.asarray(shares.T @ shares)


def _by_rows(subject: Subject, values: Values, labels: Values, seed: int) -> Whole:
    width = subject.target.interface.input_shape[0]
    places = np.arange(width)
    table, margin = np.zeros(1 << width, bool), np.inf
    for first in range(0, 1 << width, CHUNK):
        rows = np.arange(first, min(first + CHUNK, 1 << width))
        outputs = asked(subject, values, np.asarray(rows[:, None] >> places & 1, bool))
        said = answered(subject, labels, outputs)
        why = subject.tie(outputs)
        if why is None and (said < 0).any():
            why = (
                f"the network answers {subject.decide(outputs)[said < 0][0]} on some input, and the target has 2 others"
            )
        if why is not None:
            return Whole(None, boxes=1 << width, why=why)
        table[rows] = said == 1
        margin = min(margin, float(subject.margins(outputs).min()))
    order = order_of(lambda bits: table[bits @ (1 << places)].astype(float), width, seed)
    held, root = of_table(table, order.tolist())
    return Whole(held, root, 0, margin, 1.0, 1 << width)
