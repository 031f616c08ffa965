"""The linearised path to a target: segments, at each of which the map is linearised anew."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from allroads.compiled import quickly_compiled
from allroads.explorers.explorer import Explorer
from allroads.paths.learnability.simulate.gradient_memory import decay_bound, gradient_memory
from allroads.paths.learnability.simulate.loss_flow import identity_kernel_flow
from allroads.paths.learnability.simulate.rate_tracker import compiled_rate_tracker, is_adaptive
from allroads.paths.learnability.simulate.residual_spectrum import TARGET_BATCH, gauss_spectrum, kernel_krylov
from allroads.paths.learnability.simulate.segment import LinearisedSegment
from allroads.pfmap.losses import PerExampleLoss, resolve_loss
from allroads.pfmap.network import Network, Params

MAX_SEGMENTS = 24
"""Largest number of segments per target."""
LINEARISATION_TOLERANCE = 0.3
"""Largest distance of the outputs from those of the linearised map at a segment's end, over their displacement."""
SEGMENT_KRYLOV_STEPS = 8
"""Lanczos steps per segment. The next segment sees what they do not resolve. With 16 the steps are no more accurate,
at twice the cost; with 5 there are more segments, at the same total cost."""
MIN_RESIDUAL_SHARE = 0.5
"""Share of the residual's square that a segment leaves at least, where the explorer is adaptive."""
SHORTEST_SEGMENT, LONGEST_SEGMENT = 1e-6, 1e6
"""Bounds of a segment's duration in steps; it is halved from the hitting time until the linearisation holds."""
AT_GOAL = 1e-3
"""Relative distance of the loss from its goal at which a path ends: what is left is taken at the last speed."""
END_SPEED_BOUNDS = 1e-6, 1e6
_HALVINGS, _BISECTIONS = 20, 48


class PathRecords(NamedTuple):
    """Measurements of every target at every segment ``[T, S, …]``, and the number of segments ``[T]``.

    Entries past a target's count have no meaning.

    Attributes:
        diagonals: Diagonals of the Lanczos matrices, ``[T, S, k]``.
        off_diagonals: Off-diagonals, ``[T, S, k − 1]``.
        squares: ``‖r‖²`` at the start.
        losses: Loss at the start.
        flow_times: Time to the goal under the identity kernel.
        durations: Steps in the linearised map.
        end_speeds: Norm of the true gradient at the end over that in the linearised map.
        end_losses: Loss at the end.
        decay_bounds: Largest decay rate of a mode per step.
        count: Number of segments, ``[T]``.
    """

    diagonals: Any
    off_diagonals: Any
    squares: Any
    losses: Any
    flow_times: Any
    durations: Any
    end_speeds: Any
    end_losses: Any
    decay_bounds: Any
    count: Any


class PathStart(NamedTuple):
    """Starts and targets of linearised paths, all leading with the targets ``[T, …]``, a multiple of the batch.

    Attributes:
        points: Parameters, one point per target.
        labels: Labels, ``[T, N, …]``.
        goals: Mean loss at which a target is learned, ``[T]``.
        gradients: Gradients of the mean loss at the points.
        leaf_rates: The explorer's learning rates of the leaves under them, ``[T]`` per leaf.
    """

    points: Params
    labels: Any
    goals: Any
    gradients: Params
    leaf_rates: Params


def segments_of(records: PathRecords, goals: NDArray[Any], examples: int) -> list[tuple[LinearisedSegment, ...]]:
    """The segments of every target, from its measurements and its goal."""
    found = PathRecords(*(np.asarray(array, np.float64) for array in records))
    paths = []
    for t, goal in enumerate(goals):
        segments = []
        for k in range(int(found.count[t])):
            level, curvature = equivalent_quadratic(float(goal), found.losses[t, k], found.flow_times[t, k])
            spectrum = gauss_spectrum(found.diagonals[t, k], found.off_diagonals[t, k], found.squares[t, k])
            duration, speed, end_loss = found.durations[t, k], found.end_speeds[t, k], found.end_losses[t, k]
            end = 0.0, 1.0, 0.0, np.inf
            if np.isfinite([duration, speed, end_loss]).all():
                speed, bound = np.clip(speed, *END_SPEED_BOUNDS), found.decay_bounds[t, k]
                end = float(duration), float(speed), float(goal / end_loss), float(bound)
            segments.append(LinearisedSegment(spectrum.scaled(curvature / examples), level, curvature, *end))
        paths.append(tuple(segments))
    return paths


