"""Answers of a network to all words up to a length, by its cell: each prefix is read once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from allroads.programs.mealy.cells import Steps

ROWS = 32_768
"""Hidden states that are moved at once."""


@dataclass(frozen=True, eq=False)
class Tree:
    """Answers to all words over some letters, level by level; the word with index i has the parent ``i // r``.

    Args:
        letters: Positions of the letters in the alphabet, ``[r]``.
        answers: Answers to the last letter of each word, one array ``[r^t]`` per length t = 1, 2, ….
        margin: Smallest distance of an output from where its answer changes.
    """

    letters: tuple[int, ...]
    answers: list[np.ndarray]
    margin: float

    @property
    def length(self) -> int:
        """Length of the longest words."""
        return len(self.answers)

    @property
    def prefixes(self) -> int:
        """Number of words."""
        return sum(map(len, self.answers))

    def counts(self, level: int) -> np.ndarray:
        """How often each letter stands in each word of a length, ``[r^t, r]``."""
        r = len(self.letters)
        word = np.arange(r**level)
        found = np.zeros((len(word), r), np.int64)
        for _ in range(level):
            found[np.arange(len(word)), word % r] += 1
            word = word // r
        return found

    def word(self, level: int, index: int) -> list[int]:
        """Positions in the alphabet of the letters of a word."""
        r, found = len(self.letters), []
        for _ in range(level):
            found.append(self.letters[index % r])
            index //= r
        return found[::-1]


def grow(steps: Steps, letters: Sequence[int], length: int) -> Tree:
    """The tree of all words over some letters up to a length.

    Args:
        steps: The network.
        letters: Positions in the alphabet.
        length: Length of the longest words.
    """
    hidden, answers, margin = steps.start(), [], np.inf
    r = len(letters)
    for level in range(1, length + 1):
        moved, said = [], []
        for i in range(0, len(hidden), max(1, ROWS // r)):
            some = hidden[i : i + max(1, ROWS // r)]
            after, outputs = steps.move(np.repeat(some, r, axis=0), np.tile(letters, len(some)))
            said.append(steps.decide(outputs)[:, 0])
            margins = steps.subject.margins(outputs)
            margin = min(margin, float(np.where(np.isnan(margins), -np.inf, margins).min()))
            moved.append(after if level < length else after[:0])
        hidden = np.concatenate(moved)
        answers.append(np.concatenate(said))
    return Tree(tuple(letters), answers, margin)
