"""Read the reach matrices: tables of pairs, sources, changes and walks, and each map as an atlas.

    import sys; sys.path.insert(0, "benchmarks")
    from reach import loader
    pairs = loader.pairs("narrow")          # polars; columns as docs/reach.md says
    R = loader.matrix("narrow")             # [256, 256], NaN where there is no run
    atlas = loader.atlas("narrow")          # allroads.Atlas

The tables need polars alone (any reader of parquet will do), the atlas needs allroads.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

DATA = Path(__file__).parent / "data"
MAPS = ("wide", "narrow", "narrowest", "four", "narrow_four")


def table(map: str, kind: str, folder: Path = DATA) -> pl.DataFrame:
    """One table of a map.

    Args:
        map: One of :data:`MAPS`.
        kind: ``pairs``, ``sources``, and of three bits also ``transitions`` and ``walks``.
        folder: Where the tables are.

    Raises:
        FileNotFoundError: If there is none; says which there are.
    """
    path = folder / f"{map}_{kind}.parquet"
    if not path.exists():
        there = ", ".join(sorted(found.stem for found in folder.glob("*.parquet")))
        raise FileNotFoundError(f"there is no table {kind!r} of the map {map!r} in {folder}; there are {there}.")
    return pl.read_parquet(path)


def pairs(map: str, folder: Path = DATA) -> pl.DataFrame:
    """A row per ordered pair of two functions."""
    return table(map, "pairs", folder)


def summary(folder: Path = DATA) -> dict[str, Any]:
    """What the tables rest on, by map."""
    found: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return found


def matrix(map: str, column: str | None = None, folder: Path = DATA) -> np.ndarray:
    """R(p→q) of a map of three bits, or another column of its pairs, as ``[256, 256]``, indexed [from, to].

    NaN where there is no run or the column is null; the diagonal of R is 1.
    """
    rows = pairs(map, folder)
    value = pl.col("reached") / pl.col("tried") if column is None else pl.col(column).cast(pl.Float64)
    found = np.full((256, 256), np.nan)
    at = rows["source"].to_numpy(), rows["target"].to_numpy()
    found[at] = rows.select(value.fill_null(np.nan)).to_series().to_numpy()
    if column is None:
        started = table(map, "sources", folder).filter(pl.col("starts") > 0)["source"].to_numpy()
        found[started, started] = 1.0
    return found


def name(code: int, bits: int = 3) -> str:
    """Answers of a function as a text, row 0 first: the name of its node in :func:`atlas`."""
    return "".join(str(code >> row & 1) for row in range(2**bits))


def atlas(map: str, folder: Path = DATA) -> Any:
    """A map of three bits as an :class:`allroads.Atlas`: reach with its interval, cost, directness, roads, changes."""
    from allroads import Atlas
    from allroads.distributions import clopper_pearson

    rows = pairs(map, folder).filter(pl.col("tried") > 0)
    names = [name(code) for code in range(256)]
    ends = {(count, tried): clopper_pearson(count, tried)
        for count, tried in rows.select("reached", "tried").unique().iter_rows()}  # fmt: skip
    interval = np.array([ends[pair] for pair in rows.select("reached", "tried").iter_rows()])
    edges = {"source": np.array(names)[rows["source"]], "target": np.array(names)[rows["target"]]}
    none = pl.lit(None, pl.Float64)
    values = {"reach": pl.col("reached") / pl.col("tried"), "reach_cost": pl.col("cost")}
    values |= {column: pl.col(column) for column in ("directness", "road_cost") if column in rows.columns}
    parts = []
    for quantity, value in values.items():
        part = pl.DataFrame(edges).with_columns(
            rows.select(value.cast(pl.Float64).alias("value"), pl.col("tried").cast(pl.Int64)),
            quantity=pl.lit(quantity),
        )
        low, high = (pl.Series(interval[:, i]) if quantity == "reach" else none for i in (0, 1))
        parts.append(part.with_columns(low=low, high=high).drop_nulls("value").with_columns(status=pl.lit("ok")))
    changes = table(map, "transitions", folder).with_columns(tried=pl.col("count").sum().over("source").cast(pl.Int64))
    parts.append(changes.select(
        source=pl.Series(np.array(names)[changes["source"]]), target=pl.Series(np.array(names)[changes["target"]]),
        value=pl.col("count") / pl.col("tried"), tried=pl.col("tried"), quantity=pl.lit("changes"), low=none, high=none,
        status=pl.lit("ok"),
    ).select(parts[0].columns))  # fmt: skip
    visits = changes.group_by("target").agg(pl.col("count").sum()).sort("target")
    counted = dict(visits.iter_rows())
    nodes = pl.DataFrame({
        "node": names, "label": names, "function": names, "visits": [int(counted.get(c, 0)) for c in range(256)],
    })  # fmt: skip
    return Atlas.from_tables(nodes, pl.concat(parts), stats={"map": map, **summary(folder)[map]})
