"""What lies between two functions: the stays of each run on its way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from allroads.atlases.reach.descents import Ends
from allroads.points.prior.answers import Answers


@dataclass(frozen=True, eq=False)
class Walks:
    """Stays of runs at functions, in the order of the runs and of time: consecutive equal functions are one stay.

    Args:
        run: The run of each stay, its place in ``steps.ravel()``, ``[V]``.
        step: The first step of the stay, ``[V]``.
        codes: The function, packed ``[V, K]``.
        answers: How codes are read.
    """

    run: np.ndarray
    step: np.ndarray
    codes: np.ndarray
    answers: Answers

    def functions(self) -> np.ndarray:
        """The answers of each stay, ``[V, …]``.

        Raises:
            InputError: If a function has too many answers, so that digests were kept.
        """
        if not self.answers.exact:
            self.answers.read(self.codes[0])
        return self.answers.read_all(self.codes)

    @property
    def moves(self) -> tuple[np.ndarray, np.ndarray]:
        """The stays from which and to which a run changes its function, as rows of this table."""
        from_ = np.flatnonzero(self.run[1:] == self.run[:-1])
        return from_, from_ + 1

    @staticmethod
    def joined(parts: Sequence[Walks], answers: Answers) -> Walks:
        """Several tables one after another."""
        if not parts:
            none = answers.codes(np.zeros((1, answers.words), np.uint32))[:0]
            return Walks(np.zeros(0, np.int64), np.zeros(0, np.int32), none, answers)
        columns = zip(*((part.run, part.step, part.codes) for part in parts), strict=True)
        run, step, codes = (np.concatenate(column) for column in columns)
        return Walks(run, step, codes, answers)


def walks_of(ends: Ends, runs: np.ndarray, answers: Answers) -> Walks:
    """The stays that descents remembered.

    Args:
        ends: Of descents ``[J]``.
        runs: Number of each.
        answers: How they were read.
    """
    kept = ends.words.shape[1]
    there: Any = np.arange(kept) < np.minimum(ends.stays, kept)[:, None]
    numbers = np.broadcast_to(runs[:, None], there.shape)[there]
    return Walks(numbers, ends.since[there], answers.codes(ends.words[there]), answers)
