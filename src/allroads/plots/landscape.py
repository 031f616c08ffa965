"""Pictures of the loss on planes of parameter space, each with its caveat under it."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from allroads.errors import InputError
from allroads.plots import chart
from allroads.plots.isolines import bands_of, isoline, levels_of

if TYPE_CHECKING:
    import altair

    from allroads.paths.landscape import LossPlane, PathPlane

SIDE = 300
"""Pixels of the longer side of a picture."""
LINE = 62
"""Characters of a line of text under a picture."""
OVERLAP = 1.1
"""How much larger than its cell a cell is drawn, so that no seam shows between two of one colour."""
INK, PAPER, GREY, PATH = "#1d2129", "#ffffff", "#8b919c", "#d55e00"
CAVEATS = {
    "three points": "One plane of very many: basins that are apart on it may be joined outside it.",
    "random directions": "Two random directions of very many: a network's few steep directions hardly show on them.",
    "principal components": "A random walk looks regular on its own components too: compare the two shares.",
}
"""What every picture of a kind must not be taken for; it stands under the picture."""
KINDS = ["start", "checkpoint", "end"]


@chart("LossPlane")
def plane(found: LossPlane) -> altair.LayerChart:
    """The loss on a plane: colour and lines of equal loss, logarithmic where the range asks for it, and marked points.

    Caveat (under the picture): one plane of very many, and basins that are apart on it may be joined outside it; or
    two random directions, on which the few steep directions of a network hardly show.

    Raises:
        InputError: If no loss on it is finite.
    """
    import altair as alt

    layers = _ground(alt, found, _titles(found))
    rows = [
        {"x": float(x), "y": float(y), "label": f"{name}: {loss:.3g}"}
        for name, (x, y), loss in zip(found.names, found.marks, found.mark_losses, strict=True)
    ]
    marks = alt.Chart(alt.Data(values=rows)).encode(x="x:Q", y="y:Q", tooltip="label:N")
    layers.append(marks.mark_point(filled=True, color=INK, stroke=PAPER, strokeWidth=1.5, size=70, opacity=1))
    layers += _labels(marks, "label:N", -12)
    return _framed(alt, layers, found, [f"Marked: loss at the points. {CAVEATS.get(found.kind, '')}"])


@chart("PathPlane")
def path(found: PathPlane) -> altair.LayerChart:
    """A run's path on the plane of its own first two principal components, over the loss on that plane.

    Caveat (under the picture): a random walk in many dimensions looks regular on its own components too, so the share
    that they explain is printed beside the walk's.

    Raises:
        InputError: If no loss on the plane is finite.
    """
    import altair as alt

    shares, walk = found.shares, found.walk_shares
    titles = [f"component {d + 1}: {shares[d]:.0%} (random walk: {walk[d]:.0%})" for d in (0, 1)]
    last = len(found.coordinates) - 1
    kinds = [KINDS[0], *[KINDS[1]] * (last - 1), KINDS[2]]
    rows = [
        {"x": float(x), "y": float(y), "number": k, "path": kind, "loss": float(loss)}
        for k, ((x, y), kind, loss) in enumerate(zip(found.coordinates, kinds, found.path_losses, strict=True))
    ]
    base = alt.Chart(alt.Data(values=rows)).encode(x="x:Q", y="y:Q")
    lines = [
        base.mark_line(color=colour, strokeWidth=width).encode(order="number:Q")
        for colour, width in ((PAPER, 4), (PATH, 2))
    ]
    marks = base.mark_point(filled=True, stroke=INK, strokeWidth=1, opacity=1, color=PATH, size=55).encode(
        shape=alt.Shape("path:N", scale=alt.Scale(domain=KINDS, range=["square", "circle", "triangle-up"])),
        tooltip=["number:Q", "loss:Q"],
    )
    text = (
        f"The plane explains {found.explained:.0%} of the path's variance; that of a random walk with the same steps "
        f"explains {found.walk_explained:.0%}. {CAVEATS['principal components']}"
    )
    return _framed(alt, [*_ground(alt, found.plane, titles), *lines, marks], found.plane, [text])


def _titles(found: LossPlane) -> tuple[str, str]:
    """Titles of the axes."""
    if found.kind == "three points":
        first, second, third = found.names
        return f"from {first} towards {second}", f"across, towards {third}"
    if found.kind == "random directions":
        return "first direction, in norms of the filters", "second direction, in norms of the filters"
    return "component 1", "component 2"


def _ground(alt: Any, found: LossPlane, titles: Sequence[str]) -> list[Any]:
    """The loss as colour and as lines."""
    levels, _ = levels_of(found.losses)
    if not np.isfinite(found.losses).any():
        raise InputError("LossPlane: no loss on it is finite, so there is nothing to draw; choose a smaller plane.")
    bands = bands_of(levels)
    half = [float(line[1] - line[0]) / 2 for line in (found.xs, found.ys)]
    domains = [
        [float(line[0]) - part, float(line[-1]) + part] for line, part in zip((found.xs, found.ys), half, strict=True)
    ]
    cells = [
        {
            "left": float(x) - OVERLAP * half[0],
            "right": float(x) + OVERLAP * half[0],
            "low": float(y) - OVERLAP * half[1],
            "high": float(y) + OVERLAP * half[1],
            "loss": float(loss) if np.isfinite(loss) else None,
            "band": bands[int(np.searchsorted(levels, loss, side="right"))],
        }
        for y, row in zip(found.ys, found.losses, strict=True)
        for x, loss in zip(found.xs, row, strict=True)
    ]
    scales = [alt.Scale(domain=domain, nice=False, zero=False) for domain in domains]
    x = alt.X("left:Q", title=titles[0], scale=scales[0], axis=alt.Axis(grid=False, tickCount=5))
    y = alt.Y("low:Q", title=titles[1], scale=scales[1], axis=alt.Axis(grid=False, tickCount=5))
    colour = alt.Color("band:O", title="loss", sort=bands, scale=alt.Scale(domain=bands, scheme="cividis"))
    base = alt.Chart(alt.Data(values=cells))
    blank = (
        base.transform_filter("datum.loss === null")
        .mark_rect(color=GREY, clip=True)
        .encode(x=x, y=y, x2="right:Q", y2="high:Q")
    )
    ground = (
        base.transform_filter("datum.loss !== null")
        .mark_rect(clip=True)
        .encode(x=x, y=y, x2="right:Q", y2="high:Q", color=colour)
    )
    pieces = [
        {"x": float(a), "y": float(b), "x2": float(c), "y2": float(d), "level": float(level)}
        for level in levels
        for (a, b), (c, d) in isoline(found.xs, found.ys, found.losses, level)
    ]
    lines = (
        alt.Chart(alt.Data(values=pieces))
        .mark_rule(color=PAPER, strokeWidth=1, opacity=0.8)
        .encode(x="x:Q", y="y:Q", x2="x2:Q", y2="y2:Q", tooltip="level:Q")
    )
    return [ground, blank, lines]


def _labels(marks: Any, field: str, above: int) -> list[Any]:
    """Text over any ground: white, a little larger, below ink."""
    style: Mapping[str, Any] = {"dy": above, "fontSize": 11, "fontWeight": 600}
    halo = marks.mark_text(stroke=PAPER, strokeWidth=3, color=PAPER, **style)
    return [words.encode(text=field) for words in (halo, marks.mark_text(color=INK, **style))]


def _framed(alt: Any, layers: list[Any], found: LossPlane, text: Sequence[str]) -> altair.LayerChart:
    """The layers with the text under them; both axes have one scale, unless one side is shorter than a quarter."""
    sizes = [float(np.ptp(line)) for line in (found.xs, found.ys)]
    width, height = (max(round(SIDE * size / max(sizes)), SIDE // 4) for size in sizes)
    missing = found.stats["not_finite"]
    words = [*text, *([f"Grey: the loss is not finite ({missing} of {found.losses.size})."] if missing else [])]
    lines = textwrap.wrap(" ".join(words), LINE)
    title = alt.TitleParams(lines, orient="bottom", anchor="start", fontSize=11, fontWeight="normal", offset=12)
    drawn: altair.LayerChart = alt.layer(*layers).properties(width=width, height=height, title=title)
    return drawn
