"""Labels as people have them, held against what a loss takes and a network gives."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from allroads.errors import InputError
from allroads.pfmap.arrays import as_array
from allroads.pfmap.losses import PerExampleLoss


def check_labels(
    loss: str | PerExampleLoss,
    labels: np.ndarray,
    outputs: jax.ShapeDtypeStruct | None,
    network: str,
    ignore: int | None,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Labels in the one form that a loss computes with, and which of them count.

    Args:
        loss: Name or callable; a callable's labels are not looked at.
        labels: Finite numbers ``[N, …]``.
        outputs: Shape of the network's outputs, ``None`` where it is not known yet.
        network: The network's name, for messages.
        ignore: A class that does not count.

    Returns:
        The labels, integers for ``cross_entropy``; and 1 or 0 per label, ``None`` where all count.

    Raises:
        InputError: Names the example, the label and what was expected.

    Example:
        >>> scores = jax.ShapeDtypeStruct((2, 3), "float32")
        >>> check_labels("cross_entropy", np.array([[0, 0, 1], [1, 0, 0]]), scores, "a", None)[0]  # one-hot
        array([2, 0], dtype=int32)
    """
    if ignore is not None and loss != "cross_entropy":
        raise InputError("ignore: labels are ignored by class, so it goes with loss 'cross_entropy' alone.")
    if loss == "cross_entropy":
        return _classes(labels, outputs, network, ignore)
    if loss in ("mse", "bce") and outputs is not None and labels.size != np.prod(outputs.shape):
        classes = np.issubdtype(labels.dtype, np.integer) and len(outputs.shape) == labels.ndim + 1
        raise InputError(
            f"labels have shape {labels.shape} and network {network!r} gives outputs of shape {outputs.shape}; loss "
            f"{loss!r} takes one number per output.{' For classes take cross_entropy.' if classes else ''}"
        )
    if loss == "bce":
        _check_probabilities(labels)
    return labels, None


def _classes(
    labels: np.ndarray, outputs: jax.ShapeDtypeStruct | None, network: str, ignore: int | None
) -> tuple[np.ndarray, np.ndarray | None]:
    if outputs is not None:
        if len(outputs.shape) < 2:
            raise InputError(
                f"network {network!r} gives outputs of shape {outputs.shape}; 'cross_entropy' takes class scores "
                "[N, C] or [N, T, C]."
            )
        if labels.shape == outputs.shape:
            labels = _from_one_hot(labels)
        elif labels.shape == (*outputs.shape[:-1], 1):
            labels = labels[..., 0]
        elif labels.shape != outputs.shape[:-1]:
            raise InputError(
                f"labels have shape {labels.shape} and network {network!r} gives outputs of shape {outputs.shape}; "
                f"'cross_entropy' takes classes of shape {outputs.shape[:-1]} or one-hot labels of the outputs' shape."
            )
    bad = np.argwhere(labels != np.floor(labels)) if labels.dtype != bool else np.empty((0, 1))
    if len(bad):
        raise InputError(
            f"labels: example {bad[0][0]} has label {labels[tuple(bad[0])]}, which is no whole number; 'cross_entropy' "
            "takes classes 0, 1, …. For numbers take 'mse'."
        )
    classes = labels.astype(np.int64)
    counted = None if ignore is None else classes != ignore
    highest = None if outputs is None else outputs.shape[-1]
    wrong = (classes < 0) if highest is None else (classes < 0) | (classes >= highest)
    bad = np.argwhere(wrong if counted is None else wrong & counted)
    if len(bad):
        _refuse_class(classes, bad[0], highest, network)
    if counted is None:
        return classes.astype(np.int32), None
    if not counted.any():
        raise InputError(f"ignore: every label is {ignore}, so nothing is left to learn from.")
    kept = np.where(counted, classes, 0).astype(np.int32)
    return kept, None if counted.all() else counted.astype(np.float64)


