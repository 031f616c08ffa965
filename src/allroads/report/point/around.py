"""The loss around a point, on the plane of two random directions."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import altair as alt
import numpy as np
import polars as pl

from allroads.plots.landscape import CAVEATS
from allroads.report.charts.figure import Drawing, Figure, Panel, Size
from allroads.report.charts.loss_map import (
    HEIGHT,
    LossMap,
    make_map,
    map_layers,
    map_legend,
    map_words,
    place_on_map,
)
from allroads.report.palette import ON_MAP, UNDER_MAP
from allroads.report.point.words import number_of

if TYPE_CHECKING:
    from allroads.paths.landscape import LossPlane


def figures(plane: LossPlane | None) -> tuple[Figure, ...]:
    """The map, with the point in its middle; none where nobody asked for it."""
    if plane is None:
        return ()
    if not np.isfinite(plane.losses).any():
        return (Figure("around", (), "", absent="No loss on the plane is finite, so there is nothing to draw."),)
    ground = make_map(plane.xs, plane.ys, plane.losses)
    marks = pl.DataFrame(
        {
            "point": "mark",
            "x": plane.marks[:, 0],
            "y": plane.marks[:, 1],
            "loss": plane.mark_losses,
            "label": plane.names,
        }
    )
    low, high = (number_of(plane.stats[end]) for end in ("lowest", "highest"))
    panel = Panel(
        title="",
        note=f"loss {low} to {high}; seed {plane.stats['seed']}",
        marks=(),
        data="around",
        rows=pl.concat([ground.rows, marks], how="diagonal"),
        draw=partial(draw_around, ground=ground),
        height=HEIGHT,
        ratio=ground.ratio,
    )
    caption = f"Each unit moves every filter by its own norm. {CAVEATS['random directions']}"
    return (Figure("around", (panel,), caption, legend=map_legend("loss", [panel.rows])),)


def draw_around(data: alt.Data, size: Size, *, ground: LossMap) -> Drawing:
    """Draw the map.

    Args:
        data: Rows of the map, and of the point with ``point`` (mark), ``x``, ``y``, ``loss`` and ``label``.
        size: How large.
        ground: The map.
    """
    at = place_on_map(data, ground, ("first direction", "second direction"))
    mark = at.transform_filter("datum.point === 'mark'")
    return alt.layer(
        *map_layers(at),
        mark.mark_point(shape="circle", size=70, fill=ON_MAP, stroke=UNDER_MAP, strokeWidth=1.5, opacity=1).encode(
            tooltip=alt.Tooltip("loss:Q", format=".4~g")
        ),
        *map_words(mark),
    ).properties(width=size.width, height=size.height)
