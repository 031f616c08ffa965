"""Samplers as explorers of a network's parameters."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from allroads.errors import InputError
from allroads.explorers.explorer import Explorer, Problem, State
from allroads.explorers.gradient import check_rates
from allroads.explorers.samplers.protocol import Posterior, Sampler
from allroads.pfmap.network import Params


def sampler_explorer(
    sampler: Sampler,
    *,
    nbeta: float | None = None,
    localisation: float = 1.0,
    step_size: float | None = None,
    steps: int = 1,
    batch_size: int | None = None,
) -> Explorer:
    """An explorer that samples ``exp(−nβ L(w) − γ/2 ‖w − w₀‖²)`` around the point w₀ that it starts from.

    Args:
        sampler: One of ``SAMPLERS``.
        nbeta: nβ: what the mean loss is multiplied by; ``n / log n`` for n examples is usual. No default: it decides
            what is sampled.
        localisation: γ. Default 1.
        step_size: As the sampler counts it, in the units of the parameters. Default: the sampler's own, which is meant
            for a posterior of width 1.
        steps: Gradients a step of the explorer. Default 1; an HMC trajectory has that many.
        batch_size: Examples a gradient looks at; only for samplers that look at batches. Default: all.

    Raises:
        InputError: If a number is negative or not finite, or a batch is asked of a sampler that needs all examples.

    Example:
        A loss of ``w²/2`` at nβ = 100 has posterior variance 1/(100 + γ):

        >>> import numpy as np
        >>> from allroads import Network, explore
        >>> network = Network(lambda key: jnp.zeros(1), lambda w, x: w * jnp.ones_like(x))
        >>> from allroads.explorers.samplers import HMC
        >>> hmc = sampler_explorer(HMC, nbeta=100.0, localisation=0.0, step_size=0.05, steps=8)
        >>> run = explore(network, lambda f, y: f[:, 0]**2 / 2, np.ones((4, 1)), np.zeros((4, 1)), hmc, 256, steps=40)
        >>> bool(abs(run.ends().var() * 100 - 1) < 0.3)
        True
    """
    if nbeta is None:
        raise InputError(f"explorer {sampler.name!r}: nbeta is missing; n / log n for n examples is usual.")
    step_size = sampler.step_size if step_size is None else step_size
    check_rates(sampler.name, nbeta=nbeta, localisation=localisation, step_size=step_size)
    if not isinstance(steps, int) or steps < 1:
        raise InputError(f"explorer {sampler.name!r}: steps must be a positive whole number; got {steps!r}.")
    if batch_size is not None and not sampler.stochastic:
        raise InputError(
            f"explorer {sampler.name!r} needs the loss of all examples: leave batch_size out, or take 'sgld'."
        )

    def posterior(problem: Problem, start: Any, unravel: Any) -> Posterior:
        count = problem.inputs.shape[0]

        def energy(z: Any) -> Any:
            return nbeta * problem.loss(unravel(z), problem.inputs, problem.labels)

        def batch_energy(params: Params, key: Any) -> Any:
            if batch_size is None:
                return nbeta * problem.loss(params, problem.inputs, problem.labels)
            chosen = jax.random.randint(key, (batch_size,), 0, count)
            return nbeta * problem.loss(params, problem.inputs[chosen], problem.labels[chosen])

        def prior(params: Params) -> Any:
            squares = jax.tree.map(lambda w, at: jnp.sum((w - at) ** 2), params, unravel(start))
            return localisation / 2 * sum(jax.tree.leaves(squares))

        return Posterior(energy, batch_energy, prior, unravel, lambda params: ravel_pytree(params)[0])

    def init(params: Params, key: Any, examples: int) -> State:
        position, _ = ravel_pytree(params)
        flat = Posterior(_nothing, lambda z, key: _nothing(z), _nothing)
        chain = sampler.init(position, flat, key)  # of the right shape; it is begun again where the loss is known
        zero = jnp.zeros((), jnp.int32)
        return State(params, (position, chain), key, jnp.arange(0), jnp.asarray(jnp.inf, position.dtype), zero, zero)

    def step(state: State, problem: Problem, index: Any) -> State:
        start, chain = state.memory
        _, unravel = ravel_pytree(state.params)
        law = posterior(problem, start, unravel)
        key, init_key, draw_key = jax.random.split(state.key, 3)
        chain = jax.lax.cond(index == 0, lambda: sampler.init(start, law, init_key), lambda: chain)
        chain, draw = sampler.draw(draw_key, chain, law, step_size, steps)
        params, gradients = unravel(chain.position), state.gradients + steps
        return State(params, (start, chain), key, state.order, draw.energy / nbeta, gradients, state.forwards)

    return Explorer(sampler.name, init, step, batch_size)


def _nothing(z: Any) -> Any:
    return 0.0 * jnp.sum(z)
