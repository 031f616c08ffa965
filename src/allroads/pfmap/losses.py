"""Losses as functions of outputs: what is convex in function space.

Convention everywhere in allroads: a loss gives one number per example, and the loss of a data set is the *mean over
its examples*, in nats for ``cross_entropy`` and ``bce``. Both are computed from differences of scores, so that loss,
gradient and curvature keep their relative precision at any margin that the type of the outputs can hold.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from allroads.errors import InputError, UnknownNameError

PerExampleLoss = Callable[[Any, Any], Any]


def mse(outputs: Any, labels: Any) -> Any:
    """Squared error, mean over the outputs of one example: ``(1/C) Σ_c (f_c − y_c)²``.

    Args:
        outputs: ``[N, C]`` or ``[N, T, C]``.
        labels: The same shape, or ``[N]`` where ``C = 1``.

    Returns:
        One loss per example, ``[N]``.

    Raises:
        InputError: If the shapes do not match.

    Example:
        >>> import jax.numpy as jnp
        >>> float(mse(jnp.array([[1.0, 3.0]]), jnp.array([[0.0, 0.0]]))[0])
        5.0
    """
    return mean_per_example(mse_terms(outputs, labels))


def cross_entropy(outputs: Any, labels: Any) -> Any:
    """Cross-entropy of class scores, in nats: ``log Σ_c exp f_c − f_y``, mean over positions where there are any.

    It is computed as ``softplus(log Σ_{c≠y} exp(f_c − f_y))``: no large numbers are subtracted.

    Args:
        outputs: Scores ``[N, C]`` or ``[N, T, C]``.
        labels: Integer classes ``[N]`` or ``[N, T]`` in ``0 … C−1``.

    Returns:
        One loss per example, ``[N]``.

    Raises:
        InputError: If the labels do not have the shape of the outputs without their last axis.

    Example:
        >>> import jax.numpy as jnp
        >>> round(float(cross_entropy(jnp.zeros((1, 4)), jnp.array([2]))[0]), 6)  # log 4
        1.386294
        >>> float(cross_entropy(jnp.array([[1e8, 1e8]]), jnp.array([0]))[0]) == float(jnp.log(2.0))
        True
    """
    return mean_per_example(cross_entropy_terms(outputs, labels))


def bce(outputs: Any, labels: Any) -> Any:
    """Binary cross-entropy of a logit, in nats: ``log(1 + exp f) − y f``, mean over the outputs of one example.

    It is computed as ``y softplus(−f) + (1 − y) softplus(f)``, so both labels are treated alike.

    Args:
        outputs: Logits ``[N, C]``.
        labels: In ``[0, 1]``, the same shape, or ``[N]`` where ``C = 1``.

    Returns:
        One loss per example, ``[N]``.

    Raises:
        InputError: If the shapes do not match.

    Example:
        >>> import jax.numpy as jnp
        >>> round(float(bce(jnp.zeros((1, 1)), jnp.ones(1))[0]), 6)  # log 2
        0.693147
    """
    return mean_per_example(bce_terms(outputs, labels))


def mean_per_example(terms: Any) -> Any:
    """The mean over everything but the example axis."""
    return terms.reshape(terms.shape[0], -1).mean(axis=1)


def mse_terms(outputs: Any, labels: Any) -> Any:
    """The squared error of every output."""
    return (outputs - aligned(outputs, labels, "mse")) ** 2


def cross_entropy_terms(outputs: Any, labels: Any) -> Any:
    """The cross-entropy of every position: the shape of the outputs without their last axis."""
    labels = jnp.asarray(labels)
    if labels.shape != outputs.shape[:-1]:
        raise InputError(
            f"loss 'cross_entropy': outputs have shape {outputs.shape}, so labels must be integer classes of shape "
            f"{outputs.shape[:-1]}; got {labels.shape}."
        )
    if outputs.shape[-1] == 1:  # one class is certain
        return jnp.zeros_like(outputs[..., 0])
    own = labels[..., None] == jnp.arange(outputs.shape[-1])
    score = jnp.where(own, outputs, 0).sum(-1, keepdims=True)
    margins = jnp.where(own | jnp.isneginf(outputs), -jnp.inf, outputs - score)
    return softplus(jax.nn.logsumexp(margins, axis=-1))


def bce_terms(outputs: Any, labels: Any) -> Any:
    """The binary cross-entropy of every output."""
    labels = aligned(outputs, labels, "bce")
    return labels * softplus(-outputs) + (1 - labels) * softplus(outputs)


def aligned(outputs: Any, labels: Any, loss: str) -> Any:
    """Labels reshaped like the outputs: ``[N]`` stands for ``[N, 1]``."""
    labels = jnp.asarray(labels)
    if labels.shape != outputs.shape:
        if labels.size != outputs.size or labels.shape[:1] != outputs.shape[:1]:
            raise InputError(
                f"loss {loss!r}: outputs have shape {outputs.shape} and labels {labels.shape}; "
                "expected the same shape (one number per output)."
            )
        labels = labels.reshape(outputs.shape)
    return labels.astype(outputs.dtype)


@jax.custom_jvp
def softplus(x: Any) -> Any:
    """``log(1 + exp x)`` whose first two derivatives keep their relative precision on both sides.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> curvature = jax.grad(jax.grad(softplus))
        >>> [float(curvature(x)) for x in (-40.0, 40.0)] == [float(jnp.exp(-40.0))] * 2
        True
    """
    return jax.nn.softplus(x)


@jax.custom_jvp
def _sigmoid(x: Any) -> Any:
    """``1 / (1 + exp(−x))``, with ``σ(x) σ(−x)`` for its derivative: ``σ(1 − σ)`` is 0 from 17 on in float32."""
    return jax.nn.sigmoid(x)


@softplus.defjvp
def _softplus_jvp(primals: Any, tangents: Any) -> Any:
    (x,), (t,) = primals, tangents
    return softplus(x), t * _sigmoid(x)


@_sigmoid.defjvp
def _sigmoid_jvp(primals: Any, tangents: Any) -> Any:
    (x,), (t,) = primals, tangents
    return _sigmoid(x), t * (_sigmoid(x) * _sigmoid(-x))


LOSSES: dict[str, PerExampleLoss] = {"mse": mse, "cross_entropy": cross_entropy, "bce": bce}
TERMS: dict[PerExampleLoss, Callable[[Any, Any], Any]] = {
    mse: mse_terms,
    cross_entropy: cross_entropy_terms,
    bce: bce_terms,
}
"""What each loss is the mean of: one number per output or position."""

TORCH_LOSSES = {
    "CrossEntropyLoss": "cross_entropy",
    "cross_entropy": "cross_entropy",
    "BCEWithLogitsLoss": "bce",
    "binary_cross_entropy_with_logits": "bce",
    "MSELoss": "mse",
    "mse_loss": "mse",
}
"""PyTorch's modules and functions that are one of ours."""


