"""What an explorer makes of gradients: its effective learning rates, read off the explorer itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from allroads.explorers.explorer import Explorer, State, TracedProblem
from allroads.explorers.per_member import member_rule
from allroads.pfmap.network import Params
from allroads.pfmap.objective import Examples

HORIZON = 64
"""Steps for which a gradient is held: longer than the memory of usual momenta, 1/(1 − 0.95) = 20 steps."""


class Moves(NamedTuple):
    """Sums over some steps with gradients g and moves u, each like the parameters: ``−ug``, ``g²``, ``u²``."""

    along: Params
    squares: Params
    moved: Params


@dataclass(frozen=True)
class _LinearLoss:
    """A loss that is linear in the parameters and looks at no data."""

    slope: Params

    def mean(self, params: Params, data: Examples) -> Any:
        pairs = zip(jax.tree.leaves(self.slope), jax.tree.leaves(params), strict=True)
        return sum(jnp.vdot(slope, leaf) for slope, leaf in pairs)


def linear_problem(explorer: Explorer, slope: Params) -> TracedProblem:
    """A problem whose gradient is ``slope`` everywhere, with as many examples as a batch of the explorer takes."""
    nothing = jnp.zeros((explorer.batch_size or 1, 1))
    return TracedProblem(_LinearLoss(slope), Examples(nothing, nothing))


def started(explorer: Explorer, params: Params, slope: Params, key: Any) -> State:
    """The explorer's state of one member at the start of a linear loss."""
    return member_rule(explorer).init(key, params, linear_problem(explorer, slope))


def moves(
    explorer: Explorer, state: State, before: Params, after: Params, index: Any, steps: int
) -> tuple[State, Moves]:
    """Run an explorer on a linear loss whose gradient goes from one to another: its state, and how it moved.

    Nothing is asked of it but its step, so one that nobody has seen before is read as any other is. It costs no
    evaluation of a network.

    Args:
        explorer: The explorer.
        state: Its state.
        before: Gradient half a step before the first.
        after: Half a step after the last.
        index: Of the first step.
        steps: Their number.
    """
    rule = member_rule(explorer)

    def step(k: Any, carry: tuple) -> tuple:
        state, sums = carry
        share = (k + 0.5) / steps
        gradient = jax.tree.map(lambda a, b: (1 - share) * a + share * b, before, after)
        new, _ = rule.step(state, linear_problem(explorer, gradient), index + k)
        move = jax.tree.map(jnp.subtract, new.params, state.params)
        parts = Moves(
            jax.tree.map(lambda u, g: -u * g, move, gradient),
            jax.tree.map(jnp.square, gradient),
            jax.tree.map(jnp.square, move),
        )
        return new, jax.tree.map(jnp.add, sums, parts)

    zeros = jax.tree.map(jnp.zeros_like, before)
    return jax.lax.fori_loop(0, steps, step, (state, Moves(zeros, zeros, zeros)))


def held(explorer: Explorer, start: State, gradient: Params) -> Moves:
    """How an explorer moves over the second half of 64 steps on one gradient, from its first step on."""
    half = HORIZON // 2
    state, _ = moves(explorer, start, gradient, gradient, 0, half)
    return moves(explorer, state, gradient, gradient, half, HORIZON - half)[1]


def response(explorer: Explorer, params: Params, gradient: Params, key: Any) -> Params:
    """Effective learning rate of each leaf, ``ρ_l = −⟨g_l, v_l⟩ / ‖g_l‖²`` with v the mean move a step.

    The gradient is held; the mean is over the second half of 64 steps. How the explorer goes on when gradients turn is
    told by :mod:`.reading`, when they fall by :func:`~allroads.paths.learnability.pace.own_steps`.

    Args:
        explorer: The explorer.
        params: Where it starts.
        gradient: The gradient that it sees, a pytree like ``params``.
        key: Its random key.

    Returns:
        A pytree of scalars. A leaf without a gradient is shown ones.

    When it fails: what depends on the gradient's noise is not seen.

    Example:
        Gradient descent answers with its learning rate:

        >>> from allroads.explorers.gd import GD
        >>> round(float(response(GD(learning_rate=0.25), jnp.zeros(2), jnp.array([1.0, 3.0]), jax.random.key(0))), 4)
        0.25
    """
    gradient = jax.tree.map(lambda leaf: jnp.where((leaf != 0).any(), leaf, 1.0), gradient)
    start = started(explorer, params, gradient, key)
    seen = held(explorer, start, gradient)
    return jax.tree.map(lambda a, b: ratio(a.sum(), b.sum()), seen.along, seen.squares)


@lru_cache(maxsize=32)
def compiled_response(explorer: Explorer) -> Any:
    """The compiled ``response(params, gradients, key)`` over a leading axis of the first two."""
    run = jax.vmap(lambda params, slope, key: response(explorer, params, slope, key), in_axes=(0, 0, None))
    return jax.jit(run)


def ratio(along: Any, squares: Any) -> Any:
    """Σ −ug / Σ g², at least 0."""
    return jnp.maximum(along / jnp.maximum(squares, 1e-30), 0.0)


def numbers(params: Params) -> Params:
    """A zero for every leaf, of as many axes: explorers may tell matrices from vectors."""
    return jax.tree.map(lambda leaf: jnp.zeros((1,) * leaf.ndim, leaf.dtype), params)


def filled(params: Params, value: Any) -> Params:
    """One value everywhere."""
    return jax.tree.map(lambda leaf: jnp.full_like(leaf, value), params)


def mean_rate(seen: Moves, sizes: Sequence[int]) -> Any:
    """Effective learning rate over all elements of leaves of some sizes, each told by one number."""
    along, squares = (
        sum(n * leaf.sum() for n, leaf in zip(sizes, jax.tree.leaves(part), strict=True)) for part in seen[:2]
    )
    return ratio(along, squares)
