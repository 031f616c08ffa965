"""Position-wise programs: a value for each position, by counts, fetches and formulas."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from keyword import iskeyword
from typing import Any, ClassVar

import numpy as np

from allroads.errors import InputError
from allroads.programs.equivalence import Equivalence
from allroads.programs.letters import letters_of
from allroads.programs.mealy.code import natural_bits
from allroads.programs.program import Program
from allroads.programs.sequence.lines import GIVEN, Line

TAKEN = ("xs", "k", "q", "sum", "range", "len", "list", "int", "min", "max")
"""Names that the source uses itself."""

WORDS = 2**18
"""Most words on which two programs are compared."""


@dataclass(frozen=True)
class SequenceProgram(Program):
    """A program that gives every position a value, in the manner of RASP.

    Variables are sequences of whole numbers, one for each position. ``x`` is the letter, or its position in the
    alphabet where letters are no whole numbers. ``i`` is the position from 0 on and ``n`` the length. Each line is one
    more variable. The last line is the answer. Attention is a *count* of positions that a test selects, or a *fetch* of
    the value at the last one of these; a *formula* works at one position.

    Its length in bits is that of its lines by a prefix code, and of their number. Letters and answers are given by the
    task.

    Args:
        alphabet: The letters.
        lines: Pairs (name, line), each of which reads variables given or named before it.
        length: Length of the longest words that it is a program of.
        symbols: The answers, where values are positions among these; else empty, and values are the answers.

    Raises:
        InputError: If there is no line, a name is taken, or a line reads a variable that is not there.

    References: [weiss2021]

    Example:
        >>> from allroads.programs.sequence.lines import Count, Selector
        >>> histogram = SequenceProgram(("a", "b"), (("y", Count(Selector("x", "==", "x"))),), length=5)
        >>> histogram(["a", "b", "a"])
        [2, 1, 2]
    """

    alphabet: tuple[Any, ...]
    lines: tuple[tuple[str, Line], ...]
    length: int
    symbols: tuple[Any, ...] = ()

    language: ClassVar[str] = "sequence"

    def __post_init__(self) -> None:
        object.__setattr__(self, "alphabet", tuple(self.alphabet))
        object.__setattr__(self, "lines", tuple(self.lines))
        object.__setattr__(self, "symbols", tuple(self.symbols))
        if not self.lines:
            raise InputError("lines: expected at least one line, which is the answer.")
        known: list[str] = list(GIVEN)
        for name, line in self.lines:
            if name in known or name in TAKEN or iskeyword(name) or not name.isidentifier():
                raise InputError(f"lines: {name!r} is taken or is no name; choose another.")
            missing = [read for read in line.reads if read not in known]
            if missing:
                raise InputError(f"lines: line {name!r} reads {missing[0]!r}, which is not there before it.")
            known.append(name)

    @property
    def letters(self) -> tuple[int, ...]:
        """The whole number that stands for each letter."""
        whole = all(isinstance(a, int) and not isinstance(a, bool) for a in self.alphabet)
        return self.alphabet if whole else tuple(range(len(self.alphabet)))

    @cached_property
    def _index(self) -> dict[Any, int]:
        return {letter: i for i, letter in enumerate(self.alphabet)}

    def values(
        self, words: np.ndarray, held: Mapping[str, Callable[[np.ndarray], np.ndarray]] | None = None
    ) -> dict[str, np.ndarray]:
        """The values of all variables on words ``[N, T]`` of positions in the alphabet.

        Args:
            words: The words.
            held: For the name of a line, a function of its values that gives those that later lines read.
        """
        words = np.asarray(words, int)
        at = np.arange(words.shape[1])
        known = {"x": np.array(self.letters)[words], "i": np.broadcast_to(at, words.shape)}
        known["n"] = np.full(words.shape, words.shape[1])
        for name, line in self.lines:
            known[name] = line.values(known)
            if held is not None and name in held:
                known[name] = held[name](known[name])
        return known

    def exchanged(
        self, words: np.ndarray, position: np.ndarray, held: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """The values of all variables where some lines are set at one position of each word.

        Args:
            words: ``[N, T]``.
            position: Position that is set in each word, ``[N]``.
            held: Value of each line there, ``[N]``.

        Example:
            >>> from allroads.programs.sequence.library import sequence_program
            >>> parity = sequence_program("parity")
            >>> parity.exchanged(np.array([[1, 0, 0]]), np.array([1]), {"ones": np.array([4])})["y"].tolist()
            [[1, 0, 1]]
        """

        def setter(values: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
            at = np.arange(words.shape[1])[None] == position[:, None]
            return lambda own: np.where(at, values[:, None], own)

        return self.values(words, {name: setter(v) for name, v in held.items()})

    def table(self, words: np.ndarray) -> np.ndarray:
        """The values of the last line, ``[N, T]``."""
        return self.values(words)[self.lines[-1][0]]

    def __call__(self, example: Any) -> list[Any]:
        """The answers to one word."""
        row = np.array([letters_of(example, self._index)], int)
        return self.symbol(self.table(row)[0].tolist())

    def symbol(self, values: Sequence[int]) -> list[Any]:
        """Values as answers."""
        return [self.symbols[v] for v in values] if self.symbols else list(values)

    @property
    def source(self) -> str:
        """Stand-alone Python that defines ``program(xs)``."""
        used = {read for _, line in self.lines for read in line.reads}
        first = "list(xs)" if self.letters == self.alphabet else f"[{list(self.alphabet)!r}.index(a) for a in xs]"
        given = {"x": first, "i": "list(range(len(xs)))", "n": "[len(xs)] * len(xs)"}
        body = [f"{name} = {text}" for name, text in given.items() if name in used]
        body += [f"{name} = {line}" for name, line in self.lines]
        last = self.lines[-1][0]
        body.append(f"return [{list(self.symbols)!r}[y] for y in {last}]" if self.symbols else f"return {last}")
        return "def program(xs):\n" + "\n".join("    " + row for row in body)

    @property
    def bits(self) -> float:
        """Length in bits."""
        lines = [line.bits(len(GIVEN) + k) for k, (_, line) in enumerate(self.lines)]
        return natural_bits(len(self.lines)) + sum(lines)

    @cached_property
    def _canonical(self) -> SequenceProgram:
        own = dict(self.lines)
        names: dict[str, str] = {}
        kept: list[tuple[str, Line]] = []

        def keep(name: str) -> None:
            if name in names or name not in own:
                return
            for read in own[name].reads:
                keep(read)
            line = own[name].renamed(names)
            same = next((other for other, made in kept if made == line), None)
            names[name] = same or f"s{len(kept)}"
            if same is None:
                kept.append((names[name], line))

        keep(self.lines[-1][0])
        last = names[self.lines[-1][0]]
        kept.sort(key=lambda pair: pair[0] == last)  # the answer comes last, which it is unless it was shared
        return SequenceProgram(self.alphabet, tuple(kept), self.length, self.symbols)

    def canonical(self) -> SequenceProgram:
        """Without lines that the answer does not need, equal lines once, in the order in which they are needed."""
        return self._canonical

    @cached_property
    def _written_out(self) -> dict[str, str]:
        texts: dict[str, str] = {}
        for name, line in self.canonical().lines:
            text = str(line.renamed({read: f"⟨{texts[read]}⟩" for read in line.reads if read in texts}))
            texts[name] = text
        return texts

    @property
    def parts(self) -> frozenset[str]:
        """The lines that the answer needs, each with the lines that it reads written out."""
        return frozenset(self._written_out.values())

    def distance(self, other: Program) -> float:
        """Lines, written out, that one normal form has and the other has not."""
        if not isinstance(other, SequenceProgram) or set(other.alphabet) != set(self.alphabet):
            return math.inf
        return float(len(self.parts ^ other.parts))

    def equals(self, other: Program) -> Equivalence:
        """Equality on all words up to the shorter of both lengths.

        Args:
            other: A program over the same letters.

        Returns:
            An :class:`Equivalence` with the scope *to length* and a shortest counterexample.

        Raises:
            InputError: If the other is no such program, its letters are others, or there are too many words.
        """
        if not isinstance(other, SequenceProgram):
            raise InputError(f"other: expected a SequenceProgram; got {other!r}.")
        if set(self.alphabet) != set(other.alphabet):
            raise InputError(f"the programs read other letters: {self.alphabet!r} and {other.alphabet!r}.")
        length, checked = min(self.length, other.length), 0
        if len(self.alphabet) ** length > WORDS:
            raise InputError(f"there are {len(self.alphabet)}^{length} words, more than {WORDS:,}; shorten the length.")
        theirs = np.array([other.alphabet.index(letter) for letter in self.alphabet])
        for size in range(1, length + 1):
            words = all_words(len(self.alphabet), size)
            checked += len(words)
            mine, yours = self.table(words), other.table(theirs[words])
            if self.symbols or other.symbols:
                mine, yours = (
                    np.array([one.symbol(row) for row in table.tolist()], object)
                    for one, table in ((self, mine), (other, yours))
                )
            wrong = np.flatnonzero((mine != yours).any(axis=1))
            if len(wrong):
                word = [self.alphabet[a] for a in words[wrong[0]]]
                return Equivalence(False, "to length", checked, size, None, word, (self(word), other(word)))
        return Equivalence(True, "to length", checked, length)


def all_words(letters: int, length: int) -> np.ndarray:
    """All words of a length as positions in the alphabet, in lexicographic order.

    Example:
        >>> all_words(2, 2).tolist()
        [[0, 0], [0, 1], [1, 0], [1, 1]]
    """
    return np.indices((letters,) * length).reshape(length, -1).T


def ranges(program: SequenceProgram, words: np.ndarray) -> Mapping[str, tuple[int, ...]]:
    """The values that each variable takes on words, in order."""
    return {name: tuple(np.unique(values).tolist()) for name, values in program.values(words).items()}


def named(lines: Sequence[Line], names: Sequence[str] = ()) -> tuple[tuple[str, Line], ...]:
    """Lines with names, ``a``, ``b``, … unless others are given."""
    return tuple(zip(names or itertools.islice("abcdefgh", len(lines)), lines, strict=True))
