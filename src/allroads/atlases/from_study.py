"""An atlas from the tables of a study."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

import polars as pl

from allroads.atlases.atlas import Atlas
from allroads.atlases.clusters import OF_THE_HEAD
from allroads.atlases.from_runs import from_runs
from allroads.atlases.labels import program_node
from allroads.atlases.measured.join import TABLES, joined
from allroads.atlases.stored import unstacked
from allroads.atlases.tables import NODES
from allroads.checks import check_choice
from allroads.errors import InputError, UnknownNameError

Label: TypeAlias = Literal["program", "function"]
Tables: TypeAlias = Mapping[str, pl.DataFrame]

PROOFS = ("computes", "behaves as", "table")
"""Statuses of a program that was shown to give the network's answers, the strongest first."""

SOUND = ("ok", "converged", "scale-dependent")
"""Statuses of a number that may be read."""

NUMBERS = {"llc": "llc", "volume": "log_volume", "robustness": "robustness", "sharpness": "sharpness"}
"""Tables along the records, and the columns of nodes that hold their medians over the records at a node."""

SAID = ("status", "scope", "checked", "correct", "diagram")
"""Columns of a program that its node keeps: those of the first record with the strongest proof."""


NODE = {name: NODES[name] for name in (*OF_THE_HEAD, "function")}
"""Columns of a record that say what its program is."""

_AT = ".at"


def from_study(directory: str | Path, grid: str | None = None, **options: Any) -> Atlas:
    """The atlas of a study that read programs.

    Without options, a study that measured its atlas gives it as it is stored; else it is made from the programs.

    Args:
        directory: Of a study that ran.
        grid: Which of its grids; default the only one in which programs were read.
        options: Of :func:`programs_atlas`.

    Raises:
        InputError: If the folder holds no programs, or several grids have some and none is named.
        UnknownNameError: If no such grid has programs.
    """
    folder = Path(directory) / "tables"
    tables = {path.stem: _read(path) for path in sorted(folder.glob("*.parquet")) if path.stem in READ}
    if "programs" not in tables or "runs" not in tables:
        raise InputError(
            f"{directory} holds no programs: give the directory of a study with `programs = true` under [measures], "
            "or the labels of runs."
        )
    runs = tables["runs"]
    named = tables["programs"].select("run").unique().join(runs, on="run")
    grids = runs.filter(pl.col("run").is_in(named["run"].implode()))["grid"].unique(maintain_order=True).to_list()
    if grid is not None and grid not in grids:
        raise UnknownNameError("grid with programs", grid, grids)
    if not grids:
        raise InputError(f"{directory}: no program was read; raise measures.programs.checkpoints above 0.")
    if grid is None and len(grids) > 1:
        raise InputError(f"grid: programs were read in {', '.join(map(repr, grids))}; name one, grid={grids[0]!r}.")
    chosen = grids[0] if grid is None else grid
    if "atlas" in tables and not options and not tables["atlas"].is_empty():
        return unstacked(tables["atlas"].filter(pl.col("grid") == chosen))
    return programs_atlas(tables, chosen, **options)


