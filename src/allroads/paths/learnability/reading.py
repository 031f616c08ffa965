"""How an explorer's effective learning rates change on a way, as the gradient turns."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from allroads.explorers.explorer import Explorer, State
from allroads.paths.learnability.response import HORIZON, filled, held, mean_rate, moves, numbers, ratio, started
from allroads.pfmap.network import Params

STRIDE = 16
"""Steps from one gradient on a way to the next."""
FAINT = 1e-4
"""Share of a leaf's mean square below which an element's gradient is too small to tell its own rate."""
LINEAR = 0.01
"""Share of a move by which it may differ from twice that of half the gradient where moves count as linear."""
EXPLAINED = 0.5
"""Share of the moves of a leaf that elements' own rates must explain; noise does not follow a gradient."""


def rescales(explorer: Explorer, params: Params) -> bool:
    """Whether moves are not linear in gradients, up to what they are without any.

    Where they are (gradient descent, with momentum or without), the rates of the leaves stay what they are at the first
    gradient; Adam and Muon rescale. Told from one number a leaf.

    Example:
        >>> from allroads.explorers.adam import Adam
        >>> from allroads.explorers.sgd import SGD
        >>> params = {"w": jnp.zeros((3, 2))}
        >>> rescales(SGD(momentum=0.9), params), rescales(Adam(), params)
        (False, True)
    """
    leaves, structure = jax.tree.flatten(numbers(params))
    return _rescales(explorer, structure, tuple((leaf.ndim, leaf.dtype) for leaf in leaves))


@lru_cache(maxsize=32)
def _rescales(explorer: Explorer, structure: Any, kinds: tuple[tuple[int, Any], ...]) -> bool:
    origin = jax.tree.unflatten(structure, [jnp.zeros((1,) * axes, dtype) for axes, dtype in kinds])

    def gone(size: Any) -> Params:
        slope = filled(origin, size)
        start = started(explorer, origin, slope, jax.random.key(0))
        return moves(explorer, start, slope, slope, 0, HORIZON)[0].params

    moved = jax.jit(jax.vmap(gone))(jnp.arange(3.0))
    off = jax.tree.map(lambda m: abs(m[2] - 2 * m[1] + m[0]) > LINEAR * abs(m[1] - m[0]), moved)
    return any(bool(leaf.any()) for leaf in jax.tree.leaves(off))


class Reading(NamedTuple):
    """An explorer on a way: its state after the gradients seen there, and after their lengths alone.

    Attributes:
        gradient: The last.
        rates: Of the leaves at the first.
        length: Of the first, ``√(Σ_l ρ_l ‖g_l‖²)``.
        state: On the gradients.
        alone: On one number a leaf, the length as a share of the first.
        unit: Rate of ``alone`` where that stays 1.
        steps: Taken so far.
    """

    gradient: Params
    rates: Params
    length: Any
    state: State
    alone: State
    unit: Any
    steps: Any


def begun(explorer: Explorer, params: Params, gradient: Params, rates: Params, key: Any) -> Reading:
    """A reading at the start of a way.

    Args:
        explorer: The explorer.
        params: The start.
        gradient: Of the mean loss there, a pytree like ``params``.
        rates: Of the leaves under it, scalars, of :func:`~allroads.paths.learnability.response.response`.
        key: The explorer's.
    """
    origin = numbers(params)
    state, alone = started(explorer, params, gradient, key), started(explorer, origin, filled(origin, 1.0), key)
    unit = mean_rate(held(explorer, alone, filled(origin, 1.0)), _sizes(params))
    return Reading(gradient, rates, _length(gradient, rates), state, alone, unit, jnp.zeros((), jnp.int32))


def turned(explorer: Explorer, reading: Reading, gradient: Params) -> tuple[Reading, Params]:
    """Effective learning rate of every element when the gradient has gone from the last to this one, ``ρ_i``.

    ``ρ_i = −Σ u_i g_i / Σ g_i²`` over 16 steps on the way between them, drawn to the leaf's own where the gradient is
    below a hundredth of the leaf's. What its length alone changes is taken out, by the same explorer on one number a
    leaf, as :func:`~allroads.paths.learnability.pace.own_steps` counts it: left is how rates differ within a leaf, and
    how they change as the gradient turns. A leaf whose moves are not explained so by half, as noise is not, has one.

    Args:
        explorer: The explorer.
        reading: Where it stands.
        gradient: The next gradient.

    Returns:
        The next reading, and a pytree of rates like the gradients, each ≥ 0. Where the gradient's length vanishes or is
        not finite, those of the leaves at the first.

    When it fails: a move that is no multiple of the gradient, element by element, is known by its part along it: Muon's
    is the gradient's orthogonal factor.

    Example:
        Adam moves each element by its learning rate, however steep it is there:

        >>> from allroads.explorers.adam import Adam
        >>> from allroads.paths.learnability.response import response
        >>> explorer, g, key = Adam(learning_rate=0.1), jnp.array([1.0, 4.0]), jax.random.key(0)
        >>> start = begun(explorer, jnp.zeros(2), g, response(explorer, jnp.zeros(2), g, key), key)
        >>> [f"{rate:.3f}" for rate in turned(explorer, start, g)[1]]
        ['0.100', '0.025']
    """
    args = reading.steps, STRIDE
    state, seen = moves(explorer, reading.state, reading.gradient, gradient, *args)
    ends = (_length(one, reading.rates) / reading.length for one in (reading.gradient, gradient))
    alone, told = moves(explorer, reading.alone, *(filled(reading.alone.params, end) for end in ends), *args)
    pace = mean_rate(told, _sizes(gradient)) / reading.unit

    def own(along: Any, squares: Any, moved: Any, first: Any) -> Any:
        whole = ratio(along.sum(), squares.sum())
        faint = FAINT * squares.mean()
        rates = ratio(along + faint * whole, squares + faint)
        explained = (2 * rates * along - rates**2 * squares).sum() > EXPLAINED * moved.sum()
        found = jnp.where(explained, rates, whole) / pace
        return jnp.where(jnp.isfinite(found), found, first)

    rates = jax.tree.map(own, *seen, reading.rates)
    return reading._replace(gradient=gradient, state=state, alone=alone, steps=reading.steps + STRIDE), rates


@lru_cache(maxsize=32)
def compiled_reading(explorer: Explorer) -> tuple[Any, Any]:
    """The compiled :func:`begun` and :func:`turned` over a leading axis of all but the key."""
    begin = jax.vmap(lambda *args: begun(explorer, *args), in_axes=(0, 0, 0, None))
    return jax.jit(begin), jax.jit(jax.vmap(lambda *args: turned(explorer, *args)))


def _sizes(params: Params) -> list[int]:
    return [leaf.size for leaf in jax.tree.leaves(params)]


def _length(gradient: Params, rates: Params) -> Any:
    """``√(Σ_l ρ_l ‖g_l‖²)``: in the explorer's metric."""
    pairs = zip(jax.tree.leaves(gradient), jax.tree.leaves(rates), strict=True)
    return jnp.sqrt(sum(rate * jnp.vdot(leaf, leaf) for leaf, rate in pairs))
