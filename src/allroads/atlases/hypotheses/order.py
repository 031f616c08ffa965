"""The hypothesis that simpler programs lie on the paths to more complex ones: H3, by the order within runs."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np

from allroads.checks import check_count, check_number
from allroads.errors import InputError
from allroads.progress import progress
from allroads.results import Result, finish
from allroads.status import AtlasStatus, Status

FEWEST_RUNS = 5
"""Runs below which an interval by run says nothing."""

RESAMPLES = 2000
"""Bootstrap samples of runs."""

AT_ONCE = 1 << 21
"""Entries of shuffled orders that are held at once."""


@dataclass(frozen=True, repr=False)
class OrderedShare(Result):
    """A share of events along runs, with its interval by run and what shuffled orders give.

    Attributes:
        value: The share, over the events of all runs.
        low: Lower end of its interval at ``1 - level``: percentiles over resampled runs.
        high: Upper end.
        null: Mean share in shuffled orders.
        p: Two-sided p-value against shuffled orders, ``(1 + at least as far) / (1 + orders)``.
        detectable: The smallest distance from ``null`` that would be found with the chance ``power``.
        events: Number of events.
        runs: Runs that have one.
        status: ``ok``, ``too few changes``, or ``constant`` where no order differs from another.
    """

    value: float
    low: float
    high: float
    null: float
    p: float
    detectable: float
    events: int
    runs: int
    status: Status = AtlasStatus.OK

    @property
    def error(self) -> float:
        """The larger side of the interval."""
        return float(max(self.value - self.low, self.high - self.value))

    @property
    def stats(self) -> Mapping[str, Any]:
        """Events and runs."""
        return {"events": self.events, "runs": self.runs}

    def __repr__(self) -> str:
        if not self.status.sound:
            return f"no share: {self.status.value} ({self.events:,} events in {self.runs} runs)"
        return (
            f"share {self.value:.3f} [{self.low:.3f}, {self.high:.3f}] against {self.null:.3f} in shuffled orders, "
            f"p = {self.p:.2g}, detectable {self.detectable:.3f} ({self.events:,} events in {self.runs} runs)"
        )


@dataclass(frozen=True, repr=False)
class SteppingStones(Result):
    """Whether simpler programs lie on the paths to more complex ones.

    Attributes:
        lengthening: Share of the changes of program that go to a longer one, among those that change the length.
        precedence: Share of the pairs (sub-program, program) of a run in which the sub-program comes first.
        verdict: By ``"lengthening"`` and ``"precedence"``: ``supported``, ``opposed`` or ``undecided``.
        status: The first status of both that is not sound, or ``ok``.
        stats: Stays left out because their program has no length, by ``"left_out"``, and what was held fixed.
    """

    lengthening: OrderedShare
    precedence: OrderedShare
    verdict: Mapping[str, str]
    status: Status = AtlasStatus.OK
    stats: Mapping[str, Any] = field(default_factory=dict)

    @property
    def value(self) -> float:
        """The share of changes that lengthen."""
        return self.lengthening.value

    @property
    def error(self) -> float:
        """The larger side of its interval."""
        return self.lengthening.error

    def __repr__(self) -> str:
        return (
            f"lengthening: {self.verdict['lengthening']}, {self.lengthening!r}\n"
            f"precedence: {self.verdict['precedence']}, {self.precedence!r}"
        )


def stepping_stone_hypothesis(
    walks: Sequence[Sequence[Hashable]] | Mapping[Any, Sequence[Hashable]],
    lengths: Mapping[Any, float],
    parts: Mapping[Any, Any] | None = None,
    *,
    fixed_ends: bool = False,
    permutations: int = 10_000,
    level: float = 0.05,
    power: float = 0.8,
    seed: int = 0,
    throw: bool = False,
) -> SteppingStones:
    """H3: simpler programs lie on the paths to more complex ones.

    A walk is the programs of one run in order; equal neighbours are one stay. *Lengthening* is the share of changes to
    a longer program among changes of length. *Precedence* looks at all pairs of programs of one run where the parts of
    one are some, and not all, of the parts of the other. It is the share in which the first visit of the former comes
    before that of the latter. The null shuffles the stays within each run. Its mean is ½ for stays of distinct
    programs.

    Args:
        walks: Labels of the programs of each run, or a mapping from runs to these, such as ``Atlas.sequences()``.
        lengths: Length of each program by label, such as its bits. Stays at a label without one are left out and
            counted; so are ``None`` and ``"none"``.
        parts: The parts of each program by label, such as :attr:`~allroads.programs.program.Program.parts`. Without
            them precedence is ``too few changes``.
        fixed_ends: Whether the first and the last stay of each run keep their places in shuffled orders. It asks of
            the way alone what else the start and the end decide.
        permutations: Shuffled orders.
        level: Level of tests and intervals.
        power: Chance for which the smallest distance that would be seen is given.
        seed: Decides the orders.
        throw: Whether a status that is not sound is raised.

    Returns:
        A :class:`SteppingStones`.

    Raises:
        InputError: If there is no walk, a length is not finite, or an option is out of range.

    When it fails: runs that start at a simple program and end at a complex one lengthen by that alone; compare
    ``fixed_ends``.

    References: [phipson2010]

    Example:
        Twelve runs that climb through four lengths; one order of 24 does so.

        >>> lengths = {"a": 1, "b": 2, "c": 3, "d": 4}
        >>> found = stepping_stone_hypothesis(["abcd"] * 12, lengths, permutations=199)
        >>> found.lengthening.value, round(found.lengthening.null, 1), found.lengthening.p
        (1.0, 0.5, 0.005)
    """
    check_count("permutations", permutations, 19)
    check_count("seed", seed, 0)
    check_number("level", level, 0, 0.5, open_low=True)
    check_number("power", power, 0.5, 0.999)
    for label, length in lengths.items():
        check_number(f"length of {label!r}", length)
    walks = list(walks.values() if isinstance(walks, Mapping) else () if isinstance(walks, str) else walks)
    if not walks:
        raise InputError("walks: expected the labels of the programs of each run, one list per run; got none.")
    for label in (label for walk in walks for label in walk):
        if not isinstance(label, Hashable):
            raise InputError(f"walks: {label!r} cannot be a label; give a hashable one, such as a text or a tuple.")
    known = set(lengths) - {None, "none"}
    runs = [[label for label, _ in groupby(label for label in walk if label in known)] for walk in walks]
    left_out = sum(label not in known for walk in walks for label, _ in groupby(walk))
    changing = [_Lengths(np.array([lengths[label] for label in run], float)) for run in runs if len(run) > 1]
    nested = [_Firsts.of(run, parts or {}) for run in runs if len(run) > 1]
    rng = np.random.default_rng(seed)
    options = (fixed_ends, permutations, level, power)
    with progress("stepping_stone_hypothesis") as say:
        say("lengths")
        lengthening = _share(changing, rng, *options)
        say("sub-programs")
        precedence = _share([run for run in nested if len(run.inner)], rng, *options)
    verdict = {}
    for name, share in (("lengthening", lengthening), ("precedence", precedence)):
        agrees = "supported" if share.value > share.null else "opposed"
        verdict[name] = agrees if share.status.sound and share.p <= level else "undecided"
    status = next((s.status for s in (lengthening, precedence) if not s.status.sound), AtlasStatus.OK)
    stats = {"left_out": left_out, "fixed_ends": fixed_ends, "level": level, "power": power}
    return finish(SteppingStones(lengthening, precedence, verdict, status, stats), throw)


@dataclass(frozen=True)
class _Lengths:
    """Lengths along a run ``[stays]``; an event is a change of length, and it counts if it is a rise."""

    lengths: np.ndarray

    @property
    def stays(self) -> int:
        return len(self.lengths)

    def counts(self, orders: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Events that count and all events, for orders ``[B, stays]``."""
        steps = np.diff(self.lengths[orders], axis=1)
        return (steps > 0).sum(1), (steps != 0).sum(1)


