"""Navigability: whether a program can be reached from others by moves along which fitness never falls."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy.stats import t as student

from allroads.atlases.landscapes import Neighbourhoods, accessible, grid_of
from allroads.atlases.neighbours.enumerated import EnumeratedMap, check_map
from allroads.atlases.neighbours.neutral import Components, neutral_components
from allroads.budget import Budget, budgeted
from allroads.checks import check_count
from allroads.errors import InputError
from allroads.results import Measurement, Result, finish
from allroads.status import AtlasStatus


@dataclass(frozen=True, repr=False)
class Navigability(Result):
    """Navigability ψ of a map beside its two nulls.

    Args:
        navigability: ψ.
        by_programs: ψ if each program were one node, that is, if all of its points were connected: an upper bound.
        random: ψ of a random landscape on the same grid, in which each point is a program of its own.
        shuffled: ψ where programs are assigned to points at random, with their sizes kept.
        targets: Number of the target program of each draw ``[T]``.
        shares: Share of the sources with an accessible path, of each draw ``[T]``.
        status: What became of it.
        stats: ``targets`` (draws of a target and an assignment), ``random`` and ``shuffled`` (draws of each null),
            ``shuffles``, ``programs``, ``components``, ``ended`` (``"budget"``, ``"interrupted"`` or ``None``).
    """

    navigability: Measurement
    by_programs: Measurement
    random: Measurement
    shuffled: Measurement
    targets: np.ndarray
    shares: np.ndarray
    status: AtlasStatus
    stats: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        own, shuffled, random = (
            f"{part.value:.3g} ± {part.error or 0:.2g}" for part in (self.navigability, self.shuffled, self.random)
        )
        return f"Navigability({own}; shuffled {shuffled}, random {random}; {self.status.value})"

    @property
    def value(self) -> float:
        """ψ."""
        return self.navigability.value

    @property
    def error(self) -> float | None:
        """Half-width of its 95 % interval."""
        return self.navigability.error


def navigability(
    map: EnumeratedMap,
    draws: int = 500,
    *,
    null_draws: int = 64,
    shuffles: int = 8,
    undefined: Hashable = None,
    seed: int = 0,
    budget: float | None = None,
    progress: bool = True,
    throw: bool = False,
) -> Navigability:
    """ψ: the probability that a path along which fitness never falls leads from one program to another.

    A draw takes a target program, gives it fitness 1 and every other program a fitness from U(0, 1). A path moves by
    one coordinate at a time, and moves within a program are allowed. The share of a target is the mean over all other
    programs of the share of their points from which such a path leads to the target. It is exact for each draw. ψ is
    its mean over targets and assignments. Programs count alike, however many points they have.

    The neutral set of a program may have several components, from some of which a target cannot be reached.
    ``by_programs`` takes each program as one node, under the same assignments. It is never below ψ.

    A high ψ alone says little: fitness that is drawn for each point anew also lets many points reach a peak. So ψ comes
    beside two nulls. ``random`` is the random landscape on the same grid, each point with a fitness of its own.
    ``shuffled`` keeps the sizes of the programs and assigns them to points at random.

    Args:
        map: From :func:`~allroads.enumerate_map`; two programs or more.
        draws: Targets, each with an assignment of fitness of its own; all programs in turn, in random order. Default
            500.
        null_draws: Draws of each null.
        shuffles: Assignments of programs to points over which the draws of that null are spread; 2 or more.
        undefined: A program that has fitness 0 and is no target, such as one that stands for no program.
        seed: Decides all draws.
        budget: Seconds; looked at after each draw. A few draws of each are always made.
        progress: Whether progress is written.
        throw: Raise a :class:`~allroads.MeasurementError` where the status is not sound.

    Returns:
        A :class:`~allroads.atlases.navigability.Navigability`; ``value`` is ψ. Errors are half-widths of 95 % intervals
        over draws, of the shuffled null over shuffles.

    Raises:
        InputError: If there are fewer than two programs, or an option cannot be used.

    When it fails: ψ is no property of descent. The fitness of a program is drawn without regard to what it computes.

    References: [greenbury2022, oros2026]

    Example:
        Each move from a point of "x and y" or "x or y" on two bits leads to the other program, so both are reached:

        >>> from allroads import enumerate_map
        >>> grid = enumerate_map(lambda x: x[:, 0] & x[:, 1], (0, 1), coordinates=2, progress=False)
        >>> found = navigability(grid, 20, progress=False)
        >>> found.value, found.random.value < 1
        (1.0, True)
    """
    check_map(map)
    check_count("draws", draws, 2)
    check_count("null_draws", null_draws, 2)
    check_count("shuffles", shuffles, 2)
    check_count("seed", seed, 0)
    if len(map.programs) < 2:
        raise InputError("map: it has one program alone, so there is nothing to reach. Enumerate a larger map.")
    without = None if undefined is None else map.place(undefined)
    if len(map.programs) - (without is not None) < 1:
        raise InputError("undefined: no other program is left to reach.")
    generator = np.random.default_rng(seed)
    with budgeted("navigability", budget, progress) as clock:
        parts = neutral_components(map)
        own = _drawn(_parts(parts), map.counts, without, draws, generator, clock, "targets", _whole(map, parts))
        groups = []
        for turn in range(shuffles):
            if turn >= 2 and clock.ended:
                break
            assigned = _parts(neutral_components(replace(map, labels=generator.permutation(map.labels))))
            each = -(-null_draws // shuffles)
            groups.append(_drawn(assigned, map.counts, without, each, generator, clock, "targets when shuffled"))
        points = np.arange(len(map.labels))
        alone = _Parts(points, np.ones_like(points), grid_of(map))
        random = _drawn(alone, alone.sizes, None, null_draws, generator, clock, "random landscapes")
        ended = clock.ended
    targets, shares, whole = (np.array(part) for part in zip(*own, strict=True))
    mixed = np.array([np.mean([share for _, share, _ in group]) for group in groups])
    stats = {
        "targets": len(own), "random": len(random), "shuffled": sum(len(group) for group in groups),
        "shuffles": len(groups), "programs": len(map.programs), "components": len(parts.sizes), "ended": ended,
    }  # fmt: skip
    return finish(
        Navigability(
            _mean(shares), _mean(whole), _mean(np.array([share for _, share, _ in random])), _mean(mixed),
            targets, shares, AtlasStatus.OK, stats,
        ),
        throw,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Parts:
    """Parts of programs: the program and the size of each, and which are next to which."""

    program: np.ndarray
    sizes: np.ndarray
    graph: Neighbourhoods


def _drawn(
    parts: _Parts,
    counts: np.ndarray,
    without: int | None,
    draws: int,
    generator: np.random.Generator,
    clock: Budget,
    what: str,
    whole: _Parts | None = None,
) -> list[tuple[int, float, float]]:
    """Targets, the shares of their sources, and those where programs are whole; two at least."""
    allowed = np.delete(np.arange(len(counts)), [] if without is None else [without])
    found: list[tuple[int, float, float]] = []
    order: list[int] = []
    while len(found) < draws and (len(found) < 2 or not clock.ended):
        clock.say(f"{len(found):,} of {draws:,} {what}")
        if not order:
            order = generator.permutation(allowed).tolist()
        target = order.pop()
        with clock.interruptible():
            fitness = generator.random(len(counts))
            fitness[[] if without is None else [without]] = 0.0
            fitness[target] = 1.0
            own = _share(parts, counts, target, fitness)
            found.append((target, own, math.nan if whole is None else _share(whole, counts, target, fitness)))
    return found


def _share(parts: _Parts, counts: np.ndarray, target: int, fitness: np.ndarray) -> float:
    """Mean over the other programs of the share of their points that reach the target."""
    reached = accessible(parts.graph, fitness[parts.program], np.flatnonzero(parts.program == target))
    share = np.bincount(parts.program[reached], parts.sizes[reached], minlength=len(counts)) / counts
    return float((share.sum() - share[target]) / (len(counts) - 1))


def _parts(found: Components) -> _Parts:
    """The components of programs."""
    return _Parts(found.program, found.sizes, Neighbourhoods.of(found.edges, len(found.sizes)))


def _whole(map: EnumeratedMap, found: Components) -> _Parts:
    """Programs, each in one part."""
    edges = np.unique(np.sort(found.program[found.edges], axis=1), axis=0)
    return _Parts(np.arange(len(map.programs)), map.counts, Neighbourhoods.of(edges, len(map.programs)))


def _mean(shares: np.ndarray) -> Measurement:
    """The mean of independent draws with the half-width of Student's 95 % interval."""
    draws = len(shares)
    half = float(student.ppf(0.975, draws - 1)) * float(shares.std(ddof=1)) / math.sqrt(draws)
    return Measurement(float(shares.mean()), half, AtlasStatus.OK, {"draws": draws})
