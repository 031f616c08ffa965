"""What counts as an answer: labels, their loss, and how well a constant does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from allroads.errors import InputError
from allroads.targets.checks import integer, numbers, one_of

LOSSES = ("bce", "cross_entropy", "mse")


@dataclass(frozen=True, eq=False)
class Answers:
    """Labels that have been checked, and what they ask of a network.

    Args:
        labels: ``[N]`` or ``[N, T]`` classes; ``[N]``, ``[N, C]``, ``[N, T]`` or ``[N, T, C]`` numbers.
        loss: Name of the loss.
        outputs: Number C of outputs.
        per_position: One answer a position.
    """

    labels: np.ndarray
    loss: str
    outputs: int
    per_position: bool


def read_answers(
    where: str,
    labels: Any,
    count: int,
    positions: int,
    loss: str | None = None,
    classes: int | None = None,
    per_position: bool | None = None,
) -> Answers:
    """Check labels against their examples and find their loss.

    Where ``loss`` is ``None``: whole numbers are classes (``cross_entropy``), others are numbers (``mse``).
    Where ``per_position`` is ``None``: classes ``[N, T]`` and numbers ``[N, T, C]`` are one answer a
    position; numbers ``[N, C]`` are C outputs.

    Args:
        where: What to call the target in a message.
        labels: The labels.
        count: Number N of examples.
        positions: Length of the first axis of one example, what T has to be.
        loss: ``"cross_entropy"``, ``"bce"``, ``"mse"`` or ``None``.
        classes: Number of classes for ``cross_entropy``, default the largest label + 1.
        per_position: Whether axis 1 of the labels runs over positions.

    Raises:
        InputError: If the labels are not finite, do not fit the examples or the loss, or lie outside the
            classes.

    Example:
        >>> read_answers("t", [0, 2, 1], count=3, positions=4).outputs
        3
    """
    what = f"{where}: labels"
    array = numbers(what, labels)
    if array.ndim == 0 or len(array) != count:
        raise InputError(f"{what} have shape {array.shape} for {count} examples; expected one label an example.")
    if loss is None:
        loss = "cross_entropy" if classes is not None or array.dtype.kind in "iu" else "mse"
    one_of(f"loss of {where}", loss, LOSSES)
    if loss == "cross_entropy":
        return _classes(what, array, positions, classes, per_position)
    if classes is not None:
        raise InputError(f"{where}: classes={classes} is for cross_entropy, not for {loss}; drop one of the two.")
    if loss == "bce" and not np.isin(array, (0, 1)).all():
        odd = array[~np.isin(array, (0, 1))].flat[0]
        raise InputError(
            f"{what} for bce must be 0 or 1, got {odd}; use cross_entropy for more classes, mse for numbers."
        )
    if per_position is None:
        per_position = array.ndim == 3
    axes = (2, 3) if per_position else (1, 2)
    if array.ndim not in axes or (per_position and array.shape[1] != positions):
        shape = f"[N, {positions}] or [N, {positions}, C]" if per_position else "[N] or [N, C]"
        raise InputError(f"{what} have shape {array.shape}; {loss} expects {shape}. Reshape them or set per_position=.")
    outputs = array.shape[-1] if array.ndim == axes[1] else 1
    kept = array if array.dtype == np.float32 else array.astype(np.float64)
    return Answers(kept, loss, outputs, per_position)


def _classes(what: str, array: np.ndarray, positions: int, classes: int | None, per_position: bool | None) -> Answers:
    if array.dtype.kind == "f" and not (array == np.round(array)).all():
        odd = array[array != np.round(array)].flat[0]
        raise InputError(f"{what} for cross_entropy must be whole numbers, got {odd}; use loss='mse' for real labels.")
    by_position = array.ndim == 2
    fits = array.ndim == 1 or (by_position and array.shape[1] == positions)
    if not fits or (per_position is not None and per_position != by_position):
        raise InputError(
            f"{what} have shape {array.shape}; cross_entropy expects one class an example, [N], "
            f"or one class a position, [N, {positions}]. Turn one-hot rows into classes with argmax(axis=-1)."
        )
    array = array.astype(np.int64)
    low, high = int(array.min()), int(array.max())
    count = high + 1 if classes is None else integer(f"{what}: classes", classes, 2)
    if low < 0 or high >= count:
        raise InputError(
            f"{what} run from {low} to {high}, outside the classes 0 … {max(count - 1, 0)}; "
            "renumber them from 0, set classes=, name the answers with output_alphabet=, or use loss='mse'."
        )
    return Answers(array, "cross_entropy", count, by_position)


def best_constant(labels: np.ndarray, loss: str) -> tuple[float, float]:
    """Accuracy and loss that the best constant answer reaches on these labels.

    A constant ignores the input; where there are several positions or outputs it may differ between them. The
    two numbers are two optima, each over all constants. Accuracy is judged as ``pfmap.losses.correct`` does:
    right class, right side of 0, or (``mse``) nearer than ½. The loss is the entropy of the labels in nats,
    or their variance.

    Example:
        >>> import numpy as np
        >>> accuracy, loss = best_constant(np.array([0, 0, 0, 1]), "cross_entropy")
        >>> accuracy, round(loss, 6)
        (0.75, 0.562335)
    """
    columns = labels.reshape(len(labels), -1).T
    if loss == "mse":
        return float(np.mean([_fullest_window(c) for c in columns])), float(columns.astype(float).var(axis=1).mean())
    shares = [np.unique(c, return_counts=True)[1] / len(c) for c in columns]
    entropies = [-(p * np.log(p)).sum() for p in shares]
    return float(np.mean([p.max() for p in shares])), float(max(np.mean(entropies), 0.0))


def _fullest_window(values: np.ndarray) -> float:
    """Largest share of ``values`` that one number is nearer to than ½."""
    ordered = np.sort(values.astype(float))
    ends = np.searchsorted(ordered, ordered + 1, side="left")
    return float((ends - np.arange(len(ordered))).max() / len(ordered))