def equivalent_quadratic(goal: float, loss: float, flow_time: float) -> tuple[float, float]:
    """Level of ``‖r‖²`` and curvature h of the quadratic loss that reaches its goal when the true one does."""
    if loss <= goal:
        return 1.0, 1.0
    level = goal / loss
    return level, -np.log(level) / (2 * flow_time)


def simulate_linearised_path(
    network: Network,
    loss: str | PerExampleLoss,
    explorer: Explorer,
    inputs: Any,
    start: PathStart,
    key: Any,
    *,
    krylov: int = SEGMENT_KRYLOV_STEPS,
    max_segments: int = MAX_SEGMENTS,
) -> PathRecords:
    """Simulate every target's path until its loss is at the goal, is not finite, or the segments are used up.

    Args:
        network: The network.
        loss: Name or callable.
        explorer: The explorer; its learning rates precondition the kernel, measured anew at every segment.
        inputs: ``[N, …]``.
        start: Points, labels, goals, gradients and learning rates of all targets.
        key: The explorer's random key.
        krylov: Lanczos steps per segment.
        max_segments: Largest number of segments per target.

    Returns:
        :class:`PathRecords` of NumPy arrays.
    """
    start = jax.tree.map(np.asarray, start)
    one = jax.tree.map(lambda leaf: leaf[0], start.points)
    adaptive, memory = is_adaptive(explorer, one), gradient_memory(explorer, one)
    segment = compiled_segment(network, loss, krylov, MIN_RESIDUAL_SHARE if adaptive else 0.0)
    start_tracker, update_tracker = compiled_rate_tracker(explorer)
    found = []
    for begin in range(0, len(start.labels), TARGET_BATCH):
        rows = slice(begin, begin + TARGET_BATCH)
        points, labels, goals, gradients, leaf_rates = jax.tree.map(lambda leaf, rows=rows: leaf[rows], start)
        rates = jax.tree.map(_per_element, leaf_rates, gradients)
        tracker = start_tracker(points, gradients, leaf_rates, key) if adaptive else None
        records: list[tuple[NDArray[Any], ...]] = []
        elapsed = np.zeros(TARGET_BATCH, goals.dtype)
        count, active = np.zeros(TARGET_BATCH, int), np.ones(TARGET_BATCH, bool)
        while active.any() and len(records) < max_segments:
            points, gradients, measured = segment(points, inputs, labels, goals, rates, elapsed, memory)
            if adaptive:
                tracker, rates = update_tracker(tracker, gradients)
            records.append(tuple(np.asarray(part) for part in measured))
            count += active
            *_, durations, speeds, end_losses, _ = records[-1]
            mean_speeds = np.sqrt(np.clip(speeds, *END_SPEED_BOUNDS))  # √q to second order
            elapsed = elapsed + np.nan_to_num(durations / mean_speeds)
            active &= end_losses > (1 + AT_GOAL) * np.asarray(goals)  # False where the loss is NaN
        padded = (_padded(np.stack(part, axis=1), max_segments) for part in zip(*records, strict=True))
        found.append((*padded, count))
    return PathRecords(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def _per_element(rates: Any, leaf: Any) -> Any:
    """Rates ``[T]`` of a leaf ``[T, …]`` as those of its elements."""
    return np.broadcast_to(rates.reshape(-1, *[1] * (leaf.ndim - 1)), leaf.shape)


def _padded(rows: NDArray[Any], length: int) -> NDArray[Any]:
    """``[T, k, …]`` filled with zeros to ``[T, length, …]``."""
    return np.pad(rows, [(0, 0), (0, length - rows.shape[1]), *[(0, 0)] * (rows.ndim - 2)])


@lru_cache(maxsize=32)
def compiled_segment(network: Network, loss: str | PerExampleLoss, krylov: int, min_residual_share: float) -> Any:
    """The compiled ``(points, inputs, labels, goals, rates, elapsed, memory) -> (end points, gradients, measured)``.

    All but the inputs and the memory lead with the targets. The loss is replaced by the quadratic one that takes as
    long under the identity kernel, see :mod:`.loss_flow`, and the map by its linearisation:
    ``θ(t) = θ + ρ Jᵀ (1 − e^{−tν}) / (h A) r`` with ``A = J diag(ρ) Jᵀ`` and its decay rates ν per step.
    Momentum halfway through the segment bounds them, see :func:`.decay_bound`. The duration t is the hitting time, or
    the time at which ``min_residual_share`` of the residual's square is left. It is halved until the outputs end where
    the linearisation predicts, and the loss is no higher than at the start.
    """
    per_example = resolve_loss(loss)
    flow = identity_kernel_flow(per_example)

    def one(
        params: Params, inputs: Any, labels: Any, goal: Any, rates: Params, elapsed: Any, memory: Any
    ) -> tuple[Params, Params, tuple[Any, ...]]:
        def mean_loss(point: Params) -> Any:
            return per_example(network.apply(point, inputs), labels).mean()

        outputs, found, pull_back, product = kernel_krylov(
            network, params, inputs, rates, krylov, _residual(per_example, labels)
        )
        flow_time, value = flow(outputs, labels, goal)
        level = jnp.minimum(goal / value, 1.0)
        curvature = -jnp.log(level) / (2 * jnp.maximum(flow_time, 1e-30))
        nodes, vectors = found.eigen()
        nodes = jnp.maximum(nodes, 1e-7 * nodes[-1])
        shares = vectors[0]
        contractions = jnp.minimum(nodes * curvature / len(inputs), 1.5)
        free_decay = -jnp.log(jnp.maximum(jnp.abs(1 - contractions), 1e-30))
        square = found.length**2

        def exponent(time: Any) -> Any:
            return jnp.minimum(free_decay, decay_bound(memory, elapsed + time / 2)) * time

        def bisect(_: Any, ends: tuple[Any, Any]) -> tuple[Any, Any]:
            middle = jnp.sqrt(ends[0] * ends[1])
            before = shares**2 @ jnp.exp(-2 * exponent(middle)) > jnp.maximum(level, min_residual_share)
            return jnp.where(before, middle, ends[0]), jnp.where(before, ends[1], middle)

        bounds = jnp.asarray(SHORTEST_SEGMENT, nodes.dtype), jnp.asarray(LONGEST_SEGMENT, nodes.dtype)
        hit = jax.lax.fori_loop(0, _BISECTIONS, bisect, bounds)[1]

        def truncation(gone: Any) -> Any:
            """The part of the linearised map's displacement that lies outside of the Krylov space.

            It vanishes faster than the displacement as the time does, but for modes that momentum bounds.
            """
            return (vectors[-1] @ (gone / nodes)) * found.remainder

        at_once = jnp.minimum(free_decay, decay_bound(memory, elapsed)) * shares
        unavoidable = jnp.linalg.norm(truncation(at_once)) / jnp.maximum(jnp.linalg.norm(at_once), 1e-30)

        def end_of(time: Any) -> tuple[Params, Any]:
            """Point of the linearised map after a time, and the relative distance of its outputs from the map's.

            It is infinite where the loss has risen, which no gradient flow does.
            """
            gone = -jnp.expm1(-exponent(time)) * shares * found.length / curvature
            moved = jax.tree.map(jnp.add, params, pull_back(vectors @ (gone / nodes) @ found.basis))
            after = network.apply(moved, inputs)
            expected = vectors @ gone @ found.basis
            error = jnp.linalg.norm((after - outputs).reshape(-1) - expected) / jnp.linalg.norm(expected)
            return moved, jnp.where(per_example(after, labels).mean() > value, jnp.inf, error)

        def too_far(carry: tuple[Any, ...]) -> Any:
            tries, _, error, _ = carry
            return ~(error <= LINEARISATION_TOLERANCE + unavoidable) & (tries <= _HALVINGS)

        def halve(carry: tuple[Any, ...]) -> tuple[Any, ...]:
            tries, time, _, _ = carry
            moved, error = end_of(time / 2)
            return tries + 1, time / 2, error, moved

        unknown = jnp.full((), jnp.inf, nodes.dtype)
        _, time, _, moved = jax.lax.while_loop(too_far, halve, (0, 2 * hit, unknown, params))
        end_loss, gradient = jax.value_and_grad(mean_loss)(moved)
        pairs = zip(jax.tree.leaves(gradient), jax.tree.leaves(rates), strict=True)
        true_square = sum(jnp.vdot(rate * leaf, leaf) for leaf, rate in pairs) * len(inputs) ** 2
        left, gone = jnp.exp(-exponent(time)) * shares, -jnp.expm1(-exponent(time)) * shares
        linear = found.length * (vectors @ left @ found.basis - truncation(gone))
        linear_square = linear @ product(linear)
        speed = jnp.sqrt(true_square / jnp.maximum(linear_square, 1e-30))
        spectrum = found.diagonal, found.off_diagonal, square
        measured = *spectrum, value, flow_time, time, speed, end_loss, decay_bound(memory, elapsed + time / 2)
        return moved, gradient, measured

    return jax.jit(jax.vmap(one, in_axes=(0, None, 0, 0, 0, 0, None)), compiler_options=quickly_compiled())


def _residual(per_example: PerExampleLoss, labels: Any) -> Callable[[Any], Any]:
    return lambda outputs: -jax.grad(lambda f: per_example(f, labels).sum())(outputs)
