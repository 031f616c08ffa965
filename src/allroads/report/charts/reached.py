"""What each explorer reaches: the functions, and the programs, that its runs end at, as bars."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import altair as alt
import polars as pl

from allroads.report.charts.figure import Drawing, Figure, Panel, Size, labelled_rows, number
from allroads.report.grids import Grid, Group
from allroads.report.palette import INK, MUTED
from allroads.report.section import Glance, Section
from allroads.report.stored import Stored

MOST = 8
"""Bars of a panel; what comes more rarely is one bar."""
ROW = 18
"""Pixels of a bar."""
REST = "all others"
LABELS = ("target", "architecture", "explorer")


def figures(stored: Stored, grid: Grid) -> tuple[Figure, ...]:
    """Functions, and programs where they were read: one panel per group, the bars of one target in one order."""
    functions = _functions(stored, grid)
    parts = [
        _figure("reached", grid, functions, "function"),
        _figure("programs-reached", grid, _programs(stored, grid), "program"),
    ]
    drawn = tuple(part for part in parts if part is not None)
    return drawn or (Figure("reached", (), "", absent="No run of this grid has a function that can be read."),)


def _functions(stored: Stored, grid: Grid) -> pl.DataFrame:
    """Rows with ``group``, ``label``, ``count``, ``runs``, ``low``, ``high``, ``right``, ``told`` and ``run``."""
    table = stored.tables["reached"].filter(pl.col("grid") == grid.name)
    groups = grid.runs.select("group", *LABELS).unique(maintain_order=True)
    joined = groups.join(table, on=list(LABELS), maintain_order="left_right")
    right = pl.when(pl.col("right") == 1).then(pl.lit("the target"))
    return joined.select(
        "group",
        "target",
        label=pl.when(pl.col("right") == 1).then(pl.lit("target ") + pl.col("function")).otherwise("function"),
        count="count",
        runs="runs",
        low="low",
        high="high",
        right=pl.col("right") == 1,
        told=right.otherwise(pl.lit("right on ") + (100 * pl.col("right")).round(1).cast(pl.String) + " % of inputs"),
        run="first",
    )


def _programs(stored: Stored, grid: Grid) -> pl.DataFrame:
    """The same of the programs that runs end with; runs without one share a row."""
    if "programs" not in stored.tables:
        return pl.DataFrame()
    rows = stored.tables["programs"].join(grid.runs.select("run", "group", "target"), on="run", maintain_order="left")
    rows = rows.filter(pl.col("group").is_not_null(), pl.col("step") == pl.col("step").max().over("run"))
    numbered = rows.drop_nulls("source").select("target", "source").unique(maintain_order=True)
    numbered = numbered.with_columns(place=pl.int_range(pl.len()).over("target") + 1)
    rows = rows.join(numbered, on=["target", "source"], how="left", maintain_order="left")
    name = pl.format("program {}: {} bits", "place", pl.col("bits").round(0).cast(pl.Int64))
    named = rows.with_columns(
        label=pl.when(pl.col("correct")).then(pl.lit("target, ") + name).otherwise(name).fill_null("none read"),
        told=pl.when(pl.col("source").is_null()).then("why").otherwise(pl.col("source").str.slice(0, 200)),
        runs=pl.len().over("group"),
    )
    found = named.group_by("group", "target", "label", maintain_order=True).agg(
        count=pl.len(),
        runs=pl.col("runs").first(),
        right=pl.col("correct").first().fill_null(False),
        told=pl.col("told").first(),
        run=pl.col("run").first(),
    )
    return found.with_columns(low=pl.lit(None, pl.Float64), high=pl.lit(None, pl.Float64))


def _figure(chart: str, grid: Grid, rows: pl.DataFrame, what: str) -> Figure | None:
    panels = []
    for group in grid.groups:
        own = rows.filter(pl.col("group") == group.label) if rows.width else rows
        if own.is_empty():
            continue
        order = _order(rows.filter(pl.col("target") == group.target))
        shown = _bars(own, order)
        labels = shown.sort("place")["label"].to_list()
        draw = partial(draw_bars, labels=labels, colour=group.colour)
        height = 34 + ROW * len(labels)
        panels.append(Panel(group.label, _note(own, what), (group,), f"{chart}-{group.index}", shown, draw, height))
    if not panels:
        return None
    bars = "Each bar is the share of runs that end at one" if len(panels) > 1 else "Each bar is a share of the runs"
    caption = f"{bars} {what}; panels of one target have their bars in one order, so that explorers can be compared."
    legend = (
        {"kind": "dot", "colour": INK, "label": "filled: the target"},
        {"kind": "hollow", "label": f"hollow: another {what}"},
        {"kind": "words", "label": "line: 95 % interval of the share"},
    )
    return Figure(chart, tuple(panels), caption, legend=legend if what == "function" else legend[:2])


def _order(rows: pl.DataFrame) -> list[str]:
    """The labels of one target, those most often reached first."""
    total = rows.group_by("label", maintain_order=True).agg(pl.col("count").sum())
    most: list[str] = total.sort("count", descending=True, maintain_order=True)["label"].to_list()[:MOST]
    return most


def _bars(own: pl.DataFrame, order: Sequence[str]) -> pl.DataFrame:
    """A row per label of the target that comes here or elsewhere, and one for all others."""
    held = {row["label"]: row for row in own.to_dicts()}
    runs = own["runs"].to_list()[0]
    rows: list[dict[str, Any]] = []
    for place, label in enumerate(order):
        row = held.get(label, {})
        share = row.get("count", 0) / runs
        numbers = {"share": share, "count": row.get("count", 0), "low": row.get("low"), "high": row.get("high")}
        words = {"right": row.get("right", False), "told": row.get("told", "not reached"), "run": row.get("run")}
        rows.append({"place": place, "label": label, "runs": runs, **numbers, **words})
    rest = [row for row in own.to_dicts() if row["label"] not in order]
    if rest:
        count = sum(row["count"] for row in rest)
        words = {"right": False, "told": f"{len(rest)} more", "run": None}
        same = {"place": len(order), "label": REST, "runs": runs, "low": None, "high": None}
        rows.append({**same, "share": count / runs, "count": count, **words})
    schema = {"low": pl.Float64, "high": pl.Float64, "run": pl.String}
    return pl.DataFrame(rows, schema_overrides=schema)


def _note(own: pl.DataFrame, what: str) -> str:
    distinct, runs = own.height, own["runs"].to_list()[0]
    target = int(own.filter("right")["count"].sum())
    return f"{distinct} {what}{'s' if distinct > 1 else ''} of {runs} runs; {target} at the target"


def draw_bars(data: alt.Data, size: Size, *, labels: list[str], colour: str) -> Drawing:
    """Draw one panel.

    Args:
        data: Rows with ``place``, ``label``, ``share``, ``count``, ``runs``, ``low``, ``high``, ``right``, ``told``
            and ``run``.
        size: How large.
        labels: By place.
        colour: Of the group.
    """
    axis = alt.Axis(title="share of runs" if size.legend else None, format=".0%", values=[0, 0.5, 1], grid=True)
    scale = alt.Scale(domain=[0, 1])
    at = alt.Chart(data).encode(
        y=labelled_rows(labels, labelPadding=6),
        tooltip=[
            alt.Tooltip("label:N", title="which"),
            alt.Tooltip("told:N", title="what"),
            alt.Tooltip("count:Q", title="runs"),
            alt.Tooltip("runs:Q", title="of"),
            alt.Tooltip("low:Q", title="share, from", format=".0%"),
            alt.Tooltip("high:Q", title="to", format=".0%"),
        ],
    )
    solid = alt.when("datum.right").then(alt.value(0.9)).otherwise(alt.value(0.2))
    return alt.layer(
        at.mark_bar(height=ROW - 7, color=colour, stroke=colour, strokeWidth=1, cursor="pointer").encode(
            x=alt.X("share:Q", scale=scale, axis=axis), fillOpacity=solid
        ),
        at.transform_filter("isValid(datum.low)")
        .mark_rule(color=MUTED, strokeWidth=1.4)
        .encode(x=alt.X("low:Q", scale=scale, axis=axis), x2="high:Q"),
    ).properties(width=size.width, height=max(size.height - 34, ROW * len(labels)))


def _effective(stored: Stored, group: Group) -> float | None:
    first = group.runs.row(0, named=True)
    same = [pl.col(name) == first[name] for name in ("grid", *LABELS)]
    found = stored.tables["reached"].filter(*same)["effective"].drop_nulls()
    return None if found.is_empty() else number(found.max())


SECTION = Section(
    name="reached",
    nav="Reached",
    title="What each explorer reaches",
    link="functions reached",
    lead="Two runs reach one function where they answer alike on the whole domain, whatever their weights. Few "
    "functions are no sign of the explorer alone: the map can make them probable by itself.",
    figures=figures,
    switch=(("reached", "Functions"), ("programs-reached", "Programs")),
    glances=(Glance("functions, effective", _effective, ".3g"),),
)
