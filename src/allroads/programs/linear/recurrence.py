"""Integer recurrences: programs that keep whole numbers and answer sums of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from allroads.errors import InputError
from allroads.programs.diagram import Diagram
from allroads.programs.equivalence import Equivalence
from allroads.programs.linear.diagram import signal_flow
from allroads.programs.linear.realise import Rows, StateSpace, markov, realise, times
from allroads.programs.linear.source import write
from allroads.programs.linear.transfer import transfer
from allroads.programs.program import Program

EXACT = 2.0**53
"""Whole numbers below it are exact in double precision."""


@dataclass(frozen=True)
class Recurrence(Program):
    """A linear recurrence over the whole numbers: ``y = C s + D x``, then ``s ← A s + B x``.

    The answer at a position reads the state before the update and the present input. A constant that is added is a
    state that never changes. An example is a list of T numbers, of T tuples with several channels, or an array
    ``[T]`` or ``[T, D]``; the answer is a list of T numbers, or of T tuples with several outputs.

    Args:
        a: A, ``[n, n]`` whole numbers, as rows.
        b: B, ``[n, inputs]``.
        c: C, ``[outputs, n]``.
        d: D, ``[outputs, inputs]``.
        start: The state before the first position, ``[n]``.

    Raises:
        InputError: If an entry is not whole or the shapes do not fit.

    References: [kalman1969]

    Example:
        >>> freebody = Recurrence(a=[[1, 1], [0, 1]], b=[[1], [1]], c=[[1, 1]], d=[[1]], start=[0, 0])
        >>> freebody([1, 0, 0, -1])
        [1, 2, 3, 3]
        >>> print(freebody.source)
        def program(x):
            a = 0
            b = 0
            y = []
            for u in x:
                b = b + u
                a = b + a
                y.append(a)
            return y
    """

    language: ClassVar[str] = "linear"
    a: Rows
    b: Rows
    c: Rows
    d: Rows
    start: tuple[int, ...]

    def __post_init__(self) -> None:
        start = _whole("start", [self.start], None)[0] if len(self.start) else ()
        states = len(start)
        d = _whole("d", self.d, None)
        shapes = {"a": (states, states), "b": (states, len(d[0])), "c": (len(d), states)}
        found = {name: _whole(name, getattr(self, name), shape) for name, shape in shapes.items()}
        for name, value in ({"d": d, "start": start} | found).items():
            object.__setattr__(self, name, value)

    @property
    def states(self) -> int:
        """Number n of whole numbers that it keeps."""
        return len(self.start)

    @property
    def inputs(self) -> int:
        """Number of channels that it reads."""
        return len(self.d[0])

    @property
    def outputs(self) -> int:
        """Number of channels that it answers."""
        return len(self.d)

    @property
    def space(self) -> StateSpace:
        """Its matrices."""
        return StateSpace(self.a, self.b, self.c, self.d, self.start)

    @property
    def source(self) -> str:
        """Stand-alone Python that defines ``program(x)``."""
        return write(self.space)

    @property
    def bits(self) -> float:
        """Length in bits: the three sizes, then every entry, in Elias's gamma code.

        A whole number z takes 2⌊log₂ k⌋ + 1 bits with k = 2|z| + [z ≤ 0]: one bit for 0, three for ±1. Sizes are coded
        as k = size + 1.

        References: [elias1975]

        Example:
            >>> Recurrence(a=[[1]], b=[[1]], c=[[1]], d=[[1]], start=[0]).bits
            22.0
        """
        entries = [z for rows in (self.a, self.b, self.c, self.d) for row in rows for z in row] + list(self.start)
        sizes = sum(gamma(size + 1) for size in (self.states, self.inputs, self.outputs))
        return float(sizes + sum(gamma(2 * abs(z) + (z <= 0)) for z in entries))

    def responses(self, terms: int) -> tuple[list[list[list[int]]], list[list[int]]]:
        """Impulse response ``[terms, outputs, inputs]`` and free response ``[terms, outputs]``.

        Example:
            >>> Recurrence(a=[[1]], b=[[1]], c=[[1]], d=[[1]], start=[3]).responses(2)
            ([[[1]], [[1]]], [[3], [3]])
        """
        return markov(self.space, terms)

    @property
    def coefficients(self) -> dict[tuple[str, str, int], int]:
        """Coefficients of its transfer functions: ``(pair, "above" or "below", power of the delay) -> coefficient``.

        Example:
            >>> Recurrence(a=[[1]], b=[[1]], c=[[1]], d=[[1]], start=[0]).coefficients
            {('y0/x0', 'above', 0): 1, ('y0/x0', 'below', 0): 1, ('y0/x0', 'below', 1): -1}
        """
        response, free = self.responses(2 * self.states + 3)
        found: dict[tuple[str, str, int], int] = {}
        for output in range(self.outputs):
            columns = {f"x{i}": [block[output][i] for block in response] for i in range(self.inputs)}
            for name, sequence in (columns | {"start": [block[output] for block in free]}).items():
                for place, polynomial in zip(("above", "below"), transfer(sequence), strict=True):
                    if any(sequence):
                        pair = f"y{output}/{name}"
                        found |= {(pair, place, k): value for k, value in enumerate(polynomial) if value}
        return found

    @property
    def parts(self) -> frozenset[str]:
        """Names of the coefficients of its transfer functions, such as ``"y0/x0 above z^1: 2"``."""
        return frozenset(f"{pair} {place} z^{k}: {value}" for (pair, place, k), value in self.coefficients.items())

    @property
    def diagram(self) -> Diagram | None:
        """Its signal-flow graph; ``None`` above 16 nodes."""
        return signal_flow(self)

    def __call__(self, example: Any) -> Any:
        """The answers at all positions."""
        state, answers = list(self.start), []
        for x in self._read(example):
            now = zip(times(self.c, state), times(self.d, x), strict=True)
            answers.append(tuple(kept + new for kept, new in now))
            state = [kept + new for kept, new in zip(times(self.a, state), times(self.b, x), strict=True)]
        return [answer[0] for answer in answers] if self.outputs == 1 else answers

    def _read(self, example: Any) -> list[list[int]]:
        array = np.asarray(example, dtype=object)
        array = array.reshape(len(array), -1) if array.size else array.reshape(0, self.inputs)
        if array.shape[1] != self.inputs or any(value != int(value) for value in array.flat):
            raise InputError(
                f"a recurrence of {self.inputs} channels expects a list of whole numbers, one or a tuple of "
                f"{self.inputs} a position; got {example!r}."
            )
        return [[int(value) for value in row] for row in array]

    def answer(self, inputs: np.ndarray) -> np.ndarray:
        """Answers ``[N, T, outputs]`` to many inputs ``[N, T, D]`` at once, exact; of type object where they are large.

        Example:
            >>> Recurrence(a=[[1]], b=[[1]], c=[[1]], d=[[1]], start=[0]).answer(np.ones((1, 3, 1)))[0, :, 0].tolist()
            [1, 2, 3]
        """
        return self._from_start(inputs)[0]

    def answer_states(self, inputs: np.ndarray) -> np.ndarray:
        """States ``[N, T, n]`` after each position of many inputs."""
        return self._from_start(inputs)[1]

    def _from_start(self, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        start = np.array(self.start, dtype=np.int64)
        return self.follow(inputs, np.broadcast_to(start, (len(inputs), self.states)))

    def follow(self, inputs: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Answers ``[N, T, outputs]`` from states ``[N, n]``, and the states ``[N, T, n]`` after each position."""
        inputs = np.asarray(inputs)
        rough, _ = self._follow(np.abs(inputs).astype(np.float64), np.abs(state).astype(np.float64), absolute=True)
        kind: Any = np.int64 if rough.size == 0 or rough.max() < EXACT else object
        return self._follow(inputs.astype(np.int64).astype(kind), np.asarray(state).astype(kind))

    def _follow(self, inputs: np.ndarray, state: np.ndarray, absolute: bool = False) -> tuple[np.ndarray, np.ndarray]:
        a, b, c, d = (
            np.array(rows, dtype=inputs.dtype).reshape(shape)
            for rows, shape in (
                (self.a, (self.states, self.states)),
                (self.b, (self.states, self.inputs)),
                (self.c, (self.outputs, self.states)),
                (self.d, (self.outputs, self.inputs)),
            )
        )
        if absolute:
            a, b, c, d = np.abs(a), np.abs(b), np.abs(c), np.abs(d)
        answers, states = [], []
        for position in range(inputs.shape[1]):
            x = inputs[:, position]
            answers.append(state @ c.T + x @ d.T)
            state = state @ a.T + x @ b.T
            states.append(state)
        if absolute:  # the largest number on the way, whatever the signs
            return np.array([np.max(part, initial=0.0) for part in (*answers, *states)]), state
        shape = (len(inputs), len(answers))
        if not answers:
            return np.zeros((*shape, self.outputs), inputs.dtype), np.zeros((*shape, self.states), inputs.dtype)
        return np.stack(answers, axis=1), np.stack(states, axis=1)

    def canonical(self) -> Recurrence:
        """The minimal realisation in the Hermite normal form of its lattice of responses.

        Two recurrences compute the same function for all lengths exactly where their normal forms are equal.

        Example:
            >>> twice = Recurrence(a=[[1, 0], [0, 1]], b=[[1], [1]], c=[[1, 1]], d=[[2]], start=[0, 0])
            >>> twice.canonical()
            Recurrence(a=((1,),), b=((1,),), c=((2,),), d=((2,),), start=(0,))
        """
        found = realise(*self.responses(4 * self.states + 4))
        if found is None:
            raise AssertionError("a recurrence has a realisation of at most its own size")
        return of_space(found)

    def distance(self, other: Program) -> float:
        """Number of coefficients of the transfer functions that differ; infinite across languages and channels."""
        if not isinstance(other, Recurrence) or (self.inputs, self.outputs) != (other.inputs, other.outputs):
            return math.inf
        mine, yours = self.coefficients, other.coefficients
        return float(sum(mine.get(key, 0) != yours.get(key, 0) for key in mine.keys() | yours.keys()))

    def equals(self, other: Program) -> Equivalence:
        """Whether both compute the same function, for all lengths and all whole inputs.

        Two recurrences of n and m states are equal where the first n + m + 1 terms of their responses agree. This
        follows from the theorem of Cayley and Hamilton. The counterexample is a shortest one.

        Raises:
            InputError: If the other is no recurrence, or has other channels.

        Example:
            >>> one = Recurrence(a=[[1]], b=[[1]], c=[[1]], d=[[1]], start=[0])
            >>> late = Recurrence(a=[[1]], b=[[2]], c=[[1]], d=[[1]], start=[0])
            >>> print(one.equals(one)), print(one.equals(late))
            equal at all lengths
            different: [1, 0] gives [1, 1] and [1, 2]
            (None, None)
        """
        if not isinstance(other, Recurrence) or (self.inputs, self.outputs) != (other.inputs, other.outputs):
            raise InputError(
                f"equals: expected a recurrence of {self.inputs} inputs and {self.outputs} outputs; got {other!r}."
            )
        terms = self.states + other.states + 1
        (mine, free), (yours, others) = self.responses(terms), other.responses(terms)
        for lag in range(terms):
            rows = [(mine[lag][o][i], yours[lag][o][i], i) for o in range(self.outputs) for i in range(self.inputs)]
            channel = next((i for ours, theirs, i in rows if ours != theirs), None)
            if free[lag] == others[lag] and channel is None:
                continue
            example = np.zeros((lag + 1, self.inputs), dtype=int)
            if free[lag] == others[lag]:
                example[0, channel] = 1
            given = [tuple(row) for row in example.tolist()] if self.inputs > 1 else example[:, 0].tolist()
            return Equivalence(False, "all lengths", lag + 1, counterexample=given, answers=(self(given), other(given)))
        return Equivalence(True, "all lengths", terms)


