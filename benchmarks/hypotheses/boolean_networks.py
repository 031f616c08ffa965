"""World 2: tanh networks of three bits, trained from one function to another."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from allroads import Problem, RoadOptions, road
from allroads.networks.mlp import mlp
from hypotheses import distances
from hypotheses.transfer import log_steps, same_signs, signs, transfer

NODES, STEPS, RATE, STARTS = 48, 800, 0.02, 2
INPUTS = 1.0 - 2 * (np.arange(8)[:, None] >> np.arange(3) & 1)


def labels_of(tables: np.ndarray) -> np.ndarray:
    """Tables as outputs ±1, ``[M, 8, 1]``."""
    return (2.0 * (np.asarray(tables)[:, None] >> np.arange(8) & 1) - 1)[..., None].astype(np.float32)


def world(width: int, seed: int = 0) -> dict:
    """Costs, directness and roads between 48 functions, and walks from random weights to all 256."""
    network = mlp((3,), 1, widths=(width,), activation="tanh", init="lecun", bias="normal")
    inputs = jnp.asarray(INPUTS)
    tables = np.repeat(np.arange(distances.ALL), 4)
    keys = jax.random.split(jax.random.key(seed), len(tables))
    fresh = transfer(
        network.apply, same_signs, jax.vmap(network.init)(keys), inputs, labels_of(tables),
        rate=RATE, steps=4 * STEPS, record=signs, over=200,
    )  # fmt: skip
    arrived = (fresh.steps >= 0).reshape(-1, 4)
    able = np.flatnonzero(arrived.sum(1) >= STARTS)
    chosen = np.sort(np.random.default_rng(seed).choice(able, min(NODES, len(able)), replace=False))
    points = np.array([4 * table + np.flatnonzero(arrived[table])[:STARTS] for table in chosen])
    pairs = np.array([(i, j) for i in range(len(chosen)) for j in range(len(chosen)) if i != j])
    cost, direct, roads = (np.full((STARTS, len(chosen), len(chosen)), np.nan) for _ in range(3))
    for start in range(STARTS):
        begin = jax.tree.map(lambda leaf, rows=points[pairs[:, 0], start]: leaf[rows], fresh.params)
        found = transfer(
            network.apply, same_signs, begin, inputs, labels_of(chosen[pairs[:, 1]]), rate=RATE, steps=STEPS
        )
        cost[start][tuple(pairs.T)] = log_steps(found.steps, STEPS)
        direct[start][tuple(pairs.T)] = found.directness
    problem = Problem(network, "mse", inputs, jnp.zeros((8, 1)))
    options = RoadOptions(tolerance=3e-3, records=1)
    for i, j in pairs:
        point = jax.tree.map(lambda leaf, row=points[i, 1]: jnp.asarray(leaf[row]), fresh.params)
        found = road(problem, point, labels_of(chosen[[j]])[0], options=options, progress=False)
        roads[1, i, j] = found.cost if found.status.sound else np.nan
    reversed_bits = np.packbits(np.unpackbits(fresh.records, axis=-1), axis=-1, bitorder="little")
    walks = reversed_bits[..., 0].tolist()
    return {
        "present": chosen,
        "cost": cost,
        "directness": direct[1],
        "road cost": roads[1],
        "reached": float((cost < np.log2(1 + STEPS)).sum() / np.isfinite(cost).sum()),
        "walks": [walk for walk, there in zip(walks, fresh.steps >= 0, strict=True) if there],
        "scratch": log_steps(fresh.steps, 4 * STEPS).reshape(-1, 4).mean(1)[chosen],
    }
