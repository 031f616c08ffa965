"""An atlas with all that its study measured between the ends of runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import polars as pl

from allroads.atlases.atlas import Atlas
from allroads.atlases.measured.neighbours import neighbour_edges
from allroads.atlases.measured.passes import pass_edges
from allroads.atlases.measured.places import Places
from allroads.atlases.measured.reach import reach_edges
from allroads.atlases.measured.roads import road_edges
from allroads.atlases.tables import CONVENTIONS

TABLES = ("pairs", "neighbours", "reach", "road_costs")
"""Tables of a study that hold what lies between ends of runs."""


def joined(tables: Mapping[str, pl.DataFrame], atlas: Atlas) -> Atlas:
    """The atlas with the edges of :data:`TABLES`, as far as they are there.

    What a measure could not do is in ``stats["left_out"]``, with its reason.

    Args:
        tables: Of the study, by name.
        atlas: Of one of its grids.
    """
    mine = {name: tables[name] for name in TABLES if name in tables}
    if not mine or atlas.nodes.is_empty():
        return atlas
    places, nodes, edges = Places.read(atlas), atlas.nodes, [atlas.edges]
    if "barrier_train" in mine.get("pairs", pl.DataFrame()).columns:
        edges.append(pass_edges(mine["pairs"], tables["runs"], places))
    if "neighbours" in mine:
        found, around = neighbour_edges(mine["neighbours"], places)
        edges.append(found)
        same = [name for name in around.columns if name in nodes.columns and name != "node"]
        nodes = nodes.drop(same).join(around, on="node", how="left", maintain_order="left")
    if "reach" in mine:
        edges.append(reach_edges(mine["reach"], places))
    if "road_costs" in mine:
        edges.append(road_edges(mine["road_costs"], places))
    whole = pl.concat(edges, how="diagonal")
    held = set(whole["quantity"])
    said = {name: text for name, text in (dict(atlas.conventions) | dict(_said(mine))).items() if name in held}
    stats = {name: value for name, value in atlas.stats.items() if name not in ("components", "largest")}
    left = sorted({text for name in mine for text in _reasons(name, mine[name])})
    return Atlas.from_tables(nodes, whole, atlas.walks, said, stats | ({"left_out": left} if left else {}))


def _said(tables: Mapping[str, pl.DataFrame]) -> Iterator[tuple[str, str]]:
    """Conventions of these edges, with the sizes that the study chose."""
    if not (rows := tables.get("neighbours", pl.DataFrame(schema={"move": pl.Float64}))).is_empty():
        move = f"A move is a normal of {rows['move'].to_list()[0]:g} times the root mean square of each array. "
        ends = "Points are the ends of runs; 95 % intervals are by run."
        yield "neighbour_share", f"φ(q|p;σ): share of moves from points of p that lead to q. {move}{ends}"
        yield (
            "boundary",
            f"Share of the moves from all points that go from p to q; f_p is the share of ends. {move}{ends}",
        )
    if not (rows := tables.get("reach", pl.DataFrame(schema={"budget": pl.Int64})).drop_nulls("budget")).is_empty():
        most = max(rows["budget"].to_list())
        runs = f"Starts are ends of runs, descents have {most:,} steps of the explorers of the grid"
        yield "reach", f"{CONVENTIONS['reach']} {runs}."
        yield "reach_cost", f"{CONVENTIONS['reach_cost']} {runs}."
        yield (
            "directness",
            "Chord over arc, in the space of outputs, of descents from p to q; median of those that came.",
        )
    if "road_costs" in tables:
        yield "road_cost", f"{CONVENTIONS['road_cost']} Those are of ends of runs; median over the roads."


def _reasons(name: str, table: pl.DataFrame) -> Iterator[str]:
    """What a measure says of what it left out."""
    if "reason" not in table.columns:
        return
    for row in table.drop_nulls("reason").iter_rows(named=True):
        of = " × ".join(row[label] for label in ("architecture", "explorer") if row.get(label))
        yield f"{name} of {of}: {row['reason']}"
