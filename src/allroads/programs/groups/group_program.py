"""Group programs: composition in a finite group by characters of a few irreducible representations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from allroads.errors import InputError
from allroads.programs.equivalence import Equivalence
from allroads.programs.groups.characters import Irrep, irreps
from allroads.programs.groups.finite_group import FiniteGroup, Rows, as_rows, few_generators, finite_group, why_no_group
from allroads.programs.program import Program

LARGEST = 256
"""Largest order of a group: the logits of all pairs are held at once."""
TRIVIAL = "1a"
"""The name of the trivial representation."""


@dataclass(frozen=True)
class GroupProgram(Program):
    """The answer ``argmax_c Σ_ρ χ_ρ(a b c⁻¹)`` to two elements a and b of a finite group.

    The sum is over real irreducible representations ρ, and χ_ρ is the trace of ρ. It is largest where every ρ maps
    a b c⁻¹ to the unit matrix. That is at c = a b alone if only the identity is mapped so. Two programs may compose in
    one group by other representations.

    Args:
        table: The group: ``table[a][b]`` is the product.
        irreps: Names of representations, see :func:`allroads.programs.groups.irreps`. The trivial one is left out: it
            adds the same to all answers.

    Raises:
        InputError: If the table is no group, a name is unknown, or the representations map another element to the unit
            matrix.

    References: [chughtai2023]

    Example:
        >>> from allroads.targets.groups import symmetric
        >>> program = GroupProgram(symmetric(3), ("2a",))
        >>> program([3, 4]), program.bits < 6 * 6 * math.log2(6)  # cycles of three, each the other's inverse
        (0, True)
    """

    language: ClassVar[str] = "groups"
    table: Rows
    irreps: tuple[str, ...]

    def __post_init__(self) -> None:
        table = _array(self.table)
        n = len(table) if table.ndim == 2 else 0
        if not (2 <= n <= LARGEST and table.shape == (n, n) and table.dtype.kind in "iu"
                and table.min() >= 0 and table.max() < n):  # fmt: skip
            raise InputError(
                f"table: expected n × n whole numbers 0 … n − 1, with n from 2 to {LARGEST}; got shape {table.shape}."
            )
        why = why_no_group(table)
        if why:
            raise InputError(f"table: expected that of a group; {why}.")
        object.__setattr__(self, "table", as_rows(table))
        known = [irrep.name for irrep in irreps(self.table)]
        given = (self.irreps,) if isinstance(self.irreps, str) else tuple(self.irreps)
        unknown = [name for name in given if name not in known]
        if unknown:
            raise InputError(f"irreps: expected names among {', '.join(known)}; got {unknown[0]!r}.")
        object.__setattr__(self, "irreps", tuple(name for name in known if name in given and name != TRIVIAL))
        same = confused(self.table, self.irreps)
        if same:
            raise InputError(
                f"irreps: {', '.join(given) or 'none'} map {len(same) + 1} elements to the unit matrix and cannot tell "
                "them apart; add representations."
            )

    @property
    def group(self) -> FiniteGroup:
        """Identity, inverses and classes of the group."""
        return finite_group(self.table)

    @property
    def chosen(self) -> tuple[Irrep, ...]:
        """The representations with their characters."""
        return tuple(irrep for irrep in irreps(self.table) if irrep.name in self.irreps)

    @property
    def source(self) -> str:
        """Stand-alone Python that defines ``program(x)``: the group from its generators, then sums of characters."""
        group, n = self.group, self.group.order
        character = np.sum([irrep.character for irrep in self.chosen], axis=0)
        values = {int(g): float(character[g]) for g in group.representatives}
        first = {int(np.flatnonzero(group.classes == group.classes[g])[0]): value for g, value in values.items()}
        chi = {g: int(v) if v == round(v) else round(v, 6) for g, v in first.items()}
        rows = [f"    {g}: {list(self.table[g])}," for g in few_generators(self.table)]
        return "\n".join(
            [
                "rows = {  # g: the products of a generator g with 0, 1, …",
                *rows,
                "}",
                f"table, todo = {{{group.identity}: list(range({n}))}}, [{group.identity}]",
                "for h in todo:",
                "    for g, row in rows.items():",
                "        if row[h] not in table:",
                "            table[row[h]] = [row[c] for c in table[h]]",
                "            todo.append(row[h])",
                f"inverse = {{g: row.index({group.identity}) for g, row in table.items()}}",
                "kind = {g: min(table[table[h][g]][inverse[h]] for h in table) for g in table}  # conjugacy class",
                f"chi = {chi}  # sum of the characters of {', '.join(self.irreps)} on each class",
                "",
                "",
                "def program(x):",
                "    ab = table[x[0]][x[1]]",
                f"    return max(range({n}), key=lambda c: chi[kind[table[ab][inverse[c]]]])",
            ]
        )

    @property
    def bits(self) -> float:
        """Length in bits.

        It counts the order n, the number g of generators and the number m of representations in Elias's gamma code. The
        identity takes log₂ n bits, the row of each generator log₂ n!, and which m of the representations log₂ of their
        number. Characters follow from the group.
        """
        n, count, few = len(self.table), len(self.irreps), len(few_generators(self.table))
        gamma = sum(2 * (number.bit_length() - 1) + 1 for number in (n, few, count))
        rows = few * math.lgamma(n + 1) / math.log(2)
        return float(gamma + math.log2(n) + rows + math.log2(math.comb(len(irreps(self.table)), count)))

    @property
    def parts(self) -> frozenset[str]:
        """The representations, each with the order of the group."""
        return frozenset(f"character {name} of a group of {len(self.table)}" for name in self.irreps)

    def __call__(self, example: Any) -> Any:
        """The product of two elements."""
        try:
            a, b = (int(value) for value in example)
            if not (0 <= a < len(self.table) and 0 <= b < len(self.table)):
                raise ValueError
        except (TypeError, ValueError) as error:
            raise InputError(
                f"a group program expects two elements, whole numbers below {len(self.table)}; got {example!r}."
            ) from error
        return self.table[a][b]

    def canonical(self) -> GroupProgram:
        """The program itself: representations are kept once each, in the order of their names."""
        return self

    def distance(self, other: Program) -> float:
        """Representations that only one has, and rows of the table that differ; infinite across languages and orders.

        Example:
            >>> from allroads.targets.groups import symmetric
            >>> GroupProgram(symmetric(3), ("2a",)).distance(GroupProgram(symmetric(3), ("1b", "2a")))
            1.0
        """
        if not isinstance(other, GroupProgram) or len(self.table) != len(other.table):
            return math.inf
        rows = sum(one != two for one, two in zip(self.table, other.table, strict=True))
        return float(len({*self.irreps} ^ {*other.irreps}) + rows)

    def equals(self, other: Program) -> Equivalence:
        """Whether both compute the same products of all pairs; their representations may differ.

        Raises:
            InputError: If the other is no group program of the same order.
        """
        if not isinstance(other, GroupProgram) or len(self.table) != len(other.table):
            raise InputError(f"equals: expected a group program of {len(self.table)} elements; got {other!r}.")
        differ = np.argwhere(np.array(self.table) != np.array(other.table))
        if not len(differ):
            return Equivalence(True, "exhaustive", len(self.table) ** 2)
        a, b = (int(value) for value in differ[0])
        answers = (self.table[a][b], other.table[a][b])
        return Equivalence(False, "exhaustive", len(self.table) ** 2, counterexample=[a, b], answers=answers)


def _array(table: Any) -> np.ndarray:
    try:
        return np.asarray(table)
    except ValueError:  # rows of several lengths
        return np.zeros(0)


def confused(rows: Rows, names: Sequence[str]) -> list[int]:
    """Elements besides the identity at which every chosen character is that of the unit matrix."""
    group = finite_group(rows)
    character = np.sum([np.zeros(group.order), *(i.character for i in irreps(rows) if i.name in names)], axis=0)
    return [int(g) for g in np.flatnonzero(character > character[group.identity] - 1e-6) if g != group.identity]


def coset_irreps(rows: Rows, subgroup: Sequence[int]) -> tuple[str, ...]:
    """Names of the representations, without the trivial one, in the permutations of the cosets of a subgroup.

    Votes for ``a b c⁻¹`` in the conjugates of a subgroup sum to the character of these permutations. So units on cosets
    and units on matrix entries carry out one algorithm.

    References: [stander2024]

    Example:
        >>> from allroads.targets.groups import symmetric
        >>> rows = as_rows(symmetric(4))
        >>> fixes_last = [g for g in range(24) if g in (0, 2, 6, 8, 12, 14)]  # permutations of the other three
        >>> coset_irreps(rows, fixes_last)
        ('3a',)
    """
    members = list(subgroup)
    found = [i for i in irreps(rows) if abs(i.character[members].sum()) > 1e-6 * len(members)]
    return tuple(i.name for i in found if i.name != TRIVIAL)
