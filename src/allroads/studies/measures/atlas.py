"""The atlas of each grid: programs as nodes, changes of program as edges, runs as walks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import polars as pl
from pydantic import Field

from allroads.atlases.stored import COLUMNS, stacked
from allroads.atlases.tables import CONVENTIONS
from allroads.distributions import clopper_pearson
from allroads.studies.measures.measure import Finding, Measure, Options, Quantity, Row, Tables
from allroads.studies.measures.sentences import by_grid

if TYPE_CHECKING:
    from allroads.studies.units import Unit


class AtlasOptions(Options):
    """Options of the atlas.

    Args:
        enabled: Off by default: it says little where programs are read at the last record alone.
        label: Whether nodes are programs, or functions on the domain.
        least: Fewest changes that must leave a node for its edges to be estimated.
        flicker: Records below which a stay that comes back is a flicker.
        merge_flicker: Whether flickers join the stays around them.
        most: Nodes, at most; with more, nodes are clusters.
    """

    enabled: bool = False
    label: Literal["program", "function"] = "program"
    least: Annotated[int, Field(ge=1)] = 5
    flicker: Annotated[int, Field(ge=1)] = 2
    merge_flicker: bool = False
    most: Annotated[int, Field(ge=2)] = 1000


QUANTITY = Quantity(
    "share of changes",
    "Share of the changes of program that leave p which go to q.",
    symbol="P(q|p)",
    conventions=CONVENTIONS["changes"].partition("; ")[2],
    source="clopper1934",
)


def ask(unit: Unit, options: AtlasOptions) -> list[Row]:
    """One row that says how, answered by the tables of runs and programs."""
    return [{"stats": json.dumps(options.identity)}]


def answer(rows: pl.DataFrame, tables: Tables) -> pl.DataFrame:
    """The atlas of each grid in which programs were read, one under another."""
    from allroads.atlases.from_study import programs_atlas

    if rows.is_empty():
        return rows
    options = json.loads(rows["stats"][0])
    grids = tables["runs"].join(tables["programs"].select("run").unique(), on="run", how="semi", maintain_order="left")
    found = [
        stacked(programs_atlas(tables, grid, **options)).select(pl.lit(grid).alias("grid"), pl.all())
        for grid in grids["grid"].unique(maintain_order=True)
    ]
    return pl.concat(found) if found else rows.clear()


def findings(tables: Tables, grids: Sequence[str]) -> list[Finding]:
    """How often runs change their program, where changes lead, and whether they lengthen it."""
    tests = tables.get("hypotheses", pl.DataFrame(schema={"grid": pl.String, "test": pl.String, "value": pl.Float64}))
    tested = tests.filter((pl.col("test") == "H3 lengthening") & pl.col("value").is_not_null())["grid"].to_list()

    def say(rows: pl.DataFrame) -> str:
        atlases = rows.filter(pl.col("kind") == "atlas")
        if atlases.height != 1:
            return ""
        return _around(rows, json.loads(atlases["stats"][0]), tested=atlases["grid"][0] in tested)

    return by_grid(say, "atlas", "around")(tables["atlas"], grids)


def _around(rows: pl.DataFrame, stats: dict[str, Any], tested: bool) -> str:
    """What one atlas says; where the share that lengthens is ``tested``, that says it with a better interval."""
    nodes = rows.filter((pl.col("kind") == "node") & (pl.col("node") != "none"))
    walks, edges = (rows.filter(pl.col("kind") == kind) for kind in ("walk", "edge"))
    if nodes.is_empty():
        return "No record has a program that was proved."
    label = dict(nodes.select("node", "label").iter_rows()) | {"none": "no program"}
    between = [_moves(edges, label), _comes(edges)]
    programs = f"{nodes.height} program{'s' * (nodes.height > 1)}"
    one = stats["runs"] == 1
    start = f"The run passes {programs}" if one else f"The {stats['runs']} runs pass {programs}"
    change = "changes its" if one else "change their"
    if walks.group_by("run").agg(pl.col("records").sum())["records"].max() == 1:
        has = "it has" if one else "each has"
        said = [f"{start}; {has} one record, and a change takes two: raise measures.programs.checkpoints."]
        return " ".join(filter(None, said + between))
    if not stats["changes"]:
        said = [f"{start}, and {'it never' if one else 'none'} changes its program between two records."]
        return " ".join(filter(None, said + between))
    times = f"{stats['changes']} time{'s' * (stats['changes'] > 1)}"
    said = [f"{start} and {change} program {times} between two records."]
    changes = edges.filter(pl.col("quantity") == "changes")
    said.append(_leads(changes, label) if not changes.is_empty() else "These are too few to say where changes lead.")
    if not tested:
        said.append(_lengthens(walks, dict(nodes.select("node", "bits").drop_nulls().iter_rows())))
    return " ".join(filter(None, said + between))


def _moves(edges: pl.DataFrame, label: dict[str, str]) -> str:
    """Between which programs small moves lead most often, and whether that is clear of how runs differ."""
    shares = edges.filter(pl.col("quantity") == "neighbour_share").sort("value", descending=True, maintain_order=True)
    if shares.is_empty():
        return ""
    most = shares.row(0, named=True)
    share = f"{100 * most['value']:.0f} % (95 % interval {100 * most['low']:.0f}–{100 * most['high']:.0f} %)"
    way = f"from {label[most['source']]} to {label[most['target']]}: {share}"
    if shares.height == 1:
        return f"Small moves of the weights were seen to lead {way}, and between no other two programs."
    if most["low"] > max(shares["high"].to_list()[1:]):
        return f"Small moves of the weights lead most often {way}."
    return f"Small moves of the weights were seen to lead most often {way}, not clearly more often than others."


def _comes(edges: pl.DataFrame) -> str:
    """For how many pairs descents come more often than not, and in how many one direction is easier."""
    reach = edges.filter(pl.col("quantity") == "reach")
    if reach.is_empty():
        return ""
    often, seldom = int((reach["low"] > 0.5).sum()), int((reach["high"] < 0.5).sum())
    open_ = reach.height - often - seldom
    text = (
        f"Descents from the ends at one program come to another more often than not in {often} of {reach.height} "
        f"ordered pairs, less often in {seldom}, and {open_} are not clear."
    )
    back = edges.filter((pl.col("quantity") == "reach_asymmetry") & (pl.col("low") > 0))
    both = edges.filter(pl.col("quantity") == "reach_asymmetry").height // 2
    return f"{text} One direction is clearly easier in {back.height} of {both} pairs." if both else text


def _leads(edges: pl.DataFrame, label: dict[str, str]) -> str:
    """Where most of the changes lead that leave the node which most changes leave."""
    most = edges.sort("tried", "value", descending=True, maintain_order=True).row(0, named=True)
    share = f"{100 * most['value']:.0f} % (95 % interval {100 * most['low']:.0f}–{100 * most['high']:.0f} %)"
    leave = f"Of the {most['tried']} changes that leave {label[most['source']]}, "
    if most["low"] > 0.5:
        return f"{leave}most lead to {label[most['target']]}: {share}."
    if most["high"] < 0.5:
        return f"{leave}fewer than half lead to any one program, most to {label[most['target']]}: {share}."
    return f"{leave}the largest share leads to {label[most['target']]}: {share}, not clearly more or fewer than half."


def _lengthens(walks: pl.DataFrame, bits: dict[str, float]) -> str:
    """Whether changes from program to program lengthen it."""
    walks = walks.sort("run", "place").with_columns(before=pl.col("node").shift(1).over("run"))
    pairs = [(bits[p], bits[q]) for p, q in walks.select("before", "node").iter_rows() if p in bits and q in bits]
    moved = [(p, q) for p, q in pairs if p != q]
    if not moved:
        return ""
    longer = sum(q > p for p, q in moved)
    low, high = clopper_pearson(longer, len(moved))
    verb = (
        "mostly lengthen" if low > 0.5 else "mostly shorten" if high < 0.5 else "neither clearly lengthen nor shorten"
    )
    share = f"{longer} of {len(moved)} lengthen, 95 % interval {100 * low:.0f}–{100 * high:.0f} %"
    return f"Changes between programs of different length {verb} them ({share})."


MEASURE = Measure(
    "atlas",
    2,
    "study",
    ask,
    {"grid": pl.String, **COLUMNS},
    options=AtlasOptions,
    quantities=(QUANTITY,),
    tabulate=answer,
    reads=("programs",),
    findings=findings,
)
