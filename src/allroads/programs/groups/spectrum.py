"""The characters in logits, and the representations of hidden units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from allroads.programs.groups.characters import Irrep, projector
from allroads.programs.groups.finite_group import FiniteGroup


@dataclass(frozen=True)
class Characters:
    """The characters ``χ_ρ(a b c⁻¹)`` in logits.

    Args:
        amplitudes: Amplitude of each representation.
        shares: Share of the variance of the logits that each has; 0 where the amplitude is negative. It is the squared
            cosine similarity of logits and character.
        total: Share of the variance in functions of a b c⁻¹, characters or not.
    """

    amplitudes: np.ndarray
    shares: np.ndarray
    total: float


def characters(logits: np.ndarray, group: FiniteGroup, known: Sequence[Irrep]) -> Characters:
    """The characters in logits ``[n, n, n]`` (a, b, c), centred over c.

    References: [chughtai2023]

    Example:
        >>> from allroads.programs.groups.characters import irreps
        >>> from allroads.programs.groups.finite_group import as_rows, finite_group
        >>> from allroads.targets.groups import symmetric
        >>> rows = as_rows(symmetric(3))
        >>> group, known = finite_group(rows), irreps(rows)
        >>> found = characters(3 * built(group, known, [0, 0, 1]), group, known)
        >>> found.amplitudes.round(9).tolist(), found.shares.round(9).tolist(), round(found.total, 9)
        ([0.0, 0.0, 3.0], [0.0, 0.0, 1.0], 1.0)
    """
    n = group.order
    apart = group.quotients[group.table]  # [a, b, c] = a b c⁻¹
    means = np.bincount(apart.ravel(), logits.ravel(), minlength=n) / n**2
    total = float((logits**2).mean())
    values = np.array([irrep.character for irrep in known])
    norms = np.array([irrep.norm for irrep in known])
    amplitudes = values @ means / n / norms
    if total <= 0:
        return Characters(amplitudes, np.zeros(len(known)), 0.0)
    shares = np.where(amplitudes > 0, amplitudes**2 * norms, 0.0) / total
    return Characters(amplitudes, shares, float((means**2).mean()) / total)


def built(group: FiniteGroup, known: Sequence[Irrep], amplitudes: np.ndarray | Sequence[float]) -> np.ndarray:
    """The logits ``[n, n, n]`` that are a sum of characters of a b c⁻¹ with these amplitudes."""
    values = np.asarray(amplitudes) @ np.array([irrep.character for irrep in known])
    logits: np.ndarray = values[group.quotients[group.table]]
    return logits


def unit_irreps(hidden: np.ndarray, group: FiniteGroup, known: Sequence[Irrep]) -> tuple[np.ndarray, np.ndarray]:
    """The representation of each hidden unit, and the share of its interaction that it has.

    A unit's interaction is what no sum of a function of a and one of b gives. Representation ρ has the part of it that
    entries of ρ(a) times entries of ρ(b) span.

    Args:
        hidden: Values ``[n, n, units]`` on all pairs.
        group: The group.
        known: Its representations.

    Returns:
        ``(place [units], share [units])``: place in ``known``; share 0 for units without interaction.

    References: [chughtai2023]

    Example:
        >>> from allroads.programs.groups.characters import irreps
        >>> from allroads.programs.groups.finite_group import as_rows, finite_group
        >>> from allroads.targets.groups import symmetric
        >>> rows = as_rows(symmetric(3))
        >>> sign = irreps(rows)[1].character
        >>> units = np.add.outer(sign, sign)[:, :, None] ** 2
        >>> place, share = unit_irreps(units, finite_group(rows), irreps(rows))
        >>> place.tolist(), share.round(9).tolist()
        ([1], [1.0])
    """
    n, units = group.order, hidden.shape[2]
    apart = hidden - hidden.mean(axis=0) - hidden.mean(axis=1, keepdims=True) + hidden.mean(axis=(0, 1))
    bases = [_basis(projector(group, irrep), irrep.dimension * irrep.copies) for irrep in known]
    ends = np.cumsum([basis.shape[1] for basis in bases])
    whole = np.concatenate(bases, axis=1)
    turned = (whole.T @ apart.reshape(n, -1)).reshape(n, n, units)
    turned = np.tensordot(whole.T, turned, axes=([1], [1]))  # [b, a, units]
    power = turned**2
    total = power.sum(axis=(0, 1))
    own = np.array([power[s:e, s:e].sum(axis=(0, 1)) for s, e in zip(np.r_[0, ends[:-1]], ends, strict=True)])
    still = total <= 1e-12 * max(float((hidden**2).sum(axis=(0, 1)).max(initial=0.0)), 1e-300)
    place = own.argmax(axis=0)
    share = np.where(still, 0.0, own[place, np.arange(units)] / np.where(still, 1.0, total))
    return place, share


def _basis(own: np.ndarray, size: int) -> np.ndarray:
    """Orthonormal basis of the range of a projector."""
    basis: np.ndarray = np.linalg.eigh(own)[1][:, len(own) - size :]
    return basis
