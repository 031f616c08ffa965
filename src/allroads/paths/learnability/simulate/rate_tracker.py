"""Learning rates of an adaptive optimiser along a path, as its gradient turns."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from allroads.compiled import quickly_compiled
from allroads.explorers.explorer import Explorer, State
from allroads.paths.learnability.simulate.learning_rates import (
    HELD_STEPS,
    constant_like,
    initial_state,
    leaf_sizes,
    mean_learning_rate,
    one_element_leaves,
    rate_of,
    run_on_constant_gradient,
    run_on_linear_loss,
)
from allroads.pfmap.network import Params

STEPS_PER_UPDATE = 16
"""Steps of the explorer from one gradient of the path to the next."""
SMALL_GRADIENT = 1e-4
"""Share of a leaf's mean square below which an element's gradient is too small to determine its own rate."""
LINEAR_TOLERANCE = 0.01
"""Relative deviation from linearity up to which updates count as linear in the gradient."""
MIN_EXPLAINED = 0.5
"""Share of a leaf's squared updates that elementwise rates must explain; noise does not follow a gradient."""


def is_adaptive(explorer: Explorer, params: Params) -> bool:
    """Whether an explorer's updates are not an affine function of the gradient.

    Gradient descent is affine, with momentum or without, and its rates stay constant. Adam and Muon normalise gradients
    and are not. The test uses one number per leaf.

    Example:
        >>> from allroads.explorers.adam import Adam
        >>> from allroads.explorers.sgd import SGD
        >>> params = {"w": jnp.zeros((3, 2))}
        >>> is_adaptive(SGD(momentum=0.9), params), is_adaptive(Adam(), params)
        (False, True)
    """
    leaves, structure = jax.tree.flatten(one_element_leaves(params))
    return _is_adaptive(explorer, structure, tuple((leaf.ndim, leaf.dtype) for leaf in leaves))


@lru_cache(maxsize=32)
def _is_adaptive(explorer: Explorer, structure: Any, kinds: tuple[tuple[int, Any], ...]) -> bool:
    origin = jax.tree.unflatten(structure, [jnp.zeros((1,) * axes, dtype) for axes, dtype in kinds])

    def displacement(size: Any) -> Params:
        gradient = constant_like(origin, size)
        start = initial_state(explorer, origin, gradient, jax.random.key(0))
        return run_on_linear_loss(explorer, start, (gradient, gradient), 0, HELD_STEPS)[0].params

    run = jax.jit(jax.vmap(displacement), compiler_options=quickly_compiled())
    moved = jax.tree.map(np.asarray, run(np.arange(3.0)))
    nonlinear = jax.tree.map(lambda m: abs(m[2] - 2 * m[1] + m[0]) > LINEAR_TOLERANCE * abs(m[1] - m[0]), moved)
    return any(bool(leaf.any()) for leaf in jax.tree.leaves(nonlinear))


class RateTracker(NamedTuple):
    """State of an explorer that has seen the gradients of a path so far.

    Attributes:
        gradient: The last gradient.
        leaf_rates: Learning rates of the leaves under the first gradient.
        first_norm: Norm of the first gradient, ``√(Σ_l ρ_l ‖g_l‖²)``.
        state: State after these gradients.
        scalar_state: State after the norms of these gradients alone, one number per leaf, relative to the first.
        scalar_rate: Rate of ``scalar_state`` under a constant norm of 1.
        steps: Steps taken so far.
    """

    gradient: Params
    leaf_rates: Params
    first_norm: Any
    state: State
    scalar_state: State
    scalar_rate: Any
    steps: Any


def start_rate_tracker(
    explorer: Explorer, params: Params, gradient: Params, leaf_rates: Params, key: Any
) -> RateTracker:
    """The tracker at the start of a path.

    Args:
        explorer: The explorer.
        params: The start.
        gradient: Gradient of the mean loss there, a pytree like ``params``.
        leaf_rates: Rates of the leaves under it, scalars, of :func:`.effective_learning_rates`.
        key: The explorer's random key.
    """
    origin = one_element_leaves(params)
    state = initial_state(explorer, params, gradient, key)
    scalar_state = initial_state(explorer, origin, constant_like(origin, 1.0), key)
    constant = run_on_constant_gradient(explorer, scalar_state, constant_like(origin, 1.0))
    scalar_rate = mean_learning_rate(constant, leaf_sizes(params))
    first_norm = _preconditioned_norm(gradient, leaf_rates)
    return RateTracker(gradient, leaf_rates, first_norm, state, scalar_state, scalar_rate, jnp.zeros((), jnp.int32))


