"""Places of labels beside nodes, so that no word covers another word or a node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LETTER, LINE = 6.2, 13.0
"""Pixels of a letter at 11 points, about, and of a line."""
GAP = 4.0
"""Pixels between a node and its label."""
MARGIN = 1.0
SIDES = (("left", 1.0, 0.0), ("right", -1.0, 0.0), ("center", 0.0, -1.0), ("center", 0.0, 1.0))
"""How a label is aligned, and on which side of its node it stands: right, left, above, below."""


@dataclass(frozen=True)
class Place:
    """Where a label stands.

    Attributes:
        dx: Pixels to the right of the node's middle.
        dy: Pixels below it.
        align: Of the text: ``left``, ``right`` or ``center``.
    """

    dx: float
    dy: float
    align: str


def place_labels(
    x: Sequence[float],
    y: Sequence[float],
    radius: Sequence[float],
    labels: Sequence[str],
    order: Sequence[int],
    width: float,
    height: float,
    most: int,
) -> dict[int, Place]:
    """The labels that have room, by node.

    Args:
        x: Middles of the nodes, in pixels.
        y: The same, downwards.
        radius: Of the nodes.
        labels: Of the nodes; an empty one is not placed.
        order: The nodes whose labels are tried, the most important first.
        width: Of the picture.
        height: Of the picture.
        most: Labels, at most.

    Example:
        >>> place_labels([30, 30], [20, 30], [3, 3], ["one", "two"], [0, 1], 100, 60, 2)
        {0: Place(dx=7.0, dy=0.0, align='left'), 1: Place(dx=-7.0, dy=0.0, align='right')}
    """
    discs = np.column_stack([np.subtract(x, radius), np.subtract(y, radius), np.add(x, radius), np.add(y, radius)])
    words: list[tuple[float, float, float, float]] = []
    found: dict[int, Place] = {}
    for node in order:
        if len(found) >= most:
            break
        long = LETTER * len(labels[node])
        for align, right, down in SIDES if long else ():
            place = Place(right * (radius[node] + GAP), down * (radius[node] + GAP / 2 + LINE / 2 - 2), align)
            left = x[node] + place.dx - {"left": 0.0, "right": long, "center": long / 2}[align]
            middle = y[node] + place.dy
            box = (left, middle - LINE / 2, left + long, middle + LINE / 2)
            inside = box[0] >= 0 and box[2] <= width and box[1] >= 0 and box[3] <= height
            others = np.delete(discs, node, axis=0)
            if inside and not _meets(box, others) and not _meets(box, np.array(words).reshape(-1, 4)):
                words.append(box)
                found[node] = place
                break
    return found


def _meets(box: tuple[float, float, float, float], others: np.ndarray) -> bool:
    """Whether a box meets one of others ``[n, 4]``: left, top, right, bottom."""
    left, top, right, bottom = box
    apart = (
        (others[:, 0] > right + MARGIN)
        | (others[:, 2] < left - MARGIN)
        | (others[:, 1] > bottom + MARGIN)
        | (others[:, 3] < top - MARGIN)
    )
    return bool((~apart).any())
