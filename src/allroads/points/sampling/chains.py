"""Chains in one compiled call: points × chains side by side, a number of draws one after another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from allroads.compiled import quickly_compiled
from allroads.explorers.samplers import Posterior, Sampler
from allroads.pfmap.network import Params
from allroads.pfmap.objective import Examples, Objective
from allroads.pfmap.precision import kept_per_precision
from allroads.points.sampling.free_parameters import FreeParameters
from allroads.points.sampling.metric import Moments, moments, to_weights
from allroads.points.sampling.posterior import LocalPosterior, build_posterior, squared_distance

VECTORISED = 50_000
"""Parameters of the chains that run side by side; beyond, their arrays leave the cache."""

Observe = Callable[[Params, Any], Any]
"""``(params, extra) -> pytree of arrays``, evaluated at every draw."""


class Draws(NamedTuple):
    """Of each chain and draw: ``[points, chains, draws]``, and what was observed with further axes behind.

    Attributes:
        energy: ``nβ (L − L₀)``.
        acceptance: The Metropolis acceptance, or what stands for it.
        distance: ``‖w − w*‖²``.
        virial: ``(w − w*)·∇U``, U the energy with the prior's; ``None`` where the sampler's state holds no gradient.
        observed: What ``observe`` gave, or ``None``.
        moments: Mean second moments of gradients over chains and draws, ``[points, …]``, or ``None``.
        losses: Mean over chains and draws of the excess loss of each example, ``ℓ_i(w) − ℓ_i(w*)``, and of its square,
            ``[points, n]`` each; ``None`` where gradients are those of batches.
    """

    energy: Any
    acceptance: Any
    distance: Any
    virial: Any
    observed: Any
    moments: Any
    losses: Any = None


@kept_per_precision
def compiled_chains(
    objective: Objective,
    free: FreeParameters,
    sampler: Sampler,
    draws: int,
    batch: int | None,
    adapt: bool,
    observe: Observe | None,
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """``start(z, …) -> states`` and ``run(states, …, step_size, steps, keys) -> (states, Draws)``.

    Args:
        objective: What is sampled.
        free: Its free coordinates.
        sampler: Without options, as the step is an argument of ``run``.
        draws: Draws per call.
        batch: Examples per gradient; ``None``: all.
        adapt: Whether moments of gradients are taken, for a metric.
        observe: What is evaluated at every draw, or ``None``.
    """
    sequential = free.dimension > VECTORISED // 2  # side by side, even one chain is slower

    def start(z: Any, local: LocalPosterior, data: Examples, nbeta: Any, key: Any) -> Any:
        return sampler.init(z, build_posterior(objective, free, local, data, nbeta, batch), key)

    def weights(z: Any, local: LocalPosterior) -> Params:
        steps = [to_weights(x, m) for x, m in zip(free.split(z), local.metric, strict=True)]
        return free.params(free.displace(local.leaves, steps))

    def gradient_moments(state: Any, posterior: Posterior, local: LocalPosterior, key: Any) -> tuple[Moments, ...]:
        """Second moments of the gradient at a draw, in the coordinates of the weights."""
        known, parts = sampler.gradient(state), posterior.split(state.position)
        gradient = posterior.batch_gradient(parts, key)[1] if known is None else posterior.split(known)
        parts = [to_weights(g * m.masses, m) for g, m in zip(gradient, local.metric, strict=True)]
        return tuple(moments(b, g) for b, g in zip(free.blocks, parts, strict=True))

    def run(
        state: Any, local: LocalPosterior, data: Examples, nbeta: Any, step: Any, steps: Any, key: Any, extra: Any
    ) -> tuple[Any, Draws]:
        posterior = build_posterior(objective, free, local, data, nbeta, batch)

        def draw(carry: tuple[Any, Any, Any], key: Any) -> tuple[tuple[Any, Any, Any], tuple[Any, ...]]:
            state, total, losses = carry
            state, out = sampler.draw(key, state, posterior, step, steps)
            z = state.position
            if batch is None:
                excess = objective.losses(weights(z, local), data) - local.baseline
                losses = (losses[0] + excess / draws, losses[1] + excess**2 / draws)
            distance = squared_distance(local, posterior.split(z))
            if adapt:
                total = jax.tree.map(jnp.add, total, gradient_moments(state, posterior, local, key))
            gradient = sampler.gradient(state)
            virial = None if gradient is None else z @ gradient
            observed = None if observe is None else observe(weights(z, local), extra)
            return (state, total, losses), (out.energy, out.acceptance, distance, virial, observed)

        empty = None
        if adapt:
            zero = [jnp.zeros((b.rows, b.columns)) for b in free.blocks]
            empty = tuple(moments(b, x) for b, x in zip(free.blocks, zero, strict=True))
        none = None if batch is not None else (jnp.zeros_like(local.baseline), jnp.zeros_like(local.baseline))
        (state, total, losses), (energy, acceptance, distance, virial, observed) = jax.lax.scan(
            draw, (state, empty, none), jax.random.split(key, draws)
        )
        total = jax.tree.map(lambda x: x / draws, total)
        return state, Draws(energy, acceptance, distance, virial, observed, total, losses)

    def run_point(
        states: Any, local: LocalPosterior, data: Examples, nbetas: Any, step: Any, steps: Any, keys: Any, extra: Any
    ) -> tuple[Any, Draws]:
        def one(chain: tuple[Any, Any, Any]) -> tuple[Any, Draws]:
            state, nbeta, key = chain
            return run(state, local, data, nbeta, step, steps, key, extra)

        if sequential:
            states, out = jax.lax.map(one, (states, nbetas, keys))
        else:
            states, out = jax.lax.map(one, (states, nbetas, keys), batch_size=VECTORISED // free.dimension)
        return states, out._replace(**jax.tree.map(lambda x: x.mean(0), {"moments": out.moments, "losses": out.losses}))

    def run_points(
        states: Any, local: LocalPosterior, data: Examples, nbetas: Any, step: Any, steps: Any, keys: Any, extra: Any
    ) -> tuple[Any, Draws]:
        def of(point: tuple[Any, ...]) -> tuple[Any, Draws]:
            states, local, nbetas, step, keys = point
            return run_point(states, local, data, nbetas, step, steps, keys, extra)

        points = (states, local, nbetas, step, keys)
        found: tuple[Any, Draws] = jax.lax.map(of, points) if sequential else jax.vmap(of)(points)
        return found

    start_chains = jax.vmap(jax.vmap(start, in_axes=(0, None, None, 0, 0)), in_axes=(0, 0, None, 0, 0))
    # The start takes one gradient: what the compiler would do to make it fast takes longer than it saves.
    return (
        jax.jit(start_chains, compiler_options=quickly_compiled()),
        jax.jit(run_points, compiler_options=quickly_compiled()),
    )
