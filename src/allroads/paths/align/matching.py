"""Matching of units by linear assignment, one set after another."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment

from allroads.budget import Budget
from allroads.paths.align.signs import best_signs, with_signs
from allroads.paths.align.terms import Term, gains, inner_product, inner_units
from allroads.pfmap.symmetries import Element, Symmetries

SWEEPS = 100
"""Times that all sets of units are matched at most."""

ENUMERATED = 6
"""Sign flips shared by units and those inside them, up to which all combinations are tried."""


def match(
    found: Symmetries,
    terms: Sequence[Term],
    start: Element,
    rng: np.random.Generator,
    only: Collection[int] | None = None,
    *,
    budget: Budget | None = None,
) -> Element:
    """Coordinate ascent on the inner product from a start: one set of units is matched at a time, the others held.

    It stops when no set can be matched better. That is a local optimum; the global one is NP-hard to find where there
    is more than one hidden layer [ainsworth2023]. Where the budget ends it stops too, with what it has.
    """
    element, budget = start, budget or Budget()
    for _ in range(SWEEPS):
        improved = False
        for k in sweep_order(found, rng):
            if only is not None and k not in only:
                continue
            if budget.ended:
                return element
            near = [term for term in terms if {k, *inner_units(found, k)} & set(term.block.units)]
            proposal = match_units(found, near, element, k)
            before, after = inner_product(found, near, element), inner_product(found, near, proposal)
            if after > before + 1e-9 * max(1.0, abs(before)):
                element, improved = proposal, True
        if not improved:
            break
    return element


def greedy_start(found: Symmetries, terms: Sequence[Term]) -> Element:
    """A start: units are matched on the terms with no unmatched units, from inputs and outputs inwards."""
    element, known = Element(), set[int]()
    waiting = _outer_first(found)
    while waiting:
        ready = [k for k in waiting if not set(found.units[k].within) & set(waiting)]
        usable = {k: [t for t in terms if _usable(found, t, k, known)] for k in ready}
        k = max(ready, key=lambda k: sum(t.a.size for t in usable[k]) / found.units[k].size)
        near = usable[k] or [term for term in terms if k in term.block.units]
        element = match_units(found, near, element, k)
        known |= {k, *inner_units(found, k)}
        waiting = [other for other in waiting if other not in known]
    return element


def random_start(found: Symmetries, rng: np.random.Generator) -> Element:
    """A start with random permutations and signs."""
    return replace(found.random(rng), scales={})


def sweep_order(found: Symmetries, rng: np.random.Generator) -> list[int]:
    """All sets of units that can be permuted or flipped, in random order."""
    return list(map(int, rng.permutation(_outer_first(found))))


def _outer_first(found: Symmetries) -> list[int]:
    """Units that can be permuted or flipped; those that others stand inside come before them."""
    useful = [k for k in found.movable if found.units[k].size > 1 or found.units[k].signs]
    return sorted(useful, key=lambda k: (len(found.units[k].within), k))


def _usable(found: Symmetries, term: Term, k: int, known: set[int]) -> bool:
    """Whether all dimensions of a term but that of some units, and of those inside them, are matched."""
    units = [number for number in term.block.units if number >= 0 and found.units[number].movable]
    return units.count(k) == 1 and all(n == k or n in known or n in inner_units(found, k) for n in units)


@dataclass(frozen=True, eq=False)
class _Inner:
    """Units inside those that are matched: for every pair of the outer ones, how they are matched.

    Args:
        permutation: ``[*shape, n, n, m]``.
        signs: For each sign flip ``[*shape, n, n, m, m]``.
    """

    permutation: np.ndarray
    signs: list[np.ndarray]


@dataclass(frozen=True, eq=False)
class _Pairs:
    """For every pair of units, the best that matching them brings.

    Args:
        gain: ``[*shape, n, n]``.
        signs: For each sign flip of the units ``[*shape, n, n]``.
        inner: The units inside, by their number.
    """

    gain: np.ndarray
    signs: list[np.ndarray]
    inner: dict[int, _Inner]


def match_units(
    found: Symmetries, terms: Sequence[Term], element: Element, k: int, *, keep_permutations: bool = False
) -> Element:
    """An element with one set of units, and those inside them, matched as well as the terms allow.

    Sign flips are chosen with each pair. Where a flip of the units also flips weights of the units inside them, the
    inner matching is made for every combination of such flips, and each pair keeps its best.

    Args:
        found: The symmetries.
        terms: What is matched.
        element: The other units as they stand.
        k: The units.
        keep_permutations: Whether signs alone are chosen.
    """
    inner = inner_units(found, k)
    own = {flips: part for (flips, _), part in gains(found, terms, element, k).items()}
    of_inner = {i: gains(found, terms, element, k, i) for i in inner}
    held = element if keep_permutations else None
    shared = sorted({way for parts in of_inner.values() for flips, _ in parts for way in flips})
    best = _best_pairs(found, k, own, of_inner, dict.fromkeys(shared, np.array(1.0)), held)
    for signs in _combinations(shared, best) if len(shared) <= ENUMERATED else ():
        best = _better(best, _best_pairs(found, k, own, of_inner, signs, held))
    for way in () if len(shared) <= ENUMERATED else shared * 3:
        flipped = {other: best.signs[other] * (-1.0 if other == way else 1.0) for other in shared}
        best = _better(best, _best_pairs(found, k, own, of_inner, flipped, held))
    return _assigned(found, element, k, best, keep_permutations)


def _combinations(shared: Sequence[int], best: _Pairs) -> Iterator[dict[int, np.ndarray]]:
    for values in itertools.islice(itertools.product((1.0, -1.0), repeat=len(shared)), 1, None):
        yield {way: np.array(value) for way, value in zip(shared, values, strict=True)}


def _best_pairs(
    found: Symmetries,
    k: int,
    own: Mapping[tuple[int, ...], np.ndarray],
    of_inner: Mapping[int, Mapping[tuple[tuple[int, ...], tuple[int, ...]], np.ndarray]],
    given: Mapping[int, np.ndarray],
    held: Element | None,
) -> _Pairs:
    """The best gain of every pair with some sign flips of the units given, ``[]`` or ``[*shape, n, n]``."""
    units = found.units[k]
    shape = (*units.shape, units.size, units.size)
    total, signs = best_signs(with_signs(own, given), shape, len(units.signs))
    signs = [np.broadcast_to(given[way], shape) if way in given else sign for way, sign in enumerate(signs)]
    inner = {}
    for i, parts in of_inner.items():
        m = found.units[i].size
        gain: dict[tuple[int, ...], np.ndarray] = {}
        for (outer, flips), part in parts.items():
            sign = np.prod([np.broadcast_to(given[way], shape) for way in outer], axis=0)
            gain[flips] = gain.get(flips, 0.0) + np.asarray(sign)[..., None, None] * part
        best, inner_signs = best_signs(gain, (*shape, m, m), len(found.units[i].signs))
        if held is None:
            permutation = assignments(best)
        else:
            kept = held.permutations[i].transpose(np.argsort(_from_outer(found, k, i)))
            permutation = np.broadcast_to(kept[..., None, :], (*shape, m))
        total = total + np.take_along_axis(best, permutation[..., None], axis=-1).sum((-1, -2))
        inner[i] = _Inner(permutation, inner_signs)
    return _Pairs(total, signs, inner)


def _better(a: _Pairs, b: _Pairs) -> _Pairs:
    """For every pair the better of two."""
    wins = b.gain > a.gain

    def chosen(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.where(wins.reshape(*wins.shape, *[1] * (y.ndim - wins.ndim)), y, x)

    inner = {
        i: _Inner(
            chosen(inner.permutation, b.inner[i].permutation),
            [chosen(x, y) for x, y in zip(inner.signs, b.inner[i].signs, strict=True)],
        )
        for i, inner in a.inner.items()
    }
    signs = [chosen(x, y) for x, y in zip(a.signs, b.signs, strict=True)]
    return _Pairs(chosen(a.gain, b.gain), signs, inner)


def _from_outer(found: Symmetries, k: int, inner: int) -> list[int]:
    """Where each dimension ``[*within, m]`` of inner units stands among ``[*shape, n, m]``."""
    outer = [*found.units[k].within, k]
    return [*(outer.index(other) for other in found.units[inner].within), len(outer)]


def _assigned(found: Symmetries, element: Element, k: int, pairs: _Pairs, keep_permutations: bool) -> Element:
    """An element with units matched by the gains of their pairs."""
    permutations, signs = dict(element.permutations), dict(element.signs)
    permutation = element.permutations[k] if keep_permutations else assignments(pairs.gain)
    permutations[k] = permutation
    for way, sign in enumerate(pairs.signs):
        signs[k, way] = np.take_along_axis(sign, permutation[..., None], axis=-1)[..., 0]
    for i, inner in pairs.inner.items():
        back = _from_outer(found, k, i)
        chosen = np.take_along_axis(inner.permutation, permutation[..., None, None], axis=-2)[..., 0, :]
        permutations[i] = chosen.transpose(back)
        for way, sign in enumerate(inner.signs):
            of_pairs = np.take_along_axis(sign, permutation[..., None, None, None], axis=-3)[..., 0, :, :]
            signs[i, way] = np.take_along_axis(of_pairs, chosen[..., None], axis=-1)[..., 0].transpose(back)
    return Element(permutations, signs, element.scales)


def refit_signs(found: Symmetries, terms: Sequence[Term], element: Element) -> Element:
    """An element with its permutations kept and its signs chosen anew, one set of units after another."""
    for _, k in itertools.product(range(3), _outer_first(found)):
        if any(found.units[other].signs for other in (k, *inner_units(found, k))):
            element = match_units(found, terms, element, k, keep_permutations=True)
    return element


def assignments(gain: Float[np.ndarray, "*signs units units"]) -> Int[np.ndarray, "*signs units"]:
    """For each matrix ``[..., n, n]`` the permutation ``p`` that maximises ``Σ_i gain[i, p_i]``, ``[..., n]``."""
    flat = gain.reshape(-1, *gain.shape[-2:])
    return np.stack([linear_sum_assignment(g, maximize=True)[1] for g in flat]).reshape(gain.shape[:-1])
