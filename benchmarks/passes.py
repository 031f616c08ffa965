"""Barrier clusters against programs: do runs that low paths join compute the same program?

    python benchmarks/passes.py --json benchmarks/results/passes.json    # resumable, a task at a time

Two tasks on which runs with one training loss end at several programs, each on a narrow and on a wide network.

*partial table*: four bits, 10 of the 16 answers of a random table are trained; a run's label is the formula that is
read from it on all 16. *modular addition*: all pairs modulo 11 by ReLU with an embedding, AdamW; a run's label is the
set of frequencies of the program that is read from it. Runs that did not fit their training data are left out and
counted; runs from which no program is read have the label "none".

The loss is that of training, without the decay. Pass heights are upper bounds modulo symmetry: straight, aligned by
weights, a band of nine images, detours. The level is stated beforehand: the highest loss of an end, and a tenth of the
loss of the best constant answer above it. The index at other levels is printed beside it, and tested at none of them.
`within` and `between` are mean passes above the higher end of pairs with one label and with two, as shares of that
constant's loss; `order p` is the permutation p of their difference.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import numpy as np

import allroads
from allroads import (
    CurveOptions,
    NudgedElasticBand,
    Problem,
    Recording,
    Target,
    cluster_agreement,
    explore,
    extract,
    pass_bounds,
)
from allroads.networks.embedding_sum import embedding_sum
from allroads.networks.mlp import mlp
from allroads.targets.modular import modular

SHARES = (0.01, 0.03, 0.1, 0.3, 1.0)
"""Levels above the highest end, as shares of the loss of the best constant; the third is the one that is tested."""
TESTED = 0.1
FITTED = 0.05
"""A run has fitted where its loss is below this share of the constant's."""
RUNS = 24
BAND = NudgedElasticBand(bends=9, insertions=0)
OPTIONS = CurveOptions(steps=400)


def partial_table(width, seed=0):
    """Runs on 10 of 16 answers, and the formula of each on all of them."""
    rng = np.random.default_rng(seed)
    bits = np.indices((2,) * 4).reshape(4, -1).T.astype("float32")
    table = rng.permutation(np.repeat([0.0, 1.0], 8))
    shown = np.sort(rng.permutation(16)[:10])
    network = mlp((4,), 1, widths=(width,), activation="tanh")
    problem = Problem(network, "bce", bits[shown], table[shown])
    runs = explore(
        problem, allroads.Adam(learning_rate=0.02), 2 * RUNS, steps=1500, seed=seed, record=Recording(records=2)
    )
    whole = Target("table", inputs=bits, labels=table, complete=True, loss="bce")
    return problem, runs, lambda params: extract(network, params, whole, progress=False), str


def modular_addition(width, seed=0):
    """Runs on all pairs modulo 11, and the frequencies of each."""
    target = modular(p=11, train_fraction=1)
    network = embedding_sum((2,), 11, vocabulary=11, width=width, embedding=24)
    problem = Problem(network, "cross_entropy", target.train.inputs, target.train.labels)
    rule = allroads.AdamW(learning_rate=0.01, weight_decay=1.0)
    runs = explore(problem, rule, 2 * RUNS, steps=1500, seed=seed, record=Recording(records=2))
    return (
        problem,
        runs,
        lambda params: extract(network, params, target, progress=False),
        lambda p: ",".join(sorted(p.parts)),
    )


TASKS = {
    "partial table, width 3": lambda: partial_table(3),
    "partial table, width 8": lambda: partial_table(8),
    "modular addition, width 24": lambda: modular_addition(24),
    "modular addition, width 64": lambda: modular_addition(64),
}


