"""The committed tables of the reach matrices, made from the blocks that `run.py` and `straight.py` left.

python benchmarks/reach/tables.py wide narrow narrowest four
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from maps import DATA, MAPS, WORK, Map

from allroads.distributions import clopper_pearson

FOLLOWED = 0.005
"""Largest deviation of a road that counts, over the length of its segment."""
BUDGETS = (100, 300, 600)
COMPRESSION = {"compression": "zstd", "compression_level": 19}


def blocks(made: Map, kind: str = "") -> list[dict[str, Any]]:
    found = []
    for path in sorted(WORK.glob(f"{made.name}{kind}-[0-9][0-9][0-9].npz")):
        with np.load(path) as file:
            found.append({name: file[name] for name in file.files if not name.startswith("params")})
    return found


def popcount(codes: Any) -> np.ndarray:
    return np.bitwise_count(np.asarray(codes, np.uint32)).astype(np.uint8)


def pair_rows(made: Map, part: dict[str, Any]) -> pl.DataFrame:
    """A row per ordered pair of two functions, of one block of sources."""
    steps, targets = part["steps"].astype(int), made.targets
    shape = steps.shape
    tried, came = (steps != -2).sum(-1), (steps >= 0).sum(-1)
    cost = np.sort(np.where(steps >= 0, np.log2(1.0 + np.maximum(steps, 0)), np.where(steps == -2, np.nan, np.inf)), -1)
    half = np.maximum(tried - 1, 0) // 2, np.minimum(tried // 2, shape[2] - 1)
    middle = sum(np.take_along_axis(cost, at[..., None], -1)[..., 0] for at in half) / 2
    source = np.repeat(part["sources"], shape[1]).astype(np.uint16)
    target = np.tile(targets, shape[0]).astype(np.uint16)
    columns: dict[str, Any] = {"source": source, "target": target, "distance": popcount(source ^ target)}
    columns |= {"tried": tried.ravel().astype(np.uint8), "reached": came.ravel().astype(np.uint8)}
    columns |= {f"reached_{b}": ((steps >= 0) & (steps <= b)).sum(-1).ravel().astype(np.uint8) for b in BUDGETS
        if b < made.steps}  # fmt: skip
    columns["cost"] = np.where(np.isfinite(middle), middle, np.nan).ravel().astype(np.float32)
    direct = np.sort(part["directness"].astype(np.float32), -1)
    known = np.isfinite(direct).sum(-1)
    at = np.maximum(known - 1, 0) // 2, np.minimum(known // 2, shape[2] - 1)
    middle = sum(np.take_along_axis(direct, a[..., None], -1)[..., 0] for a in at) / 2
    columns["directness"] = middle.ravel().astype(np.float32)
    run, code = part["run"], part["function"].astype(np.uint32)
    inside = np.flatnonzero(run[1:] == run[:-1])
    pair = run[inside] // shape[2]
    goal = target[pair].astype(np.uint32)
    flips = popcount(code[inside] ^ code[inside + 1])
    away = popcount(code[inside + 1] ^ goal) > popcount(code[inside] ^ goal)
    size = shape[0] * shape[1]
    columns["changes"] = np.bincount(pair, minlength=size).astype(np.uint16)
    columns["single"] = np.bincount(pair, flips == 1, size).astype(np.uint16)
    columns["away"] = np.bincount(pair, away, size).astype(np.uint16)
    table = pl.DataFrame(columns).filter(pl.col("source") != pl.col("target"))
    return table.with_columns(pl.col("cost", "directness").fill_nan(None))


def road_rows(made: Map) -> pl.DataFrame:
    """Means over starts of the costs of the straight roads that were followed."""
    parts = []
    for number, part in enumerate(blocks(made, "-roads")):
        source = made.sources[number * made.block + part["row"]]
        rows = {"source": source.astype(np.uint16), "target": part["target"].astype(np.uint16)}
        rows |= {name: part[name] for name in ("cost", "first", "deviation")}
        parts.append(pl.DataFrame(rows))
    if not parts:
        return pl.DataFrame(schema={"source": pl.UInt16, "target": pl.UInt16})
    ok = pl.col("deviation") < FOLLOWED
    return pl.concat(parts).group_by("source", "target").agg(
        pl.len().cast(pl.UInt8).alias("roads"),
        ok.sum().cast(pl.UInt8).alias("roads_followed"),
        pl.col("cost").filter(ok).mean().cast(pl.Float32).alias("road_cost"),
        pl.col("first").filter(ok).mean().cast(pl.Float32).alias("road_first"),
    )  # fmt: skip


def transitions(made: Map, parts: list[dict[str, Any]]) -> pl.DataFrame:
    """How often runs change from one function to another, over all runs."""
    size = len(made.targets)
    counts: dict[int, int] = {}
    for part in parts:
        run, code = part["run"], part["function"].astype(np.int64)
        inside = np.flatnonzero(run[1:] == run[:-1])
        keys, times = np.unique(code[inside] * size + code[inside + 1], return_counts=True)
        for key, count in zip(keys.tolist(), times.tolist(), strict=True):
            counts[key] = counts.get(key, 0) + count
    keys = np.array(sorted(counts), np.int64)
    return pl.DataFrame({
        "source": (keys // size).astype(np.uint16),
        "target": (keys % size).astype(np.uint16),
        "count": np.array([counts[key] for key in keys.tolist()], np.uint32),
    })  # fmt: skip


def sampled_walks(made: Map, parts: list[dict[str, Any]]) -> pl.DataFrame:
    """The stays of the run from start 0 of every pair."""
    found = []
    for part in parts:
        run = part["run"].astype(np.int64)
        members = part["steps"].shape[2]
        target = run // members % len(made.targets)
        kept = run % members == 0
        source = part["sources"][run[kept] // members // len(made.targets)]
        other = source != target[kept]
        found.append(pl.DataFrame({
            "source": source[other].astype(np.uint16),
            "target": target[kept][other].astype(np.uint16),
            "step": part["step"][kept][other].astype(np.uint16),
            "function": part["function"][kept][other].astype(np.uint16),
        }))  # fmt: skip
    return pl.concat(found)


def source_rows(parts: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame({
        "source": np.concatenate([part["sources"] for part in parts]).astype(np.uint16),
        "starts": np.concatenate([part["found"] for part in parts]).astype(np.uint8),
        "drawn": np.concatenate([part["drawn"] for part in parts]).astype(np.uint16),
    })  # fmt: skip


def summary(made: Map, parts: list[dict[str, Any]], pairs: pl.DataFrame) -> dict[str, Any]:
    """What the tables rest on, and their first figures."""
    runs = int(pairs["tried"].sum())
    few = pairs.filter((pl.col("reached") > 0) & (pl.col("reached") < pl.col("tried")))
    low, high = clopper_pearson(int(pairs["reached"].sum()), runs)
    return {
        "runs": runs,
        "pairs": pairs.filter(pl.col("tried") > 0).height,
        "reached": float(pairs["reached"].sum() / runs),
        "reached low, high if runs were independent": [low, high],
        "share of pairs with 0 < R < 1": few.height / max(pairs.filter(pl.col("tried") > 0).height, 1),
        "diverged": sum(int(part["diverged"]) for part in parts),
        **({"walks cut": sum(int(part["cut"]) for part in parts)} if made.bits == 3 else {}),
        "seconds": sum(float(part["seconds"]) for part in parts),
        "processor seconds": sum(float(part["processor"]) for part in parts),
        "processor seconds of roads": sum(float(part["processor"]) for part in blocks(made, "-roads")),
    }


def four_bits(made: Map) -> dict[str, pl.DataFrame]:
    """Pairs and sources of a map of four bits: a row per source and target that was drawn."""
    parts = []
    for part in blocks(made):
        rows = pl.DataFrame({name: part[name] for name in part if part[name].ndim})
        parts.append(rows.filter(pl.col("source") != pl.col("target")))
    came = pl.col("step") >= 0
    late = pl.when(came).then((1.0 + pl.col("step").cast(pl.Float64)).log(2)).otherwise(float("inf"))
    pairs = pl.concat(parts).group_by("source", "target", maintain_order=True).agg(
        pl.len().cast(pl.UInt8).alias("tried"),
        came.sum().cast(pl.UInt8).alias("reached"),
        pl.col("size").first().alias("orbit"),
        late.median().cast(pl.Float32).alias("cost"),
        pl.col("directness").cast(pl.Float32).fill_nan(None).median().alias("directness"),
        pl.col("counted").cast(pl.UInt16).sum().alias("changes"),
        pl.col("single").cast(pl.UInt16).sum(),
        pl.col("away").cast(pl.UInt16).sum(),
    )  # fmt: skip
    distance = popcount(pairs["source"].to_numpy() ^ pairs["target"].to_numpy())
    pairs = pairs.insert_column(2, pl.Series("distance", distance))
    pairs = pairs.with_columns(pl.when(pl.col("cost").is_finite()).then("cost"))
    with np.load(WORK / f"{made.name}-starts.npz") as file:
        sources = pl.DataFrame({
            "source": made.sources.astype(np.uint16), "starts": file["found"].astype(np.uint8),
            "drawn": file["drawn"].astype(np.uint16),
        })  # fmt: skip
    return {"pairs": pairs, "sources": sources}


def write(made: Map, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    tables = three_bits(made) if made.bits == 3 else four_bits(made)
    for name, table in tables.items():
        path = folder / f"{made.name}_{name}.parquet"
        table.write_parquet(path, **COMPRESSION)
        print(f"{path.name}: {table.height:,} rows, {path.stat().st_size / 1e6:.2f} MB")
    path = folder / "summary.json"
    found = json.loads(path.read_text()) if path.exists() else {}
    found[made.name] = summary(made, blocks(made), tables["pairs"])
    path.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found[made.name], indent=1))


def three_bits(made: Map) -> dict[str, pl.DataFrame]:
    """The four tables of a map of three bits."""
    parts = blocks(made)
    pairs = pl.concat([pair_rows(made, part) for part in parts]).join(
        road_rows(made), on=["source", "target"], how="left", maintain_order="left"
    )
    tables = {"pairs": pairs, "sources": source_rows(parts), "transitions": transitions(made, parts)}
    return tables | {"walks": sampled_walks(made, parts)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("maps", nargs="+", choices=list(MAPS))
    parser.add_argument("--folder", type=Path, default=DATA)
    given = parser.parse_args()
    for name in given.maps:
        write(MAPS[name], given.folder)


if __name__ == "__main__":
    main()
