"""Counters as programs: whole numbers that each letter raises or lowers, a latch, and an answer that compares them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from allroads.errors import InputError
from allroads.programs.counter.compare import compare
from allroads.programs.counter.index import counters, places, point, term_bits, variables
from allroads.programs.equivalence import Equivalence
from allroads.programs.letters import letters_of
from allroads.programs.mealy.code import natural_bits
from allroads.programs.piecewise.distance import term_distance
from allroads.programs.piecewise.term import COMPARISONS, Term, number_bits, tidy
from allroads.programs.program import Program


@dataclass(frozen=True)
class Counter(Program):
    """Counters over an alphabet: each letter adds a whole number to each counter, and a term of them is the answer.

    All counters begin at 0. A letter moves them first; then the answer is read. With a latch, the first position at
    which its term is not 0 and all later ones are answered by one fixed symbol.

    Args:
        alphabet: The letters: symbols, or tuples of symbols where a position has several channels.
        steps: What each letter adds to each counter, ``steps[letter][counter]``.
        answer: Term in the counters, named ``c``, or ``c0, c1, …``, and in the places of their largest and smallest,
            see :func:`~allroads.programs.counter.index.places`.
        latch: Term in the same; ``None`` for no latch.
        dead: Answer once the latch is set: a number, or a position in ``symbols``.
        symbols: The output symbols where the answer is a position among them; else empty.

    Raises:
        InputError: If the steps have no entry per letter, or a term has another variable.

    References: [minsky1967]

    Example:
        >>> from allroads.programs.piecewise.term import Term
        >>> zero, c = Term(0), Term("c")
        >>> brackets = Counter("()", [[1], [-1]], Term("==", (c, zero)), latch=Term("<", (c, zero)))
        >>> brackets("()(())"), brackets("())(")
        ([0, 1, 0, 0, 0, 1], [0, 1, 0, 0])
        >>> print(brackets.source)
        def program(xs):
            c, dead, ys = 0, False, []
            for x in xs:
                c += {'(': 1, ')': -1}[x]
                dead = dead or c < 0
                ys.append(0 if dead else int(c == 0))
            return ys
    """

    alphabet: tuple[Any, ...]
    steps: tuple[tuple[int, ...], ...]
    answer: Term
    latch: Term | None = None
    dead: int = 0
    symbols: tuple[Any, ...] = ()

    language: ClassVar[str] = "counter"

    def __post_init__(self) -> None:
        object.__setattr__(self, "alphabet", tuple(tuple(a) if isinstance(a, list) else a for a in self.alphabet))
        object.__setattr__(self, "steps", tuple(tuple(int(v) for v in row) for row in self.steps))
        object.__setattr__(self, "symbols", tuple(self.symbols))
        wide = {len(row) for row in self.steps}
        if len(self.steps) != len(self.alphabet) or len(wide) != 1 or len(set(self.alphabet)) < len(self.alphabet):
            raise InputError(
                f"steps: expected one row of equal length per letter, no letter twice; got {len(self.steps)} rows of "
                f"{sorted(wide)} for {len(self.alphabet)} letters."
            )
        known = {*counters(self.size), *places(self.size)}
        for name, term in (("answer", self.answer), ("latch", self.latch)):
            if term is not None and not term.variables <= known:
                raise InputError(f"{name}: it has the variables {sorted(term.variables)}; expected {sorted(known)}.")

    @property
    def size(self) -> int:
        """Number k of counters."""
        return len(self.steps[0])

    @cached_property
    def _index(self) -> dict[Any, int]:
        return {letter: i for i, letter in enumerate(self.alphabet)}

    def letters(self, word: Any) -> list[int]:
        """Positions in the alphabet of the letters of a word; rows of numbers stand for letters too.

        Raises:
            InputError: If a letter is not in the alphabet.
        """
        return letters_of(word, self._index)

    def move(self, state: tuple[tuple[int, ...], bool], letter: int) -> tuple[tuple[tuple[int, ...], bool], int]:
        """Next state (counters, whether the latch is set) and answer, as a number or a position in the symbols."""
        now = tuple(c + d for c, d in zip(state[0], self.steps[letter], strict=True))
        here = point(now)
        dead = state[1] or (self.latch is not None and self.latch.at(here) != 0)
        return (now, dead), self.dead if dead else self.answer.at(here)

    @property
    def first(self) -> tuple[tuple[int, ...], bool]:
        """The first state."""
        return (0,) * self.size, False

    def __call__(self, example: Any) -> list[Any]:
        """Answers to a word, one per position."""
        state, found = self.first, []
        for letter in self.letters(example):
            state, answer = self.move(state, letter)
            found.append(self.symbol(answer))
        return found

    def symbol(self, answer: int) -> Any:
        """An answer as the symbol it stands for."""
        return self.symbols[answer] if self.symbols else answer

    def follow(self, words: np.ndarray) -> np.ndarray:
        """Answers ``[n, T]`` to words ``[n, T]`` of positions in the alphabet, as numbers or positions in the symbols.

        Example:
            >>> Counter((0, 1), [[0], [1]], Term("c")).follow(np.array([[1, 0, 1]])).tolist()
            [[1, 1, 2]]
        """
        moved = np.array(self.steps, np.int64).reshape(len(self.alphabet), self.size)[words].cumsum(axis=1)
        return self.answers(moved, self.latched(words))[1]

    def latched(self, words: np.ndarray) -> np.ndarray:
        """Whether the latch is set after each position of words ``[n, T]``."""
        moved = np.array(self.steps, np.int64).reshape(len(self.alphabet), self.size)[words].cumsum(axis=1)
        now, _ = self.answers(moved, np.zeros(words.shape, bool))
        found: np.ndarray = np.logical_or.accumulate(now, axis=1)
        return found

    def answers(self, values: np.ndarray, dead: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Whether the latch is set, and the answers, at counters ``[…, k]``, given where it was set before."""
        here = variables(np.moveaxis(values, -1, 0))
        said = np.broadcast_to(self.answer.values(here), dead.shape)
        if self.latch is None:
            return dead, np.array(said)
        dead = dead | (np.broadcast_to(self.latch.values(here), dead.shape) != 0)
        return dead, np.where(dead, self.dead, said)

    @property
    def bits(self) -> float:
        """Length in bits: the number of counters, all steps, the answer, and one bit for whether there is a latch.

        Steps are coded by :func:`~allroads.programs.piecewise.term.number_bits`, terms by
        :func:`~allroads.programs.counter.index.term_bits`. A latch adds its term and its answer. The letters are given
        by the task.
        """
        own = natural_bits(self.size) + sum(number_bits(v) for row in self.steps for v in row)
        latch = 0.0 if self.latch is None else term_bits(self.latch, self.size) + number_bits(self.dead)
        return 1 + own + term_bits(self.answer, self.size) + latch

    @property
    def source(self) -> str:
        """Stand-alone Python that defines ``program(xs)``."""
        names = counters(self.size)
        body = [f"{name} += {self._step_text(i)}" for i, name in enumerate(names)]
        said = f"{list(self.symbols)!r}[{self.answer}]" if self.symbols else str(self.answer)
        first = [*("0" for _ in names), "[]"]
        if self.latch is not None:
            names, first = [*names, "dead"], [*first[:-1], "False", "[]"]
            compared = self.latch.head in COMPARISONS
            body.append(f"dead = dead or {str(self.latch)[4:-1] if compared else f'bool({self.latch})'}")
            said = f"{self.symbol(self.dead)!r} if dead else {said}"
        start = f"{', '.join([*names, 'ys'])} = {', '.join(first)}"
        lines = [start, "for x in xs:", *("    " + line for line in [*body, f"ys.append({said})"]), "return ys"]
        return "def program(xs):\n" + "\n".join("    " + line for line in lines)

    def _step_text(self, counter: int) -> str:
        moves = {letter: row[counter] for letter, row in zip(self.alphabet, self.steps, strict=True) if row[counter]}
        if len(moves) == 1 and len(self.alphabet) > 1:
            ((letter, value),) = moves.items()
            return f"int(x == {letter!r})" if value == 1 else f"{value} * int(x == {letter!r})"
        if len(moves) == len(self.alphabet):
            return f"{moves!r}[x]" if len(set(moves.values())) > 1 else str(next(iter(moves.values())))
        return f"{moves!r}.get(x, 0)" if moves else "0"

    @property
    def parts(self) -> frozenset[str]:
        """What each letter adds to each counter of the normal form, its answer and its latch."""
        least = self.canonical()
        names = counters(least.size)
        found = {
            f"{letter!r}: {name} {value:+d}"
            for letter, row in zip(least.alphabet, least.steps, strict=True)
            for name, value in zip(names, row, strict=True)
            if value
        }
        latch = set() if least.latch is None else {f"latch: {least.latch} → {least.symbol(least.dead)!r}"}
        return frozenset(found | {f"answer: {least.answer}"} | latch)

    def canonical(self) -> Counter:
        """The same program with counters that are used only, each once, first steps positive, in order of their steps.

        Where the place of the largest or smallest counter is used, counters stay as they are.

        Example:
            >>> odd = Counter((0, 1), [[1, -1], [0, 1]], Term("<", (Term("c1"), Term(0))))
            >>> odd.canonical().steps, str(odd.canonical().answer)
            (((1,), (-1,)), 'int(0 < c)')
        """
        terms = [self.answer, *([] if self.latch is None else [self.latch])]
        used = frozenset().union(*(term.variables for term in terms))
        names = counters(self.size)
        dead = self.dead if self.latch is not None else 0
        if used & set(places(self.size)):
            return Counter(self.alphabet, self.steps, tidy(self.answer), self._tidied(), dead, self.symbols)
        columns: dict[tuple[int, ...], None] = {}
        signed: dict[str, tuple[int, tuple[int, ...]]] = {}
        for name, column in zip(names, zip(*self.steps, strict=True), strict=True):
            sign = -1 if next((v for v in column if v), 1) < 0 else 1
            signed[name] = sign, tuple(sign * v for v in column)
            if name in used and any(column):
                columns[signed[name][1]] = None
        order = sorted(columns, reverse=True)
        fresh = dict(zip(order, counters(len(order)), strict=True))
        by = {}
        for name, (sign, column) in signed.items():
            own = Term(fresh[column]) if column in fresh else Term(0)
            by[name] = own if sign > 0 else Term("-", (Term(0), own))
        latch = None if self.latch is None else tidy(self.latch.replaced(by))
        answer = tidy(self.answer.replaced(by))
        steps = tuple(tuple(column[i] for column in order) for i in range(len(self.alphabet)))
        return Counter(self.alphabet, steps, answer, latch, dead, self.symbols)

    def _tidied(self) -> Term | None:
        return None if self.latch is None else tidy(self.latch)

    def equals(self, other: Program) -> Equivalence:
        """Whether both compute the same function.

        It is decided at all lengths where normal forms are equal, or where all counters of both move along one line:
        both programs are then affine beyond a bound that is worked out. Otherwise words are searched, shortest first.

        Args:
            other: Counters over the same letters.

        Returns:
            An :class:`Equivalence` with the scope *all lengths*, or *to length*. Its counterexample is a shortest word.

        Raises:
            InputError: If the other is no program of counters, or its letters are others.

        Example:
            >>> zero, c = Term(0), Term("c")
            >>> even = Counter("()", [[1], [-1]], Term("==", (c, zero)))
            >>> brackets = Counter("()", [[1], [-1]], Term("==", (c, zero)), latch=Term("<", (c, zero)))
            >>> str(even.equals(brackets))
            "different: [')', '('] gives [0, 1] and [0, 0]"
        """
        if not isinstance(other, Counter) or set(self.alphabet) != set(other.alphabet):
            raise InputError(f"other: expected counters over the letters {self.alphabet[:8]!r}; got {other!r}.")
        return compare(self, other._ordered_as(self.alphabet))

    def _ordered_as(self, alphabet: Sequence[Any]) -> Counter:
        steps = tuple(self.steps[self._index[letter]] for letter in alphabet)
        return Counter(tuple(alphabet), steps, self.answer, self.latch, self.dead, self.symbols)

    def distance(self, other: Program) -> float:
        """Edit distance of normal forms: steps that differ, counters matched as well as can be, and nodes of terms.

        Example:
            >>> zero, c = Term(0), Term("c")
            >>> even = Counter("()", [[1], [-1]], Term("==", (c, zero)))
            >>> even.distance(Counter("()", [[1], [-2]], Term("==", (c, zero))))
            1.0
        """
        if not isinstance(other, Counter) or set(self.alphabet) != set(other.alphabet):
            return math.inf
        a, b = self.canonical(), other._ordered_as(self.alphabet).canonical()
        found = float(a.symbols != b.symbols) + term_distance(a.answer, b.answer) + term_distance(a.latch, b.latch)
        found += float(a.latch is not None and b.latch is not None and a.dead != b.dead)
        size = max(a.size, b.size)
        mine, theirs = (
            [*zip(*p.steps, strict=True), *[(0,) * len(p.alphabet)] * (size - p.size)] if p.size else
            [(0,) * len(p.alphabet)] * size for p in (a, b)
        )  # fmt: skip
        orders = itertools.permutations(range(size)) if size <= 5 else iter([tuple(range(size))])
        apart = (sum(x != y for i, j in enumerate(o) for x, y in zip(mine[i], theirs[j], strict=True)) for o in orders)
        return found + float(min(apart))
