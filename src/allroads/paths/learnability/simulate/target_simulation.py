"""Simulation of every target from a start: hitting time by the kernel there, and steps along the linearised path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from allroads.compiled import quickly_compiled
from allroads.explorers.explorer import Explorer
from allroads.paths.learnability.simulate.learning_rates import compiled_learning_rates
from allroads.paths.learnability.simulate.linearised_path import (
    MAX_SEGMENTS,
    SEGMENT_KRYLOV_STEPS,
    PathStart,
    segments_of,
    simulate_linearised_path,
)
from allroads.paths.learnability.simulate.loss_flow import identity_kernel_flow
from allroads.paths.learnability.simulate.optimizer_steps import optimizer_steps
from allroads.paths.learnability.simulate.residual_spectrum import (
    KRYLOV_STEPS,
    TARGET_BATCH,
    ResidualSpectrum,
    compiled_kernel_lanczos,
    gauss_spectrum,
)
from allroads.paths.learnability.simulate.segment import LinearisedSegment, without_relinearisation
from allroads.pfmap.losses import PerExampleLoss, resolve_loss
from allroads.pfmap.network import Network, Params

SOLUTION_REGULARISATION = 1e-3
"""Share of the largest eigenvalue that regularises the linear solution."""


@dataclass(frozen=True)
class TargetSimulation:
    """What the simulation from one start says of one target.

    Args:
        loss: Loss at the start.
        level: Share of the residual's square at which the loss is at its goal; 1 or more where it is there already.
        spectrum: Spectrum of the residual under the explorer's kernel at the start: contractions per step.
        segments: Segments of the path to the goal, the first from the start.
        hitting_time: Steps of the explorer to the goal by the kernel at the start alone.
        path_steps: Steps of the explorer to the goal along all segments.
        params_norm_squared: ``Σ_l ‖θ_l‖² / ρ_l``, in the units of :attr:`solution_norm`.
    """

    loss: float
    level: float
    spectrum: ResidualSpectrum
    segments: tuple[LinearisedSegment, ...]
    hitting_time: float
    path_steps: float
    params_norm_squared: float

    @property
    def solution_norm(self) -> float:
        """Norm of the linear solution over that of the parameters, ``√(rᵀK⁻¹r / ‖θ‖²)``, in the explorer's metric.

        Eigenvalues below a thousandth of the largest are regularised.
        """
        top = float(self.spectrum.nodes.max(initial=0.0))
        if top <= 0 or self.params_norm_squared <= 0:
            return float("inf")
        return float(np.sqrt(self.spectrum.energy(SOLUTION_REGULARISATION * top) / self.params_norm_squared))


@dataclass(frozen=True)
class Resolution:
    """How finely paths are simulated.

    Args:
        krylov: Lanczos steps of the spectrum at the start.
        segment_krylov: Lanczos steps per segment.
        max_segments: Largest number of segments per target.
    """

    krylov: int = KRYLOV_STEPS
    segment_krylov: int = SEGMENT_KRYLOV_STEPS
    max_segments: int = MAX_SEGMENTS


def simulate_targets(
    network: Network,
    loss: str | PerExampleLoss,
    explorer: Explorer,
    points: Params,
    inputs: Any,
    labels: Any,
    goals: NDArray[Any],
    *,
    seed: int = 0,
    resolution: Resolution | None = None,
) -> list[TargetSimulation]:
    """Simulate the path to every target, each from a point of its own.

    Args:
        network: The network.
        loss: Name or callable.
        explorer: The explorer; its learning rates precondition the kernel.
        points: One point per target, leaves ``[T, …]``; see :func:`broadcast_params`.
        inputs: ``[N, …]``.
        labels: ``[T, N, …]``.
        goals: Mean loss at which a target is learned, ``[T]``.
        seed: Decides the explorer's random key.
        resolution: How finely; default :class:`Resolution`.
    """
    resolution, count = resolution or Resolution(), len(labels)
    start, inputs, residuals, here, _ = at_starts(
        network, loss, explorer, points, inputs, labels, goals, seed=seed, krylov=resolution.krylov
    )
    records = simulate_linearised_path(
        network,
        loss,
        explorer,
        inputs,
        start,
        jax.random.key(seed),
        krylov=min(resolution.segment_krylov, residuals[0].size),
        max_segments=resolution.max_segments,
    )
    here, records = jax.tree.map(lambda part: np.asarray(part)[:count], (here, records))
    paths = segments_of(records, goals, len(inputs))
    spectra = [
        gauss_spectrum(*row).scaled(segments[0].curvature / len(inputs))
        for *row, segments in zip(*here, records.squares[:, 0], paths, strict=True)
    ]
    leaves = np.array([squared_norms(leaf) for leaf in jax.tree.leaves(start.points)])[:, :count]
    rates = np.array(jax.tree.leaves(start.leaf_rates), np.float64)[:, :count]
    inverse = np.divide(1.0, rates, out=np.zeros_like(rates), where=rates > 0)
    curvatures = np.array([segments[0].curvature for segments in paths])
    # The spectrum is that of A h/N, and the linear solution is for r/h.
    norms = (leaves * inverse).sum(axis=0) * len(inputs) * curvatures
    one = jax.tree.map(lambda leaf: np.asarray(leaf)[0], start.points)
    return target_simulations(explorer, one, records.losses[:, 0], spectra, paths, norms)


def at_starts(
    network: Network,
    loss: str | PerExampleLoss,
    explorer: Explorer,
    points: Params,
    inputs: Any,
    labels: Any,
    goals: NDArray[Any],
    *,
    seed: int,
    krylov: int,
) -> tuple[PathStart, Any, Any, Any, Any]:
    """What every simulation begins with, the targets filled up to whole batches.

    Args:
        network: The network.
        loss: Name or callable.
        explorer: The explorer; its learning rates precondition the kernel.
        points: One point per target, leaves ``[T, …]``.
        inputs: ``[N, …]``.
        labels: ``[T, N, …]``.
        goals: Mean loss at which a target is learned, ``[T]``.
        seed: Decides the explorer's random key.
        krylov: Lanczos steps, at most.

    Returns:
        The start of the paths, the inputs as arrays, the residuals ``[B, N, …]``, the diagonals and off-diagonals of
        the kernel in the residuals' Krylov spaces, and the flow times to the goals with the losses.
    """
    points, labels, goals = fill_batches((points, np.asarray(labels), np.asarray(goals)))
    points, inputs, labels, goals = jax.tree.map(jnp.asarray, (points, inputs, labels, goals))
    residuals, gradients, *flow = compiled_residuals(network, loss)(points, inputs, labels, goals)
    rates = compiled_learning_rates(explorer)(points, gradients, jax.random.key(seed))
    size = residuals[0].size
    krylov, room = min(krylov, size), min(max(krylov, KRYLOV_STEPS), size)  # one program for few steps and for many
    found = compiled_kernel_lanczos(network, room)(points, inputs, residuals, rates, krylov)
    diagonals, off_diagonals = (np.asarray(part) for part in found)
    rows = diagonals[:, :krylov], off_diagonals[:, : krylov - 1]
    start = PathStart(points, labels, jnp.asarray(goals, residuals.dtype), gradients, rates)
    return start, inputs, residuals, rows, flow


def target_simulations(
    explorer: Explorer,
    params: Params,
    losses: NDArray[Any],
    spectra: Sequence[ResidualSpectrum],
    paths: Sequence[tuple[LinearisedSegment, ...]],
    norms: NDArray[Any],
) -> list[TargetSimulation]:
    """Simulations of targets from their measurements; the explorer and the shapes of ``params`` give the steps."""
    straight = [
        (without_relinearisation(segments[0], spectrum),) for spectrum, segments in zip(spectra, paths, strict=True)
    ]
    steps = optimizer_steps(explorer, params, [*straight, *paths])
    columns = losses, spectra, paths, *np.split(steps, 2), norms
    return [
        TargetSimulation(float(loss), path[0].level, spectrum, path, float(hitting), float(along), float(norm))
        for loss, spectrum, path, hitting, along, norm in zip(*columns, strict=True)
    ]


def broadcast_params(params: Params, count: int) -> Params:
    """The same point for each of ``count`` targets, leaves ``[count, …]``."""
    return jax.tree.map(lambda leaf: np.broadcast_to(np.asarray(leaf), (count, *np.shape(leaf))), params)


def fill_batches(arrays: Any) -> Any:
    """A leading axis filled up to whole batches with copies of its last entry, so that all batches have one shape."""
    count = len(jax.tree.leaves(arrays)[0])
    rows = np.minimum(np.arange(-(-count // TARGET_BATCH) * TARGET_BATCH), count - 1)
    return jax.tree.map(lambda leaf: np.asarray(leaf)[rows], arrays)


def squared_norms(array: Any) -> NDArray[np.float64]:
    """Squared norm of every entry of the leading axis."""
    array = np.asarray(array, np.float64)
    norms: NDArray[np.float64] = np.square(array).reshape(len(array), -1).sum(axis=1)
    return norms


@lru_cache(maxsize=32)
def compiled_residuals(network: Network, loss: str | PerExampleLoss) -> Any:
    """The compiled ``(points, inputs, labels, goals) -> (residuals, gradients, flow times, losses)``.

    The residuals are ``−∂Σℓ/∂f``, the gradients those of the mean loss, and the times those of :mod:`.loss_flow`.
    """
    per_example = resolve_loss(loss)
    flow = identity_kernel_flow(per_example)

    def one(params: Params, inputs: Any, labels: Any, goal: Any) -> tuple[Any, ...]:
        outputs, pull = jax.vjp(lambda point: network.apply(point, inputs), params)
        residual = -jax.grad(lambda f: per_example(f, labels).sum())(outputs)
        return residual, pull(-residual / len(inputs))[0], *flow(outputs, labels, goal)

    def all_targets(points: Params, inputs: Any, labels: Any, goals: Any) -> Any:
        rows = points, labels, goals
        return jax.lax.map(lambda own: one(own[0], inputs, own[1], own[2]), rows, batch_size=TARGET_BATCH)

    return jax.jit(all_targets, compiler_options=quickly_compiled())
