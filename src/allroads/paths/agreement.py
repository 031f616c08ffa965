"""Agreement: on what share of inputs two networks answer alike."""

from __future__ import annotations

from typing import Any

import numpy as np

from allroads.errors import InputError
from allroads.pfmap.arrays import as_array
from allroads.pfmap.losses import PerExampleLoss


def answers(outputs: Any, loss: str | PerExampleLoss) -> np.ndarray:
    """What outputs say: the class, the bit, or the nearest integer.

    Args:
        outputs: ``[..., C]``.
        loss: ``"cross_entropy"``: index of the largest score ``[...]``; ``"bce"``: whether the logit is positive
            ``[..., C]``; otherwise: rounded outputs ``[..., C]``.

    Example:
        >>> answers([[0.2, 1.4]], "cross_entropy").tolist(), answers([[0.2, 1.4]], "mse").tolist()
        ([1], [[0, 1]])
    """
    scores: np.ndarray = np.asarray(outputs)
    if loss == "cross_entropy":
        said: np.ndarray = scores.argmax(axis=-1)
    elif loss == "bce":
        said = (scores > 0).astype(int)
    else:
        said = np.rint(scores).astype(int)
    return said


def agreement(a: Any, b: Any, loss: str | PerExampleLoss) -> float:
    """Share of examples on which two sets of outputs give the same answer, all positions of an example together.

    Args:
        a: Outputs ``[N, …, C]`` of one network.
        b: Outputs of the other on the same inputs.
        loss: How outputs are read, see :func:`answers`.

    Raises:
        InputError: If the shapes differ.

    Example:
        >>> agreement([[1.0], [-2.0], [3.0]], [[4.0], [1.0], [5.0]], "bce")
        0.6666666666666666
    """
    a, b = as_array(a), as_array(b)
    if a.shape != b.shape:
        raise InputError(f"agreement: outputs have shapes {a.shape} and {b.shape}; expected the same inputs for both.")
    same = answers(a, loss) == answers(b, loss)
    return float(same.reshape(len(a), -1).all(axis=1).mean())
