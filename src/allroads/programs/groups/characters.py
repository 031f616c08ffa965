"""Real irreducible representations of a finite group, by their characters."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from allroads.programs.groups.finite_group import FiniteGroup, Rows, finite_group

TRIES = 20
"""Random combinations of class sums that are tried before their eigenvalues are taken to be equal."""


@dataclass(frozen=True, eq=False)
class Irrep:
    """An irreducible representation over the real numbers.

    Args:
        name: Its dimension and a letter, such as ``"4a"``; ``"1a"`` is the trivial one.
        dimension: Its real dimension d.
        character: Trace at each element, ``[n]``.
        norm: Mean of the squared character: 1 for real type, 2 for a complex pair, 4 for quaternionic type.
    """

    name: str
    dimension: int
    character: np.ndarray
    norm: int

    @property
    def copies(self) -> int:
        """How often it occurs in the regular representation."""
        return self.dimension // self.norm


def complex_characters(group: FiniteGroup) -> np.ndarray:
    """The character table ``[classes, classes]``: one row a complex irreducible representation, by Burnside's method.

    Products of class sums are sums of class sums. In the orthonormal basis of classes the matrices of these products
    commute and are normal. A random Hermitian combination of them has the characters for its eigenvectors.

    References: [dixon1967]

    Example:
        >>> from allroads.programs.groups.finite_group import as_rows, finite_group
        >>> from allroads.targets.groups import symmetric
        >>> complex_characters(finite_group(as_rows(symmetric(3)))).real.round(6).tolist()
        [[1.0, 1.0, 1.0], [1.0, -1.0, 1.0], [2.0, 0.0, -1.0]]
    """
    n, sizes, count = group.order, group.sizes, len(group.sizes)
    products = np.zeros((count, count, count))  # [i, j, k]: ways to write an element of class k as x y
    for k, z in enumerate(group.representatives):
        np.add.at(products[:, :, k], (group.classes, group.classes[group.table[group.inverse, z]]), 1)
    opposite = group.classes[group.inverse[group.representatives]]
    scale = np.sqrt(sizes)
    normal = products * scale[None, None, :] / scale[None, :, None]
    eigenvectors = None
    for seed in range(TRIES):
        weights = np.random.default_rng(seed).normal(size=(2, count)) / sizes
        combined = np.tensordot(weights[0] + 1j * weights[1], normal, 1)
        combined = combined + np.tensordot((weights[0] - 1j * weights[1])[opposite], normal, 1)
        values, eigenvectors = np.linalg.eigh((combined + combined.conj().T) / 2)
        if count == 1 or np.diff(values).min() > 1e-7 * np.abs(values).max():
            break
    assert eigenvectors is not None
    ratios = eigenvectors.T / scale  # proportional to the conjugate characters, or to the characters
    ratios = ratios / ratios[:, :1]
    dimensions = np.rint(np.sqrt(n / (np.abs(ratios) ** 2 @ sizes)))
    found = _tidy(ratios * dimensions[:, None])
    keys = [(row[0].real, *(-part for value in row.round(6) for part in (value.real, value.imag))) for row in found]
    order = sorted(range(count), key=keys.__getitem__)
    table: np.ndarray = found[order]
    return table


def _tidy(values: np.ndarray) -> np.ndarray:
    """Values without the last bits: whole numbers where they are near, else nine decimals."""
    parts = [
        np.where(np.abs(x - np.rint(x)) < 1e-8, np.rint(x), x.round(9)) + 0.0
        for x in (np.real(values), np.imag(values))
    ]
    tidy: np.ndarray = parts[0] + 1j * parts[1]
    return tidy


@lru_cache(maxsize=64)
def irreps(rows: Rows) -> tuple[Irrep, ...]:
    """The real irreducible representations of the group of a table, by dimension and then by their characters.

    A complex representation of real type is one itself. One that is not equal to its conjugate forms one with it. One
    of quaternionic type, by the indicator of Frobenius and Schur, occurs twice.

    References: [dixon1967] [serre1977]

    Example:
        >>> from allroads.programs.groups.finite_group import as_rows
        >>> from allroads.targets.groups import cyclic
        >>> [(irrep.name, irrep.norm) for irrep in irreps(as_rows(cyclic(5)))]
        [('1a', 1), ('2a', 2), ('2b', 2)]
    """
    group = finite_group(rows)
    squares = group.classes[np.diagonal(group.table)]
    found: list[tuple[int, np.ndarray, int]] = []
    seen: list[np.ndarray] = []
    for row in complex_characters(group):
        if any(np.abs(row.conj() - other).max() < 1e-6 for other in seen):
            continue
        seen.append(row)
        indicator = int(np.rint(row[squares].mean().real))
        character = row.real if indicator == 1 else 2 * row.real
        found.append((int(np.rint(character[0])), character, (4, 2, 1)[indicator + 1]))
    found.sort(key=lambda one: (one[0], *(-one[1].round(6))))
    named, count = [], dict.fromkeys((dimension for dimension, _, _ in found), 0)
    for dimension, character, norm in found:
        named.append(Irrep(f"{dimension}{_letter(count[dimension])}", dimension, character[group.classes], norm))
        count[dimension] += 1
    return tuple(named)


def _letter(index: int) -> str:
    """Letters of an index: a to z, then ba, bb and so on.

    Example:
        >>> _letter(0), _letter(25), _letter(26)
        ('a', 'z', 'ba')
    """
    head = _letter(index // 26) if index >= 26 else ""
    return head + "abcdefghijklmnopqrstuvwxyz"[index % 26]


def projector(group: FiniteGroup, irrep: Irrep) -> np.ndarray:
    """The orthogonal projector ``[n, n]`` on the functions of a group that a representation's entries span.

    Example:
        >>> from allroads.programs.groups.finite_group import as_rows, finite_group
        >>> from allroads.targets.groups import dihedral
        >>> rows = as_rows(dihedral(4))
        >>> [int(projector(finite_group(rows), irrep).trace().round()) for irrep in irreps(rows)]
        [1, 1, 1, 1, 4]
    """
    found: np.ndarray = irrep.copies / group.order * irrep.character[group.quotients]
    return found