def resolve_loss(loss: str | PerExampleLoss) -> PerExampleLoss:
    """The per-example loss behind a name; a callable is given back as it is.

    PyTorch's ``CrossEntropyLoss``, ``BCEWithLogitsLoss`` and ``MSELoss``, and the functions of the same kind, stand
    for the losses that they compute.

    Raises:
        UnknownNameError: If no loss has that name.
        InputError: If it is a loss of PyTorch that is none of ours.

    Example:
        >>> resolve_loss("mse") is mse
        True
    """
    loss = _from_torch(loss)
    if callable(loss):
        return loss
    if loss not in LOSSES:
        raise UnknownNameError("loss", loss, LOSSES)
    return LOSSES[loss]


def loss_name(loss: str | PerExampleLoss) -> str | None:
    """The name of a loss of ours, ``None`` for a callable of the user's.

    Example:
        >>> loss_name(mse), loss_name(lambda outputs, labels: outputs[:, 0])
        ('mse', None)
    """
    found = resolve_loss(loss)
    return next((name for name, ours in LOSSES.items() if ours is found), None)


def _from_torch(loss: Any) -> Any:
    """The name of the loss that a PyTorch module or function computes; anything else as it is."""
    kind = loss if hasattr(loss, "__qualname__") else type(loss)
    if not str(getattr(kind, "__module__", "")).startswith("torch"):
        return loss
    name = kind.__name__
    changed = [
        f"{option}={value!r}"
        for option, usual in (("reduction", "mean"), ("label_smoothing", 0.0), ("weight", None), ("pos_weight", None))
        if (value := getattr(loss, option, usual)) is not usual and value != usual
    ]
    if name not in TORCH_LOSSES or changed:
        raise InputError(
            f"loss: {name}{f' with {changed[0]}' if changed else ''} of PyTorch is none that allroads knows. Give "
            "'mse', 'cross_entropy' or 'bce' (weights of classes and examples are options of Problem), or a function "
            "(outputs, labels) -> per-example losses of JAX arrays."
        )
    return TORCH_LOSSES[name]


def correct(outputs: Any, labels: Any, loss: str | PerExampleLoss) -> Any:
    """Share of each example's outputs that are right, ``[N]``; its mean over examples is the accuracy.

    ``cross_entropy``: the largest score is the label's. ``bce``: the logit is positive exactly where the label is 1.
    ``mse`` and callables: every output rounds to its label (it lies nearer than ½).

    Example:
        >>> import jax.numpy as jnp
        >>> [float(c) for c in correct(jnp.array([[2.0], [-1.0]]), jnp.array([1, 1]), "bce")]
        [1.0, 0.0]
    """
    return mean_per_example(correct_terms(outputs, labels, loss))


def correct_terms(outputs: Any, labels: Any, loss: str | PerExampleLoss) -> Any:
    """For every output or position, 1 where it is right and 0 where it is not."""
    per_example = resolve_loss(loss)
    if per_example is cross_entropy:
        right = jnp.argmax(outputs, axis=-1) == jnp.asarray(labels)
    elif per_example is bce:
        right = (outputs > 0) == (aligned(outputs, labels, "bce") > 0.5)
    else:
        right = jnp.abs(outputs - aligned(outputs, labels, "mse")) < 0.5
    return right.astype(outputs.dtype)
