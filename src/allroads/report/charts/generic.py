"""A measure without charts of its own: its numbers as dots, lines or a histogram."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import altair as alt
import numpy as np
import polars as pl

from allroads.report.charts.figure import (
    CHOSEN,
    Drawing,
    Figure,
    Panel,
    Size,
    fade,
    group_scale,
    median,
    number,
    step_axis,
)
from allroads.report.grids import Grid, Group
from allroads.report.palette import INK, TRAIN
from allroads.report.section import Column, Section
from allroads.report.stored import Stored

MOST_BINS = 30


def generic_section(measure: Mapping[str, Any]) -> Section:
    """The section of a measure.

    Args:
        measure: What the summary says of it: ``name``, ``scope``, ``table``, ``columns``, ``along``.
    """
    name = str(measure["name"])
    title = name.replace("_", " ")
    per_run = measure["columns"] if measure["scope"] == "run" else []
    quantities = ", ".join([*measure["columns"], *measure.get("along", [])]) or "nothing"
    where = f"tables/{measure['table'] or 'runs'}.parquet"
    return Section(
        name=name,
        nav=title.capitalize(),
        title=title.capitalize(),
        link=f"charts of {title}",
        lead=f"What this measure gave for each {measure['scope']}: {quantities}. All of it is in {where}.",
        figures=partial(figures, measure=measure),
        columns=tuple(Column(column, column.replace("_", " "), ".4g") for column in per_run),
    )


def figures(stored: Stored, grid: Grid, *, measure: Mapping[str, Any]) -> tuple[Figure, ...]:
    """Dots by group for numbers per run, lines for numbers along a run, histograms for all others."""
    panels = []
    if measure["scope"] == "run":
        panels += [_dots(grid, measure, column) for column in _numeric(grid.runs, measure["columns"])]
        curves = grid.runs.select("run", "name", "group").join(stored.curves, on="run", maintain_order="left_right")
        panels += [_lines(grid, measure, column, curves) for column in _numeric(curves, measure.get("along", []))]
    else:
        rows = _rows(stored.tables[measure["table"]], grid) if measure["table"] else pl.DataFrame()
        panels += [_histogram(grid, measure, column, rows) for column in _numeric(rows, measure["columns"])]
    name = str(measure["name"])
    absent = f"No number of {name.replace('_', ' ')} was stored for this grid."
    caption = "Each dot or line is one run, in the colour of its group; a histogram counts rows of the table."
    return (Figure(name, tuple(panels), caption if panels else "", absent="" if panels else absent),)


def _numeric(table: pl.DataFrame, columns: list[str]) -> list[str]:
    """The columns that hold at least one number."""
    held = [column for column in columns if column in table.columns and table[column].is_not_null().any()]
    return [column for column in held if table[column].dtype.is_numeric()]


def _rows(table: pl.DataFrame, grid: Grid) -> pl.DataFrame:
    """The rows that belong to a grid, as far as the table says so."""
    if "grid" in table.columns:
        return table.filter(pl.col("grid") == grid.name)
    if "run" in table.columns:
        return table.filter(pl.col("run").is_in(grid.runs["run"].implode()))
    return table


def _panel(
    grid: Grid, measure: Mapping[str, Any], column: str, rows: pl.DataFrame, draw: Any, height: int, shown: pl.DataFrame
) -> Panel:
    key = f"{measure['name']}-{grid.slug}-{column}"
    middle = median(rows[column])
    return Panel(
        column.replace("_", " "), "" if middle is None else f"median {middle:.3g}", (), key, shown, draw, height
    )


def _dots(grid: Grid, measure: Mapping[str, Any], column: str) -> Panel:
    rows = grid.runs.select("run", "name", "group", column).drop_nulls()
    draw = partial(draw_dots, column=column, groups=grid.groups, domain=ends_of(rows[column]))
    return _panel(grid, measure, column, rows, draw, 60 + 22 * len(grid.groups), grid.singles(rows))


def _lines(grid: Grid, measure: Mapping[str, Any], column: str, curves: pl.DataFrame) -> Panel:
    rows = curves.select("run", "name", "group", "step", column).drop_nulls()
    draw = partial(draw_lines, column=column, groups=grid.groups, last=grid.last_step)
    return _panel(grid, measure, column, rows, draw, 240, grid.singles(rows))


def _histogram(grid: Grid, measure: Mapping[str, Any], column: str, rows: pl.DataFrame) -> Panel:
    values = rows[column].drop_nulls().cast(pl.Float64)
    return _panel(grid, measure, column, rows, partial(draw_histogram, column=column), 220, bins(values))


def bins(values: pl.Series) -> pl.DataFrame:
    """How many of some numbers lie in each bin, ``low`` to ``high``, of a round width; at most ``MOST_BINS`` bins.

    Example:
        >>> bins(pl.Series([0.0, 1.0, 1.5, 9.0])).filter(pl.col("count") > 0).rows()
        [(0.0, 0.5, 1), (1.0, 1.5, 1), (1.5, 2.0, 1), (9.0, 9.5, 1)]
    """
    low, high = number(values.min()), number(values.max())
    power = 10.0 ** math.floor(math.log10(max(high - low, abs(high), 1e-300) / MOST_BINS))
    width = next(width for fold in (1, 2, 5, 10, 20) if (high - low) / (width := fold * power) <= MOST_BINS - 2)
    first = math.floor(low / width)
    edges = width * np.arange(first, max(math.floor(high / width), first) + 2)
    counts, _ = np.histogram(values.to_numpy(), edges)
    return pl.DataFrame({"low": edges[:-1], "high": edges[1:], "count": counts})


def ends_of(values: pl.Series) -> list[float]:
    """Smallest and largest of some numbers, as ends of an axis.

    Example:
        >>> ends_of(pl.Series([2.0, 1.0])), ends_of(pl.Series([3.0]))
        ([1.0, 2.0], [2.0, 4.0])
    """
    low, high = number(values.min()), number(values.max())
    return [low, high] if high > low else [low - 1.0, high + 1.0]


def draw_dots(data: alt.Data, size: Size, *, column: str, groups: tuple[Group, ...], domain: list[float]) -> Drawing:
    """Draw one number per run, a line of dots per group.

    Args:
        data: Rows with ``run``, ``name``, ``group`` and the number.
        size: How large.
        column: The number.
        groups: The groups of runs in it.
        domain: Ends of the axis, before they are rounded.
    """
    order = [group.label for group in groups]
    colour = alt.Color("group:N", scale=group_scale(groups, [group.colour for group in groups]), legend=None)
    dots = (
        alt.Chart(data)
        .mark_point(filled=True, size=56, cursor="pointer")
        .encode(
            x=alt.X(f"{column}:Q", scale=alt.Scale(domain=domain, nice=True), title=column.replace("_", " ")),
            y=alt.Y("group:N", sort=order, title=None, axis=alt.Axis(labelLimit=300)),
            color=colour,
            tooltip=["name:N", alt.Tooltip(f"{column}:Q", format=".4~g")],
        )
    )
    chosen = dots.transform_filter(CHOSEN).mark_point(filled=True, size=150, stroke=INK, strokeWidth=1.6, opacity=1)
    return alt.layer(dots.encode(opacity=fade(0.8)), chosen).properties(width=size.width, height=size.height)


def draw_lines(data: alt.Data, size: Size, *, column: str, groups: tuple[Group, ...], last: int) -> Drawing:
    """Draw one number along the steps, a line per run.

    Args:
        data: Rows with ``run``, ``name``, ``group``, ``step`` and the number.
        size: How large.
        column: The number.
        groups: The groups of runs in it.
        last: The last step.
    """
    colour = alt.Color("group:N", scale=group_scale(groups, [group.colour for group in groups]), legend=None)
    lines = (
        alt.Chart(data)
        .mark_line(strokeWidth=1.2)
        .encode(
            x=alt.X("step:Q", **step_axis(0, last, last, "step")),
            y=alt.Y(f"{column}:Q", scale=alt.Scale(zero=False), title=column.replace("_", " ")),
            detail="run:N",
            color=colour,
            tooltip="name:N",
        )
    )
    wide = lines.mark_line(strokeWidth=12, opacity=0, cursor="pointer")
    chosen = lines.transform_filter(CHOSEN).mark_line(strokeWidth=2.8)
    return alt.layer(lines.encode(opacity=fade(0.65)), wide, chosen).properties(width=size.width, height=size.height)


def draw_histogram(data: alt.Data, size: Size, *, column: str) -> Drawing:
    """Draw how often each value occurs.

    Args:
        data: Rows of :func:`bins`.
        size: How large.
        column: The number.
    """
    bars = (
        alt.Chart(data)
        .mark_bar(color=TRAIN)
        .encode(
            x=alt.X("low:Q", bin="binned", title=column.replace("_", " ")),
            x2="high:Q",
            y=alt.Y("count:Q", title="rows"),
            tooltip=["low:Q", "high:Q", alt.Tooltip("count:Q", title="rows")],
        )
    )
    return alt.layer(bars).properties(width=size.width, height=size.height)
