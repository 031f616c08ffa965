"""Planted worlds: how often the tests are wrong, how often the intervals hold the truth, what the power is."""

from __future__ import annotations

import numpy as np

from allroads.atlases.hypotheses import mrqap
from allroads.distributions.clopper_pearson import clopper_pearson

NODES, PERMUTATIONS, WORLDS = 24, 199, 200
NOISES = ("independent", "senders and receivers", "skewed", "gaps", "places", "fields")


def planted(rng: np.random.Generator, noise: str, slope: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Response, program distance and function distance, where both distances share half of their places.

    ``y = slope · program + 2 · function + noise``. *Senders and receivers*: every node has a level in each role.
    *Skewed*: exponential noise. *Gaps*: pairs that are far in function are missing more often. *Places*: the noise and
    the program distance are distances of places on lines of their own, independent of each other. *Fields*: as
    *places*, but both places are smooth random functions of one position of the node, which is not held fixed. The
    nodes are then not exchangeable, and no test that relabels them holds its level [guillot2013].
    """
    places = rng.normal(size=(3, NODES))
    if noise == "fields":
        position = np.sort(rng.uniform(0, 3, NODES))
        smooth = np.linalg.cholesky(np.exp(-(np.subtract.outer(position, position) ** 2) / 2) + 1e-6 * np.eye(NODES))
        places[1:] = places[1:] @ smooth.T
    function = abs(np.subtract.outer(places[0], places[0]))
    program = function + abs(np.subtract.outer(places[1], places[1]))
    if noise == "skewed":
        extra = rng.exponential(size=(NODES, NODES))
    elif noise in ("places", "fields"):
        extra = 2 * abs(np.subtract.outer(places[2], places[2])) + 0.3 * rng.normal(size=(NODES, NODES))
    else:
        extra = rng.normal(size=(NODES, NODES))
    if noise == "senders and receivers":
        extra = extra + rng.normal(size=(NODES, 1)) + rng.normal(size=NODES)
    y = slope * program + 2 * function + extra
    if noise == "gaps":
        y = np.where(rng.random((NODES, NODES)) < 0.5 * function / function.max(), np.nan, y)
    return y, program, function


def calibration(worlds: int = WORLDS) -> list[dict]:
    """By kind of noise: false alarms of Mantel and of both regressions, coverage, and the power at ``detectable``."""
    rows = []
    for noise in NOISES:
        for effects in (False, True):
            rng = np.random.default_rng(7)
            mantel, alarms, held, found = 0, 0, 0, 0
            for world in range(worlds):
                y, program, function = planted(rng, noise, 0.0)
                options = {"permutations": PERMUTATIONS, "seed": world}
                mantel += 0 if effects else mrqap(y, program, **options).p <= 0.05
                null = mrqap(y, program, {"function": function}, node_effects=effects, **options)
                alarms += null.p <= 0.05
                y, program, function = planted(rng, noise, 1.0)
                other = mrqap(y, program, {"function": function}, node_effects=effects, **options)
                held += other.low <= 1.0 <= other.high
                fresh, moved, far = planted(rng, noise, other.detectable)
                found += mrqap(fresh, moved, {"function": far}, node_effects=effects, **options).p <= 0.05
            row = {"noise": noise, "node effects": effects, "worlds": worlds, "nodes": NODES}
            counts = {"false alarms": alarms, "coverage": held, "power at detectable": found}
            if not effects:
                counts["false alarms of Mantel"] = mantel
            for name, count in counts.items():
                low, high = clopper_pearson(count, worlds)
                row[name] = {"share": count / worlds, "low": low, "high": high}
            rows.append(row)
            print(noise, effects, {name: round(count / worlds, 3) for name, count in counts.items()}, flush=True)
    return rows
