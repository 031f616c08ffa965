"""Lines of equal height on a grid: the cells' crossings, joined straight (marching squares)."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

EDGES = ((0, 1), (1, 2), (2, 3), (3, 0))
"""Edges of a cell by its corners, which run round it."""


def levels_of(heights: Any, count: int = 9) -> tuple[np.ndarray, bool]:
    """Levels at which a landscape is drawn, rounded to two digits, and whether they are evenly spaced in the logarithm.

    They are logarithmic where all heights are above 0 and the highest is more than 20 times the lowest.

    Args:
        heights: Any shape; what is not finite is left out.
        count: Levels before rounding lets some fall together.

    Returns:
        Rising levels between the lowest and the highest height; none where all heights are equal.

    Example:
        >>> levels_of([1.0, 1000.0], count=2)
        (array([ 10., 100.]), True)
        >>> levels_of([0.0, 3.0], count=2)
        (array([1., 2.]), False)
    """
    finite = np.asarray(heights, np.float64)
    finite = finite[np.isfinite(finite)]
    if not finite.size or finite.min() == finite.max():
        return np.array([]), False
    low, high = float(finite.min()), float(finite.max())
    logarithmic = low > 0 and high > 20 * low
    inner = (np.geomspace if logarithmic else np.linspace)(low, high, count + 2)[1:-1]
    rounded = np.array([float(f"{level:.2g}") for level in inner])
    if not logarithmic and (np.diff(rounded) <= 0).any():
        rounded = inner
    levels: np.ndarray = np.unique(rounded[(rounded > low) & (rounded < high)])
    return levels, logarithmic


def bands_of(levels: np.ndarray) -> list[str]:
    """What lies below, between and above levels, in words: with as few digits as tell them apart.

    Example:
        >>> bands_of(np.array([0.5, 2.0])), bands_of(np.array([]))
        (['< 0.5', '0.5 – 2', '≥ 2'], ['one value'])
    """
    if not levels.size:
        return ["one value"]
    digits = next(n for n in range(2, 18) if len({f"{level:.{n}g}" for level in levels}) == len(levels))
    words = [f"{level:.{digits}g}" for level in levels]
    return [f"< {words[0]}", *(f"{low} – {high}" for low, high in itertools.pairwise(words)), f"≥ {words[-1]}"]


def isoline(xs: Any, ys: Any, heights: Any, level: float) -> np.ndarray:
    """Straight pieces of the line on which a landscape has one height.

    A crossing lies between two neighbours of the grid in the ratio of their distances from the level. A cell with four
    crossings is a saddle: the mean of its corners decides which pairs are joined. Cells with a corner that is not
    finite have no line.

    Args:
        xs: ``[columns]``, rising.
        ys: ``[rows]``, rising.
        heights: ``[rows, columns]``.
        level: The height.

    Returns:
        ``[pieces, 2, 2]``: two ends, each ``(x, y)``.

    Example:
        >>> isoline([0.0, 1.0], [0.0, 1.0], [[0.0, 1.0], [0.0, 1.0]], 0.25).tolist()
        [[[0.25, 0.0], [0.25, 1.0]]]
    """
    xs, ys, heights = (np.asarray(given, np.float64) for given in (xs, ys, heights))
    cells = np.stack([heights[:-1, :-1], heights[:-1, 1:], heights[1:, 1:], heights[1:, :-1]], axis=-1)
    above = cells > level
    crossed = np.isfinite(cells).all(axis=-1) & above.any(axis=-1) & ~above.all(axis=-1)
    pieces = []
    for i, j in np.argwhere(crossed):
        corners, high = cells[i, j], above[i, j]
        places = [(xs[j], ys[i]), (xs[j + 1], ys[i]), (xs[j + 1], ys[i + 1]), (xs[j], ys[i + 1])]
        crossings = [_crossing(places, corners, p, q, level) for p, q in EDGES if high[p] != high[q]]
        if len(crossings) == 4 and (corners.mean() > level) != high[0]:
            crossings = [*crossings[1:], crossings[0]]  # cut off corners 0 and 2, not 1 and 3
        pieces += [crossings[k : k + 2] for k in range(0, len(crossings), 2)]
    return np.array(pieces).reshape(-1, 2, 2)


def joined(pieces: np.ndarray) -> list[np.ndarray]:
    """Pieces of :func:`isoline`, joined where they meet, so that each part of the line is one polygon.

    Ends meet where they differ by less than a millionth of the extent of all pieces.

    Args:
        pieces: ``[pieces, 2, 2]``.

    Returns:
        Points of each part in order, ``[points, 2]``; a closed part ends where it begins.

    Example:
        >>> joined(np.array([[[0.0, 0.0], [1.0, 0.0]], [[1.0, 1.0], [1.0, 0.0]], [[5.0, 5.0], [6.0, 6.0]]]))
        [array([[0., 0.],
               [1., 0.],
               [1., 1.]]), array([[5., 5.],
               [6., 6.]])]
    """
    if not len(pieces):
        return []
    size = float(np.ptp(pieces.reshape(-1, 2), axis=0).max()) or 1.0
    places = [[tuple(end) for end in piece] for piece in np.rint(pieces / size * 1e6).astype(np.int64).tolist()]
    at: dict[tuple[int, ...], list[int]] = {}
    for number, ends in enumerate(places):
        for end in ends:
            at.setdefault(end, []).append(number)
    left = set(range(len(pieces)))
    open_first = sorted(left, key=lambda number: min(len(at[end]) for end in places[number]) > 1)
    lines = []
    for first in open_first:
        if first not in left:
            continue
        number, enter = first, int(len(at[places[first][0]]) > 1 and len(at[places[first][1]]) == 1)
        line = [pieces[number, enter]]
        while True:
            left.discard(number)
            line.append(pieces[number, 1 - enter])
            end = places[number][1 - enter]
            following = next((other for other in at[end] if other in left), None)
            if following is None:
                break
            number, enter = following, int(places[following][0] != end)
        lines.append(np.array(line))
    return lines


def _crossing(places: Any, corners: np.ndarray, p: int, q: int, level: float) -> tuple[float, float]:
    t = (level - corners[p]) / (corners[q] - corners[p])
    (x, y), (other_x, other_y) = places[p], places[q]
    return x + t * (other_x - x), y + t * (other_y - y)
