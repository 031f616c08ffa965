"""Matching units by linear assignment, one set after another."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np
from scipy.optimize import linear_sum_assignment

from allroads.paths.align.terms import Term, Ways, _inside, gains, likeness
from allroads.pfmap.symmetries import Element, Symmetries

SWEEPS = 100
"""Times that all sets of units are gone through at most."""


def match(
    found: Symmetries,
    terms: Sequence[Term],
    start: Element,
    rng: np.random.Generator,
    only: Collection[int] | None = None,
) -> Element:
    """Coordinate ascent on the likeness from a start: one set of units is matched at a time, the others held.

    It stops when no set can be matched better; that is a local optimum, and the global one is NP-hard to find where
    there is more than one hidden layer [ainsworth2023].
    """
    element = start
    for _ in range(SWEEPS):
        improved = False
        for k in sweep_order(found, rng):
            if only is not None and k not in only:
                continue
            near = [term for term in terms if {k, *_inside(found, k)} & set(term.block.units)]
            proposal = matched(found, near, element, k)
            before, after = likeness(found, near, element), likeness(found, near, proposal)
            if after > before + 1e-9 * max(1.0, abs(before)):
                element, improved = proposal, True
        if not improved:
            break
    return element


def from_outside(found: Symmetries, terms: Sequence[Term]) -> Element:
    """A start: units are matched on what touches nothing unmatched, from inputs and outputs inwards."""
    element, known = Element(), set()
    waiting = _outermost_first(found)
    while waiting:
        ready = [k for k in waiting if not set(found.units[k].within) & set(waiting)]
        usable = {k: [t for t in terms if _usable(found, t, k, known)] for k in ready}
        k = max(ready, key=lambda k: sum(t.a.size for t in usable[k]) / found.units[k].size)
        near = usable[k] or [term for term in terms if k in term.block.units]
        element = matched(found, near, element, k)
        known |= {k, *_inside(found, k)}
        waiting = [other for other in waiting if other not in known]
    return element


def scattered(found: Symmetries, rng: np.random.Generator) -> Element:
    """A random start."""
    return replace(found.random(rng), scales={})


def sweep_order(found: Symmetries, rng: np.random.Generator) -> list[int]:
    """All sets of units that can be permuted or flipped, in random order."""
    return rng.permutation(_outermost_first(found)).astype(int).tolist()


def _outermost_first(found: Symmetries) -> list[int]:
    """Units that can be permuted or flipped, those that others stand inside before them."""
    useful = [k for k in found.movable if found.units[k].size > 1 or found.units[k].signs]
    return sorted(useful, key=lambda k: (len(found.units[k].within), k))


def _usable(found: Symmetries, term: Term, k: int, known: set[int]) -> bool:
    """Whether all but one dimension of a term are where they belong."""
    units = [number for number in term.block.units if number >= 0 and found.units[number].movable]
    return units.count(k) == 1 and all(n == k or n in known or n in _inside(found, k) for n in units)


def matched(found: Symmetries, terms: Sequence[Term], element: Element, k: int) -> Element:
    """An element with one set of units, and those inside them, matched as well as the terms allow."""
    shape, size = found.units[k].shape, found.units[k].size
    permutations, signs = dict(element.permutations), dict(element.signs)
    total, flipped = best_flips(gains(found, terms, element, k), (*shape, size, size), len(found.units[k].signs))
    inside = {}
    for inner in _inside(found, k):
        m = found.units[inner].size
        ways = len(found.units[inner].signs)
        best, flips = best_flips(gains(found, terms, element, k, inner), (*shape, size, size, m, m), ways)
        assigned = assignments(best)
        total = total + np.take_along_axis(best, assigned[..., None], axis=-1).sum((-1, -2))
        inside[inner] = (assigned, flips)
    permutation = permutations[k] = assignments(total)
    for way, flip in enumerate(flipped):
        signs[k, way] = np.take_along_axis(flip, permutation[..., None], axis=-1)[..., 0]
    for inner, (assigned, flips) in inside.items():
        outer = [*found.units[k].within, k]
        back = [*(outer.index(other) for other in found.units[inner].within), len(outer)]
        chosen = np.take_along_axis(assigned, permutation[..., None, None], axis=-2)[..., 0, :]
        permutations[inner] = chosen.transpose(back)
        for way, flip in enumerate(flips):
            pairs = np.take_along_axis(flip, permutation[..., None, None, None], axis=-3)[..., 0, :, :]
            signs[inner, way] = np.take_along_axis(pairs, chosen[..., None], axis=-1)[..., 0].transpose(back)
    return Element(permutations, signs, element.scales)


def fitted_signs(found: Symmetries, terms: Sequence[Term], element: Element) -> Element:
    """An element with its permutations kept and its signs chosen anew, one set of units after another."""
    for _, k in itertools.product(range(3), _outermost_first(found)):
        size, ways = found.units[k].size, len(found.units[k].signs)
        if ways and not _inside(found, k):
            shape = (*found.units[k].shape, size, size)
            _, flips = best_flips(gains(found, terms, _still(element, k), k), shape, ways)
            order = element.permutations[k]
            chosen = {(k, w): np.take_along_axis(f, order[..., None], axis=-1)[..., 0] for w, f in enumerate(flips)}
            element = replace(element, signs={**element.signs, **chosen})
    return element


def _still(element: Element, k: int) -> Element:
    return replace(element, signs={key: s for key, s in element.signs.items() if key[0] != k})


def assignments(gain: np.ndarray) -> np.ndarray:
    """For each matrix ``[..., n, n]`` the permutation ``p`` that maximises ``Σ_i gain[i, p_i]``, ``[..., n]``."""
    flat = gain.reshape(-1, *gain.shape[-2:])
    return np.stack([linear_sum_assignment(g, maximize=True)[1] for g in flat]).reshape(gain.shape[:-1])


def best_flips(
    parts: Mapping[Ways, np.ndarray], shape: tuple[int, ...], ways: int
) -> tuple[np.ndarray, list[np.ndarray]]:
    """The gain of every pair with its signs chosen as is best, and those signs.

    With one way of flipping the choice is exact; with several each is chosen in turn until none changes.
    """
    values = {flips: np.broadcast_to(part, shape).copy() for flips, part in parts.items()}
    signs = [np.ones(shape) for _ in range(ways)]
    for _, way in itertools.product(range(3 if ways > 1 else 1), range(ways)):
        touched = [flips for flips in values if way in flips]
        if not touched:
            continue
        flip = np.where(sum(values[flips] for flips in touched) < 0, -1.0, 1.0)
        signs[way] *= flip
        for flips in touched:
            values[flips] *= flip
    return sum(values.values(), np.zeros(shape)), signs
