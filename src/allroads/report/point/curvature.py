"""Curvature at a point: the largest eigenvalues of the Hessian, and the density of all."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import altair as alt
import numpy as np
import polars as pl

from allroads.inspection.words import number_of
from allroads.report.charts.figure import Figure, Panel, Size
from allroads.report.palette import INK, RULE

if TYPE_CHECKING:
    from allroads.inspection import Inspection

BINS = 48
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
        draw = partial(draw_eigenvalues, linear=linear, shift=spectrum.shift)
        panels.append(Panel(f"The {len(rows)} largest eigenvalues", note, (), "eigenvalues", rows, draw, height=240))
    kind = "exact" if spectrum.method == "dense" else "estimated from random vectors"
    note = f"{found.parameters:,} directions, {kind}"
    density = _density(found, linear)
    draw = partial(draw_density, linear=linear, shift=spectrum.shift)
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


def _scale(linear: float) -> alt.Scale:
    return alt.Scale(type="symlog", constant=linear, nice=False, padding=6)


def draw_eigenvalues(data: alt.Data, size: Size, *, linear: float, shift: float) -> alt.LayerChart:
    """Draw eigenvalues by rank.

    Args:
        data: Rows with ``rank``, ``eigenvalue``.
        size: How large.
        linear: Below, the vertical axis is linear.
        shift: Where a dashed line lies.
    """
    y = alt.Y("eigenvalue:Q", scale=_scale(linear), axis=alt.Axis(title="eigenvalue", tickCount=5, format="~e"))
    x = alt.X("rank:Q", scale=alt.Scale(zero=False, padding=10), axis=alt.Axis(tickMinStep=1, tickCount=5, format="d"))
    dots = alt.Chart(data).encode(x=x, y=y, tooltip=["rank:Q", alt.Tooltip("eigenvalue:Q", format=".4~g")])
    rule = alt.Chart(alt.Data(values=[{"eigenvalue": shift}]))
    return alt.layer(
        rule.mark_rule(color=RULE, strokeDash=[4, 3]).encode(y=y),
        dots.mark_line(color=RULE, strokeWidth=1),
        dots.mark_point(filled=True, color=INK, size=36, opacity=1),
    ).properties(width=size.width, height=size.height)


def draw_density(data: alt.Data, size: Size, *, linear: float, shift: float) -> alt.LayerChart:
    """Draw how many directions have which curvature.

    Args:
        data: Rows with ``low``, ``high``, ``directions``.
        size: How large.
        linear: Below, the horizontal axis is linear.
        shift: Where a dashed line lies.
    """
    scale = _scale(linear)
    axis = alt.Axis(title="eigenvalue", tickCount=5, format="~e", labelOverlap=True)
    y = alt.Y("directions:Q", scale=alt.Scale(type="symlog", constant=1, zero=True), axis=alt.Axis(tickCount=5))
    tooltip = [alt.Tooltip(f"{name}:Q", format=".3~g") for name in ("low", "high", "directions")]
    bars = alt.Chart(data).mark_rect(color=INK, stroke="white", strokeWidth=0.5)
    rule = alt.Chart(alt.Data(values=[{"low": shift}])).mark_rule(color=RULE, strokeDash=[4, 3])
    return alt.layer(
        bars.transform_calculate(floor="0").encode(
            x=alt.X("low:Q", scale=scale, axis=axis), x2="high:Q", y=y, y2="floor:Q", tooltip=tooltip
        ),
        rule.encode(x=alt.X("low:Q", scale=scale)),
    ).properties(width=size.width, height=size.height)
