"""At which steps a run is recorded."""

from __future__ import annotations

import numpy as np

from allroads.errors import InputError


def log_spaced(steps: int, records: int) -> np.ndarray:
    """At most ``records`` distinct steps from 0 to ``steps``, spaced evenly in ``log(1 + step)``.

    Args:
        steps: The last step, ≥ 0.
        records: How many at most, ≥ 2 unless ``steps`` is 0.

    Returns:
        Increasing integers; the first is 0 and the last is ``steps``.

    Raises:
        InputError: On numbers that are too small.

    Example:
        >>> log_spaced(100, 6).tolist()
        [0, 2, 5, 15, 39, 100]
    """
    if steps < 0 or records < min(2, steps + 1):
        raise InputError(f"steps must be ≥ 0 and records ≥ 2; got steps={steps}, records={records}.")
    if records > steps:
        return np.arange(steps + 1)
    spaced = np.rint(np.expm1(np.linspace(0, np.log1p(steps), records))).astype(int)
    return np.unique(np.concatenate([[0], spaced[1:-1], [steps]]))
