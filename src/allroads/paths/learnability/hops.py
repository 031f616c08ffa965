"""The way to a target in hops: each as far as the linearised map holds, where it is linearised anew."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from allroads.paths.learnability.hitting_time import hitting_time, remaining, slopes
from allroads.paths.learnability.single_mode import time_to
from allroads.paths.learnability.spectrum import BATCH, ResidualSpectrum, decomposed, gauss_rule
from allroads.pfmap.losses import PerExampleLoss, resolve_loss
from allroads.pfmap.network import Network, Params

HOPS = 24
"""Most hops a target."""
TOLERANCE = 0.3
"""A hop holds where the outputs end at most so far from where the linearised map has them, as a share of their way."""
DEPTH = 8
"""Lanczos steps a hop. What they do not resolve is left for the next hop to see: with 16, hops are no nearer to the
truth and cost twice as much; with 5, there are more of them, at the same cost in all."""
NEAREST, FARTHEST = 1e-6, 1e6
"""Steps of a hop; from the hitting time they are halved until it holds, or ``_HALVINGS`` times."""
SPEEDS = 1e-6, 1e6
"""Bounds of the speed at the end of a hop."""
_HALVINGS, _BISECTIONS = 20, 48


class Hop(NamedTuple):
    """Where a hop begins, and what it finds on its way.

    Attributes:
        spectrum: Of the residual under the explorer's kernel at its begin: contractions a step.
        level: Share of the residual's square at which the loss is at its goal; 1 or more where it is already.
        curvature: h of the quadratic loss that stands for the true one.
        time: Steps that it goes, at the pace of gradient descent in the linearised map.
        speed: Length of the gradient at its end over that in the linearised map.
        left: Level at its end: what is left to the goal there.
    """

    spectrum: ResidualSpectrum
    level: float
    curvature: float
    time: float
    speed: float
    left: float

    def true_time(self, time: Any) -> Any:
        """Steps for what takes so many in the linearised map: the speed changes in proportion to them up to the end.

        From there on it stays. ``t log(1 + (q − 1) s/t) / (q − 1)``; exact to second order in t.
        """
        within = np.minimum(time, self.time)
        growth = self.speed - 1
        if self.time <= 0 or abs(growth) < 1e-9:
            return np.asarray(time, np.float64)
        return self.time * np.log1p(growth * within / self.time) / growth + (time - within) / self.speed

    def linear_time(self, true: Any) -> Any:
        """The inverse of :meth:`true_time`."""
        growth, end = self.speed - 1, self.true_time(self.time)
        if self.time <= 0 or abs(growth) < 1e-9:
            return np.asarray(true, np.float64)
        within = np.minimum(true, end)
        return self.time * np.expm1(growth * within / self.time) / growth + (true - within) * self.speed

    def slopes(self, true: Any) -> Any:
        """Length of the gradient after so many true steps, up to what is the same for all hops."""
        time = self.linear_time(true)
        speed = 1 + (self.speed - 1) * np.minimum(time / self.time, 1.0) if self.time > 0 else 1.0
        return self.steepness * speed * slopes(self.spectrum, time)

    @property
    def steepness(self) -> float:
        """Length of the gradient at its begin, ``√(rᵀ A r)`` up to what is the same for all hops."""
        return float(np.sqrt(self.spectrum.energies @ self.spectrum.nodes / self.curvature))

    def to_goal(self) -> float:
        """True steps to the goal: from the end on, where it is not reached there, at the speed there."""
        time = hitting_time(self.spectrum, self.level)
        if self.level < 1 <= self.left and self.time > 0:  # reached on the way, at which part the logarithms tell
            linear = remaining(self.spectrum, self.time)
            share = np.log(self.level) / np.log(self.level / self.left)
            time = min(self.time, hitting_time(self.spectrum, float(linear**share)))
        return float(self.true_time(time))


def linearised(hop: Hop, spectrum: ResidualSpectrum) -> Hop:
    """All of the way from where a hop begins, as a finer spectrum there has it."""
    return hop._replace(spectrum=spectrum, time=0.0, speed=1.0, left=0.0)


def way(hops: tuple[Hop, ...]) -> float:
    """Steps to the goal along all hops, at the pace of gradient descent."""
    return sum(float(hop.true_time(hop.time)) for hop in hops[:-1]) + hops[-1].to_goal()


def slopes_along(hops: tuple[Hop, ...], times: np.ndarray) -> np.ndarray:
    """Length of the gradient, as a share of the first, at some times from the start of the first hop, ``[G]``.

    Example:
        Two hops along one mode are one:

        >>> mode = ResidualSpectrum(np.array([0.5]), np.array([1.0]))
        >>> later = mode._replace(energies=np.array([1 / 16]))
        >>> hops = Hop(mode, 0.01, 2.0, 2.0, 1.0, 0.16), Hop(later, 0.16, 2.0, 9.0, 1.0, 2.0)
        >>> slopes_along(hops, np.array([0.0, 2.0, 3.0])).tolist()
        [1.0, 0.25, 0.125]
    """
    begins = np.cumsum([0.0, *(float(hop.true_time(hop.time)) for hop in hops[:-1])])
    which = np.clip(np.searchsorted(begins, times, side="right") - 1, 0, None)
    found = np.empty(len(times))
    for k in np.unique(which):
        found[which == k] = hops[k].slopes(times[which == k] - begins[k])
    return found / hops[0].steepness


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


@lru_cache(maxsize=32)
def compiled_hops(network: Network, loss: str | PerExampleLoss, krylov: int, most: int) -> Any:
    """The compiled ``(points, inputs, labels, goals, rates) -> Hops``; all but inputs lead with the targets.

    At each hop the loss is taken for the quadratic one that falls as long on its own, see :mod:`.single_mode`, and the
    map for its linearisation: ``θ(t) = θ + ρ Jᵀ (1 − e^{−tμ}) / (h A) r`` with ``A = J diag(ρ) Jᵀ``, μ its rates a
    step. From t, the hitting time, it is halved until the outputs end where the linearisation has them.
    """
    per_example = resolve_loss(loss)
    flow = time_to(per_example)

    def hop(params: Params, inputs: Any, labels: Any, goal: Any, rates: Params) -> tuple[Params, tuple]:
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
            before = shares**2 @ jnp.exp(-2 * rate * middle) > level
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
        steep = sum(rate * jnp.vdot(leaf, leaf) for leaf, rate in pairs) * len(inputs) ** 2
        expected = square * (shares**2 * jnp.exp(-2 * rate * time)) @ nodes
        speed = jnp.sqrt(steep / jnp.maximum(expected, 1e-30))
        return moved, (found.diagonal, found.off_diagonal, square, value, flow_time, time, speed, end)

    def one(params: Params, inputs: Any, labels: Any, goal: Any, rates: Params) -> Hops:
        def going(carry: tuple) -> Any:
            count, _, value, _ = carry
            return (count == 0) | ((count < most) & (value > goal))  # not where it is NaN

        def go(carry: tuple) -> tuple:
            count, params, _, seen = carry
            moved, now = hop(params, inputs, labels, goal, rates)
            seen = jax.tree.map(lambda rows, row: rows.at[count].set(row), seen, now)
            return count + 1, moved, now[-1], seen

        shapes = jax.eval_shape(lambda: hop(params, inputs, labels, goal, rates)[1])
        empty = jax.tree.map(lambda of: jnp.zeros((most, *of.shape), of.dtype), shapes)
        count, _, _, seen = jax.lax.while_loop(going, go, (0, params, goal, empty))
        return Hops(*seen, count)

    def all_targets(points: Params, inputs: Any, labels: Any, goals: Any, rates: Params) -> Hops:
        rows = points, labels, goals, rates
        return jax.lax.map(lambda own: one(own[0], inputs, *own[1:]), rows, batch_size=BATCH)

    return jax.jit(all_targets)


def _residual(per_example: PerExampleLoss, labels: Any) -> Any:
    return lambda outputs: -jax.grad(lambda f: per_example(f, labels).sum())(outputs)
