"""Ready-made kinds of step function ``(state, symbol) -> (state, output)``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Step = Callable[[Any, Any], tuple[Any, Any]]


@dataclass(frozen=True)
class SequenceTask:
    """A sequence task as a state machine.

    Args:
        definition: What is asked, in words.
        step: ``step(state, symbol) -> (state, output)``; the symbol is a tuple where there are several
            channels.
        initial_state: State before the first symbol.
        alphabet: Whole numbers that one channel takes.
        structure: What kind of memory it needs.
        states: States of the minimal Mealy machine, ``None`` where there is none.
        outputs: ``outputs(length)``: the outputs are ``0 … outputs − 1``; ``None``: whole numbers of a wide
            range.
        length: Length of the sequences.
        channels: Symbols at a position.
        sampler: ``sampler(rng, count, length=…) -> [count, length]``; ``None``: all symbols alike.
    """

    definition: str
    step: Step
    initial_state: Any
    alphabet: range
    structure: str
    states: int | None
    outputs: Callable[[int], int] | None = None
    length: int = 10
    channels: int = 1
    sampler: Callable[..., np.ndarray] | None = None


def memoryless(function: Callable[[Any], Any]) -> Step:
    """The output is a function of the current symbol.

    Example:
        >>> memoryless(abs)((), -3)
        ((), 3)
    """
    return lambda state, x: (state, function(x))


def running(update: Callable[[Any, Any], Any]) -> Step:
    """The output is the new state.

    Example:
        >>> running(max)(3, 5)
        (5, 5)
    """

    def step(state: Any, x: Any) -> tuple[Any, Any]:
        new = update(state, x)
        return new, new

    return step


def window(function: Callable[[tuple[Any, ...]], Any]) -> Step:
    """The output is a function of the last symbols, oldest first.

    The state holds all of them but the current one.

    Example:
        >>> window(sum)((1, 2), 3)
        ((2, 3), 6)
    """

    def step(state: tuple[Any, ...], x: Any) -> tuple[Any, Any]:
        seen = (*state, x)
        return seen[1:], function(seen)

    return step


def fixed(count: int) -> Callable[[int], int]:
    """A number of outputs that does not depend on the length.

    Example:
        >>> fixed(2)(10)
        2
    """
    return lambda length: count
