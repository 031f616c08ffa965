"""Sequential Monte Carlo through a decreasing sequence of sets: multilevel splitting."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.budget import Budget
from allroads.checks import check_choice, check_count
from allroads.errors import InputError
from allroads.points.volume.level import Height, LevelFunction, LogPrior, Slope, Unravel
from allroads.points.volume.measures import Measure
from allroads.points.volume.moves import Particles, compiled_moves, cost, first_sizes
from allroads.points.volume.weights import log_mean, mean_weights

KEPT = 0.5
"""Share of the particles that pass each level."""
ANNEALED = 0.4
"""Standard deviation of the log-weights at each loosening of the tether."""
_INSIDE = 0.9
"""Share of the first draws around the point that must lie inside."""
_HALVINGS = 500
_BISECTIONS = 6

SCOPES = ("basin", "everywhere")


@dataclass(frozen=True)
class Splitting:
    """How a population goes down.

    Args:
        particles: In all replicas together.
        replicas: Independent populations; their disagreement is the error.
        sweeps: Most sweeps of moves after each level.
        renewal: Moves after a level end when particles have gone this share of the mean squared distance between
            independent ones, in the slowest parameter, on average over the replicas.
        scope: ``"basin"``: particles start around the point and count what wide passages connect to it;
            ``"everywhere"``: they start from the reference measure and count every part of the set. Default: basin for
            a local volume, everywhere for a scaling.
    """

    particles: int = 4096
    replicas: int = 8
    sweeps: int = 40
    renewal: float = 0.9
    scope: str | None = None

    def scope_or(self, usual: str) -> str:
        """The scope asked for, else the usual one."""
        return self.scope or usual

    def __post_init__(self) -> None:
        if self.replicas < 2 or self.particles < 16 * self.replicas or self.particles % (2 * self.replicas):
            raise InputError(
                f"particles: expected at least 2 replicas of at least 16 particles each, an even number, got "
                f"{self.particles} in {self.replicas} replicas."
            )
        check_count("sweeps", self.sweeps)
        if self.scope is not None:
            check_choice("scope", self.scope, SCOPES)


@dataclass(frozen=True, eq=False)
class Descent:
    """The masses of a nested sequence of sets.

    Args:
        cutoffs: ``[K]``, decreasing.
        log_masses: ``[R, K]``, of each replica.
        variances: ``[K]``, of the log-mass of one replica, as they would be if particles were independent.
        renewals: Of each step: how far its moves took particles, as a share of what independence would be.
        decorrelation: Of each step: one minus the rank correlation of the heights before and after its moves.
        restored: ``[K']``, of each step: by how many nats its moves raised what is counted next, over all replicas.
            Moves leave the set as it is, so this is noise around 0, unless they refill what too few particles had
            stood for.
        noise: ``[K']``, the variance of each of these if particles were independent.
        acceptance: Mean share of lines on which a particle moved.
        evaluations: Of the height.
        ancestors: Of the worst replica: how many of the first particles have descendants at the end.
        lowest: The least height met.
        reached: Whether the last cutoff asked for was reached.
        tether: How tightly particles were still held to the point at the end. Above 0 the last log-mass is that of
            the tethered measure, which lies below the reference.
        ended: ``"budget"`` or ``"interrupted"`` where one of these came first, else ``None``.
    """

    cutoffs: np.ndarray
    log_masses: np.ndarray
    variances: np.ndarray
    renewals: np.ndarray
    decorrelation: np.ndarray
    restored: np.ndarray
    noise: np.ndarray
    acceptance: float
    evaluations: int
    ancestors: int
    lowest: float
    reached: bool
    tether: float = 0.0
    ended: str | None = None


def descend(
    function: LevelFunction,
    measure: Measure,
    offset: np.ndarray,
    top: float,
    bottom: float,
    options: Splitting,
    *,
    axes: np.ndarray | None,
    log_prior: LogPrior | None,
    seed: int,
    budget: Budget | None = None,
) -> Descent:
    """Log-masses of ``{height ≤ level}`` for levels from ``top`` down to ``bottom``; call inside ``float64()``.

    Args:
        function: The height.
        measure: The reference measure.
        offset: The point minus the measure's centre, ``[d]``.
        top: First level, may be infinite where the population is not grown.
        bottom: Last level.
        options: Sizes.
        axes: Start from a normal distribution around the point, of this shape (``A`` in ``w* + A z``, z round; ``[d]``
            or ``[d, d]``) and small enough to lie inside ``{height ≤ top}``, and loosen its tether until only the
            reference measure is left: particles stay in the basin of the point. ``None``: start from the reference
            measure.
        log_prior: Factor of the density, ``params -> log``, not normalised; or ``None``.
        seed: Decides all draws.
        budget: Seconds; moves are begun where those before them say that it lasts. Default no end.
    """
    budget = budget or Budget()
    keys, record, grow = _keys(seed), _Record(), axes is not None
    height, slope, log_shape = _functions(
        function.height, function.slope, type(measure).log_shape, log_prior, function.unravel
    )
    data = (function.data, jnp.asarray(offset), measure.scale, jnp.asarray(axes if grow else 1.0))
    moves = compiled_moves(height, slope, log_shape, connected=grow)
    count = (options.replicas, options.particles // options.replicas)
    level = top if grow else math.inf
    if grow:
        particles, log_mass, tether = _tethered(next(keys), count, height, log_shape, level, data)
        log_mass += measure.log_height(offset.size)
        log_weights = np.where(np.asarray(particles.heights) <= level, np.asarray(particles.log_shapes), -np.inf)
    else:
        particles = _population(measure.draws(next(keys), count, offset), height, log_shape, data)
        log_mass, tether = 0.0, 0.0
        log_weights = np.asarray(particles.log_shapes - measure.log_shape(particles.offsets + data[1], measure.scale))
    record.met(particles.heights)
    log_masses, variance, log_sizes = np.full(count[0], log_mass), 0.0, first_sizes(offset.size)
    ended: str | None = None
    took = 0.0
    while True:
        gained, variance_gained = mean_weights(log_weights)
        log_masses, variance = log_masses + gained, variance + variance_gained
        particles, copies = _resampled(particles, log_weights, next(keys))
        if tether == 0:
            record.reach(level, log_masses, variance)
            if level <= bottom:
                break
        unmoved, began = particles, budget.spent
        held = f"tether {tether:.3g}" if tether > 0 else f"log-mass {log_masses.mean():.1f}"
        budget.say(f"{len(record.renewals)} levels, height {level:.3g}, {held}")
        ended = budget.ended or ("budget" if budget.left < took else None)
        if not ended:
            with budget.interruptible():
                particles, log_sizes, diagnostics = jax.block_until_ready(
                    moves(
                        next(keys),
                        unmoved,
                        float(level),
                        float(tether),
                        log_sizes,
                        options.sweeps,
                        options.renewal,
                        data,
                    )
                )
            ended = budget.ended if budget.interrupted else None
        if ended:
            if tether > 0:
                record.reach(level, log_masses, variance)
            break
        took = budget.spent - began if record.renewals else 0.0  # the first waited for the compiler
        record.moved(diagnostics, options.particles * cost(grow))
        record.met(particles.heights)
        if tether > 0:
            annealed = _annealed(_squares(particles), tether)
            before, log_weights = ((tether - annealed) * _squares(p) for p in (unmoved, particles))
            tether = annealed
        else:
            lower = _next_level(np.asarray(particles.heights), bottom)
            if lower is None:
                break
            before, log_weights = (np.where(np.asarray(p.heights) <= lower, 0.0, -np.inf) for p in (unmoved, particles))
            level = lower
        record.refilled(log_mean(before, copies), log_mean(log_weights, np.ones(count)))
    reached, ancestors = level <= bottom and not ended, np.asarray(unmoved.ancestors if ended else particles.ancestors)
    return record.finished(reached, ancestors, tether, ended)


def _keys(seed: int) -> Iterator[Any]:
    root = jax.random.key(seed)
    for number in itertools.count():
        yield jax.random.fold_in(root, number)


@lru_cache(maxsize=64)
def _functions(
    height: Height, slope: Slope, log_density: Height, log_prior: LogPrior | None, unravel: Unravel
) -> tuple[Height, Slope, Height]:
    """Height, height with gradient, and the reference's log-density, of offsets and ``(data, offset, scale, axes)``."""

    def placed(offsets: Any, axes: Any) -> Any:
        return offsets @ axes.T if axes.ndim == 2 else offsets * axes

    def height_at(offsets: Any, data: Any) -> Any:
        return height(placed(offsets, data[3]), data[0])

    def slope_at(offsets: Any, data: Any) -> tuple[Any, Any]:
        heights, slopes = slope(placed(offsets, data[3]), data[0])
        return heights, placed(slopes, data[3].T)

    def log_shape(offsets: Any, data: Any) -> Any:
        offsets = placed(offsets, data[3])
        shape = log_density(offsets + data[1], data[2])
        if log_prior is None:
            return shape
        prior = log_prior
        flat = (offsets + data[0][0]).reshape(-1, offsets.shape[-1])
        return shape + jax.vmap(lambda w: prior(unravel(w)))(flat).reshape(shape.shape)

    return height_at, slope_at, log_shape


def _population(offsets: Any, height: Height, log_shape: Height, data: Any) -> Particles:
    """Particles at ``offsets``, the ancestors of all that follow."""
    count = offsets.shape[:2]
    heights = jax.jit(height)(offsets.reshape(-1, offsets.shape[-1]), data).reshape(count)
    ancestors = jnp.broadcast_to(jnp.arange(count[1]), count)
    return Particles(offsets, heights, log_shape(offsets, data), ancestors)


def _tethered(
    key: Any, count: tuple[int, int], height: Height, log_shape: Height, top: float, data: Any
) -> tuple[Particles, float, float]:
    """A round normal population in the coordinates of the axes, the log of its total mass (Lebesgue), and its tether.

    As wide as can be with ``_INSIDE`` of it in the set, and weights under the reference that spread by no more than
    ``ANNEALED``.
    """
    normal = jax.random.normal(key, (*count, data[1].size))

    def of(log_size: float) -> tuple[Particles, bool]:
        particles = _population(math.exp(log_size) * normal, height, log_shape, data)
        shapes = np.asarray(particles.log_shapes)
        inside = (np.asarray(particles.heights) <= top) & np.isfinite(shapes)
        return particles, bool(inside.mean() >= _INSIDE and shapes[inside].std() <= ANNEALED)

    small = next((-n * math.log(2.0) for n in range(_HALVINGS) if of(-n * math.log(2.0))[1]), None)
    if small is None:
        raise InputError(
            f"cutoff: however near to the point, most parameters are above the cutoff of {top:.4g}; the height is not "
            "continuous there. Choose a larger cutoff or another point."
        )
    large = small + math.log(2.0)
    for _ in range(_BISECTIONS):
        middle = (small + large) / 2
        small, large = (middle, large) if of(middle)[1] else (small, middle)
    axes, dimension = np.asarray(data[3]), data[1].size
    log_axes = np.linalg.slogdet(axes)[1] if axes.ndim == 2 else np.log(np.abs(axes)).sum()
    log_mass = float(log_axes) + dimension * (small + 0.5 * math.log(2 * math.pi))
    return of(small)[0], log_mass, math.exp(-2 * small)


def _resampled(particles: Particles, log_weights: np.ndarray, key: Any) -> tuple[Particles, np.ndarray]:
    """Each replica drawn anew by its weights, systematically, and how often each particle was drawn ``[R, N]``.

    A replica that lost all particles borrows from all.
    """
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
    copies = np.bincount(chosen.ravel(), minlength=chosen.size)[chosen]
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[chosen], particles), copies


def _squares(particles: Particles) -> np.ndarray:
    return 0.5 * np.asarray((particles.offsets**2).sum(-1))


def _annealed(squares: np.ndarray, tether: float) -> float:
    """The next tether, from ``½ |offset|²`` of the particles.

    Log-weights spread by ``ANNEALED``, and the tether falls by no more than a quarter. The rule looks at the bulk of
    the particles alone: one that looked at their largest weights would stride on where tails happen to be empty, and be
    biased by that.
    """
    stride = ANNEALED / max(squares.std(), 1e-300)
    return 0.0 if tether < stride / 2 else max(tether - stride, tether / 1.3)


def _next_level(heights: np.ndarray, bottom: float) -> float | None:
    """The height below which ``KEPT`` of the particles lie, not below ``bottom``; ``None`` if none lies lower."""
    ordered = np.sort(heights, axis=None)
    level = ordered[int(KEPT * ordered.size)]
    if level == ordered[-1] and level > bottom:
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
    decorrelation: list[float] = field(default_factory=list)
    restored: list[float] = field(default_factory=list)
    noise: list[float] = field(default_factory=list)
    acceptances: list[float] = field(default_factory=list)
    lowest: float = math.inf

    def reach(self, cutoff: float, log_masses: np.ndarray, variance: float) -> None:
        self.cutoffs.append(cutoff)
        self.log_masses.append(log_masses)
        self.variances.append(variance)

    def moved(self, diagnostics: Any, evaluations_a_sweep: int) -> None:
        self.renewals.append(float(diagnostics["renewal"]))
        self.decorrelation.append(float(diagnostics["decorrelation"]))
        self.acceptances.append(float(diagnostics["acceptance"]))
        self.evaluations += int(diagnostics["sweeps"]) * evaluations_a_sweep

    def refilled(self, before: tuple[float, float], after: tuple[float, float]) -> None:
        self.restored.append(after[0] - before[0])
        self.noise.append(after[1] + before[1])

    def met(self, heights: Any) -> None:
        self.evaluations += heights.size
        self.lowest = min(self.lowest, float(heights.min()))

    def finished(self, reached: bool, ancestors: np.ndarray, tether: float, ended: str | None) -> Descent:
        return Descent(
            cutoffs=np.array(self.cutoffs),
            log_masses=np.array(self.log_masses).T,
            variances=np.array(self.variances),
            renewals=np.array(self.renewals),
            decorrelation=np.array(self.decorrelation),
            restored=np.array(self.restored),
            noise=np.array(self.noise),
            acceptance=float(np.mean(self.acceptances or [math.nan])),
            evaluations=self.evaluations,
            ancestors=min(np.unique(row).size for row in ancestors),
            lowest=self.lowest,
            reached=reached,
            tether=tether,
            ended=ended,
        )
