"""World 1: all 3^11 points of a 3-2-1 network with weights −1, 0 and 1. Every edge is exact."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from hypotheses import distances

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "points"))

from ternary import functions, size

WALKS, STEPS = 4000, 4000
"""Walks that H3 looks at, and moves that each tries."""

MOVES = 1000
"""Moves that a walk between each two functions tries."""


def neighbour_share(found: np.ndarray) -> np.ndarray:
    """``φ(q | p)`` under a change of one weight, ``[256, 256]``; rows of functions that are absent are NaN."""
    moves, places = np.zeros((distances.ALL, distances.ALL)), np.arange(len(found))
    for digit in range(size(distances.BITS)):
        unit = 3**digit
        value = places // unit % 3
        for step in (1, 2):
            np.add.at(moves, (found, found[places + ((value + step) % 3 - value) * unit]), 1)
    with np.errstate(invalid="ignore"):
        return moves / moves.sum(1, keepdims=True)


def adaptive(found: np.ndarray, points: np.ndarray, targets: np.ndarray, moves: int, rng: np.random.Generator):
    """Moves of one weight at a time that never answer fewer inputs as the target does; yields each state of affairs."""
    for _ in range(moves):
        unit = 3 ** rng.integers(0, size(distances.BITS), len(points))
        value = points // unit % 3
        moved = points + ((value + rng.integers(1, 3, len(points))) % 3 - value) * unit
        here, there = found[points], found[moved]
        taken = distances.HAMMING[there, targets] <= distances.HAMMING[here, targets]
        points = np.where(taken, moved, points)
        yield points, here


def adaptive_walks(found: np.ndarray, seed: int = 0) -> list[list[int]]:
    """Functions along walks from random points to random targets, those that arrive."""
    rng = np.random.default_rng(seed)
    present = np.flatnonzero(np.bincount(found, minlength=distances.ALL))
    points, targets = rng.integers(0, len(found), WALKS), rng.choice(present, WALKS)
    walks = [[int(found[point])] for point in points]
    for now, here in adaptive(found, points, targets, STEPS, rng):
        points = now
        for run in np.flatnonzero(found[now] != here):
            walks[run].append(int(found[now[run]]))
    return [walk for walk, there in zip(walks, found[points] == targets, strict=True) if there]


def walk_costs(found: np.ndarray, present: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """``log₂(1 + moves)`` of a walk between each two functions, all moves where it never arrives; and its directness.

    Directness is the function distance from start to end over the sum of those of all changes.
    """
    rng, count = np.random.default_rng(seed), len(present)
    order = np.argsort(found, kind="stable")
    first = np.searchsorted(found[order], present)
    sizes = np.bincount(found, minlength=distances.ALL)[present]
    source, target = (np.repeat(np.arange(count), count), np.tile(np.arange(count), count))
    points = order[first[source] + rng.integers(0, sizes[source])]
    start, goals = found[points], present[target]
    moves, travelled = np.full(len(points), MOVES), np.zeros(len(points))
    for at, (now, here) in enumerate(adaptive(found, points, goals, MOVES, rng)):
        points, there = now, found[now]
        travelled += distances.HAMMING[here, there] * (moves == MOVES)
        moves = np.where((there == goals) & (moves == MOVES), at + 1, moves)
    chord = distances.HAMMING[start, found[points]]
    direct = np.where(travelled > 0, chord / np.maximum(travelled, 1), 1.0)
    return np.log2(1 + moves).reshape(count, count), direct.reshape(count, count)


def world() -> dict:
    """Edges ``log₂ φ``, the adjacency itself, and walks."""
    found = functions(distances.BITS)
    share = neighbour_share(found)
    present = np.flatnonzero(np.isfinite(share[:, 0]))
    share = share[np.ix_(present, present)]
    with np.errstate(divide="ignore"):
        log = np.where(share > 0, np.log2(share), np.nan)
    counts = np.bincount(found, minlength=distances.ALL)[present]
    cost, direct = walk_costs(found, present, 1)[0], walk_costs(found, present, 2)[1]
    return {
        "present": present,
        "walk cost": cost,
        "walk directness": direct,
        "adjacent": (share > 0).astype(float),
        "log share": log,
        "log frequency": np.log2(counts / counts.sum()),
        "walks": adaptive_walks(found),
    }
