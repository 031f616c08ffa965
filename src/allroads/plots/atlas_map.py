"""The map of an atlas: programs from short to long as nodes, changes as arrows; where each of them is drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from allroads.plots.labels import place_labels
from allroads.plots.layered import layered_layout

WIDE, HIGH = 820.0, 470.0
"""Pixels of the map, for which nodes are placed; any other size is scaled."""
NARROW = 330.0
"""Pixels of the map on a phone, for which labels are placed once more."""
LEFT, BESIDE, RIGHT = 26.0, 96.0, 26.0
"""Pixels left of the shortest program, more where nodes without a length stand there, and right of the longest."""
LARGEST, SMALLEST = 21.0, 4.5
"""Radii of nodes in pixels: of the one at which most runs end, and of those where none does."""
STRONG = 260
"""Arrows that are drawn where nothing is chosen; others appear with what they belong to."""
WIDEST = 6.0
"""Pixels of the widest arrow; an arrow of n changes has √n pixels, and less where that is more than these."""
BOW = 0.13
"""How far an arrow bends, as a share of its length, so that the two ways between two programs stay apart."""
LABELS, NARROW_LABELS = 16, 7
SHORT = 30
"""Characters of a label."""
SKEW = 5.0
"""Longest length over the median, from which on lengths are drawn in log(1 + bits)."""


@dataclass(frozen=True)
class AtlasMap:
    """What :func:`~allroads.plots.atlas_layers.map_layers` draws.

    Attributes:
        rows: A table with ``kind``: ``node``, ``edge`` (three rows, from end to end) and ``arrow``.
        ticks: Places of the axis of lengths, with their numbers of bits.
        hidden: Arrows that are not drawn where nothing is chosen.
    """

    rows: pl.DataFrame
    ticks: tuple[tuple[float, str], ...]
    hidden: int


def atlas_map(nodes: pl.DataFrame, edges: pl.DataFrame) -> AtlasMap:
    """Place the programs of an atlas: from left to right by length, and near those with which they exchange runs.

    Args:
        nodes: ``node``, ``label``, ``bits`` (null where there is no length), ``ends``, ``visits``, ``told`` (a line for
            the tooltip), ``look`` (``right``: filled; ``other``: hollow; ``none``: grey), ``fill`` (a colour, of the
            right ones) and ``shape``.
        edges: ``source``, ``target``, ``weight`` (how many changes, or what else is drawn as wider) and ``told``.
    """
    names = nodes["node"].to_list()
    bits, ends = nodes["bits"].to_numpy().astype(float), nodes["ends"].fill_null(0).to_numpy().astype(float)
    across, ticks = _across(bits)
    radius = np.maximum(SMALLEST, LARGEST * np.sqrt(ends / max(ends.max(initial=0.0), 1.0)))
    place = {name: at for at, name in enumerate(names)}
    ways = edges.filter(pl.col("source") != pl.col("target"))
    source, target = ([place[name] for name in ways[end]] for end in ("source", "target"))
    weight = ways["weight"].to_numpy().astype(float)
    weights = np.zeros((len(names), len(names)))
    np.add.at(weights, (source, target), np.sqrt(weight))
    x, y = across.copy(), np.full(len(names), HIGH / 2)
    timed = np.flatnonzero(np.isfinite(bits))
    apart = np.flatnonzero(~np.isfinite(bits))  # these stand on the left, below one another
    x[timed], y[timed] = layered_layout(across[timed], radius[timed], weights[np.ix_(timed, timed)], HIGH)
    y[apart] = HIGH * (np.arange(len(apart)) + 0.5) / max(len(apart), 1)
    rows = _node_rows(nodes, x, y, radius)
    inside = np.isfinite(bits)
    weight = np.where(inside[source] & inside[target], weight, 0.0)  # what has no length is no step between programs
    rows += _edge_rows(ways, x, y, source, target, weight)
    return AtlasMap(_table(rows), ticks, max(ways.height - STRONG, 0))


COLUMNS: dict[str, Any] = {
    "kind": pl.String,
    "node": pl.String,
    "part": pl.String,
    "order": pl.Int64,
    "x": pl.Float64,
    "y": pl.Float64,
    "size": pl.Float64,
    "strong": pl.Boolean,
    "angle_x": pl.Float64,
    "angle_y": pl.Float64,
    "label": pl.String,
    "name": pl.String,
    "look": pl.String,
    "fill": pl.String,
    "shape": pl.String,
    "rank": pl.Int64,
    "dx": pl.Float64,
    "dy": pl.Float64,
    "align": pl.String,
    "narrow_rank": pl.Int64,
    "narrow_dx": pl.Float64,
    "narrow_dy": pl.Float64,
    "narrow_align": pl.String,
    "told": pl.String,
}
"""Columns of the rows."""


def _table(rows: Sequence[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame([{name: row.get(name) for name in COLUMNS} for row in rows], schema=COLUMNS)


def _across(bits: np.ndarray) -> tuple[np.ndarray, tuple[tuple[float, str], ...]]:
    """Places from left to right, and ticks: linear in bits, or in log(1 + bits) where some programs are far longer."""
    known = bits[np.isfinite(bits)]
    left = LEFT if known.size == bits.size or not known.size else BESIDE
    if not known.size:
        return np.full(len(bits), WIDE / 2), ()
    low, high = float(known.min()), float(known.max())
    skewed = high > SKEW * max(float(np.median(known)), 1.0)

    def scaled(value: Any) -> Any:
        return np.log1p(value) if skewed else value

    span = scaled(high) - scaled(low)

    def place(value: Any) -> Any:
        middle = (left + WIDE - RIGHT) / 2
        if span <= 0:
            return 0 * value + middle
        return left + (WIDE - RIGHT - left) * (scaled(value) - scaled(low)) / span

    ticks = tuple((round(float(place(tick)), 2), f"{tick:g}") for tick in _ticks(low, high, skewed))
    return np.where(np.isfinite(bits), place(np.nan_to_num(bits, nan=low)), LEFT), ticks


def _ticks(low: float, high: float, skewed: bool) -> list[float]:
    """Round numbers between two lengths.

    Example:
        >>> _ticks(3, 23, False), _ticks(2, 700, True)
        ([5.0, 10.0, 15.0, 20.0], [2, 5, 10, 20, 50, 100, 200, 500])
    """
    if skewed:
        return [f * 10**p for p in range(7) for f in (1, 2, 5) if low <= f * 10**p <= high]
    if high <= low:
        return [low]
    step = 10 ** math.floor(math.log10(max(high - low, 1e-9)))
    step = next(step * part for part in (0.1, 0.2, 0.5, 1, 2, 5) if (high - low) / (step * part) <= 8)
    step = max(step, 1)
    return [round(step * place, 6) for place in range(math.ceil(low / step), math.floor(high / step) + 1)]


def shortened(label: str) -> str:
    """A label of at most 30 characters, cut after a word.

    Example:
        >>> shortened("x0 & x1 | x2 & x3 | x4 & x5 | x6 & x7")
        'x0 & x1 | x2 & x3 | x4 & x5 …'
        >>> shortened("a program whose name has a longer word")
        'a program whose name has a …'
    """
    if len(label) <= SHORT:
        return label
    words, _, rest = label[: SHORT - 1].rpartition(" ")
    kept = words if len(words) > SHORT // 2 else f"{words} {rest}".strip()
    return f"{kept.rstrip(' &|^~+-*/=,(')} …"


def _node_rows(nodes: pl.DataFrame, x: np.ndarray, y: np.ndarray, radius: np.ndarray) -> list[dict[str, Any]]:
    labels = [shortened(label or node) for label, node in zip(nodes["label"], nodes["node"], strict=True)]
    order = np.lexsort((np.arange(len(x)), -nodes["visits"].fill_null(0).to_numpy(), -nodes["ends"].fill_null(0)))
    by_rank = order.tolist()
    wide = place_labels(x.tolist(), y.tolist(), radius.tolist(), labels, by_rank, WIDE, HIGH, LABELS)
    ratio = NARROW / WIDE
    small = (radius * shrink(NARROW)).tolist()
    tight = place_labels((x * ratio).tolist(), y.tolist(), small, labels, by_rank, NARROW, HIGH, NARROW_LABELS)
    rows = []
    for at, row in enumerate(nodes.iter_rows(named=True)):
        rows.append(
            {
                "kind": "node",
                "node": row["node"],
                "x": float(x[at]),
                "y": float(y[at]),
                "size": round(math.pi * float(radius[at]) ** 2, 1),
                "label": labels[at],
                "name": row["label"] or row["node"],
                "rank": None if at not in wide else 1,
                "narrow_rank": None if at not in tight else 1,
                **{name: row[name] for name in ("look", "fill", "shape", "told")},
            }
        )
        for prefix, found in (("", wide), ("narrow_", tight)):
            if at in found:
                spot = found[at]
                rows[-1] |= {f"{prefix}dx": spot.dx, f"{prefix}dy": spot.dy, f"{prefix}align": spot.align}
    return rows


def shrink(width: float) -> float:
    """The factor of nodes on a map of this width.

    Example:
        >>> shrink(820), round(shrink(330), 2)
        (1.0, 0.63)
    """
    return min(max(math.sqrt(width / WIDE), 0.5), 1.3)


def _edge_rows(
    ways: pl.DataFrame, x: np.ndarray, y: np.ndarray, source: list[int], target: list[int], weight: np.ndarray
) -> list[dict[str, Any]]:
    """A bent line and an arrow head per way; the widest are drawn where nothing is chosen."""
    strong = set(np.argsort(-weight, kind="stable")[:STRONG].tolist())
    widths = np.sqrt(weight)
    widths = widths * min(1.0, WIDEST / max(widths.max(initial=0.0), 1e-12))
    rows: list[dict[str, Any]] = []
    for at, (way, p, q) in enumerate(zip(ways.iter_rows(named=True), source, target, strict=True)):
        along = np.array([x[q] - x[p], y[q] - y[p]])
        bent = np.array([x[p] + x[q], y[p] + y[q]]) / 2 + 1.5 * BOW * np.array([along[1], -along[0]])
        size = round(max(float(widths[at]), 0.5), 2)
        own = {"part": f"{way['source']}>{way['target']}", "size": size, "strong": at in strong}
        spline = np.array([[x[p], y[p]], bent, [x[q], y[q]]])
        for order, (px, py) in enumerate(spline.tolist()):
            rows.append({"kind": "edge", "order": order, "x": px, "y": py, **own})
        middle = np.array([1.0, 4.0, 1.0]) @ spline / 6
        rows.append(
            {
                "kind": "arrow",
                "x": float(middle[0]),
                "y": float(middle[1]),
                "told": way["told"] if at in strong else None,
                **own,
            }
            | {"angle_x": float(along[0]), "angle_y": float(along[1])}
        )
    return rows