def programs_atlas(tables: Tables, grid: str, *, label: Label = "program", **options: Any) -> Atlas:
    """The atlas of one grid, from its tables ``runs`` and ``programs``.

    A record without a program that was proved to give the network's answers is the node ``"none"``. A table counts as
    a program; its node says so by its ``status``. Nodes have the proof of
    their program, and medians of what else was measured at their records: ``llc``, ``log_volume``, ``robustness`` and
    ``sharpness``. What was measured between ends of runs gives edges, see :mod:`allroads.atlases.measured`.

    Args:
        tables: Tables of a study by name.
        grid: Label of the grid.
        label: ``"program"``, or ``"function"`` for the answers on the domain.
        options: Of :func:`~allroads.atlases.from_runs.from_runs`.

    Raises:
        InputError: If an option cannot be used, or the programs come from an earlier allroads.
    """
    check_choice("label", label, ("program", "function"))
    runs = tables["runs"].filter(pl.col("grid") == grid)
    programs = tables["programs"].filter(pl.col("run").is_in(runs["run"].implode()))
    if absent := [name for name in ("canonical", "parts", "function") if name not in programs.columns]:
        raise InputError(f"programs: the column {absent[0]!r} is absent; run the study again, finished runs are kept.")
    records = _records(programs.sort("step", maintain_order=True), label)
    walks = records.group_by("run", maintain_order=True).agg("node", "step")
    walks = runs.select("run").unique(maintain_order=True).join(walks, on="run", maintain_order="left")
    found = from_runs(
        dict(walks.select("run", "node").iter_rows()),
        steps=dict(walks.select("run", "step").iter_rows()),
        nodes=_nodes(records, tables),
        **options,
    )
    if label == "program" and "clusters" in found.stats:
        return found
    return joined({name: _of_grid(rows, grid) for name, rows in tables.items()}, found)


READ = ("runs", "programs", "atlas", *TABLES, *NUMBERS)
"""Tables that are read."""


def _records(programs: pl.DataFrame, label: Label) -> pl.DataFrame:
    """Records with what is known of their nodes, and what these keep of a program; what is alike is looked at once."""
    decides = ["language", "canonical", "bits", "parts", "equal", "function"]
    rows = programs.select(*decides).with_row_index(_AT)
    alike = rows.group_by(decides, maintain_order=True).agg(_AT)
    said = [(_node(row, label) or {}) for row in alike.select(decides).iter_rows(named=True)]
    nodes = pl.DataFrame(said, schema=NODE) if said else pl.DataFrame(schema=NODE)
    of_rows = pl.concat([alike.select(_AT), nodes], how="horizontal").explode(_AT).sort(_AT)
    kept = programs.select("run", "step", *(name for name in SAID if name in programs.columns))
    return pl.concat([kept, of_rows.drop(_AT)], how="horizontal")


def _node(row: Mapping[str, Any], label: Label) -> dict[str, Any] | None:
    """What is known of the node of one record; ``None`` where nothing was read."""
    if label == "function":
        return None if row["function"] is None else {"node": row["function"], "function": row["function"]}
    if not row["equal"] or row["canonical"] is None:
        return None
    return program_node(row["language"], row["canonical"], row["bits"], row["parts"]) | {"function": row["function"]}


def _nodes(records: pl.DataFrame, tables: Tables) -> pl.DataFrame:
    """What is known of the nodes: of each the first record, its proof, and medians of what was measured there."""
    found = records.drop_nulls("node")
    nodes = found.select(*NODE).unique("node", keep="first", maintain_order=True)
    proof = [name for name in SAID if name in records.columns]
    rank = pl.col("status").replace_strict(list(PROOFS), list(range(len(PROOFS))), default=len(PROOFS))
    strongest = found.select("node", *proof).sort(rank, maintain_order=True)
    nodes = nodes.join(strongest.group_by("node").agg(pl.col(proof).first()), on="node", how="left")
    for table, column in NUMBERS.items():
        if table in tables and {"run", "step", "value", "status"} <= set(tables[table].columns):
            measured = tables[table].filter(pl.col("status").is_in(SOUND)).select("run", "step", "value")
            placed = records.select("run", "step", "node").join(measured, on=["run", "step"])
            medians = placed.group_by("node").agg(pl.col("value").median())
            nodes = nodes.join(medians.rename({"value": column}), on="node", how="left", maintain_order="left")
    return nodes


def _of_grid(rows: pl.DataFrame, grid: str) -> pl.DataFrame:
    return rows.filter(pl.col("grid") == grid) if "grid" in rows.columns else rows


def _read(path: Path) -> pl.DataFrame:
    try:
        return pl.read_parquet(path, glob=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{path} cannot be read ({error}); run the study again, finished runs are kept.") from error
