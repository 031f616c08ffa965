"""Chains in one compiled call: points × chains side by side, a number of draws one after another."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from allroads.explorers.samplers import SAMPLERS
from allroads.explorers.samplers.protocol import Posterior
from allroads.points.llc.metric import (
    Metric,
    Moments,
    curvature_metric,
    gradient_metric,
    joined,
    moments,
    split,
    to_weights,
    turned,
    turned_back,
    uniform,
)
from allroads.points.llc.problem import Data, Question

TOGETHER = 50_000
"""Parameters of the chains that run side by side; beyond, their arrays leave the cache."""


class Place(NamedTuple):
    """What is particular to a point: ``leaves`` of w*, each example's loss there, metric, γ."""

    leaves: list[Any]
    baseline: Any
    metric: tuple[Metric, ...]
    localisation: Any


class Draws(NamedTuple):
    """Of each chain and draw: ``[points, chains, draws]``, and what was observed with further axes behind.

    Attributes:
        energy: ``nβ (L − L₀)``.
        quality: Acceptance, or what stands for it.
        distance: ``‖w − w*‖²``.
        observed: What ``observe`` gave, or ``None``.
        moments: Mean second moments of gradients over chains and draws, ``[points, …]``, or ``None``.
    """

    energy: Any
    quality: Any
    distance: Any
    observed: Any
    moments: Any


@lru_cache(maxsize=64)
def compiled_losses(question: Question, structure: Any) -> Callable:
    """``(leaves, data) -> per-example losses [points, n]`` at stacked points."""
    return jax.jit(
        jax.vmap(lambda leaves, data: question.losses(leaves, structure, data.inputs, data.labels), in_axes=(0, None))
    )


@lru_cache(maxsize=64)
def compiled_gradient(question: Question, structure: Any) -> Callable:
    """``(leaves, data) -> flat gradients of the mean loss over the free coordinates, [points, d]``."""

    def gradient(leaves: Any, data: Data) -> Any:
        slope = jax.grad(lambda w: question.losses(w, structure, data.inputs, data.labels).mean())(leaves)
        return joined(question.matrices(slope))

    return jax.jit(jax.vmap(gradient, in_axes=(0, None)))


@lru_cache(maxsize=64)
def compiled_first_metric(question: Question, structure: Any, rotate: bool, probes: int) -> Callable:
    """``(leaves, data, keys, h_max) -> metric`` whose masses are curvatures of the mean loss.

    They come from products of the Hessian with random vectors; without ``rotate``, all are h_max.
    """

    def one(leaves: Any, data: Data, key: Any, curvature: Any) -> tuple[Metric, ...]:
        if not rotate:
            return tuple(uniform(curvature) for _ in question.blocks)

        def slope(steps: list[Any]) -> list[Any]:
            def mean_loss(steps: list[Any]) -> Any:
                moved = question.displace(leaves, steps)
                return question.losses(moved, structure, data.inputs, data.labels).mean()

            return jax.grad(mean_loss)(steps)

        zero = [jnp.zeros((b.rows, b.columns)) for b in question.blocks]

        def probe(total: tuple[Moments, ...], key: Any) -> tuple[tuple[Moments, ...], None]:
            keys = jax.random.split(key, len(zero))
            noise = [jax.random.normal(k, x.shape) for k, x in zip(keys, zero, strict=True)]
            products = jax.jvp(slope, (zero,), (noise,))[1]
            seen = tuple(moments(b, p) for b, p in zip(question.blocks, products, strict=True))
            return jax.tree.map(jnp.add, total, seen), None

        empty = tuple(moments(b, x) for b, x in zip(question.blocks, zero, strict=True))
        total, _ = jax.lax.scan(probe, empty, jax.random.split(key, probes))
        return tuple(curvature_metric(jax.tree.map(lambda x: x / probes, m)) for m in total)

    return jax.jit(jax.vmap(one, in_axes=(0, None, 0, 0)))


@lru_cache(maxsize=64)
def compiled_turn(question: Question) -> Callable:
    """``(flat gradients, metric) -> `` their components in the metric's directions, a block an entry."""

    def one(gradient: Any, metric: tuple[Metric, ...]) -> tuple[Any, ...]:
        parts = zip(split(gradient, question.blocks), metric, strict=True)
        return tuple(turned_back(part, m.left, m.right) for part, m in parts)

    return jax.jit(jax.vmap(one))


@lru_cache(maxsize=64)
def compiled_metric() -> Callable:
    """``(moments, γ) -> metric`` of stacked points."""
    return jax.jit(jax.vmap(lambda of, floor: tuple(gradient_metric(m, floor) for m in of)))


def law(question: Question, structure: Any, place: Place, data: Data, nbeta: Any, batch: int | None) -> Posterior:
    """The posterior of one chain in the coordinates of its point's metric.

    The loss of a batch is taken relative to the loss at w* of the same batch, so that what the two share cancels.
    """
    widths = [m.masses**-0.5 for m in place.metric]  # here, so that it is not done again at every gradient

    def steps(parts: list[Any]) -> list[Any]:
        return [turned(x * width, m.left, m.right) for x, m, width in zip(parts, place.metric, widths, strict=True)]

    def over_all(parts: list[Any]) -> Any:
        moved = question.displace(place.leaves, steps(parts))
        losses = question.losses(moved, structure, data.inputs, data.labels)
        return nbeta * (losses - place.baseline).mean()

    def over_batch(parts: list[Any], key: Any) -> Any:
        if batch is None:
            return over_all(parts)
        chosen = jax.random.randint(key, (batch,), 0, data.inputs.shape[0])
        moved = question.displace(place.leaves, steps(parts))
        losses = question.losses(moved, structure, data.inputs[chosen], data.labels[chosen])
        return nbeta * (losses - place.baseline[chosen]).mean()

    def parted(z: Any) -> list[Any]:
        return split(z, question.blocks)

    def prior(parts: list[Any]) -> Any:
        return place.localisation / 2 * squared_distance(place, parts)

    return Posterior(lambda z: over_all(parted(z)), over_batch, prior, parted, joined)


