"""Search for the matching with the best outputs on the segment between two points."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from allroads.budget import Budget
from allroads.errors import InputError
from allroads.paths.align.matching import match_units, sweep_order
from allroads.paths.align.terms import weight_terms
from allroads.pfmap.inputs import number_of_examples
from allroads.pfmap.losses import PerExampleLoss, resolve_loss
from allroads.pfmap.network import Network, Params
from allroads.pfmap.symmetries import Element, Symmetries
from allroads.pfmap.symmetries.scales import by_unit, scaled_blocks

STEPS = 200
"""Steps of the search; the best element on the way is kept."""

RATE = 5e-3
"""Learning rate of Adam on the reference."""

SCALE_RATE = 2e-3
"""Learning rate of Adam on the logarithms of scales."""

ALONG = (0.3, 0.5, 0.7)
"""Points of the segment at which outputs are compared."""

HELD_OUT = 4
"""One example in four is held out and judges the scales that the others lead to; else scales overfit."""

Objective = Callable[[np.ndarray], tuple[float, np.ndarray]]
"""Flat moved parameters to what is to fall, and its gradient."""


def divergence(loss: str | PerExampleLoss) -> Callable[[Any, Any], Any]:
    """How far outputs are from others in the sense of a loss, mean over everything.

    ``"cross_entropy"`` and ``"bce"``: relative entropy of the answers, in nats; otherwise: half the squared distance.

    Example:
        >>> same = jnp.array([[1.0, 2.0]])
        >>> float(divergence("cross_entropy")(same, same + 3))
        0.0
    """
    if loss == "cross_entropy":

        def entropy(found: Any, wanted: Any) -> Any:
            log_p, log_q = jax.nn.log_softmax(wanted), jax.nn.log_softmax(found)
            return (jnp.exp(log_p) * (log_p - log_q)).sum(-1).mean()

        return entropy
    if loss == "bce":

        def binary(found: Any, wanted: Any) -> Any:
            p = jax.nn.sigmoid(wanted)
            return (jax.nn.softplus(found) - jax.nn.softplus(wanted) - p * (found - wanted)).mean()

        return binary
    return lambda found, wanted: 0.5 * ((found - wanted) ** 2).mean()


def segment_objective(
    network: Network,
    found: Symmetries,
    a: Params,
    b: Params,
    inputs: Any,
    loss: str | PerExampleLoss,
    labels: Any | None,
    held_out: bool,
) -> Objective:
    """The objective of the search: the distance of outputs on the segment from the segment of outputs.

    The loss is convex in the outputs, so a segment of parameters whose image is the segment of outputs has no barrier.
    With labels it is the loss itself on the segment, mean over three of its points. With ``held_out`` the value is that
    on every fourth example and the gradient that on the others.
    """
    apart = divergence(loss)
    per_example = resolve_loss(loss) if labels is not None else None
    start = jnp.asarray(found.flatten(a), jnp.result_type(*jax.tree.leaves(a)))

    def on(part: np.ndarray) -> Callable[[Any], Any]:
        data = jax.tree.map(lambda x: jnp.asarray(x)[part], inputs)
        wanted = None if labels is None else jnp.asarray(labels)[part]
        ends = [network.apply(point, data) for point in (a, b)]

        def height(moved: Any) -> Any:
            total = 0.0
            for t in ALONG:
                outputs = network.apply(unflatten((1 - t) * start + t * moved, a), data)
                if per_example is not None:
                    total += per_example(outputs, wanted).mean()
                else:
                    total += apart(outputs, (1 - t) * ends[0] + t * ends[1])
            return total / len(ALONG)

        return height

    numbers = np.arange(number_of_examples(inputs))
    validation = numbers % HELD_OUT == 0 if held_out and len(numbers) >= 4 * HELD_OUT else numbers >= 0
    training = ~validation if not validation.all() else validation
    value_at, slope_at = jax.jit(on(numbers[validation])), jax.jit(jax.grad(on(numbers[training])))

    def objective(moved: np.ndarray) -> tuple[float, np.ndarray]:
        point = jnp.asarray(moved, start.dtype)
        value = float(value_at(point))
        if not np.isfinite(value):
            raise InputError("align: the outputs on the segment are not finite; method 'search' needs finite ones.")
        return value, np.asarray(slope_at(point), np.float64)

    return objective


def unflatten(flat: Any, like: Params) -> Params:
    """Flat parameters as a pytree, differentiably."""
    leaves, tree = jax.tree.flatten(like)
    ends = np.cumsum([np.size(leaf) for leaf in leaves])[:-1]
    parts = jnp.split(flat, ends)
    return jax.tree.unflatten(tree, [p.reshape(np.shape(leaf)) for p, leaf in zip(parts, leaves, strict=True)])


def optimise_scales(
    found: Symmetries, moved: np.ndarray, objective: Objective, budget: Budget | None = None
) -> tuple[float, dict[tuple[int, int], np.ndarray]]:
    """Scales of the units that lower the objective, by Adam on their logarithms.

    Returns:
        The lowest value met and, for each (units, way), the factors.
    """
    budget = budget or Budget()
    ways = [(k, way) for k in found.movable for way in range(len(found.units[k].scales))]
    shapes = [(*found.units[k].shape, found.units[k].size) for k, _ in ways]
    logs, optimiser = [np.zeros(shape) for shape in shapes], optax.adam(SCALE_RATE)
    state, best = optimiser.init(logs), (np.inf, logs)
    for number in range(STEPS if ways else 1):
        if budget.ended:
            break
        budget.say(f"scales, step {number + 1} of {STEPS}")
        with budget.interruptible():
            scales = {key: np.exp(log) for key, log in zip(ways, logs, strict=True)}
            point = found.gather(Element(scales=scales))[1] * moved
            value, slope = objective(point)
            if value < best[0]:
                best = (value, logs)
            slopes = [_slope_of_log(found, k, way, slope * point) for k, way in ways]
            steps, state = optimiser.update(slopes, state)
            logs = [log + np.asarray(step, np.float64) for log, step in zip(logs, jax.tree.leaves(steps), strict=True)]
    return best[0], {key: np.exp(log) for key, log in zip(ways, best[1], strict=True)}


def _slope_of_log(found: Symmetries, k: int, way: int, weighted: np.ndarray) -> np.ndarray:
    """The slope along the logarithm of every unit's scale, from parameter times slope."""
    total = np.zeros((*found.units[k].shape, found.units[k].size))
    for index, order, power in scaled_blocks(found, k, way):
        total += power * by_unit(weighted[index], order).sum(-1)
    return total


