"""The chain of programs: how often runs step from each program to each other."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from allroads.atlases.chains.lumpability import Lumpability, checked_transition, coded, lumpability, transitions
from allroads.errors import InputError
from allroads.results import Result
from allroads.status import AtlasStatus, Status


@dataclass(frozen=True, eq=False, repr=False)
class ProgramChain(Result):
    """A Markov chain of labels, estimated from runs.

    Args:
        states: The labels.
        moves: Every step of every run: run, from, to, ``[K, 3]``.
        runs: How many runs there are.
        transition: Shares of the steps that leave each state, ``[N, N]``; a state that no step leaves keeps itself.
        lumpable: Whether the labels are a Markov chain at all.
        status: That of ``lumpable``; ``ok`` for a chain that was given.
    """

    states: tuple[Hashable, ...]
    moves: np.ndarray
    runs: int
    transition: np.ndarray
    lumpable: Lumpability | None
    status: Status

    @property
    def value(self) -> float:
        """Number of states."""
        return float(len(self.states))

    @property
    def error(self) -> None:
        """``None``: states are counted."""
        return None

    @property
    def stats(self) -> dict[str, Any]:
        """Numbers of ``runs`` and ``steps``."""
        return {"runs": self.runs, "steps": len(self.moves)}

    def resampled(self, rng: np.random.Generator, times: int) -> Iterator[np.ndarray]:
        """Transition matrices of runs that are drawn anew with replacement."""
        for _ in range(times):
            weights = np.bincount(rng.integers(self.runs, size=self.runs), minlength=self.runs)
            yield transition_shares(self.moves, len(self.states), weights)

    def positions(self, of: Any, what: str) -> np.ndarray:
        """Positions of one state, or of several, in ``states``.

        Raises:
            InputError: If one is no state.
        """
        known = {state: at for at, state in enumerate(self.states)}
        chosen: list[Any] = list(of) if not _is_state(of, known) and isinstance(of, Collection) else [of]
        if isinstance(of, str) and of not in known:
            chosen = [of]
        for state in chosen:
            if not _is_state(state, known):
                shown = ", ".join(map(str, self.states[:8])) + (", …" if len(self.states) > 8 else "")
                raise InputError(f"{what}: there is no state {state!r}. States: {shown}.")
        if not chosen:
            raise InputError(f"{what}: expected one state at least; got none.")
        return np.array(sorted({known[state] for state in chosen}))


def program_chain(
    sequences: Sequence[Sequence[Hashable]], *, level: float = 0.05, permutations: int = 999, seed: int = 0
) -> ProgramChain:
    """The chain of labels of runs: ``P(q | p)`` = steps from p to q over steps from p, and whether it is a chain.

    A run's last label leads nowhere; that it ended there is not counted as staying.

    Args:
        sequences: A sequence of labels per run: records, whose steps are records, or walks without repeats, whose steps
            are changes.
        level: Of the tests of :func:`lumpability`.
        permutations: Of their null.
        seed: Of the permutations.

    Returns:
        A :class:`ProgramChain`; :func:`~allroads.committor` and :func:`~allroads.first_passage_time` take it.

    Raises:
        InputError: As :func:`lumpability`.

    References:
        [kemeny1960]

    Example:
        >>> chain = program_chain([["a", "b", "c"]] * 3 + [["a", "c"]])
        >>> chain.states, chain.transition[0].tolist()
        (('a', 'b', 'c'), [0.0, 0.75, 0.25])
    """
    tested = lumpability(sequences, level=level, permutations=permutations, seed=seed)
    codes, states = coded(sequences)
    moves = transitions(codes)
    shares = transition_shares(moves, len(states), np.ones(len(codes), int))
    return ProgramChain(states, moves, len(codes), shares, tested, tested.status)


def as_chain(given: Any) -> ProgramChain:
    """A chain as it is, or a transition matrix as a chain whose states are 0 … N − 1.

    Raises:
        InputError: If it is neither.
    """
    if isinstance(given, ProgramChain):
        return given
    moves = checked_transition(given)
    return ProgramChain(tuple(range(len(moves))), np.zeros((0, 3), int), 0, moves, None, AtlasStatus.OK)


def transition_shares(moves: np.ndarray, states: int, weights: np.ndarray) -> np.ndarray:
    """Shares of the steps that leave each state, each run weighed; 1 on the diagonal where none does."""
    counts = np.zeros((states, states))
    np.add.at(counts, (moves[:, 1], moves[:, 2]), weights[moves[:, 0]])
    leaving = counts.sum(axis=1, keepdims=True)
    shares: np.ndarray = np.where(leaving > 0, counts / np.maximum(leaving, 1), np.eye(states))
    return shares


def _is_state(value: Any, known: dict[Hashable, int]) -> bool:
    try:
        return value in known
    except TypeError:
        return False