def squared_distance(place: Place, parts: list[Any]) -> Any:
    """``‖w − w*‖²``; rotations keep lengths, so the displacement need not be turned."""
    return sum((x**2 / m.masses).sum() for x, m in zip(parts, place.metric, strict=True))


@lru_cache(maxsize=64)
def compiled_stiffness(question: Question, structure: Any, iterations: int = 12) -> Callable:
    """``(z, place, data, nβ, key) -> `` largest curvature of ``energy`` at z by power iteration, ``[points]``."""

    def one(z: Any, place: Place, data: Data, nbeta: Any, key: Any) -> Any:
        posterior = law(question, structure, place, data, nbeta, None)

        def turn(_: Any, carry: tuple) -> tuple:
            vector, _ = carry
            product = jax.jvp(jax.grad(posterior.energy), (z,), (vector,))[1]
            length = jnp.linalg.norm(product)
            return product / jnp.maximum(length, jnp.finfo(length.dtype).tiny), length

        first = jax.random.normal(key, z.shape)
        return jax.lax.fori_loop(0, iterations, turn, (first / jnp.linalg.norm(first), jnp.zeros(())))[1]

    return jax.jit(jax.vmap(one, in_axes=(0, 0, None, 0, 0)))


@lru_cache(maxsize=64)
def compiled_chains(
    question: Question, structure: Any, sampler: str, draws: int, batch: int | None, adapt: bool, observe: Any
) -> tuple[Callable, Callable]:
    """``start(z, …) -> states`` and ``run(states, …, step_size, steps, keys) -> (states, Draws)``.

    Args:
        question: What is sampled.
        structure: Of the parameters.
        sampler: Name of a sampler.
        draws: Draws a call.
        batch: Examples a gradient looks at; ``None``: all.
        adapt: Whether moments of gradients are taken, for a metric.
        observe: ``(params, observed inputs) -> array``, evaluated at every draw, or ``None``.
    """
    rule = SAMPLERS[sampler]
    alone = question.dimension > TOGETHER // 2  # one after another: side by side, even one is slower

    def start(z: Any, place: Place, data: Data, nbeta: Any, key: Any) -> Any:
        return rule.init(z, law(question, structure, place, data, nbeta, batch), key)

    def weights(z: Any, place: Place) -> list[Any]:
        steps = [to_weights(x, m) for x, m in zip(split(z, question.blocks), place.metric, strict=True)]
        return question.displace(place.leaves, steps)

    def seen(z: Any, place: Place, data: Data, nbeta: Any, key: Any) -> tuple[Moments, ...]:
        """Second moments of the gradient at a draw, in the coordinates of the weights."""
        posterior = law(question, structure, place, data, nbeta, batch)
        _, slope = posterior.batch_slope(posterior.parted(z), key)
        parts = [to_weights(g * m.masses, m) for g, m in zip(slope, place.metric, strict=True)]
        return tuple(moments(b, g) for b, g in zip(question.blocks, parts, strict=True))

    def run(state: Any, place: Place, data: Data, nbeta: Any, step: Any, steps: Any, key: Any, extra: Any) -> Any:
        posterior = law(question, structure, place, data, nbeta, batch)

        def draw(carry: tuple, key: Any) -> tuple:
            state, total = carry
            state, out = rule.draw(key, state, posterior, step, steps)
            z = state.position
            distance = squared_distance(place, posterior.parted(z))
            if adapt:
                total = jax.tree.map(jnp.add, total, seen(z, place, data, nbeta, key))
            observed = None
            if observe is not None:
                observed = observe(jax.tree.unflatten(structure, weights(z, place)), extra)
            return (state, total), (out.energy, out.quality, distance, observed)

        empty = None
        if adapt:
            zero = [jnp.zeros((b.rows, b.columns)) for b in question.blocks]
            empty = tuple(moments(b, x) for b, x in zip(question.blocks, zero, strict=True))
        (state, total), (energy, quality, distance, observed) = jax.lax.scan(
            draw, (state, empty), jax.random.split(key, draws)
        )
        return state, Draws(energy, quality, distance, observed, jax.tree.map(lambda x: x / draws, total))

    def run_point(
        states: Any, place: Place, data: Data, nbetas: Any, step: Any, steps: Any, keys: Any, extra: Any
    ) -> Any:
        def one(chain: tuple) -> tuple:
            state, nbeta, key = chain
            return run(state, place, data, nbeta, step, steps, key, extra)

        if alone:
            states, out = jax.lax.map(one, (states, nbetas, keys))
        else:
            states, out = jax.lax.map(one, (states, nbetas, keys), batch_size=TOGETHER // question.dimension)
        return states, out._replace(moments=jax.tree.map(lambda x: x.mean(0), out.moments))

    def run_points(
        states: Any, place: Place, data: Data, nbetas: Any, step: Any, steps: Any, keys: Any, extra: Any
    ) -> Any:
        def of(point: tuple) -> tuple:
            states, place, nbetas, step, keys = point
            return run_point(states, place, data, nbetas, step, steps, keys, extra)

        points = (states, place, nbetas, step, keys)
        return jax.lax.map(of, points) if alone else jax.vmap(of)(points)

    start_chains = jax.vmap(jax.vmap(start, in_axes=(0, None, None, 0, 0)), in_axes=(0, 0, None, 0, 0))
    return jax.jit(start_chains), jax.jit(run_points)
