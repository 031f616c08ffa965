"""How well the quick mode of learnability predicts, and what it costs: a twentieth of the targets is simulated.

    python benchmarks/learnability_quick.py            # resumable; one file per domain, map and explorer
    python benchmarks/learnability_quick.py --ship     # also fit the law of hitting times that comes with the package

Every target has its hitting time by the kernel at the start. The law that takes it to steps is fitted without the map,
without the explorer and without the family of a target. Of the targets with Boolean inputs, six of 137 are simulated
to their goal, the middles of equal parts of the predicted order; of a smaller domain a twentieth, one at least. The law
is conditioned on these simulations, as ``learnability`` does it; no run of the domain, map and explorer is used. Those
simulated are not scored. Prints tables and writes ``benchmarks/results/learnability_quick.json``.
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
from learnability.scores import calibration, folds, rank_correlation, within
from learnability_features import Case, combinations, of, stored
from learnability_prediction import LINEAR, TRANSFORMER

import allroads.paths.learnability.law as home
from allroads.paths.learnability.law.calibration import Calibration, calibrate, default_calibration
from allroads.paths.learnability.law.features import features
from allroads.paths.learnability.law.pilot_runs import evenly_spaced
from allroads.paths.learnability.law.quick import HITTING, hitting_features, on_simulations
from allroads.paths.learnability.simulate.linearised_path import SEGMENT_KRYLOV_STEPS
from allroads.paths.learnability.simulate.residual_spectrum import KRYLOV_STEPS
from allroads.paths.learnability.simulate.start_kernel import START_KRYLOV_STEPS, hitting_times
from allroads.paths.learnability.simulate.target_simulation import broadcast_params, simulate_targets

RESULT = Path(__file__).parent / "results" / "learnability_quick.json"
SEED = 0
SHARE = 1 / 20


def quick(case: Case) -> dict[str, np.ndarray]:
    """Hitting times of all targets, and which were simulated, with features and gradients of these."""
    given = case.network, case.domain.loss, case.build_explorer()
    start = case.start(SEED)
    hits = hitting_times(*given, start, case.inputs, case.labels, case.goals, seed=SEED)
    count = max(1, int(SHARE * len(case.targets)))
    chosen = np.array(evenly_spaced(np.log(hits), count))
    own = broadcast_params(loader.initial(case.name, case.domain.name, SEED), count)
    found = simulate_targets(*given, own, case.inputs, case.labels[chosen], case.goals[chosen], seed=SEED)
    return {
        "hits": hits,
        "chosen": chosen,
        "simulated": np.array([features(one)[0] for one in found]),
        "segments": np.array([len(one.segments) for one in found]),
    }


def table(runs: pl.DataFrame, everything: list[tuple[str, str, str]]) -> dict[str, np.ndarray]:
    """One row a target, map and explorer."""
    parts: list[dict[str, np.ndarray]] = []
    for domain, name, explorer in everything:
        case, cells = Case(domain, name, explorer), of(runs, domain, name, explorer)
        seen = stored("quick", *case.key(), SEED, compute=lambda c=case: quick(c))
        steps = np.full((len(case.targets), 2), np.nan)
        for row in cells.iter_rows(named=True):
            learned = row["learned"] and row["steps_to_learn"] is not None
            steps[case.targets.index(row["target"]), row["seed"]] = (
                max(row["steps_to_learn"], 0.5) if learned else np.inf
            )
        simulated = np.full(len(steps), np.nan)
        simulated[seen["chosen"]] = seen["simulated"]
        segments = np.zeros(len(steps))
        segments[seen["chosen"]] = seen["segments"]
        count = len(steps)
        parts.append(
            {
                "target": np.array(case.targets),
                "family": np.array([case.domain.tasks[t].family for t in case.targets]),
                "domain": np.full(count, domain),
                "map": np.full(count, name),
                "explorer": np.full(count, explorer),
                "group": np.full(count, f"{domain} | {name} | {explorer}"),
                "budget": np.full(count, float(cells["budget"].max())),
                "steps": steps,
                "features": hitting_features(seen["hits"]),
                "simulated": simulated,
                "gradients": gradients(segments),
            }
        )
    rows = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    whole = ~np.isnan(rows["steps"]).any(axis=1) & np.isfinite(rows["features"]).all(axis=1)
    return {key: column[whole] for key, column in rows.items()}


def gradients(segments: np.ndarray) -> np.ndarray:
    """Gradients of all examples that each target cost, counted as ``learnability_prediction.simulation_cost`` counts.

    Every target takes a gradient, its loss along the flow of outputs one evaluation, and the quick spectrum; those
    simulated also the finer spectrum and their segments.
    """
    quick = 1 + 1 / 3 + 4 * START_KRYLOV_STEPS / 3
    path = 1 + 4 * KRYLOV_STEPS / 3 + segments * ((4 * SEGMENT_KRYLOV_STEPS + 4 * 3) / 3 + 2)
    return quick + np.where(segments > 0, path, 0.0)


def fitted(rows: dict[str, np.ndarray], chosen: np.ndarray, **options: Any) -> Calibration:
    """The law of hitting times from the chosen rows, every seed a run."""
    steps, budget = rows["steps"][chosen], rows["budget"][chosen, None]
    seeds = steps.shape[1]
    x, groups = np.repeat(rows["features"][chosen], seeds, axis=0), np.repeat(rows["group"][chosen], seeds)
    return calibrate(x, np.minimum(steps, budget).ravel(), (steps <= budget).ravel(), groups, names=HITTING, **options)


def predictions(rows: dict[str, np.ndarray]) -> np.ndarray:
    """Mean and standard deviation of log steps of every target, NaN of those that were simulated."""
    found, fold = np.full((len(rows["target"]), 2), np.nan), folds(rows["family"])
    laws: dict[tuple, Calibration] = {}
    for group in np.unique(rows["group"]):
        own = np.flatnonzero(rows["group"] == group)
        name, explorer = rows["map"][own[0]], rows["explorer"][own[0]]
        for part in np.unique(fold[own]):
            if (name, explorer, part) not in laws:
                others = (rows["map"] != name) & (rows["explorer"] != explorer) & (fold != part)
                laws[name, explorer, part] = fitted(rows, others)
            law = laws[name, explorer, part]
            for family in np.unique(rows["family"][own[fold[own] == part]]):
                known = own[np.isfinite(rows["simulated"][own]) & (rows["family"][own] != family)]
                target = own[(rows["family"][own] == family) & ~np.isfinite(rows["simulated"][own])]
                x, simulated = rows["features"], rows["simulated"][known, None]
                mean, doubt = on_simulations(law, default_calibration(), x[known], simulated).log_steps(x[target])
                found[target] = np.column_stack([mean, np.hypot(doubt, law.noise)])
    return found


def figures(rows: dict[str, np.ndarray], predicted: np.ndarray, chosen: np.ndarray) -> dict[str, Any]:
    """Figures of some rows: ranks and factors of those that were not simulated, cost of all."""
    scored = chosen & np.isfinite(predicted)
    taken = np.minimum(rows["steps"], rows["budget"][:, None])
    steps, budget, logs = rows["steps"][scored], rows["budget"][scored, None], np.log(taken[scored])
    capped = np.minimum(predicted[scored], np.log(budget[:, 0]))
    off = np.abs(logs - predicted[scored, None])[steps <= budget]
    return {
        "rows": int(scored.sum()),
        "rank correlation": rank_correlation(capped, logs.mean(axis=1)),
        "within a domain, map and explorer": within(rows["group"][scored], capped, logs.mean(axis=1)),
        "within a factor 2": float((off <= np.log(2)).mean()),
        "median factor": float(np.exp(np.median(off))),
        "gradients over those of learning": float(rows["gradients"][chosen].sum() / taken[chosen].mean(axis=1).sum()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ship", action="store_true", help="fit the law of the package to the whole table")
    parser.add_argument("--domain", action="append", help="only these")
    parser.add_argument("--map", action="append", help="only these")
    parser.add_argument("--explorer", action="append", help="only these")
    parser.add_argument("--json", type=Path, default=RESULT)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    runs = loader.runs()
    wanted = arguments.domain, arguments.map, arguments.explorer
    everything = [
        one
        for one in combinations(runs)
        if one[1] != LINEAR and all(w is None or part in w for part, w in zip(one, wanted, strict=True))
    ]
    rows = table(runs, everything)
    found = predictions(rows)
    boolean, everyone = rows["domain"] == "bits8", np.ones(len(rows["target"]), bool)
    chosen = {
        "all": everyone,
        "Boolean": boolean,
        **{f"Boolean, {one}": boolean & (rows["explorer"] == one) for one in np.unique(rows["explorer"])},
        "Boolean, layered and recurrent maps": boolean & (rows["map"] != TRANSFORMER),
        **{f"map {one}": rows["map"] == one for one in np.unique(rows["map"])},
        **{f"domain {one}": rows["domain"] == one for one in np.unique(rows["domain"])},
    }
    result: dict[str, Any] = {
        "command": command_line(),
        "combinations": len(everything),
        **{name: figures(rows, found[:, 0], own) for name, own in chosen.items() if own.any()},
        "calibration": calibration(rows, *found.T, everyone),
    }
    for name, value in result.items():
        print(f"{name}: {value}")
    arguments.json.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    if arguments.ship:
        what = {
            "table": "benchmarks/learnability/data/runs.parquet",
            "made by": command_line(),
            "rows": len(rows["target"]),
            **{key: sorted(set(rows[key].tolist())) for key in ("domain", "map", "explorer")},
        }
        law = fitted(rows, everyone, provenance=what)
        (Path(home.__file__).parent / "hitting_law.json").write_text(law.to_json() + "\n")


if __name__ == "__main__":
    main()
