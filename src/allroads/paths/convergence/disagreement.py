"""Disagreement between members beside their error: generalisation disagreement equality."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import t as student

from allroads.errors import InputError
from allroads.paths.convergence.member_jackknife import mean_over_pairs
from allroads.results import Measurement, Result
from allroads.status import ConvergenceStatus, Status


@dataclass(frozen=True, eq=False, repr=False)
class Disagreement(Result):
    """How often members differ, beside how often they err.

    Args:
        expected: Mean disagreement of two members; ``error`` for members drawn from a larger set.
        mistaken: Mean error of a member; ``None`` without labels.
        gap: ``expected − mistaken``; about 0 where an ensemble of members is calibrated.
        status: ``ok``.
    """

    expected: Measurement
    mistaken: Measurement | None
    gap: Measurement | None
    status: Status = ConvergenceStatus.OK

    @property
    def value(self) -> float:
        """The expected disagreement."""
        return self.expected.value

    @property
    def error(self) -> float | None:
        """Its half-width."""
        return self.expected.error

    @property
    def stats(self) -> dict[str, Any]:
        """``mistaken`` and ``gap``."""
        return {"mistaken": self.mistaken, "gap": self.gap}


def disagreement(answers: Any, labels: Any | None = None) -> Disagreement:
    """Expected disagreement of two members, and beside it their expected error where labels are given.

    Over draws of the training run both are equal where the ensemble of members is calibrated by class: among inputs
    that a share q of the members gives a class, a share q has that class. The gap measures how far this fails.

    Args:
        answers: What members say, ``[M, n]``: classes or any numbers that are equal where answers are.
        labels: What is right, ``[n]``.

    Returns:
        A :class:`Disagreement`. The intervals leave out members in turn, and hold the inputs as they are. They are
        infinite where two members alone are given.

    Raises:
        InputError: If there are fewer than two members, or the labels are of other inputs.

    When it fails: members that all agree give an interval of width 0; read the collision probability instead.

    References:
        [jiang2022], [efron1981]

    Example:
        Three members of whom each errs on another third of the inputs:

        >>> found = disagreement([[1, 0, 0], [0, 1, 0], [0, 0, 1]], [0, 0, 0])
        >>> round(found.expected.value, 3), round(found.mistaken.value, 3), round(found.gap.value, 3)
        (0.667, 0.333, 0.333)
    """
    said = np.asarray(answers)
    if said.ndim != 2 or len(said) < 2 or said.shape[1] == 0:
        raise InputError(f"answers have shape {said.shape}; expected [members, inputs] of two members or more.")
    members = len(said)
    apart = np.array([(one != said).mean(axis=1) for one in said])
    value, error = mean_over_pairs(apart, within=True)
    expected = Measurement(value, error, ConvergenceStatus.OK)
    if labels is None:
        return Disagreement(expected, None, None)
    right = np.asarray(labels)
    if right.shape != said.shape[1:]:
        raise InputError(f"labels have shape {right.shape}; expected {said.shape[1:]}, one per input.")
    wrong = (said != right).mean(axis=1)
    half = student.ppf(0.975, members - 1) * wrong.std(ddof=1) / np.sqrt(members)
    mistaken = Measurement(wrong.mean(), half, ConvergenceStatus.OK)
    gap = value - mistaken.value
    per_pair = apart - wrong  # over both orders of a pair each member counts once
    return Disagreement(
        expected, mistaken, Measurement(gap, mean_over_pairs(per_pair, within=True)[1], ConvergenceStatus.OK)
    )
