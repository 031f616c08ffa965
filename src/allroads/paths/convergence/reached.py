"""Which functions or programs members reach, and how concentrated they are on few."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from allroads.paths.convergence.labels import collision_probability, effective_number, entropy
from allroads.results import Measurement, Result
from allroads.status import ConvergenceStatus, Status


@dataclass(frozen=True, eq=False, repr=False)
class Reached(Result):
    """The distribution of members over functions or programs.

    Args:
        members: For each member the number of what it reaches, ``[M]``; 0 is what most members reach.
        counts: How many members reach each, most first.
        collision: Probability that two members reach the same, see :func:`collision_probability`.
        effective: Effective number of what is reached, see :func:`effective_number`.
        entropy: Entropy in bits, see :func:`entropy`.
        status: ``ok``; ``lower bound`` where no two members are alike.
    """

    members: np.ndarray
    counts: np.ndarray
    collision: Measurement
    effective: Measurement
    entropy: Measurement
    status: Status

    @property
    def value(self) -> float:
        """The collision probability."""
        return self.collision.value

    @property
    def error(self) -> float | None:
        """Half of the width of its interval."""
        return self.collision.error

    @property
    def stats(self) -> dict[str, Any]:
        """``distinct``: how many were reached; the effective number and the entropy."""
        return {"distinct": len(self.counts), "effective": self.effective.value, "entropy": self.entropy.value}

    def __str__(self) -> str:
        return self.describe()

    def describe(self) -> str:
        """The distribution in one line."""
        low, high = self.effective.stats["low"], self.effective.stats["high"]
        return (
            f"{len(self.counts)} among {len(self.members)} members, effective number {self.effective.value:.3g} "
            f"[{low:.3g}, {high:.3g}], collision probability {self.collision.value:.3g}"
        )


def reached(labels: Sequence[Hashable]) -> Reached:
    """What members reach, from one label per member: collision probability, effective number and entropy.

    Args:
        labels: One hashable label per member, such as a function's answers or a program's canonical source.

    Returns:
        A :class:`Reached`.

    Raises:
        InputError: If there are fewer than two labels, or one is not hashable.

    Example:
        >>> found = reached(["x + y", "x", "x + y"])
        >>> found.members.tolist(), found.counts.tolist(), round(found.collision.value, 3)
        ([0, 1, 0], [2, 1], 0.333)
    """
    collision, effective = collision_probability(labels), effective_number(labels)
    places = {label: place for place, (label, _) in enumerate(Counter(labels).most_common())}
    members = np.array([places[label] for label in labels])
    counts = np.bincount(members)
    status = ConvergenceStatus.LOWER_BOUND if counts[0] == 1 else ConvergenceStatus.OK
    return Reached(members, counts, collision, effective, entropy(labels), status)
