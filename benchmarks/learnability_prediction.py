"""How well learnability is predicted from the map, on targets, maps and explorers that the law has not seen.

    python benchmarks/learnability_prediction.py            # after learnability_features.py
    python benchmarks/learnability_prediction.py --ship     # also fit the law that comes with the package

Every combination of domain, map, explorer and target is predicted by a law that was fitted without its map, without
its explorer and without its family of targets: once from the map at the start alone; once after a twentieth of the
targets of the same domain, map and explorer have been learned (one where there are fewer than forty), the middles of
equal parts of the predicted order; once after six of them. Those are not scored, and none of the family of a target
serves to predict it. Prints tables and writes ``benchmarks/results/learnability_prediction.json``.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import polars as pl
from learnability import loader
from learnability_features import Case, combinations, of, stored
from scipy.stats import norm, rankdata, spearmanr

import allroads.paths.learnability as home
from allroads.paths.learnability.calibration import Calibration, calibrate
from allroads.paths.learnability.features import FEATURES, OF_CUBES, features
from allroads.paths.learnability.learned_first import spread_out

RESULT = Path(__file__).parent / "results" / "learnability_prediction.json"
FOLDS = 4
SHARE, SIX = 1 / 20, 6
"""Share of the targets that is learned first, one at least; how many else."""
LINEAR = "deep linear 2x64"
"""The negative control, which can represent hardly any target."""
TRANSFORMER = "transformer 1x32"
BASELINES = ("hitting", "energy", "alignment", "degree", "average sensitivity", "leap", "inal")


def table(runs: pl.DataFrame) -> dict[str, np.ndarray]:
    """One row a target, map and explorer; steps of two seeds, features averaged over them."""
    parts: list[dict[str, Any]] = []
    for domain, name, explorer in combinations(runs):
        case, cells = Case(domain, name, explorer), of(runs, domain, name, explorer)
        seeds = sorted(runs["seed"].unique())
        starts = [case.seen(seed) for seed in seeds]
        if any(one is None for one in starts):
            continue
        plain = [stored("baselines", domain, name, case.print, seed) for seed in seeds]
        index = {target: i for i, target in enumerate(case.targets)}
        steps = np.full((len(index), len(seeds)), np.nan)
        facts = {key: np.full(len(index), np.nan) for key in ("directness", "stage_count")}
        for row in cells.iter_rows(named=True):
            i = index.get(row["target"])
            if i is not None:
                learned = row["learned"] and row["steps_to_learn"] is not None
                steps[i, row["seed"]] = max(row["steps_to_learn"], 0.5) if learned else np.inf
                for key in facts:
                    facts[key][i] = np.nan if row[key] is None else row[key]
        part = {
            "target": np.array(case.targets),
            "family": np.array([case.domain.tasks[t].family for t in case.targets]),
            "domain": np.full(len(index), domain),
            "map": np.full(len(index), name),
            "explorer": np.full(len(index), explorer),
            "group": np.full(len(index), f"{domain} | {name} | {explorer}"),
            "budget": np.full(len(index), float(cells["budget"].max())),
            "steps": steps,
            "features": np.mean([[features(s) for s in seen] for seen in starts], axis=0),
            **{
                key: np.exp(np.mean([[np.log(np.clip(own(s), 1e-2, 1e9)) for s in seen] for seen in starts], axis=0))
                for key, own in {
                    "hitting": lambda s: s.steps,
                    "ahead": lambda s: s.steps_ahead,
                    "road": lambda s: s.road,
                }.items()
            },
            **facts,
        }
        unknown = dict.fromkeys(("energy", "alignment", "inal"), np.full(len(index), np.nan))
        for key in unknown:
            part[key] = np.mean([(unknown if p is None else p)[key] for p in plain], axis=0)
        parts.append(part | case.boolean())
    rows = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    whole = ~np.isnan(rows["steps"]).any(axis=1) & np.isfinite(rows["features"]).all(axis=1)
    return {key: column[whole] for key, column in rows.items()}


def folds(families: np.ndarray) -> np.ndarray:
    """A fold for every family, the same at each run."""
    order = np.random.default_rng(0).permutation(np.unique(families))
    return np.array([int(np.flatnonzero(order == family)[0]) % FOLDS for family in families])


class Predictions:
    """Of every row: mean and standard deviation of log steps from the start and after the first runs, and who ran.

    ``share``: what those cost, as a share of the steps of learning all of their domain, map and explorer.
    """

    def __init__(
        self, rows: dict[str, np.ndarray], laws: dict[tuple, Calibration] | None = None, many: int | None = None
    ):
        count, fold = len(rows["target"]), folds(rows["family"])
        self.start, self.after = np.full((count, 2), np.nan), np.full((count, 2), np.nan)
        self.first, self.share = np.zeros(count, bool), {}
        laws = self.laws = {} if laws is None else laws
        for group in np.unique(rows["group"]):
            own = np.flatnonzero(rows["group"] == group)
            name, explorer = rows["map"][own[0]], rows["explorer"][own[0]]
            first = own[spread_out(rows["features"][own, 0], many or max(1, int(SHARE * len(own))))]
            self.first[first] = True
            taken = np.minimum(rows["steps"], rows["budget"][:, None])
            self.share[group] = float(taken[first].sum() / taken[own].sum())
            names = OF_CUBES if np.isfinite(rows["degree"][own]).all() else FEATURES
            for part in np.unique(fold[own]):
                which = name, explorer, part, names
                if which not in laws:
                    others = (rows["map"] != name) & (rows["explorer"] != explorer) & (fold != part)
                    laws[which] = fitted(rows, others, names)
                law, of_part = laws[which], own[fold[own] == part]
                self.start[of_part] = predicted(law, rows, of_part)
                for family in np.unique(rows["family"][of_part]):
                    runs = first[rows["family"][first] != family]
                    target = of_part[rows["family"][of_part] == family]
                    self.after[target] = predicted(law.given(*as_runs(rows, runs, names)), rows, target)


def known(rows: dict[str, np.ndarray], chosen: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """The features of these names, ``[rows, F]``."""
    columns = dict(zip(FEATURES, rows["features"][chosen].T, strict=True)) | {"degree": rows["degree"][chosen]}
    return np.stack([columns[name] for name in names], axis=1)


def as_runs(
    rows: dict[str, np.ndarray], chosen: np.ndarray, names: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, steps and whether they were learned, of every seed of some rows."""
    steps, budget = rows["steps"][chosen], rows["budget"][chosen, None]
    x = np.repeat(known(rows, chosen, names), steps.shape[1], axis=0)
    return x, np.minimum(steps, budget).ravel(), (steps <= budget).ravel()


