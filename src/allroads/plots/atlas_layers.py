"""The map of an atlas as layers of a chart: ways, arrow heads, nodes and their labels."""

from __future__ import annotations

from typing import Any

from allroads.plots.atlas_map import HIGH, WIDE, AtlasMap

INK, MUTED, LINE, PAPER = "#1d2129", "#5c6370", "#8b919c", "#ffffff"

CHOSEN_WIDTH = 2.4
"""Pixels, at least, of the arrows of what is chosen."""
RARE = 1.5
"""Pixels up to which an arrow is drawn faintly where nothing is chosen."""
SHRINK = f"clamp(sqrt(width / {WIDE:g}), 0.5, 1.3)"
"""The factor of nodes on a map of this width, as Vega reads it; see :func:`~allroads.plots.atlas_map.shrink`."""
PARAMS: dict[str, Any] = {"node": "", "lit": None, "ways": None, "stops": None}
"""Parameters of the map with which they begin: the chosen node; the nodes and the ways that belong to what is chosen,
as objects with their names, ``null`` where nothing is; and the numbers of the stays of the chosen run, by node."""


def map_layers(data: Any, drawn: AtlasMap, title: str = "length of the program in bits") -> Any:
    """The layers of the map: ways, arrow heads, nodes and their labels.

    It refers to the parameters of :data:`PARAMS`.

    Args:
        data: Its rows.
        drawn: The map.
        title: Of the axis.
    """
    import altair as alt

    places, names = [tick for tick, _ in drawn.ticks], [name for _, name in drawn.ticks]
    axis = alt.Axis(
        title=title, values=places, labelExpr=f"{names}[indexof({places}, datum.value)]", grid=False, domain=False
    )
    scale_x = alt.Scale(domain=[0, WIDE], nice=False, zero=False)
    scale_y = alt.Scale(domain=[HIGH, 0], nice=False, zero=False)
    at = alt.Chart(data).encode(
        x=alt.X("x:Q", scale=scale_x, axis=axis if drawn.ticks else None), y=alt.Y("y:Q", scale=scale_y, axis=None)
    )
    mine = "ways && ways[datum.part]"
    shown = f"(datum.strong || {mine})"
    lit = alt.when(mine).then(alt.value(INK)).otherwise(alt.value(LINE))
    faint: Any = alt.when(mine).then(alt.value(0.95)).when("ways").then(alt.value(0.07))
    faint = faint.when(f"datum.size < {RARE:g}").then(alt.value(0.5)).otherwise(alt.value(0.75))
    ways = at.transform_filter(f"datum.kind === 'edge' && {shown}").transform_calculate(
        broad=f"{mine} ? max(datum.size, {CHOSEN_WIDTH:g}) : datum.size"
    )
    heads = (
        at.transform_filter(f"datum.kind === 'arrow' && {shown}")
        .transform_calculate(
            turn=f"atan2(datum.angle_y * height / {HIGH:g}, datum.angle_x * width / {WIDE:g}) * 180 / PI + 90",
            head=f"14 + 22 * ({mine} ? max(datum.size, {CHOSEN_WIDTH:g}) : datum.size)",
        )
        .mark_point(shape="triangle-up", filled=True, strokeWidth=0)
    )
    nodes = at.transform_filter("datum.kind === 'node'")
    full = alt.when("!lit || lit[datum.node]").then(alt.value(1)).otherwise(alt.value(0.22))
    area = alt.Size("area:Q", scale=None, legend=None)
    sized = nodes.transform_calculate(area=f"datum.size * pow({SHRINK}, 2)").encode(size=area)
    plain: dict[str, Any] = {"scale": None, "legend": None}

    def looking(look: str) -> Any:
        same = sized.transform_filter(f"datum.look === '{look}'")
        return same.encode(shape=alt.Shape("shape:N", **plain), opacity=full)

    return alt.layer(
        ways.mark_line(interpolate="basis", strokeCap="round").encode(
            detail="part:N", order="order:Q", color=lit, opacity=faint, strokeWidth=alt.StrokeWidth("broad:Q", **plain)
        ),
        heads.encode(
            angle=alt.Angle("turn:Q", scale=None),
            size=alt.Size("head:Q", **plain),
            color=lit,
            opacity=faint,
            tooltip=alt.Tooltip("told:N", title="change"),
        ),
        sized.mark_point(filled=True, color=PAPER, opacity=1, strokeWidth=3, stroke=PAPER).encode(
            shape=alt.Shape("shape:N", **plain)
        ),
        looking("other").mark_point(fill=PAPER, stroke=MUTED, strokeWidth=1.5, cursor="pointer"),
        looking("none").mark_point(fill=LINE, stroke=PAPER, strokeWidth=1.5, cursor="pointer"),
        looking("right")
        .mark_point(stroke=PAPER, strokeWidth=1.5, cursor="pointer")
        .encode(fill=alt.Fill("fill:N", **plain)),
        sized.transform_filter("datum.node === node")
        .transform_calculate(area=f"2.1 * datum.size * pow({SHRINK}, 2) + 90")
        .mark_point(shape="circle", filled=False, strokeWidth=2.6, color=INK, opacity=1),
        *_labels(nodes, "width >= 560", ""),
        *_labels(nodes, "width < 560", "narrow_"),
        nodes.transform_calculate(area=f"max(datum.size * pow({SHRINK}, 2), 420)")
        .mark_point(shape="circle", filled=True, opacity=0, cursor="pointer")
        .encode(size=area, tooltip=[alt.Tooltip("name:N", title="program"), alt.Tooltip("told:N", title="runs")]),
    )


def _labels(nodes: Any, when: str, prefix: str) -> tuple[Any, ...]:
    """Labels of one width with their halo; a chosen node and those on a walk have theirs in any case."""
    import altair as alt

    named = f"datum.{prefix}rank || datum.node === node"
    always = "datum.node === node || (stops && stops[datum.node])"
    text = nodes.transform_filter(f"{when} && (datum.{prefix}rank || {always})").transform_calculate(
        words=f"stops && stops[datum.node] ? stops[datum.node] + ({named} ? ' ' + datum.label : '') : datum.label"
    )
    own = f"datum.{prefix}rank"
    beside = f"sqrt(datum.size / PI) * {SHRINK} + 4"
    left = f"datum.x > {WIDE * 0.6:g}"
    place = {
        "align": alt.expr(f"{own} ? datum.{prefix}align : {left} ? 'right' : 'left'"),
        "dx": alt.expr(f"{own} ? datum.{prefix}dx : ({left} ? -1 : 1) * ({beside})"),
        "dy": alt.expr(f"{own} ? datum.{prefix}dy : 0"),
        "baseline": "middle",
        "fontSize": 11,
    }
    strong = alt.when("!lit || lit[datum.node]").then(alt.value(1)).otherwise(alt.value(0.25))
    halo = text.mark_text(stroke=PAPER, strokeWidth=3, strokeJoin="round", **place)
    return (
        halo.encode(text="words:N", opacity=strong),
        text.mark_text(color=INK, **place).encode(text="words:N", opacity=strong),
    )
