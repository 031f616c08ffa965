"""Read the benchmark: its tables, and behind them inputs, labels, networks, starts and snapshots.

    import sys; sys.path.insert(0, "benchmarks")
    from learnability import loader
    runs = loader.runs()

The tables need polars alone (any reader of parquet will do); the rest needs allroads, and the snapshots also the folder
``work`` that ``run.py`` leaves.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import polars as pl

DATA, WORK = (Path(__file__).parent / name for name in ("data", "work"))


def targets(folder: Path = DATA) -> pl.DataFrame:
    """One row a target; columns as ``README.md`` says."""
    return pl.read_parquet(folder / "targets.parquet")


def runs(folder: Path = DATA) -> pl.DataFrame:
    """One row a cell: target × map × explorer × seed."""
    return pl.read_parquet(folder / "runs.parquet")


def domain(name: str) -> Any:
    """A :class:`~learnability.domain.Domain`: ``inputs``, ``train`` and ``held_out`` rows, ``labels(target, rows)``."""
    from .domain import load_domain

    return load_domain(name)


def network(map: str, domain: str) -> Any:
    """The :class:`allroads.Network` of a map on a domain."""
    from .maps import load_map

    return load_map(map, domain)


def initial(map: str, domain: str, seed: int) -> Any:
    """Parameters from which every run of that map on that domain with that seed starts."""
    from .maps import initial

    return initial(map, domain, seed)


def explorer(name: str, map: str, domain: str) -> Any:
    """The :class:`allroads.Explorer` with the learning rate that it had there."""
    from .rules import learning_rate, load_explorer

    return load_explorer(name, learning_rate(name, map, domain))


def snapshots(run: dict[str, Any], work: Path = WORK) -> dict[int, Any]:
    """Parameters of a run by step: 0 and those of the ladder 5, 10, 20, … 320.

    Args:
        run: A row of :func:`runs`, as ``runs.row(i, named=True)`` gives it.
        work: Folder that ``run.py`` left.

    Returns:
        Pytrees like :func:`initial`'s. The run goes on to step 320 also where it had learned before.
    """
    import jax

    start = initial(run["map"], run["domain"], run["seed"])
    structure = jax.tree.structure(start)
    stored, members = _pack(work, run["pack"])
    member = members[run["cell"]]
    steps = sorted({int(key.split("/")[0]) for key in stored})
    points = {s: [stored[f"{s}/{i}"][member] for i in range(structure.num_leaves)] for s in steps}
    return {0: start} | {step: jax.tree.unflatten(structure, leaves) for step, leaves in points.items()}


@lru_cache(maxsize=4)
def _pack(work: Path, name: str) -> tuple[dict[str, Any], dict[str, int]]:
    """A pack's snapshots, and the place of each of its cells."""
    import json

    import numpy as np

    path = work / f"{name}.npz"
    if not path.exists():
        raise FileNotFoundError(f"{path} is not here: snapshots are not published; make them with run.py.")
    with np.load(path) as file:
        stored = dict(file)
    rows = json.loads((work / f"{name}.json").read_text())
    return stored, {row["cell"]: index for index, row in enumerate(rows)}
