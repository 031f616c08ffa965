"""How straight each road was, against how long its run took to learn."""

from __future__ import annotations

import math
from functools import partial

import altair as alt
import polars as pl

from allroads.report.charts.figure import CHOSEN, Figure, Panel, Size, fade, group_scale, median, step_axis
from allroads.report.grids import Grid, Group
from allroads.report.palette import INK, MARKS, MUTED, RULE
from allroads.report.stored import Stored

NEVER = 2.2  # runs that never learned stand at this multiple of the last step, past a rule
FENCE = 1.45
QUANTITIES = {"directness": "chord / arc", "turning": "radians"}


def figures(stored: Stored, grid: Grid) -> tuple[Figure, ...]:
    """Directness and turning, side by side, one dot a run."""
    rows = _rows(grid)
    soonest = rows.filter(pl.col("learned"))["steps"].min() or 0
    first = 10 ** math.floor(math.log10(soonest)) if soonest >= 1 else 0
    panels = []
    for quantity, unit in QUANTITIES.items():
        present = rows.filter(pl.col(quantity).is_not_null())
        if present.is_empty():
            continue
        charts = ", ".join(grid.runs["chart"].drop_nulls().unique().sort())
        title = f"{quantity} ({unit}{'; chart: ' + charts if charts else ''})"
        top = 1.08 if quantity == "directness" else 1.12 * max(float(present[quantity].max()), 1e-3)
        draw = partial(
            draw_scatter, quantity=quantity, title=title, top=top, groups=grid.groups, first=first, last=grid.last_step
        )
        note = f"median {median(present[quantity]):.3g}"
        panels.append(Panel(quantity.capitalize(), note, (), f"straight-{grid.slug}", rows, draw, height=300))
    if not panels:
        absent = "No run of this grid has a directness: every one stopped before its road had a length."
        return (Figure("directness", (), "", absent=absent),)
    caption = (
        "Look for a slope: where roads are direct (near 1) and turn little, runs should learn in few steps; "
        "dots beyond the dashed line never learned within their steps."
    )
    legend = tuple({"kind": "mark", "group": group, "label": group.label} for group in grid.groups)
    if len(legend) > MARKS:
        legend = ({"kind": "words", "label": "point at a dot for its name: there are more groups than marks"},)
    if not rows["learned"].all():
        legend += ({"kind": "hollow", "label": "hollow: never learned"},)
    return (Figure("directness", tuple(panels), caption, legend=legend),)


def _rows(grid: Grid) -> pl.DataFrame:
    parts = [
        grid.runs.filter(pl.col("group") == group.label).with_columns(
            learned=pl.col(group.learned).is_not_null(),
            steps=pl.col(group.learned).cast(pl.Float64).fill_null(NEVER * grid.last_step),
        )
        for group in grid.groups
    ]
    columns = ["run", "name", "group", "learned", "steps", *QUANTITIES]
    return pl.concat([part.select(columns) for part in parts]) if parts else grid.runs.clear()


def draw_scatter(
    data: alt.Data,
    size: Size,
    *,
    quantity: str,
    title: str,
    top: float,
    groups: tuple[Group, ...],
    first: int,
    last: int,
) -> alt.LayerChart:
    """Draw one quantity against the steps to learn.

    Args:
        data: Rows with ``run``, ``name``, ``group``, ``learned``, ``steps`` and the quantity.
        size: How large.
        quantity: The column on the vertical axis.
        title: Of the vertical axis.
        top: Upper end of the vertical axis.
        groups: The groups of runs in it.
        first: Where the horizontal axis begins.
        last: The last step that a run could take.
    """
    x = step_axis(first, last, last * NEVER * 1.4, "steps to learn")
    colours = group_scale(groups, [group.colour for group in groups])
    legend = alt.Legend(title=None, orient="bottom", columns=4, symbolOpacity=1) if size.legend else None
    at = alt.Chart(data).transform_filter(f"isValid(datum.{quantity})")
    dots = at.encode(
        x=alt.X("steps:Q", **x),
        y=alt.Y(f"{quantity}:Q", scale=alt.Scale(domain=[0, top]), axis=alt.Axis(title=title, tickCount=5)),
        fill=alt.Fill("group:N", scale=colours, legend=legend),
        stroke=alt.Stroke("group:N", scale=colours, legend=legend),
        shape=alt.Shape("group:N", scale=group_scale(groups, [g.shape for g in groups]), legend=legend),
        tooltip=["name:N", alt.Tooltip(f"{quantity}:Q", format=".3g")],
    )
    solid = alt.when("datum.learned").then(alt.value(0.75)).otherwise(alt.value(0))
    fence = alt.Chart(alt.Data(values=[{"fence": last * FENCE, "label": "never"}]))
    where = alt.X("fence:Q", **x)
    return alt.layer(
        fence.mark_rule(color=RULE, strokeDash=[4, 3]).encode(x=where),
        fence.mark_text(align="left", dx=5, y=4, baseline="top", color=MUTED, fontSize=11).encode(
            x=where, text="label:N"
        ),
        dots.mark_point(size=56, strokeWidth=1.4, cursor="pointer").encode(opacity=fade(1, 0.2), fillOpacity=solid),
        dots.transform_filter(CHOSEN).mark_point(size=170, strokeWidth=2, opacity=1).encode(stroke=alt.value(INK)),
    ).properties(width=size.width, height=size.height)