def update_rate_tracker(explorer: Explorer, tracker: RateTracker, gradient: Params) -> tuple[RateTracker, Params]:
    """Effective learning rate ``ρ_i`` of every element when the gradient has moved from the last to this one.

    ``ρ_i = −Σ u_i g_i / Σ g_i²`` over 16 steps on gradients interpolated between the two. Where an element's gradient
    is below a hundredth of its leaf's, the rate is drawn to the leaf's. The effect of the gradient's norm alone is
    divided out: the same explorer on one number per leaf measures it, and :func:`.optimizer_steps` accounts for it.
    What remains is how rates differ within a leaf, and how they change as the gradient turns. A leaf of which
    elementwise rates explain less than half of the squared updates, such as one that noise moves, has one rate.

    Args:
        explorer: The explorer.
        tracker: The tracker.
        gradient: The next gradient.

    Returns:
        The next tracker, and a pytree of rates like the gradients, each ≥ 0. Where the gradient's norm vanishes or is
        not finite, they are the rates of the leaves under the first gradient.

    When it fails: of an update that is not an elementwise multiple of the gradient, only the part along the gradient
    counts. Muon's update is the gradient's orthogonal factor.

    Example:
        Adam moves each element by its learning rate, whatever its gradient:

        >>> from allroads.explorers.adam import Adam
        >>> explorer, g, key = Adam(learning_rate=0.1), jnp.array([1.0, 4.0]), jax.random.key(0)
        >>> from allroads.paths.learnability.simulate.learning_rates import effective_learning_rates
        >>> rates = effective_learning_rates(explorer, jnp.zeros(2), g, key)
        >>> tracker = start_rate_tracker(explorer, jnp.zeros(2), g, rates, key)
        >>> [f"{rate:.3f}" for rate in update_rate_tracker(explorer, tracker, g)[1]]
        ['0.100', '0.025']
    """
    steps = tracker.steps, STEPS_PER_UPDATE
    state, sums = run_on_linear_loss(explorer, tracker.state, (tracker.gradient, gradient), *steps)
    before, after = (
        constant_like(tracker.scalar_state.params, _preconditioned_norm(one, tracker.leaf_rates) / tracker.first_norm)
        for one in (tracker.gradient, gradient)
    )
    scalar_state, scalar_sums = run_on_linear_loss(explorer, tracker.scalar_state, (before, after), *steps)
    norm_effect = mean_learning_rate(scalar_sums, leaf_sizes(gradient)) / tracker.scalar_rate

    def elementwise(descent: Any, squares: Any, update_squares: Any, first: Any) -> Any:
        leaf_rate = rate_of(descent.sum(), squares.sum())
        floor = SMALL_GRADIENT * squares.mean()
        rates = rate_of(descent + floor * leaf_rate, squares + floor)
        explained = (2 * rates * descent - rates**2 * squares).sum() > MIN_EXPLAINED * update_squares.sum()
        found = jnp.where(explained, rates, leaf_rate) / norm_effect
        return jnp.where(jnp.isfinite(found), found, first)

    rates = jax.tree.map(elementwise, *sums, tracker.leaf_rates)
    moved = tracker._replace(
        gradient=gradient, state=state, scalar_state=scalar_state, steps=tracker.steps + STEPS_PER_UPDATE
    )
    return moved, rates


@lru_cache(maxsize=32)
def compiled_rate_tracker(explorer: Explorer) -> tuple[Any, Any]:
    """The compiled start and update of a tracker, over a leading axis of all but the key."""
    options = quickly_compiled()
    start = jax.vmap(lambda *args: start_rate_tracker(explorer, *args), in_axes=(0, 0, 0, None))
    update = jax.vmap(lambda *args: update_rate_tracker(explorer, *args))
    return jax.jit(start, compiler_options=options), jax.jit(update, compiler_options=options)


def _preconditioned_norm(gradient: Params, leaf_rates: Params) -> Any:
    """``√(Σ_l ρ_l ‖g_l‖²)``: norm of a gradient in the explorer's metric."""
    pairs = zip(jax.tree.leaves(gradient), jax.tree.leaves(leaf_rates), strict=True)
    return jnp.sqrt(sum(rate * jnp.vdot(leaf, leaf) for leaf, rate in pairs))
