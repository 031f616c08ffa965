"""What there is to learn on one domain, and the checks that every target passes."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

MOST_IMBALANCE = 0.05
"""A ±1 target has between 45 and 55 % of ones over its whole domain: a constant is right about half of the time."""


@dataclass(frozen=True)
class Task:
    """One target.

    Args:
        name: Unique over all domains.
        family: What kind it is.
        labels: One label an example of the domain, training and held-out rows together: signs ``[N]`` or ``[N, T]``,
            or classes ``[N]``.
    """

    name: str
    family: str
    labels: np.ndarray


def generator(name: str) -> np.random.Generator:
    """The source of randomness that belongs to a name, so that adding a target changes no other."""
    return np.random.default_rng(zlib.crc32(name.encode()))


def balanced(values: np.ndarray) -> bool:
    """Whether a table of signs has a share of ones within 5 points of one half."""
    return bool(abs(values.mean()) <= 2 * MOST_IMBALANCE)


def signs(table: np.ndarray) -> np.ndarray:
    """0 and 1 as +1 and −1."""
    return 1.0 - 2.0 * np.asarray(table, float)


def median_signs(scores: np.ndarray) -> np.ndarray:
    """+1 on the half of the examples with the larger scores; ties go by position."""
    values = -np.ones(len(scores))
    values[np.argsort(scores, kind="stable")[len(scores) // 2 :]] = 1.0
    return values


def flipped(values: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Signs of which a share is turned over, half of it among each sign."""
    values = values.copy()
    for sign in (-1.0, 1.0):
        rows = np.flatnonzero(values == sign)
        values[rng.choice(rows, round(share * len(values) / 2), replace=False)] = -sign
    return values


def drawn(kind: str, family: str, count: int, make: Callable[[np.random.Generator], np.ndarray]) -> Iterator[Task]:
    """``count`` balanced random targets ``make(rng)``, each drawn again until it is balanced."""
    for index in range(count):
        rng = generator(f"{kind}, {index}")
        while not balanced(values := make(rng)):
            pass
        yield Task(f"{kind}, {index}", family, values)


def distinct(tasks: Iterable[Task]) -> list[Task]:
    """Tasks without those that equal an earlier one or its negation."""
    seen: set[bytes] = set()
    kept = []
    for task in tasks:
        spellings = {task.labels.tobytes(), (-task.labels).tobytes()}
        if not spellings & seen:
            kept.append(task)
        seen |= spellings
    return kept
