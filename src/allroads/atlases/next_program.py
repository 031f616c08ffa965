"""Shares of the next program: marginal ones, with or without output distance, and counts smoothed towards them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from allroads.atlases.destinations import apart_weights, destination_weights

PSEUDO = 0.5
"""Count that every label has in advance."""
AT_ONCE = 1 << 22
"""Shares that are held at once."""


class Changes(NamedTuple):
    """The changes of one group.

    ``p`` and ``q`` are the codes of the nodes before and after, ``run`` the run of each change, ``nodes`` how many
    codes there are. ``apart`` ``[nodes, nodes]`` has the class of the distance of two nodes, where that is known.
    """

    p: np.ndarray
    q: np.ndarray
    run: np.ndarray
    nodes: int
    apart: np.ndarray | None = None

    def at(self, mask: np.ndarray) -> Changes:
        """Some of the changes."""
        return self._replace(p=self.p[mask], q=self.q[mask], run=self.run[mask])


class Scores(NamedTuple):
    """Of each change: bits by the atlas and by the marginal shares, and whether the most probable node was right."""

    bits: np.ndarray
    marginal: np.ndarray
    hit: np.ndarray
    marginal_hit: np.ndarray


def coded(walks: Sequence[Sequence[str]]) -> tuple[Changes, list[str]]:
    """The changes of walks, and the label of each code.

    Example:
        >>> changes, labels = coded([["a", "b"], ["b", "a", "c"]])
        >>> changes.p.tolist(), changes.q.tolist(), changes.run.tolist(), labels
        ([0, 1, 0], [1, 0, 2], [0, 1, 1], ['a', 'b', 'c'])
    """
    code: dict[str, int] = {}
    rows = [
        (code.setdefault(p, len(code)), code.setdefault(q, len(code)), run)
        for run, walk in enumerate(walks)
        for p, q in pairwise(walk)
        if p != q
    ]
    p, q, run = np.array(rows, np.int64).reshape(-1, 3).T
    return Changes(p, q, run, len(code)), list(code)


class Marginal(NamedTuple):
    """Shares of the next node that know the present one only by what it excludes, or by its distance too.

    ``weights`` ``[K + 1]`` are those of quasi-independence. The last is that of all labels not seen, taken as one node.
    Where ``apart`` is given, a node q that was seen has a share in proportion to ``near[q] · factors[apart[p, q]]``.
    """

    weights: np.ndarray
    apart: np.ndarray | None = None
    near: np.ndarray | None = None
    factors: np.ndarray | None = None

    def new(self, left: np.ndarray) -> np.ndarray:
        """Shares of the labels that were not seen."""
        return np.asarray(self.weights[-1] / (1 - self.weights[left]))

    def rows(self, left: np.ndarray) -> np.ndarray:
        """Shares of all nodes ``[L, K + 1]``."""
        if self.apart is None or self.near is None or self.factors is None:
            found = np.asarray(self.weights / (1 - self.weights[left])[:, None])
            found[np.arange(len(left)), left] = 0.0
            return found
        new = self.new(left)
        near = self.near * self.factors[self.apart[left]]
        near[np.arange(len(left)), left] = 0.0
        total = near.sum(axis=1)
        alone = total <= 0  # nothing but the node itself was seen
        near *= ((1 - new) / np.where(alone, 1.0, total))[:, None]
        return np.concatenate([near, np.where(alone, 1.0, new)[:, None]], axis=1)

    def shares(self, left: np.ndarray, to: np.ndarray) -> np.ndarray:
        """Shares of the changes ``left`` → ``to``."""
        if self.apart is None:
            return np.asarray(self.weights[to] / (1 - self.weights[left]))
        found = np.empty(len(to))
        for nodes, at, place in by_node(left, len(self.weights)):
            found[at] = self.rows(nodes)[place, to[at]]
        return found


def by_node(left: np.ndarray, width: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Changes in parts, by the node that they leave: nodes, positions of the changes, and the node's place of each.

    Args:
        left: Codes ``[n]``.
        width: Shares per node; parts are as large as ``AT_ONCE`` allows.
    """
    nodes, place = np.unique(left, return_inverse=True)
    order = np.argsort(place, kind="stable")
    ends = np.searchsorted(place[order], np.arange(len(nodes) + 1))
    size = max(1, AT_ONCE // width)
    for first in range(0, len(nodes), size):
        last = min(first + size, len(nodes))
        at = order[ends[first] : ends[last]]
        yield nodes[first:last], at, place[at] - first


def marginal_of(train: Changes) -> Marginal:
    """The marginal shares of some changes."""
    size = train.nodes
    leaving = np.bincount(train.p, minlength=size).astype(float)
    coming = np.bincount(train.q, minlength=size).astype(float)
    seen = (leaving + coming) > 0
    kept = np.append(seen, True)
    arrivals = np.append(coming + PSEUDO * seen, max(PSEUDO, _once(train)))
    weights = np.zeros(size + 1)
    weights[kept] = destination_weights(arrivals[kept], np.append(leaving, 0.0)[kept])
    if train.apart is None:
        return Marginal(weights)
    if not len(train.p):
        return Marginal(weights, train.apart, np.zeros(size), np.ones(1 + int(train.apart.max())))
    here = np.flatnonzero(seen)
    within = train.apart[np.ix_(here, here)]
    steps = np.bincount(train.apart[train.p, train.q], minlength=int(train.apart.max(initial=0)) + 1)
    near = np.zeros(size)
    near[here], factors = apart_weights(arrivals[here], leaving[here], within, steps + PSEUDO, PSEUDO)
    return Marginal(weights, train.apart, near, factors)


def scored(train: Changes, test: Changes, strengths: np.ndarray, hits: bool = True) -> Scores:
    """Scores ``[S, n]`` of the changes of one half by the shares of the other, for each weight of the marginal shares.

    Labels that the training half has not seen are one node. Its share is that of the marginal shares, whatever was
    counted. Without ``hits`` these are NaN.
    """
    size = train.nodes
    model, leaving = marginal_of(train), np.bincount(train.p, minlength=size)
    seen = (leaving + np.bincount(train.q, minlength=size)) > 0
    left, to = test.p, np.where(seen[test.q], test.q, size)
    pairs, times = np.unique(train.p * (size + 1) + train.q, return_counts=True)
    pairs, times = np.append(pairs, (size + 1) ** 2), np.append(times, 0)  # beyond all
    asked = left * (size + 1) + to
    found = np.searchsorted(pairs, asked)
    own = np.where(pairs[found] == asked, times[found], 0)
    base, new, departures = model.shares(left, to), model.new(left), leaving[left]
    trust = _trust(departures, strengths)
    told = own * (1 - new) / np.maximum(departures, 1)
    share = np.where(to == size, base, trust * told + (1 - trust) * base)
    bits, marginal = -np.log2(share), np.broadcast_to(-np.log2(base), share.shape)
    hit, marginal_hit = np.full(share.shape, np.nan), np.full(share.shape, np.nan)
    if hits:
        for nodes, at, place in by_node(left, size + 1):
            rows = model.rows(nodes)
            marginal_hit[:, at] = rows.argmax(axis=1)[place] == to[at]
            rest = np.maximum(leaving[nodes], 1)[:, None]
            first = np.searchsorted(pairs, nodes * (size + 1))
            last = np.searchsorted(pairs, (nodes + 1) * (size + 1))
            counts = np.zeros(rows.shape)
            for row, (start, end) in enumerate(zip(first.tolist(), last.tolist(), strict=True)):
                counts[row, pairs[start:end] % (size + 1)] = times[start:end]
            for number, weight in enumerate(_trust(leaving[nodes], strengths)):
                mixed = weight[:, None] * (counts * (1 - rows[:, -1:]) / rest - rows) + rows
                mixed[:, -1] = rows[:, -1]
                hit[number, at] = mixed.argmax(axis=1)[place] == to[at]
    return Scores(bits, marginal, hit, marginal_hit)


def _trust(leaving: np.ndarray, strengths: np.ndarray) -> np.ndarray:
    """How much what was counted counts ``[S, n]``: n over n plus the weight of the marginal shares."""
    weight = strengths[:, None]
    finite = np.isfinite(weight)
    return np.where(finite, leaving / (leaving + np.where(finite, weight, 1.0)), 0.0)


def _once(train: Changes) -> int:
    """How many labels one run alone comes to: about as many changes of others lead to labels that are new (Turing)."""
    pairs = np.unique(np.stack([train.q, train.run]), axis=1)
    return int((np.bincount(pairs[0]) == 1).sum()) if pairs.size else 0
