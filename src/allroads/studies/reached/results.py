"""The functions that runs of one explorer reach."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from allroads.distributions import collision, effective_number, entropy, missing_mass, share
from allroads.errors import InputError
from allroads.explorers.trajectory import Cost
from allroads.points.prior.answers import Answers
from allroads.points.prior.functions import CountedFunctions
from allroads.programs.boolean.formula import Formula
from allroads.results import Measurement, Result
from allroads.status import PriorStatus


@dataclass(frozen=True, eq=False, repr=False)
class FunctionsReached(CountedFunctions):
    """The distribution over functions at one moment of the runs, of the kind of a :class:`FunctionPrior`.

    Args:
        counts: How many runs reached each function, most first ``[K]``.
        codes: The functions, packed ``[K, W]``.
        members: For each run the number of the function that it reached ``[M]``; −1 where it did not come.
        steps: The step of the moment ``[M]``; −1 where it did not come.
        rows: The row of a truth table that each probe is; ``None`` where the probes are not all of some number of bits.
        samples: Number N of runs that came to the moment.
        cost: What each run had cost by then; 0 where it did not come.
        share: The share of runs that came, with its Clopper–Pearson interval ``low`` to ``high`` in ``stats``.
        entropy: ``−Σ p log₂ p`` in bits, of the runs that came; so are the next three.
        collision: ``Σ p²``: the probability that two runs reach one function.
        effective: ``1 / Σ p²``: the effective number of functions.
        missing: Probability of all functions that no run reached.
        status: ``ok``; ``undersampled`` where the effective number is not sound.
        stats: ``seed``, ``answers``, ``outputs``, ``inputs`` (a digest), ``precision``, ``exact``.
    """

    counts: np.ndarray
    codes: np.ndarray
    members: np.ndarray
    steps: np.ndarray
    rows: np.ndarray | None
    samples: int
    cost: Cost
    share: Measurement
    entropy: Measurement
    collision: Measurement
    effective: Measurement
    missing: Measurement
    status: PriorStatus
    stats: Mapping[str, Any] = field(default_factory=dict)

    def probability(self, answers: Any) -> Measurement:
        """The share of the runs that reach a given function, with its Clopper–Pearson interval.

        Args:
            answers: What the function answers on the probes, in their order: 0 and 1, or classes.

        Raises:
            InputError: If they are no answers on these probes, or no run came to the moment.

        References: [clopper1934]
        """
        if not self.samples:
            raise InputError("reached_functions: no run came to this moment, so no function has a share.")
        return super().probability(answers)

    def program(self, k: int) -> Formula:
        """A short formula of function k, in its canonical form; input i is bit i.

        Raises:
            InputError: If there is no function k, the probes are not all inputs of n bits, or answers are no bits.
        """
        table = self.truth_table(k)
        return Formula.of_table(table, len(table).bit_length() - 1)

    def labels(self, by: Callable[[int], Hashable] | None = None) -> list[Hashable | None]:
        """One label per run, ``None`` where it did not come: for ``attribute`` and ``convergence``.

        Labels are equal where functions are, also between results of other calls on the same probes.

        Args:
            by: A label of function k, such as ``lambda k: found.program(k).gates``. Default: its code.
        """
        names = [self.codes[k].tobytes().hex() if by is None else by(k) for k in range(self.distinct)]
        return [None if k < 0 else names[k] for k in self.members]


@dataclass(frozen=True, eq=False, repr=False)
class ReachedFunctions(Result):
    """The distributions over functions that runs of one explorer reach, at matched moments.

    Args:
        fit: At the first step without an error on the training data.
        at_loss: At the first step of a training loss of the given value or less; ``None`` where none was given.
        at_age: So many steps after the first fit, by that number.
        runs: Number M of runs.
        diverged: How many of them stopped being finite before they came to all moments.
        seconds: Wall time, compilation included.
        status: That of ``fit``; ``diverged`` where a run did.
        stats: ``seed``, ``steps`` (the most that a run may take to fit), ``ended`` (``"budget"``, ``"interrupted"`` or
            ``None``).
    """

    fit: FunctionsReached
    at_loss: FunctionsReached | None
    at_age: Mapping[int, FunctionsReached]
    runs: int
    diverged: int
    seconds: float
    status: PriorStatus
    stats: Mapping[str, Any] = field(default_factory=dict)

    @property
    def value(self) -> float:
        """The effective number of functions at the first fit."""
        return self.fit.value

    @property
    def error(self) -> float | None:
        """The larger side of its interval."""
        return self.fit.error

    def __str__(self) -> str:
        return self.describe()

    def describe(self) -> str:
        """Each moment in one line."""
        moments = {"first fit": self.fit} | ({} if self.at_loss is None else {"given loss": self.at_loss})
        moments |= {f"{age} steps after": found for age, found in self.at_age.items()}
        lines = [f"{self.runs} runs, {self.diverged} diverged"]
        for name, found in moments.items():
            came = found.steps[found.steps >= 0]
            middle = f", median step {np.median(came):.0f}" if len(came) else ""
            lines.append(
                f"{name}: {found.samples} runs{middle}, {found.distinct} functions, effective {found.effective}"
            )
        return "\n".join(lines)


def functions_reached(
    answers: Answers,
    rows: np.ndarray | None,
    words: np.ndarray,
    steps: np.ndarray,
    cost: Cost,
    stats: Mapping[str, Any],
) -> FunctionsReached:
    """Count the functions of runs.

    Args:
        answers: How outputs were read.
        rows: The row of a truth table that each probe is, if they are all of some number of bits.
        words: Packed answers ``[M, W]``.
        steps: When; −1 where a run did not come ``[M]``.
        cost: By then.
        stats: Of the result.
    """
    came = np.flatnonzero(steps >= 0)
    codes, first, inverse, counts = np.unique(
        answers.codes(words[came]), axis=0, return_index=True, return_inverse=True, return_counts=True
    )
    order = np.lexsort((first, -counts))
    members = np.full(len(steps), -1)
    members[came] = np.argsort(order)[inverse.ravel()]
    counts = counts[order]
    same = collision(counts)
    return FunctionsReached(
        counts=counts,
        codes=codes[order],
        members=members,
        steps=steps,
        rows=rows,
        samples=len(came),
        cost=cost,
        share=share(len(came), len(steps)),
        entropy=entropy(counts),
        collision=same,
        effective=effective_number(same),
        missing=missing_mass(counts),
        status=PriorStatus(same.status),
        stats=stats,
    )
