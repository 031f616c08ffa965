"""Branching over bits: the decision diagram of a network, each of whose leaves has a proven answer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from allroads.programs.boolean.boxes import Boxes
from allroads.programs.boolean.decisions import Decisions
from allroads.programs.bounds.bound import UnboundedError

BOXES = 30_000
"""Boxes that are bounded before branching is given up."""

SAME = (1e-7, 0.1, 0.02)
"""Differences, relative to the largest of a unit, up to which two boxes are one, tried in turn; bounds cover them."""

HOPELESS = 11
"""Levels after which branching is given up where no box of them was decided or taken as one with another."""

FINE = 1e-6
"""Differences up to this are found by rounding, larger ones by comparing."""


@dataclass(frozen=True, eq=False)
class Branching:
    """What branching found.

    Args:
        closed: Whether every box got a proven answer.
        held: The diagrams.
        root: The network's function, where it is closed; else with 0 in open boxes.
        open: The function that is 1 in the boxes that are open.
        share: Share of the cube with a proven answer.
        margin: Least proven margin, a lower bound.
        boxes: Boxes that were bounded.
        why: What stood in the way.
    """

    closed: bool
    held: Decisions
    root: int
    open: int
    share: float
    margin: float
    boxes: int
    why: str = ""


def branch(boxes: Boxes, order: np.ndarray, most: int = BOXES, same: float = SAME[0]) -> Branching:
    """The function of a network of bits, by sound bounds over boxes that are split where these leave it open.

    All open boxes of one level fix the same bits. Of two that are the same function of the free bits, one is split for
    both: a majority of n bits takes about n² boxes and not 2^n. How far the two may differ, rounding included, is added
    to the bounds of those that come of it.

    Args:
        boxes: The network.
        order: The inputs in the order in which they are fixed.
        most: Boxes that may be bounded; the count and not the clock ends the search, so that it is the same everywhere.
        same: Difference, relative to the largest of a unit, up to which two boxes are taken as one.

    Returns:
        A :class:`Branching`.

    When it fails: a network whose answer hangs on many bits in a way that no bound sees, such as an untrained one,
    needs as many boxes as the cube has rows. A margin below :data:`~allroads.programs.subject.TIE` is never proved.

    References: [moore1966] [bryant1986]

    Example:
        >>> from allroads.programs.boolean.compile import compile_formula
        >>> from allroads.programs.boolean.formula import Formula
        >>> from allroads.programs.boolean.parse import parse
        >>> from allroads.programs.subject import Subject
        >>> from allroads import Target
        >>> rows = np.eye(24)
        >>> target = Target("mine", inputs=rows, labels=np.arange(24) % 2, loss="bce")
        >>> subject = Subject(*compile_formula(Formula.parse("x3 & (x7 ^ x20)", 24)), target)
        >>> found = branch(Boxes(subject, (0, 1), (0, 1)), np.array([3, 7, 20, *set(range(24)) - {3, 7, 20}]))
        >>> found.closed, found.held.support(found.root), found.root == found.held.made(parse("x3 & (x7 ^ x20)"))
        (True, (3, 7, 20), True)
    """
    held = Decisions(tuple(int(i) for i in order))
    bits, weight = np.zeros((1, boxes.width), bool), np.ones(1)
    slack: np.ndarray | None = None
    levels: list[np.ndarray] = []  # for each level and box: its answer, or -1 − the box it is one with on the next
    children = np.zeros((1, 1), int)
    margin, used, proved = np.inf, 0, 0.0
    for level in range(boxes.width + 1):
        free = order[level:]
        if level == HOPELESS and len(bits) == 1 << level:
            why = f"bounds leave all boxes of {level} bits open, and no two of them are the same function"
            return _ended(held, levels, children, proved, margin, used, why)
        if used + len(bits) > most:
            return _ended(held, levels, children, proved, margin, used, f"more than {most:,} boxes are needed")
        answers, margins = boxes.decided(bits, free, slack)
        used += len(bits)
        margin = min(margin, float(margins[answers >= 0].min(initial=np.inf)))
        proved += float(weight[answers >= 0].sum())
        left = np.flatnonzero(answers < 0)
        one, kept, slack = _merged(boxes, bits[left], free, None if slack is None else slack[left], same)
        links = answers.copy()
        links[left] = -1 - one
        levels.append(links[children])
        if not len(left):
            return _ended(held, levels, None, proved, margin, used, "")
        if level == boxes.width:
            why = "on some input the margin is too small to be proved"
            return _ended(held, levels, np.arange(len(kept))[:, None], proved, margin, used, why)
        weights = np.zeros(len(kept))
        np.add.at(weights, one, weight[left])
        bits, weight = np.repeat(bits[left[kept]], 2, axis=0), np.repeat(weights / 2, 2)
        bits[1::2, order[level]] = True
        slack = None if slack is None else np.repeat(slack, 2, axis=0)
        children = np.arange(2 * len(kept)).reshape(-1, 2)
    raise AssertionError("the last level returns")


def _merged(
    boxes: Boxes, bits: np.ndarray, free: np.ndarray, slack: np.ndarray | None, same: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """For each box the class that it is in, the first box of each class, and the slack of the classes."""
    alone = np.arange(len(bits))
    if len(bits) < 2 or not len(free):
        return alone, alone, slack
    try:
        signatures, spreads, errors = boxes.residuals(bits, free, slack)
    except UnboundedError:
        return alone, alone, slack
    masks, values = signatures[:, :, 0] > 0, signatures[:, :, 1:]
    sizes = np.maximum(np.abs(values).max(axis=(0, 2)), 1e-30)
    flat = (values / sizes[:, None]).reshape(len(bits), -1)
    classes = _classes(masks, flat[:, (flat != flat[0]).any(axis=0)], same)
    kept = np.unique(classes, return_index=True)[1]
    if len(kept) == len(bits):
        return alone, alone, slack
    first = kept[classes]
    apart = np.abs(values - values[first]).sum(axis=-1) * (1 + 1e-9)
    found = np.zeros((len(kept), errors.shape[1])) if slack is None else slack[kept]
    many = np.bincount(classes) > 1
    found[many] = 0.0
    np.maximum.at(found, classes, np.where(many[classes][:, None], apart + errors + spreads[first], 0.0))
    return classes, kept, found


def _classes(masks: np.ndarray, values: np.ndarray, same: float) -> np.ndarray:
    """Classes ``[N]``, numbered by first members: masks are equal, and values within a difference of the first's."""
    found = np.zeros(len(masks), int)
    known: dict[bytes, int] = {}
    leaders: dict[bytes, list[int]] = {}
    count = 0
    for place, mask in enumerate(masks):
        key = np.packbits(mask).tobytes()
        if same <= FINE:
            key += (np.rint(values[place] / same) + 0.0).tobytes()
            found[place] = known.setdefault(key, count)
        else:
            own = leaders.setdefault(key, [])
            near = np.abs(values[own] - values[place]).max(axis=1, initial=0.0) <= same if own else np.zeros(0, bool)
            found[place] = found[own[int(near.argmax())]] if near.any() else count
            if not near.any():
                own.append(place)
        count += int(found[place] == count)
    return found


def _ended(
    held: Decisions,
    levels: list[np.ndarray],
    children: np.ndarray | None,
    proved: float,
    margin: float,
    used: int,
    why: str,
) -> Branching:
    """The diagram from the last level back: levels hold for each class its two links, the first level one."""
    roots: list[list[int]] = []
    for opened in (0, 1):  # the function with 0 in open boxes, and the function that is 1 in these
        below: list[int] = [opened] * (0 if children is None else len(children))
        for level in range(len(levels) - 1, -1, -1):
            sides = [[below[-1 - link] if link < 0 else int(link and not opened) for link in row]
                     for row in levels[level].tolist()]  # fmt: skip
            below = [row[0] if level == 0 else held.node(level - 1, *row) for row in sides]
        roots.append(below)
    return Branching(not why, held, roots[0][0], roots[1][0], proved, margin, used, why)
