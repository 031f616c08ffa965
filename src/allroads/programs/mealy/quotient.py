"""Quotient of hidden states by what the network answers afterwards: a machine with the network as its oracle."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from allroads.programs.mealy.cells import Steps

STATES = 256
"""Most states."""

ENTRIES = 20000
"""Most transitions."""

ROUNDS = 400
"""Most counterexamples."""


@dataclass(frozen=True, eq=False)
class Quotient:
    """A machine over positions in the alphabet, as it was found.

    Args:
        moves: Next states ``[S, A]``.
        answers: Answers ``[S, A, K]`` as labels.
        hidden: Hidden state of each state's access word, ``[S, H]``.
        open: A word on which network and machine still differ; ``None`` where none is known.
        why: What stopped the search, where it was stopped.
    """

    moves: np.ndarray
    answers: np.ndarray
    hidden: np.ndarray
    open: list[int] | None = None
    why: str = ""

    def run(self, words: np.ndarray, states: np.ndarray | None = None) -> np.ndarray:
        """Answers ``[n, T, K]`` along words ``[n, T]``, from states ``[n]`` or from the initial one."""
        state = np.zeros(len(words), int) if states is None else states
        found = []
        for letters in words.T:
            found.append(self.answers[state, letters])
            state = self.moves[state, letters]
        return np.stack(found, axis=1)

    def states(self, words: np.ndarray) -> np.ndarray:
        """States ``[n, T + 1]`` along words ``[n, T]``."""
        found = [np.zeros(len(words), int)]
        for letters in words.T:
            found.append(self.moves[found[-1], letters])
        return np.stack(found, axis=1)


def quotient(
    steps: Steps,
    counterexample: Callable[[Quotient], list[int] | None],
    *,
    horizon: int | None = None,
    seconds: float = 20.0,
) -> Quotient:
    """A machine that answers as the network does, by observation of answers to suffixes and by counterexamples.

    Hidden states are one class while the network answers alike from both to every suffix of a set. Breadth-first
    search over access words finds the classes. A counterexample gives one more suffix, which splits a class, by the
    method of Rivest and Schapire.

    Args:
        steps: The network, as an oracle.
        counterexample: A word on which the network and a machine differ, its last answer the first that differs.
        horizon: Length beyond which no new states are made: a transition there leads to the state whose answers differ
            least. The machine then stands for words up to that length.
        seconds: Time that it may take.

    Returns:
        A :class:`Quotient`. It has a ``why`` where the states, the transitions, the counterexamples or the time passed
        their cap.

    References: [angluin1987] [rivest1993]
    """
    began = time.perf_counter()
    letters = len(steps.letters)
    suffixes: list[tuple[int, ...]] = []
    found = Quotient(np.zeros((1, letters), int), np.zeros((1, letters, 1), int), steps.start())
    for _ in range(ROUNDS):
        found = _explore(steps, suffixes, horizon, began + seconds)
        if found.why:
            return found
        word = counterexample(found)
        if word is None:
            return found
        ends = [tuple(word[i:]) for i in range(1, len(word))]
        new = [s for s in (_distinguishing(steps, found, word), *ends) if s is not None and s not in suffixes]
        if not new:
            return Quotient(
                found.moves, found.answers, found.hidden, word, "no suffix of a counterexample splits a state"
            )
        suffixes.append(new[0])
        if time.perf_counter() - began > seconds:
            return Quotient(found.moves, found.answers, found.hidden, word, f"it took more than {seconds:g} seconds")
    return Quotient(found.moves, found.answers, found.hidden, word, f"more than {ROUNDS} counterexamples came up")


def _explore(steps: Steps, suffixes: list[tuple[int, ...]], horizon: int | None, until: float) -> Quotient:
    """All classes that breadth-first search reaches."""
    letters = len(steps.letters)
    hidden = [steps.start()]
    signatures, following = _signatures(steps, hidden[0], suffixes)
    index = {signatures[0].tobytes(): 0}
    rows = [signatures[0]]
    answers = [following[2][0]]
    moves: list[list[int]] = []
    frontier, depth, why = [0], 0, ""
    after = following[0]
    while frontier:
        fresh, depth = [], depth + 1
        new, reply = _signatures(steps, after.reshape(-1, after.shape[-1]), suffixes)
        kept = []
        for k, row in enumerate(new):
            key = row.tobytes()
            if key not in index:
                if (horizon is not None and depth >= horizon) or why:
                    apart = [(row != other).sum() for other in rows]
                    moves.append([int(np.argmin(apart))])
                    continue
                index[key] = len(rows)
                rows.append(row)
                answers.append(reply[2][k])
                hidden.append(reply[1][k : k + 1])
                fresh.append(index[key])
                kept.append(k)
                if len(rows) > STATES or len(rows) * letters > ENTRIES:
                    why = f"more than {min(STATES, ENTRIES // letters)} states"
                elif time.perf_counter() > until:
                    why = "it took too long"
            moves.append([index[key]])
        frontier, after = fresh, reply[0][kept]
    table = np.array(moves, int).reshape(-1, letters)
    table = np.concatenate([table, np.zeros((len(rows) - len(table), letters), int)])
    return Quotient(table, np.array(answers), np.concatenate(hidden), None, why)


def _signatures(
    steps: Steps, hidden: np.ndarray, suffixes: list[tuple[int, ...]]
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Answers to every letter and suffix ``[n, …]``; and the next hidden states, the given ones, and the answers."""
    letters, count = len(steps.letters), len(hidden)
    every = np.repeat(hidden, letters, axis=0)
    after, outputs = steps.move(every, np.tile(np.arange(letters), count))
    answers = steps.decide(outputs).reshape(count, letters, -1)
    columns = [answers.reshape(count, -1)]
    for suffix in suffixes:
        now = hidden
        for letter in suffix:
            now, outputs = steps.move(now, np.full(count, letter))
        columns.append(steps.decide(outputs))
    return np.concatenate(columns, axis=1), (after.reshape(count, letters, -1), hidden, answers)


def _distinguishing(steps: Steps, found: Quotient, word: list[int]) -> tuple[int, ...] | None:
    """A suffix of a counterexample that tells a hidden state from the access word of the state it was put in."""
    states = found.states(np.array([word]))[0]
    last = []
    for i in range(len(word)):
        _, answers = steps.run(found.hidden[states[i]][None], np.array([word[i:]]))
        last.append(answers[0, -1])
    for i in range(len(word) - 1):
        if not np.array_equal(last[i], last[i + 1]):
            return tuple(word[i + 1 :])
    return None
