"""A map of the loss on a plane: bands of its height, lines of equal loss, and what stands on it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np
import polars as pl

from allroads.plots.isolines import bands_of, isoline, joined, levels_of
from allroads.report.palette import BARRIER, ON_MAP, RULE, UNDER_MAP

HEIGHT = 120
"""Pixels of a map before its width is known."""
FLAT = 0.35
"""Height over width at least: flatter planes are stretched, all others have one unit on both axes."""
OVERLAP = 0.25
"""How much farther than its end a cell is drawn, in halves of it, so that no seam shows between two of one colour."""


@dataclass(frozen=True)
class LossMap:
    """What a map is drawn from.

    Attributes:
        rows: Cells (``point`` is ``cell``; ``x`` to ``x2``, ``y`` to ``y2``, ``shade``, ``told``) and lines (``line``;
            ``x``, ``y``, the number of its ``line`` and the ``order`` of its points).
        domains: Ends of both axes.
        ratio: Height over width.
    """

    rows: pl.DataFrame
    domains: tuple[list[float], list[float]]
    ratio: float


def make_map(xs: np.ndarray, ys: np.ndarray, heights: np.ndarray) -> LossMap:
    """The map of a grid of losses.

    Args:
        xs: ``[columns]``, rising and even.
        ys: ``[rows]``, the same.
        heights: ``[rows, columns]``; what is not finite is grey.
    """
    levels, _ = levels_of(heights)
    sides = (_side(xs), _side(ys))
    width, height = (side[1] - side[0] for side in sides)
    rows = pl.concat([_cells(xs, ys, heights, levels), _lines(xs, ys, heights, levels)], how="diagonal")
    return LossMap(rows, sides, min(max(height / width, FLAT), 1 / FLAT))


def map_legend(label: str, maps: Sequence[pl.DataFrame]) -> tuple[dict[str, Any], ...]:
    """The key of maps.

    Args:
        label: What their colours are.
        maps: Their rows.
    """
    ramp = {"kind": "ramp", "colours": BARRIER, "label": label, "low": "low", "high": "high"}
    missing = any(rows.filter(pl.col("point") == "cell")["shade"].is_null().any() for rows in maps)
    return (ramp, *([{"kind": "dot", "colour": RULE, "label": "grey: the loss is not finite"}] if missing else []))


def place_on_map(data: alt.Data, ground: LossMap, titles: tuple[str, str]) -> alt.Chart:
    """What every layer of a map begins with: the axes.

    Args:
        data: Rows of the map and of its marks.
        ground: The map.
        titles: Of the axes.
    """
    scale_x, scale_y = (alt.Scale(domain=domain, nice=False, zero=False) for domain in ground.domains)
    axis: dict[str, Any] = {"tickCount": 4, "format": ".3~g", "grid": False}
    chart: alt.Chart = alt.Chart(data).encode(
        x=alt.X("x:Q", scale=scale_x, axis=alt.Axis(title=titles[0], **axis)),
        y=alt.Y("y:Q", scale=scale_y, axis=alt.Axis(title=titles[1], minExtent=30, maxExtent=30, **axis)),
    )
    return chart


def map_layers(at: alt.Chart) -> list[alt.Chart]:
    """Bands, cells without a finite loss, and lines of equal loss."""
    cells, lines = (at.transform_filter(f"datum.point === '{point}'") for point in ("cell", "line"))
    cells = cells.encode(x2="x2:Q", y2="y2:Q", tooltip=alt.Tooltip("told:N", title="loss"))
    ramp = alt.Scale(domain=[0, 1], range=list(BARRIER))
    return [
        cells.transform_filter("datum.shade !== null")
        .mark_rect(clip=True)
        .encode(color=alt.Color("shade:Q", scale=ramp, legend=None)),
        cells.transform_filter("datum.shade === null").mark_rect(clip=True, color=RULE),
        lines.mark_line(strokeWidth=0.7, color=UNDER_MAP, opacity=0.7, clip=True).encode(
            detail="line:N", order="order:Q"
        ),
    ]


def map_words(marks: alt.Chart) -> list[alt.Chart]:
    """The words of the column ``label`` over marks, with a halo."""
    style: dict[str, Any] = {"fontSize": 11, "fontWeight": 600, "dy": -12}
    halo = marks.mark_text(color=UNDER_MAP, stroke=UNDER_MAP, strokeWidth=3, strokeJoin="round", **style)
    return [words.encode(text="label:N") for words in (halo, marks.mark_text(color=ON_MAP, **style))]


def _side(line: np.ndarray) -> list[float]:
    """Ends of an axis: those of the cells around its points."""
    half = float(line[1] - line[0]) / 2
    return [float(line[0]) - half, float(line[-1]) + half]


def _cells(xs: np.ndarray, ys: np.ndarray, heights: np.ndarray, levels: np.ndarray) -> pl.DataFrame:
    """Bands of height; neighbours of one row and band are one cell."""
    names = bands_of(levels)
    right, up = (float(side[1] - side[0]) / 2 * (1 + OVERLAP) for side in (xs, ys))
    rows = []
    for y, row in zip(ys, heights, strict=True):
        bands = np.where(np.isfinite(row), np.searchsorted(levels, row, side="right"), -1)
        for band, group in itertools.groupby(range(len(xs)), key=bands.__getitem__):
            places = list(group)
            rows.append(
                {
                    "point": "cell",
                    "x": float(xs[places[0]]) - right,
                    "x2": float(xs[places[-1]]) + right,
                    "y": float(y) - up,
                    "y2": float(y) + up,
                    "shade": None if band < 0 else float(band) / max(len(levels), 1),
                    "told": "not finite" if band < 0 else names[band],
                }
            )
    return pl.DataFrame(rows, schema_overrides={"shade": pl.Float64})


def _lines(xs: np.ndarray, ys: np.ndarray, heights: np.ndarray, levels: np.ndarray) -> pl.DataFrame:
    """Lines of equal loss."""
    lines = [line for level in levels for line in joined(isoline(xs, ys, heights, level))]
    rows = [
        {"point": "line", "line": number, "order": order, "x": float(x), "y": float(y)}
        for number, line in enumerate(lines)
        for order, (x, y) in enumerate(line)
    ]
    schema = {"point": pl.String, "line": pl.Int64, "order": pl.Int64, "x": pl.Float64, "y": pl.Float64}
    return pl.DataFrame(rows, schema=schema)