def _refuse_class(classes: np.ndarray, where: np.ndarray, highest: int | None, network: str) -> None:
    label = classes[tuple(where)]
    position = f", position {', '.join(map(str, where[1:]))}," if len(where) > 1 else ""
    expected = "classes 0, 1, …" if highest is None else f"classes 0 … {highest - 1}"
    advice = " Where −100 marks labels that do not count, give ignore=-100." if label == -100 else ""
    if highest == 1:
        advice = " For yes-or-no labels of one output take 'bce'."
    raise InputError(
        f"labels: example {where[0]}{position} has label {label}; network {network!r} has "
        f"{highest or 'its'} outputs, so 'cross_entropy' takes {expected}.{advice}"
    )


def _from_one_hot(labels: np.ndarray) -> np.ndarray:
    ones = (labels == 1).sum(-1) == 1
    zeros = ((labels == 0) | (labels == 1)).all(-1)
    bad = np.argwhere(~(ones & zeros))
    if len(bad):
        raise InputError(
            f"labels: example {bad[0][0]} is {labels[tuple(bad[0])]}; labels of the outputs' shape must be one-hot. "
            "For soft labels give a loss of your own, (outputs, labels) -> per-example losses."
        )
    return np.asarray(labels.argmax(-1))


def _check_probabilities(labels: np.ndarray) -> None:
    bad = np.argwhere((labels < 0) | (labels > 1)) if labels.dtype != bool else np.empty((0, 1), int)
    if len(bad):
        label = labels[tuple(bad[0])]
        advice = " Write −1/+1 labels as (y + 1) / 2." if set(np.unique(labels)) <= {-1, 1} else ""
        raise InputError(
            f"labels: example {bad[0][0]} has label {label}; 'bce' takes numbers from 0 to 1, or the loss could be "
            f"negative.{advice}"
        )


def check_weights(
    loss: str | PerExampleLoss,
    labels: np.ndarray,
    counted: np.ndarray | None,
    weights: Any,
    class_weights: Any,
    outputs: jax.ShapeDtypeStruct | None,
) -> np.ndarray | None:
    """One weight per example or label with mean 1, of what was given; ``None`` where all count alike.

    The mean over examples of weight times loss is then the weighted mean ``Σ w ℓ / Σ w``, as PyTorch takes it.

    Raises:
        InputError: If weights have another shape, are negative, not finite or all 0, or the loss has no classes.

    Example:
        >>> check_weights("mse", np.zeros((2, 1)), None, [1.0, 3.0], None, None)
        array([0.5, 1.5])
    """
    found = counted
    if weights is not None:
        given = _weights(weights, "weights")
        if given.shape != labels.shape[:1] and (given.shape != labels.shape or not isinstance(loss, str)):
            raise InputError(
                f"weights have shape {given.shape}; expected one per example, {labels.shape[:1]}"
                + (f", or one per label, {labels.shape}." if isinstance(loss, str) else ".")
            )
        if found is not None:
            given = given.reshape(given.shape + (1,) * (found.ndim - given.ndim))
        found = given if found is None else found * given
    if class_weights is not None:
        given = _weights(class_weights, "class_weights")
        if loss != "cross_entropy":
            raise InputError("class_weights: they go with loss 'cross_entropy' alone.")
        count = int(labels.max()) + 1 if outputs is None else outputs.shape[-1]
        if given.ndim != 1 or len(given) < count:
            raise InputError(f"class_weights have shape {given.shape}; expected one per class, ({count},).")
        own = given[labels]
        found = own if found is None else found.reshape(found.shape + (1,) * (own.ndim - found.ndim)) * own
    if found is None:
        return None
    if found.sum() == 0:
        raise InputError("weights: they are all 0 on the labels that count, so nothing is left to learn from.")
    return np.asarray(found / found.mean())


def _weights(given: Any, what: str) -> np.ndarray:
    array = np.asarray(as_array(given), np.float64)
    if not np.isfinite(array).all() or (array < 0).any():
        raise InputError(f"{what}: expected finite numbers of 0 or more; got {array.min()} among them.")
    return array
