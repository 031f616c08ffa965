"""World 2: reach, cost, directness and roads between all 256 functions of three bits, from `benchmarks/reach/data/`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from hypotheses import distances

DATA = Path(__file__).parents[1] / "reach" / "data"
MOST_RUNS = 4_000
"""Walks that H3 looks at, drawn from the million of a map."""


def world(name: str, seed: int = 0) -> dict:
    """Matrices of one map, ``wide`` or ``narrow``; NaN where a pair has no value, and walks from start to target."""
    table = pl.read_parquet(DATA / f"{name}_pairs.parquet")
    rows, columns = table["source"].to_numpy().astype(int), table["target"].to_numpy().astype(int)

    def matrix(values: pl.Series) -> np.ndarray:
        found = np.full((distances.ALL, distances.ALL), np.nan)
        found[rows, columns] = values.cast(pl.Float64).fill_null(np.nan).to_numpy()
        return found

    return {
        "cost": matrix(table["cost"]),
        "reach": matrix(table["reached"] / table["tried"]),
        "directness": matrix(table["directness"]),
        "road cost": matrix(table["road_cost"]),
        "walks": walks(name, seed),
    }


def walks(name: str, seed: int) -> list[list[int]]:
    """Functions along a sample of the runs. A run begins at step 0."""
    table = pl.read_parquet(DATA / f"{name}_walks.parquet")
    starts = np.flatnonzero(table["step"].to_numpy() == 0)
    ends = np.append(starts[1:], len(table))
    functions = table["function"].to_numpy().astype(int)
    chosen = np.random.default_rng(seed).choice(len(starts), min(MOST_RUNS, len(starts)), replace=False)
    return [functions[starts[run] : ends[run]].tolist() for run in np.sort(chosen)]
