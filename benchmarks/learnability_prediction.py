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
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import polars as pl
from command_line import command_line
from learnability import loader
from learnability.scores import calibration, folds, scores, threshold
from learnability_features import Case, combinations, of, stored

import allroads.paths.learnability.law as home
from allroads.paths.learnability.law.calibration import Calibration, calibrate
from allroads.paths.learnability.law.features import FEATURES, features
from allroads.paths.learnability.law.pilot_runs import evenly_spaced
from allroads.paths.learnability.simulate.linearised_path import SEGMENT_KRYLOV_STEPS

RESULT = Path(__file__).parent / "results" / "learnability_prediction.json"
SHARE, SIX = 1 / 20, 6
"""Share of the targets that is learned first, one at least; how many else."""
LINEAR = "deep linear 2x64"
"""The negative control, which can represent hardly any target."""
TRANSFORMER = "transformer 1x32"


def table(runs: pl.DataFrame) -> dict[str, np.ndarray]:
    """One row a target, map and explorer; steps of two seeds, features averaged over them."""
    parts: list[dict[str, Any]] = []
    for domain, name, explorer in combinations(runs):
        case, cells = Case(domain, name, explorer), of(runs, domain, name, explorer)
        seeds = sorted(runs["seed"].unique())
        starts = [case.simulations(seed) for seed in seeds]
        if any(one is None for one in starts):
            continue
        plain = [stored("baselines", domain, name, case.fingerprint, seed) for seed in seeds]
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
            "features": np.mean([[features(s) for s in one] for one in starts], axis=0),
            **{
                key: np.exp(np.mean([[np.log(np.clip(own(s), 1e-2, 1e9)) for s in one] for one in starts], axis=0))
                for key, own in {
                    "hitting": lambda s: s.steps,
                    "ahead": lambda s: s.path_steps,
                    "road": lambda s: s.road,
                }.items()
            },
            "segments": np.mean([[len(s.segments) for s in one] for one in starts], axis=0),
            **facts,
        }
        unknown = dict.fromkeys(("energy", "alignment", "inal"), np.full(len(index), np.nan))
        for key in unknown:
            part[key] = np.mean([(unknown if p is None else p)[key] for p in plain], axis=0)
        parts.append(part | case.boolean())
    rows = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    whole = ~np.isnan(rows["steps"]).any(axis=1) & np.isfinite(rows["features"]).all(axis=1)
    return {key: column[whole] for key, column in rows.items()}


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
            first = own[evenly_spaced(rows["features"][own, 0], many or max(1, int(SHARE * len(own))))]
            self.first[first] = True
            taken = np.minimum(rows["steps"], rows["budget"][:, None])
            self.share[group] = float(taken[first].sum() / taken[own].sum())
            for part in np.unique(fold[own]):
                which = name, explorer, part
                if which not in laws:
                    others = (rows["map"] != name) & (rows["explorer"] != explorer) & (fold != part)
                    laws[which] = fitted(rows, others)
                law, of_part = laws[which], own[fold[own] == part]
                self.start[of_part] = predicted(law, rows, of_part)
                for family in np.unique(rows["family"][of_part]):
                    runs = first[rows["family"][first] != family]
                    target = of_part[rows["family"][of_part] == family]
                    self.after[target] = predicted(law.conditioned_on(*as_runs(rows, runs)), rows, target)


def as_runs(rows: dict[str, np.ndarray], chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, steps and whether they were learned, of every seed of some rows."""
    steps, budget = rows["steps"][chosen], rows["budget"][chosen, None]
    x = np.repeat(rows["features"][chosen], steps.shape[1], axis=0)
    return x, np.minimum(steps, budget).ravel(), (steps <= budget).ravel()


def predicted(law: Calibration, rows: dict[str, np.ndarray], chosen: np.ndarray) -> np.ndarray:
    mean, doubt = law.log_steps(rows["features"][chosen])
    return np.column_stack([mean, np.hypot(doubt, law.noise)])


def fitted(rows: dict[str, np.ndarray], chosen: np.ndarray, **options: Any) -> Calibration:
    """A law fitted to the chosen rows, every seed a run; its mean is the simulated steps."""
    x, steps, learned = as_runs(rows, chosen)
    groups = np.repeat(rows["group"][chosen], rows["steps"].shape[1])
    return calibrate(x, steps, learned, groups, names=FEATURES, offset="simulated steps", **options)


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
        "command": command_line(),
        "rows": len(rows["target"]),
        "maps": {d: sorted(set(rows["map"][rows["domain"] == d].tolist())) for d in np.unique(rows["domain"])},
        "cost of those learned first": costs(found),
        "cost of six": costs(six),
        "cost of looking ahead": simulation_cost(rows),
        "start": every_score(rows, found.start, everyone),
        "after": every_score(rows, found.after, ~found.first),
        "after six": every_score(rows, six.after, ~six.first),
        "direct enough": {
            f"{name}{', nonlinear maps' if own is nonlinear else ''}": threshold(rows, np.log(measure), own)
            for name, measure in measures.items()
            for own in (everyone, nonlinear)
        },
    }
    print(result["cost of those learned first"], result["cost of six"], result["cost of looking ahead"])
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


def simulation_cost(rows: dict[str, np.ndarray]) -> dict[str, float]:
    """Cost of the simulation by domain, in gradients of all examples, as a share of those of learning.

    An evaluation is a third of a gradient, a product with J or Jᵀ two thirds. A segment takes
    ``SEGMENT_KRYLOV_STEPS`` products with J Jᵀ, a gradient at either end, and some four products with evaluations.
    """
    gradients = rows["segments"] * ((4 * SEGMENT_KRYLOV_STEPS + 4 * 3) / 3 + 2)
    steps = np.minimum(rows["steps"], rows["budget"][:, None]).mean(axis=1)
    own = {domain: (rows["domain"] == domain) & (rows["map"] != LINEAR) for domain in np.unique(rows["domain"])}
    return {domain: float(gradients[chosen].sum() / steps[chosen].sum()) for domain, chosen in own.items()}


def ship(rows: dict[str, np.ndarray]) -> None:
    """The law of the package, fitted to the whole table."""
    what = {
        "table": "benchmarks/learnability/data/runs.parquet",
        "made by": "benchmarks/learnability_prediction.py --ship",
        "rows": len(rows["target"]),
        **{key: sorted(set(rows[key].tolist())) for key in ("domain", "map", "explorer")},
    }
    law = fitted(rows, np.ones(len(rows["target"]), bool), provenance=what)
    (Path(home.__file__).parent / "law.json").write_text(law.to_json() + "\n")


if __name__ == "__main__":
    main()
