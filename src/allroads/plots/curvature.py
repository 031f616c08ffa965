"""Charts of curvature and volume at a point."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from allroads.plots import chart, titled
from allroads.plots.paths import COLOURS, lines

if TYPE_CHECKING:
    import altair

    from allroads.points.spectrum import KernelSpectrum, Spectrum
    from allroads.points.volume import Volume, VolumeScaling


@chart("Spectrum")
@chart("KernelSpectrum")
def spectrum(found: Spectrum | KernelSpectrum) -> altair.Chart:
    """The share of eigenvalues up to each size, on a symmetric logarithmic axis, and the largest as points."""
    import altair as alt

    nodes, share = found.density.nodes, np.cumsum(found.density.weights)
    rows = [{"eigenvalue": float(a), "share": float(b)} for a, b in zip(nodes, share, strict=True)]
    smallest = float(np.abs(nodes[nodes != 0]).min()) if (nodes != 0).any() else 1.0
    floor = max(smallest, 1e-9 * float(np.abs(nodes).max(initial=0.0))) or 1.0
    scale = alt.Scale(type="symlog", constant=floor)
    base = alt.Chart(alt.Data(values=rows))
    steps = base.mark_line(interpolate="step-after", color=COLOURS[0]).encode(
        x=alt.X("eigenvalue:Q", scale=scale),
        y=alt.Y("share:Q", title="share of the eigenvalues up to here", scale=alt.Scale(domain=[0, 1])),
    )
    tops = [{"eigenvalue": float(value), "share": 1.0} for value in found.eigenvalues]
    marks = (
        alt.Chart(alt.Data(values=tops))
        .mark_tick(color=COLOURS[1], thickness=2)
        .encode(x=alt.X("eigenvalue:Q", scale=scale), y="share:Q", tooltip="eigenvalue:Q")
    )
    how = f"line: share of all eigenvalues, method {found.method}; ticks: the {len(tops)} largest"
    drawn: altair.Chart = titled(steps + marks, f"eigenvalues, the largest {found.norm:.3g}", how)
    return drawn


@chart("Volume")
def volume(found: Volume) -> altair.Chart:
    """The log-mass of the sets that splitting went through, against log ε."""
    drawn = lines(np.log(found.cutoffs), {"log mass": found.log_masses}, "ln ε", "ln mass (nats)")
    return titled(drawn, f"ln mass = {found.value:.4g} ± {found.error:.2g} nats", "± is a 95 % interval")


@chart("VolumeScaling")
def scaling(found: VolumeScaling) -> altair.Chart:
    """The log-mass of every replica against log ε; the learning coefficient is its slope."""
    replicas = {f"replica {k}": masses for k, masses in enumerate(found.log_masses)}
    drawn = lines(np.log(found.cutoffs), replicas, "ln ε", "ln mass (nats)")
    how = f"the slope of {len(replicas)} replicas; ± is a 95 % interval"
    return titled(drawn, f"λ = {found.value:.3g} ± {found.error:.2g}", how)
