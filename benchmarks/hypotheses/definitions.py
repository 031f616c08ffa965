"""Five things that adjacency may mean, on the same 230 functions of three bits: how far they agree."""

from __future__ import annotations

import numpy as np
from scipy.stats import spearmanr

from allroads.atlases.hypotheses.design import Design
from hypotheses import distances, exhaustive, reach_matrices


def matrices() -> dict[str, np.ndarray]:
    """Each meaning as a matrix over the functions that the exhaustive map has, NaN where it says nothing."""
    small = exhaustive.world()
    within = np.ix_(small["present"], small["present"])
    found = {"log₂ φ": -small["log share"], "moves of an adaptive walk": small["walk cost"]}
    for name in ("wide", "narrow"):
        world = reach_matrices.world(name)
        found[f"steps of descent, {name}"] = world["cost"][within]
        if "road cost" in world:
            found[f"road cost, {name}"] = world["road cost"][within]
    programs = {"gates to add": distances.GATES_TO_ADD[within], "function distance": distances.HAMMING[within]}
    return found | programs


def within_levels(values: np.ndarray, function: np.ndarray) -> np.ndarray:
    """What node effects and each function distance leave of the ranks, NaN where there is no value."""
    used = np.isfinite(values) & ~np.eye(len(values), dtype=bool)
    ranks = np.zeros(values.shape)
    ranks[used] = values[used].argsort().argsort()
    levels = {str(k): (function == k).astype(float) for k in np.unique(function[used])[1:]}
    left = Design.of(used, levels, {}, node_effects=True).residual(ranks).reshape(values.shape)
    return np.where(used, left, np.nan)


def agreement() -> dict:
    """Rank correlations of all pairs, plain and within function distance, and of each with its transpose."""
    found = matrices()
    function = found["function distance"]
    rows = []
    left = {name: within_levels(values, function) for name, values in found.items() if name != "function distance"}
    names = list(found)
    for i, a in enumerate(names):
        for b in names[:i]:
            both = np.isfinite(found[a]) & np.isfinite(found[b]) & ~np.eye(len(function), dtype=bool)
            row = {"of": b, "with": a, "pairs": int(both.sum())}
            row["plain"] = float(spearmanr(found[a][both], found[b][both]).statistic)
            if a in left and b in left:
                row["within"] = float(np.corrcoef(left[a][both], left[b][both])[0, 1])
            rows.append(row)
    turned = {}
    for name, values in found.items():
        both = np.isfinite(values) & np.isfinite(values.T) & ~np.eye(len(function), dtype=bool)
        turned[name] = float(spearmanr(values[both], values.T[both]).statistic)
    means = {name: [float(np.nanmean(values[function == k])) for k in range(1, 9)] for name, values in found.items()}
    return {"rows": rows, "with its transpose": turned, "mean by function distance": means}
