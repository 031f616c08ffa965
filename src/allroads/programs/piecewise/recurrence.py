"""Piecewise-linear recurrences as programs: registers of whole numbers, updated and answered by terms."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from allroads.errors import InputError
from allroads.programs.equivalence import Equivalence
from allroads.programs.mealy.code import natural_bits
from allroads.programs.mealy.rule import named
from allroads.programs.piecewise.compare import compare
from allroads.programs.piecewise.distance import term_distance
from allroads.programs.piecewise.term import Term, number_bits, tidy
from allroads.programs.program import Program


@dataclass(frozen=True)
class Register:
    """A whole number that is kept.

    Args:
        start: Its value before the first position.
        update: Its next value: a term in the registers' values before and the inputs.
        fresh: Whether the answer reads its next value, and not the one before.

    Example:
        >>> str(Register(0, Term("max", (Term("s"), Term("x")))).update)
        'max(s, x)'
    """

    start: int
    update: Term
    fresh: bool = False


@dataclass(frozen=True)
class Piecewise(Program):
    """A piecewise-linear recurrence over whole numbers: sums, absolute values, minima, maxima and comparisons.

    Inputs are called ``x``, or ``x0, x1, …``, and registers ``s``, or ``s0, s1, …``. An example is a list of T numbers,
    of T tuples with several channels, or an array ``[T]`` or ``[T, D]``. The answer is a list of T numbers.

    Args:
        registers: What it keeps.
        output: The answer: a term in the registers, fresh or not, and the inputs.
        low: Smallest input that it is stated for.
        high: Largest.
        channels: Number D of inputs at a position.

    Raises:
        InputError: If a term has another variable, or the update of a register that is not fresh reads one that is.

    Example:
        >>> x, s = Term("x"), Term("s")
        >>> gap = Piecewise((Register(0, x),), Term("abs", (Term("-", (x, s)),)), -9, 9)
        >>> gap([3, 5, -1])
        [3, 2, 6]
        >>> print(gap.source)
        def program(xs):
            s, ys = 0, []
            for x in xs:
                ys.append(abs(x - s))
                s = x
            return ys
    """

    registers: tuple[Register, ...]
    output: Term
    low: int
    high: int
    channels: int = 1

    language: ClassVar[str] = "piecewise"

    def __post_init__(self) -> None:
        object.__setattr__(self, "registers", tuple(self.registers))
        known = {*self.names, *self.reads}
        fresh = {name for name, r in zip(self.names, self.registers, strict=True) if r.fresh}
        for term in (self.output, *(r.update for r in self.registers)):
            if not term.variables <= known:
                raise InputError(f"{term}: it has the variables {sorted(term.variables)}; expected {sorted(known)}.")
        for register in self.registers:
            if not register.fresh and register.update.variables & fresh:
                raise InputError(
                    f"{register.update}: the update of a register that is not fresh cannot read one that is."
                )
        if not self.low <= self.high:
            raise InputError(f"low, high: expected a range; got {self.low} … {self.high}.")

    @property
    def names(self) -> list[str]:
        """Names of the registers."""
        return named("s", len(self.registers))

    @property
    def reads(self) -> list[str]:
        """Names of the inputs of a position."""
        return named("x", self.channels)

    @property
    def states(self) -> int:
        """Number k of registers."""
        return len(self.registers)

    @property
    def start(self) -> tuple[int, ...]:
        """First values of the registers."""
        return tuple(r.start for r in self.registers)

    def __call__(self, example: Any) -> list[int]:
        """The answers at all positions."""
        rows = np.asarray(example, dtype=object)
        rows = rows.reshape(len(rows), -1) if rows.size else rows.reshape(0, self.channels)
        if rows.shape[1] != self.channels or any(value != int(value) for value in rows.flat):
            raise InputError(f"expected whole numbers, {self.channels} a position; got {example!r}.")
        state, found = self.start, []
        for row in rows:
            here = dict(zip(self.names, state, strict=True)) | dict(zip(self.reads, map(int, row), strict=True))
            after = tuple(r.update.at(here) for r in self.registers)
            fresh = {n: v for n, v, r in zip(self.names, after, self.registers, strict=True) if r.fresh}
            found.append(self.output.at(here | fresh))
            state = after
        return found

    def step(self, state: np.ndarray, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Next registers ``[n, k]`` and answers ``[n]`` of registers ``[n, k]`` and inputs ``[n, D]``."""
        here: dict[str, np.ndarray] = dict(zip(self.names, state.T, strict=True))
        here |= dict(zip(self.reads, inputs.T, strict=True))
        after = [np.broadcast_to(r.update.values(here), len(inputs)) for r in self.registers]
        here |= {n: v for n, v, r in zip(self.names, after, self.registers, strict=True) if r.fresh}
        said = np.broadcast_to(self.output.values(here), len(inputs))
        return np.stack(after, axis=1) if after else np.zeros((len(inputs), 0), np.int64), said

    def follow(self, inputs: np.ndarray, state: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Answers ``[N, T]`` and registers after each position ``[N, T, k]``, from registers ``[N, k]`` or the first.

        Example:
            >>> largest = Piecewise((Register(0, Term("max", (Term("s"), Term("x"))), True),), Term("s"), 0, 9)
            >>> largest.follow(np.array([[[1], [4], [2]]]))[0].tolist()
            [[1, 4, 4]]
        """
        inputs = np.asarray(inputs).astype(np.int64)
        now = np.tile(np.array(self.start, np.int64), (len(inputs), 1)) if state is None else state
        answers, states = [], []
        for position in range(inputs.shape[1]):
            now, said = self.step(now, inputs[:, position])
            answers.append(said)
            states.append(now)
        return np.stack(answers, axis=1), np.stack(states, axis=1)

    @cached_property
    def terms(self) -> tuple[Term, ...]:
        """All its terms."""
        return (*(r.update for r in self.registers), self.output)

    @property
    def linear(self) -> bool:
        """Whether it has sums only, so that it is a recurrence of the language ``linear``."""
        return all(part.head in ("+", "-") for term in self.terms for part in term.parts() if part.args)

    @property
    def bits(self) -> float:
        """Length in bits: the number of registers, each with its start, its update and whether it is fresh, the answer.

        Numbers and terms are coded as :mod:`~allroads.programs.piecewise.term` says. The range is given by the task.
        """
        count = self.states + self.channels
        kept = sum(1 + number_bits(r.start) + r.update.bits(count) for r in self.registers)
        return natural_bits(self.states) + kept + self.output.bits(count)

    @property
    def source(self) -> str:
        """Stand-alone Python that defines ``program(xs)``."""
        start = f"{', '.join([*self.names, 'ys'])} = {', '.join([*map(str, self.start), '[]'])}"
        body = [*self._moves(True), f"ys.append({self.output})", *self._moves(False)]
        lines = [start, f"for {', '.join(self.reads)} in xs:", *("    " + line for line in body), "return ys"]
        return "def program(xs):\n" + "\n".join("    " + line for line in lines)

    def _moves(self, fresh: bool) -> list[str]:
        chosen = [(n, r) for n, r in zip(self.names, self.registers, strict=True) if r.fresh == fresh]
        if not chosen:
            return []
        return [f"{', '.join(n for n, _ in chosen)} = {', '.join(str(r.update) for _, r in chosen)}"]

    @property
    def parts(self) -> frozenset[str]:
        """Updates with their starts, and the answer, of the normal form."""
        least = self.canonical()
        kept = {f"{n}: {r.start}, {r.update}" for n, r in zip(least.names, least.registers, strict=True)}
        return frozenset(kept | {f"answer: {least.output}"})

    def canonical(self) -> Piecewise:
        """The same program with answers from the registers before, registers that are read only, in a fixed order.

        Example:
            >>> x, s = Term("x"), Term("s")
            >>> largest = Piecewise((Register(0, Term("max", (x, s)), True),), s, 0, 9)
            >>> str(largest.canonical().output)
            'max(s, x)'
        """
        new = {n: r.update for n, r in zip(self.names, self.registers, strict=True) if r.fresh}
        output = self.output.replaced(new)
        kept = dict(zip(self.names, self.registers, strict=True))
        needed, grown = set(output.variables), True
        while grown:
            more = needed.union(*(kept[n].update.variables for n in needed & set(kept)))
            grown, needed = more != needed, more
        forms = []
        for order in itertools.permutations(sorted(needed & set(kept))):
            by = {n: Term(m) for n, m in zip(order, named("s", len(order)), strict=True)}
            registers = tuple(Register(kept[n].start, tidy(kept[n].update.replaced(by))) for n in order)
            forms.append(Piecewise(registers, tidy(output.replaced(by)), self.low, self.high, self.channels))
            if len(order) > 6:
                break
        return min(forms, key=lambda form: form.source)

    def equals(self, other: Program) -> Equivalence:
        """Whether both compute the same function of inputs in the range of both.

        Pairs of states are searched breadth-first under all inputs. Where they are finitely many, it is decided at all
        lengths; otherwise up to the length that the search reached.

        Args:
            other: A program of this language with as many channels.

        Returns:
            An :class:`Equivalence` with the scope *all lengths*, or *to length*. Its counterexample is a shortest one.

        Raises:
            InputError: If the other is no such program, or the ranges have nothing in common.

        Example:
            >>> largest, last = (Piecewise((Register(0, t, True),), Term("s"), 0, 3) for t in
            ...                  (Term("max", (Term("s"), Term("x"))), Term("x")))
            >>> str(largest.equals(last))
            'different: [1, 0] gives [1, 1] and [1, 0]'
        """
        if not isinstance(other, Piecewise) or self.channels != other.channels:
            raise InputError(f"other: expected a Piecewise of {self.channels} channels; got {other!r}.")
        if max(self.low, other.low) > min(self.high, other.high):
            raise InputError("other: the ranges have no number in common.")
        return compare(self, other)

    def distance(self, other: Program) -> float:
        """Edit distance of normal forms: nodes of terms and starts that differ, registers matched as well as can be.

        Example:
            >>> largest, smallest = (Piecewise((Register(0, Term(h, (Term("s"), Term("x"))), True),), Term("s"), 0, 3)
            ...                      for h in ("max", "min"))
            >>> largest.distance(largest), largest.distance(smallest) > 0
            (0.0, True)
        """
        if not isinstance(other, Piecewise) or self.channels != other.channels:
            return math.inf
        a, b = self.canonical(), other.canonical()
        size = max(a.states, b.states)
        mine, theirs = ([*p.registers, *[None] * (size - p.states)] for p in (a, b))
        orders = itertools.permutations(range(size)) if size <= 5 else iter([tuple(range(size))])
        apart = (sum(_register_distance(mine[i], theirs[j]) for i, j in enumerate(order)) for order in orders)
        return term_distance(a.output, b.output) + min(apart)


def _register_distance(a: Register | None, b: Register | None) -> float:
    if a is None or b is None:
        return sum(1.0 + len(r.update.parts()) for r in (a, b) if r is not None)
    return float(a.start != b.start) + term_distance(a.update, b.update)
