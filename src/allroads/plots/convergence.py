"""Charts of what members have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from allroads.errors import InputError
from allroads.plots import chart, titled

if TYPE_CHECKING:
    import altair

    from allroads.paths.convergence.tables import PairTable


@chart("PairTable")
def pairs(found: PairTable) -> Any:
    """A measure of all pairs as a matrix, darker where members are nearer; a point marks pairs beyond the null.

    Raises:
        InputError: If no pair has a number.
    """
    import altair as alt

    rows = [
        {
            "member": int(a),
            "other": int(b),
            "measure": float(found.values[a, b]),
            "null": float(found.null_mean[a, b]) if np.isfinite(found.null_mean[a, b]) else None,
            "beyond": bool(found.beyond[a, b]),
        }
        for a, b in np.argwhere(np.isfinite(found.values))
        if not (found.within and a == b)
    ]
    if not rows:
        raise InputError(f"{found.measure}: no pair has a number, so there is nothing to draw. Read the status.")
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X("other:O", title="member" if found.within else "member of the other population"),
        y=alt.Y("member:O"),
        tooltip=["member:O", "other:O", alt.Tooltip("measure:Q", format=".3g"), alt.Tooltip("null:Q", format=".3g")],
    )
    colour = alt.Scale(scheme="blues", reverse=found.nearer < 0)
    cells: altair.Chart = base.mark_rect().encode(color=alt.Color("measure:Q", title=found.measure, scale=colour))
    marks: altair.Chart = base.transform_filter("datum.beyond").mark_point(filled=True, color="#d55e00", size=30)
    mean, share = found.mean.value, found.share
    what = f"{found.measure}: mean {mean:.3g}, null {found.stats['null']:.3g}"
    how = f"{share:.0%} of {found.stats['pairs']} pairs, marked, are beyond the null at level {found.level:g} (Holm)"
    return titled(cells + marks, what, how)
