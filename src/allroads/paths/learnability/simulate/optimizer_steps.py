"""Steps that an optimiser takes along a path whose length is known in steps of gradient descent."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from allroads.compiled import quickly_compiled
from allroads.explorers.explorer import Explorer
from allroads.paths.learnability.simulate.gradient_memory import gradient_memory, momentum_at
from allroads.paths.learnability.simulate.learning_rates import (
    constant_like,
    initial_state,
    mean_learning_rate,
    run_on_constant_gradient,
    run_on_linear_loss,
)
from allroads.paths.learnability.simulate.residual_spectrum import TARGET_BATCH
from allroads.paths.learnability.simulate.segment import LinearisedSegment, gradient_norms_along, path_duration
from allroads.pfmap.network import Params

MAX_STEPS = 4096
"""Steps that are simulated; the rest of a path is taken at their mean speed."""
WARRANTED_LAG = 1.1
"""Ratio of the average of the gradients so far to the present one, up to which it counts as progress."""
_GRID = np.concatenate([[0.0], np.geomspace(1e-4, 1.0, 127)])


def optimizer_steps(
    explorer: Explorer, params: Params, paths: Sequence[tuple[LinearisedSegment, ...]]
) -> NDArray[np.float64]:
    """Steps of the explorer until the loss is at its goal, along linearised paths, ``[T]``.

    A path's duration counts steps as large as the first. An explorer that normalises gradients does not slow down as
    they shrink: Muon at once, Adam once it has forgotten the larger ones. So the explorer is run on a linear loss whose
    gradient shrinks as that of the path does up to the point that the explorer has reached. Each leaf is represented by
    one number, and weighted by its size.

    Momentum averages the gradients so far, see :mod:`.gradient_memory`. Where the average is larger than the present
    gradient, by a tenth at most, the excess counts as progress: slow modes do decay faster under momentum. A larger
    excess is of modes that are gone, whose momentum does not move the others.

    Args:
        explorer: The explorer; learning-rate schedules count from its first step.
        params: A point, for the shapes of the leaves.
        paths: Segments of each target's path, at learning rates without the effect of the gradient's norm.

    Returns:
        Steps, interpolated within one; infinite where the path is.

    Example:
        Gradient descent does not normalise, so its steps are the hitting time:

        >>> from allroads.explorers.gd import GD
        >>> from allroads.paths.learnability.simulate.residual_spectrum import ResidualSpectrum
        >>> half = ResidualSpectrum(np.array([0.5]), np.array([1.0]))
        >>> segment = LinearisedSegment(half, 1 / 16, 2.0, 0.0, 1.0, 0.0)
        >>> optimizer_steps(GD(), {"w": np.zeros((2, 2))}, [(segment,)]).round(3).tolist()
        [2.0]
    """
    durations = np.array([path_duration(segments) for segments in paths])
    found = durations.copy()
    (finite,) = np.nonzero((durations > 0) & np.isfinite(durations))
    leaves, structure = jax.tree.flatten(params)
    run = compiled_optimizer_steps(explorer, structure, tuple(np.shape(leaf) for leaf in leaves))
    for begin in range(0, len(finite), TARGET_BATCH):
        part = finite[begin : begin + TARGET_BATCH]
        rows = np.resize(part, TARGET_BATCH)  # one shape for all batches
        shares = np.array([gradient_norms_along(paths[int(i)], _GRID * durations[i]) for i in rows])
        steps = run(jnp.asarray(durations[rows], jnp.float32), jnp.asarray(shares, jnp.float32))
        found[part] = np.asarray(steps)[: len(part)]
    return found


@lru_cache(maxsize=32)
def compiled_optimizer_steps(explorer: Explorer, structure: Any, shapes: tuple[tuple[int, ...], ...]) -> Any:
    """The compiled ``(durations [T], gradient shares on the grid [T, G]) -> steps [T]``."""
    sizes = [int(np.prod(shape)) for shape in shapes]
    start = jax.tree.unflatten(structure, [jnp.zeros((1,) * len(shape), jnp.float32) for shape in shapes])
    grid = jnp.asarray(_GRID, jnp.float32)
    memory = gradient_memory(explorer, jax.tree.unflatten(structure, [np.broadcast_to(0.0, shape) for shape in shapes]))

    def one(duration: Any, shares: Any) -> Any:
        first = initial_state(explorer, start, constant_like(start, 1.0), jax.random.key(0))
        first_rate = mean_learning_rate(run_on_constant_gradient(explorer, first, constant_like(start, 1.0)), sizes)

        def before_end(carry: tuple[Any, ...]) -> Any:
            _, index, covered, *_ = carry
            return (covered < duration) & (index < MAX_STEPS)

        def step(carry: tuple[Any, ...]) -> tuple[Any, ...]:
            state, index, covered, _, mean = carry
            share = jnp.maximum(jnp.interp(covered / duration, grid, shares), 1e-12)
            gradient = constant_like(start, share)
            state, sums = run_on_linear_loss(explorer, state, (gradient, gradient), index, 1)
            momentum = momentum_at(memory, index + 1.0)
            mean = momentum * mean + (1 - momentum) * share
            warranted = jnp.minimum(1.0, WARRANTED_LAG * share / mean)
            progress = warranted * mean_learning_rate(sums, sizes) / first_rate
            return state, index + 1, covered + progress, covered, mean

        zero = jnp.zeros_like(duration)
        _, taken, covered, before, _ = jax.lax.while_loop(before_end, step, (first, jnp.int32(0), zero, zero, zero))
        within = taken - 1 + (duration - before) / jnp.maximum(covered - before, 1e-30)
        return jnp.where(covered >= duration, within, taken * duration / jnp.maximum(covered, 1e-30))

    return jax.jit(jax.vmap(one), compiler_options=quickly_compiled())
