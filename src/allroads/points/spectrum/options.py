"""What may be asked of a spectrum, checked, and what it will take."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from allroads.checks import check_choice, check_count, check_number
from allroads.errors import InputError
from allroads.memory import check_left
from allroads.points.spectrum.eigenpairs import usual_krylov, vectors_held
from allroads.points.spectrum.quadrature import lanczos_bytes
from allroads.points.spectrum.recurrence import VECTORS

METHODS = ("dense", "matrix_free")
DENSE = 1500
"""Matrices up to this size are made whole: their eigenvalues then take about a second."""
TOP = 10
MEMORY = 2**31
"""The usual budget, 2 GiB."""
PRODUCT_VECTORS = 6
"""Vectors of the matrix's size that a product takes at least: the point, the direction, gradients, the result."""


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
        memory: Bytes to use beside the arguments; default 2³¹ (2 GiB), or 2 GiB more than the vectors take where these
            are longer. Examples are taken in parts to fit. Where the usual vectors do not fit, fewer are held, in the
            precision of the point, and the random vectors keep no Krylov basis.

    Raises:
        UnknownNameError: If there is no such method.
        InputError: If a number is out of range.
    """

    method: str | None = None
    probes: int = 16
    steps: int = 80
    tolerance: float | None = None
    memory: int | None = None

    def __post_init__(self) -> None:
        if self.method is not None:
            check_choice("method", self.method, METHODS)
        check_count("probes", self.probes, 2)
        check_count("steps", self.steps, 2)
        check_number("tolerance", self.tolerance, 0, open_low=True, absent=True)
        check_count("memory", self.memory, absent=True)

    @property
    def budget(self) -> int:
        """The memory asked for, or the usual."""
        return self.memory or MEMORY

    def method_for(self, size: int) -> str:
        """The method asked for; by default the exact one where the matrix is small and fits."""
        small = size <= DENSE and dense_bytes(size) <= self.budget // 2
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


@dataclass(frozen=True)
class Vectors:
    """Which vectors a matrix-free spectrum holds.

    Attributes:
        lean: Whether the random vectors keep no basis, and eigenpairs are in the precision of the point.
        krylov: Vectors that ARPACK holds.
        held: Bytes of all of them at their peak.
        memory: The budget, for them and for the products.
    """

    lean: bool
    krylov: int
    held: int
    memory: int


def vectors_for(size: int, itemsize: int, pairs: int, options: SpectrumOptions, left: int | None) -> Vectors:
    """The vectors that fit the memory; where the usual ones do not, fewer.

    Args:
        size: d.
        itemsize: Bytes of one number of the point.
        pairs: Eigenpairs asked for.
        options: The options.
        left: Bytes that are there, where that is known.

    Raises:
        MemoryBudgetError: If the fewest, and one product, need more than is there.

    Example:
        A million parameters, and a hundred million:

        >>> small, large = (vectors_for(size, 4, 1, SpectrumOptions(), None) for size in (10**6, 10**8))
        >>> small.lean, large.lean, large.krylov
        (False, True, 4)
    """
    product, usual = PRODUCT_VECTORS * itemsize * size, usual_krylov(max(1, pairs), size)
    held, memory = matrix_free_bytes(size, itemsize, pairs, options.steps, True), options.budget
    room = memory if left is None else min(memory, left)
    if held + product <= room:
        return Vectors(False, usual, held, memory)
    krylov = usual
    for krylov in (usual, 2 * pairs + 6, pairs + 3):
        searched = vectors_held(pairs, size, True, min(krylov, usual)) + 2 * pairs if pairs else 0
        held = itemsize * size * (VECTORS + searched)
        if held + product <= room:
            break
    memory = options.memory or max(memory, held + product + MEMORY)
    what = f"the spectrum of {size:,} parameters with {pairs} eigenpairs"
    check_left(what, held + product, left, "Ask for fewer eigenpairs (top=, bottom=), or restrict it with mask.")
    return Vectors(True, min(krylov, usual), held, memory)


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
