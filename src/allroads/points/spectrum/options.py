"""What may be asked of a spectrum, checked, and what it will take."""

from __future__ import annotations

import math

import numpy as np

from allroads.errors import InputError, UnknownNameError
from allroads.points.spectrum.eigenpairs import vectors_held
from allroads.points.spectrum.quadrature import lanczos_bytes

METHODS = ("dense", "matrix_free")
DENSE = 1500
"""Matrices up to this size are made whole: their eigenvalues then take about a second."""
TOP = 10


def choose_method(method: str | None, size: int, memory: int) -> str:
    """The method asked for; by default the exact one where the matrix is small and fits.

    Raises:
        UnknownNameError: If there is no such method.
    """
    if method is None:
        return "dense" if size <= DENSE and dense_bytes(size) <= memory // 2 else "matrix_free"
    if method not in METHODS:
        raise UnknownNameError("method", method, METHODS)
    return method


def dense_bytes(size: int) -> int:
    """Bytes of the matrix in double precision, its vectors, and the work space of the solver."""
    return 6 * 8 * size * size


def matrix_free_bytes(size: int, itemsize: int, pairs: int, steps: int) -> int:
    """Bytes of the largest of the parts, which are done one after another, and of the eigenvectors kept."""
    parts = (
        8 * size * vectors_held(max(1, pairs), size),
        lanczos_bytes(size, itemsize, steps) + itemsize * size * pairs,
    )
    return max(parts) + 2 * 8 * size * pairs


def number_of_pairs(name: str, asked: int | None, size: int, of_what: str) -> int:
    """How many eigenpairs; ``None`` stands for ten, or all where there are fewer.

    Raises:
        InputError: If it is not a whole number from 0 to the size of the matrix.
    """
    if asked is None:
        return min(TOP, size)
    if not isinstance(asked, int | np.integer) or not 0 <= asked <= size:
        raise InputError(f"{name}={asked!r}: expected a whole number from 0 to {size}, the number of {of_what}.")
    return int(asked)


def check_sampling(probes: int, steps: int, tolerance: float) -> None:
    """Refuse what no estimate can be made from.

    Raises:
        InputError: If a number is too small.
    """
    if probes < 2 or steps < 2:
        raise InputError(f"expected at least 2 probes and 2 steps, got probes={probes} and steps={steps}.")
    if not tolerance > 0:
        raise InputError(f"tolerance={tolerance}: expected a number above 0, a residual over the largest eigenvalue.")


def shift_of(nbeta: float | None, localisation: float, examples: int) -> float:
    """γ / nβ, with ``nβ = n / ln n`` by default (1 for one example).

    Raises:
        InputError: If nβ is not positive or the localisation negative.

    Example:
        >>> shift_of(100.0, 1.0, 5)
        0.01
    """
    if nbeta is None:
        nbeta = examples / math.log(examples) if examples > 1 else 1.0
    if not (nbeta > 0 and localisation >= 0 and math.isfinite(nbeta) and math.isfinite(localisation)):
        raise InputError(
            f"expected a finite nbeta above 0 and a finite localisation of 0 or more, got nbeta={nbeta}, "
            f"localisation={localisation}."
        )
    return localisation / nbeta


def default_tolerance(itemsize: int) -> float:
    """1e-8 in double precision, 1e-5 in single: some ten times what rounding leaves of a product's accuracy."""
    return 1e-8 if itemsize == 8 else 1e-5
