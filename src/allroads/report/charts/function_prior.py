"""P(f) at the initialisation against the complexity of f, with the bound, and the functions that runs end at."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import altair as alt
import polars as pl

from allroads.report.charts.figure import Drawing, Figure, Panel, Size, inline, number
from allroads.report.charts.roads import STAR
from allroads.report.grids import Grid
from allroads.report.palette import HELD_OUT, INK, MUTED, RULE
from allroads.report.section import Section
from allroads.report.stored import Stored

WORDS = {
    "lz76": "complexity (LZ76)",
    "formula_any": "gates of the shortest formula",
    "formula_and_or": "gates of the shortest formula of and, or",
    "circuit_size": "gates of the smallest circuit",
    "dnf_terms": "terms of the shortest normal form",
    "walsh_degree": "degree",
    "walsh_l1": "sum of absolute Walsh coefficients",
    "total_influence": "average sensitivity",
    "max_sensitivity": "largest sensitivity",
}


def figures(stored: Stored, grid: Grid) -> tuple[Figure, ...]:
    """One panel per target and architecture."""
    table = stored.tables["function_prior"].filter(pl.col("grid") == grid.name)
    panels = []
    keys = ["target", "architecture"]
    several = table["architecture"].n_unique() > 1
    for place, part in enumerate(table.partition_by(keys, maintain_order=True)):
        rows = part.drop_nulls(["probability", "complexity"])
        if rows.is_empty():
            continue
        first = rows.row(0, named=True)
        shown = rows.select(
            "function",
            "complexity",
            "count",
            "samples",
            "low",
            "high",
            "reached",
            "runs",
            target="target_function",
            drawn=pl.col("count") > 0,
            probability=pl.when(pl.col("count") > 0).then("probability").otherwise("high"),
        )
        floor = number(shown.select(pl.min_horizontal(pl.col("probability").min(), 1 / pl.col("samples").max())).item())
        draw = partial(
            draw_prior,
            slope=first["slope"],
            last=number(shown["complexity"].max()),
            floor=floor / 3,
            title=WORDS.get(first["by"], str(first["by"])),
        )
        name = f"{first['target']} · {first['architecture']}" if several else str(first["target"])
        panels.append(Panel(name, _note(shown, first["slope"]), (), f"prior-{grid.slug}-{place}", shown, draw, 200))
    if not panels:
        absent = "P(f) is measured for Boolean targets whose inputs are all there; this grid has none."
        return (Figure("prior", (), "", absent=absent),)
    caption = (
        "Each dot is a function: how often a network drawn at random computes it, against its complexity; the line is "
        "the published bound 2^(−aK), with a the number of inputs over the largest complexity."
    )
    legend = (
        {"kind": "dot", "colour": HELD_OUT, "label": "runs end there"},
        {"kind": "hollow", "label": "no run ends there"},
        {"kind": "truth", "label": "the target"},
        {"kind": "dash", "colour": RULE, "label": "bound 2^(−aK)"},
        {"kind": "words", "label": "triangle: never drawn, at the upper end of its interval"},
    )
    return (Figure("prior", tuple(panels), caption, legend=legend),)


def _note(rows: pl.DataFrame, slope: float | None) -> str:
    ends, drawn = int(rows["reached"].sum()), int(rows.filter("drawn").height)
    never = int(rows.filter(~pl.col("drawn"))["reached"].sum())
    samples = rows["samples"].to_list()[0]
    text = f"{drawn} functions of {samples:,} draws; {never} of {ends} runs end at one never drawn"
    if slope is None:
        return text
    above = rows.filter("drawn", pl.col("low") > 2.0 ** (-slope * pl.col("complexity"))).height
    return f"{text}; {above} have their interval above the bound"


def draw_prior(data: alt.Data, size: Size, *, slope: float | None, last: float, floor: float, title: str) -> Drawing:
    """Draw one panel.

    Args:
        data: Rows with ``function``, ``complexity``, ``probability``, ``low``, ``high``, ``count``, ``drawn``,
            ``reached``, ``runs`` and ``target``.
        size: How large.
        slope: a of the bound; ``None`` for no bound.
        last: The largest complexity.
        floor: Lower end of the vertical axis.
        title: Of the horizontal axis.
    """
    scale = alt.Scale(type="log", domain=[floor, 1], clamp=True)
    y_axis = alt.Axis(title="P(f)" if size.legend else None, format=".0e", tickCount=4, grid=True)
    x_scale = alt.Scale(domain=[0, max(last * 1.05, 1)])
    x = alt.X("complexity:Q", scale=x_scale, axis=alt.Axis(title=title))
    at = alt.Chart(data).encode(
        x=x,
        y=alt.Y("probability:Q", scale=scale, axis=y_axis),
        tooltip=[
            "function:N",
            alt.Tooltip("complexity:Q", format=".4~g"),
            alt.Tooltip("count:Q", title="drawn", format=",d"),
            alt.Tooltip("low:Q", title="P(f), from", format=".2~e"),
            alt.Tooltip("high:Q", title="to", format=".2~e"),
            alt.Tooltip("reached:Q", title="runs that end there"),
            alt.Tooltip("runs:Q", title="of"),
        ],
    )
    dots: dict[str, Any] = {"size": 34, "strokeWidth": 1.1}
    never, drawn = at.transform_filter("!datum.drawn"), at.transform_filter("datum.drawn")
    layers = [
        drawn.transform_filter("datum.reached === 0").mark_point(color=MUTED, opacity=0.6, **dots),
        drawn.transform_filter("datum.reached > 0")
        .mark_rule(color=HELD_OUT, strokeWidth=1.2)
        .encode(y=alt.Y("low:Q", scale=scale, axis=y_axis), y2="high:Q"),
        drawn.transform_filter("datum.reached > 0").mark_point(fill=HELD_OUT, color=HELD_OUT, opacity=0.9, **dots),
        never.mark_point(shape="triangle-down", color=HELD_OUT, fill=HELD_OUT, fillOpacity=0.4, **dots),
        at.transform_filter("datum.target").mark_point(shape=STAR, size=150, fill=INK, stroke="white", opacity=1),
    ]
    if slope is not None:
        line = alt.Chart(inline(*bound_ends(slope, last * 1.05, floor)))
        line = line.mark_line(color=RULE, strokeDash=[4, 3], strokeWidth=1.5)
        layers.insert(0, line.encode(x=alt.X("k:Q", scale=x_scale), y=alt.Y("bound:Q", scale=scale)))
    return alt.layer(*layers).properties(width=size.width, height=size.height)


def bound_ends(slope: float, last: float, floor: float) -> tuple[dict[str, float], dict[str, float]]:
    """The ends of the line ``2^(−a K)``: at K = 0, and at the last K or where the line meets the floor before.

    Args:
        slope: a.
        last: The largest K.
        floor: The lowest probability of the chart.

    Example:
        >>> bound_ends(1.0, 9.0, 0.25)[1], bound_ends(1.0, 1.0, 0.25)[1]
        ({'k': 2.0, 'bound': 0.25}, {'k': 1.0, 'bound': 0.5})
    """
    end = min(last, -math.log2(floor) / slope)
    return {"k": 0.0, "bound": 1.0}, {"k": end, "bound": 2.0 ** (-slope * end)}


SECTION = Section(
    name="function_prior",
    nav="Prior",
    title="How probable the functions are at random",
    link="probability against complexity",
    lead="P(f) is the share of networks drawn from the initialisation that compute f. A neutral explorer "
    "ends at the functions that fit its examples in proportion to P(f).",
    figures=figures,
)
