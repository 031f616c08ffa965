"""Samplers as explorers of a network's parameters."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from allroads.checks import check_count
from allroads.errors import InputError
from allroads.explorers.explorer import Explorer, Problem, State
from allroads.explorers.gradient import check_rates
from allroads.explorers.samplers.protocol import Posterior, Sampler, StochasticSampler
from allroads.pfmap.network import Params


def sampler_explorer(
    sampler: Sampler, *, nbeta: float | None = None, localisation: float = 1.0, steps: int = 1
) -> Explorer:
    """An explorer that samples ``exp(−nβ L(w) − γ/2 ‖w − w₀‖²)`` around the point w₀ that it starts from.

    Equal options give the same object, so that compiled runs are used again.

    Args:
        sampler: Its step size is in the units of the parameters. Default of that: the sampler's own, which is meant for
            a posterior of width 1.
        nbeta: nβ: the factor of the mean loss; ``n / ln n`` for n examples is usual. No default: it decides what is
            sampled.
        localisation: γ. Default 1.
        steps: Gradients per step of the explorer. Default 1; an HMC trajectory has that many.

    Raises:
        InputError: If nβ is missing, or a number is negative or not finite.

    Example:
        A loss of ``w²/2`` at nβ = 100 has posterior variance 1/(100 + γ):

        >>> import numpy as np
        >>> from allroads import Network, explore
        >>> network = Network(lambda key: jnp.zeros(1), lambda w, x: w * jnp.ones_like(x))
        >>> from allroads.explorers.samplers import HMC
        >>> hmc = sampler_explorer(HMC(step_size=0.05), nbeta=100.0, localisation=0.0, steps=8)
        >>> run = explore(network, lambda f, y: f[:, 0]**2 / 2, np.ones((4, 1)), np.zeros((4, 1)), hmc, 256, steps=40)
        >>> bool(abs(run.ends().var() * 100 - 1) < 0.3)
        True
    """
    if nbeta is None:
        raise InputError(f"explorer {sampler.name!r}: nbeta is missing; n / ln n for n examples is usual.")
    check_rates(sampler.name, nbeta=nbeta, localisation=localisation)
    check_count("steps", steps)
    return _explorer(sampler, float(nbeta), float(localisation), int(steps))


def explorer_builder(kind: type[Sampler]) -> Callable[..., Explorer]:
    """What builds the explorer of one sampler from plain options, as configuration files give them.

    Example:
        >>> from allroads.explorers.samplers import SGLD
        >>> explorer_builder(SGLD)(nbeta=10.0, batch_size=4).batch_size
        4
    """

    def build(
        *,
        nbeta: float | None = None,
        localisation: float = 1.0,
        step_size: float | None = None,
        steps: int = 1,
        batch_size: int | None = None,
    ) -> Explorer:
        return sampler_explorer(
            build_sampler(kind, step_size=step_size, batch_size=batch_size),
            nbeta=nbeta,
            localisation=localisation,
            steps=steps,
        )

    build.__name__, build.__doc__ = kind.name, kind.__doc__
    return build


def build_sampler(kind: type[Sampler], *, step_size: float | None = None, batch_size: int | None = None) -> Sampler:
    """A sampler from plain options.

    Raises:
        InputError: If a batch is asked of a sampler that needs all examples, or a number is not positive.

    Example:
        >>> from allroads.explorers.samplers import HMC
        >>> build_sampler(HMC, step_size=0.1)
        HMC(step_size=0.1)
    """
    if issubclass(kind, StochasticSampler):
        return kind(step_size=step_size, batch_size=batch_size)
    if batch_size is not None:
        raise InputError(
            f"batch_size: sampler {kind.name!r} needs the loss of all examples. Leave it out, or take 'sgld'."
        )
    return kind(step_size=step_size)


@lru_cache(maxsize=256)
def _explorer(sampler: Sampler, nbeta: float, localisation: float, steps: int) -> Explorer:
    step_size = sampler.default_step_size if sampler.step_size is None else sampler.step_size
    batch_size = sampler.batch_size if isinstance(sampler, StochasticSampler) else None

    def posterior(problem: Problem, start: Any, unravel: Callable[[Any], Params]) -> Posterior:
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
        flat = Posterior(_zero, lambda z, key: _zero(z), _zero)
        chain = sampler.init(position, flat, key)  # of the right shape; it starts again where the loss is known
        zero = jnp.zeros((), jnp.int32)
        return State(params, (position, chain), key, jnp.arange(0), jnp.asarray(jnp.inf, position.dtype), zero, zero)

    def step(state: State, problem: Problem, index: Any) -> State:
        start, chain = state.memory
        _, unravel = ravel_pytree(state.params)
        density = posterior(problem, start, unravel)
        key, init_key, draw_key = jax.random.split(state.key, 3)
        chain = jax.lax.cond(index == 0, lambda: sampler.init(start, density, init_key), lambda: chain)
        chain, draw = sampler.draw(draw_key, chain, density, step_size, steps)
        params, gradients = unravel(chain.position), state.gradients + steps
        return State(params, (start, chain), key, state.order, draw.energy / nbeta, gradients, state.forwards)

    return Explorer(sampler.name, init, step, batch_size)


def _zero(z: Any) -> Any:
    return 0.0 * jnp.sum(z)
