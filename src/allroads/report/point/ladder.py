"""What the learning coefficient depends on: the levels on the way to it, and the parts of its error."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import altair as alt
import polars as pl

from allroads.report.charts.figure import Drawing, Figure, Panel, Size
from allroads.report.palette import INK, RULE
from allroads.report.point.chains import COLOURS, LOCALISATION_ANNEALED, TEMPERATURE_ANNEALED
from allroads.report.point.words import error_parts, number_of

if TYPE_CHECKING:
    from allroads.points.inspection import Inspection

NORMAL = 1.96  # standard errors in half a 95 % interval


def figures(found: Inspection) -> tuple[Figure, ...]:
    """The two ladders, and the parts of the error."""
    return (_ladders(found), _parts(found))


def _ladders(found: Inspection) -> Figure:
    stats = found.llc.stats
    nbeta, gamma = number_of(stats["nbeta"]), number_of(stats["localisation"])
    panels = []
    for name, field, axis, note in (
        (LOCALISATION_ANNEALED, "localisation", "γ, strong to weak", f"at nβ = {nbeta}"),
        (TEMPERATURE_ANNEALED, "nbeta", "nβ, hot to cold", f"at γ = {gamma}"),
    ):
        levels = stats["localisation_anneal" if name == LOCALISATION_ANNEALED else "temperature_anneal"]
        rows = [(getattr(level, field), level.mean, NORMAL * level.standard_error, False) for level in levels]
        rows = [row for row in rows if all(math.isfinite(number) for number in row[:3])]
        if not rows or not math.isfinite(found.llc.value):
            continue
        rows.append((stats[field], found.llc.value, NORMAL * stats["standard_error"], True))
        schema = {"at": pl.Float64, "mean": pl.Float64, "half": pl.Float64, "last": pl.Boolean}
        table = pl.DataFrame(rows, schema=schema, orient="row").with_columns(
            low=pl.col("mean") - pl.col("half"), high=pl.col("mean") + pl.col("half")
        )
        draw = partial(draw_ladder, colour=COLOURS[name], title=axis, falling=name == LOCALISATION_ANNEALED)
        title = name[0].upper() + name[1:] if name == LOCALISATION_ANNEALED else name
        panels.append(Panel(title, note, (), f"ladder-{field}", table, draw, height=230))
    if not panels:
        return Figure(
            "ladder", (), "", absent="There were no finite levels on the way, so there is nothing to compare."
        )
    caption = (
        "Look for a plateau at the right end of each: where the last levels agree with the ring, neither the "
        "localisation nor the temperature decides the answer. Bars are 95 % Monte Carlo intervals."
    )
    return Figure("ladder", tuple(panels), caption)


def _parts(found: Inspection) -> Figure:
    parts = [(name, part) for name, part in error_parts(found) if math.isfinite(part)]
    if not parts:
        return Figure("parts", (), "", absent="No error can be stated for chains that left the finite numbers.")
    table = pl.DataFrame(parts, schema={"part": pl.String, "error": pl.Float64}, orient="row")
    note = f"together ± {number_of(found.llc.error)}, as the root of the sum of their squares"
    draw = partial(draw_parts, order=[name for name, _ in parts])
    caption = (
        "Look at the longest bar: it is what to spend on. Sampling falls with more draws; localisation and temperature "
        "say that the answer still changes with γ or nβ; slope says that the point is not quite a minimum."
    )
    panel = Panel("Parts of the error of λ̂", note, (), "parts", table, draw, height=150)
    return Figure("parts", (panel,), caption)


def draw_ladder(data: alt.Data, size: Size, *, colour: str, title: str, falling: bool) -> Drawing:
    """Draw what was read at each level.

    Args:
        data: Rows with ``at``, ``mean``, ``low``, ``high``, ``last``.
        size: How large.
        colour: Of the line.
        title: Of the horizontal axis.
        falling: Whether the axis runs from large to small.
    """
    scale = alt.Scale(type="log", reverse=falling, nice=False, padding=12)
    x = alt.X("at:Q", scale=scale, axis=alt.Axis(title=title, tickCount=4, format="~e", labelOverlap=True))
    up = alt.Scale(zero=False, padding=8)
    y = alt.Y("mean:Q", scale=up, axis=alt.Axis(title="mean of nβ(L − L*)", tickCount=5))
    tooltip: list[Any] = [alt.Tooltip(f"{name}:Q", format=".4~g") for name in ("at", "mean")]
    base = alt.Chart(data).encode(x=x, tooltip=tooltip)
    dots = base.encode(y=y)
    return alt.layer(
        base.mark_rule(color=colour, strokeWidth=1.4).encode(y=alt.Y("low:Q", scale=up), y2="high:Q"),
        dots.mark_line(color=colour, strokeWidth=1.2),
        dots.mark_point(filled=True, size=30, color=colour, opacity=1),
        dots.transform_filter("datum.last").mark_point(size=120, color=INK, strokeWidth=1.8, opacity=1),
    ).properties(width=size.width, height=size.height)


def draw_parts(data: alt.Data, size: Size, *, order: list[str]) -> Drawing:
    """Draw one bar a part.

    Args:
        data: Rows with ``part``, ``error``.
        size: How large.
        order: Parts from the top.
    """
    y = alt.Y("part:N", sort=order, axis=alt.Axis(title=None, domain=False, ticks=False, grid=False))
    x = alt.X("error:Q", axis=alt.Axis(title="in units of λ̂", tickCount=5, format="~g"))
    at = alt.Chart(data).encode(y=y, x=x)
    return alt.layer(
        at.mark_bar(color=RULE, height=alt.RelativeBandSize(0.62)),
        at.mark_text(align="left", dx=5, color=INK, fontSize=11).encode(text=alt.Text("error:Q", format=".2~g")),
    ).properties(width=size.width, height=size.height)
