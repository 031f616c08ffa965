"""Costs of the straight roads between Boolean functions, from the starts of the reach matrices.

    python benchmarks/reach/straight.py wide narrow

From the first start of each source a road goes to the outputs ±h of each target, where h is the output at which an
example has the loss that starts have. Blocks are written under `benchmarks/reach/work/`; the same command goes on where
it stopped.
"""

from __future__ import annotations

import os
import time

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import jax
import numpy as np
from maps import HEIGHT, WORK, Map, each_block

import allroads
from allroads.atlases.reach.roads import road_costs

STARTS = 1


def block(made: Map, number: int) -> None:
    """Roads of one block of sources."""
    path, stored = (WORK / f"{made.name}{kind}-{number:03}.npz" for kind in ("-roads", ""))
    if path.exists() or not stored.exists():
        return
    began, processor = time.perf_counter(), time.process_time()
    with np.load(stored) as file:
        found = file["found"]
        tree = jax.tree.structure(made.network.init(jax.random.key(0)))
        params = jax.tree.unflatten(tree, [file[f"params{i}"] for i in range(tree.num_leaves)])
    targets = made.targets
    axes = (np.arange(count) for count in (len(found), len(targets), min(STARTS, made.starts)))
    s, t, k = (axis.ravel() for axis in np.meshgrid(*axes, indexing="ij"))
    there = k < found[s]
    s, t, k = s[there], t[there], k[there]
    outputs = HEIGHT * (2.0 * made.answers(targets)[t] - 1.0)
    with allroads.float64():
        points = jax.tree.map(lambda leaf: leaf[s, k], params)
        roads = road_costs(made.network, made.inputs, points, outputs, steps=made.road_steps)
    seconds = {"seconds": time.perf_counter() - began, "processor": time.process_time() - processor}
    part = path.with_suffix(".part.npz")
    np.savez_compressed(part, row=s, target=targets[t], start=k, **roads._asdict(), **seconds)
    part.rename(path)
    print(f"{path.name}: {len(s):,} roads, {(roads.deviation < 0.005).mean():.1%} followed ("
        f"{seconds['seconds']:.0f} s, {seconds['processor']:.0f} of processor)", flush=True)  # fmt: skip


if __name__ == "__main__":
    each_block(__doc__, block)
