"""The chains behind a learning coefficient: each as it went, and what their mean came to."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import altair as alt
import numpy as np
import polars as pl

from allroads.report.charts.figure import Drawing, Figure, Panel, Size, inline, number
from allroads.report.palette import GROUP_COLOURS, RULE
from allroads.report.point.words import number_of

if TYPE_CHECKING:
    from allroads.points.inspection import Inspection

DRAWN = 12
"""Chains drawn, evenly from all."""
POINTS = 240
"""Draws of a chain drawn, evenly from all."""
LOCALISATION_ANNEALED, TEMPERATURE_ANNEALED = "localisation loosened", "nβ raised"
COLOURS = dict(zip((LOCALISATION_ANNEALED, TEMPERATURE_ANNEALED), GROUP_COLOURS, strict=False))
"""The two groups of chains, and of levels that they came down."""


def figures(found: Inspection) -> tuple[Figure, ...]:
    """One panel of traces, one of running means."""
    trace, warmup = found.llc.stats["trace"], found.llc.stats["warmup"]
    if not np.isfinite(trace).all():
        return (Figure("chains", (), "", absent="The chains left the finite numbers, so there is nothing to draw."),)
    groups = _groups(found, len(trace))
    means = _means(trace, groups)
    value, error = found.llc.value, math.inf if found.llc.error is None else found.llc.error
    kept = pl.Series(trace.ravel())
    low, high = (number(kept.quantile(q, "nearest")) for q in (0.002, 0.998))
    domain = [min(low, 0.0), max(1.15 * high, value + error if math.isfinite(error) else high)]
    shown = f"{min(DRAWN, len(trace))} of {len(trace)} chains" if len(trace) > DRAWN else f"{len(trace)} chains"
    start = -warmup.shape[1]
    panels = (
        Panel(
            "nβ(L − L*) along each chain",
            f"{shown}; burn-in before 0",
            (),
            "traces",
            _traces(trace, warmup, groups),
            partial(draw_traces, domain=domain, value=value, draws=[start, trace.shape[1]]),
            height=260,
        ),
        Panel(
            "Running mean",
            f"R-hat {number_of(found.llc.stats['r_hat'])}, {number_of(found.llc.stats['ess'])} effective draws",
            (),
            "means",
            means,
            partial(draw_means, domain=_mean_domain(means, value, error), value=value, error=error),
            height=260,
        ),
    )
    named = dict.fromkeys(groups)
    legend = tuple({"kind": "line", "colour": COLOURS[name], "label": f"chains with {name}"} for name in named)
    if len(named) == 1:
        legend = ()
    sought = ", and for two groups, come from two sides, whose means meet" if len(named) > 1 else ""
    caption = (
        f"Look for chains that look alike and level after burn-in{sought}: that is equilibrium. The dashed line is λ̂, "
        "the band its error."
    )
    return (Figure("chains", panels, caption, legend=legend),)


def _groups(found: Inspection, count: int) -> list[str]:
    """Group of each chain: the first half was loosened, the second cooled, where both are measured."""
    if found.llc.stats["population"]:
        return [TEMPERATURE_ANNEALED] * count
    if not found.llc.stats["temperature_anneal"]:
        return [LOCALISATION_ANNEALED] * count
    return [LOCALISATION_ANNEALED if chain < count // 2 else TEMPERATURE_ANNEALED for chain in range(count)]


def _traces(trace: np.ndarray, warmup: np.ndarray, groups: list[str]) -> pl.DataFrame:
    count = len(trace)
    chains = np.unique(np.linspace(0, count - 1, min(count, DRAWN)).round().astype(int))
    whole = np.concatenate([warmup, trace], axis=1)
    draws = np.arange(whole.shape[1]) - warmup.shape[1]
    kept = slice(None, None, max(1, math.ceil(len(draws) / POINTS)))
    parts = [
        pl.DataFrame(
            {"chain": int(chain) + 1, "group": groups[chain], "draw": draws[kept], "energy": whole[chain, kept]}
        )
        for chain in chains
    ]
    return pl.concat(parts)


def _means(trace: np.ndarray, groups: list[str]) -> pl.DataFrame:
    """Mean of the draws so far, over the chains of a group."""
    draws = np.arange(1, trace.shape[1] + 1)
    kept = slice(None, None, max(1, math.ceil(len(draws) / POINTS)))
    parts = []
    for name in dict.fromkeys(groups):
        chosen = trace[[group == name for group in groups]]
        running = chosen.mean(axis=0).cumsum() / draws
        parts.append(pl.DataFrame({"group": name, "draw": draws[kept], "mean": running[kept]}))
    return pl.concat(parts)


def _mean_domain(means: pl.DataFrame, value: float, error: float) -> list[float]:
    """Room for the last three quarters of the running means and for the error."""
    settled = means.filter(pl.col("draw") >= pl.col("draw").max() / 4)["mean"]
    half = error if math.isfinite(error) and error < abs(value) else abs(value)
    low, high = min(number(settled.min()), value - half), max(number(settled.max()), value + half)
    pad = max(0.1 * (high - low), 1e-9)
    return [low - pad, high + pad]


def colour_of_groups(size: Size) -> Any:
    """Colour of the two groups."""
    legend = alt.Legend(title=None, orient="bottom") if size.legend else None
    return alt.Color("group:N", scale=alt.Scale(domain=list(COLOURS), range=list(COLOURS.values())), legend=legend)


def draw_traces(data: alt.Data, size: Size, *, domain: list[float], value: float, draws: list[int]) -> Drawing:
    """Draw ``nβ(L − L*)`` of each chain.

    Args:
        data: Rows with ``chain``, ``group``, ``draw``, ``energy``.
        size: How large.
        domain: Of the vertical axis.
        value: Where a dashed line lies.
        draws: First and last draw; burn-in is negative.
    """
    across = alt.Scale(domain=draws, nice=False)
    x = alt.X("draw:Q", scale=across, axis=alt.Axis(title="draw", tickCount=6, format="~s"))
    y = alt.Y("energy:Q", scale=alt.Scale(domain=domain, clamp=True), axis=alt.Axis(title="nβ(L − L*)", tickCount=5))
    ends = alt.Chart(inline({"draw": 0, "from": draws[0], "energy": value}))
    tooltip = [alt.Tooltip("chain:O"), alt.Tooltip("group:N", title="with")]
    return alt.layer(
        ends.mark_rect(color=RULE, opacity=0.12).encode(x=alt.X("from:Q", scale=across), x2="draw:Q"),
        alt.Chart(data)
        .mark_line(strokeWidth=0.8, opacity=0.65)
        .encode(x=x, y=y, detail="chain:N", color=colour_of_groups(size), tooltip=tooltip),
        ends.mark_rule(color="black", strokeDash=[4, 3]).encode(y=y),
    ).properties(width=size.width, height=size.height)


def draw_means(data: alt.Data, size: Size, *, domain: list[float], value: float, error: float) -> Drawing:
    """Draw the running mean of each group of chains.

    Args:
        data: Rows with ``group``, ``draw``, ``mean``.
        size: How large.
        domain: Of the vertical axis.
        value: Where a dashed line lies.
        error: Half of the height of a band around it, drawn where it is finite.
    """
    scale = alt.Scale(domain=domain, clamp=True, zero=False, nice=False)
    y = alt.Y("mean:Q", scale=scale, axis=alt.Axis(title="mean so far", tickCount=5))
    at = alt.Chart(inline({"mean": value, "low": value - error, "high": value + error}))
    band = at.mark_rect(color=RULE, opacity=0.18).encode(y=alt.Y("low:Q", scale=scale), y2="high:Q")
    line = (
        alt.Chart(data)
        .mark_line(strokeWidth=1.8)
        .encode(
            x=alt.X("draw:Q", axis=alt.Axis(title="draw after burn-in", tickCount=6, format="~s")),
            y=y,
            color=colour_of_groups(size),
            tooltip=["group:N", "draw:Q", alt.Tooltip("mean:Q", format=".4~g")],
        )
    )
    rule = at.mark_rule(color="black", strokeDash=[4, 3]).encode(y=y)
    return alt.layer(*([band] if math.isfinite(error) else []), line, rule).properties(
        width=size.width, height=size.height
    )
