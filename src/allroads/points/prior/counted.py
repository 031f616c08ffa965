"""Counted functions: what each answers, how probable it is, and which of them fit some data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np

from allroads.checks import check_count
from allroads.errors import InputError
from allroads.points.prior.answers import Answers
from allroads.points.prior.estimates import clopper_pearson
from allroads.results import Measurement
from allroads.status import PriorStatus


class CountedFunctions:
    """Functions with the number of draws or runs that gave each, most frequent first.

    A subclass is a frozen dataclass with these fields.

    Attributes:
        counts: How often each function came ``[K]``.
        codes: The functions, packed ``[K, W]``.
        rows: The row of a truth table that each input is; ``None`` where the inputs are not all of some number of bits.
        samples: Number of draws or runs.
        stats: ``answers``, ``outputs``, ``inputs`` (a digest) and ``exact``, among others.
    """

    counts: np.ndarray
    codes: np.ndarray
    rows: np.ndarray | None
    samples: int
    stats: Mapping[str, Any]

    @property
    def distinct(self) -> int:
        """Number of different functions that were drawn."""
        return len(self.counts)

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
                "prior: a truth table needs one sign per input, and inputs that are all 2^n rows of n two-valued "
                "bits, each once. Use prior.answers(k)."
            )
        table = np.empty(len(self.rows), np.int64)
        table[self.rows] = self.answers(k).ravel()
        return table

    def probability(self, answers: Any) -> Measurement:
        """P(f) of a given function: its share of the draws, with its Clopper–Pearson interval.

        Args:
            answers: What f answers on the inputs, in their order: 0 and 1, or classes.

        Returns:
            The share. ``stats`` holds ``count``, ``samples``, and the 95 % interval ``low`` to ``high``; ``error``
            is its larger side. For a function that never came, the upper end is the bound on P(f).

        Raises:
            InputError: If they are no answers on these inputs.

        References: [clopper1934]
        """
        count = self._places.get(self._read.code(answers).tobytes())
        return self._share(0 if count is None else int(self.counts[count]))

    def _share(self, count: int) -> Measurement:
        if self.samples == 0:
            return Measurement(
                math.nan, None, PriorStatus.DIVERGED, {"count": 0, "samples": 0, "low": 0.0, "high": 1.0}
            )
        low, high = clopper_pearson(count, self.samples)
        value = count / self.samples
        stats = {"count": count, "samples": self.samples, "low": low, "high": high}
        return Measurement(value, max(value - low, high - value), PriorStatus.OK, stats)

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
