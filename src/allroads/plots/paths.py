"""Charts of what lies between points: profiles of the loss, curves, roads, embeddings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from allroads.plots import chart, titled

if TYPE_CHECKING:
    import altair

    from allroads.paths.barrier import Barrier
    from allroads.paths.certify import Certificate
    from allroads.paths.connect.connection import Connection
    from allroads.paths.inpca import Embedding
    from allroads.paths.interpolation import Interpolation
    from allroads.paths.road.result import Road

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
"""Okabe and Ito's, which people with colour-blindness can tell apart."""


@chart("Barrier")
def profile(found: Barrier) -> altair.Chart:
    """The loss on the segment, and the line between its ends, over which the barrier stands."""
    line = (1 - found.ts) * found.losses[0] + found.ts * found.losses[-1]
    drawn = lines(found.ts, {"loss": found.losses, "line between the ends": line}, "t", "loss")
    return titled(drawn, f"barrier {found.height:.3g}", f"{len(found.ts)} points on the segment")


@chart("Interpolation")
def interpolated(found: Interpolation) -> altair.Chart:
    """The loss on the segment from the start to the end."""
    return lines(found.ts, {"loss": found.losses}, "t", "loss")


@chart("Connection")
def curve(found: Connection) -> altair.Chart:
    """The loss along the curve and along the straight segment."""
    import altair as alt

    parts = {"curve": found.barrier, "straight segment": found.straight}
    if found.held_out is not None and found.straight_held_out is not None:
        parts |= {"curve, held out": found.held_out, "straight, held out": found.straight_held_out}
    rows = [row for name, part in parts.items() for row in _rows(part.ts, {name: part.losses})]
    drawn = _drawn(alt, rows, list(parts), "t", "loss")
    what = f"barrier {found.barrier.height:.3g} along the curve, {found.straight.height:.3g} straight"
    return titled(drawn, what, f"{len(found.barrier.ts)} points on the curve")


@chart("Road")
def road(found: Road) -> altair.Chart:
    """The cost so far against the share of the segment covered: it steepens where the map gives way."""
    drawn = lines(found.ts, {"cost so far": found.lengths}, "share of the segment", "length in parameter space")
    how = f"covers {found.reached:.0%} of the segment; ± is the error of the steps and corners; chart {found.chart}"
    return titled(drawn, f"cost {found.cost:.3g} ± {found.error:.1g}", how)


@chart("Certificate")
def certificate(found: Certificate) -> altair.Chart:
    """The turning of the path beside the bound below which the loss must fall."""
    import altair as alt

    rows = [{"what": "turning", "radians": found.turning}, {"what": "bound", "radians": found.bound}]
    drawn: altair.Chart = (
        alt.Chart(alt.Data(values=rows))
        .mark_bar(color=COLOURS[0])
        .encode(x=alt.X("radians:Q"), y=alt.Y("what:N", title=None, sort=None))
    )
    verdict = "certified" if found.certified else "not certified"
    return titled(drawn, f"{verdict}: turning {found.turning:.3g}, bound {found.bound:.3g} radians")


@chart("Embedding")
def embedding(found: Embedding) -> altair.Chart:
    """The first two axes."""
    import altair as alt

    shares = found.explained_stress
    rows = [{"x": float(point[0]), "y": float(point[1]), "point": k} for k, point in enumerate(found.coordinates)]
    drawn: altair.Chart = (
        alt.Chart(alt.Data(values=rows))
        .mark_circle(color=COLOURS[0])
        .encode(
            x=alt.X("x:Q", title=f"axis 1 (explains {shares[0]:.0%} of the stress)"),
            y=alt.Y("y:Q", title=f"axis 2 (with 1: {shares[1]:.0%})"),
            tooltip="point:Q",
        )
    )
    return drawn


def lines(xs: Any, named: Mapping[str, Any], x: str, y: str) -> altair.Chart:
    """Lines over a common axis, one per name, with points that are not finite left out."""
    import altair as alt

    return _drawn(alt, _rows(xs, named), list(named), x, y)


def _rows(xs: Any, named: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"x": float(a), "y": float(b), "line": name}
        for name, ys in named.items()
        for a, b in zip(xs, ys, strict=True)
        if np.isfinite(b)
    ]


def _drawn(alt: Any, rows: Sequence[Mapping[str, Any]], names: list[str], x: str, y: str) -> altair.Chart:
    colours = alt.Scale(domain=names, range=[COLOURS[k % len(COLOURS)] for k in range(len(names))])
    legend = alt.Undefined if len(names) > 1 else None
    drawn: altair.Chart = (
        alt.Chart(alt.Data(values=list(rows)))
        .mark_line()
        .encode(
            x=alt.X("x:Q", title=x),
            y=alt.Y("y:Q", title=y),
            color=alt.Color("line:N", scale=colours, title=None, legend=legend),
        )
    )
    return drawn
