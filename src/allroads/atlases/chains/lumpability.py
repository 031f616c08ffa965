"""Lumpability: whether programs along runs are a Markov chain, so that a program says all about what comes next."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from allroads.checks import check_count, check_number
from allroads.errors import InputError
from allroads.results import Result, finish
from allroads.status import AtlasStatus, Status


@dataclass(frozen=True, eq=False, repr=False)
class Lumpability(Result):
    """Two tests of the Markov property of label sequences, beside one permutation null.

    Args:
        bits: What the previous label says of the next one beyond the present one, ``I(previous; next | present)``, in
            bits per step; less the mean of its null.
        bits_p: Share of the null with as many, this one counted.
        gap: Chapman–Kolmogorov: total variation between the shares of pairs (x_t, x_{t+2}) and those that
            ``P · P`` gives; less the mean of its null.
        gap_p: Share of the null with as large a gap.
        detectable: Bits above which the first test refutes, at its level.
        triples: How many (previous, present, next) there were.
        status: ``ok``: not refuted; ``refuted``: one p is at most half of the level; ``too few changes``: no
            permutation changes anything, so nothing was tested.
    """

    bits: float
    bits_p: float
    gap: float
    gap_p: float
    detectable: float
    triples: int
    status: Status

    @property
    def value(self) -> float:
        """The bits."""
        return self.bits

    @property
    def error(self) -> None:
        """``None``: read the p-values."""
        return None

    @property
    def stats(self) -> dict[str, Any]:
        """The p-values, the gap, the detectable bits and the triples."""
        names = ("bits_p", "gap", "gap_p", "detectable", "triples")
        return {name: getattr(self, name) for name in names}


def lumpability(
    sequences: Sequence[Sequence[Hashable]],
    *,
    level: float = 0.05,
    permutations: int = 999,
    seed: int = 0,
    throw: bool = False,
) -> Lumpability:
    """Test whether label sequences are a Markov chain of first order: does the previous label add bits?

    A chain on points stays one on labels (is lumpable) if all points of a label have the same chances to go to each
    other label. Where it is not, the past helps to tell what comes next. The null deals the next labels anew among all
    places with the same present label, over all runs. Both tests share it, each at half of the level.

    Args:
        sequences: A sequence of labels per run: records, or walks without repeats, which test the chain of changes.
        level: Of both tests together; default 0.05.
        permutations: Of the null; default 999.
        seed: Of the permutations.
        throw: Raise a :class:`~allroads.MeasurementError` where the status is not sound.

    Returns:
        A :class:`Lumpability`.

    Raises:
        InputError: If there is no sequence, a label cannot be hashed, or an option is out of range.

    When it fails: not refuted is not proved; ``detectable`` says what would have been seen. Runs that differ from each
    other, each a chain of its own, are refuted too, as the past then tells which kind of run it is.

    References:
        [kemeny1960], [billingsley1961]

    Example:
        In the first world a is followed by what came before it; in the second by b or c at random:

        >>> rng = np.random.default_rng(0)
        >>> back = [list("bababa") if rng.random() < 0.5 else list("cacaca") for _ in range(40)]
        >>> free = [[x for _ in range(3) for x in (rng.choice(["b", "c"]), "a")] for _ in range(40)]
        >>> lumpability(back).status.value, lumpability(free).status.value
        ('refuted', 'ok')
    """
    check_number("level", level, 0, 1, open_low=True)
    check_count("permutations", permutations, int(np.ceil(2 / level)) - 1)
    check_count("seed", seed, 0)
    codes, states = coded(sequences)
    before, now, after = (np.concatenate(part) for part in zip(*(_triples(run) for run in codes), strict=True))
    if not len(now):
        return finish(_untested(0), throw)
    order = np.argsort(now, kind="stable")
    before, now, after = before[order], now[order], after[order]
    bits, gap = _bits(before, now, after, len(states)), _gap(before, now, after, len(states))
    rng = np.random.default_rng(seed)
    null = np.empty((permutations, 2))
    for row in null:
        dealt = after[np.lexsort((rng.random(len(now)), now))]
        row[:] = _bits(before, now, dealt, len(states)), _gap(before, now, dealt, len(states))
    if np.ptp(null[:, 0]) < 1e-12:
        return finish(_untested(len(now)), throw)
    means = null.mean(axis=0)
    ps = [float((1 + (null[:, k] >= seen - 1e-12).sum()) / (1 + permutations)) for k, seen in enumerate((bits, gap))]
    detectable = float(np.quantile(null[:, 0], 1 - level / 2) - means[0])
    status = AtlasStatus.REFUTED if min(ps) <= level / 2 else AtlasStatus.OK
    numbers = (float(bits - means[0]), ps[0], float(gap - means[1]), ps[1], detectable)
    return finish(Lumpability(*numbers, len(now), status), throw)


def lumping_error(transition: Any, parts: Any) -> float:
    """How far a chain is from being lumpable: ``max_{p, q} max_{i, j ∈ p} |Σ_{k∈q} P_ik − Σ_{k∈q} P_jk|``.

    It is 0 exactly where the parts are a Markov chain whatever the start.

    Args:
        transition: ``[N, N]``, rows that sum to 1.
        parts: The part of each state, ``[N]`` whole numbers.

    References:
        [kemeny1960]

    Example:
        >>> P = np.array([[0.5, 0.25, 0.25], [0.2, 0.4, 0.4], [0.2, 0.3, 0.5]])
        >>> lumping_error(P, [0, 1, 1]), round(lumping_error(P, [0, 0, 1]), 2)
        (0.0, 0.15)
    """
    moves, of = checked_transition(transition), np.asarray(parts)
    if of.shape != (len(moves),):
        raise InputError(f"parts: expected one per state, ({len(moves)},); got shape {of.shape}.")
    names, codes = np.unique(of, return_inverse=True)
    flows = moves @ np.eye(len(names))[codes.ravel()]
    return float(max(np.ptp(flows[codes.ravel() == p], axis=0).max() for p in range(len(names))))


def coded(sequences: Sequence[Sequence[Hashable]]) -> tuple[list[np.ndarray], tuple[Hashable, ...]]:
    """Label sequences as whole numbers, and the labels in the order in which they are met.

    Raises:
        InputError: If there is no sequence, one is a text or empty, or a label cannot be hashed or is NaN.
    """
    runs = list(sequences) if hasattr(sequences, "__iter__") else []
    if (
        isinstance(sequences, str)
        or not runs
        or any(isinstance(run, str) or not hasattr(run, "__len__") for run in runs)
    ):
        raise InputError(
            "sequences: expected a list with one sequence of labels per run, such as [['a', 'b'], ['a']]; of "
            "an atlas, list(atlas.sequences().values())."
        )
    for number, run in enumerate(runs):
        if not len(run):
            raise InputError(f"sequences: run {number} has no label; leave it out.")
    try:
        places = {label: at for at, label in enumerate(dict.fromkeys(label for run in runs for label in run))}
    except TypeError as error:
        raise InputError(f"sequences: expected hashable labels, such as texts ({error}).") from error
    if any(label != label for label in places):
        raise InputError('sequences: a label is NaN; give "none" where nothing was read.')
    return [np.array([places[label] for label in run]) for run in runs], tuple(places)


def checked_transition(transition: Any) -> np.ndarray:
    """A stochastic matrix.

    Raises:
        InputError: If it is not square, or a row is no distribution.
    """
    moves = np.asarray(transition, np.float64)
    if moves.ndim != 2 or moves.shape[0] != moves.shape[1] or not len(moves):
        raise InputError(f"transition: expected a square matrix [N, N]; got shape {moves.shape}.")
    wrong = ~np.isfinite(moves).all(axis=1) | (moves < 0).any(axis=1) | (np.abs(moves.sum(axis=1) - 1) > 1e-6)
    if wrong.any():
        row = int(wrong.argmax())
        raise InputError(
            f"transition: row {row} is no distribution: expected numbers from 0 that sum to 1; got sum "
            f"{moves[row].sum():g}. Write 1 on the diagonal for a state that is never left."
        )
    return moves


def transitions(codes: Sequence[np.ndarray]) -> np.ndarray:
    """All steps as rows (run, from, to), ``[K, 3]``."""
    rows = [(run, p, q) for run, labels in enumerate(codes) for p, q in pairwise(labels.tolist())]
    return np.array(rows, int).reshape(-1, 3)


def _triples(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return labels[:-2], labels[1:-1][: len(labels[2:])], labels[2:]


def _bits(before: np.ndarray, now: np.ndarray, after: np.ndarray, states: int) -> float:
    """Conditional mutual information of counts, in bits."""

    def weighted(*codes: np.ndarray) -> float:
        joint = np.zeros(len(now), np.int64)
        for code in codes:
            joint = joint * states + code
        counts = np.unique(joint, return_counts=True)[1]
        return float((counts * np.log2(counts)).sum())

    whole = weighted(before, now, after) + weighted(now) - weighted(before, now) - weighted(now, after)
    return whole / len(now)


def _gap(before: np.ndarray, now: np.ndarray, after: np.ndarray, states: int) -> float:
    """Total variation of the two-step shares from those of two independent steps."""
    first, second, both = (np.zeros((states, states)) for _ in range(3))
    np.add.at(first, (before, now), 1.0)
    np.add.at(second, (now, after), 1.0)
    np.add.at(both, (before, after), 1.0)
    leaving = second.sum(axis=1, keepdims=True)
    expected = first @ np.divide(second, leaving, out=np.zeros_like(second), where=leaving > 0)
    return float(np.abs(both - expected).sum() / (2 * len(now)))


def _untested(triples: int) -> Lumpability:
    nan = float("nan")
    return Lumpability(nan, nan, nan, nan, nan, triples, AtlasStatus.TOO_FEW)
