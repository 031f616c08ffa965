"""Examples of a network as words."""

from __future__ import annotations

import numpy as np

from allroads.programs.mealy.cells import Steps


def words_of(steps: Steps, examples: np.ndarray) -> np.ndarray:
    """Examples as words of positions in the alphabet.

    Args:
        steps: A network over an alphabet.
        examples: Inputs as the network reads them, ``[N, T, …]``.

    Returns:
        ``[N, T]``; −1 where a position holds no letter of the alphabet.

    Example:
        >>> from allroads.programs.mealy import Machine, compile_machine
        >>> from allroads.programs.subject import subject_of
        >>> from allroads.targets import build_target
        >>> target = build_target("sequence", task="Parity_All")
        >>> steps = Steps(subject_of(*compile_machine(Machine.of(target.truth["machine"])), target))
        >>> words_of(steps, np.array([[1, 0, 1], [0, 7, 1]])).tolist()
        [[1, 0, 1], [0, -1, 1]]
    """
    index = {np.asarray(row, float).tobytes(): i for i, row in enumerate(steps.inputs)}
    rows = [[index.get(np.asarray(place, float).tobytes(), -1) for place in example] for example in examples]
    return np.array(rows, int).reshape(examples.shape[:2])
