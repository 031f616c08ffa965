"""Roads in function space: each run as a curve in the InPCA picture of its target."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import altair as alt
import polars as pl

from allroads.report.charts.figure import CHOSEN, Figure, Panel, Size, fade, group_scale
from allroads.report.grids import Grid, Group
from allroads.report.palette import INK
from allroads.report.stored import Stored

MARGIN = 0.08  # free share of the larger side around the points


def figures(stored: Stored, grid: Grid) -> tuple[Figure, ...]:
    """One panel a target."""
    table = stored.embedding.filter(pl.col("grid") == grid.name)
    panels = []
    for target in dict.fromkeys(group.target for group in grid.groups):
        groups = tuple(group for group in grid.groups if group.target == target)
        rows = _rows(table.filter(pl.col("target") == target), grid)
        if rows.filter(pl.col("point") == "run").is_empty():
            continue
        stress = stored.explained_stress(grid.name, target)
        draw = partial(draw_roads, groups=groups, box=_box(rows), stress=stress)
        panels.append(Panel(target, "", groups, f"roads-{groups[0].index}", rows, draw, height=210))
    if len(panels) == 1:
        panels = [replace(panels[0], height=340)]
    if not panels:
        absent = "No road was embedded for this grid: a picture of function space needs at least one run that moved."
        return (Figure("roads", (), "", absent=absent),)
    caption = (
        "Look at how the lines go from the ring (a guess that knows nothing) to the star (every answer right): "
        "each is one run, thicker as training goes on, with its mark where it ended; "
        "lines that share a road learned the same way, and a straight line is the shortest road."
    )
    legend = ({"kind": "start", "label": "start: ignorance"}, {"kind": "truth", "label": "target: the truth"})
    return (Figure("roads", tuple(panels), caption, legend=legend, own_scales=("color", "shape")),)


def _rows(table: pl.DataFrame, grid: Grid) -> pl.DataFrame:
    names = grid.runs.select("run", "group", "name")
    last = (pl.col("point") == "run") & (pl.col("step") == pl.col("step").max().over("run"))
    return (
        table.join(names, on="run", how="left", maintain_order="left")
        .filter((pl.col("point") != "run") | pl.col("name").is_not_null())
        .filter(pl.col("x").is_not_null() & pl.col("y").is_not_null())
        .with_columns(point=pl.when(last).then(pl.lit("end")).otherwise(pl.col("point")))
        .select("run", "name", "group", "point", "step", "x", "y")
    )


def _box(rows: pl.DataFrame) -> tuple[float, float, float, float]:
    """Middle and extent of the points: x, y, width, height."""
    low_x, high_x, low_y, high_y = (
        float(rows[c].max() if up else rows[c].min())
        for c, up in (("x", False), ("x", True), ("y", False), ("y", True))
    )
    pad = MARGIN * max(high_x - low_x, high_y - low_y, 1e-9)
    return (low_x + high_x) / 2, (low_y + high_y) / 2, high_x - low_x + 2 * pad, high_y - low_y + 2 * pad


def _equal_scales(box: tuple[float, float, float, float], size: Size) -> tuple[alt.Scale, alt.Scale]:
    """One unit is as long on both axes, so that distances and angles are as they look."""
    x, y, wide, high = (float(f"{value:.5g}") for value in box)
    if isinstance(size.width, int):
        unit = max(wide / size.width, high / size.height)

        def ends(middle: float, side: str) -> tuple[Any, Any]:
            half = unit * (size.width if side == "width" else size.height) / 2
            return middle - half, middle + half
    else:
        unit_now = f"max({wide} / max(width, 1), {high} / max(height, 1))"

        def ends(middle: float, side: str) -> tuple[Any, Any]:
            half = f"{unit_now} * {side} / 2"
            return alt.ExprRef(f"{middle} - {half}"), alt.ExprRef(f"{middle} + {half}")

    scales = []
    for middle, side in ((x, "width"), (y, "height")):
        low, high_end = ends(middle, side)
        scales.append(alt.Scale(domain=[low, high_end], nice=False, zero=False))
    return scales[0], scales[1]


def draw_roads(
    data: alt.Data,
    size: Size,
    *,
    groups: tuple[Group, ...],
    box: tuple[float, float, float, float],
    stress: list[float],
) -> alt.LayerChart:
    """Draw the roads to one target.

    Args:
        data: Rows with ``run``, ``name``, ``group``, ``point`` (run, end, start, target), ``step``, ``x``, ``y``.
        size: How large.
        groups: The groups of runs in it.
        box: Middle and extent of the points.
        stress: Cumulative explained stress of the axes.
    """
    scale_x, scale_y = _equal_scales(box, size)
    shares = [
        f" (explains {stress[0]:.0%})" if stress else "",
        f" (with axis 1: {stress[1]:.0%})" if len(stress) > 1 else "",
    ]
    axis = {"tickCount": 4, "format": "~g", "grid": False}
    legend = (
        alt.Legend(title=None, orient="bottom") if size.legend and len(groups) > 1 else None
    )  # one group is named by the title
    colour = alt.Color("group:N", scale=group_scale(groups, [g.colour for g in groups]), legend=legend)
    shape = alt.Shape("group:N", scale=group_scale(groups, [g.shape for g in groups]), legend=legend)
    at = alt.Chart(data).encode(
        x=alt.X("x:Q", scale=scale_x, axis=alt.Axis(title=f"InPCA axis 1{shares[0]}", **axis)),
        y=alt.Y(
            "y:Q", scale=scale_y, axis=alt.Axis(title=f"InPCA axis 2{shares[1]}", minExtent=36, maxExtent=36, **axis)
        ),
    )
    runs = at.transform_filter("datum.point === 'run' || datum.point === 'end'").encode(detail="run:N", order="step:Q")
    ends = at.transform_filter("datum.point === 'end'").encode(color=colour, shape=shape, tooltip="name:N")
    thick = alt.Size("step:Q", scale=alt.Scale(type="symlog", range=[0.3, 3.6]), legend=None)
    start, truth = (at.transform_filter(f"datum.point === '{point}'") for point in ("start", "target"))
    label = {"fontSize": 11, "fontWeight": 600, "color": INK, "dy": -13}
    named = ((start, "start"), (truth, "target"))
    return alt.layer(
        runs.mark_trail().encode(color=colour, size=thick, opacity=fade(0.6)),
        runs.mark_line(strokeWidth=12, opacity=0, cursor="pointer").encode(tooltip="name:N"),
        runs.transform_filter(CHOSEN).mark_line(strokeWidth=3).encode(color=colour),
        ends.mark_point(filled=True, size=48, stroke="white", strokeWidth=0.8).encode(opacity=fade(1)),
        ends.transform_filter(CHOSEN).mark_point(filled=True, size=110, stroke=INK, strokeWidth=1.6, opacity=1),
        start.mark_point(shape="circle", size=90, fill="white", stroke=INK, strokeWidth=1.8, opacity=1),
        truth.mark_point(shape=STAR, size=130, fill=INK, stroke="white", strokeWidth=0.8, opacity=1),
        *(point.mark_text(text=word, **label, **halo) for halo in (HALO, {}) for point, word in named),
    ).properties(width=size.width, height=size.height)


HALO = {"stroke": "white", "strokeWidth": 3, "strokeJoin": "round"}  # drawn first, so that lines do not cross words
STAR = (
    "M0,-1L0.2245,-0.309L0.9511,-0.309L0.3633,0.118L0.5878,0.809"
    "L0,0.382L-0.5878,0.809L-0.3633,0.118L-0.9511,-0.309L-0.2245,-0.309Z"
)
