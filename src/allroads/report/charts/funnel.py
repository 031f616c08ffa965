"""The funnel: how far apart runs are as functions, against their training loss, beside draws of the same loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import altair as alt
import polars as pl

from allroads.report import words
from allroads.report.charts.figure import Drawing, Figure, Panel, Size, number
from allroads.report.grids import Grid
from allroads.report.palette import INK, MUTED, TRAIN
from allroads.report.section import Section
from allroads.report.stored import Stored

LABELS = ("target", "architecture", "explorer")
SPACE = {
    "outputs": "the outputs",
    "probabilities": "the class probabilities",
    "sphere": "the roots of the class probabilities",
}


def figures(stored: Stored, grid: Grid) -> tuple[Figure, ...]:
    """One panel per group of runs, all with the same axes."""
    table = stored.tables["funnel"].filter(pl.col("grid") == grid.name)
    drawn = []
    for group in grid.groups:
        first = group.runs.row(0, named=True)
        part = table.filter(*(pl.col(name) == first[name] for name in LABELS))
        rows = curves(part)
        if not rows.is_empty():
            drawn.append((group, part, rows))
    if not drawn:
        return (Figure("funnel", (), "", absent="No setting of this grid has enough runs in one bin of the loss."),)
    every = pl.concat([rows for _, _, rows in drawn])
    ends = {"loss": limits(every, "loss"), "spread": limits(every, "spread", "low", "high")}
    panels = tuple(
        Panel(group.label, _note(part), (group,), f"funnel-{group.index}", rows, partial(draw_funnel, ends=ends), 200)
        for group, part, rows in drawn
    )
    charts = sorted(set(table["chart"].drop_nulls().to_list()))
    space = " or ".join(SPACE[name] for name in charts)
    caption = (
        f"Mean squared distance of two runs, and of two draws, measured in {space} on the probes, against the training "
        "loss, which falls to the right; where both have a dot at one loss, the lower is the narrower."
    )
    legend = (
        {"kind": "line", "colour": TRAIN, "label": "runs, at their first record in a bin of the loss"},
        {"kind": "dash", "colour": MUTED, "label": "draws of the initialisation"},
        {"kind": "words", "label": "bar: 95 % interval"},
    )
    return (Figure("funnel", panels, caption, legend=legend),)


def curves(part: pl.DataFrame) -> pl.DataFrame:
    """Rows ``who``, ``loss``, ``spread``, ``low``, ``high``, ``members``, ``dimension``, ``ratio``: a point per bin.

    A spread of 0 has no place on a logarithmic axis, and is left out; so is an interval that reaches 0.

    Args:
        part: Rows of one setting.
    """
    found = []
    for who in ("runs", "draws"):
        held = part.filter(pl.col(f"{who}_spread") > 0).sort(f"{who}_loss", descending=True)
        found.append(
            held.select(
                who=pl.lit(who),
                loss=f"{who}_loss",
                spread=f"{who}_spread",
                low=pl.when(pl.col(f"{who}_spread_low") > 0).then(f"{who}_spread_low"),
                high=pl.when(pl.col(f"{who}_spread_low") > 0).then(f"{who}_spread_high"),
                members=who,
                dimension=f"{who}_dimension",
                ratio="ratio",
            )
        )
    return pl.concat(found)


def limits(rows: pl.DataFrame, *names: str) -> tuple[float, float]:
    """Ends of a logarithmic axis: the least and the greatest of some columns, with a tenth more on either side.

    Example:
        >>> limits(pl.DataFrame({"a": [1.0, None], "b": [10.0, 4.0]}), "a", "b")
        (0.9, 11.0)
    """
    values = pl.concat([rows[name].drop_nulls().alias("all") for name in names])
    return 0.9 * number(values.min()), 1.1 * number(values.max())


def _note(part: pl.DataFrame) -> str:
    """The comparison at the least loss where there is one."""
    matched = part.drop_nulls(["ratio_low", "ratio_high"]).sort("bin_low")
    if matched.is_empty():
        return "at no loss enough of both to compare"
    row = matched.row(0, named=True)
    ratio, low, high = (f"{row[name]:+.2f}".replace("-", "−") for name in ("ratio", "ratio_low", "ratio_high"))
    return f"at loss {row['runs_loss']:.2g}: log₂ of runs over draws {ratio} [{low} to {high}]"


def shortfalls(stored: Stored, grids: Sequence[Grid]) -> list[dict[str, Any]]:
    """Settings without a funnel, with the reason."""
    names = [grid.name for grid in grids]
    refused = stored.tables["funnel"].filter(pl.col("reason").is_not_null(), pl.col("grid").is_in(names))
    return [
        words.sentence(f"{row['target']} × {row['architecture']} × {row['explorer']} has no funnel: {row['reason']}")
        for row in refused.to_dicts()
    ]


def draw_funnel(data: alt.Data, size: Size, *, ends: Mapping[str, tuple[float, float]]) -> Drawing:
    """Draw one panel.

    Args:
        data: Rows as :func:`curves` gives them.
        size: How large.
        ends: Of both axes.
    """
    titles = ("training loss", "spread") if size.legend else ("training loss", None)
    x_scale = alt.Scale(type="log", domain=list(ends["loss"]), reverse=True, nice=False)
    y_scale = alt.Scale(type="log", domain=list(ends["spread"]), nice=False)
    x_axis = alt.Axis(title=titles[0], format=".0e", tickCount=4)
    y_axis = alt.Axis(title=titles[1], format=".0e", tickCount=4, grid=True)
    at = alt.Chart(data).encode(
        x=alt.X("loss:Q", scale=x_scale, axis=x_axis),
        y=alt.Y("spread:Q", scale=y_scale, axis=y_axis),
        tooltip=[
            alt.Tooltip("who:N", title="of"),
            alt.Tooltip("members:Q", title="members"),
            alt.Tooltip("loss:Q", format=".3~g"),
            alt.Tooltip("spread:Q", format=".3~g"),
            alt.Tooltip("low:Q", title="95 % interval, from", format=".3~g"),
            alt.Tooltip("high:Q", title="to", format=".3~g"),
            alt.Tooltip("dimension:Q", title="effective dimension", format=".3~g"),
            alt.Tooltip("ratio:Q", title="log₂ of runs over draws", format=".3~g"),
        ],
    )
    layers = []
    for who, colour, dash in (("draws", MUTED, [4, 3]), ("runs", TRAIN, [1, 0])):
        own = at.transform_filter(alt.datum.who == who)
        bars = own.transform_filter("isValid(datum.low)").mark_rule(color=colour, strokeWidth=1.4)
        layers += [
            own.mark_line(color=colour, strokeDash=dash, strokeWidth=1.6).encode(order=alt.Order("loss:Q")),
            bars.encode(y=alt.Y("low:Q", scale=y_scale, axis=y_axis), y2="high:Q"),
            own.mark_point(color=INK, fill=colour, size=34, strokeWidth=0.5, opacity=1),
        ]
    return alt.layer(*layers).properties(width=size.width, height=size.height)


SECTION = Section(
    name="funnel",
    nav="Funnel",
    title="How far apart runs are at each loss",
    link="spread against loss",
    lead="Runs that descend can come together as functions, or move apart. Any ensemble may become narrower where its "
    "loss is lower, since fewer functions have a low loss. So runs stand beside draws of the same loss.",
    figures=figures,
    shortfalls=shortfalls,
)
