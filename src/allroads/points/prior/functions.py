"""Functions that were found, packed, and how they are read: what a prior and a posterior share."""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from allroads.checks import check_count
from allroads.distributions import share
from allroads.errors import InputError
from allroads.points.prior.answers import Answers
from allroads.results import Measurement, Result


class FunctionTable(Result):
    """A result over K functions: fields ``codes`` ``[K, W]``, ``rows``, and ``answers``, ``outputs`` in ``stats``."""

    if TYPE_CHECKING:
        codes: np.ndarray
        rows: np.ndarray | None

    @property
    def distinct(self) -> int:
        """Number of different functions that were found."""
        return len(self.codes)

    @property
    def exact(self) -> bool:
        """Whether functions were told apart by their answers, and not by a digest of 128 bits."""
        return bool(self.stats["exact"])

    def answers(self, k: int) -> np.ndarray:
        """What function k answers on the inputs: 0 and 1, or classes, in the order of the inputs.

        Raises:
            InputError: If there is no function k, or digests were kept.
        """
        self._check(k)
        return self._read.read(self.codes[k])

    def truth_table(self, k: int) -> np.ndarray:
        """The truth table ``[2^n]`` of function k, row r the input whose bit i is ``(r >> i) & 1``.

        Raises:
            InputError: If the inputs are not all inputs of n bits, or a function has more than one bit per input.
        """
        if self.rows is None or self._read.kind != "signs" or math.prod(self._read.shape) != len(self.rows):
            raise InputError(
                "functions: a truth table needs one sign per input, and inputs that are all 2^n rows of n two-valued "
                "bits, each once. Use .answers(k)."
            )
        table = np.empty(len(self.rows), np.int64)
        table[self.rows] = self.answers(k).ravel()
        return table

    def place(self, answers: Any) -> int | None:
        """The number k of the function that gives these answers; ``None`` where it was not found.

        Raises:
            InputError: If they are no answers on these inputs.
        """
        return self._places.get(self._read.code(answers).tobytes())

    def _check(self, k: int) -> None:
        check_count("k", k, 0)
        if k >= self.distinct:
            raise InputError(f"k: expected a function from 0 to {self.distinct - 1}; got {k}.")

    @cached_property
    def _read(self) -> Answers:
        return Answers(self.stats["answers"], tuple(self.stats["outputs"]))

    @cached_property
    def _places(self) -> dict[bytes, int]:
        return {code.tobytes(): place for place, code in enumerate(self.codes)}


class CountedFunctions(FunctionTable):
    """Functions that were counted: fields ``counts`` ``[K]``, ``samples`` and ``effective`` besides."""

    if TYPE_CHECKING:
        counts: np.ndarray
        samples: int
        effective: Measurement

    @property
    def value(self) -> float:
        """The effective number of functions."""
        return self.effective.value

    @property
    def error(self) -> float | None:
        """The larger side of its interval."""
        return self.effective.error

    def probability(self, answers: Any) -> Measurement:
        """The share of a given function, with its Clopper–Pearson interval: an estimate of its probability.

        Args:
            answers: What the function answers on the inputs, in their order: 0 and 1, or classes.

        Returns:
            The share. ``stats`` holds ``count``, ``samples``, and the 95 % interval ``low`` to ``high``; ``error``
            is its larger side. For a function that never came, the upper end is the bound on its probability.

        Raises:
            InputError: If they are no answers on these inputs.

        References: [clopper1934]
        """
        place = self.place(answers)
        return share(0 if place is None else int(self.counts[place]), self.samples)


def rows_of_cube(inputs: np.ndarray) -> np.ndarray | None:
    """The row ``Σ_i bit_i 2^i`` of each input, where the inputs are all 2^n of n two-valued bits; else ``None``.

    Example:
        >>> rows_of_cube(np.array([[-1, 1], [1, 1], [-1, -1], [1, -1]])).tolist()
        [2, 3, 0, 1]
    """
    flat = inputs.reshape(len(inputs), -1)
    bits = flat.shape[1]
    values = np.unique(flat)
    if len(values) != 2 or bits > 62 or len(flat) != 1 << bits:
        return None
    rows: np.ndarray = (flat == values[1]).astype(np.int64) @ (1 << np.arange(bits))
    return rows if len(np.unique(rows)) == len(rows) else None
