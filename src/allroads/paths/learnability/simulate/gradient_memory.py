"""Gradient memory of an optimiser (momentum), and the bound that it sets to decay."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.compiled import quickly_compiled
from allroads.explorers.explorer import Explorer, State
from allroads.explorers.per_member import member_rule
from allroads.paths.learnability.simulate.learning_rates import initial_state, linear_problem
from allroads.pfmap.network import Params

_WARM_UP, _RESPONSE = 128, 256
"""Steps on a constant gradient before one gradient is changed, and steps in which the response is recorded."""
_CORNER = 4
"""Largest number of elements that represent a leaf along each axis."""
_NEGLIGIBLE = 0.05
"""Mean age of gradients, in steps, up to which an optimiser counts as having no memory."""


def gradient_memory(explorer: Explorer, params: Params) -> float:
    """Gradient memory μ of an explorer, in [0, 1): its updates weigh a gradient that is k steps old by ``μ^k``.

    The explorer runs twice on a constant gradient. In the second run a quarter of the elements change sign for one
    step, which keeps their squares. The difference of the updates is the impulse response. The memory is that of the
    exponential average whose gradients have the same mean age a, ``μ = a / (1 + a)``.

    Args:
        explorer: The explorer.
        params: A point, for the shapes of the leaves.

    Returns:
        μ; 0 where the mean age is below 0.05 steps.

    When it fails: a response that is no positive multiple of the change, such as that of an orthogonalised matrix, has
    memory 0. Memories beyond 0.98 are underestimated, since the response is cut off after 256 steps.

    Example:
        Adam averages gradients by ``beta1``:

        >>> from allroads.explorers.adam import Adam
        >>> from allroads.explorers.gd import GD
        >>> params = {"w": np.zeros((3, 2))}
        >>> round(gradient_memory(Adam(beta1=0.9), params), 3), gradient_memory(GD(), params)
        (0.9, 0.0)
    """
    leaves, structure = jax.tree.flatten(params)
    return _gradient_memory(explorer, structure, tuple(tuple(min(n, _CORNER) for n in np.shape(x)) for x in leaves))


@lru_cache(maxsize=32)
def _gradient_memory(explorer: Explorer, structure: Any, shapes: tuple[tuple[int, ...], ...]) -> float:
    rule, rng = member_rule(explorer), np.random.default_rng(0)
    slopes = [rng.uniform(1.0, 2.0, shape).astype(np.float32) for shape in shapes]
    flips = [rng.permuted(np.arange(leaf.size) % 4 == 0).reshape(leaf.shape) for leaf in slopes]
    plain = jax.tree.unflatten(structure, [jnp.asarray(leaf) for leaf in slopes])
    change = jax.tree.unflatten(
        structure, [jnp.asarray(2 * leaf * flip) for leaf, flip in zip(slopes, flips, strict=True)]
    )

    def moves_along_change(flipped: Any) -> Any:
        def step(state: State, index: Any) -> tuple[State, Any]:
            size = flipped * (index == _WARM_UP)
            gradient = jax.tree.map(lambda g, d: g - size * d, plain, change)
            new, _ = rule.step(state, linear_problem(explorer, gradient), index)
            moved = jax.tree.map(lambda a, b, d: jnp.vdot(a - b, d), new.params, state.params, change)
            return new, sum(jax.tree.leaves(moved))

        start = initial_state(explorer, jax.tree.map(jnp.zeros_like, plain), plain, jax.random.key(0))
        return jax.lax.scan(step, start, jnp.arange(_WARM_UP + _RESPONSE))[1][_WARM_UP:]

    run = jax.jit(jax.vmap(moves_along_change), compiler_options=quickly_compiled())
    without, with_change = np.asarray(run(np.arange(2.0)), np.float64)
    response = with_change - without
    if not response.sum() > 0:
        return 0.0
    age = float(response @ np.arange(_RESPONSE) / response.sum())
    return age / (1 + age) if age > _NEGLIGIBLE else 0.0


def momentum_at(memory: Any, step: Any) -> Any:
    """Momentum ``μ_t = 1 − (1 − μ)/(1 − μ^t)``: weight of the earlier gradients in the average at step t, from 1 on.

    The average is ``Σ_k μ^k g_{t−k} / Σ_k μ^k`` over the t gradients so far.

    Example:
        The first average is the first gradient, the second weighs it by μ/(1 + μ):

        >>> [f"{momentum:.4f}" for momentum in momentum_at(0.5, jnp.array([1.0, 2.0, 100.0]))]
        ['0.0000', '0.3333', '0.5000']
    """
    return 1 - (1 - memory) / (1 - memory ** jnp.maximum(step, 1.0))


def decay_bound(memory: Any, step: Any) -> Any:
    """Bound ``−½ log μ_t`` of every mode's decay rate per step under the momentum of step t; infinite without memory.

    Under ``m ← μ m + (1 − μ) λ x``, ``x ← x − m`` a mode of contraction λ has two characteristic roots. Their product
    is μ, so the larger one is at least √μ. A mode is taken to decay at ``−log(1 − λ)``, or at the bound where that is
    slower. The bound is the mode's asymptotic rate for ``λ ≥ (1 − √μ)/(1 + √μ)``. A smaller λ decays at up to twice
    ``−log(1 − λ)`` in the end, but not within the first 1/(1 − μ) steps.

    Args:
        memory: μ, see :func:`gradient_memory`.
        step: t, from 1 on; smaller ones count as 1, at which every explorer follows its gradient.

    Example:
        >>> [f"{bound:.4f}" for bound in decay_bound(0.81, jnp.array([1.0, 2.0, 1000.0]))]
        ['inf', '0.4020', '0.1054']
        >>> float(decay_bound(0.0, 1000.0))
        inf
    """
    return -jnp.log(momentum_at(memory, step)) / 2
