"""Moves of many particles inside a set, which keep the reference measure inside it."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from allroads.points.volume import flights
from allroads.points.volume.level import Height, Slope

ATTEMPTS = 5
FIRST_TRY = 0.35
"""Share of moves in narrow brackets whose first attempt should be accepted; their width is adapted to it."""
FEWEST = 4
"""Sweeps after each level, at least: what lies in the tails must come back before it is multiplied again."""
DECORRELATED = 0.6
"""Sweeps end when the ranks of the heights are less correlated than 1 minus this, too: flights hardly change them."""
WIDEST = 2.0
"""Log of the widest bracket, in differences of two particles: half are drawn between narrow and this."""


class Particles(NamedTuple):
    """A population inside the set.

    Args:
        offsets: ``[R, N, d]``, parameters minus the point's: R replicas of N particles.
        heights: ``[R, N]``.
        log_shapes: ``[R, N]``, log-density of the reference measure, prior factor included.
        ancestors: ``[R, N]``, which of the first N particles each one descends from.
    """

    offsets: Any
    heights: Any
    log_shapes: Any
    ancestors: Any


Moves = Callable[[Any, Particles, Any, Any, Any, int, float, Any], tuple[Particles, Any, dict[str, Any]]]


def cost(connected: bool) -> int:
    """Evaluations of the height for one particle in one sweep."""
    return ATTEMPTS + connected * (1 + flights.STEPS * flights.COST)


def first_sizes(dimension: int) -> Any:
    """Logs of the width of a line's bracket and of a flight's step, to begin with."""
    return jnp.log(jnp.array([3.0, min(0.5, 2 / dimension**0.5)]))


@lru_cache(maxsize=64)
def compiled_moves(height: Height, slope: Slope, log_shape: Height, connected: bool) -> Moves:
    """``moves(key, particles, level, tether, log_sizes, sweeps, renewal, data) -> particles, log_sizes, diagnostics``.

    Sweeps of slice sampling on random lines inside ``{height ≤ level}`` under the density
    ``exp(log_shape − ½ τ |offset|²)``. The line of a particle runs along the difference of two particles of the *other
    half* of its replica, so the directions and lengths of the moves are those of the set, whatever its shape under
    linear maps; in half of the moves the difference is kept only in a random subset of the parameters, of any size,
    which reaches what lies outside of the span of the particles. On the line, a bracket of random width is laid
    at random around the particle and shrunk towards it after every miss (at most 5): the density stays invariant.

    In a basin, each sweep of a half ends with a flight, see
    :func:`~allroads.points.volume.flights.reflected_flight`. The width of the brackets and the step of the flights,
    ``log_sizes``, are adapted on the way.

    Args:
        height: ``height(offsets [n, d], data)``.
        slope: The same with its gradient.
        log_shape: ``log_shape(offsets, data)``.
        connected: In a basin: take flights, and refuse a move whose half way lies outside, so that gaps between parts
            are not crossed.
    """

    def density(offsets: Any, tether: Any, data: Any) -> tuple[Any, Any]:
        shapes = log_shape(offsets, data)
        return shapes, shapes - 0.5 * tether * (offsets**2).sum(-1)

    def heights_of(offsets: Any, data: Any) -> Any:
        return height(offsets.reshape(-1, offsets.shape[-1]), data).reshape(offsets.shape[:-1])

    def half_sweep(
        key: Any, moving: Particles, others: Any, level: Any, tether: Any, log_width: Any, data: Any
    ) -> tuple[Particles, Any, Any]:
        keys = jax.random.split(key, 5 + ATTEMPTS)
        start, old_height, old_shape = moving.offsets, moving.heights, moving.log_shapes
        lines = _directions(keys[0], start.shape, others)
        shape = old_height.shape
        threshold = density(start, tether, data)[1] + jnp.log(jax.random.uniform(keys[1], shape, minval=1e-300))
        narrow = jax.random.bernoulli(keys[3], 0.5, shape)
        wider = jax.random.uniform(keys[4], shape) * jnp.maximum(WIDEST - log_width, 0.0)
        width = jnp.exp(log_width + jnp.where(narrow, 0.0, wider))
        low = -width * jax.random.uniform(keys[2], shape)
        high = low + width
        state = (start, old_height, old_shape, jnp.zeros(shape, bool))

        def attempt(carry: Any, key: Any) -> tuple[Any, Any]:
            low, high, (place, at, shapes, done) = carry
            t = low + (high - low) * jax.random.uniform(key, shape)
            new = start + t[..., None] * lines
            new_height, (new_shape, new_density) = heights_of(new, data), density(new, tether, data)
            inside = (new_height <= level) & (new_density >= threshold)
            take = inside & ~done
            state = (
                jnp.where(take[..., None], new, place),
                jnp.where(take, new_height, at),
                jnp.where(take, new_shape, shapes),
                done | inside,
            )
            return (jnp.where(t < 0, t, low), jnp.where(t > 0, t, high), state), (take & narrow).sum() / narrow.sum()

        (_, _, (place, at, shapes, done)), taken = jax.lax.scan(attempt, (low, high, state), keys[5:])
        moved = Particles(place, at, shapes, moving.ancestors)
        if connected:
            joined = heights_of((start + place) / 2, data) <= level
            moved = jax.tree.map(lambda new, old: jnp.where(_like(joined, new), new, old), moved, moving)
            done &= joined
        return moved, taken[0], done.mean()

    def sloped(offsets: Any, data: Any) -> tuple[Any, Any]:
        heights, slopes = slope(offsets.reshape(-1, offsets.shape[-1]), data)
        return heights.reshape(offsets.shape[:-1]), slopes.reshape(offsets.shape)

    def flight(
        key: Any, moving: Particles, others: Any, level: Any, tether: Any, log_step: Any, data: Any
    ) -> tuple[Particles, Any]:
        (place, at, _), taken = flights.reflected_flight(
            key,
            (moving.offsets, moving.heights, density(moving.offsets, tether, data)[1]),
            jnp.maximum(others.std(1, keepdims=True), 1e-300),
            log_step,
            inside=lambda heights: heights <= level,
            looks=lambda offsets: (heights_of(offsets, data), density(offsets, tether, data)[1]),
            slope=lambda offsets: sloped(offsets, data),
        )
        return Particles(place, at, log_shape(place, data), moving.ancestors), taken

    def sweep(
        key: Any, particles: Particles, level: Any, tether: Any, log_sizes: Any, data: Any
    ) -> tuple[Particles, Any, Any]:
        def halved(leaf: Any) -> Any:
            return leaf.reshape(leaf.shape[0], 2, -1, *leaf.shape[2:]).swapaxes(0, 1)

        def one_half(halves: Particles, key: Any) -> tuple[Particles, Any]:
            moving, others = (jax.tree.map(lambda leaf, i=i: leaf[i], halves) for i in (0, 1))
            moving, first, done = half_sweep(key, moving, others.offsets, level, tether, log_sizes[0], data)
            flown = flights.ACCEPTED
            if connected:
                key = jax.random.fold_in(key, 0)
                moving, flown = flight(key, moving, others.offsets, level, tether, log_sizes[1], data)
            excess = jnp.stack([first - FIRST_TRY, flown - flights.ACCEPTED])
            return jax.tree.map(lambda *leaves: jnp.stack(leaves), others, moving), (excess, done)

        halves, rates = jax.lax.scan(one_half, jax.tree.map(halved, particles), jax.random.split(key))
        excess, done = (rate.mean(0) for rate in rates)
        moved = jax.tree.map(lambda leaf, old: leaf.swapaxes(0, 1).reshape(old.shape), halves, particles)
        return moved, jnp.minimum(log_sizes + excess, jnp.array([jnp.inf, 0.0])), done

    @jax.jit
    def moves(
        key: Any,
        particles: Particles,
        level: Any,
        tether: Any,
        log_sizes: Any,
        sweeps: int,
        renewal: float,
        data: Any,
    ) -> tuple[Particles, Any, dict[str, Any]]:
        start, ranks = particles.offsets, _ranks(particles.heights)
        spread = jnp.maximum(2 * start.var(1), 1e-300)

        def renewed(now: Any) -> Any:
            return (((now - start) ** 2).mean(1) / spread).mean(0).min()

        def decorrelated(now: Any) -> Any:
            correlation = jnp.corrcoef(ranks, _ranks(now))[0, 1]
            return jnp.where(jnp.isnan(correlation), 1.0, 1 - correlation)  # heights all equal say nothing

        def more(carry: Any) -> Any:
            done, _, now, _, _ = carry
            fresh = (renewed(now.offsets) >= renewal) & (decorrelated(now.heights) >= DECORRELATED)
            return (done < sweeps) & ((done < FEWEST) | ~fresh)

        def step(carry: Any) -> Any:
            done, key, now, log_sizes, moved = carry
            key, used = jax.random.split(key)
            now, log_sizes, moved_now = sweep(used, now, level, tether, log_sizes, data)
            return done + 1, key, now, log_sizes, moved + moved_now

        done, _, now, log_sizes, moved = jax.lax.while_loop(more, step, (0, key, particles, log_sizes, 0.0))
        diagnostics = {
            "decorrelation": decorrelated(now.heights),
            "sweeps": done,
            "acceptance": moved / jnp.maximum(done, 1),
            "renewal": renewed(now.offsets),
        }
        return now, log_sizes, diagnostics

    return moves


def _ranks(heights: Any) -> Any:
    """Ranks of the heights; equal ones share the middle of theirs."""
    flat = heights.ravel()
    ordered = jnp.sort(flat)
    below, up_to = (jnp.searchsorted(ordered, flat, side=side) for side in ("left", "right"))
    return below + up_to


def _like(flags: Any, leaf: Any) -> Any:
    return flags.reshape(flags.shape + (1,) * (leaf.ndim - flags.ndim))


def _directions(key: Any, shape: tuple[int, ...], others: Any) -> Any:
    """Differences of two of the others ``[R, M, d]`` for each of ``[R, N]`` particles, half of them in some parameters.

    They are divided by the root of the number of parameters kept: what can be walked along a random direction inside a
    set in n dimensions is by that less than the set's size.
    """
    replicas, count, dimension = shape
    keys = jax.random.split(key, 6)
    first = jax.random.randint(keys[0], (replicas, count), 0, others.shape[1])
    second = (first + jax.random.randint(keys[1], (replicas, count), 1, others.shape[1])) % others.shape[1]
    differences = jnp.take_along_axis(others, first[..., None], 1) - jnp.take_along_axis(others, second[..., None], 1)
    share = dimension ** -jax.random.uniform(keys[2], (replicas, count, 1))
    whole = jax.random.bernoulli(keys[3], 0.5, (replicas, count, 1))
    one = jax.nn.one_hot(jax.random.randint(keys[4], (replicas, count), 0, dimension), dimension, dtype=bool)
    kept = whole | one | (jax.random.uniform(keys[5], shape) < share)
    return differences * kept / jnp.sqrt(kept.sum(-1, keepdims=True))