def gamma(k: int) -> int:
    """Bits of a number of 1 or more in Elias's gamma code: ``2 ⌊log₂ k⌋ + 1``.

    Example:
        >>> gamma(1), gamma(2), gamma(4)
        (1, 3, 5)
    """
    return 2 * (k.bit_length() - 1) + 1


def of_space(space: StateSpace) -> Recurrence:
    """The recurrence of a state space.

    Example:
        >>> of_space(StateSpace((), (), ((),), ((2,),), ()))([3])
        [6]
    """
    return Recurrence(space.a, space.b, space.c, space.d, space.start)


def _whole(name: str, rows: Any, shape: tuple[int, int] | None) -> Rows:
    try:
        found = tuple(tuple(int(value) for value in row) for row in rows)
        whole = all(
            value == given
            for row, line in zip(found, rows, strict=True)
            for value, given in zip(row, line, strict=True)
        )
    except (TypeError, ValueError):
        found, whole = (), False
    wide = {len(row) for row in found}
    fits = bool(found) and len(wide) == 1 and wide != {0} if shape is None else (len(found), *wide) in _shapes(shape)
    if not whole or not fits:
        expected = "rows of whole numbers" if shape is None else f"{shape[0]} rows of {shape[1]} whole numbers"
        raise InputError(f"{name} of a recurrence: expected {expected}; got {rows!r}.")
    return found


def _shapes(shape: Sequence[int]) -> list[tuple[int, ...]]:
    return [tuple(shape)] if shape[0] else [(0,)]
