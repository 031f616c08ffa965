"""What every network promises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.errors import InputError
from allroads.pfmap.arrays import as_point
from allroads.pfmap.inputs import choose, number_of_examples
from allroads.pfmap.network import Network, Params
from allroads.pfmap.precision import float64
from allroads.pfmap.symmetries import symmetries
from allroads.testing.promise import difference, promise

MEMBERS = 2
"""Points of the population of a check."""

SYMMETRIC = 1e-8
"""Largest change of outputs under a symmetry, relative to their size: rescaled weights round in other places."""


def check_network(network: Network, inputs: Any, *, parameters: int | None = None) -> None:
    """Whether a network keeps what every network promises, in double precision.

    - *a hash*: what was compiled for it is found again;
    - *the key decides the point*: the same key gives the same parameters, another one the same shapes, and a population
      that is drawn under ``vmap`` is that of its members;
    - *outputs lead with the examples*, also for one example, and are finite;
    - *a pure function*: ``apply``, traced twice, gives the same outputs and leaves the inputs as they are;
    - *examples do not see each other*: in another order, or alone, an example has the same outputs;
    - *points do not see each other*: ``vmap`` over points gives what a loop over them gives;
    - *precision is that of the point*: float64 parameters give float64 outputs;
    - *symmetries leave the function as it is*: a random element of those that are derived changes no output;
    - *the cell is the network*: folding ``cell.step`` over the positions gives the outputs of ``apply``.

    Args:
        network: The network; its parameters are drawn by ``init``.
        inputs: Two or more different examples, as the network takes them: ``[N, …]``, or a tuple of such arrays.
        parameters: How many parameters it should have; default: it is not checked.

    Raises:
        AssertionError: At the first promise that is broken: says which, what was expected and what to do.
        InputError: If there are fewer than two examples.

    Example:
        >>> from allroads.networks.mlp import mlp
        >>> check_network(mlp((3,), 2, widths=(4,)), np.eye(3), parameters=3 * 4 + 4 + 4 * 2 + 2)
    """
    part = f"network {network.name!r}"
    inputs = jax.tree.map(np.asarray, inputs)
    count = number_of_examples(inputs)
    if count < 2:
        raise InputError(f"inputs: expected two or more examples; got {count}.")
    try:
        hash(network)
    except TypeError as error:
        promise(False, part, "a hash", "hash(network) to work", f"{error}", "Freeze what init and apply close over.")
    with float64():
        point, population = _drawn(part, network, parameters)
        outputs = _check_function(part, network, point, inputs)
        _check_examples(part, jax.jit(network.apply), point, inputs, outputs)
        _check_points(part, network, population, inputs)
        _check_symmetries(part, network, point, inputs, outputs)
        if network.cell is not None:
            _check_cell(part, network, point, inputs, outputs)


def _drawn(part: str, network: Network, parameters: int | None) -> tuple[Params, Params]:
    keys = jax.random.split(jax.random.key(0), MEMBERS)
    first, again, other = (network.init(key) for key in (keys[0], keys[0], keys[1]))
    name, remedy = "the key decides the point", "Draw from the key that init is given, and from nothing else."
    told = difference(again, first)
    promise(not told, part, name, "the same parameters from the same key", f"others: {told}", remedy)
    shapes = [jax.tree.map(jnp.shape, point) for point in (first, other)]
    promise(shapes[0] == shapes[1], part, name, f"the shapes {shapes[0]} from every key", str(shapes[1]), remedy)
    population = jax.vmap(network.init)(keys)
    for k, member in enumerate((first, other)):
        told = difference(jax.tree.map(lambda leaf: leaf[k], population), member)  # noqa: B023
        promise(
            not told,
            part,
            name,
            "a population drawn under vmap to be that of its members",
            f"another: {told}",
            "Write init in jax.random and jax.numpy alone.",
        )
    size = sum(int(np.size(leaf)) for leaf in jax.tree.leaves(first))
    promise(
        parameters is None or size == parameters,
        part,
        "the number of parameters",
        f"{parameters} parameters",
        str(size),
        "Compare the shapes of init's arrays with what you meant; a bias or an embedding may be missing.",
    )
    return as_point(first), as_point(population)


def _check_function(part: str, network: Network, point: Params, inputs: Any) -> np.ndarray:
    given = jax.tree.map(np.copy, inputs)
    outputs = jax.jit(lambda point, inputs: network.apply(point, inputs))(point, inputs)
    count = number_of_examples(inputs)
    name, remedy = "outputs lead with the examples", "Return outputs of shape [N, C] or [N, T, C]."
    shape = np.shape(outputs)
    promise(len(shape) in (2, 3) and shape[0] == count, part, name, f"[{count}, …, C]", str(list(shape)), remedy)
    finite = bool(np.isfinite(outputs).all())
    promise(finite, part, name, "finite numbers", "NaN or infinity", "Check init's scale and divisions by zero.")
    promise(
        outputs.dtype == np.float64,
        part,
        "precision is that of the point",
        "float64 outputs of float64 parameters",
        str(outputs.dtype),
        "Name no dtype in apply; constants take that of the parameters.",
    )
    again = jax.jit(lambda point, inputs: network.apply(point, inputs))(point, inputs)
    told = difference(again, outputs) or difference(jax.tree.map(np.asarray, inputs), given, 0)
    promise(
        not told,
        part,
        "a pure function",
        "the same outputs twice, and inputs as they were",
        f"another: {told}",
        "Draw nothing and remember nothing in apply; switch dropout off.",
    )
    return np.asarray(outputs)


def _check_examples(part: str, apply: Callable[..., Any], point: Params, inputs: Any, outputs: np.ndarray) -> None:
    order = np.roll(np.arange(len(outputs)), 1)
    moved = apply(point, choose(inputs, order))
    alone = apply(point, choose(inputs, slice(1)))
    for words, found, expected in (("in another order", moved, outputs[order]), ("alone", alone, outputs[:1])):
        told = difference(np.asarray(found), expected)
        promise(
            not told,
            part,
            "examples do not see each other",
            f"the same outputs of an example {words}",
            f"others: {told}",
            "Take no statistics over the batch; batch norm uses those of training.",
        )


def _check_points(part: str, network: Network, population: Params, inputs: Any) -> None:
    together = jax.jit(jax.vmap(network.apply, (0, None)))(population, inputs)
    apply = jax.jit(network.apply)
    for k in range(MEMBERS):
        told = difference(together[k], apply(jax.tree.map(lambda leaf: leaf[k], population), inputs))  # noqa: B023
        promise(
            not told,
            part,
            "points do not see each other",
            "vmap over points to give what a loop gives",
            f"others: {told}",
            "Write apply in jax.numpy alone; use axes from the end, and no callbacks.",
        )


def _check_symmetries(part: str, network: Network, point: Params, inputs: Any, outputs: np.ndarray) -> None:
    try:
        group = symmetries(network, point, inputs)
    except InputError as error:
        promise(False, part, "symmetries can be derived", "apply to be traced", str(error), "Write it in JAX.")
    moved = as_point(group.act(group.random(np.random.default_rng(0)), point))
    told = difference(np.asarray(network.apply(moved, inputs)), outputs, SYMMETRIC)
    promise(
        not told,
        part,
        "symmetries leave the function as it is",
        "the same outputs at a point that a symmetry has moved",
        f"others: {told}",
        "Report this network: its derived symmetries are wrong.",
    )


def _check_cell(part: str, network: Network, point: Params, inputs: Any, outputs: np.ndarray) -> None:
    cell = network.cell
    assert cell is not None
    state, steps = cell.initial_state(point, len(outputs)), []
    for position in range(jax.tree.leaves(inputs)[0].shape[1]):
        state, output = cell.step(point, state, inputs[:, position])
        steps.append(np.asarray(output))
    told = difference(np.stack(steps, axis=1) if outputs.ndim == 3 else steps[-1], outputs)
    promise(
        not told,
        part,
        "the cell is the network",
        "folding cell.step over the positions to give the outputs of apply",
        f"others: {told}",
        "Use the same parameters and the same order of positions in both.",
    )
