"""Effective learning rates of an optimiser, measured from its own steps on linear losses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from allroads.compiled import quickly_compiled
from allroads.explorers.explorer import Explorer, State, TracedProblem
from allroads.explorers.per_member import member_rule
from allroads.pfmap.network import Params
from allroads.pfmap.objective import Examples

HELD_STEPS = 64
"""Steps on a constant gradient: longer than the memory of usual momenta, 1/(1 − 0.95) = 20 steps."""


class UpdateSums(NamedTuple):
    """Elementwise sums over some steps with gradients g and updates u, each a pytree like the parameters.

    Attributes:
        descent: Sum of ``−u g``.
        gradient_squares: Sum of ``g²``.
        update_squares: Sum of ``u²``.
    """

    descent: Params
    gradient_squares: Params
    update_squares: Params


@dataclass(frozen=True)
class _LinearLoss:
    """A loss that is linear in the parameters and looks at no data."""

    gradient: Params

    def mean(self, params: Params, data: Examples) -> Any:
        pairs = zip(jax.tree.leaves(self.gradient), jax.tree.leaves(params), strict=True)
        return sum(jnp.vdot(slope, leaf) for slope, leaf in pairs)


def linear_problem(explorer: Explorer, gradient: Params) -> TracedProblem:
    """A problem of constant gradient, with as many examples as a batch of the explorer takes; the loss ignores them."""
    placeholder = jnp.zeros((explorer.batch_size or 1, 1))
    return TracedProblem(_LinearLoss(gradient), Examples(placeholder, placeholder))


def initial_state(explorer: Explorer, params: Params, gradient: Params, key: Any) -> State:
    """State of one member of an explorer at the start of a linear loss."""
    return member_rule(explorer).init(key, params, linear_problem(explorer, gradient))


def run_on_linear_loss(
    explorer: Explorer, state: State, gradients: tuple[Params, Params], index: Any, steps: int, passed: int = 0
) -> tuple[State, UpdateSums]:
    """Run an explorer on a linear loss whose gradient moves linearly from one value to another.

    The explorer is asked for its steps alone, so an unknown one is measured like any other. No network is evaluated.

    Args:
        explorer: The explorer.
        state: Its state.
        gradients: The gradient half a step before the first step, and half a step after the last.
        index: Index of the first step.
        steps: Number of steps.
        passed: First steps that the sums leave out.

    Returns:
        The explorer's state, and sums over its updates.
    """
    rule, (before, after) = member_rule(explorer), gradients

    def step(k: Any, carry: tuple[State, UpdateSums]) -> tuple[State, UpdateSums]:
        state, sums = carry
        share = (k + 0.5) / steps
        gradient = jax.tree.map(lambda a, b: (1 - share) * a + share * b, before, after)
        new, _ = rule.step(state, linear_problem(explorer, gradient), index + k)
        update = jax.tree.map(jnp.subtract, new.params, state.params)
        terms = UpdateSums(
            jax.tree.map(lambda u, g: -u * g, update, gradient),
            jax.tree.map(jnp.square, gradient),
            jax.tree.map(jnp.square, update),
        )
        return new, jax.tree.map(lambda total, term: total + jnp.where(k >= passed, term, 0), sums, terms)

    zeros = jax.tree.map(jnp.zeros_like, before)
    end: tuple[State, UpdateSums] = jax.lax.fori_loop(0, steps, step, (state, UpdateSums(zeros, zeros, zeros)))
    return end


def run_on_constant_gradient(explorer: Explorer, start: State, gradient: Params) -> UpdateSums:
    """Sums over the second half of 64 steps on one gradient, counted from the explorer's first step."""
    return run_on_linear_loss(explorer, start, (gradient, gradient), 0, HELD_STEPS, HELD_STEPS // 2)[1]


def effective_learning_rates(explorer: Explorer, params: Params, gradient: Params, key: Any) -> Params:
    """Effective learning rate of each leaf, ``ρ_l = −⟨g_l, u_l⟩ / ‖g_l‖²`` with u the mean update per step.

    The gradient is constant; the mean is over the second half of 64 steps. Rates under gradients that turn are those
    of :mod:`.rate_tracker`, under gradients that shrink those of :func:`.optimizer_steps`.

    Args:
        explorer: The explorer.
        params: Its start.
        gradient: The constant gradient, a pytree like ``params``. A leaf whose gradient is zero is given ones.
        key: The explorer's random key.

    Returns:
        A pytree of scalars.

    When it fails: updates that depend on the noise of the gradient are not measured.

    Example:
        The rate of gradient descent is its learning rate:

        >>> from allroads.explorers.gd import GD
        >>> explorer, gradient = GD(learning_rate=0.25), jnp.array([1.0, 3.0])
        >>> rate = effective_learning_rates(explorer, jnp.zeros(2), gradient, jax.random.key(0))
        >>> round(float(rate), 4)
        0.25
    """
    gradient = jax.tree.map(lambda leaf: jnp.where((leaf != 0).any(), leaf, 1.0), gradient)
    start = initial_state(explorer, params, gradient, key)
    sums = run_on_constant_gradient(explorer, start, gradient)
    return jax.tree.map(lambda a, b: rate_of(a.sum(), b.sum()), sums.descent, sums.gradient_squares)


@lru_cache(maxsize=32)
def compiled_learning_rates(explorer: Explorer) -> Any:
    """The compiled ``(params, gradients, key) -> rates`` over a leading axis of the first two."""
    run = jax.vmap(
        lambda params, gradient, key: effective_learning_rates(explorer, params, gradient, key), in_axes=(0, 0, None)
    )
    return jax.jit(run, compiler_options=quickly_compiled())


def rate_of(descent: Any, gradient_squares: Any) -> Any:
    """Learning rate ``Σ −ug / Σ g²``, at least 0."""
    return jnp.maximum(descent / jnp.maximum(gradient_squares, 1e-30), 0.0)


def mean_learning_rate(sums: UpdateSums, sizes: Sequence[int]) -> Any:
    """Learning rate over all elements of leaves of given sizes, each leaf represented by one number."""
    descent, squares = (
        sum(n * leaf.sum() for n, leaf in zip(sizes, jax.tree.leaves(part), strict=True)) for part in sums[:2]
    )
    return rate_of(descent, squares)


def one_element_leaves(params: Params) -> Params:
    """A zero for every leaf, with as many axes as the leaf: explorers may treat matrices and vectors differently."""
    return jax.tree.map(lambda leaf: jnp.zeros((1,) * leaf.ndim, leaf.dtype), params)


def constant_like(params: Params, value: Any) -> Params:
    """A pytree like the parameters with one value everywhere."""
    return jax.tree.map(lambda leaf: jnp.full_like(leaf, value), params)


def leaf_sizes(params: Params) -> list[int]:
    """Number of elements of every leaf."""
    return [leaf.size for leaf in jax.tree.leaves(params)]
