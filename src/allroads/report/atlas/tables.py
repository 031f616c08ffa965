"""The stored atlas of one grid: programs, what lies between them, and the walks of runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from allroads.report.grids import Grid
from allroads.report.stored import Stored

NONE = "none"
"""The node of what has no program."""
LEAST = 2
"""Programs from which on there is something to map."""
MOST = 300
"""Programs that are drawn one by one."""
BINS = 12
"""Groups, at most, into which programs beyond these are joined, by their length."""
GROUP = "group of programs"
"""The language of such a group."""


@dataclass(frozen=True)
class GridAtlas:
    """The atlas of one grid.

    Attributes:
        grid: Its grid.
        nodes: Rows with ``node``, ``label``, ``language``, ``source``, ``bits``, ``ends``, ``visits`` and what else is
            known of programs, those first at which most runs end.
        edges: Rows with ``source``, ``target``, ``quantity``, ``value``, ``low``, ``high``, ``tried``, ``status``.
        ways: Rows with ``source``, ``target`` and ``count``: how often runs change from one to the other.
        walks: Rows with ``run``, ``place``, ``step``, ``node``.
        stats: What it rests on.
        joined: How many programs are drawn in groups; 0 where each is drawn.
    """

    grid: Grid
    nodes: pl.DataFrame
    edges: pl.DataFrame
    ways: pl.DataFrame
    walks: pl.DataFrame
    stats: dict[str, Any]
    joined: int

    @property
    def programs(self) -> int:
        """How many programs there are, with those in groups."""
        alone = self.nodes.filter(pl.col("node") != NONE, pl.col("language").fill_null("") != GROUP)
        return alone.height + self.joined


def read_atlases(stored: Stored, grids: Sequence[Grid]) -> tuple[GridAtlas, ...]:
    """The atlases of a study, grid by grid; a grid with fewer than two programs has none.

    Args:
        stored: With the table ``atlas``: rows of the kinds ``node``, ``edge``, ``walk`` and ``atlas``.
        grids: Of the study.
    """
    found = (read_atlas(stored, grid) for grid in grids)
    return tuple(atlas for atlas in found if atlas is not None)


def read_atlas(stored: Stored, grid: Grid) -> GridAtlas | None:
    """The atlas of one grid; ``None`` where it has fewer than two programs.

    Args:
        stored: As :func:`read_atlases` reads it.
        grid: Which.
    """
    if "atlas" not in stored.tables:
        return None
    rows = stored.tables["atlas"].filter(pl.col("grid") == grid.name)
    kinds = {kind: rows.filter(pl.col("kind") == kind) for kind in ("node", "edge", "walk", "atlas")}
    if kinds["node"].filter(pl.col("node") != NONE).height < LEAST:
        return None
    walks = kinds["walk"].filter(pl.col("run").is_in(grid.runs["run"].implode())).sort("run", "place")
    walks = walks.select("run", "place", "step", "node")
    edges = kinds["edge"].select("source", "target", "quantity", "value", "low", "high", "tried", "status")
    told = kinds["atlas"]["stats"].drop_nulls().to_list()
    order = ["ends", "visits", "node"]
    nodes = kinds["node"].drop("kind", "grid", "stats").sort(order, descending=[True, True, False], nulls_last=True)
    alone, walks, joined = _in_groups(named(nodes), walks)
    kept = alone["node"].implode()
    edges = edges.filter(pl.col("source").is_in(kept), pl.col("target").is_in(kept))
    return GridAtlas(grid, alone, edges, _ways(walks), walks, json.loads(told[0]) if told else {}, joined)


def named(nodes: pl.DataFrame) -> pl.DataFrame:
    """The same nodes, those programs without a short text called p1, p2, … in their order, with language and length.

    Args:
        nodes: Those first at which most runs end.

    Example:
        >>> row = {"node": "boolean 4a2aad80", "label": "boolean 4a2aad80", "language": "boolean", "bits": 33.6}
        >>> named(pl.DataFrame([row | {"label": "x0"}, row]))["label"].to_list()
        ['x0', 'p2: boolean, 34 bits']
    """
    place = (pl.col("node") != NONE).cum_sum()
    language, bits = pl.col("language"), pl.col("bits").round(0).cast(pl.Int64)
    spoken = pl.coalesce(pl.format("p{}: {}, {} bits", place, language, bits), pl.format("p{}: {}", place, language))
    digest = (pl.col("label") == pl.col("node")) & pl.col("node").str.contains(r" [0-9a-f]{8}$")
    program = (pl.col("label").is_null() | digest) & language.is_not_null() & (pl.col("node") != NONE)
    return nodes.with_columns(label=pl.when(program).then(spoken).otherwise(pl.coalesce("label", "node")))


def _ways(walks: pl.DataFrame) -> pl.DataFrame:
    """How often runs change from one node to another, the commonest change first."""
    following = walks.sort("run", "place").with_columns(target=pl.col("node").shift(-1).over("run"))
    changes = following.filter(pl.col("target").is_not_null(), pl.col("target") != pl.col("node"))
    counted = changes.group_by(pl.col("node").alias("source"), "target").len("count")
    return counted.sort("count", "source", "target", descending=[True, False, False])


def _in_groups(nodes: pl.DataFrame, walks: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame, int]:
    """Nodes and walks in which all programs but the most reached are joined by length."""
    apart = pl.col("node") == NONE
    programs = nodes.filter(~apart)
    if programs.height <= MOST:
        return nodes, walks, 0
    rest = programs.tail(programs.height - MOST)
    place = pl.when(pl.col("bits").is_null()).then(BINS).otherwise(_rank_bin(rest["bits"]))
    rest = rest.with_columns(group=pl.format("group {}", place))
    parts = []
    for (name,), part in rest.group_by("group", maintain_order=True):
        bits = part["bits"].drop_nulls()
        span = "" if bits.is_empty() else f", {bits.to_numpy().min():.0f}–{bits.to_numpy().max():.0f} bits"
        parts.append(
            {
                "node": name,
                "label": f"{part.height:,} programs{span}",
                "language": GROUP,
                "bits": None if bits.is_empty() else float(bits.to_numpy().mean()),
                "ends": part["ends"].sum(),
                "visits": part["visits"].sum(),
            }
        )
    groups = pl.DataFrame(parts, schema_overrides={name: nodes.schema[name] for name in parts[0]})
    drawn = pl.concat([programs.head(MOST), groups, nodes.filter(apart)], how="diagonal")
    of = rest.select("node", "group")
    moved = walks.join(of, on="node", how="left", maintain_order="left")
    walks = moved.with_columns(node=pl.coalesce("group", "node")).drop("group")
    same = pl.col("node") == pl.col("node").shift(1).over("run")
    walks = walks.filter(~same.fill_null(False)).with_columns(place=pl.int_range(pl.len()).over("run"))
    return drawn, walks, rest.height


def _rank_bin(bits: pl.Series) -> pl.Series:
    """The group of each length: as many programs in each as can be, and none of one length in two."""
    count = max(int(bits.is_not_null().sum()), 1)
    return ((bits.rank("min") - 1) * BINS / count).floor().cast(pl.Int64).clip(0, BINS - 1)
