"""Principal components of a random walk: how much of its variance they explain without any reason."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float

from allroads.errors import InputError


def walk_shares(lengths: Any) -> Float[np.ndarray, " components"]:
    """Shares of variance that principal components explain of a random walk in many dimensions.

    The steps have the given lengths, and directions that are independent. In many dimensions such directions are at
    right angles, so the inner products of the centred positions are ``H S diag(l²) Sᵀ H``: S sums steps up, H centres.
    The shares are the eigenvalues of that matrix over their sum. For n equal steps they are

        ``6 / (n (n + 2) · 4 sin²(πk / (2 (n + 1))))``, which tends to ``(6/π²) / k²``:

    61 % for the first component and 76 % for the first two. The coordinates are then cosines, and their picture is a
    Lissajous curve.

    Args:
        lengths: Lengths of the n steps, ``[n]``, not all 0.

    Returns:
        All n shares, falling; they sum to 1.

    Raises:
        InputError: If there is no step, or a length is negative or not finite, or all are 0.

    When it fails: where the parameters are not many more than the steps, a walk has larger shares than these.

    References: [antognini2018]

    Example:
        >>> walk_shares(np.ones(1000))[:3].round(3).tolist(), [round(6 / (np.pi * k) ** 2, 3) for k in (1, 2, 3)]
        ([0.608, 0.152, 0.068], [0.608, 0.152, 0.068])
    """
    given = np.asarray(lengths, np.float64)
    if given.ndim != 1 or not given.size or not np.isfinite(given).all() or (given < 0).any() or not given.any():
        raise InputError(f"lengths: expected lengths of steps [n], finite, not all 0; got shape {given.shape}.")
    sums = np.tril(np.ones((len(given) + 1, len(given))), -1) * (given / given.max())
    values = np.linalg.svd(sums - sums.mean(axis=0), compute_uv=False) ** 2
    shares: np.ndarray = values / values.sum()
    return shares
