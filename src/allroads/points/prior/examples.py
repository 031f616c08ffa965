"""Training examples beside the probes on which functions are told apart."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from allroads.errors import InputError
from allroads.pfmap.inputs import checked_examples
from allroads.points.prior.answers import Answers


def checked_array(given: Any, what: str) -> np.ndarray:
    """Data as a NumPy array of finite numbers that leads with examples.

    Raises:
        InputError: If they are none.
    """
    return checked_examples(given, what)


def joined(inputs: np.ndarray, probes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The probes, followed by what inputs are not among them, and the row of each input in that.

    Example:
        >>> union, rows = joined(np.array([[2.0], [5.0], [2.0]]), np.array([[1.0], [2.0]]))
        >>> union.ravel().tolist(), rows.tolist()
        ([1.0, 2.0, 5.0], [1, 2, 1])
    """
    kind = np.result_type(inputs, probes)
    given, union = inputs.astype(kind) + 0, list(probes.astype(kind) + 0)  # + 0: one zero, whatever its sign
    places: dict[bytes, int] = {}
    for place, row in enumerate(union):
        places.setdefault(row.tobytes(), place)
    rows = []
    for row in given:
        if row.tobytes() not in places:
            places[row.tobytes()] = len(union)
            union.append(row)
        rows.append(places[row.tobytes()])
    return np.stack(union), np.array(rows)


def checked_answers(found: np.ndarray, read: Answers, rows: np.ndarray) -> np.ndarray:
    """Checked labels as answers ``[m, …]`` of the inputs in these rows.

    Raises:
        InputError: If they are no answers, not one per input, or equal inputs have different ones.
    """
    shape = (len(rows), *read.shape[1:])
    most = read.outputs[-1] if read.kind == "classes" else 2
    if found.size != math.prod(shape) or len(found) != len(rows):
        raise InputError(
            f"labels: shape {list(found.shape)} for {len(rows)} inputs; expected {list(shape)}, one answer per output."
        )
    if not np.isin(found, np.arange(most)).all():
        raise InputError(
            f"labels: expected whole numbers from 0 to {most - 1}, as outputs are read as {read.kind}; got "
            f"{found[~np.isin(found, np.arange(most))].ravel()[0]}."
        )
    right = found.astype(np.int64).reshape(shape)
    first: dict[int, int] = {}
    for number, row in enumerate(rows.tolist()):
        other = first.setdefault(row, number)
        if (right[other] != right[number]).any():
            raise InputError(
                f"labels: inputs {other} and {number} are equal and their labels differ, so no network fits both. Drop "
                "one of them."
            )
    return right
