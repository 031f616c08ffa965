"""Agreement of answers as a comparison, so that it has the same null as representations have."""

from __future__ import annotations

import numpy as np

from allroads.paths.convergence.comparison import Comparison

AGREEMENT = Comparison(
    "agreement", 1, lambda codes: codes, lambda codes, order: codes[order], lambda a, b: float((a == b).mean())
)
"""Share of inputs with the same answer; ``codes [n]`` stand for the answers."""


def answer_codes(*said: np.ndarray) -> list[np.ndarray]:
    """Whole numbers that are equal where answers are, all positions of an input together.

    Args:
        *said: Answers ``[M, n, …]`` of populations on the same inputs.

    Returns:
        ``[M, n]`` for each population.

    Example:
        >>> answer_codes(np.array([[[0, 1], [2, 3]]]), np.array([[[2, 3], [0, 1]]]))
        [array([[0, 1]]), array([[1, 0]])]
    """
    flat = [answers.reshape(-1, int(np.prod(answers.shape[2:], dtype=int))) for answers in said]
    codes = np.unique(np.concatenate(flat), axis=0, return_inverse=True)[1].ravel()
    ends = np.cumsum([len(part) for part in flat])[:-1]
    return [part.reshape(answers.shape[:2]) for part, answers in zip(np.split(codes, ends), said, strict=True)]
