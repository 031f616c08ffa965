"""Sequential Monte Carlo through a decreasing sequence of sets: multilevel splitting."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.errors import InputError
from allroads.points.volume.measures import Measure
from allroads.points.volume.moves import ATTEMPTS, Particles, compiled_moves
from allroads.points.volume.problem import Problem

KEPT = 0.5
"""Share of the particles that pass each level."""
LOOSENED = 0.4
"""Standard deviation of the log-weights at each loosening of the tether."""
_INSIDE = 0.9
"""Share of the first draws around the point that must lie inside."""
_HALVINGS = 500


@dataclass(frozen=True)
class Splitting:
    """How a population goes down.

    Args:
        particles: In all replicas together.
        replicas: Independent populations; their disagreement is the error.
        sweeps: Most sweeps of moves after each level.
        renewal: Moves after a level end when particles have gone this share of the mean squared distance between
            independent ones, in the slowest parameter, on average over the replicas.
    """

    particles: int = 4096
    replicas: int = 8
    sweeps: int = 40
    renewal: float = 0.9

    def __post_init__(self) -> None:
        if self.replicas < 2 or self.particles < 16 * self.replicas or self.particles % (2 * self.replicas):
            raise InputError(
                f"particles: expected at least 2 replicas of at least 16 particles each, an even number, got "
                f"{self.particles} in {self.replicas} replicas."
            )
        if self.sweeps < 1:
            raise InputError(f"sweeps: expected at least 1, got {self.sweeps}.")


@dataclass(frozen=True, eq=False)
class Descent:
    """The masses of a nested sequence of sets.

    Args:
        cutoffs: ``[K]``, decreasing.
        log_masses: ``[R, K]``, of each replica.
        variances: ``[K]``, of the log-mass of one replica, as they would be if particles were independent.
        renewals: Of each step: how far its moves took particles, as a share of what independence would be.
        stirring: Of each step: one minus the rank correlation of the heights before and after its moves.
        acceptance: Mean share of lines on which a particle moved.
        evaluations: Of the height.
        ancestors: Of the worst replica: how many of the first particles have descendants at the end.
        lowest: The least height met.
        reached: Whether the last cutoff asked for was reached.
    """

    cutoffs: np.ndarray
    log_masses: np.ndarray
    variances: np.ndarray
    renewals: np.ndarray
    stirring: np.ndarray
    acceptance: float
    evaluations: int
    ancestors: int
    lowest: float
    reached: bool


def descend(
    problem: Problem,
    measure: Measure,
    offset: np.ndarray,
    top: float,
    bottom: float,
    options: Splitting,
    *,
    grow: bool,
    log_prior: Callable | None,
    seed: int,
) -> Descent:
    """Log-masses of ``{height ≤ level}`` for levels from ``top`` down to ``bottom``; call inside ``float64()``.

    Args:
        problem: The height.
        measure: The reference measure.
        offset: The point minus the measure's centre, ``[d]``.
        top: First level, may be infinite where the population is not grown.
        bottom: Last level.
        options: Sizes.
        grow: Start from a small normal distribution around the point, inside ``{height ≤ top}``, and widen it to the
            reference measure: particles stay in the basin of the point. Otherwise start from the reference measure.
        log_prior: Factor of the density, ``params -> log``, not normalised; or ``None``.
        seed: Decides all draws.
    """
    keys = _keys(seed)
    height, log_shape = _functions(problem.height, type(measure), log_prior, problem.unravel)
    data = (problem.data, jnp.asarray(offset), measure.scale)
    moves = compiled_moves(height, log_shape, connected=grow)
    record = _Record()

    draws, log_mass, tether = _start(problem, measure, offset, top if grow else math.inf, options, grow, next(keys))
    count = draws.shape[:2]
    heights = jax.jit(height)(draws.reshape(-1, draws.shape[-1]), data).reshape(count)
    log_shapes = log_shape(draws, data)
    ancestors = jnp.broadcast_to(jnp.arange(count[1]), count)
    particles = Particles(draws, heights, log_shapes, ancestors)
    record.met(heights)
    level = top if grow else math.inf
    prior = log_shapes - measure.log_shape(draws + data[1], measure.scale)
    log_weights = np.where(np.asarray(heights) <= level, np.asarray(prior), -np.inf)
    log_masses, variance, log_width = np.full(count[0], float(log_mass)), 0.0, jnp.asarray(np.log(3.0))
    while True:
        gained, variance_gained = _mean_weights(log_weights)
        log_masses, variance = log_masses + gained, variance + variance_gained
        particles = _resampled(particles, log_weights, next(keys))
        if tether == 0:
            record.reach(level, log_masses, variance)
            if level <= bottom:
                break
        particles, log_width, diagnostics = moves(
            next(keys), particles, float(level), float(tether), log_width, options.sweeps, options.renewal, data
        )
        record.moved(diagnostics, options.particles * (ATTEMPTS + grow))
        record.met(particles.heights)
        if tether > 0:
            squares = 0.5 * np.asarray((particles.offsets**2).sum(-1))
            loosened = _loosened(squares, tether)
            log_weights, tether = (tether - loosened) * squares, loosened
            continue
        heights = np.asarray(particles.heights)
        lower = _next_level(heights, bottom)
        if lower is None:
            break
        log_weights, level = np.where(heights <= lower, 0.0, -np.inf), lower
    return record.finished(reached=level <= bottom, ancestors=np.asarray(particles.ancestors))


def _keys(seed: int) -> Iterator[Any]:
    root = jax.random.key(seed)
    for number in itertools.count():
        yield jax.random.fold_in(root, number)


@lru_cache(maxsize=64)
def _functions(
    height: Callable, measure: type[Measure], log_prior: Callable | None, unravel: Callable
) -> tuple[Callable, Callable]:
    """Height and log-density of the reference as functions of offsets and ``(problem's data, offset, scale)``."""

    def height_at(offsets: Any, data: Any) -> Any:
        return height(offsets, data[0])

    def log_shape(offsets: Any, data: Any) -> Any:
        shape = measure.log_shape(offsets + data[1], data[2])
        if log_prior is None:
            return shape
        flat = (offsets + data[0][0]).reshape(-1, offsets.shape[-1])
        return shape + jax.vmap(lambda w: log_prior(unravel(w)))(flat).reshape(shape.shape)

    return height_at, log_shape


def _start(
    problem: Problem, measure: Measure, offset: np.ndarray, top: float, options: Splitting, grow: bool, key: Any
) -> tuple[Any, Any, float]:
    """Draws ``[R, N, d]`` with the log of the total mass of what they are drawn from, and its tether."""
    count = (options.replicas, options.particles // options.replicas)
    if not grow:
        return *measure.tethered(key, count, jnp.asarray(offset), 0.0), 0.0
    height = jax.jit(problem.height)
    size = measure.scale
    for _ in range(_HALVINGS):
        draws, log_mass = measure.tethered(key, count, jnp.asarray(offset), size**-2)
        inside = np.asarray(height(draws.reshape(-1, draws.shape[-1]), problem.data)) <= top
        if inside.mean() >= _INSIDE:
            return draws, log_mass, size**-2
        size /= 2
    raise InputError(
        f"cutoff: however near to the point, most parameters are above the cutoff of {top:.4g}; the height is not "
        "continuous there. Choose a larger cutoff or another point."
    )


def _mean_weights(log_weights: np.ndarray) -> tuple[np.ndarray, float]:
    """Log of the mean weight of each replica ``[R]``, and the variance of one such if particles were independent."""
    top = np.max(log_weights)
    weights = np.exp(log_weights - top)
    with np.errstate(divide="ignore"):
        means = np.log(weights.mean(1)) + top
    return means, float(weights.var() / weights.mean() ** 2 / weights.shape[1])


def _resampled(particles: Particles, log_weights: np.ndarray, key: Any) -> Particles:
    """Each replica drawn anew by its weights, systematically; one that lost all particles borrows from all."""
    weights = np.exp(log_weights - log_weights.max())
    replicas, count = weights.shape
    lost = weights.sum(1) == 0
    starts = np.asarray(jax.random.uniform(key, (replicas, 1)))
    wheel = np.cumsum(np.where(lost[:, None], 1.0, weights), axis=1)
    wanted = (np.arange(count) + starts) / count * wheel[:, -1:]
    chosen = np.stack([np.searchsorted(w, at) for w, at in zip(wheel, wanted, strict=True)]).clip(max=count - 1)
    chosen += np.arange(replicas)[:, None] * count
    if lost.any():
        alive = np.flatnonzero(weights.ravel() > 0)
        chosen[lost] = alive[np.arange(lost.sum() * count).reshape(-1, count) % alive.size]
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[chosen], particles)


def _loosened(squares: np.ndarray, tether: float) -> float:
    """The next tether, from ``½ |offset|²`` of the particles.

    Log-weights spread by ``LOOSENED``, and the tether falls by no more than a quarter. The rule looks at the bulk of
    the particles alone: one that looked at their largest weights would stride on where tails happen to be empty, and be
    biased by that.
    """
    stride = LOOSENED / max(squares.std(), 1e-300)
    return 0.0 if tether < stride / 2 else max(tether - stride, tether / 1.3)


def _next_level(heights: np.ndarray, bottom: float) -> float | None:
    """The height below which ``KEPT`` of the particles lie, not below ``bottom``; ``None`` if none lies lower."""
    ordered = np.sort(heights, axis=None)
    level = ordered[int(KEPT * ordered.size)]
    if level == ordered[-1]:
        lower = ordered[ordered < level]
        if not lower.size:
            return None
        level = lower[-1]
    return max(float(level), bottom)


@dataclass
class _Record:
    """What is kept of a descent on its way."""

    evaluations: int = 0
    cutoffs: list[float] = field(default_factory=list)
    log_masses: list[np.ndarray] = field(default_factory=list)
    variances: list[float] = field(default_factory=list)
    renewals: list[float] = field(default_factory=list)
    stirring: list[float] = field(default_factory=list)
    acceptances: list[float] = field(default_factory=list)
    lowest: float = math.inf

    def reach(self, cutoff: float, log_masses: np.ndarray, variance: float) -> None:
        self.cutoffs.append(cutoff)
        self.log_masses.append(log_masses)
        self.variances.append(variance)

    def moved(self, diagnostics: Any, evaluations_a_sweep: int) -> None:
        self.renewals.append(float(diagnostics["renewal"]))
        self.stirring.append(float(diagnostics["stirring"]))
        self.acceptances.append(float(diagnostics["acceptance"]))
        self.evaluations += int(diagnostics["sweeps"]) * evaluations_a_sweep

    def met(self, heights: Any) -> None:
        self.evaluations += heights.size
        self.lowest = min(self.lowest, float(heights.min()))

    def finished(self, reached: bool, ancestors: np.ndarray) -> Descent:
        return Descent(
            cutoffs=np.array(self.cutoffs),
            log_masses=np.array(self.log_masses).T,
            variances=np.array(self.variances),
            renewals=np.array(self.renewals),
            stirring=np.array(self.stirring),
            acceptance=float(np.mean(self.acceptances or [math.nan])),
            evaluations=self.evaluations,
            ancestors=min(np.unique(row).size for row in ancestors),
            lowest=self.lowest,
            reached=reached,
        )
