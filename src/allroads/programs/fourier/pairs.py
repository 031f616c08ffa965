"""What the readings of networks of two tokens have in common: the structure they ask for, their bounds and losses."""

from __future__ import annotations

import numpy as np

from allroads.programs.fourier.spectrum import cross_entropy
from allroads.programs.subject import Subject

EXPLAINED = 0.95
"""Share of the variance of the logits that the waves or characters of a program have at least."""
KEY = 0.05
"""Share of the variance, relative to the largest, from which on a frequency or representation is one of the program."""
UNIT = 0.5
"""Share of a hidden unit from which on it counts as one of a frequency or representation."""


def why_not_pairs(subject: Subject, things: str) -> str | None:
    """Why a network does not map two tokens out of n, the numbers 0 … n − 1, to a score for each of them.

    Args:
        subject: The network, its point and its target.
        things: What the tokens are called, such as ``"residues"``.

    Returns:
        The reason; ``None`` where the network does.

    Example:
        >>> from allroads.programs.fourier import FourierProgram, compile_fourier
        >>> from allroads.programs.subject import subject_of
        >>> from allroads.targets import build_target
        >>> made = compile_fourier(FourierProgram(7, (1, 2)))
        >>> why_not_pairs(subject_of(*made, build_target("modular", p=7)), "residues") is None
        True
    """
    target = subject.target
    n, shape = target.interface.vocabulary, target.interface.input_shape
    if n is None or shape != (2,) or target.interface.per_position:
        return "the inputs are not two tokens with one answer"
    if not subject.scores or target.interface.outputs != n:
        return f"the outputs are not scores of {n} {things}"
    if target.alphabet != tuple(range(n)) or target.output_alphabet not in (None, tuple(range(n))):
        return f"the symbols are not the {things} 0, 1, …"
    return None


def losses(logits: np.ndarray, own: np.ndarray, answers: np.ndarray) -> dict[str, float]:
    """Cross-entropy in nats of logits, of a program's part of them alone, and of what is left without it.

    Args:
        logits: ``[n, n, n]``: pair and answer.
        own: The part of the logits that is the program's, ``[n, n, n]``.
        answers: Answers ``[n, n]``.

    Returns:
        ``loss``, ``restricted`` (the part alone) and ``excluded`` (without it).

    Example:
        >>> found = losses(np.zeros((5, 5, 5)), np.zeros((5, 5, 5)), np.zeros((5, 5), int))
        >>> {name: round(value - float(np.log(5)), 9) for name, value in found.items()}
        {'loss': 0.0, 'restricted': 0.0, 'excluded': 0.0}
    """
    parts = {"loss": logits, "restricted": own, "excluded": logits - own}
    return {name: cross_entropy(part, answers) for name, part in parts.items()}
