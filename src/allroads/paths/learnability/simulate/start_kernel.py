"""Hitting times by the kernel at the start alone: what can be said of every target for a few gradients each."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from allroads.explorers.explorer import Explorer
from allroads.paths.learnability.simulate.linearised_path import equivalent_quadratic
from allroads.paths.learnability.simulate.optimizer_steps import optimizer_steps
from allroads.paths.learnability.simulate.residual_spectrum import gauss_spectrum
from allroads.paths.learnability.simulate.segment import LinearisedSegment
from allroads.paths.learnability.simulate.target_simulation import at_starts, squared_norms
from allroads.pfmap.losses import PerExampleLoss
from allroads.pfmap.network import Network, Params

START_KRYLOV_STEPS = 8
"""Lanczos steps of a quick spectrum: eleven gradients. What they leave out is small beside the law's own error."""


def hitting_times(
    network: Network,
    loss: str | PerExampleLoss,
    explorer: Explorer,
    points: Params,
    inputs: Any,
    labels: Any,
    goals: NDArray[Any],
    *,
    seed: int = 0,
    krylov: int = START_KRYLOV_STEPS,
) -> NDArray[np.float64]:
    """Steps of the explorer to every target by the kernel at its start, ``[T]``; NaN where the loss is not finite.

    Args:
        network: The network.
        loss: Name or callable.
        explorer: The explorer; its learning rates precondition the kernel.
        points: One point per target, leaves ``[T, …]``.
        inputs: ``[N, …]``.
        labels: ``[T, N, …]``.
        goals: Mean loss at which a target is learned, ``[T]``.
        seed: Decides the explorer's random key.
        krylov: Lanczos steps.

    Example:
        One weight whose residual gradient descent halves at each step: its square is at 1/16 after two.

        >>> from allroads.explorers.gd import GD
        >>> line = Network(lambda key: np.zeros(1), lambda w, x: x * w)
        >>> given = np.zeros((1, 1)), np.ones((2, 1)), np.ones((1, 2, 1)), np.array([1 / 16])
        >>> hitting_times(line, "mse", GD(learning_rate=0.25), *given).round(4).tolist()
        [2.0]
    """
    given = network, loss, explorer, points, inputs, labels, goals
    start, inputs, residuals, rows, flow = at_starts(*given, seed=seed, krylov=krylov)
    columns = [np.asarray(column)[: len(goals)] for column in (*rows, squared_norms(residuals), *flow)]
    paths = []
    for diagonal, off_diagonal, square, time, start_loss, goal in zip(*columns, goals, strict=True):
        level, curvature = equivalent_quadratic(float(goal), float(start_loss), float(time))
        spectrum = gauss_spectrum(diagonal, off_diagonal, float(square)).scaled(curvature / len(inputs))
        paths.append((LinearisedSegment(spectrum, level, curvature, 0.0, 1.0, 0.0),))
    one = jax.tree.map(lambda leaf: np.asarray(leaf)[0], start.points)
    return np.where(np.isfinite(columns[-1]), optimizer_steps(explorer, one, paths), np.nan)
