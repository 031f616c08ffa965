"""Reading of inputs as bits, and of bits as answers."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from allroads.errors import InputError

NAMED: dict[Any, tuple[Any, Any]] = {"bits": (0, 1), "signs": (1, -1)}
"""Values that stand for the bits 0 and 1. A sign is ``(−1)^b``."""


@dataclass(frozen=True)
class Encoding:
    """How a formula reads inputs and answers.

    Length: two bits say which of the named readings inputs and answers have. Values of one's own cost eight bits for
    each character in which they are written.

    Args:
        values: The input values that stand for 0 and for 1.
        answers: The answers that stand for 0 and for 1.
    """

    values: tuple[Any, Any]
    answers: tuple[Any, Any]

    @property
    def bits(self) -> float:
        """Length in bits."""
        own = [pair for pair in (self.values, self.answers) if pair not in NAMED.values()]
        return 2.0 + 8 * sum(len(repr(value)) for pair in own for value in pair)

    def row(self, example: Any, inputs: int) -> int:
        """The row of an example, ``Σ b_i 2^i``.

        Raises:
            InputError: If it does not have so many values, or a value is neither of the two.
        """
        given = example.ravel().tolist() if isinstance(example, np.ndarray) else list(example)
        if len(given) != inputs:
            raise InputError(f"the formula has {inputs} inputs; got an example of {len(given)} values.")
        for value in given:
            if value not in self.values:
                raise InputError(f"the formula reads {self.values[0]!r} and {self.values[1]!r}; got {value!r}.")
        return sum((value == self.values[1]) << i for i, value in enumerate(given))

    def example(self, row: int, inputs: int) -> list[Any]:
        """The example of a row, in the values of the inputs."""
        return [self.values[row >> i & 1] for i in range(inputs)]

    @property
    def test(self) -> str:
        """Python that says whether ``v`` is 1."""
        if self.values == NAMED["signs"]:
            return "v < 0"
        return "v > 0.5" if self.values == NAMED["bits"] else f"v == {self.values[1]!r}"


def as_encoding(encoding: str | tuple[Any, Any], answers: tuple[Any, Any]) -> Encoding:
    """A checked reading.

    Raises:
        InputError: If the encoding is neither a known name nor a pair of two values, or the answers are not.

    Example:
        >>> as_encoding("signs", (0, 1)).row([1, -1], 2)
        2
    """
    values: Any = NAMED.get(encoding, encoding)
    for name, pair in (("encoding", values), ("answers", answers)):
        if not isinstance(pair, tuple) or len(pair) != 2 or pair[0] == pair[1]:
            raise InputError(
                f"{name}: expected {'bits, signs or ' if name == 'encoding' else ''}a pair of different values that "
                f"stand for 0 and for 1; got {pair!r}."
            )
    return Encoding(values, answers)


def cube(values: Sequence[Any], inputs: int) -> list[tuple[Any, ...]]:
    """Every combination of two values, in the order of the rows of a table: the first input changes fastest.

    Example:
        >>> cube((1, -1), 2)
        [(1, 1), (-1, 1), (1, -1), (-1, -1)]
    """
    return [tuple(reversed(row)) for row in itertools.product(values, repeat=inputs)]
