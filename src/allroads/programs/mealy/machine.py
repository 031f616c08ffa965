"""Mealy machines as programs: tables, with formulas where these are shorter."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from allroads.errors import InputError
from allroads.programs.diagram import Diagram
from allroads.programs.equivalence import Equivalence
from allroads.programs.letters import letters_of
from allroads.programs.mealy.code import table_bits
from allroads.programs.mealy.diagram import state_graph
from allroads.programs.mealy.rule import Rule
from allroads.programs.mealy.rules import shortest_rule
from allroads.programs.program import Program

STATES_OF_FORMULAS = 64
"""States above which no formula is looked for: the table is the program."""


@dataclass(frozen=True)
class Machine(Program):
    """Mealy machine: a finite set of states that answers each letter with a symbol and moves on.

    State 0 is the initial one. The function maps a word of any length to one output per position.

    Args:
        alphabet: The letters: symbols, or tuples of symbols where a position has several channels.
        transitions: Next states, ``transitions[state][letter]``.
        outputs: Output symbols, ``outputs[state][letter]``.

    Raises:
        InputError: If a table has a wrong shape, or names a state that does not exist.

    References: [mealy1955]

    Example:
        >>> parity = Machine((0, 1), ((0, 1), (1, 0)), ((0, 1), (1, 0)))
        >>> parity([1, 0, 1, 1]), parity.states
        ([1, 1, 0, 1], 2)
        >>> print(parity.source)
        def program(xs):
            s, ys = 0, []
            for x in xs:
                s = s ^ x
                ys.append(s)
            return ys
    """

    alphabet: tuple[Any, ...]
    transitions: tuple[tuple[int, ...], ...]
    outputs: tuple[tuple[Any, ...], ...]

    language: ClassVar[str] = "mealy"

    def __post_init__(self) -> None:
        alphabet = tuple(tuple(a) if isinstance(a, list) else a for a in self.alphabet)
        object.__setattr__(self, "alphabet", alphabet)
        moves = tuple(tuple(int(q) for q in row) for row in np.asarray(self.transitions).tolist())
        object.__setattr__(self, "transitions", moves)
        said = tuple(tuple(tuple(o) if isinstance(o, list) else o for o in row) for row in self.outputs)
        object.__setattr__(self, "outputs", said)
        letters, states = len(alphabet), len(moves)
        if not letters or len(set(alphabet)) < letters:
            raise InputError(f"alphabet: expected at least one letter and none twice; got {alphabet!r}.")
        for name, table in (("transitions", moves), ("outputs", said)):
            if len(table) != states or not states or any(len(row) != letters for row in table):
                shape = [len(row) for row in table]
                raise InputError(f"{name}: expected {states} rows of {letters} entries; got rows of {shape}.")
        wrong = [q for row in moves for q in row if not 0 <= q < states]
        if wrong:
            raise InputError(f"transitions: state {wrong[0]} does not exist; expected 0 … {states - 1}.")

    @classmethod
    def of(cls, table: Any) -> Machine:
        """A machine from anything that has its three tables, such as ``target.truth["machine"]``.

        Args:
            table: A mapping with ``alphabet``, ``transitions`` and ``outputs``, or an object with these attributes.

        Raises:
            InputError: If a table is missing.

        Example:
            >>> Machine.of({"alphabet": [0, 1], "transitions": [[0, 0]], "outputs": [[1, 0]]}).states
            1
        """
        names = ("alphabet", "transitions", "outputs")
        try:
            return cls(*((table[n] if isinstance(table, dict) else getattr(table, n)) for n in names))
        except (KeyError, AttributeError) as error:
            raise InputError(f"machine: expected {', '.join(names)}; {error} is missing.") from error

    @property
    def states(self) -> int:
        """Number S of states."""
        return len(self.transitions)

    @property
    def diagram(self) -> Diagram | None:
        """Its state graph; ``None`` above 16 states."""
        return state_graph(self)

    @cached_property
    def _index(self) -> dict[Any, int]:
        return {letter: i for i, letter in enumerate(self.alphabet)}

    def letters(self, word: Any) -> list[int]:
        """Positions in the alphabet of the letters of a word; rows of numbers stand for letters too.

        Raises:
            InputError: If a letter is not in the alphabet.

        Example:
            >>> Machine(((0, 0), (0, 1)), ((0, 0),), ((0, 1),)).letters([[0.0, 1.0], [0.0, 0.0]])
            [1, 0]
        """
        return letters_of(word, self._index)

    def __call__(self, example: Any) -> list[Any]:
        """Outputs for a word, one per position."""
        state, answers = 0, []
        for letter in self.letters(example):
            answers.append(self.outputs[state][letter])
            state = self.transitions[state][letter]
        return answers

    def state_after(self, word: Sequence[int]) -> int:
        """State after a word of positions in the alphabet.

        Example:
            >>> Machine((0, 1), ((0, 1), (1, 0)), ((0, 1), (1, 0))).state_after([1, 0])
            1
        """
        state = 0
        for letter in word:
            state = self.transitions[state][letter]
        return state

    @cached_property
    def _canonical(self) -> Machine:
        reached = self._breadth_first(range(self.states))
        codes: dict[Any, int] = {}
        block = {q: codes.setdefault(self.outputs[q], len(codes)) for q in reached}
        while True:
            finer: dict[Any, int] = {}
            new = {
                q: finer.setdefault((block[q], *(block[p] for p in self.transitions[q])), len(finer)) for q in reached
            }
            if len(finer) == len(set(block.values())):
                break
            block = new
        first: dict[int, int] = {}
        for q in reached:
            first.setdefault(block[q], q)
        merged = [first[block[q]] if q in block else q for q in range(self.states)]
        order = self._breadth_first(merged)
        number = {q: i for i, q in enumerate(order)}
        moves = tuple(tuple(number[merged[p]] for p in self.transitions[q]) for q in order)
        return Machine(self.alphabet, moves, tuple(self.outputs[q] for q in order))

    def _breadth_first(self, merged: Sequence[int]) -> list[int]:
        order = [merged[0]]
        seen = set(order)
        for q in order:  # grows while it is walked
            for p in self.transitions[q]:
                if merged[p] not in seen:
                    seen.add(merged[p])
                    order.append(merged[p])
        return order

    def canonical(self) -> Machine:
        """Minimal machine of the same function, states numbered breadth-first (Moore's algorithm).

        Example:
            >>> Machine((0, 1), ((1, 2), (0, 1), (2, 0)), ((0, 1),) * 3).canonical().states
            1
        """
        return self._canonical

    @cached_property
    def access(self) -> tuple[tuple[int, ...], ...]:
        """Access word of each state: the first shortest one, as positions in the alphabet; () of what is unreached."""
        words: dict[int, tuple[int, ...]] = {0: ()}
        for q in self._breadth_first(range(self.states)):
            for letter, p in enumerate(self.transitions[q]):
                words.setdefault(p, (*words[q], letter))
        return tuple(words.get(q, ()) for q in range(self.states))

    def equals(self, other: Program) -> Equivalence:
        """Equality at all lengths, by breadth-first search of pairs of states.

        Args:
            other: A machine over the same letters, in any order.

        Returns:
            An :class:`Equivalence` with the scope *all lengths*. Its counterexample is a shortest word on which the
            last outputs differ.

        Raises:
            InputError: If the other is no machine, or its letters are others.

        Example:
            >>> parity = Machine((0, 1), ((0, 1), (1, 0)), ((0, 1), (1, 0)))
            >>> str(parity.equals(Machine((0, 1), ((0, 1), (1, 1)), ((0, 1), (1, 0)))))
            'different: [1, 1, 0] gives [1, 0, 0] and [1, 0, 1]'
        """
        if not isinstance(other, Machine):
            raise InputError(f"other: expected a Machine; got {other!r}.")
        if set(self.alphabet) != set(other.alphabet):
            raise InputError(f"the machines read other letters: {self.alphabet[:8]!r} and {other.alphabet[:8]!r}.")
        theirs = [other._index[letter] for letter in self.alphabet]
        words: dict[tuple[int, int], tuple[int, ...]] = {(0, 0): ()}
        queue = [(0, 0)]
        for pair in queue:  # grows while it is walked
            for mine, letter in enumerate(theirs):
                word = (*words[pair], mine)
                if self.outputs[pair[0]][mine] != other.outputs[pair[1]][letter]:
                    shown = [self.alphabet[i] for i in word]
                    answers = self(shown), other(shown)
                    return Equivalence(False, "all lengths", len(queue), len(word), None, shown, answers)
                following = self.transitions[pair[0]][mine], other.transitions[pair[1]][letter]
                if following not in words:
                    words[following] = word
                    queue.append(following)
        return Equivalence(True, "all lengths", len(queue) * len(theirs))

    def distance(self, other: Program) -> float:
        """Table distance: entries in which the two normal forms differ.

        Both tables, ``[states, letters]`` of pairs (next state, output), are laid on each other as breadth-first
        search numbers them. A next state and an output count one each; an entry that only one has counts as differing.
        It is a metric on normal forms. One edit of a machine may renumber its states and then counts more.

        Example:
            >>> parity = Machine((0, 1), ((0, 1), (1, 0)), ((0, 1), (1, 0)))
            >>> parity.distance(Machine((0, 1), ((0, 1), (1, 1)), ((0, 1), (1, 0))))
            1.0
        """
        if not isinstance(other, Machine) or set(self.alphabet) != set(other.alphabet):
            return math.inf
        a, b = self.canonical(), other._ordered_as(self.alphabet).canonical()
        apart = 0
        for q in range(max(a.states, b.states)):
            for mine, theirs in ((a.transitions, b.transitions), (a.outputs, b.outputs)):
                if q >= min(a.states, b.states):
                    apart += len(self.alphabet)
                else:
                    apart += sum(x != y for x, y in zip(mine[q], theirs[q], strict=True))
        return float(apart)

    def _ordered_as(self, alphabet: tuple[Any, ...]) -> Machine:
        order = [self._index[letter] for letter in alphabet]
        moves = tuple(tuple(row[i] for i in order) for row in self.transitions)
        return Machine(alphabet, moves, tuple(tuple(row[i] for i in order) for row in self.outputs))

    @cached_property
    def rule(self) -> Rule | None:
        """Formulas of the minimal machine; ``None`` where none were found."""
        least = self.canonical()
        return shortest_rule(least) if least.states <= STATES_OF_FORMULAS else None

    @property
    def formulas(self) -> tuple[str, ...]:
        """The formulas as text where they are no longer than the table; else none."""
        return self.rule.formulas if self._ruled() and self.rule is not None else ()

    def _ruled(self) -> bool:
        return self.rule is not None and self.rule.bits <= self._table_bits

    @cached_property
    def _table_bits(self) -> float:
        return table_bits(self.canonical().transitions, self.canonical().outputs)

    @property
    def bits(self) -> float:
        """Length in bits: one that says whether formulas or the table follow, and these.

        The letters are given by the task. A table is coded as :func:`table_bits` says, formulas as :class:`Rule` says.
        """
        return 1 + (self._table_bits if self.rule is None else min(self._table_bits, self.rule.bits))

    @property
    def source(self) -> str:
        """Stand-alone Python: formulas where these are shorter, else the table of the minimal machine."""
        if self.rule is not None and self._ruled():
            return self.rule.source
        least = self.canonical()
        plain = all(isinstance(o, int | float | str | tuple) for row in least.outputs for o in row)
        outputs = least.outputs if plain else tuple(tuple(map(str, row)) for row in least.outputs)
        return (
            "def program(xs):\n"
            f"    letters = {list(least.alphabet)!r}\n"
            f"    following = {[list(row) for row in least.transitions]!r}\n"
            f"    answers = {[list(row) for row in outputs]!r}\n"
            "    s, ys = 0, []\n"
            "    for x in xs:\n"
            "        a = letters.index(x)\n"
            "        ys.append(answers[s][a])\n"
            "        s = following[s][a]\n"
            "    return ys"
        )

    @property
    def parts(self) -> frozenset[str]:
        """Transitions and outputs of the minimal machine, states named by access words, and the formulas."""
        least = self.canonical()

        def name(word: Sequence[int]) -> str:
            return "".join(f"{least.alphabet[i]}," for i in word) or "start"

        found = set()
        for q, word in enumerate(least.access):
            for letter, symbol in enumerate(least.alphabet):
                found.add(f"{name(word)}·{symbol} → {name(least.access[least.transitions[q][letter]])}")
                found.add(f"{name(word)}·{symbol} : {least.outputs[q][letter]}")
        return frozenset(found | set(self.formulas))

    def __hash__(self) -> int:
        return hash((self.alphabet, self.transitions, self.outputs))
