"""Decision diagrams of functions of words of one length, and their folding into machines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

TRIED = 20000
"""Most assignments of one search for a folding."""

EXTRA = 2
"""States that a machine may have beyond the widest level of the diagram."""

WIDEST = 24
"""Width of a diagram above which it is not folded."""


def diagram(labels: np.ndarray, letters: int, length: int) -> list[np.ndarray]:
    """The reduced levelled diagram of a function of all words of one length.

    Nodes of a level are the functions of the rest of the word that prefixes of that length leave.

    Args:
        labels: The answer to each word, ``[A^T]``, words in lexicographic order.
        letters: Number A of letters.
        length: T.

    Returns:
        One array per level, ``[nodes, A]``: the node of the next level that each letter leads to; at the last level
        the answer. The first level has one node.

    References: [bryant1986]

    Example:
        >>> [level.tolist() for level in diagram(np.array([0, 1, 1, 0]), 2, 2)]
        [[[0, 1]], [[0, 1], [1, 0]]]
    """
    levels: list[np.ndarray] = []
    below = np.asarray(labels)
    for _ in range(length):
        rows = below.reshape(-1, letters)
        _, first, numbers = np.unique(rows, axis=0, return_index=True, return_inverse=True)
        order = np.argsort(first)  # nodes in the order of their first prefix
        levels.append(rows[np.sort(first)])
        below = np.argsort(order)[numbers.ravel()]
    return levels[::-1]


@dataclass(eq=False)
class _Fold:
    """A search for transitions; ``several`` lets prefixes of one node end in several states.

    Near the end of the words, states that differ on longer rests alone have one node: "nothing yet" and "a 1 was read"
    are one for words that shall contain 101 where a single letter is left.
    """

    levels: Sequence[np.ndarray]
    states: int
    several: bool
    moves: dict[tuple[int, int], int] = field(default_factory=dict)
    tried: int = 0

    def search(self) -> Iterator[dict[tuple[int, int], int]]:
        yield from self._next({0: 0}, [0], 0, 0, {}, 1)

    def _next(
        self, at: dict[int, int], states: list[int], level: int, edge: int, after: dict[int, int], used: int
    ) -> Iterator[dict[tuple[int, int], int]]:
        """Edges in order: each is given a transition that agrees with those before.

        ``at`` and ``after`` give the node of each state on this level and on the next one.
        """
        self.tried += 1
        if self.tried > TRIED:
            return
        if level == len(self.levels) - 1:
            yield dict(self.moves)
            return
        letters = self.levels[level].shape[1]
        if edge == len(states) * letters:
            yield from self._next(after, list(after), level + 1, 0, {}, used)
            return
        place, letter = divmod(edge, letters)
        state = states[place]
        child, key = int(self.levels[level][at[state], letter]), (state, letter)
        same = [q for q, node in after.items() if node == child]
        fresh = key not in self.moves
        if not fresh:
            options = [self.moves[key]]
        else:
            options = same if same and not self.several else [*same, *range(min(self.states, used + 1))]
        for q in dict.fromkeys(options):
            if after.get(q, child) != child or (same and q not in same and not self.several):
                continue
            self.moves[key] = q
            yield from self._next(at, states, level, edge + 1, {**after, q: child}, max(used, q + 1))
            if fresh:
                del self.moves[key]


def foldings(levels: Sequence[np.ndarray], most: int = 4) -> list[tuple[np.ndarray, np.ndarray]]:
    """Machines with few states that answer all words of one length as a diagram does.

    Nodes of one level go to different states, so no machine has fewer states than the widest level has nodes. Numbers
    of states are tried from there on, by a search with a cap: first with one state for each node of a level, then with
    several.

    Args:
        levels: The diagram.
        most: Most machines, all with the same number of states.

    Returns:
        Pairs ``(moves [S, A], answers [S, A])``. An entry that no word of the length uses stays in its state, or
        answers with the answer that is most frequent. Empty where the search found none.

    Example:
        >>> words = np.indices((2,) * 5).reshape(5, -1).T
        >>> [moves.tolist() for moves, _ in foldings(diagram(words.sum(axis=1) % 2, 2, 5))][0]
        [[0, 1], [1, 0]]

        Whether 101 was read, which needs four states:

        >>> seen = ((words[:, :-2] == 1) & (words[:, 1:-1] == 0) & (words[:, 2:] == 1)).any(axis=1)
        >>> [moves.tolist() for moves, _ in foldings(diagram(seen, 2, 5))][0]
        [[0, 1], [2, 1], [0, 3], [3, 3]]
    """
    widest, letters = max(len(level) for level in levels), levels[0].shape[1]
    if widest > WIDEST or sum(level.size for level in levels) > 900:
        return []
    values, counts = np.unique(levels[-1], return_counts=True)
    for states in range(widest, widest + EXTRA + 1):
        for several in (False, True):
            found = []
            for moves in islice(_Fold(levels, states, several).search(), most):
                table = np.repeat(np.arange(states)[:, None], letters, axis=1)
                for (q, letter), after in moves.items():
                    table[q, letter] = after
                said = np.full((states, letters), values[counts.argmax()])
                nodes = {0: 0}
                for level in levels[:-1]:
                    nodes = {int(table[q, a]): int(level[node, a]) for q, node in nodes.items() for a in range(letters)}
                for q, node in nodes.items():
                    said[q] = levels[-1][node]
                found.append((table, said))
            if found:
                return found
    return []


def unfolded(levels: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The diagram itself as a machine: one state per node; the last level leads back to the first.

    Example:
        >>> moves, said = unfolded(diagram(np.array([0, 1, 1, 0]), 2, 2))
        >>> moves.tolist(), said.tolist()
        ([[1, 2], [0, 0], [0, 0]], [[0, 0], [0, 1], [1, 0]])
    """
    starts = np.cumsum([0, *(len(level) for level in levels)])
    moves = [level + start for level, start in zip(levels[:-1], starts[1:], strict=False)]
    said = [np.full_like(level, levels[-1].min()) for level in levels[:-1]]
    return np.concatenate([*moves, np.zeros_like(levels[-1])]), np.concatenate([*said, levels[-1]])
