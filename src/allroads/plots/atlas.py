"""The chart of an atlas: programs from short to long, and the changes between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from allroads.errors import InputError
from allroads.plots import chart, titled
from allroads.plots.atlas_layers import PARAMS, map_layers
from allroads.plots.atlas_map import HIGH, WIDE, atlas_map

if TYPE_CHECKING:
    import altair

    from allroads.atlases.atlas import Atlas

NONE = "none"
"""The node of what has no program."""
QUANTITIES = ("reach", "changes", "boundary", "neighbour_share")
"""What arrows are where there are no walks: the first of these that edges have, else the first that they have."""
MOST = 300
"""Programs, at most."""


@chart("Atlas")
def atlas(found: Atlas) -> altair.Chart:
    """Programs as nodes, the larger the more runs end there; arrows are changes of runs, or what edges say first.

    Raises:
        InputError: If there is no node, or there are more than 300.
    """
    import altair as alt

    if not 0 < found.nodes.height <= MOST:
        raise InputError(
            f"the atlas has {found.nodes.height} nodes; a chart draws 1 to {MOST}. Read its tables instead."
        )
    ways, what = _ways(found)
    bare = pl.col("node") == NONE
    look = {"look": pl.when(bare).then(pl.lit("none")).otherwise(pl.lit("other")), "shape": pl.lit("circle")}
    told = pl.format("{} runs end here", pl.col("ends").fill_null(0))
    marked = found.nodes.with_columns(**look, fill=pl.lit(None, pl.String), told=told)
    drawn = atlas_map(marked, ways)
    params = [alt.param(name=name, value=value) for name, value in {"selected": "", **PARAMS}.items()]
    layers = map_layers(alt.Data(values=drawn.rows.to_dicts()), drawn)
    chart: Any = layers.add_params(*params).properties(width=WIDE, height=HIGH)
    made: altair.Chart = titled(chart, f"{found.value} programs, {found.stats.get('runs', 0)} runs", f"arrows: {what}")
    return made


def _ways(found: Atlas) -> tuple[pl.DataFrame, str]:
    """The arrows with their weights, and what they are."""
    following = found.walks.sort("run", "place").with_columns(target=pl.col("node").shift(-1).over("run"))
    changes = following.filter(pl.col("target").is_not_null(), pl.col("target") != pl.col("node"))
    counted = changes.group_by(pl.col("node").alias("source"), "target", maintain_order=True).len("count")
    if not counted.is_empty():
        told = pl.format("{} → {}: {} changes", "source", "target", "count")
        weight = pl.col("count").cast(pl.Float64)
        return counted.select("source", "target", weight=weight, told=told), "changes of runs, wider for more"
    known = [*(name for name in QUANTITIES if name in found.quantities), *found.quantities]
    quantity = known[0] if known else ""
    edges = found.edges.filter(pl.col("quantity") == quantity, pl.col("value").is_finite(), pl.col("value") > 0)
    told = pl.format("{} → {}: {}", "source", "target", pl.col("value").round(3))
    weight = pl.col("value") / pl.max_horizontal(pl.col("value").max(), 1e-12) * 16
    what = f"{quantity.replace('_', ' ')}, wider for more" if quantity else "none"
    return edges.select("source", "target", weight=weight, told=told), what
