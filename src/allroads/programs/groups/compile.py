"""Compilation of a group program into an embedding-sum network."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import numpy as np

from allroads.checks import check_count, check_number
from allroads.errors import InputError
from allroads.networks.embedding_sum import embedding_sum
from allroads.pfmap.network import Network, Params
from allroads.programs.groups.finite_group import FiniteGroup
from allroads.programs.groups.group_program import GroupProgram, coset_irreps
from allroads.programs.groups.matrices import matrices


def compile_group(
    program: GroupProgram,
    *,
    subgroup: Sequence[int] | None = None,
    mix: int | None = None,
    noise: float = 0.0,
    seed: int = 0,
) -> tuple[Network, Params]:
    """A network that computes a group program exactly, by matrix entries or by cosets.

    A product of two entries is ``uv = ((u + v)² − (u − v)²) / 4``. Two units with squares for each ``ρ(a)ᵢⱼ ρ(b)ⱼₖ``
    write ``± ρ(c)ᵢₖ / 4``, and all add up to the character of a b c⁻¹. That is 2 d³ units for dimension d.

    By cosets, ``P(a)`` permutes the m cosets of a subgroup. There is one ReLU unit for each i, j, k. It tells whether a
    maps coset j to i and b maps k to j. It votes for all c that map k to i. These are m³ units, each constant on
    cosets.

    Args:
        program: The program.
        subgroup: Elements of a subgroup to do it by cosets. Its cosets must hold the program's representations.
        mix: Seed of an order of the units and a rescaling of each. For squares that is λ in and λ⁻² out, for ReLU λ in
            and λ⁻¹ out, λ from ½ to 2. ``None`` for none.
        noise: Standard deviation of normal noise on every weight.
        seed: Decides the noise.

    Returns:
        ``(network, params)`` as of :func:`allroads.networks.embedding_sum.embedding_sum`, in single precision.

    Raises:
        InputError: If an option is out of range, or the cosets hold other representations.

    References: [chughtai2023] [stander2024]

    Example:
        >>> from allroads.targets.groups import symmetric
        >>> network, params = compile_group(GroupProgram(symmetric(3), ("2a",)))
        >>> network.apply(params, [[3, 4], [1, 1]]).argmax(axis=1).tolist()
        [0, 0]
    """
    if not isinstance(program, GroupProgram):
        raise InputError(f"program: expected a GroupProgram; got {program!r}.")
    check_count("mix", mix, 0, absent=True)
    check_number("noise", noise, 0)
    check_count("seed", seed, 0)
    if subgroup is None:
        parts = [_by_entries(matrices(program.group, irrep)) for irrep in program.chosen]
        left, right, out = (np.concatenate(side, axis=1) for side in zip(*parts, strict=True))
        activation, degree = "square", 2
    else:
        moved = _coset_permutations(program, subgroup)
        left, right, out = _by_cosets(moved)
        activation, degree = "relu", 1
    tables, readout = np.stack([left, right]), out.T
    width = len(readout)
    if mix is not None:
        draw = np.random.default_rng(mix)
        order, scale = draw.permutation(width), 2.0 ** draw.uniform(-1, 1, width)
        tables, readout = (tables * scale)[:, :, order], (readout / scale[:, None] ** degree)[order]
    rng = np.random.default_rng(seed)
    params = {"embed": tables, "readout": {"weight": readout}}
    params = jax.tree.map(lambda leaf: (leaf + noise * rng.normal(size=leaf.shape)).astype(np.float32), params)
    n = program.group.order
    return embedding_sum((2,), n, vocabulary=n, width=width, activation=activation), params


def _by_entries(rho: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights ``[n, 2 d³]`` that read a, read b and write c."""
    d = rho.shape[1]
    i, j, k = np.indices((d, d, d)).reshape(3, -1)
    first, second, third = rho[:, i, j], rho[:, j, k], rho[:, i, k] / 4
    return np.hstack([first, first]), np.hstack([second, -second]), np.hstack([third, -third])


def _by_cosets(moved: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights ``[n, m³]``; each half of the threshold is in one table."""
    m = moved.shape[1]
    i, j, k = np.indices((m, m, m)).reshape(3, -1)
    return moved[:, i, j] - 0.5, moved[:, j, k] - 0.5, moved[:, i, k]


def _coset_permutations(program: GroupProgram, subgroup: Sequence[int]) -> np.ndarray:
    """Permutation matrices ``[n, m, m]`` of the cosets gH: entry (i, j) tells whether coset j goes to i."""
    group: FiniteGroup = program.group
    n = group.order
    members = sorted({int(g) for g in subgroup})
    closed = bool(members) and members[0] >= 0 and members[-1] < n
    if not closed or not np.isin(group.table[np.ix_(members, members)], members).all():
        raise InputError(f"subgroup: expected the elements of a subgroup of {n} elements; got {subgroup!r}.")
    held = coset_irreps(program.table, members)
    if held != program.irreps:
        raise InputError(
            f"subgroup: its cosets hold the representations {', '.join(held) or 'none'}, and the program has "
            f"{', '.join(program.irreps)}."
        )
    first = group.table[:, members].min(axis=1)  # least element of g H
    names, place = np.unique(first, return_inverse=True)
    moved = place[group.table[:, names]]  # [g, j] = coset of g times that of j
    permutations: np.ndarray = (moved[:, None, :] == np.arange(len(names))[:, None]).astype(float)
    return permutations
