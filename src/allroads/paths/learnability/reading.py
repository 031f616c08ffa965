"""How an explorer's effective learning rates change on a way, as the gradient turns."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from allroads.explorers.explorer import Explorer, State
from allroads.paths.learnability.response import HORIZON, Moves, moves, ratio
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
        >>> from allroads.explorers.adam import adam
        >>> from allroads.explorers.sgd import sgd
        >>> params = {"w": jnp.zeros((3, 2))}
        >>> rescales(sgd(momentum=0.9), params), rescales(adam(), params)
        (False, True)
    """
    leaves, structure = jax.tree.flatten(_numbers(params))
    return _rescales(explorer, structure, tuple((leaf.ndim, leaf.dtype) for leaf in leaves))


@lru_cache(maxsize=32)
def _rescales(explorer: Explorer, structure: Any, kinds: tuple[tuple[int, Any], ...]) -> bool:
    numbers = jax.tree.unflatten(structure, [jnp.zeros((1,) * axes, dtype) for axes, dtype in kinds])

    def gone(size: Any) -> Params:
        slope = jax.tree.map(lambda leaf: jnp.full_like(leaf, size), numbers)
        start = explorer.init(numbers, jax.random.key(0), explorer.batch_size or 1)
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
    """A reading at a point, from the gradient there and the rates of the leaves under it."""
    examples, half = explorer.batch_size or 1, HORIZON // 2
    numbers = _numbers(params)
    ones = jax.tree.map(jnp.ones_like, numbers)
    alone = explorer.init(numbers, key, examples)
    later, _ = moves(explorer, alone, ones, ones, 0, half)
    _, seen = moves(explorer, later, ones, ones, half, HORIZON - half)
    state, steps = explorer.init(params, key, examples), jnp.zeros((), jnp.int32)
    return Reading(gradient, rates, _length(gradient, rates), state, alone, _mean_rate(seen, params), steps)


def turned(explorer: Explorer, reading: Reading, gradient: Params) -> tuple[Reading, Params]:
    """Effective learning rate of every element when the gradient has gone from the last to this one, ``ρ_i``.

    ``ρ_i = −Σ u_i g_i / Σ g_i²`` over 16 steps on the way between them, drawn to the leaf's own where the gradient is
    below a hundredth of the leaf's. What its length alone changes is taken out, by the same explorer on one number a
    leaf, as :func:`~allroads.paths.learnability.pace.own_steps` counts it: left is how rates differ within a leaf, and
    how they change as the gradient turns. A leaf whose moves are not explained so by half, as a sampler's, has one.

    Args:
        explorer: The explorer.
        reading: Where it stands.
        gradient: The next gradient.

    Returns:
        The next reading, and a pytree of rates like the gradients.

    Example:
        Adam moves each element by its learning rate, however steep it is there:

        >>> from allroads.explorers.adam import adam
        >>> from allroads.paths.learnability.response import response
        >>> explorer, g, key = adam(learning_rate=0.1), jnp.array([1.0, 4.0]), jax.random.key(0)
        >>> start = begun(explorer, jnp.zeros(2), g, response(explorer, jnp.zeros(2), g, key), key)
        >>> [f"{rate:.3f}" for rate in turned(explorer, start, g)[1]]
        ['0.100', '0.025']
    """
    args = reading.steps, STRIDE
    state, seen = moves(explorer, reading.state, reading.gradient, gradient, *args)
    ends = (_length(one, reading.rates) / reading.length for one in (reading.gradient, gradient))
    lengths = (jax.tree.map(lambda leaf, to=end: jnp.full_like(leaf, to), reading.alone.params) for end in ends)
    alone, told = moves(explorer, reading.alone, *lengths, *args)
    pace = _mean_rate(told, gradient) / reading.unit

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


def _numbers(params: Params) -> Params:
    """One number a leaf, of as many axes: explorers may tell matrices from vectors."""
    return jax.tree.map(lambda leaf: jnp.zeros((1,) * leaf.ndim, leaf.dtype), params)


def _length(gradient: Params, rates: Params) -> Any:
    pairs = zip(jax.tree.leaves(gradient), jax.tree.leaves(rates), strict=True)
    return jnp.sqrt(sum(rate * jnp.vdot(leaf, leaf) for leaf, rate in pairs))


def _mean_rate(seen: Moves, params: Params) -> Any:
    """Over all elements of ``params``, from sums of one number a leaf."""
    sizes = [leaf.size for leaf in jax.tree.leaves(params)]
    sums = (sum(n * leaf.sum() for n, leaf in zip(sizes, jax.tree.leaves(part), strict=True)) for part in seen[:2])
    return ratio(*sums)
