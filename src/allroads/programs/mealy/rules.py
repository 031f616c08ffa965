"""Search for the shortest rule of a machine."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from allroads.programs.mealy.enumerate import shortest_expressions
from allroads.programs.mealy.expression import Expression
from allroads.programs.mealy.numberings import Numbering, numberings, windows
from allroads.programs.mealy.rule import Rule, letter_values, named

if TYPE_CHECKING:
    from allroads.programs.mealy.machine import Machine

LEAVES = 4
"""Most leaves of an expression, sums of variables apart."""

TRIED = 12
"""Most numberings whose formulas are searched to the end."""


@lru_cache(maxsize=512)
def shortest_rule(machine: Machine) -> Rule | None:
    """The shortest rule that was found of a minimal machine, or ``None``.

    Registers are one number per state, under several numberings, or the last letters. Every rule is checked against the
    tables on all its reachable states, so it holds at all lengths. Nothing says that there is no shorter one.

    Example:
        >>> from allroads.programs.mealy import Machine
        >>> moves = [[(s + x) % 5 for x in range(5)] for s in range(5)]
        >>> shortest_rule(Machine((0, 1, 2, 3, 4), moves, moves).canonical()).formulas
        ('next: (s + x) % 5', 'output: s')
    """
    values, own = letter_values(machine.alphabet)
    flat = [o for row in machine.outputs for o in row]
    whole = all(isinstance(o, int | float) and not isinstance(o, bool) and o == int(o) for o in flat)
    symbols = () if whole else tuple(dict.fromkeys(flat))
    said = np.array([[int(o) if whole else symbols.index(o) for o in row] for row in machine.outputs])
    search = _Search(machine, np.array(values), () if own else machine.alphabet, said, symbols)
    fits = [rule for rule in search.rules() if search.holds(rule)]
    return min(fits, key=lambda rule: rule.bits, default=None)


class _Search:
    def __init__(self, machine: Machine, values: np.ndarray, letters: Any, said: np.ndarray, symbols: Any):
        self.machine, self.values, self.letters, self.said, self.symbols = machine, values, letters, said, symbols
        self.moves = np.array(machine.transitions)
        largest = {len(self.moves), int(values.max()), int(values.max()) + 1, int(said.max()), int(said.max()) + 1}
        self.constants = sorted({0, 1, 2} | {c for c in largest if 0 < c < 1000})
        self.names = named("x", values.shape[1])

    def rules(self) -> Iterator[Rule]:
        if len(self.moves) == 1:
            points = dict(zip(self.names, self.values.T, strict=True))
            yield from self._rules((), (), points, self.said[0], False)
            return
        window = windows(self.moves)
        if window is not None and self.values.shape[1] == 1:
            yield from self._window(*window)
        complete = 0
        for numbering in itertools.islice(numberings(self.moves, self.said, self._drives()), 4 * TRIED):
            made = list(self._numbered(numbering))
            complete += bool(made)
            yield from made
            if complete >= TRIED:
                return

    def _drives(self) -> list[np.ndarray]:
        if self.values.shape[1] == 1:
            x = self.values[:, 0]
            return [x, 1 - x, x % 2, (x == 0).astype(int)]
        a, b = self.values[:, 0], self.values[:, 1]
        return [self.values.sum(axis=1), a, b, a * b, np.minimum(a, b), np.maximum(a, b), a - b, (a == b).astype(int)]

    def _numbered(self, numbering: Numbering) -> Iterator[Rule]:
        number = np.array(numbering)
        count, letters = self.moves.shape
        points = {"s": np.repeat(number, letters)}
        points |= {n: np.tile(v, count) for n, v in zip(self.names, self.values.T, strict=True)}
        after = number[self.moves].ravel()
        said = self.said.ravel()
        constants = sorted({*self.constants, *({int(number.max())} if number.max() < 1000 else ())})
        following, output = shortest_expressions(points, [after, said], constants, self._leaves())
        if following is None:
            return
        moved = points | {"s": after}
        later = shortest_expressions(moved, [said], constants, 3)[0] if self._decided(moved, said) else None
        for said_by, when in ((output, False), (later, True)):
            if said_by is not None:
                yield self._rule((numbering[0],), (following,), said_by, when)

    def _leaves(self) -> int:
        return LEAVES if self.moves.size <= 2048 else 3

    @staticmethod
    def _decided(points: dict[str, np.ndarray], said: np.ndarray) -> bool:
        seen: dict[tuple[int, ...], int] = {}
        rows = np.stack([*points.values()], axis=1).tolist()
        return all(seen.setdefault(tuple(row), o) == o for row, o in zip(rows, said.tolist(), strict=True))

    def _window(self, k: int, filling: int, states: dict[tuple[int, ...], int]) -> Iterator[Rule]:
        names = named("s", k)
        if len(states) * len(self.values) > 4096:
            return
        pairs = list(itertools.product(states, range(len(self.values))))
        points = {n: self.values[[w[i] for w, _ in pairs], 0] for i, n in enumerate(names)}
        points["x"] = self.values[[a for _, a in pairs], 0]
        said = np.array([self.said[states[w], a] for w, a in pairs])
        following = tuple(Expression(n) for n in (*names[1:], "x"))
        yield from self._rules((int(self.values[filling, 0]),) * k, following, points, said, False)

    def _rules(
        self, initial: tuple[int, ...], following: tuple[Expression, ...], points: Any, said: np.ndarray, after: bool
    ) -> Iterator[Rule]:
        output = shortest_expressions(points, [said], self.constants, self._leaves() if len(points) < 4 else 3)[0]
        if output is not None:
            yield self._rule(initial, following, output, after)

    def _rule(self, initial: Any, following: Any, output: Expression, after: bool) -> Rule:
        return Rule(initial, following, output, after, self.values.shape[1], tuple(self.letters), self.symbols)

    def holds(self, rule: Rule) -> bool:
        """Whether a rule does what the machine does on every pair of their states that is reached together."""
        letters = [tuple(map(int, row)) for row in self.values]
        pairs = [(rule.initial, 0)]
        seen = set(pairs)
        for registers, q in pairs:  # grows while it is walked
            for a, letter in enumerate(letters):
                following, answer = rule.step(registers, letter)
                if answer != self.machine.outputs[q][a]:
                    return False
                pair = (following, self.machine.transitions[q][a])
                if pair not in seen:
                    seen.add(pair)
                    pairs.append(pair)
                    if len(pairs) > 4096:
                        return False
        return True