def predicted(law: Calibration, rows: dict[str, np.ndarray], chosen: np.ndarray) -> np.ndarray:
    mean, doubt = law.log_steps(known(rows, chosen, law.features))
    return np.column_stack([mean, np.hypot(doubt, law.noise)])


def fitted(rows: dict[str, np.ndarray], chosen: np.ndarray, names: tuple[str, ...], **options: Any) -> Calibration:
    """A law fitted to those of the chosen rows whose features are known, every seed a run."""
    chosen = chosen & np.isfinite(known(rows, np.ones(len(chosen), bool), names)).all(axis=1)
    x, steps, learned = as_runs(rows, chosen, names)
    groups = np.repeat(rows["group"][chosen], rows["steps"].shape[1])
    return calibrate(x, steps, learned, groups, names=names, **options)


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


def within(groups: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
    """Mean rank correlation over the groups."""
    each = [rank_correlation(a[groups == group], b[groups == group]) for group in np.unique(groups)]
    return float(np.mean([one for one in each if one is not None]))


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
    off = np.abs(predicted[:, None] - logs)[learned]
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


def show(name: str, found: dict[str, Any]) -> None:
    cells = [f"{k}: {v:.3f}" if isinstance(v, float) else f"{k}: {v}" for k, v in found.items()]
    print(f"{name}\n    " + "; ".join(cells))


def every_score(rows: dict[str, np.ndarray], found: np.ndarray, scored: np.ndarray) -> dict[str, Any]:
    """All figures of one way to predict."""
    boolean, nonlinear = rows["domain"] == "bits8", rows["map"] != LINEAR
    chosen = {
        "nonlinear maps": nonlinear,
        "the negative control too": np.ones(len(boolean), bool),
        "Boolean, nonlinear maps": boolean & nonlinear,
        **{f"explorer {one}": nonlinear & (rows["explorer"] == one) for one in np.unique(rows["explorer"])},
        **{
            f"Boolean, explorer {one}": boolean & nonlinear & (rows["explorer"] == one)
            for one in np.unique(rows["explorer"])
        },
        "Boolean, layered and recurrent maps": boolean & nonlinear & (rows["map"] != TRANSFORMER),
        **{
            f"Boolean, layered and recurrent maps, explorer {one}": boolean
            & nonlinear
            & (rows["map"] != TRANSFORMER)
            & (rows["explorer"] == one)
            for one in np.unique(rows["explorer"])
        },
        **{f"map {one}": rows["map"] == one for one in np.unique(rows["map"])},
        **{f"domain {one}": nonlinear & (rows["domain"] == one) for one in np.unique(rows["domain"])},
    }
    return {
        **{name: scores(rows, found[:, 0], own & scored) for name, own in chosen.items()},
        "calibration, nonlinear maps": calibration(rows, *found.T, scored & nonlinear),
        "calibration, the negative control too": calibration(rows, *found.T, scored),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ship", action="store_true", help="fit the law of the package to the whole table")
    parser.add_argument("--domain", action="append", help="only these")
    parser.add_argument("--data", type=Path, default=loader.DATA)
    parser.add_argument("--json", type=Path, default=RESULT)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    runs = loader.runs(arguments.data)
    rows = table(runs.filter(pl.col("domain").is_in(arguments.domain)) if arguments.domain else runs)
    found = Predictions(rows)
    six = Predictions(rows, found.laws, SIX)
    over = np.exp(found.after[:, 0]) / rows["budget"]
    everyone, nonlinear = np.ones(len(over), bool), rows["map"] != LINEAR
    measures = {
        "road": rows["road"],
        "hitting time over budget": rows["hitting"] / rows["budget"],
        "hitting time ahead over budget": rows["ahead"] / rows["budget"],
        "steps predicted after the first runs over budget": np.where(found.first, np.nan, over),
        "realised directness": rows["directness"],
        "realised stages": rows["stage_count"],
    }
    result: dict[str, Any] = {
        "command": " ".join(["python benchmarks/learnability_prediction.py", *sys.argv[1:]]),
        "rows": len(rows["target"]),
        "maps": {d: sorted(set(rows["map"][rows["domain"] == d].tolist())) for d in np.unique(rows["domain"])},
        "cost of those learned first": costs(found),
        "cost of six": costs(six),
        "start": every_score(rows, found.start, everyone),
        "after": every_score(rows, found.after, ~found.first),
        "after six": every_score(rows, six.after, ~six.first),
        "direct enough": {
            f"{name}{', nonlinear maps' if own is nonlinear else ''}": threshold(rows, np.log(measure), own)
            for name, measure in measures.items()
            for own in (everyone, nonlinear)
        },
    }
    print(result["cost of those learned first"], result["cost of six"])
    for kind in ("start", "after", "after six", "direct enough"):
        print(f"\n== {kind}")
        for name, figures in result[kind].items():
            show(name, figures)
    arguments.json.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    if arguments.ship:
        ship(rows)


def costs(found: Predictions) -> dict[str, float]:
    """Share of the steps of learning all that those learned first took: mean by domain, and the largest."""
    domains = sorted({group.split(" ")[0] for group in found.share})
    return {
        **{one: float(np.mean([v for key, v in found.share.items() if key.startswith(one + " ")])) for one in domains},
        "largest": max(found.share.values()),
    }


def ship(rows: dict[str, np.ndarray]) -> None:
    """The laws of the package, fitted to the whole table."""
    laws = []
    for names in (FEATURES, OF_CUBES):
        chosen = np.isfinite(known(rows, np.ones(len(rows["target"]), bool), names)).all(axis=1)
        what = {
            "table": "benchmarks/learnability/data/runs.parquet",
            "made by": "benchmarks/learnability_prediction.py --ship",
            "rows": int(chosen.sum()),
            **{key: sorted(set(rows[key][chosen].tolist())) for key in ("domain", "map", "explorer")},
        }
        laws.append(asdict(fitted(rows, chosen, names, provenance=what)))
    (Path(home.__file__).parent / "laws.json").write_text(json.dumps(laws, indent=1) + "\n")


if __name__ == "__main__":
    main()
