"""What may be asked of a spectrum, checked, and what it will take."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from allroads.checks import check_choice, check_count, check_number
from allroads.errors import InputError
from allroads.points.spectrum.eigenpairs import vectors_held
from allroads.points.spectrum.quadrature import lanczos_bytes

METHODS = ("dense", "matrix_free")
DENSE = 1500
"""Matrices up to this size are made whole: their eigenvalues then take about a second."""
TOP = 10


@dataclass(frozen=True)
class SpectrumOptions:
    """How eigenvalues and traces are computed.

    Args:
        method: ``"dense"`` makes the matrix whole and is exact; ``"matrix_free"`` uses products alone. Default: dense
            up to 1,500 rows where it fits in half the memory.
        probes: Random vectors of the matrix-free estimates; default 16. Their error falls as its root.
        steps: Lanczos steps from each; default 80.
        tolerance: Largest residual over the largest ``|λ|`` of a converged eigenpair; default 1e-8, in single
            precision 1e-5.
        memory: Bytes to use beside the arguments; default 2³¹ (2 GiB). Examples are taken in parts to fit.

    Raises:
        UnknownNameError: If there is no such method.
        InputError: If a number is out of range.
    """

    method: str | None = None
    probes: int = 16
    steps: int = 80
    tolerance: float | None = None
    memory: int = 2**31

    def __post_init__(self) -> None:
        if self.method is not None:
            check_choice("method", self.method, METHODS)
        check_count("probes", self.probes, 2)
        check_count("steps", self.steps, 2)
        check_number("tolerance", self.tolerance, 0, open_low=True, absent=True)
        check_count("memory", self.memory)

    def method_for(self, size: int) -> str:
        """The method asked for; by default the exact one where the matrix is small and fits."""
        small = size <= DENSE and dense_bytes(size) <= self.memory // 2
        return self.method or ("dense" if small else "matrix_free")

    def tolerance_for(self, itemsize: int) -> float:
        """The tolerance asked for; by default some ten times what rounding leaves of a product's accuracy."""
        return self.tolerance or (1e-8 if itemsize == 8 else 1e-5)


def dense_bytes(size: int) -> int:
    """Bytes of the matrix in double precision, its vectors, and the work space of the solver."""
    return 6 * 8 * size * size


def matrix_free_bytes(size: int, itemsize: int, pairs: int, steps: int, watched: bool = False) -> int:
    """Bytes of the largest of the parts, which are done one after another, and of the eigenvectors kept."""
    parts = (
        8 * size * vectors_held(max(1, pairs), size, watched),
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
        raise InputError(f"{name}: expected a whole number from 0 to {size}, the number of {of_what}; got {asked!r}.")
    return int(asked)


def usual_shift(examples: int) -> float:
    """γ / nβ at γ = 1 and ``nβ = n / ln n`` [watanabe2009]; 1 for one example.

    Example:
        >>> usual_shift(1)
        1.0
    """
    return math.log(examples) / examples if examples > 1 else 1.0