def straight_through_search(
    found: Symmetries,
    goal: np.ndarray,
    moving: np.ndarray,
    gauge: np.ndarray,
    objective: Objective,
    start: Element,
    rng: np.random.Generator,
    budget: Budget | None = None,
    until: float = np.inf,
) -> tuple[float, Element]:
    """Matching to a reference that follows the gradient of the objective, as if matching were the identity.

    Args:
        found: The symmetries.
        goal: The first reference: flat parameters of the point that stays, with balanced scales.
        moving: Flat parameters of the point that moves, with balanced scales.
        gauge: What takes balanced scales to those of the point that stays.
        objective: What is to fall.
        start: The first matching.
        rng: Orders the sets of units.
        budget: Seconds of the call; default no end.
        until: When this search ends at the latest, in seconds since the budget began.

    Returns:
        The lowest value met and its element; infinity and the first matching where there was no time for a step.

    References:
        [ainsworth2023]
    """
    optimiser, budget = optax.adam(RATE), budget or Budget()
    reference, state = goal, optimiser.init(goal)
    element, best = start, (np.inf, start)
    for number in range(STEPS):
        if budget.ended or budget.spent >= until:
            break
        budget.say(f"search, step {number + 1} of {STEPS}")
        with budget.interruptible():
            source, factor = found.gather(element)
            value, slope = objective(gauge * factor * moving[source])
            if value < best[0]:
                best = (value, element)
            step, state = optimiser.update(slope * gauge, state)
            reference = reference + np.asarray(step, np.float64)
            terms = weight_terms(found, reference, moving)
            for k in sweep_order(found, rng):
                element = match_units(found, [t for t in terms if k in t.block.units], element, k)
    return best
