"""Fourier programs: arithmetic modulo p by waves of a few frequencies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from allroads.checks import check_count
from allroads.errors import InputError
from allroads.programs.diagram import Diagram
from allroads.programs.equivalence import Equivalence
from allroads.programs.fourier.diagram import frequency_wheel
from allroads.programs.program import Program


@dataclass(frozen=True)
class FourierProgram(Program):
    """The answer ``argmax_z Σ_k cos(2π k (a x + b y + c − z) / p)`` to two numbers modulo p.

    Frequencies stand for their negatives too. They and p have no common divisor. The sum is then largest at one z
    alone, ``a x + b y + c`` modulo p. Two programs may so compute one function by other frequencies.

    Args:
        p: The modulus, 2 or more.
        frequencies: The k, whole numbers modulo p.
        a: Factor of the first number.
        b: Factor of the second.
        c: What is added.

    Raises:
        InputError: If p is no modulus, there is no frequency, or p and the frequencies have a common divisor.

    References: [nanda2023] [gromov2023]

    Example:
        >>> add = FourierProgram(7, (5, 3))
        >>> add([4, 6]), add.frequencies
        (3, (2, 3))
    """

    language: ClassVar[str] = "fourier"
    p: int
    frequencies: tuple[int, ...]
    a: int = 1
    b: int = 1
    c: int = 0

    def __post_init__(self) -> None:
        check_count("p", self.p, 2)
        for name in ("a", "b", "c"):
            object.__setattr__(self, name, self._residue(name, getattr(self, name)))
        given = [self._residue("frequencies", k) for k in self.frequencies]
        folded = tuple(sorted({min(k, self.p - k) for k in given}))
        if not folded or 0 in folded or math.gcd(self.p, *folded) > 1:
            raise InputError(
                f"frequencies: expected whole numbers other than 0 modulo {self.p}, without a common divisor with it; "
                f"got {self.frequencies!r}: their waves cannot tell all residues apart."
            )
        object.__setattr__(self, "frequencies", folded)

    def _residue(self, name: str, value: Any) -> int:
        try:
            whole = int(value)
        except (TypeError, ValueError):
            whole = None
        if whole is None or whole != value:
            raise InputError(f"{name}: expected whole numbers; got {value!r}.")
        return whole % self.p

    @property
    def source(self) -> str:
        """Stand-alone Python that defines ``program(x)``: it turns on the unit circle by powers of −1."""
        places = {"a": self._scaled("x[0]", self.a), "b": self._scaled("x[1]", self.b), "c": str(self.c)}
        terms = [text for name, text in places.items() if getattr(self, name)]
        first, last = self.frequencies[0], self.frequencies[-1]
        waves = f"range({first}, {last + 1})"
        if len(self.frequencies) < 4 or last - first >= len(self.frequencies):
            waves = f"({', '.join(map(str, self.frequencies))}{',' if first == last else ''})"
        return "\n".join(
            [
                "def program(x):",
                f"    d = {' + '.join(terms).replace('+ -', '- ') or '0'}",
                "",
                "    def score(z):",
                f"        return sum(((-1) ** (2 * (k * (d - z) % {self.p}) / {self.p})).real for k in {waves})",
                "",
                f"    return max(range({self.p}), key=score)",
            ]
        )

    def _scaled(self, name: str, factor: int) -> str:
        signed = factor if 2 * factor <= self.p else factor - self.p
        if abs(signed) == 1:
            return name if signed == 1 else f"-{name}"
        return f"{signed} * {name}"

    @property
    def bits(self) -> float:
        """Length in bits: p and the number m of frequencies in Elias's gamma code, which m of ⌊p/2⌋, and a, b and c.

        Example:
            >>> FourierProgram(7, (1, 2, 3)).bits == 5 + 3 + 0 + 3 * math.log2(7)
            True
        """
        count = len(self.frequencies)
        gamma = [2 * (number.bit_length() - 1) + 1 for number in (self.p, count)]
        return float(sum(gamma) + math.log2(math.comb(self.p // 2, count)) + 3 * math.log2(self.p))

    @property
    def parts(self) -> frozenset[str]:
        """The frequencies, each with the function that it serves."""
        return frozenset(f"cos {k} ({self.a}x + {self.b}y + {self.c} mod {self.p})" for k in self.frequencies)

    @property
    def diagram(self) -> Diagram | None:
        """The frequencies that it uses, on a ring of all."""
        return frequency_wheel(self.p, self.frequencies)

    def __call__(self, example: Any) -> Any:
        """The answer to two numbers; it is ``a x + b y + c`` modulo p."""
        try:
            x, y = (int(value) for value in example)
        except (TypeError, ValueError) as error:
            raise InputError(f"a Fourier program expects two whole numbers; got {example!r}.") from error
        return (self.a * x + self.b * y + self.c) % self.p

    def canonical(self) -> FourierProgram:
        """The program itself: residues and frequencies are kept reduced, sorted and once each."""
        return self

    def distance(self, other: Program) -> float:
        """Frequencies that only one has, and factors that differ; infinite across languages and moduli.

        Example:
            >>> FourierProgram(7, (1, 2)).distance(FourierProgram(7, (1, 3), b=6))
            3.0
        """
        if not isinstance(other, FourierProgram) or self.p != other.p:
            return math.inf
        factors = sum(getattr(self, name) != getattr(other, name) for name in ("a", "b", "c"))
        return float(len({*self.frequencies} ^ {*other.frequencies}) + factors)

    def equals(self, other: Program) -> Equivalence:
        """Whether both compute the same function of all p² pairs; their frequencies may differ.

        Raises:
            InputError: If the other is no Fourier program of the same modulus.

        Example:
            >>> print(FourierProgram(7, (1,)).equals(FourierProgram(7, (1,), b=6)))
            different: [0, 1] gives 1 and 6
        """
        if not isinstance(other, FourierProgram) or self.p != other.p:
            raise InputError(f"equals: expected a Fourier program modulo {self.p}; got {other!r}.")
        pairs: Sequence[list[int]] = ([0, 0], [0, 1], [1, 0])  # they decide c, b and a
        for pair in pairs:
            if self(pair) != other(pair):
                answers = (self(pair), other(pair))
                return Equivalence(False, "exhaustive", self.p**2, counterexample=pair, answers=answers)
        return Equivalence(True, "exhaustive", self.p**2)
