"""The smallest Mealy machine that does what a step function does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from allroads.errors import InputError
from allroads.imported import reason

STATE_CAP = 1024
"""How many reachable states are explored before a machine counts as too large."""


@dataclass(frozen=True, eq=False)
class Mealy:
    """A finite machine in minimal form.

    State 0 is the initial one; states are numbered as breadth-first search meets them, symbols in the order
    of the alphabet.

    Args:
        alphabet: The symbols.
        transitions: Next state, ``[states, symbols]``.
        outputs: Output, ``outputs[state][symbol]``.
    """

    alphabet: tuple[Any, ...]
    transitions: np.ndarray
    outputs: tuple[tuple[Any, ...], ...]

    @property
    def states(self) -> int:
        """Number of states."""
        return len(self.transitions)

    def run(self, sequence: Sequence[Any]) -> list[Any]:
        """Outputs for a sequence of symbols, one a position."""
        index = {symbol: i for i, symbol in enumerate(self.alphabet)}
        state, answers = 0, []
        for symbol in sequence:
            answers.append(self.outputs[state][index[symbol]])
            state = int(self.transitions[state, index[symbol]])
        return answers


def minimal_mealy(
    step: Callable[[Any, Any], tuple[Any, Any]],
    initial_state: Any,
    alphabet: Sequence[Any],
    cap: int = STATE_CAP,
) -> Mealy | None:
    """The smallest Mealy machine with the input–output behaviour of ``step``, for all lengths.

    The reachable states are found by breadth-first search, then merged by partition refinement (Moore's
    algorithm).

    Args:
        step: ``step(state, symbol) -> (state, output)`` with hashable states and outputs.
        initial_state: The state before the first symbol.
        alphabet: The symbols.
        cap: Most reachable states, before merging, that are explored.

    Returns:
        The machine, or ``None`` where more than ``cap`` states are reachable (there may be a small machine
        all the same: states are merged only after they were found).

    Raises:
        InputError: If a state, the first among them, or an output cannot be hashed.

    Example:
        >>> minimal_mealy(lambda s, x: (s + x, (s + x) % 2), 0, (0, 1)) is None
        True
        >>> minimal_mealy(lambda s, x: ((s + x) % 6, (s + x) % 2), 0, (0, 1)).states
        2
    """
    explored = _explore(step, initial_state, tuple(alphabet), cap)
    if explored is None:
        return None
    transitions, outputs = explored
    codes: dict[Any, int] = {}
    block = _numbered(np.array([[codes.setdefault(o, len(codes)) for o in row] for row in outputs]))
    while True:
        finer = _numbered(np.column_stack([block, block[transitions]]))
        if finer.max() == block.max():
            break
        block = finer
    representatives: list[int] = []
    number: dict[int, int] = {}
    for state in range(len(transitions)):  # already in breadth-first order
        if int(block[state]) not in number:
            number[int(block[state])] = len(representatives)
            representatives.append(state)
    renumber = np.vectorize(lambda b: number[int(b)], otypes=[np.int64])
    return Mealy(
        alphabet=tuple(alphabet),
        transitions=renumber(block[transitions[representatives]]),
        outputs=tuple(tuple(outputs[s]) for s in representatives),
    )


def _explore(
    step: Callable[[Any, Any], tuple[Any, Any]], initial_state: Any, alphabet: tuple[Any, ...], cap: int
) -> tuple[np.ndarray, list[list[Any]]] | None:
    """Transitions and outputs of the reachable states, in breadth-first order."""
    try:
        hash(initial_state)
    except TypeError:
        raise InputError(
            f"initial_state: expected something that can be hashed (a number, a text, a tuple); got {initial_state!r}."
        ) from None
    index, queue = {initial_state: 0}, [initial_state]
    transitions: list[list[int]] = []
    outputs: list[list[Any]] = []
    for state in queue:  # grows while it is walked
        transitions.append([])
        outputs.append([])
        for symbol in alphabet:
            following, output = _ask(step, state, symbol)
            if following not in index:
                index[following] = len(queue)
                queue.append(following)
            transitions[-1].append(index[following])
            outputs[-1].append(output)
        if len(queue) > cap:
            return None
    return np.array(transitions), outputs


def _ask(step: Callable[[Any, Any], tuple[Any, Any]], state: Any, symbol: Any) -> tuple[Any, Any]:
    """One step; what it gives can be hashed."""
    try:
        following, output = step(state, symbol)
        hash((following, output))
    except Exception as error:
        raise InputError(
            f"step({state!r}, {symbol!r}) failed: {reason(error)}; it must give the pair "
            "(next state, output), both hashable (numbers, texts, tuples)."
        ) from error
    return following, output


def _numbered(rows: np.ndarray) -> np.ndarray:
    """A number for each row, equal for equal rows."""
    return np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1)
