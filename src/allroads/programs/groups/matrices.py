"""Orthogonal matrices of a real irreducible representation."""

from __future__ import annotations

import numpy as np

from allroads.programs.groups.characters import Irrep, projector
from allroads.programs.groups.finite_group import FiniteGroup


def matrices(group: FiniteGroup, irrep: Irrep) -> np.ndarray:
    """Orthogonal matrices ``[n, d, d]`` with ``ρ(a) ρ(b) = ρ(ab)``.

    Left translations of functions on the group hold the representation once or more. A random symmetric operator that
    commutes with them, by right translations, has one copy for each of its eigenspaces.

    Args:
        group: The group.
        irrep: One of its real irreducible representations.

    Returns:
        The matrices, in a basis that is fixed up to rounding.

    References: [serre1977]

    Example:
        >>> from allroads.programs.groups.characters import irreps
        >>> from allroads.programs.groups.finite_group import as_rows, finite_group
        >>> from allroads.targets.groups import dihedral
        >>> rows = as_rows(dihedral(5))
        >>> rho = matrices(finite_group(rows), irreps(rows)[2])
        >>> bool(abs(rho[3] @ rho[7] - rho[rows[3][7]]).max() < 1e-9)
        True
    """
    n, d = group.order, irrep.dimension
    rng = np.random.default_rng(0)
    own = projector(group, irrep)
    weights = rng.normal(size=n)
    shifts = weights[group.table[group.inverse]]  # [g, h] = weight of g⁻¹ h
    values, vectors = np.linalg.eigh(own @ (shifts + shifts.T) @ own + 1e3 * n * own)
    one = vectors[:, np.argsort(values)[-d:]]
    basis, triangle = np.linalg.qr(one @ (one.T @ rng.normal(size=(n, d))))
    basis = basis * np.sign(np.diagonal(triangle))
    turned = basis[group.table[group.inverse]]  # [g, h, :] = row g⁻¹ h
    found: np.ndarray = np.einsum("hi,ghj->gij", basis, turned)
    return found