@dataclass(frozen=True)
class _Firsts:
    """Programs along a run ``[stays]``, and its pairs of a sub-program ``inner`` and a program ``outer``."""

    programs: np.ndarray
    inner: np.ndarray
    outer: np.ndarray

    @classmethod
    def of(cls, run: Sequence[Any], parts: Mapping[Any, Any]) -> _Firsts:
        names = list(dict.fromkeys(run))
        held = [frozenset(parts[name]) if name in parts else None for name in names]
        pairs = [
            (i, j)
            for i, a in enumerate(held)
            for j, b in enumerate(held)
            if a is not None and b is not None and a and a < b
        ]
        inner, outer = np.array(pairs, int).reshape(-1, 2).T
        return cls(np.array([names.index(label) for label in run]), inner, outer)

    @property
    def stays(self) -> int:
        return len(self.programs)

    def counts(self, orders: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pairs whose inner program comes first, and all pairs, for orders ``[B, stays]``."""
        moved = self.programs[orders]
        first = np.stack([(moved == name).argmax(1) for name in range(self.programs.max() + 1)], axis=1)
        before = (first[:, self.inner] < first[:, self.outer]).sum(1)
        return before, np.full(len(orders), len(self.inner))


def _share(
    runs: Sequence[_Lengths | _Firsts],
    rng: np.random.Generator,
    fixed_ends: bool,
    permutations: int,
    level: float,
    power: float,
) -> OrderedShare:
    """The share over all runs, its interval by run, and the shares of shuffled orders."""
    seen = np.array([[part[0] for part in run.counts(np.arange(run.stays)[None])] for run in runs]).reshape(-1, 2)
    runs = [run for run, (_, events) in zip(runs, seen, strict=True) if events]
    seen = seen[seen[:, 1] > 0]
    events, count = int(seen[:, 1].sum()), len(runs)
    if count < FEWEST_RUNS:
        nan = float("nan")
        return OrderedShare(nan, nan, nan, nan, nan, nan, events, count, AtlasStatus.TOO_FEW)
    value = seen[:, 0].sum() / events
    hits, totals = np.zeros(permutations), np.zeros(permutations)
    for run in runs:
        chunk = max(1, AT_ONCE // run.stays)
        for start in range(0, permutations, chunk):
            some = slice(start, min(start + chunk, permutations))
            counted = run.counts(_orders(run.stays, some.stop - start, fixed_ends, rng))
            hits[some] += counted[0]
            totals[some] += counted[1]
    shares = hits / np.maximum(totals, 1)
    null = float(shares.mean())
    away = np.abs(shares - null)
    picks = rng.integers(0, count, (RESAMPLES, count))
    again = seen[picks].sum(1)
    resampled = again[:, 0] / again[:, 1]
    low, high = np.quantile(resampled, [level / 2, 1 - level / 2])
    if away.max() == 0:
        return OrderedShare(value, float(low), float(high), null, 1.0, np.inf, events, count, AtlasStatus.CONSTANT)
    p = (1 + int((away >= abs(value - null) - 1e-12).sum())) / (1 + permutations)
    noise = max(float(value - np.quantile(resampled, 1 - power)), float(np.quantile(resampled, power) - value))
    noise = max(noise, float(np.quantile(away, 2 * power - 1)))  # where all runs agree, what shuffled orders spread
    detectable = float(np.quantile(away, 1 - level)) + noise
    return OrderedShare(float(value), float(low), float(high), null, p, detectable, events, count)


def _orders(stays: int, count: int, fixed_ends: bool, rng: np.random.Generator) -> np.ndarray:
    """Shuffled orders ``[count, stays]``."""
    orders = np.tile(np.arange(stays), (count, 1))
    if fixed_ends:
        orders[:, 1:-1] = rng.permuted(orders[:, 1:-1], axis=1)
        return orders
    return rng.permuted(orders, axis=1)
