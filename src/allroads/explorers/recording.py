"""What a run records, and at which of its steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from allroads.checks import check_count
from allroads.errors import MemoryBudgetError
from allroads.explorers.schedule import log_spaced
from allroads.memory import tree_bytes
from allroads.pfmap.network import Params


@dataclass(frozen=True, kw_only=True)
class Recording:
    """What :func:`~allroads.explore` records, and what that may take.

    Args:
        records: Recorded steps, at most; spaced evenly in log(1 + step), the first and the last among them.
        checkpoints: Records of which the parameters are kept, at most.
        memory: Bytes that values and parameters may take. Checkpoints are thinned to fit, never below the two ends.
        pack: Members that run side by side on one device, at most; fewer where their working set would not fit the
            cache, or the memory of an accelerator. Default 64, on an accelerator up to 4,096.

    Raises:
        InputError: If an option is no whole number, or too small.

    Example:
        >>> Recording(records=6).steps(100).tolist()
        [0, 2, 5, 15, 39, 100]
    """

    records: int = 64
    checkpoints: int = 16
    memory: int = 2**30
    pack: int | None = None

    def __post_init__(self) -> None:
        for name, least in (("records", 1), ("checkpoints", 1), ("memory", 0)):
            check_count(name, getattr(self, name), least)
        check_count("pack", self.pack, absent=True)

    def steps(self, steps: int) -> np.ndarray:
        """The recorded steps of a run of so many, ``[T]``."""
        return log_spaced(steps, self.records)

    def kept(self, members: int, records: int, params: Params, values: Any) -> np.ndarray:
        """Which records keep their parameters: as many as asked for and as fit the budget, the two ends always.

        Args:
            members: Number of members.
            records: Number of records.
            params: One point, or its shapes.
            values: The outputs on the probes, or their shape.

        Raises:
            MemoryBudgetError: If even the two ends do not fit; says how much is needed.
        """
        outputs = members * records * tree_bytes(values)
        point = members * tree_bytes(params)
        least = min(2, records)
        wanted = max(least, min(self.checkpoints, records))
        affordable = (self.memory - outputs) // max(1, point)
        if affordable < least:
            raise MemoryBudgetError(
                f"recording {members} members needs {(outputs + least * point) / 2**20:,.0f} MiB "
                f"({outputs / 2**20:,.0f} for values at {records} steps, {point / 2**20:,.0f} per checkpoint), the "
                f"budget is {self.memory / 2**20:,.0f} MiB; use fewer probes, records or members, or raise `memory`."
            )
        return np.unique(np.rint(np.linspace(0, records - 1, int(min(wanted, affordable)))).astype(int))
