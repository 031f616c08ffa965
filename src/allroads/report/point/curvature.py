"""Curvature at a point: the largest eigenvalues of the Hessian, and the density of all."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import altair as alt
import numpy as np
import polars as pl

from allroads.report.charts.figure import Drawing, Figure, Panel, Size, inline, number
from allroads.report.palette import INK, RULE
from allroads.report.point.words import number_of

if TYPE_CHECKING:
    from allroads.points.inspection import Inspection

BINS = 48
ROOM = 1.2  # of an axis beyond the outermost eigenvalue
POWERS = "datum.value === 0 ? '0' : format(datum.value, '~e')"
LINEAR = 1e-8  # of the largest eigenvalue: below, the axis is linear and holds zero


def figures(found: Inspection) -> tuple[Figure, ...]:
    """Largest eigenvalues by rank, and how many directions have which curvature."""
    spectrum = found.spectrum
    if not len(spectrum.density.nodes) or not spectrum.norm > 0:
        return (Figure("curvature", (), "", absent="There is no curvature here: every eigenvalue is zero or unknown."),)
    linear = max(LINEAR * spectrum.norm, min(spectrum.shift, spectrum.norm) / 10)
    rows = pl.DataFrame({"rank": np.arange(1, len(spectrum.eigenvalues) + 1), "eigenvalue": spectrum.eigenvalues})
    panels = []
    if len(rows):
        note = f"trace {number_of(spectrum.trace.value)}"
        sizes = np.abs(spectrum.eigenvalues)
        linear_here = max(linear, float(sizes.min()), 1e-6 * float(sizes.max()))
        draw = partial(draw_eigenvalues, across=_axis(rows.select("eigenvalue"), linear_here))
        panels.append(Panel(f"The {len(rows)} largest eigenvalues", note, (), "eigenvalues", rows, draw, height=240))
    kind = "exact" if spectrum.method == "dense" else "estimated from random vectors"
    note = f"{found.parameters:,} directions, {kind}"
    density = _density(found, linear)
    draw = partial(draw_density, across=_axis(density.select("low", "high"), linear), shift=spectrum.shift)
    panels.append(Panel("Density of all eigenvalues", note, (), "density", density, draw, height=240))
    caption = (
        "Look for the gap between few stiff directions and many flat ones. Directions beyond the dashed line, γ/nβ, "
        "are felt by the chains; those below it are held by the localisation alone, and eigenvalues under zero lead "
        "downhill."
    )
    return (Figure("curvature", tuple(panels), caption),)


def _density(found: Inspection, linear: float) -> pl.DataFrame:
    """Number of directions in bins that are even on the axis, ``asinh(λ / linear)``."""
    density = found.spectrum.density
    places = np.arcsinh(density.nodes / linear)
    edges = np.linspace(min(places.min(), 0.0) - 0.3, max(places.max(), 0.0) + 0.3, BINS + 1)
    mass, _ = np.histogram(places, edges, weights=density.weights * found.parameters)
    ends = linear * np.sinh(edges)
    table = pl.DataFrame({"low": ends[:-1], "high": ends[1:], "directions": mass})
    return table.filter(pl.col("directions") > 1e-6)


def _axis(rows: pl.DataFrame, linear: float) -> dict[str, Any]:
    """Scale and axis of eigenvalues: logarithmic to both sides of a stretch around zero; ticks at powers of ten."""
    low, high = (ROOM * number(end) for end in (rows.min_horizontal().min(), rows.max_horizontal().max()))
    low, high = min(0.0, low), max(0.0, high)
    ticks = [0.0]
    for sign, end in ((1, high), (-1, -low)):
        if end > linear:
            first, last = math.floor(math.log10(linear)), math.floor(math.log10(end))
            folds = (1, 2, 5) if last - first < 2 else (1,)
            powers = range(last, first - 1, -1 - (last - first) // 4)
            ticks += [sign * fold * 10.0**power for power in powers for fold in folds]
    ticks = [tick for tick in ticks if low <= tick <= high and (tick == 0 or abs(tick) >= linear)]
    return {
        "scale": alt.Scale(type="symlog", constant=linear, domain=[low, high], nice=False),
        "axis": alt.Axis(title="eigenvalue", values=sorted(ticks), labelExpr=POWERS, labelOverlap=True),
    }


def draw_eigenvalues(data: alt.Data, size: Size, *, across: dict[str, Any]) -> Drawing:
    """Draw eigenvalues by rank.

    Args:
        data: Rows with ``rank``, ``eigenvalue``.
        size: How large.
        across: Scale and axis of eigenvalues.
    """
    y = alt.Y("eigenvalue:Q", **across)
    x = alt.X("rank:Q", scale=alt.Scale(zero=False, padding=10), axis=alt.Axis(tickMinStep=1, tickCount=5, format="d"))
    dots = alt.Chart(data).encode(x=x, y=y, tooltip=["rank:Q", alt.Tooltip("eigenvalue:Q", format=".4~g")])
    return alt.layer(
        dots.mark_line(color=RULE, strokeWidth=1),
        dots.mark_point(filled=True, color=INK, size=36, opacity=1),
    ).properties(width=size.width, height=size.height)


def draw_density(data: alt.Data, size: Size, *, across: dict[str, Any], shift: float) -> Drawing:
    """Draw how many directions have which curvature.

    Args:
        data: Rows with ``low``, ``high``, ``directions``.
        size: How large.
        across: Scale and axis of eigenvalues.
        shift: Where a dashed line lies.
    """
    y = alt.Y(
        "directions:Q",
        scale=alt.Scale(type="symlog", constant=1, zero=True),
        axis=alt.Axis(title="directions", tickCount=5),
    )
    tooltip = [alt.Tooltip(f"{name}:Q", format=".3~g") for name in ("low", "high", "directions")]
    bars = alt.Chart(data).mark_rect(color=INK, stroke="white", strokeWidth=0.5)
    rule = alt.Chart(inline({"low": shift})).mark_rule(color=RULE, strokeDash=[4, 3])
    return alt.layer(
        bars.transform_calculate(floor="0").encode(
            x=alt.X("low:Q", **across), x2="high:Q", y=y, y2="floor:Q", tooltip=tooltip
        ),
        rule.encode(x=alt.X("low:Q", **across)),
    ).properties(width=size.width, height=size.height)
