"""The way to a target in hops: each as far as the linearised map holds, where it is linearised anew."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from allroads.explorers.explorer import Explorer
from allroads.paths.learnability.hop import Hop
from allroads.paths.learnability.reading import compiled_reading, rescales
from allroads.paths.learnability.single_mode import time_to
from allroads.paths.learnability.spectrum import BATCH, decomposed, gauss_rule
from allroads.pfmap.losses import PerExampleLoss, resolve_loss
from allroads.pfmap.network import Network, Params

HOPS = 24
"""Most hops a target."""
TOLERANCE = 0.3
"""A hop holds where the outputs end at most so far from where the linearised map has them, as a share of their way."""
DEPTH = 8
"""Lanczos steps a hop. What they do not resolve is left for the next hop to see: with 16, hops are no nearer to the
truth and cost twice as much; with 5, there are more of them, at the same cost in all."""
LEAST = 0.5
"""Share of the residual's square that a hop leaves at least, where the explorer's rates turn with the gradient."""
NEAREST, FARTHEST = 1e-6, 1e6
"""Steps of a hop; from the hitting time they are halved until it holds, or ``_HALVINGS`` times."""
SPEEDS = 1e-6, 1e6
"""Bounds of the speed at the end of a hop."""
_HALVINGS, _BISECTIONS = 20, 48


class Hops(NamedTuple):
    """What was seen of every target at every hop, ``[T, H, …]``, and how many hops there are, ``[T]``."""

    diagonals: Any
    off_diagonals: Any
    squares: Any
    losses: Any
    flow_times: Any
    times: Any
    speeds: Any
    ends: Any
    count: Any


def hops_of(found: Hops, goals: np.ndarray, examples: int) -> list[tuple[Hop, ...]]:
    """Of every goal its hops."""
    found = jax.tree.map(lambda array: np.asarray(array, np.float64), found)
    every = []
    for t, goal in enumerate(goals):
        hops = []
        for k in range(int(found.count[t])):
            level, curvature = _quadratic(float(goal), found.losses[t, k], found.flow_times[t, k])
            spectrum = gauss_rule(found.diagonals[t, k], found.off_diagonals[t, k], found.squares[t, k])
            scaled = spectrum.scaled(curvature / examples)
            lost = not np.isfinite([found.times[t, k], found.speeds[t, k], found.ends[t, k]]).all()
            speed = float(np.clip(found.speeds[t, k], *SPEEDS))
            rest = (0.0, 1.0, 0.0) if lost else (float(found.times[t, k]), speed, float(goal / found.ends[t, k]))
            hops.append(Hop(scaled, level, curvature, *rest))
        every.append(tuple(hops))
    return every


def _quadratic(goal: float, loss: float, time: float) -> tuple[float, float]:
    """Level of ``‖r‖²`` and curvature h of the quadratic loss that reaches its goal when the true one does."""
    if loss <= goal:
        return 1.0, 1.0
    level = goal / loss
    return level, -np.log(level) / (2 * time)


def followed(
    network: Network,
    loss: str | PerExampleLoss,
    explorer: Explorer,
    points: Params,
    inputs: Any,
    labels: Any,
    goals: Any,
    first: tuple[Params, Params],
    key: Any,
    krylov: int = DEPTH,
    most: int = HOPS,
) -> Hops:
    """Follow every target until the loss is at its goal, it is not finite, or there are so many hops.

    Args:
        network: The network.
        loss: Name or callable.
        explorer: Whose learning rates turn the kernel into rates a step, anew at every hop.
        points: Starts, one a target, leaves ``[T, …]``, T a multiple of ``BATCH``; like all but inputs.
        inputs: ``[N, …]``.
        labels: ``[T, N, …]``.
        goals: Mean loss at which a target is learned, ``[T]``.
        first: Gradients there, and the explorer's rates of their leaves.
        key: The explorer's.
        krylov: Lanczos steps a hop.
        most: Hops.

    Returns:
        :class:`Hops`, arrays of numpy; past a target's count they say nothing.
    """
    reads = rescales(explorer, jax.tree.map(lambda leaf: leaf[0], points))
    hop, (begin, turn) = compiled_hop(network, loss, krylov, LEAST if reads else 0.0), compiled_reading(explorer)
    found = []
    for start in range(0, len(labels), BATCH):
        rows = slice(start, start + BATCH)
        own, own_labels, own_goals, gradients, leafwise = jax.tree.map(
            lambda leaf, rows=rows: leaf[rows], (points, labels, goals, *first)
        )
        rates = jax.tree.map(_spread, leafwise, gradients)
        reading = begin(own, gradients, leafwise, key) if reads else None
        seen, count, going = [], np.zeros(BATCH, int), np.ones(BATCH, bool)
        while going.any() and len(seen) < most:
            own, gradients, now = hop(own, inputs, own_labels, own_goals, rates)
            if reads:
                reading, rates = turn(reading, gradients)
            seen.append(jax.tree.map(np.asarray, now))
            count += going
            *_, ends = seen[-1]
            going &= ends > np.asarray(own_goals)  # not where it is NaN
        found.append(Hops(*(_filled(np.stack(part, axis=1), most) for part in zip(*seen, strict=True)), count))
    return Hops(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def _spread(rates: Any, leaf: Any) -> Any:
    """Rates ``[T]`` of a leaf ``[T, …]`` as those of its elements."""
    return jnp.broadcast_to(rates.reshape(-1, *[1] * (leaf.ndim - 1)), leaf.shape)


def _filled(rows: np.ndarray, most: int) -> np.ndarray:
    """``[T, k, …]`` as ``[T, most, …]``."""
    return np.pad(rows, [(0, 0), (0, most - rows.shape[1]), *[(0, 0)] * (rows.ndim - 2)])


@lru_cache(maxsize=32)
def compiled_hop(network: Network, loss: str | PerExampleLoss, krylov: int, least: float) -> Any:
    """The compiled ``(points, inputs, labels, goals, rates) -> (next points, gradients there, what was seen)``.

    All but inputs lead with the targets. The loss is taken for the quadratic one that falls as long on its own, see
    :mod:`.single_mode`, and the map for its linearisation: ``θ(t) = θ + ρ Jᵀ (1 − e^{−tμ}) / (h A) r`` with
    ``A = J diag(ρ) Jᵀ``, μ its rates a step. From t, the hitting time (or where ``least`` of the residual's square is
    left), it is halved until the outputs end where the linearisation has them.
    """
    per_example = resolve_loss(loss)
    flow = time_to(per_example)

    def hop(params: Params, inputs: Any, labels: Any, goal: Any, rates: Params) -> tuple[Params, Params, tuple]:
        def mean_loss(point: Params) -> Any:
            return per_example(network.apply(point, inputs), labels).mean()

        outputs, found, pulled = decomposed(network, params, inputs, rates, krylov, _residual(per_example, labels))
        flow_time, value = flow(outputs, labels, goal)
        level = jnp.minimum(goal / value, 1.0)
        curvature = -jnp.log(level) / (2 * jnp.maximum(flow_time, 1e-30))
        nodes, vectors = found.eigen()
        nodes = jnp.maximum(nodes, 1e-7 * nodes[-1])
        shares = vectors[0]
        contractions = jnp.minimum(nodes * curvature / len(inputs), 1.5)
        rate = -jnp.log(jnp.maximum(jnp.abs(1 - contractions), 1e-30))
        square = found.length**2

        def bisect(_: Any, ends: tuple) -> tuple:
            middle = jnp.sqrt(ends[0] * ends[1])
            before = shares**2 @ jnp.exp(-2 * rate * middle) > jnp.maximum(level, least)
            return jnp.where(before, middle, ends[0]), jnp.where(before, ends[1], middle)

        nearest, farthest = jnp.asarray(NEAREST, nodes.dtype), jnp.asarray(FARTHEST, nodes.dtype)
        hit = jax.lax.fori_loop(0, _BISECTIONS, bisect, (nearest, farthest))[1]

        def after(time: Any) -> tuple[Params, Any]:
            """Where the linearised map is after a time, and how far from its outputs those of the map are."""
            gone = -jnp.expm1(-rate * time) * shares * found.length / curvature
            step = pulled(vectors @ (gone / nodes) @ found.basis)
            moved = jax.tree.map(jnp.add, params, step)
            change = (network.apply(moved, inputs) - outputs).reshape(-1)
            expected = vectors @ gone @ found.basis
            return moved, jnp.linalg.norm(change - expected) / jnp.linalg.norm(expected)

        def too_far(carry: tuple) -> Any:
            tries, _, error, _ = carry
            return ~(error <= TOLERANCE) & (tries <= _HALVINGS)

        def nearer(carry: tuple) -> tuple:
            tries, time, _, _ = carry
            moved, error = after(time / 2)
            return tries + 1, time / 2, error, moved

        unknown = jnp.full((), jnp.inf, nodes.dtype)
        _, time, _, moved = jax.lax.while_loop(too_far, nearer, (0, 2 * hit, unknown, params))
        end, slope = jax.value_and_grad(mean_loss)(moved)
        pairs = zip(jax.tree.leaves(slope), jax.tree.leaves(rates), strict=True)
        steep = sum(jnp.vdot(rate * leaf, leaf) for leaf, rate in pairs) * len(inputs) ** 2
        expected = square * (shares**2 * jnp.exp(-2 * rate * time)) @ nodes
        speed = jnp.sqrt(steep / jnp.maximum(expected, 1e-30))
        return moved, slope, (found.diagonal, found.off_diagonal, square, value, flow_time, time, speed, end)

    return jax.jit(jax.vmap(hop, in_axes=(0, None, 0, 0, 0)))


def _residual(per_example: PerExampleLoss, labels: Any) -> Any:
    return lambda outputs: -jax.grad(lambda f: per_example(f, labels).sum())(outputs)
