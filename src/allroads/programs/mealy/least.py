"""The smallest machine of a network's answers to all words up to a length."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from allroads.programs.mealy.quotient import STATES, Quotient


def prefix_answers(answers: np.ndarray, letters: int) -> list[np.ndarray] | None:
    """Answers after each prefix, or ``None`` where an answer depends on a later letter.

    Args:
        answers: Answers ``[A^T, T, K]`` to all words of T letters, in lexicographic order.
        letters: Number A of letters.

    Returns:
        One array for each position t, ``[A^t, A, K]``: the answer to letter a after the prefix of t letters.

    Example:
        >>> words = np.indices((2, 2)).reshape(2, -1).T[..., None]
        >>> [level.tolist() for level in prefix_answers(words, 2)]
        [[[[0], [1]]], [[[0], [1]], [[0], [1]]]]
        >>> prefix_answers(words[:, ::-1], 2) is None
        True
    """
    levels = []
    for t in range(answers.shape[1]):
        same = answers[:, t].reshape(letters ** (t + 1), -1, answers.shape[2])
        if not (same == same[:, :1]).all():
            return None
        levels.append(same[:, 0].reshape(letters**t, letters, -1))
    return levels


def least_machine(levels: Sequence[np.ndarray], *, last: bool = False, states: int = STATES) -> Quotient | None:
    """A machine with the fewest states among all that give the same answers to all words up to a length.

    Two prefixes can be one state where they agree on every suffix that both can be followed by within the length.
    Prefixes are walked shortest first, and each goes to a state that it agrees with, or becomes a new one. States are
    never longer than the prefixes that they stand for, so every later answer is compared. The machine is therefore
    right on all words up to the length. States disagree pairwise, so no machine has fewer.

    Args:
        levels: Answers after each prefix, ``[A^t, A, K]`` for t = 0 … T − 1, prefixes in lexicographic order.
        last: Which of several states that a prefix agrees with is taken: the last that was found, or the first. They
            differ on words that are longer than T alone.
        states: Most states.

    Returns:
        A :class:`Quotient` without hidden states; ``None`` where there would be more than ``states``.

    Example:
        The parity of up to three bits has two states:

        >>> words = np.indices((2,) * 3).reshape(3, -1).T
        >>> levels = prefix_answers(words.cumsum(axis=1)[..., None] % 2, letters=2)
        >>> least_machine(levels).moves.tolist()
        [[0, 1], [1, 0]]
    """
    length, letters = len(levels), levels[0].shape[1]
    classes = _classes(levels)
    depth, node = [0], [0]
    moves: list[list[int]] = []
    while len(moves) < len(depth):
        d, u = depth[len(moves)], node[len(moves)]
        row = []
        for letter in range(letters):
            child, left = u * letters + letter, length - d - 1
            own = classes[left][d + 1][child] if left else 0
            fits = [q for q in range(len(depth)) if not left or classes[left][depth[q]][node[q]] == own]
            if not fits:
                if len(depth) >= states:
                    return None
                depth.append(d + 1)
                node.append(child)
                fits = [len(depth) - 1]
            row.append(fits[-1 if last else 0])
        moves.append(row)
    said = np.array([levels[d][u] for d, u in zip(depth, node, strict=True)])
    return Quotient(np.array(moves), said, np.zeros((len(depth), 0)))


def _classes(levels: Sequence[np.ndarray]) -> list[list[np.ndarray]]:
    """``classes[k][d][u]``: what prefix u of d letters answers to all suffixes of at most k letters, as a number."""
    length = len(levels)
    found = [[np.zeros(len(level), int) for level in levels]]
    for k in range(1, length + 1):
        rows = []
        for d in range(length - k + 1):
            after = found[-1][d + 1] if d + 1 < length else np.zeros(levels[d].shape[0] * levels[d].shape[1], int)
            said = levels[d].reshape(len(levels[d]), -1)
            rows.append(np.concatenate([said, after.reshape(len(said), -1)], axis=1))
        numbers = np.unique(np.concatenate(rows), axis=0, return_inverse=True)[1].ravel()
        found.append(np.split(numbers, np.cumsum([len(row) for row in rows])[:-1]))
    return found
