"""The data and numbers that a caller hands in, checked."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.errors import InputError
from allroads.paths.connect.method import Problem
from allroads.pfmap.losses import resolve_loss
from allroads.pfmap.network import Params

Data = tuple[Any, Any]
"""Inputs and labels."""


def checked_data(problem: Problem, point: Params, inputs: Any, labels: Any, held_out: Data | None) -> list[Data]:
    """The training data, and the held-out data where there are any, as JAX arrays.

    Args:
        problem: What is asked of the network.
        point: A point at which the loss is tried.
        inputs: Of the training data.
        labels: Of the training data.
        held_out: Inputs and labels.

    Raises:
        InputError: If they are empty, have different numbers of examples or shapes, are not finite, or the loss cannot
            be taken.
    """
    given = [("training", inputs, labels)]
    if held_out is not None:
        if not (isinstance(held_out, tuple | list) and len(held_out) == 2):
            raise InputError("connect: held_out must be (inputs, labels).")
        given.append(("held-out", *held_out))
    found = [(_inputs(inputs, name), _array(labels, f"{name} labels")) for name, inputs, labels in given]
    for (name, *_), (x, y) in zip(given, found, strict=True):
        sizes = {array.shape[0] for array in (*jax.tree.leaves(x), y)}
        if len(sizes) > 1:
            raise InputError(
                f"connect: the {name} data have {' and '.join(map(str, sorted(sizes)))} examples in their arrays; "
                "expected one label an input."
            )
    first, last = (jax.tree.map(lambda array: array.shape[1:], pair) for pair in (found[0], found[-1]))
    if first != last:
        raise InputError(
            f"connect: one training example has shapes (inputs, labels) {first}, one held-out example {last}; expected "
            "the same."
        )
    for (name, *_), (x, y) in zip(given, found, strict=True):
        _try(problem, point, x, y, name)
    return found


def _try(problem: Problem, point: Params, inputs: Any, labels: Any, name: str) -> None:
    """Refuse data that the network or the loss cannot take, without computing anything."""
    per_example = resolve_loss(problem.loss)
    try:
        losses = jax.eval_shape(lambda x, y: per_example(problem.network.apply(point, x), y), inputs, labels)
    except (TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"connect: the network or the loss cannot take the {name} data ({error}). Give what they expect."
        ) from error
    if losses.shape != labels.shape[:1]:
        raise InputError(
            f"connect: on the {name} data the loss gives shape {losses.shape}; expected one number an example, "
            f"{labels.shape[:1]}."
        )


def check_counts(**counts: tuple[int, int]) -> None:
    """Refuse a number that is not whole or below its least value; ``name=(number, least)``."""
    for name, (number, least) in counts.items():
        if isinstance(number, bool) or not isinstance(number, int | np.integer) or number < least:
            raise InputError(f"connect: {name} must be a whole number ≥ {least}; got {number!r}.")


def _inputs(inputs: Any, name: str) -> Any:
    if isinstance(inputs, tuple):
        return tuple(_array(part, f"{name} inputs") for part in inputs)
    return _array(inputs, f"{name} inputs")


def _array(given: Any, name: str) -> Any:
    array = jnp.asarray(given)
    if array.ndim == 0 or array.shape[0] == 0:
        raise InputError(f"connect: {name} have shape {array.shape}; expected [N, …] with at least one example.")
    if not np.isfinite(np.asarray(array)).all():
        raise InputError(f"connect: {name} are NaN or infinite; drop or repair those examples.")
    return array
