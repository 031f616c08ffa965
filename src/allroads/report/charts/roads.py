"""Roads in function space: each run as a curve in the InPCA picture of its target."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import altair as alt
import polars as pl

from allroads.report.charts.figure import CHOSEN, ROOMY, Drawing, Figure, Panel, Size, fade, group_scale, median, number
from allroads.report.grids import Grid, Group
from allroads.report.palette import INK, MUTED
from allroads.report.section import Column, Glance, Section
from allroads.report.stored import Stored

DASH = [3, 2.5]
NOTHING = pl.DataFrame(schema={"grid": pl.String, "target": pl.String})
MARGIN = 0.08  # free share of the larger side around the points


def figures(stored: Stored, grid: Grid) -> tuple[Figure, ...]:
    """One panel a target."""
    table = stored.tables.get("embedding", NOTHING).filter(pl.col("grid") == grid.name)
    judged = grid.runs["certified_share"].is_not_null().any()
    panels = []
    for target in dict.fromkeys(group.target for group in grid.groups) if not table.is_empty() else ():
        groups = tuple(group for group in grid.groups if group.target == target)
        rows = _rows(table.filter(pl.col("target") == target), stored.curves, grid, judged)
        if rows.filter(pl.col("point") == "run").is_empty():
            continue
        stress = explained_stress(table.filter(pl.col("target") == target))
        draw = partial(draw_roads, groups=groups, box=_box(rows), stress=stress, last=grid.last_step)
        key, shown = f"roads-{groups[0].index}", grid.singles(rows)
        panels.append(Panel(target, _note(groups, stress), groups, key, shown, draw, height=120))
    if len(panels) == 1:
        panels = [replace(panels[0], height=260)]
    if not panels:
        absent = "No road was embedded for this grid: a picture of function space needs at least one run that moved."
        return (Figure("roads", (), "", absent=absent),)
    legend = ({"kind": "start", "label": "start: ignorance"}, {"kind": "truth", "label": "target: the truth"})
    legend += _stretch_legend(judged)
    return (Figure("roads", tuple(panels), _caption(grid, judged), legend=legend, own_scales=("color", "shape")),)


def explained_stress(points: pl.DataFrame) -> list[float]:
    """Cumulative explained stress of the first axes of one target; empty where it was not measured."""
    shares = points.select("explained_x", "explained_y", "explained_z").drop_nulls()
    return [] if shares.is_empty() else [float(share) for share in shares.row(0)]


def _note(groups: tuple[Group, ...], stress: list[float]) -> str:
    """Of the median run, the share certified and the number of stages; and how much of the distances is drawn."""
    share, count = (median(pl.concat([g.runs[name] for g in groups])) for name in ("certified_share", "stages"))
    said = [] if share is None else [f"{share:.0%} certified"]
    said += [] if count is None else [f"{count:g} stage{'' if count == 1 else 's'}"]
    return "\n".join([", ".join(said)] * bool(said) + [f"{stress[1]:.0%} of stress kept"] * (len(stress) > 1))


def _stretch_legend(judged: bool) -> tuple[dict[str, Any], ...]:
    solid = {"kind": "line", "colour": MUTED, "label": "solid: certified"}
    dashed = {"kind": "dash", "colour": MUTED, "label": "dashed: not certified"}
    return (solid, dashed) if judged else ()


def _caption(grid: Grid, judged: bool) -> str:
    caption = (
        "Each line is one run, from the ring (a guess that knows nothing) towards the star (every answer right); it "
        "grows thicker as training goes on. Lines that share a road learned the same way."
    )
    if judged:
        return caption + (
            " On solid stretches the loss on the probes must fall, because they head straight enough for the target; "
            "of dashed ones nothing is said."
        )
    if "not applicable" in set(grid.runs["certified_status"]):
        return caption + " In this chart of function space no stretch can be certified, so none is marked."
    return caption


def _rows(table: pl.DataFrame, curves: pl.DataFrame, grid: Grid, judged: bool) -> pl.DataFrame:
    names = grid.runs.select("run", "group", "name")
    last = (pl.col("point") == "run") & (pl.col("step") == pl.col("step").max().over("run"))
    points = (
        table.join(names, on="run", how="left", maintain_order="left")
        .filter((pl.col("point") != "run") | pl.col("name").is_not_null())
        .filter(pl.col("x").is_not_null() & pl.col("y").is_not_null())
        .with_columns(point=pl.when(last).then(pl.lit("end")).otherwise(pl.col("point")))
        .join(_stretches(table, curves), on=["run", "step"], how="left", maintain_order="left")
        .with_columns(certified=pl.col("certified") if judged else pl.lit(True))
    )
    roads = pl.col("point").is_in(["run", "end"])
    return pl.concat([points.filter(~roads), in_pieces(points.filter(roads))], how="diagonal").select(
        "run", "name", "group", "point", "step", "x", "y", "piece", "certified", "mark", "across"
    )


def _stretches(table: pl.DataFrame, curves: pl.DataFrame) -> pl.DataFrame:
    """Of every drawn record: whether all that was recorded since the one drawn before is certified or holds a joint."""
    drawn = table.filter(pl.col("point") == "run").select("run", "step", drawn="step").sort("step")
    recorded = curves.select("run", "step", "certified", "joint").sort("step")
    found = recorded.join_asof(drawn, on="step", by="run", strategy="forward", check_sortedness=False)
    return found.group_by("run", pl.col("drawn").alias("step"), maintain_order=True).agg(
        pl.col("certified").fill_null(False).all(), pl.col("joint").fill_null(False).any()
    )


def in_pieces(points: pl.DataFrame) -> pl.DataFrame:
    """Split each run into pieces that are certified throughout or not at all.

    Where one piece ends and the next begins, the record is there twice: a line is drawn a piece.

    Args:
        points: ``run``, ``step``, ``x``, ``y``, ``certified`` (of the stretch that ends there) and ``joint``, by step
            within a run.

    Returns:
        The same with ``piece`` (its number), ``mark`` (``joint``; ``seam`` where pieces meet; else empty) and
        ``across`` (degrees by which a horizontal stroke is turned, clockwise, to cross the road there).
    """

    def ahead(column: pl.Expr) -> pl.Expr:
        return column.shift(-1).over("run")

    def behind(column: pl.Expr) -> pl.Expr:
        return column.shift(1).over("run")

    certified, piece = pl.col("certified"), pl.col("piece")
    first = pl.int_range(pl.len()).over("run") == 0
    dx, dy = (ahead(c).fill_null(c) - behind(c).fill_null(c) for c in (pl.col("x"), pl.col("y")))
    runs = (
        # The first record ends no stretch; it is of the piece that begins there.
        points.with_columns(certified=pl.when(first).then(ahead(certified)).otherwise(certified).fill_null(False))
        .with_columns(piece=certified.rle_id().over("run"), across=pl.arctan2(dx, dy).degrees())
        .with_columns(seam=(ahead(piece) != piece).fill_null(False))
    )
    seams = runs.with_columns(piece=ahead(piece), certified=ahead(certified)).filter("seam")
    joint = pl.when("joint").then(pl.lit("joint"))
    marked = runs.with_columns(mark=joint.when("seam").then(pl.lit("seam")).otherwise(pl.lit("")))
    return pl.concat([marked, seams.with_columns(mark=pl.lit("seam"))]).sort("run", "step", "piece")


def _box(rows: pl.DataFrame) -> tuple[float, float, float, float]:
    """Middle and extent of the points: x, y, width, height."""
    low_x, high_x, low_y, high_y = (
        number(rows[c].max() if up else rows[c].min())
        for c, up in (("x", False), ("x", True), ("y", False), ("y", True))
    )
    pad = MARGIN * max(high_x - low_x, high_y - low_y, 1e-9)
    return (low_x + high_x) / 2, (low_y + high_y) / 2, high_x - low_x + 2 * pad, high_y - low_y + 2 * pad


def _equal_scales(box: tuple[float, float, float, float], size: Size) -> tuple[alt.Scale, alt.Scale]:
    """One unit is as long on both axes, so that distances and angles are as they look."""
    x, y, wide, high = (float(f"{value:.5g}") for value in box)
    if isinstance(size.width, int):
        pixels = size.width
        unit = max(wide / pixels, high / size.height)

        def ends(middle: float, side: str) -> tuple[Any, Any]:
            half = unit * (pixels if side == "width" else size.height) / 2
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
    last: int,
) -> Drawing:
    """Draw the roads to one target.

    Args:
        data: Rows with ``run``, ``name``, ``group``, ``point`` (run, end, start, target), ``step``, ``x``, ``y``,
            and what :func:`in_pieces` adds.
        size: How large.
        groups: The groups of runs in it.
        box: Middle and extent of the points.
        stress: Cumulative explained stress of the axes.
        last: The last step, at which lines are widest.
    """
    scale_x, scale_y = _equal_scales(box, size)
    shares = [
        f" (explains {stress[0]:.0%})" if stress else "",
        f" (with axis 1: {stress[1]:.0%})" if len(stress) > 1 else "",
    ]
    axis: dict[str, Any] = {"tickCount": 4, "format": "~g", "grid": False}
    titles = [f"InPCA axis 1{shares[0]}", f"InPCA axis 2{shares[1]}"]
    if size.height < ROOMY:
        axis |= {"labels": False, "ticks": False}
        titles = ["InPCA axis 1", "InPCA axis 2"]
    extent = 8 if size.height < ROOMY else 36
    legend = (
        alt.Legend(title=None, orient="bottom") if size.legend and len(groups) > 1 else None
    )  # one group is named by the title
    colour = alt.Color("group:N", scale=group_scale(groups, [g.colour for g in groups]), legend=legend)
    shape = alt.Shape("group:N", scale=group_scale(groups, [g.shape for g in groups]), legend=legend)
    at = alt.Chart(data).encode(
        x=alt.X("x:Q", scale=scale_x, axis=alt.Axis(title=titles[0], **axis)),
        y=alt.Y("y:Q", scale=scale_y, axis=alt.Axis(title=titles[1], minExtent=extent, maxExtent=extent, **axis)),
    )
    runs = at.transform_filter("datum.point === 'run' || datum.point === 'end'").encode(
        detail=alt.Detail("run:N"), order=alt.Order("step:Q")
    )
    told = [alt.Tooltip("name:N"), alt.Tooltip("step:Q", format=",d")]
    ends = at.transform_filter("datum.point === 'end'").encode(color=colour, shape=shape, tooltip=told)
    solid, dashed = (
        runs.transform_filter(f"{no}datum.certified").encode(detail=[alt.Detail("run:N"), alt.Detail("piece:N")])
        for no in ("", "!")
    )
    thick = alt.Size("step:Q", scale=alt.Scale(type="symlog", domain=[0, last], range=[0.3, 3.6]), legend=None)
    joints = at.transform_filter("datum.mark === 'joint'").encode(
        angle=alt.Angle("across:Q", scale=None), tooltip=alt.Tooltip("name:N")
    )
    tick: dict[str, Any] = {"shape": "stroke", "filled": False, "size": 80, "strokeWidth": 2}
    start, truth = (at.transform_filter(f"datum.point === '{point}'") for point in ("start", "target"))
    label: dict[str, Any] = {"fontSize": 11, "fontWeight": 600, "color": INK, "dy": -13}
    named = ((start, "start"), (truth, "target"))
    return alt.layer(
        solid.mark_trail().encode(color=colour, size=thick, opacity=fade(0.6)),
        dashed.mark_line(strokeWidth=1.1, strokeDash=DASH).encode(color=colour, opacity=fade(0.7)),
        runs.mark_line(strokeWidth=12, opacity=0, cursor="pointer").encode(tooltip=told),
        solid.transform_filter(CHOSEN).mark_line(strokeWidth=3).encode(color=colour),
        dashed.transform_filter(CHOSEN).mark_line(strokeWidth=2.4, strokeDash=DASH).encode(color=colour),
        joints.transform_filter("joints").mark_point(**tick).encode(color=colour, opacity=fade(0.8)),
        ends.mark_point(filled=True, size=48, stroke="white", strokeWidth=0.8).encode(opacity=fade(1)),
        ends.transform_filter(CHOSEN).mark_point(filled=True, size=110, stroke=INK, strokeWidth=1.6, opacity=1),
        start.mark_point(shape="circle", size=90, fill="white", stroke=INK, strokeWidth=1.8, opacity=1),
        truth.mark_point(shape=STAR, size=130, fill=INK, stroke="white", strokeWidth=0.8, opacity=1),
        *(point.mark_text(text=word, **label, **halo) for halo in (HALO, {}) for point, word in named),
    ).properties(width=size.width, height=size.height)


HALO: dict[str, Any] = {
    "stroke": "white",
    "strokeWidth": 3,
    "strokeJoin": "round",
}  # drawn first, so that lines do not cross words
STAR = (
    "M0,-1L0.2245,-0.309L0.9511,-0.309L0.3633,0.118L0.5878,0.809"
    "L0,0.382L-0.5878,0.809L-0.3633,0.118L-0.9511,-0.309L-0.2245,-0.309Z"
)

SECTION = Section(
    name="roads",
    nav="Roads",
    title="Roads in function space",
    link="roads",
    lead="A network’s answers on fixed probe inputs are a point, and training moves it along the run’s road. The "
    "pictures show the two directions that keep most of the distances between points (InPCA), and say how much.",
    figures=figures,
    columns=(
        Column("certified_share", "certified", ".0%", "share of the road's length on which the loss must fall"),
        Column("stages", "stages", "d", "direct pieces that the road is made of"),
    ),
    toggle=("joints", "Mark the stages"),
    glances=(
        Glance("certified", lambda stored, group: median(group.runs["certified_share"]), ".0%"),
        Glance("stages", lambda stored, group: median(group.runs["stages"]), ".3g"),
    ),
)
