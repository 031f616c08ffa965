"""What the page's script knows of an atlas: what was found of programs and pairs of them, and the walks of runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from allroads.report import words
from allroads.report.atlas.tables import GridAtlas
from allroads.report.encode import encode, records, rounded
from allroads.report.grids import Group
from allroads.report.stored import Stored

SOUND = ("ok", "converged", "scale-dependent")
"""Statuses of a number that may be read."""

OF_RUNS = {
    "llc": "learning coefficient",
    "volume": "log local volume",
    "robustness": "robustness",
    "sharpness": "sharpness",
    "complexity": "complexity of the function",
}
"""Tables with ``run``, ``value`` and ``status``, whose last rows are summed up over the runs that end at a program."""

OWN = {
    "frequency": "prior mass",
    "robustness": "robustness",
    "evolvability": "evolvability",
    "llc": "learning coefficient",
    "log_volume": "log local volume",
    "sharpness": "sharpness",
}
"""Columns of nodes that are shown as they are, where no table of runs has the same."""

QUANTITIES = {
    "changes": "share of changes",
    "reach": "reach",
    "reach_cost": "log₂ steps to reach",
    "neighbour_share": "neighbour share",
    "boundary": "boundary",
    "pass_upper": "pass, at most",
    "pass_lower": "pass, at least",
    "road_cost": "road cost",
    "directness": "directness",
}
"""Quantities of edges, as the panel calls them and in its order."""


def panel_data(stored: Stored, atlas: GridAtlas, marks: Mapping[str, Group]) -> dict[str, Any]:
    """The data of one atlas.

    Args:
        stored: The tables of the study.
        atlas: Of one grid.
        marks: The programs that are their target's, each with a group of runs.

    Returns:
        A dict with ``nodes``, ``edges`` (by columns; ends are places of nodes), ``runs`` (how many there are),
        ``walks`` (for each run that is shown the places of nodes and the steps, by turns), ``quantities`` (their names
        and conventions) and ``statuses``.
    """
    place = {node: at for at, node in enumerate(atlas.nodes["node"].to_list())}
    ends = atlas.walks.group_by("run", maintain_order=True).last().select("run", "node")
    proofs, measured = _proofs(stored, ends), _measured(stored, ends)
    ending = dict(ends.group_by("node").len().iter_rows())
    passing = dict(atlas.walks.group_by("node").agg(pl.col("run").n_unique()).iter_rows())
    nodes = []
    for row in records(atlas.nodes):
        node, group = row["node"], marks.get(row["node"])
        nodes.append(
            {
                **{name: row[name] for name in ("node", "label", "language", "source", "bits", "visits")},
                "ends": ending.get(node, 0),
                "passes": passing.get(node, 0) - ending.get(node, 0),
                "target": group.target if group else None,
                "colour": group.colour if group else None,
                "shape": group.shape if group else None,
                "proof": proofs.get(node) or _proof(row),
                "status": row.get("status") or (proofs.get(node) or {}).get("status"),
                "facts": measured.get(node, []) + _facts(row, {title for title, _ in measured.get(node, [])}),
            }
        )
    walks = {
        str(run): [value for node, step in part.select("node", "step").iter_rows() for value in (place[node], step)]
        for (run,), part in atlas.grid.singles(atlas.walks).group_by("run", maintain_order=True)
    }
    ways = atlas.ways.select("source", "target", "count")
    statuses = {node["status"] for node in nodes if node["status"]} | set(atlas.edges["status"].drop_nulls())
    return {
        "grid": atlas.grid.slug,
        "name": atlas.grid.name,
        "nodes": nodes,
        "edges": encode(_placed(atlas.edges.filter(~pl.col("quantity").is_in(HIDDEN)).select(*KEPT), place)),
        "ways": encode(_placed(ways, place)),
        "runs": ends.height,
        "walks": walks,
        "quantities": _quantities(atlas),
        "statuses": words.status_meanings(statuses),
    }


HIDDEN = ("reach_asymmetry",)
"""Quantities that the panel leaves out: those of both directions say the same."""
KEPT = ("source", "target", "quantity", "value", "low", "high", "tried")


def _placed(edges: pl.DataFrame, place: Mapping[str, int]) -> pl.DataFrame:
    """Edges whose ends are places of nodes."""
    ends = [pl.col(end).replace_strict(dict(place), return_dtype=pl.Int64).alias(end) for end in ("source", "target")]
    return edges.with_columns(ends) if edges.height else edges.with_columns(pl.col("source", "target").cast(pl.Int64))


def _quantities(atlas: GridAtlas) -> list[dict[str, str]]:
    said: Mapping[str, str] = atlas.stats.get("conventions") or {}
    held = [name for name in atlas.edges["quantity"].unique(maintain_order=True) if name not in HIDDEN]
    order = [name for name in QUANTITIES if name in held] + [name for name in held if name not in QUANTITIES]
    return [
        {"key": name, "title": QUANTITIES.get(name, name.replace("_", " ")), "convention": said.get(name, "")}
        for name in order
    ]


def _proofs(stored: Stored, ends: pl.DataFrame) -> dict[str, dict[str, Any]]:
    """Of each program what was shown where a run ends at it: the first of its proofs."""
    if "programs" not in stored.tables:
        return {}
    last = stored.tables["programs"].sort("step").group_by("run", maintain_order=True).last()
    rows = ends.join(last, on="run", maintain_order="left").unique("node", keep="first", maintain_order=True)
    return {row["node"]: _proof(row) for row in rows.iter_rows(named=True) if row["equal"] is not None}


def _proof(row: Mapping[str, Any]) -> dict[str, Any]:
    """Equality, where it was shown and on how many inputs, and the interchange of hidden states."""
    names = ("equal", "scope", "checked", "interchange", "status")
    return {name: rounded(row[name]) for name in names if row.get(name) is not None}


def _measured(stored: Stored, ends: pl.DataFrame) -> dict[str, list[tuple[str, str]]]:
    """Of each program the numbers of the points at which runs end there: the median, the middle half, how many."""
    found: dict[str, list[tuple[str, str]]] = {}
    for table, title in OF_RUNS.items():
        rows = stored.tables.get(table)
        if rows is None or not {"run", "value", "status"} <= set(rows.columns):
            continue
        rows = rows.group_by("run", maintain_order=True).last().filter(pl.col("status").is_in(SOUND))
        joined = ends.join(rows.select("run", "value").drop_nulls(), on="run", maintain_order="left")
        summed = joined.group_by("node", maintain_order=True).agg(
            low=pl.col("value").quantile(0.25, "linear"),
            mid=pl.col("value").median(),
            high=pl.col("value").quantile(0.75, "linear"),
            runs=pl.len(),
        )
        for node, low, mid, high, runs in summed.iter_rows():
            spread = f" [{low:.3g} to {high:.3g}], {runs} runs" if runs > 1 else ", one run"
            found.setdefault(node, []).append((title, f"{mid:.3g}{spread}"))
    return found


def _facts(row: Mapping[str, Any], known: set[str]) -> list[tuple[str, str]]:
    """What a node's own columns say, with the interval where there is one."""
    facts = []
    for name, title in OWN.items():
        value = row.get(name)
        if value is None or title in known:
            continue
        low, high = row.get(f"{name}_low"), row.get(f"{name}_high")
        facts.append(
            (title, f"{value:.3g}" + (f" [{low:.3g} to {high:.3g}]" if low is not None and high is not None else ""))
        )
    return facts
