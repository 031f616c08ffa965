"""The map of an atlas: programs from short to long as nodes, changes as arrows; its rows and its layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from allroads.plots.labels import place_labels
from allroads.plots.layered import layered_layout

INK, MUTED, LINE, PAPER = "#1d2129", "#5c6370", "#8b919c", "#ffffff"

WIDE, HIGH = 820.0, 470.0
"""Pixels of the map, for which nodes are placed; any other size is scaled."""
NARROW = 330.0
"""Pixels of the map on a phone, for which labels are placed once more."""
LEFT, BESIDE, RIGHT = 26.0, 96.0, 26.0
"""Pixels left of the shortest program, more where nodes without a length stand there, and right of the longest."""
LARGEST, SMALLEST = 21.0, 4.5
"""Radii of nodes in pixels: of the one at which most runs end, and of those where none does."""
STRONG = 260
"""Arrows that are drawn where nothing is chosen; others appear with what they belong to."""
WIDEST = 6.0
"""Pixels of the widest arrow; an arrow of n changes has √n pixels, and less where that is more than these."""
CHOSEN_WIDTH = 2.4
"""Pixels, at least, of the arrows of what is chosen."""
RARE = 1.5
"""Pixels up to which an arrow is drawn faintly where nothing is chosen."""
BOW = 0.13
"""How far an arrow bends, as a share of its length, so that the two ways between two programs stay apart."""
LABELS, NARROW_LABELS = 16, 7
SHORT = 30
"""Characters of a label."""
SKEW = 5.0
"""Longest length over the median, from which on lengths are drawn in log(1 + bits)."""


@dataclass(frozen=True)
class AtlasMap:
    """What :func:`map_layers` draws.

    Attributes:
        rows: A table with ``kind``: ``node``, ``edge`` (three rows, from end to end) and ``arrow``.
        ticks: Places of the axis of lengths, with their numbers of bits.
        hidden: Arrows that are not drawn where nothing is chosen.
    """

    rows: pl.DataFrame
    ticks: tuple[tuple[float, str], ...]
    hidden: int


def atlas_map(nodes: pl.DataFrame, edges: pl.DataFrame) -> AtlasMap:
    """Place the programs of an atlas: from left to right by length, and near those with which they exchange runs.

    Args:
        nodes: ``node``, ``label``, ``bits`` (null where there is no length), ``ends``, ``visits``, ``told`` (a line for
            the tooltip), ``look`` (``right``: filled; ``other``: hollow; ``none``: grey), ``fill`` (a colour, of the
            right ones) and ``shape``.
        edges: ``source``, ``target``, ``weight`` (how many changes, or what else is drawn as wider) and ``told``.
    """
    names = nodes["node"].to_list()
    bits, ends = nodes["bits"].to_numpy().astype(float), nodes["ends"].fill_null(0).to_numpy().astype(float)
    across, ticks = _across(bits)
    radius = np.maximum(SMALLEST, LARGEST * np.sqrt(ends / max(ends.max(initial=0.0), 1.0)))
    place = {name: at for at, name in enumerate(names)}
    ways = edges.filter(pl.col("source") != pl.col("target"))
    source, target = ([place[name] for name in ways[end]] for end in ("source", "target"))
    weight = ways["weight"].to_numpy().astype(float)
    weights = np.zeros((len(names), len(names)))
    np.add.at(weights, (source, target), np.sqrt(weight))
    timeless = ~np.isfinite(bits)  # these stand apart, and pull nothing towards them
    weights[timeless], weights[:, timeless] = 0.0, 0.0
    x, y = layered_layout(across, radius, weights, HIGH)
    rows = _node_rows(nodes, x, y, radius)
    rows += _edge_rows(ways, x, y, source, target, weight)
    return AtlasMap(_table(rows), ticks, max(ways.height - STRONG, 0))


COLUMNS: dict[str, Any] = {
    "kind": pl.String,
    "node": pl.String,
    "part": pl.String,
    "order": pl.Int64,
    "x": pl.Float64,
    "y": pl.Float64,
    "size": pl.Float64,
    "strong": pl.Boolean,
    "angle_x": pl.Float64,
    "angle_y": pl.Float64,
    "label": pl.String,
    "look": pl.String,
    "fill": pl.String,
    "shape": pl.String,
    "rank": pl.Int64,
    "dx": pl.Float64,
    "dy": pl.Float64,
    "align": pl.String,
    "narrow_rank": pl.Int64,
    "narrow_dx": pl.Float64,
    "narrow_dy": pl.Float64,
    "narrow_align": pl.String,
    "told": pl.String,
}
"""Columns of the rows."""


def _table(rows: Sequence[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame([{name: row.get(name) for name in COLUMNS} for row in rows], schema=COLUMNS)


def _across(bits: np.ndarray) -> tuple[np.ndarray, tuple[tuple[float, str], ...]]:
    """Places from left to right, and ticks: linear in bits, or in log(1 + bits) where some programs are far longer."""
    known = bits[np.isfinite(bits)]
    left = LEFT if known.size == bits.size or not known.size else BESIDE
    if not known.size:
        return np.full(len(bits), WIDE / 2), ()
    low, high = float(known.min()), float(known.max())
    skewed = high > SKEW * max(float(np.median(known)), 1.0)

    def scaled(value: Any) -> Any:
        return np.log1p(value) if skewed else value

    span = scaled(high) - scaled(low)

    def place(value: Any) -> Any:
        middle = (left + WIDE - RIGHT) / 2
        if span <= 0:
            return 0 * value + middle
        return left + (WIDE - RIGHT - left) * (scaled(value) - scaled(low)) / span

    ticks = tuple((round(float(place(tick)), 2), f"{tick:g}") for tick in _ticks(low, high, skewed))
    return np.where(np.isfinite(bits), place(np.nan_to_num(bits, nan=low)), LEFT), ticks


def _ticks(low: float, high: float, skewed: bool) -> list[float]:
    """Round numbers between two lengths.

    Example:
        >>> _ticks(3, 41, False), _ticks(2, 700, True)
        ([10, 20, 30, 40], [2, 5, 10, 20, 50, 100, 200, 500])
    """
    if skewed:
        return [f * 10**p for p in range(7) for f in (1, 2, 5) if low <= f * 10**p <= high]
    if high <= low:
        return [low]
    step = 10 ** math.floor(math.log10(max(high - low, 1e-9)))
    step = next(step * part for part in (0.1, 0.2, 0.5, 1, 2, 5) if (high - low) / (step * part) <= 8)
    step = max(step, 1)
    return [round(step * place, 6) for place in range(math.ceil(low / step), math.floor(high / step) + 1)]


def shortened(label: str) -> str:
    """A label of at most 30 characters.

    Example:
        >>> shortened("x0 & x1 | x2 & x3 | x4 & x5 | x6 & x7")
        'x0 & x1 | x2 & x3 | x4 & x5 |…'
    """
    return label if len(label) <= SHORT else label[: SHORT - 1].rstrip() + "…"


def _node_rows(nodes: pl.DataFrame, x: np.ndarray, y: np.ndarray, radius: np.ndarray) -> list[dict[str, Any]]:
    labels = [shortened(label or node) for label, node in zip(nodes["label"], nodes["node"], strict=True)]
    order = np.lexsort((np.arange(len(x)), -nodes["visits"].fill_null(0).to_numpy(), -nodes["ends"].fill_null(0)))
    by_rank = order.tolist()
    wide = place_labels(x.tolist(), y.tolist(), radius.tolist(), labels, by_rank, WIDE, HIGH, LABELS)
    ratio = NARROW / WIDE
    small = (radius * shrink(NARROW)).tolist()
    tight = place_labels((x * ratio).tolist(), y.tolist(), small, labels, by_rank, NARROW, HIGH, NARROW_LABELS)
    rows = []
    for at, row in enumerate(nodes.iter_rows(named=True)):
        rows.append(
            {
                "kind": "node",
                "node": row["node"],
                "x": float(x[at]),
                "y": float(y[at]),
                "size": round(math.pi * float(radius[at]) ** 2, 1),
                "label": labels[at],
                "rank": None if at not in wide else 1,
                "narrow_rank": None if at not in tight else 1,
                **{name: row[name] for name in ("look", "fill", "shape", "told")},
            }
        )
        for prefix, found in (("", wide), ("narrow_", tight)):
            if at in found:
                spot = found[at]
                rows[-1] |= {f"{prefix}dx": spot.dx, f"{prefix}dy": spot.dy, f"{prefix}align": spot.align}
    return rows


def shrink(width: float) -> float:
    """The factor of nodes on a map of this width.

    Example:
        >>> shrink(820), round(shrink(330), 2)
        (1.0, 0.63)
    """
    return min(max(math.sqrt(width / WIDE), 0.5), 1.3)


SHRINK = f"clamp(sqrt(width / {WIDE:g}), 0.5, 1.3)"
"""The same as Vega reads it."""


def _edge_rows(
    ways: pl.DataFrame, x: np.ndarray, y: np.ndarray, source: list[int], target: list[int], weight: np.ndarray
) -> list[dict[str, Any]]:
    """A bent line and an arrow head per way; the widest are drawn where nothing is chosen."""
    strong = set(np.argsort(-weight, kind="stable")[:STRONG].tolist())
    widths = np.sqrt(weight)
    widths = widths * min(1.0, WIDEST / max(widths.max(initial=0.0), 1e-12))
    rows: list[dict[str, Any]] = []
    for at, (way, p, q) in enumerate(zip(ways.iter_rows(named=True), source, target, strict=True)):
        along = np.array([x[q] - x[p], y[q] - y[p]])
        bent = np.array([x[p] + x[q], y[p] + y[q]]) / 2 + 1.5 * BOW * np.array([along[1], -along[0]])
        size = round(max(float(widths[at]), 0.5), 2)
        own = {"part": f"{way['source']}>{way['target']}", "size": size, "strong": at in strong}
        for order, (px, py) in enumerate(((x[p], y[p]), bent, (x[q], y[q]))):
            rows.append({"kind": "edge", "order": order, "x": float(px), "y": float(py), **own})
        middle = np.array([x[p] + x[q], y[p] + y[q]]) / 6 + bent * 2 / 3  # of the spline through these points
        rows.append(
            {"kind": "arrow", "x": float(middle[0]), "y": float(middle[1]), "told": way["told"], **own}
            | {"angle_x": float(along[0]), "angle_y": float(along[1])}
        )
    return rows


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
    faint = alt.when(mine).then(alt.value(0.95)).when("ways").then(alt.value(0.07))
    faint = faint.when(f"datum.size < {RARE:g}").then(alt.value(0.35)).otherwise(alt.value(0.7))
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
        *(
            sized.transform_filter(f"datum.look === '{look}'")
            .mark_point(strokeWidth=1.5, **colours)
            .encode(shape=alt.Shape("shape:N", **plain), opacity=full, **own)
            for look, colours, own in (
                ("other", {"fill": PAPER, "stroke": MUTED}, {}),
                ("none", {"fill": LINE, "stroke": PAPER}, {}),
                ("right", {"stroke": PAPER}, {"fill": alt.Fill("fill:N", **plain)}),
            )
        ),
        sized.transform_filter("datum.node === node")
        .transform_calculate(area=f"2.1 * datum.size * pow({SHRINK}, 2) + 90")
        .mark_point(shape="circle", filled=False, strokeWidth=2.6, color=INK, opacity=1),
        *_labels(nodes, "width >= 560", ""),
        *_labels(nodes, "width < 560", "narrow_"),
        nodes.transform_calculate(area=f"max(datum.size * pow({SHRINK}, 2), 420)")
        .mark_point(shape="circle", filled=True, opacity=0, cursor="pointer")
        .encode(size=area, tooltip=[alt.Tooltip("label:N", title="program"), alt.Tooltip("told:N", title="runs")]),
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
