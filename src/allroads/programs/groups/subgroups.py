"""All subgroups of a finite group, and functions that are constant on their cosets."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from allroads.programs.groups.finite_group import FiniteGroup, Rows, generated

MOST = 4000
"""Number of subgroups at which the enumeration stops."""


@lru_cache(maxsize=16)
def subgroups(rows: Rows) -> tuple[tuple[int, ...], ...]:
    """All subgroups of the group of a table, each by its sorted elements, the smallest first.

    Every subgroup is reached from the trivial one by adding an element after another.

    When it fails: of a group with more than 4,000 subgroups only some come back.

    Example:
        >>> from allroads.programs.groups.finite_group import as_rows
        >>> from allroads.targets.groups import symmetric
        >>> found = subgroups(as_rows(symmetric(3)))
        >>> [len(subgroup) for subgroup in found]
        [1, 2, 2, 2, 3, 6]
    """
    table = np.array(rows)
    cyclic = {tuple(np.flatnonzero(generated(table, [g])).tolist()): g for g in range(len(table))}
    found = {min(cyclic, key=len)}
    todo = list(found)
    for members in todo:
        for circle, g in cyclic.items():
            if len(found) >= MOST:
                break
            if g in members:
                continue
            larger = tuple(np.flatnonzero(generated(table, [*members, *circle])).tolist())
            if larger not in found:
                found.add(larger)
                todo.append(larger)
    return tuple(sorted(found, key=lambda members: (len(members), members)))


def kept_by_cosets(hidden: np.ndarray, group: FiniteGroup, subgroup: tuple[int, ...]) -> np.ndarray:
    """Share of each unit's variance that is left where its values are averaged over cosets in both arguments.

    A unit reads a in the cosets gH or in the cosets Hg, and b likewise; the larger share counts in each argument, and
    the smaller of both arguments is what comes back. Of values without structure about 1 / |H| is left.

    Args:
        hidden: Values ``[n, n, units]`` on all pairs.
        group: The group.
        subgroup: Its elements.

    Returns:
        Shares ``[units]``, 1 for units that are constant on cosets.

    References: [stander2024]

    Example:
        >>> from allroads.programs.groups.finite_group import as_rows, finite_group
        >>> from allroads.targets.groups import cyclic
        >>> a, b = np.indices((6, 6))
        >>> group = finite_group(as_rows(cyclic(6)))
        >>> kept_by_cosets(((a % 3 == 1) & (b % 3 == 2))[:, :, None] * 1.0, group, (0, 3)).round(9).tolist()
        [1.0]
    """
    spectra = shift_spectra(hidden, group)
    return kept(spectra, subgroup)


def shift_spectra(hidden: np.ndarray, group: FiniteGroup) -> np.ndarray:
    """Autocorrelation of units under translations ``[2 arguments, 2 sides, n, units]``, 1 at the identity.

    The mean over a subgroup is the share of the variance that averaging over its cosets leaves. Units that never change
    have 0 throughout.
    """
    n, units = group.order, hidden.shape[2]
    apart = hidden - hidden.mean(axis=(0, 1))
    total = (apart**2).sum(axis=(0, 1))
    still = total <= 1e-12 * max(float(total.max(initial=0.0)), 1e-300)
    scaled = np.where(still, 0.0, apart / np.sqrt(np.where(still, 1.0, total)))
    found = np.empty((2, 2, n, units))
    for argument, values in enumerate((scaled, scaled.transpose(1, 0, 2))):
        gram = np.einsum("gbu,hbu->ghu", values, values, optimize=True) if units == 1 else _gram(values)
        for side, moved in enumerate((group.table, group.table.T)):
            # moved[g, k] is g k on one side and k g on the other
            found[argument, side] = gram[np.arange(n)[:, None], moved].sum(axis=0)
    return found


def _gram(values: np.ndarray) -> np.ndarray:
    """``[n, n, units]``: products of the rows of each unit."""
    by_unit = np.moveaxis(values, 2, 0)
    return np.moveaxis(by_unit @ by_unit.transpose(0, 2, 1), 0, 2)


def kept(spectra: np.ndarray, subgroup: tuple[int, ...]) -> np.ndarray:
    """Share ``[units]`` that averaging over the cosets of a subgroup leaves; see :func:`kept_by_cosets`."""
    means = spectra[:, :, list(subgroup)].mean(axis=2)
    found: np.ndarray = means.max(axis=1).min(axis=0)
    return found


CONSTANT = 0.95
"""Share of a unit's variance from which on it is called constant on cosets."""


def unit_cosets(hidden: np.ndarray, group: FiniteGroup, rows: Rows) -> np.ndarray:
    """Order of the largest subgroup on whose cosets each unit is constant, ``[units]``; 1 where there is none.

    Args:
        hidden: Values ``[n, n, units]`` on all pairs.
        group: The group.
        rows: Its table.

    References: [stander2024]

    Example:
        >>> from allroads.programs.groups.finite_group import as_rows, finite_group
        >>> from allroads.targets.groups import cyclic
        >>> a, b = np.indices((6, 6))
        >>> rows = as_rows(cyclic(6))
        >>> units = np.stack([1.0 * (a % 2 == 0) * (b % 2), np.cos(a + 2.0 * b)], axis=-1)
        >>> unit_cosets(units, finite_group(rows), rows).tolist()
        [3, 1]
    """
    spectra = shift_spectra(hidden, group)
    orders = np.ones(hidden.shape[2], int)
    for subgroup in subgroups(rows):  # from small to large
        orders = np.where(kept(spectra, subgroup) >= CONSTANT, len(subgroup), orders)
    return orders
