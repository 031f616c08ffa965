"""What is recorded of a point: losses and accuracies, and the outputs on the probes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from allroads.errors import InputError
from allroads.pfmap.inputs import read_inputs
from allroads.pfmap.network import Network, Params
from allroads.pfmap.objective import Examples, Objective
from allroads.pfmap.problem import Problem


class Observed(NamedTuple):
    """What points are observed on; ``None`` where there is no such data.

    Attributes:
        train: The training examples.
        held_out: Held-out examples.
        probes: Inputs whose outputs are recorded; ``None``: the training inputs.
    """

    train: Examples | None
    held_out: Examples | None
    probes: Any


Observer = Callable[[Params, Observed], tuple[dict[str, Any], Any]]


def observer(network: Network, train: Objective | None, held_out: Objective | None) -> Observer:
    """The function ``(params, data) -> (curves, values)`` of one point.

    Curves are ``train_loss``, ``train_accuracy`` and, with held-out data, ``held_out_loss``, ``held_out_accuracy``.

    Args:
        network: The network.
        train: The objective over the training examples; ``None`` where there are none.
        held_out: The objective over the held-out examples.
    """

    def scores(name: str, objective: Objective, outputs: Any, data: Examples, params: Params) -> dict[str, Any]:
        loss = objective.from_outputs(outputs, data).mean()
        if objective.regulariser != 0.0:
            loss = loss + objective.penalty(params).astype(loss.dtype)
        return {f"{name}_loss": loss, f"{name}_accuracy": objective.correct(outputs, data).mean()}

    def observe(params: Params, data: Observed) -> tuple[dict[str, Any], Any]:
        curves: dict[str, Any] = {}
        outputs = None
        if train is not None and data.train is not None:
            outputs = network.apply(params, data.train.inputs)
            curves |= scores("train", train, outputs, data.train, params)
        if held_out is not None and data.held_out is not None:
            aside = network.apply(params, data.held_out.inputs)
            curves |= scores("held_out", held_out, aside, data.held_out, params)
        return curves, outputs if data.probes is None else network.apply(params, data.probes)

    return observe


def held_out_problem(problem: Problem, held_out: Problem | tuple[Any, Any] | None) -> Problem | None:
    """Held-out data as a problem: one that is given as such, or the same problem over ``(inputs, labels)``.

    Raises:
        InputError: If it is neither, is of another network, or as :class:`~allroads.Problem`.

    Example:
        >>> line = Network(lambda key: jnp.zeros(1), lambda w, x: x * w)
        >>> len(held_out_problem(Problem(line, "mse", [[1.0]], [[0.0]]), ([[2.0], [3.0]], [[0.0], [0.0]])))
        2
    """
    if held_out is None:
        return None
    if isinstance(held_out, Problem):
        if held_out.network != problem.network:
            raise InputError("held_out: it is a problem of another network; use problem.on(inputs, labels).")
        return held_out
    if not isinstance(held_out, tuple | list) or len(held_out) != 2:
        raise InputError(f"held_out: expected a problem or (inputs, labels); got {type(held_out).__name__}.")
    return problem.on(*held_out)


def as_probes(network: Network, probes: Any) -> Any:
    """Probe inputs as JAX arrays in the present precision; ``None`` stays.

    Raises:
        InputError: If they are no finite numbers, or the network cannot take them.
    """
    if probes is None:
        return None
    arrays = read_inputs(probes, "probes")
    if network.check is not None:
        network.check(arrays)
    return jax.tree.map(lambda a: jnp.asarray(a, float if jnp.issubdtype(a.dtype, jnp.floating) else None), arrays)
