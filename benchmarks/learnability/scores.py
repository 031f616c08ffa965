"""How well steps were predicted: ranks, factors, chances, and the level of a measure at which half are learned."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import norm, rankdata, spearmanr

FOLDS = 4
BASELINES = ("hitting", "energy", "alignment", "degree", "average sensitivity", "leap", "inal")


def folds(families: np.ndarray) -> np.ndarray:
    """A fold for every family, the same at each run."""
    order = np.random.default_rng(0).permutation(np.unique(families))
    return np.array([int(np.flatnonzero(order == family)[0]) % FOLDS for family in families])


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float | None:
    good = np.isfinite(a) & np.isfinite(b)
    return (
        None
        if good.sum() < 8 or np.ptp(a[good]) == 0 or np.ptp(b[good]) == 0
        else float(spearmanr(a[good], b[good]).statistic)
    )


def partial(a: np.ndarray, b: np.ndarray, given: list[np.ndarray]) -> float | None:
    """Spearman of a and b after the ranks of all of ``given`` are regressed out of both."""
    good = np.all(np.isfinite([a, b, *given]), axis=0)
    if good.sum() < 30:
        return None
    ranks = [rankdata(column[good]) for column in (a, b, *given)]
    design = np.column_stack([np.ones(good.sum()), *ranks[2:]])
    left = [r - design @ np.linalg.lstsq(design, r, rcond=None)[0] for r in ranks[:2]]
    return float(np.corrcoef(*left)[0, 1])


def within(groups: np.ndarray, a: np.ndarray, b: np.ndarray) -> float | None:
    """Mean rank correlation over the groups; ``None`` where all are too small to tell."""
    each = [rank_correlation(a[groups == group], b[groups == group]) for group in np.unique(groups)]
    known = [one for one in each if one is not None]
    return float(np.mean(known)) if known else None


def scores(rows: dict[str, np.ndarray], predicted: np.ndarray, chosen: np.ndarray) -> dict[str, Any]:
    """All figures of some rows."""
    chosen = chosen & np.isfinite(predicted)
    steps, budget, predicted = rows["steps"][chosen], rows["budget"][chosen], predicted[chosen]
    if not len(steps):
        return {"rows": 0}
    logs = np.log(np.minimum(steps, budget[:, None]))
    mean, learned = logs.mean(axis=1), (steps <= budget[:, None])
    whole = learned.all(axis=1)
    capped = np.minimum(predicted, np.log(budget))
    over = (logs - predicted[:, None])[learned]
    off = np.abs(over)
    return {
        "rows": len(steps),
        "cut short": float(1 - learned.mean()),
        "spearman": rank_correlation(capped, mean),
        "spearman, all learned": rank_correlation(predicted[whole], mean[whole]),
        "spearman of one seed": float(np.mean([rank_correlation(capped, log) or np.nan for log in logs.T])),
        "ceiling: one seed by another": rank_correlation(logs[:, 0], logs[:, 1]),
        "ceiling, all learned": rank_correlation(logs[whole, 0], logs[whole, 1]),
        "within a domain, map and explorer": within(rows["group"][chosen], capped, mean),
        "hitting time alone": rank_correlation(np.minimum(np.log(rows["hitting"][chosen]), np.log(budget)), mean),
        "hitting time ahead alone": rank_correlation(np.minimum(np.log(rows["ahead"][chosen]), np.log(budget)), mean),
        **{f"{key} alone": rank_correlation(rows[key][chosen], mean) for key in BASELINES[1:]},
        "partial, given all baselines": partial(predicted, mean, [rows[key][chosen] for key in BASELINES]),
        "within a factor 2": float((off <= np.log(2)).mean()) if off.size else None,
        "median factor": float(np.exp(np.median(off))) if off.size else None,
        "median of steps over predicted": float(np.exp(np.median(over))) if off.size else None,
    }


def calibration(
    rows: dict[str, np.ndarray], predicted: np.ndarray, spread: np.ndarray, chosen: np.ndarray
) -> dict[str, Any]:
    """Brier score and reliability of the chance of being learned within shares of the budget; coverage of intervals."""
    good = np.isfinite(predicted) & chosen
    steps, budget, mean, sigma = rows["steps"][good], rows["budget"][good], predicted[good], spread[good]
    chances, outcomes = [], []
    for share in (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1):
        chances.append(np.repeat(norm.cdf((np.log(share * budget) - mean) / sigma)[:, None], steps.shape[1], axis=1))
        outcomes.append(steps <= share * budget[:, None])
    p, y = np.concatenate(chances).ravel(), np.concatenate(outcomes).ravel().astype(float)
    logs, seen = np.log(np.minimum(steps, budget[:, None])), steps <= budget[:, None]
    low, high = mean[:, None] - norm.ppf(0.95) * sigma[:, None], mean[:, None] + norm.ppf(0.95) * sigma[:, None]
    covered = np.where(seen, (logs >= low) & (logs <= high), high >= logs)
    return {
        "brier": float(((p - y) ** 2).mean()),
        "brier of the base rate": float(y.mean() * (1 - y.mean())),
        "reliability": reliability(p, y, 10),
        "coverage of 90 % intervals": float(covered.mean()),
    }


def reliability(chance: np.ndarray, outcome: np.ndarray, bins: int) -> list[dict[str, float]]:
    """Mean chance and share of outcomes, by bins of the chance."""
    place = np.minimum((chance * bins).astype(int), bins - 1)
    found = []
    for b in np.unique(place):
        own = place == b
        found.append(
            {"predicted": float(chance[own].mean()), "observed": float(outcome[own].mean()), "cells": int(own.sum())}
        )
    return found


def threshold(
    rows: dict[str, np.ndarray], measure: np.ndarray, chosen: np.ndarray, refits: int = 200
) -> dict[str, Any]:
    """Where half of the targets are learned within the budget, as a level of a measure, tested on what was held out."""
    learned = (rows["steps"] <= rows["budget"][:, None]).mean(axis=1)
    good, x = np.isfinite(measure) & chosen, measure
    groups, fold = rows["group"], folds(rows["family"])
    fits = [logistic(x[good], learned[good])]
    rng, names = np.random.default_rng(0), np.unique(groups[good])
    members = {name: np.flatnonzero(good & (groups == name)) for name in names}
    for _ in range(refits):
        drawn = np.concatenate([members[name] for name in rng.choice(names, len(names))])
        fits.append(logistic(x[drawn], learned[drawn]))
    levels = [-a / b for a, b in fits]
    chance = np.full(len(x), np.nan)
    for name in np.unique(rows["map"]):
        for explorer in np.unique(rows["explorer"]):
            for part in range(FOLDS):
                test = good & (rows["map"] == name) & (rows["explorer"] == explorer) & (fold == part)
                fit = good & (rows["map"] != name) & (rows["explorer"] != explorer) & (fold != part)
                if test.any() and fit.any():
                    a, b = logistic(x[fit], learned[fit])
                    chance[test] = 1 / (1 + np.exp(-np.clip(a + b * x[test], -30, 30)))
    known = np.isfinite(chance)
    p, y = chance[known], learned[known]
    return {
        "level at one half": float(np.exp(levels[0])),
        "interval": [float(v) for v in np.exp(np.quantile(levels[1:], [0.05, 0.95]))],
        "slope": float(fits[0][1]),
        "right side of the level": float(((p > 0.5) == (y > 0.5)).mean()),
        "share learned": float(y.mean()),
        "brier, held out": float(((p - y) ** 2).mean()),
        "brier of the base rate": float(y.mean() * (1 - y.mean())),
        "reliability": reliability(p, y, 5),
    }


def logistic(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Intercept and slope of largest likelihood, with a slight pull of the slope to 0."""
    centre, scale = x.mean(), max(x.std(), 1e-9)
    z, fit = np.column_stack([np.ones(len(x)), (x - centre) / scale]), np.zeros(2)
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(z @ fit, -30, 30)))
        curvature = (z * (p * (1 - p) + 1e-6)[:, None]).T @ z + np.diag([0, 1e-2])
        fit = fit - np.linalg.solve(curvature, z.T @ (p - y) + np.array([0, 1e-2 * fit[1]]))
    return float(fit[0] - fit[1] * centre / scale), float(fit[1] / scale)
