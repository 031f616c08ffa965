"""Charts of chains around a point: traces, histograms, learning coefficients along a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from allroads.errors import InputError
from allroads.plots import chart, titled

if TYPE_CHECKING:
    import altair

    from allroads.points.curve import LLCCurve
    from allroads.points.llc import LearningCoefficient
    from allroads.points.sampling import Samples

CHAINS, POINTS, BINS = 12, 240, 40
"""Chains drawn, draws of each, and bars of a histogram, at most."""
BLUE, GREY, ORANGE = "#0072b2", "#8b919c", "#d55e00"


@chart("LearningCoefficient")
def chain_traces(found: LearningCoefficient) -> altair.LayerChart | altair.FacetChart:
    """The energy nβ (L − L*) along each chain, and λ̂ with its error: chains in equilibrium look alike and are level.

    Raises:
        InputError: If a chain left the finite numbers.
    """
    import altair as alt

    trace = np.asarray(found.stats["trace"])
    if not np.isfinite(trace).all():
        raise InputError("LearningCoefficient: the chains left the finite numbers, so there is nothing to draw.")
    draws = _spread(trace.shape[1], POINTS)
    rows = [
        {"draw": int(t), "energy": float(trace[c, t]), "chain": int(c)}
        for c in _spread(len(trace), CHAINS)
        for t in draws
    ]
    error = float(found.error or 0.0)
    mean = [{"mean": found.value, "low": found.value - error, "high": found.value + error}]
    high = float(np.quantile(trace, 0.998))
    y = alt.Y("energy:Q", title="nβ (L − L*)", scale=alt.Scale(domain=[min(0.0, float(trace.min())), high], clamp=True))
    lines = (
        alt.Chart(alt.Data(values=rows))
        .mark_line(opacity=0.5, strokeWidth=0.8, color=BLUE)
        .encode(x=alt.X("draw:Q", title="draw"), y=y, detail="chain:N")
    )
    level = alt.Chart(alt.Data(values=mean))
    band = level.mark_rect(opacity=0.3, color=ORANGE).encode(y="low:Q", y2="high:Q")
    drawn = alt.layer(lines, band, level.mark_rule(color=ORANGE, strokeDash=[4, 3]).encode(y="mean:Q"))
    chains = min(CHAINS, len(trace))
    how = f"{chains} of {len(trace)} chains, {trace.shape[1]} draws each; dashed: λ̂; band: 95 % interval"
    return titled(drawn, f"λ̂ = {found.value:.3g} ± {error:.2g}", how)


@chart("Samples")
def energy_histogram(found: Samples) -> altair.LayerChart | altair.FacetChart:
    """How often each energy nβ (L − L*) was drawn.

    Raises:
        InputError: If a chain left the finite numbers.
    """
    import altair as alt

    if not np.isfinite(found.energy).all():
        raise InputError("Samples: the chains left the finite numbers, so there is nothing to draw.")
    counts, edges = np.histogram(found.energy, bins=BINS, density=True)
    rows = [
        {"from": float(low), "to": float(high), "density": float(count)}
        for count, low, high in zip(counts, edges, edges[1:], strict=False)
    ]
    bars = (
        alt.Chart(alt.Data(values=rows))
        .mark_rect(color=BLUE, opacity=0.7)
        .encode(
            x=alt.X("from:Q", title="nβ (L − L*)"),
            x2="to:Q",
            y=alt.Y("density:Q", title="share of draws per unit"),
            y2=alt.datum(0),
        )
    )
    mean = alt.Chart(alt.Data(values=[{"mean": found.value}]))
    drawn = alt.layer(bars, mean.mark_rule(color=ORANGE, strokeDash=[4, 3]).encode(x="mean:Q"))
    return titled(drawn, f"mean energy {found.value:.3g}", f"{found.energy.size:,} draws; dashed: their mean")


@chart("LLCCurve")
def llc_along_a_run(curve: LLCCurve) -> altair.LayerChart | altair.FacetChart:
    """λ̂ with its error at every point; hollow where the status is not sound, a line where a new stage begins.

    Raises:
        InputError: If no point has a finite number.
    """
    import altair as alt

    rows: list[dict[str, Any]] = [
        {
            "step": float(step),
            "value": float(value),
            "low": float(value - error),
            "high": float(value + error),
            "status": status.value,
            "sound": bool(status.sound),
        }
        for step, value, error, status in zip(curve.steps, curve.value, curve.error, curve.statuses, strict=True)
        if np.isfinite(value) and np.isfinite(error)
    ]
    if not rows:
        raise InputError("LLCCurve: no point has a finite learning coefficient, so there is nothing to draw.")
    x = alt.X("step:Q", title="step", scale=alt.Scale(type="symlog"))
    base = alt.Chart(alt.Data(values=rows)).encode(x=x)
    y = alt.Y("value:Q", title="λ̂")
    fill = alt.condition("datum.sound", alt.value(BLUE), alt.value("white"))
    stages = alt.Chart(alt.Data(values=[{"step": float(step)} for step in curve.boundary_steps]))
    drawn = alt.layer(
        stages.mark_rule(color=GREY, strokeDash=[2, 3]).encode(x=x),
        base.mark_rule(color=BLUE).encode(y=alt.Y("low:Q", title="λ̂"), y2="high:Q"),
        base.mark_line(color=BLUE, strokeWidth=1).encode(y=y),
        base.mark_point(filled=True, stroke=BLUE, size=36, opacity=1).encode(
            y=y, fill=fill, tooltip=["step:Q", "value:Q", "status:N"]
        ),
    )
    sound = sum(row["sound"] for row in rows)
    how = f"{sound} of {len(rows)} points may be read (filled); bars: 95 % intervals; dashed: a new stage begins"
    return titled(drawn, "learning coefficient along the run", how)


def _spread(count: int, most: int) -> np.ndarray:
    """Indices of at most so many, evenly from all."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))
