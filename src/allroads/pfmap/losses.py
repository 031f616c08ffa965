"""Losses as functions of outputs: what is convex in function space.

Convention everywhere in allroads: a loss gives one number an example, and the loss of a data set is the *mean over
its examples*, in nats for ``cross_entropy`` and ``bce``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from allroads.errors import InputError, UnknownNameError

PerExampleLoss = Callable[[Any, Any], Any]


def _per_example(terms: Any) -> Any:
    """Mean over everything but the example axis."""
    return terms.reshape(terms.shape[0], -1).mean(axis=1)


def _aligned(outputs: Any, labels: Any, loss: str) -> Any:
    """Labels reshaped like the outputs: ``[N]`` stands for ``[N, 1]``."""
    labels = jnp.asarray(labels)
    if labels.shape != outputs.shape:
        if labels.size != outputs.size or labels.shape[:1] != outputs.shape[:1]:
            raise InputError(
                f"loss {loss!r}: outputs have shape {outputs.shape} and labels {labels.shape}; "
                "expected the same shape (one number an output)."
            )
        labels = labels.reshape(outputs.shape)
    return labels.astype(outputs.dtype)


def mse(outputs: Any, labels: Any) -> Any:
    """Squared error, mean over the outputs of one example: ``(1/C) Σ_c (f_c − y_c)²``.

    Args:
        outputs: ``[N, C]`` or ``[N, T, C]``.
        labels: The same shape, or ``[N]`` where ``C = 1``.

    Returns:
        One loss an example, ``[N]``.

    Raises:
        InputError: If the shapes do not match.

    Example:
        >>> import jax.numpy as jnp
        >>> float(mse(jnp.array([[1.0, 3.0]]), jnp.array([[0.0, 0.0]]))[0])
        5.0
    """
    return _per_example((outputs - _aligned(outputs, labels, "mse")) ** 2)


def cross_entropy(outputs: Any, labels: Any) -> Any:
    """Cross-entropy of class scores, in nats: ``log Σ_c exp f_c − f_y``, mean over positions where there are any.

    Args:
        outputs: Scores ``[N, C]`` or ``[N, T, C]``.
        labels: Integer classes ``[N]`` or ``[N, T]`` in ``0 … C−1``.

    Returns:
        One loss an example, ``[N]``.

    Raises:
        InputError: If the labels do not have the shape of the outputs without their last axis.

    Example:
        >>> import jax.numpy as jnp
        >>> round(float(cross_entropy(jnp.zeros((1, 4)), jnp.array([2]))[0]), 6)  # log 4
        1.386294
    """
    labels = jnp.asarray(labels)
    if labels.shape != outputs.shape[:-1]:
        raise InputError(
            f"loss 'cross_entropy': outputs have shape {outputs.shape}, so labels must be integer classes of shape "
            f"{outputs.shape[:-1]}; got {labels.shape}."
        )
    chosen = jnp.take_along_axis(outputs, labels[..., None].astype(int), axis=-1)[..., 0]
    return _per_example(jax.nn.logsumexp(outputs, axis=-1) - chosen)


def bce(outputs: Any, labels: Any) -> Any:
    """Binary cross-entropy of a logit, in nats: ``log(1 + exp f) − y f``, mean over the outputs of one example.

    Args:
        outputs: Logits ``[N, C]``.
        labels: 0 or 1, the same shape, or ``[N]`` where ``C = 1``.

    Returns:
        One loss an example, ``[N]``.

    Raises:
        InputError: If the shapes do not match.

    Example:
        >>> import jax.numpy as jnp
        >>> round(float(bce(jnp.zeros((1, 1)), jnp.ones(1))[0]), 6)  # log 2
        0.693147
    """
    return _per_example(jax.nn.softplus(outputs) - _aligned(outputs, labels, "bce") * outputs)


LOSSES: dict[str, PerExampleLoss] = {"mse": mse, "cross_entropy": cross_entropy, "bce": bce}


def resolve_loss(loss: str | PerExampleLoss) -> PerExampleLoss:
    """The per-example loss behind a name; a callable is given back as it is.

    Raises:
        UnknownNameError: If no loss has that name.

    Example:
        >>> resolve_loss("mse") is mse
        True
    """
    if callable(loss):
        return loss
    if loss not in LOSSES:
        raise UnknownNameError("loss", loss, LOSSES)
    return LOSSES[loss]


def correct(outputs: Any, labels: Any, loss: str | PerExampleLoss) -> Any:
    """Share of each example's outputs that are right, ``[N]``; its mean over examples is the accuracy.

    ``cross_entropy``: the largest score is the label's. ``bce``: the logit is positive exactly where the label is 1.
    ``mse`` and callables: every output rounds to its label (it lies nearer than ½).

    Example:
        >>> import jax.numpy as jnp
        >>> [float(c) for c in correct(jnp.array([[2.0], [-1.0]]), jnp.array([1, 1]), "bce")]
        [1.0, 0.0]
    """
    if loss == "cross_entropy" or loss is cross_entropy:
        right = jnp.argmax(outputs, axis=-1) == jnp.asarray(labels)
    elif loss == "bce" or loss is bce:
        right = (outputs > 0) == (_aligned(outputs, labels, "bce") > 0.5)
    else:
        right = jnp.abs(outputs - _aligned(outputs, labels, "mse")) < 0.5
    return _per_example(right.astype(outputs.dtype))
