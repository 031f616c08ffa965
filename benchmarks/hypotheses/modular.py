"""World 4: sums modulo seven by waves. Programs of one function differ in frequencies, of two functions share them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from allroads import Network, Problem, RoadOptions, road
from allroads.networks.embedding_sum import embedding_sum
from allroads.programs.fourier import FourierProgram, compile_fourier
from hypotheses.transfer import log_steps, never, transfer

P, WIDTH, STEPS, RATE, NEAR, NOISE, STARTS, ROADS = 7, 32, 300, 0.003, 0.1, 0.1, 2, 12
SETS = ((1,), (2,), (3,), (1, 2), (1, 3), (2, 3), (1, 2, 3))
PAIRS = np.array([(x, y) for x in range(P) for y in range(P)])


def programs() -> list[FourierProgram]:
    """Every set of frequencies for ``x + y``, ``x + y + 2``, ``x − y``, ``x + 2 y`` and ``x + 2 y + 2``."""
    rules = ((1, 0), (1, 2), (6, 0), (2, 0), (2, 2))
    return [FourierProgram(P, waves, b=b, c=c) for waves in SETS for b, c in rules]


def point(program: FourierProgram, seed: int) -> dict:
    """A network of 32 units that computes a program: nine per wave, the rest and all weights disturbed."""
    _, params = compile_fourier(program, phases=3, mix=seed)
    rng = np.random.default_rng(seed + 7919)
    embed, readout = np.asarray(params["embed"]), np.asarray(params["readout"]["weight"])
    wide = NOISE * rng.normal(size=(2, P, WIDTH))
    out = NOISE * rng.normal(size=(WIDTH, P))
    wide[..., : embed.shape[2]] += embed
    out[: len(readout)] += readout
    return {"embed": wide.astype(np.float32), "readout": {"weight": out.astype(np.float32)}}


def scores(program: FourierProgram) -> np.ndarray:
    """The program's scores of all pairs, scaled to unit variance, ``[49, 7]``."""
    shift = (program.a * PAIRS[:, :1] + program.b * PAIRS[:, 1:] + program.c - np.arange(P)) % P
    found = sum(np.cos(2 * np.pi * k * shift / P) for k in program.frequencies)
    return (found / found.std()).astype(np.float32)


def near(outputs: jnp.ndarray, labels: jnp.ndarray) -> jnp.ndarray:
    """Whether a tenth of the variance of the scores is left, or less."""
    return jnp.mean((outputs - labels) ** 2) < NEAR * jnp.mean(labels**2)


def world(seed: int = 0) -> dict:
    """Costs and directness between 35 programs, roads between 12 of them, distances, and walks from random weights."""
    nodes = programs()
    network = embedding_sum((2,), P, vocabulary=P, width=WIDTH, activation="square")
    inputs, wanted = jnp.asarray(PAIRS), np.stack([scores(node) for node in nodes])
    own = [[point(node, 1000 * start + i) for i, node in enumerate(nodes)] for start in range(STARTS)]
    pairs = np.array([(i, j) for i in range(len(nodes)) for j in range(len(nodes)) if i != j])
    cost, direct, roads = (np.full((STARTS, len(nodes), len(nodes)), np.nan) for _ in range(3))
    for start in range(STARTS):
        stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *own[start])
        settled = transfer(network.apply, near, stacked, inputs, wanted, rate=RATE, steps=STEPS, over=100).params
        own[start] = [jax.tree.map(lambda leaf, i=i: leaf[i], settled) for i in range(len(nodes))]
        begin = jax.tree.map(lambda leaf: leaf[pairs[:, 0]], settled)
        found = transfer(network.apply, near, begin, inputs, wanted[pairs[:, 1]], rate=RATE, steps=STEPS)
        cost[start][tuple(pairs.T)] = log_steps(found.steps, STEPS)
        direct[start][tuple(pairs.T)] = found.directness
    chosen = set(np.random.default_rng(seed).choice(len(nodes), ROADS, replace=False).tolist())
    problem = Problem(network, "mse", inputs, jnp.asarray(wanted[0]))
    for i, j in pairs:
        if {int(i), int(j)} <= chosen:
            found = road(problem, own[1][i], wanted[j], options=RoadOptions(tolerance=1e-2, records=1), progress=False)
            roads[1, i, j] = found.cost if found.status.sound else np.nan
    answered = wanted.argmax(2)
    flat = wanted.reshape(len(nodes), -1)
    return {
        "programs": nodes,
        "cost": cost,
        "directness": direct[1],
        "road cost": roads[1],
        "reached": float((cost < np.log2(1 + STEPS)).sum() / np.isfinite(cost).sum()),
        "answers": np.array([[np.mean(a != b) for b in answered] for a in answered]),
        "scores": np.array([[np.sqrt(np.mean((a - b) ** 2)) for b in flat] for a in flat]),
        "program": np.array([[a.distance(b) for b in nodes] for a in nodes]),
        "frequencies": np.array([[float(len({*a.frequencies} ^ {*b.frequencies})) for b in nodes] for a in nodes]),
        "bits": np.array([node.bits for node in nodes]),
        "walks": growth(network, seed),
    }


def growth(network: Network, seed: int, runs: int = 60) -> list[list[tuple[int, ...]]]:
    """The waves whose strength in the scores is above half of the target's, along runs towards three waves."""
    program = FourierProgram(P, (1, 2, 3))
    target = scores(program)
    keys = jax.random.split(jax.random.key(seed + 1), runs)
    points = jax.vmap(network.init)(keys)
    shift = (PAIRS.sum(1)[:, None] - np.arange(P)) % P
    waves = np.stack([np.cos(2 * np.pi * k * shift / P).ravel() for k in program.frequencies]).astype(np.float32)

    def strengths(outputs: jnp.ndarray) -> jnp.ndarray:
        return jnp.asarray(waves) @ outputs.ravel()

    found = transfer(
        network.apply, never, points, jnp.asarray(PAIRS), np.repeat(target[None], runs, 0),
        rate=RATE, steps=STEPS, record=strengths,
    )  # fmt: skip
    on = found.records > 0.5 * (waves @ target.ravel())
    return [[tuple(k for k, lit in zip(program.frequencies, row, strict=True) if lit) for row in run] for run in on]