def measure(make):
    """One row: labels, clusters at each level, the index with its null, the order of passes."""
    began = time.process_time()
    problem, runs, read, label = make()
    labels = np.asarray(problem.labels)
    rates = np.bincount(labels.astype(int).ravel()) / labels.size
    constant = float(-(rates * np.log(np.maximum(rates, 1e-12))).sum())
    points = [runs.end(m) for m in range(2 * RUNS)]
    losses = np.array([float(problem.mean(point)) for point in points])
    kept = [m for m in np.flatnonzero(losses < FITTED * constant)][:RUNS]
    tried = int(kept[-1]) + 1 if len(kept) == RUNS else 2 * RUNS
    found = [read(points[m]) for m in kept]
    names = ["none" if one.program is None else label(one.program.canonical()) for one in found]
    bounds = pass_bounds(problem, [points[m] for m in kept], curve=BAND, options=OPTIONS, progress=True)
    floor = float(bounds.losses.max())
    tests = {share: cluster_agreement(bounds.upper, names, floor + share * constant) for share in SHARES}
    within, between, order_p = order(bounds, names, constant)
    bars = bounds.tree([str(m) for m in range(len(kept))]).bars
    return {
        "runs": len(kept),
        "not_fitted": tried - len(kept),
        "labels": len(set(names)),
        "largest_label": max(names.count(name) for name in set(names)),
        "none": names.count("none"),
        "constant_loss": constant,
        "highest_end": floor,
        "level": floor + TESTED * constant,
        "clusters": tests[TESTED].stats["clusters"],
        "rand": tests[TESTED].value,
        "p": tests[TESTED].stats["p"],
        "null_95": tests[TESTED].stats["null_95"],
        "status": tests[TESTED].status.value,
        "other_levels": {str(s): [t.value, t.stats["clusters"], t.stats["p"]] for s, t in tests.items()},
        "within": within,
        "between": between,
        "order_p": order_p,
        "ways": bounds.stats["upper"],
        "names": names,
        "losses": bounds.losses.tolist(),
        "upper": bounds.upper.round(6).tolist(),
        "deaths": bars["death"].to_list(),
        "seconds": time.process_time() - began,
    }


def order(bounds, names, constant, permutations=9999):
    """Mean passes of pairs with one label and with two, and the permutation p that the first are lower."""
    above = (bounds.upper - np.maximum(bounds.losses[:, None], bounds.losses[None, :])) / constant
    pairs, codes = np.triu_indices(len(names), 1), np.unique(names, return_inverse=True)[1].ravel()
    heights, rng = above[pairs], np.random.default_rng(0)

    def gap(dealt):
        same = dealt[pairs[0]] == dealt[pairs[1]]
        return heights[~same].mean() - heights[same].mean() if 0 < same.sum() < len(same) else np.nan

    seen = gap(codes)
    if np.isnan(seen):
        return None, None, None
    same = codes[pairs[0]] == codes[pairs[1]]
    null = np.array([gap(rng.permutation(codes)) for _ in range(permutations)])
    return (
        float(heights[same].mean()),
        float(heights[~same].mean()),
        float((1 + (null >= seen).sum()) / (1 + permutations)),
    )


def main():
    """Measure what is missing, print and store."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, default=Path(__file__).parent / "results" / "passes.json")
    parser.add_argument("--only", nargs="*", default=list(TASKS))
    asked = parser.parse_args()
    stored = json.loads(asked.json.read_text("utf-8"))["rows"] if asked.json.exists() else {}
    for name in asked.only:
        if name not in stored:
            stored[name] = measure(TASKS[name])
            asked.json.write_text(
                json.dumps({"command": "python benchmarks/passes.py", "rows": stored}, indent=1) + "\n", "utf-8"
            )
    columns = (
        "runs",
        "not_fitted",
        "labels",
        "none",
        "clusters",
        "rand",
        "null_95",
        "p",
        "within",
        "between",
        "order_p",
    )
    print(f"{'task':28}" + "".join(f"{column:>11}" for column in columns))
    for name, row in stored.items():
        cells = (
            "–" if row[c] is None else f"{row[c]:.4g}" if isinstance(row[c], float) else str(row[c]) for c in columns
        )
        print(f"{name:28}" + "".join(f"{cell:>11}" for cell in cells))
        print(
            "    clusters at other levels:",
            {s: f"{v[0]:.2f} ({v[1]} clusters)" for s, v in row["other_levels"].items()},
        )


if __name__ == "__main__":
    main()
