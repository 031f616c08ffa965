"""Learning coefficients along the runs: one line a run, under the learning curves."""

from __future__ import annotations

from functools import partial
from typing import Any

import altair as alt
import polars as pl

from allroads.report.charts.figure import CHOSEN, Drawing, Figure, Panel, Size, fade, inline, median, number, step_axis
from allroads.report.grids import Grid, Group
from allroads.report.palette import INK, RULE
from allroads.report.section import Glance, Section
from allroads.report.stored import Stored

SOUND = ("converged", "ok", "scale-dependent")
"""Statuses of a number that may be read, with its error."""
SIDES = (0.05, 0.95)  # quantiles of the numbers that set the vertical axis
ROOM = 1.5  # of their range, beyond which numbers are drawn at the edge


def figures(stored: Stored, grid: Grid) -> tuple[Figure, ...]:
    """One panel a group."""
    tables = [(group, _rows(stored, group)) for group in grid.groups]
    tables = [(group, rows) for group, rows in tables if not rows.is_empty()]
    if not tables:
        return (Figure("llc", (), "", absent="No learning coefficient was stored for this grid."),)
    domain = _domain(pl.concat([rows for _, rows in tables]))
    height = 110 if len(tables) > 2 else 170
    panels = tuple(
        Panel(
            group.label,
            _note(rows),
            (group,),
            f"llc-{group.index}",
            grid.singles(rows),
            partial(draw_coefficients, group=group, domain=domain, last=grid.last_step),
            height,
        )
        for group, rows in tables
    )
    caption = (
        "Look for plateaus and for falls and rises between them, and hold their steps against the curves above. Only "
        "filled dots are learning coefficients; a hollow one is the mean excess loss around a checkpoint, times nβ, "
        "and lies below zero where lower loss is near."
    )
    stage = {"kind": "start", "label": "a new stage begins"}
    legend = (
        {"kind": "dot", "colour": INK, "label": "converged, ok or scale-dependent, with its error"},
        {"kind": "hollow", "label": "any other status"},
        *([stage] if any(rows["stage"].any() for _, rows in tables) else []),
        {"kind": "dash", "colour": RULE, "label": "zero"},
    )
    return (Figure("llc", panels, caption, legend=legend),)


def _rows(stored: Stored, group: Group) -> pl.DataFrame:
    runs = group.runs.select("run", name=pl.lit(f"{group.label} · seed ") + pl.col("seed").cast(pl.String))
    measured = stored.tables["llc"]
    if "ended" not in measured.columns:  # an earlier allroads measured without a budget
        measured = measured.with_columns(ended=pl.lit(None, pl.String))
    table = runs.join(measured, on="run", maintain_order="left_right").filter(pl.col("value").is_not_null())
    sound = pl.col("status").is_in(SOUND)
    return table.with_columns(
        sound=sound,
        low=pl.when(sound).then(pl.col("value") - pl.col("error")),
        high=pl.when(sound).then(pl.col("value") + pl.col("error")),
    )


def _domain(rows: pl.DataFrame) -> list[float]:
    """Ends of the vertical axis: zero, every sound number, and most of the others."""
    low, high = (number(rows["value"].quantile(side, "nearest")) for side in SIDES)
    room = ROOM * (high - low)
    sound = rows.filter("sound")
    low, high = max(low - room, number(rows["value"].min())), min(high + room, number(rows["value"].max()))
    if not sound.is_empty():
        low, high = min(low, number(sound["low"].min())), max(high, number(sound["high"].max()))
    low, high = min(low, 0.0), max(high, 0.0)
    return [low, high] if high > low else [low, low + 1.0]


def _note(rows: pl.DataFrame) -> str:
    counts = rows["status"].value_counts().sort("count", "status", descending=[True, False])
    said = ", ".join(f"{count} {status}" for status, count in counts.iter_rows())
    short = rows.filter(pl.col("ended") == "budget").height
    return said + (f"\n{short} of {rows.height} ended by the budget" if short else "")


def draw_coefficients(data: alt.Data, size: Size, *, group: Group, domain: list[float], last: int) -> Drawing:
    """Draw one panel.

    Args:
        data: Rows with ``run``, ``name``, ``step``, ``value``, ``error``, ``status``, ``ended``, ``stage``, ``sound``,
            ``low``, ``high``.
        size: How large.
        group: The runs.
        domain: Of the vertical axis.
        last: The last step of the horizontal axis.
    """
    scale = alt.Scale(domain=domain, clamp=True, nice=True)
    y = alt.Y(
        "value:Q",
        scale=scale,
        axis=alt.Axis(title="learning coefficient" if size.legend else None, tickCount=4, format="~g"),
    )
    numbers = [
        alt.Tooltip("value:Q", title="λ̂", format=".3~g"),
        alt.Tooltip("error:Q", title="±", format=".2~g"),
        alt.Tooltip("ended:N", title="ended by"),
    ]
    at = alt.Chart(data).encode(
        x=alt.X("step:Q", **step_axis(0, last, last, "step")),
        y=y,
        detail="run:N",
        tooltip=["name:N", alt.Tooltip("step:Q", format=",d"), "status:N", *numbers],
    )
    zero = alt.Chart(inline({"value": 0})).mark_rule(color=RULE, strokeDash=[4, 3]).encode(y=y)
    dots: dict[str, Any] = {"size": 30, "strokeWidth": 1.2, "stroke": group.colour}
    sound, other = (at.transform_filter(f"{no}datum.sound") for no in ("", "!"))
    return alt.layer(
        zero,
        at.mark_line(strokeWidth=1.1, color=group.colour).encode(opacity=fade(0.6)),
        at.mark_line(strokeWidth=12, opacity=0, cursor="pointer"),
        at.transform_filter(CHOSEN).mark_line(strokeWidth=2.8, color=group.colour),
        at.transform_filter("datum.stage")
        .mark_point(shape="circle", size=130, fill="white", stroke=INK, strokeWidth=1.2)
        .encode(opacity=fade(1)),
        sound.mark_rule(color=group.colour, strokeWidth=1.2).encode(
            y=alt.Y("low:Q", scale=scale), y2="high:Q", opacity=fade(0.8)
        ),
        sound.mark_point(shape="circle", fill=group.colour, **dots).encode(opacity=fade(1)),
        other.mark_point(shape="circle", fill="white", **dots).encode(opacity=fade(1)),
    ).properties(width=size.width, height=size.height)


def _last(stored: Stored, group: Group) -> float | None:
    """Median of the sound coefficients of the last points."""
    rows = _rows(stored, group)
    return median(rows.filter((pl.col("step") == pl.col("step").max().over("run")) & pl.col("sound"))["value"])


SECTION = Section(
    name="llc",
    nav="Degeneracy",
    title="Degeneracy along the runs",
    link="learning coefficients",
    lead="The local learning coefficient λ̂ of each checkpoint counts, in halves of a parameter, how many directions "
    "the loss feels there: the lower, the more degenerate the point. Where it falls or rises in stages, the run "
    "reorganises itself. The steps are those of the learning curves above.",
    figures=figures,
    glances=(Glance("λ̂ at the end", _last, ".3g"),),
    trust=("llc", "How far to trust the learning coefficients"),
)
