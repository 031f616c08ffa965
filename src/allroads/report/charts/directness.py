"""How straight each road was, against the steps that its run took to fit its training examples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import altair as alt
import polars as pl

from allroads.report import words
from allroads.report.charts.figure import (
    CHOSEN,
    Drawing,
    Figure,
    Panel,
    Size,
    fade,
    group_scale,
    inline,
    median,
    number,
    step_axis,
)
from allroads.report.grids import Grid, Group
from allroads.report.palette import INK, MARKS, MUTED, RULE
from allroads.report.section import Column, Glance, Section
from allroads.report.stored import Stored

LEARNED = "steps_to_fit"  # the variable of the finding that links here
NEVER = 2.2  # runs that never fitted stand at this multiple of the last step, past a rule
FENCE = 1.45
QUANTITIES = {"directness": "chord / arc", "turning": "radians"}


def figures(stored: Stored, grid: Grid) -> tuple[Figure, ...]:
    """Directness and turning, one dot a run."""
    rows = _rows(grid)
    soonest = number(rows.filter(pl.col("learned"))["steps"].min() or 0)
    first = 10 ** math.floor(math.log10(soonest)) if soonest >= 1 else 0
    drawn = {}
    for quantity, unit in QUANTITIES.items():
        present = rows.filter(pl.col(quantity).is_not_null())
        if present.is_empty():
            continue
        charts = ", ".join(grid.runs["chart"].drop_nulls().unique().sort())
        axis = f"{quantity} ({unit})"
        top = 1.08 if quantity == "directness" else 1.12 * max(number(present[quantity].max()), 1e-3)
        draw = partial(
            draw_scatter, quantity=quantity, title=axis, top=top, groups=grid.groups, first=first, last=grid.last_step
        )
        note = f"median {median(present[quantity]):.3g}{', chart ' + charts if charts else ''}"
        marks = grid.groups if len(grid.groups) == 1 else ()
        title = grid.groups[0].label if marks else f"{quantity.capitalize()} of {len(grid.groups)} groups"
        drawn[quantity] = Panel(title, note, marks, f"straight-{grid.slug}", grid.singles(rows), draw, height=165)
    if not drawn:
        absent = "No run of this grid has a directness: every one stopped before its road had a length."
        return (Figure("directness", (), "", absent=absent),)
    caption = (
        "Each dot is one run; a slope says that straighter roads took fewer, or more, steps. Dots beyond the dashed "
        "line never fitted their training examples."
    )
    groups = grid.groups if len(grid.groups) > 1 else ()
    legend: tuple[dict[str, Any], ...] = tuple({"kind": "mark", "group": g, "label": g.label} for g in groups)
    if len(legend) > MARKS:
        legend = ({"kind": "words", "label": "point at a dot for its name: there are more groups than marks"},)
    if not rows["learned"].all():
        legend += ({"kind": "hollow", "label": "hollow: never fitted"},)
    return tuple(Figure(quantity, (panel,), caption, legend=legend) for quantity, panel in drawn.items())


def _rows(grid: Grid) -> pl.DataFrame:
    never = NEVER * grid.last_step
    return grid.runs.with_columns(
        learned=pl.col(LEARNED).is_not_null(),
        steps=pl.col(LEARNED).cast(pl.Float64).fill_null(never),
    ).select("run", "name", "group", "learned", "steps", *QUANTITIES)


def shortfalls(stored: Stored, grids: Sequence[Grid]) -> list[dict[str, Any]]:
    """Runs without a directness."""
    missing = (pl.col("status") == "ok") & pl.col("directness").is_null()
    return [
        words.sentence(f"{runs.height} of {grid.runs.height} runs of {grid.name} have no directness:", runs)
        for grid in grids
        if (runs := grid.runs.filter(missing)).height
    ]


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
) -> Drawing:
    """Draw one quantity against the steps to fit.

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
    x = step_axis(first, last, last * NEVER * 1.4, "steps to fit")
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
    fence = alt.Chart(inline({"fence": last * FENCE, "label": "never"}))
    where = alt.X("fence:Q", **x)
    return alt.layer(
        fence.mark_rule(color=RULE, strokeDash=[4, 3]).encode(x=where),
        fence.mark_text(align="left", dx=5, y=4, baseline="top", color=MUTED, fontSize=11).encode(
            x=where, text="label:N"
        ),
        dots.mark_point(size=56, strokeWidth=1.4, cursor="pointer").encode(opacity=fade(1, 0.2), fillOpacity=solid),
        dots.transform_filter(CHOSEN).mark_point(size=170, strokeWidth=2, opacity=1).encode(stroke=alt.value(INK)),
    ).properties(width=size.width, height=size.height)


SECTION = Section(
    name="directness",
    nav="Directness",
    title="Directness and turning",
    link="directness and turning",
    lead="Directness is the straight distance from a road’s start to its end, divided by its length: 1 is straight, "
    "near 0 winding. Turning adds up the changes of direction; a full circle is 6.28 radians.",
    figures=figures,
    columns=(
        Column("directness", "directness", ".3f", "chord / arc of the road; 1 is straight"),
        Column("turning", "turning", ".2f", "total turning of the road, in radians"),
    ),
    shortfalls=shortfalls,
    switch=(("directness", "Directness"), ("turning", "Turning")),
    glances=(
        Glance("directness", lambda stored, group: median(group.runs["directness"]), ".2f"),
        Glance("turning", lambda stored, group: median(group.runs["turning"]), ".3g"),
    ),
)
