"""A machine that answers a whole word by its last output."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from allroads.errors import InputError
from allroads.programs.equivalence import Equivalence
from allroads.programs.mealy.machine import Machine
from allroads.programs.program import Program


@dataclass(frozen=True)
class Acceptor(Program):
    """A finite machine that reads a word and answers once: its output at the last letter.

    Args:
        machine: The machine.
        length: Length T of the words that it is a program of; ``None`` for every length from 1.

    Raises:
        InputError: If the machine is none, or the length is not positive.

    Example:
        >>> odd = Acceptor(Machine((0, 1), ((0, 1), (1, 0)), ((0, 1), (1, 0))), length=3)
        >>> odd([1, 0, 1]), odd([1, 1, 1])
        (0, 1)
        >>> print(odd.source)
        def program(xs):
            s, ys = 0, []
            for x in xs:
                s = s ^ x
                ys.append(s)
            return ys[-1]
    """

    machine: Machine
    length: int | None = None

    language: ClassVar[str] = "acceptor"

    def __post_init__(self) -> None:
        if not isinstance(self.machine, Machine):
            raise InputError(f"machine: expected a Machine; got {self.machine!r}.")
        if self.length is not None and self.length < 1:
            raise InputError(f"length: expected a positive whole number or None; got {self.length!r}.")

    def __call__(self, example: Any) -> Any:
        """The answer to one word."""
        return self.machine(example)[-1]

    @property
    def source(self) -> str:
        """Stand-alone Python: the machine's, which returns its last output."""
        return self.machine.source.removesuffix("return ys") + "return ys[-1]"

    @property
    def bits(self) -> float:
        """Length in bits: the machine's; the length of the words is given by the task."""
        return self.machine.bits

    @property
    def parts(self) -> frozenset[str]:
        """Transitions and outputs of the machine, and its formulas."""
        return self.machine.parts

    def canonical(self) -> Acceptor:
        """The acceptor of the minimal machine, as a machine of all its outputs."""
        return Acceptor(self.machine.canonical(), self.length)

    def distance(self, other: Program) -> float:
        """The table distance of the machines; infinite where the words have other lengths."""
        if not isinstance(other, Acceptor) or other.length != self.length:
            return math.inf
        return self.machine.distance(other.machine)

    def equals(self, other: Program) -> Equivalence:
        """Equality of the answers to all words of the length, or to all words, by search of pairs of states.

        Args:
            other: An acceptor over the same letters and of the same length.

        Returns:
            An :class:`Equivalence` with the scope *exhaustive* for words of one length, else *all lengths*, and a
            shortest counterexample.

        Raises:
            InputError: If the other is no acceptor, or its letters or its length are others.

        Example:
            >>> odd = Machine((0, 1), ((0, 1), (1, 0)), ((0, 1), (1, 0)))
            >>> last = Machine((0, 1), ((0, 0),), ((0, 1),))
            >>> Acceptor(odd, 1).equals(Acceptor(last, 1)).equal, Acceptor(odd).equals(Acceptor(last)).counterexample
            (True, [1, 0])
        """
        if not isinstance(other, Acceptor):
            raise InputError(f"other: expected an Acceptor; got {other!r}.")
        if self.length != other.length:
            raise InputError(f"the acceptors read words of other lengths: {self.length!r} and {other.length!r}.")
        if self.length is None:
            found = self.machine.equals(other.machine)  # a word's last outputs are those that are compared
            answers = None if found.answers is None else (found.answers[0][-1], found.answers[1][-1])
            return Equivalence(found.equal, "all lengths", found.checked, found.length, None, found.counterexample,
                               answers)  # fmt: skip
        if set(self.machine.alphabet) != set(other.machine.alphabet):
            raise InputError("the acceptors read other letters.")
        checked = len(self.machine.alphabet) ** self.length
        pairs: dict[tuple[int, int], list[Any]] = {(0, 0): []}
        theirs = other.machine.letters(list(self.machine.alphabet))
        for position in range(self.length):
            after: dict[tuple[int, int], list[Any]] = {}
            for (p, q), word in pairs.items():
                for mine, letter in enumerate(theirs):
                    longer = [*word, self.machine.alphabet[mine]]
                    said = self.machine.outputs[p][mine], other.machine.outputs[q][letter]
                    if position == self.length - 1 and said[0] != said[1]:
                        return Equivalence(False, "exhaustive", checked, self.length, None, longer, said)
                    after.setdefault((self.machine.transitions[p][mine], other.machine.transitions[q][letter]), longer)
            pairs = after
        return Equivalence(True, "exhaustive", checked, self.length)


def table_bits(labels: np.ndarray) -> float:
    """Length of the table of a function of finitely many words, one symbol for each.

    Example:
        >>> table_bits(np.array([0, 1, 1, 0]))
        4.0
    """
    return float(len(labels) * math.log2(max(2, len(np.unique(labels)))))
