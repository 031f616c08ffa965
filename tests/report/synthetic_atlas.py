"""The atlas of a synthetic study: runs that walk over programs of made-up lengths, the same every time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from synthetic_study import add_table

from allroads.atlases.atlas import Atlas
from allroads.atlases.from_runs import from_runs
from allroads.atlases.stored import stacked
from allroads.studies.measures.registry import known_measures

KNOWN = known_measures()


def program_source(name: str) -> str:
    return f"def program(x):\n    # {name} <b>\n    return int(x[0] ^ x[1])\n"


def add_atlas(directory: Path, programs: int = 24, places: int = 7, seed: int = 0, passes: bool = True) -> Atlas:
    """Put the tables ``atlas`` and ``programs`` beside those of a study; the runs of each grid have their own atlas.

    Every run of a target ends at one of two programs, of which the first is right; before that it walks over others.
    """
    rng = np.random.default_rng(seed)
    runs = pl.read_parquet(directory / "tables/runs.parquet")
    tables, rows = [], []
    for (grid,), part in runs.group_by("grid", maintain_order=True):
        names = [f"f{i} & x{i % 4}" for i in range(programs)]
        bits = rng.uniform(4, 60, programs).round(1)
        known = pl.DataFrame(
            {
                "node": names,
                "label": names,
                "language": "boolean",
                "source": [program_source(name) for name in names],
                "bits": bits,
                "function": [f"{i:04b}" for i in range(programs)],
                "status": "computes",
                "llc": rng.uniform(3, 9, programs),
            }
        )
        targets = part["target"].unique(maintain_order=True).to_list()
        walks: dict[str, list[str | None]] = {}
        steps: dict[str, list[int]] = {}
        for run in part.iter_rows(named=True):
            place = targets.index(run["target"]) % max(programs // 2, 1)
            right = rng.random() < 0.8
            end = names[2 * place % programs] if right else names[(2 * place + 1) % programs]
            length = int(rng.integers(2, places))
            near = rng.normal(2 * place, programs / 6, length).round().astype(int) % programs
            walk: list[str | None] = [None, *(names[i] for i in near), end]
            walks[run["run"]], steps[run["run"]] = walk, [10 * i for i in range(len(walk))]
            for step, node in zip(steps[run["run"]], walk, strict=True):
                last = step == steps[run["run"]][-1]
                rows.append(_program(run["run"], step, node, dict(zip(names, bits, strict=True)), last and right))
        found = from_runs(walks, steps=steps, nodes=known, least=3, most=5000)
        if passes:
            edges = pl.concat([found.edges, _passes(found, rng)], how="diagonal")
            found = Atlas.from_tables(found.nodes, edges, found.walks)
        tables.append(stacked(found).select(pl.lit(grid).alias("grid"), pl.all()))
    table = pl.concat(tables)
    add_table(directory, KNOWN["programs"], pl.DataFrame(rows, schema=KNOWN["programs"].columns))
    add_table(directory, KNOWN["atlas"], table.select(list(KNOWN["atlas"].columns)))
    return found


def _program(run: str, step: int, node: str | None, bits: dict[str, float], right: bool) -> dict:
    row = {"run": run, "step": step, "status": "no program", "why": "made up", "table_bits": 16.0}
    if node is None:
        return row
    proof = {"equal": True, "scope": "exhaustive", "checked": 16, "interchange": 0.9, "correct": right}
    words = {"language": "boolean", "source": program_source(node), "canonical": program_source(node), "parts": ["x0"]}
    return row | proof | words | {"status": "computes", "bits": bits[node]}


def _passes(found: Atlas, rng: np.random.Generator) -> pl.DataFrame:
    """Known passes between the programs at which runs end."""
    ends = found.nodes.filter(pl.col("ends") > 0, pl.col("node") != "none")["node"].to_list()
    rows = [
        {"source": p, "target": q, "quantity": "pass_upper", "value": float(rng.uniform(0.1, 1)), "status": "ok"}
        for i, p in enumerate(ends)
        for q in ends[i + 1 :]
    ]
    schema = {"source": pl.String, "target": pl.String, "quantity": pl.String, "value": pl.Float64}
    return pl.DataFrame(rows, schema=schema | {"status": pl.String})
