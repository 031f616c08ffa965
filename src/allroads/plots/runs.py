"""Charts of runs: learning curves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from allroads.errors import InputError
from allroads.plots import chart, titled

if TYPE_CHECKING:
    import altair

    from allroads.explorers.trajectory import Trajectory

SHOWN = 32
"""Members drawn, at most."""
COLOURS = {"train": "#0072b2", "held-out": "#d55e00"}


@chart("Trajectory")
def learning_curves(run: Trajectory) -> altair.Chart:
    """Loss against step, one line per member and set of examples, both axes logarithmic where they can be.

    Raises:
        InputError: If the trajectory has no curves.
    """
    import altair as alt

    names = {"train": "train_loss", "held-out": "held_out_loss"}
    present = {label: run.curves[name] for label, name in names.items() if name in run.curves}
    if not present:
        raise InputError("Trajectory: there are no curves to draw; give from_checkpoints a problem.")
    rows = [
        {"step": int(step) + 1, "loss": float(loss), "member": int(run.members[m]), "examples": label}
        for label, curve in present.items()
        for m in range(min(SHOWN, len(run.members)))
        for step, loss in zip(run.steps, curve[m], strict=True)
        if np.isfinite(loss)
    ]
    positive = all((curve[np.isfinite(curve)] > 0).all() for curve in present.values())
    colours = alt.Scale(domain=list(present), range=[COLOURS[label] for label in present])
    drawn: altair.Chart = (
        alt.Chart(alt.Data(values=rows))
        .mark_line(opacity=0.7, strokeWidth=1)
        .encode(
            x=alt.X("step:Q", scale=alt.Scale(type="log"), title="1 + step"),
            y=alt.Y("loss:Q", scale=alt.Scale(type="log" if positive else "linear"), title="loss"),
            color=alt.Color("examples:N", scale=colours, title=None),
            detail="member:N",
        )
    )
    members = min(SHOWN, len(run.members))
    return titled(drawn, "learning curves", f"{members} of {len(run.members)} members, a line each")
