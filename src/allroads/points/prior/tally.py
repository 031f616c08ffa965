"""Exact counts of codes that come in by the million."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PENDING = 2**20
"""Rows that are gathered before they are sorted."""


@dataclass(frozen=True)
class Table:
    """Different codes with what was summed over their rows.

    Args:
        codes: ``[K, W]`` of 64 bits, in the order of the codes.
        first: The smallest number of a row with that code ``[K]``.
        sums: ``[K, S]``; column 0 is the count.
    """

    codes: np.ndarray
    first: np.ndarray
    sums: np.ndarray

    def __len__(self) -> int:
        return len(self.codes)


class Tally:
    """Sums over the rows of each code; memory grows with the number of different codes alone.

    Rows are gathered, then sorted and summed; sorted tables are merged whenever two are about as long. A row is thus
    sorted about log₂(rows / 2²⁰) times.

    Args:
        width: W, words of 64 bits per code.
        columns: S, numbers that are summed per row.

    Example:
        >>> tally = Tally(1, 1)
        >>> tally.add(np.array([[7], [3], [7]], np.uint64), np.arange(3), np.ones((3, 1), int))
        >>> table = tally.table()
        >>> table.codes.ravel().tolist(), table.sums.ravel().tolist(), table.first.tolist()
        ([3, 7], [1, 2], [1, 0])
    """

    def __init__(self, width: int, columns: int):
        self.empty = Table(np.empty((0, width), np.uint64), np.empty(0, np.int64), np.empty((0, columns), np.int64))
        self.pending: list[Table] = []
        self.sorted: list[Table] = []

    def add(self, codes: np.ndarray, first: np.ndarray, sums: np.ndarray) -> None:
        """Take rows in: codes ``[M, W]``, their numbers ``[M]``, what is summed ``[M, S]``."""
        if sum(map(len, self.pending)) >= PENDING:
            self._sort()  # before the rows are taken in: an interrupt here leaves all that was in and none of these
        self.pending.append(Table(codes, first, sums))

    def table(self) -> Table:
        """All that came in, each code once."""
        self._sort()
        while len(self.sorted) > 1:
            self._merge()
        return self.sorted[0] if self.sorted else self.empty

    def _sort(self) -> None:
        if self.pending:
            self.sorted, self.pending = [*self.sorted, _summed(self.pending)], []
        while len(self.sorted) > 1 and len(self.sorted[-2]) <= 2 * len(self.sorted[-1]):
            self._merge()

    def _merge(self) -> None:
        self.sorted[-2:] = [_summed(self.sorted[-2:])]


def _summed(tables: list[Table]) -> Table:
    codes, first, sums = (np.concatenate([getattr(t, name) for t in tables]) for name in ("codes", "first", "sums"))
    if not len(codes):
        return Table(codes, first, sums)
    order = np.lexsort(codes.T)
    codes = codes[order]
    starts = np.flatnonzero(np.r_[True, (codes[1:] != codes[:-1]).any(axis=1)])
    return Table(codes[starts], np.minimum.reduceat(first[order], starts), np.add.reduceat(sums[order], starts, axis=0))
