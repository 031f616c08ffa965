"""InPCA: probabilistic models embedded by their Bhattacharyya distances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from allroads.errors import InputError
from allroads.results import Result
from allroads.status import PathStatus, Status


@dataclass(frozen=True, repr=False)
class Embedding(Result):
    """Points in the space that keeps their distances best.

    Args:
        coordinates: ``[m, dimensions]``, axes by falling ``|eigenvalue|``.
        eigenvalues: All of them in that order, ``[m]``; a negative one is a time-like axis, along which squared
            distance counts down.
        explained_stress: ``χ_k = 1 − √(1 − Σ_{i≤k} λ_i² / Σ λ_i²)`` for k = 1 … dimensions.
        status: ``ok``.
    """

    coordinates: Float[np.ndarray, "models dimensions"]
    eigenvalues: Float[np.ndarray, " models"]
    explained_stress: Float[np.ndarray, " dimensions"]
    status: Status = PathStatus.OK

    @property
    def value(self) -> np.ndarray:
        """The coordinates."""
        return self.coordinates

    @property
    def error(self) -> None:
        """``None``: the embedding is exact."""
        return None

    @property
    def stats(self) -> dict[str, Any]:
        """``explained_stress``."""
        return {"explained_stress": self.explained_stress}


def bhattacharyya(p: Any, q: Any) -> Float[np.ndarray, "models others"]:
    """Bhattacharyya distance ``−(1/N) Σ_n log Σ_c √(p_nc q_nc)`` in nats, mean over the probes.

    Args:
        p: Probabilities ``[m, N, C]``.
        q: Probabilities ``[k, N, C]``.

    Returns:
        ``[m, k]``. Models with no common support on some probe are held at 100, and rounding below 0 at 0.

    References:
        [mao2024]

    Example:
        >>> import numpy as np
        >>> p, q = np.array([[[1.0, 0.0]]]), np.array([[[0.5, 0.5]]])
        >>> round(float(bhattacharyya(p, q)[0, 0]), 9)  # ½ log 2
        0.34657359
    """
    p, q = np.sqrt(np.asarray(p, np.float64)), np.sqrt(np.asarray(q, np.float64))
    total = np.zeros((len(p), len(q)))
    with np.errstate(divide="ignore"):
        for n in range(p.shape[1]):
            total -= np.log(p[:, n] @ q[:, n].T)
    distances: np.ndarray = np.clip(np.nan_to_num(total / p.shape[1], posinf=100.0), 0.0, 100.0)
    return distances


def inpca(distances: Any, dimensions: int = 3) -> Embedding:
    """Intensive principal components: eigenvectors of ``−½ L D L``, scaled by ``√|λ|``, L the centring matrix.

    With Bhattacharyya distances this is InPCA; with squared Euclidean distances it is principal component analysis.

    Args:
        distances: A symmetric matrix of (squared-distance-like) dissimilarities, ``[m, m]``.
        dimensions: Axes to return, at most m; default 3.

    Returns:
        An :class:`Embedding`. The sign of an axis is set so that its largest coordinate is positive.

    Raises:
        InputError: If the matrix is not square, symmetric and finite.

    References:
        [mao2024], [quinn2019]

    Example:
        Three points on a line, by their squared distances:

        >>> import numpy as np
        >>> x = np.array([0.0, 1.0, 3.0])
        >>> line = inpca((x[:, None] - x) ** 2, dimensions=1)
        >>> [round(float(c), 6) for c in line.coordinates[:, 0] - line.coordinates[0, 0]]
        [0.0, 1.0, 3.0]
    """
    distances = np.asarray(distances, np.float64)
    if distances.ndim != 2 or distances.shape[0] != distances.shape[1] or not np.isfinite(distances).all():
        raise InputError(f"inpca: expected a finite square matrix of distances; got shape {distances.shape}.")
    if not np.allclose(distances, distances.T, rtol=1e-8, atol=1e-10):
        raise InputError("inpca: the distances are not symmetric; use D + Dᵀ or a symmetric divergence.")
    centred = distances - distances.mean(0) - distances.mean(1)[:, None] + distances.mean()
    eigenvalues, vectors = np.linalg.eigh(-0.5 * centred)
    order = np.argsort(-np.abs(eigenvalues), kind="stable")
    eigenvalues, vectors = eigenvalues[order], vectors[:, order]
    kept = min(dimensions, len(distances))
    coordinates = vectors[:, :kept] * np.sqrt(np.abs(eigenvalues[:kept]))
    largest = np.abs(coordinates).argmax(axis=0)
    coordinates *= np.where(coordinates[largest, np.arange(kept)] < 0, -1.0, 1.0)
    total = float((eigenvalues**2).sum())
    shares = np.cumsum(eigenvalues[:kept] ** 2) / total if total > 0 else np.ones(kept)
    return Embedding(coordinates, eigenvalues, 1 - np.sqrt(np.clip(1 - shares, 0.0, None)))
