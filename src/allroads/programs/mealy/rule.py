"""A rule: formulas for the registers and the output of a machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from allroads.programs.mealy.code import natural_bits
from allroads.programs.mealy.expression import Expression


@dataclass(frozen=True)
class Rule:
    """A machine by formulas: registers of whole numbers, an expression for the next of each, and one for the output.

    Args:
        initial: First values of the registers, named ``s``, or ``s0, s1, …`` where there are several.
        following: Next value of each register, in the registers and the letter.
        output: The output, in the same; with ``after`` in the next values of the registers.
        after: Whether the registers move before the output is read.
        channels: Symbols of a letter, named ``x``, or ``x0, x1, …``; 0 where the letter's position stands for it.
        letters: The letters where their positions stand for them; else empty.
        symbols: The output symbols where the output is a position among them; else empty.

    A part that the next value and the output have in common is computed once and called ``t``.

    Its length in bits is that of all expressions, of the initial values with their signs, and of the number of
    registers. Two bits say whether ``after`` holds and whether there is a ``t``.

    Example:
        >>> s, x = Expression("s"), Expression("x")
        >>> print(Rule((0,), (Expression("^", s, x),), s, True).source)
        def program(xs):
            s, ys = 0, []
            for x in xs:
                s = s ^ x
                ys.append(s)
            return ys
    """

    initial: tuple[int, ...]
    following: tuple[Expression, ...]
    output: Expression
    after: bool = False
    channels: int = 1
    letters: tuple[Any, ...] = ()
    symbols: tuple[Any, ...] = ()

    @property
    def registers(self) -> list[str]:
        """Names of the registers."""
        return named("s", len(self.initial))

    @property
    def reads(self) -> list[str]:
        """Names of the symbols of a letter."""
        return named("x", self.channels)

    @cached_property
    def shared(self) -> tuple[Expression | None, tuple[Expression, ...], Expression]:
        """The part in common that saves most bits, and the expressions with ``t`` in its place."""
        whole = (None, self.following, self.output)
        if self.after or len(self.following) != 1:
            return whole
        common = [e for e in self.following[0].parts() if e.left is not None and e in self.output.parts()]
        splits = [(e, (self.following[0].replaced(e, "t"),), self.output.replaced(e, "t")) for e in common]
        return min([whole, *splits], key=self._bits_of)

    def _bits_of(self, split: tuple[Expression | None, tuple[Expression, ...], Expression]) -> float:
        part, following, output = split
        variables = len(self.registers) + len(self.reads)
        own = 0.0 if part is None else part.bits(variables)
        return own + sum(e.bits(variables + (part is not None)) for e in (*following, output))

    @property
    def bits(self) -> float:
        """Length in bits."""
        start = natural_bits(len(self.initial)) + sum(1 + natural_bits(abs(v)) for v in self.initial)
        return 2 + start + self._bits_of(self.shared)

    @property
    def formulas(self) -> tuple[str, ...]:
        """The formulas as text: the registers' and the output's."""
        return (*(f"next: {e}" for e in self.following), f"output: {self.output}")

    @cached_property
    def source(self) -> str:
        """Stand-alone Python that defines ``program(xs)``."""
        names, read = self.registers, ", ".join(self.reads)
        start = ", ".join([*names, "ys"]) + " = " + ", ".join([*map(str, self.initial), "[]"])
        part, following, output = self.shared
        move = [f"{', '.join(names)} = {', '.join(map(str, following))}"] if names else []
        said = f"{list(self.symbols)!r}[{output}]" if self.symbols else str(output)
        body = [*move, f"ys.append({said})"] if self.after else [f"ys.append({said})", *move]
        if part is not None:
            body.insert(0, f"t = {part}")
        if self.letters:
            body.insert(0, f"{read} = {list(self.letters)!r}.index({read})")
        lines = [start, f"for {read} in xs:", *("    " + line for line in body), "return ys"]
        return "def program(xs):\n" + "\n".join("    " + line for line in lines)

    def step(self, state: tuple[int, ...], letter: tuple[int, ...]) -> tuple[tuple[int, ...], Any]:
        """Next registers and output, as the source computes them."""
        here = dict(zip(self.registers, state, strict=True)) | dict(zip(self.reads, letter, strict=True))
        after = tuple(int(e.values(here)) for e in self.following)
        if self.after:
            here |= dict(zip(self.registers, after, strict=True))
        answer = int(self.output.values(here))
        return after, self.symbols[answer] if self.symbols else answer


def named(name: str, count: int) -> list[str]:
    """A name, or a numbered one for each of several.

    Example:
        >>> named("s", 1), named("x", 2)
        (['s'], ['x0', 'x1'])
    """
    return [name] if count == 1 else [f"{name}{i}" for i in range(count)]


def letter_values(alphabet: Sequence[Any]) -> tuple[list[tuple[int, ...]], bool]:
    """Each letter as whole numbers, and whether these are its own symbols or its position.

    Example:
        >>> letter_values(["(", ")"]), letter_values([(0, 1), (1, 1)])
        (([(0,), (1,)], False), ([(0, 1), (1, 1)], True))
    """
    rows = [letter if isinstance(letter, tuple) else (letter,) for letter in alphabet]
    whole = all(isinstance(s, int | float) and not isinstance(s, bool) and s == int(s) for row in rows for s in row)
    if whole and len({len(row) for row in rows}) == 1:
        return [tuple(int(s) for s in row) for row in rows], True
    return [(i,) for i in range(len(rows))], False
