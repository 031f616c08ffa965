"""Barrier clusters against programs: do runs that low paths join compute the same program?

    python benchmarks/passes.py    # resumable, a row at a time

Two tasks on which runs with one training loss end at several programs.

*two cues*: four bits, trained on the 8 of 16 rows on which x0 xor x1 and x2 xor x3 agree, on a narrow and on a wide
network; a run's label is the formula that is read from it on all 16. *modular addition*: all pairs modulo 11 by ReLU
with an embedding, AdamW; a run's label is the set of frequencies with a tenth or more of the variance of its logits.
Runs that did not fit their training data are left out and counted.

The loss is that of training, without the decay. Pass heights are upper bounds modulo symmetry: over *segments*
(straight, aligned by weights, detours) and over *curves* too (a band of nine images). The level is stated beforehand:
the highest loss of an end, and a tenth of the loss of the best constant answer above it. The index at other levels is
printed beside it. `within` and `between` are mean passes above the higher end of pairs with one label and with two, as
shares of that constant's loss; `order_p` is the permutation p of their difference.
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
"""Levels above the highest end, as shares of the loss of the best constant."""
TESTED = 0.1
FITTED = 0.05
"""A run has fitted where its loss is below this share of the constant's."""
KEY = 0.1
RUNS = 16
PATHS = {"segments": None, "curves": NudgedElasticBand(bends=9, insertions=0)}
OPTIONS = CurveOptions(steps=400)


def two_cues(width, seed=0):
    """Runs on the rows on which two cues agree, and the formula of each on all rows."""
    bits = np.indices((2,) * 4).reshape(4, -1).T.astype("float32")
    first, second = (bits[:, k] != bits[:, k + 1] for k in (0, 2))
    shown, table = first == second, first.astype(float)
    network = mlp((4,), 1, widths=(width,), activation="tanh")
    problem = Problem(network, "bce", bits[shown], table[shown])
    rule = allroads.Adam(learning_rate=0.02)
    runs = explore(problem, rule, 2 * RUNS, steps=1500, seed=seed, record=Recording(records=2))
    whole = Target("cues", inputs=bits, labels=table, complete=True, loss="bce")
    return problem, runs, lambda params: formula(network, params, whole)


def formula(network, params, target):
    """The formula that is read, or "none"."""
    found = extract(network, params, target, progress=False)
    return "none" if found.program is None else str(found.program.canonical())


def modular_addition(width, seed=0):
    """Runs on all pairs modulo 11, and the frequencies of each."""
    target = modular(p=11, train_fraction=1)
    network = embedding_sum((2,), 11, vocabulary=11, width=width, embedding=24)
    problem = Problem(network, "cross_entropy", target.train.inputs, target.train.labels)
    rule = allroads.AdamW(learning_rate=0.01, weight_decay=1.0)
    runs = explore(problem, rule, 2 * RUNS, steps=1500, seed=seed, record=Recording(records=2))
    inputs = np.asarray(problem.inputs)
    return problem, runs, lambda params: key_frequencies(network, params, inputs, 11)


def key_frequencies(network, params, inputs, p):
    """The frequencies k with a tenth or more of the logits' variance in waves of k (a + b − c)."""
    logits = np.asarray(network.apply(params, inputs), float)
    logits = logits - logits.mean(axis=0)
    turns = 2 * np.pi * (inputs.sum(axis=1)[:, None] - np.arange(p)) / p
    shares = {}
    for k in range(1, p // 2 + 1):
        waves = [np.cos(k * turns), np.sin(k * turns)]
        shares[k] = sum((logits * wave).sum() ** 2 / (wave**2).sum() for wave in waves) / (logits**2).sum()
    return ",".join(str(k) for k, share in shares.items() if share >= KEY) or "none"


TASKS = {
    "two cues, width 4": lambda: two_cues(4),
    "two cues, width 16": lambda: two_cues(16),
    "modular addition, width 24": lambda: modular_addition(24),
}


def measure(make, curve):
    """Labels, clusters at each level, the index with its null, the order of passes; over curves or over segments."""
    began = time.process_time()
    problem, runs, label = make()
    labels = np.asarray(problem.labels)
    rates = np.bincount(labels.astype(int).ravel()) / labels.size
    constant = float(-(rates * np.log(np.maximum(rates, 1e-12))).sum())
    points = [runs.end(m) for m in range(2 * RUNS)]
    losses = np.array([float(problem.mean(point)) for point in points])
    kept = [m for m in np.flatnonzero(losses < FITTED * constant)][:RUNS]
    tried = int(kept[-1]) + 1 if len(kept) == RUNS else 2 * RUNS
    names = [label(points[m]) for m in kept]
    bounds = pass_bounds(problem, [points[m] for m in kept], curve=curve, options=OPTIONS)
    floor = float(bounds.losses.max())
    tests = {share: cluster_agreement(bounds.upper, names, floor + share * constant) for share in SHARES}
    within, between, order_p = order(bounds, names, constant)
    return {
        "runs": len(kept),
        "not_fitted": tried - len(kept),
        "labels": len(set(names)),
        "constant_loss": constant,
        "highest_end": floor,
        "level": floor + TESTED * constant,
        "clusters": tests[TESTED].stats["clusters"],
        "rand": tests[TESTED].value,
        "p": tests[TESTED].stats["p"],
        "null_95": tests[TESTED].stats["null_95"],
        "status": tests[TESTED].status.value,
        "other_levels": {str(s): [t.value, t.stats["clusters"], t.stats["p"]] for s, t in tests.items()},
        "highest_pass": float(bounds.value),
        "within": within,
        "between": between,
        "order_p": order_p,
        "ways": bounds.stats["upper"],
        "names": names,
        "losses": bounds.losses.tolist(),
        "upper": bounds.upper.round(6).tolist(),
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
    p = float((1 + (null >= seen).sum()) / (1 + permutations))
    return float(heights[same].mean()), float(heights[~same].mean()), p


def main():
    """Measure what is missing, print and store."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, default=Path(__file__).parent / "results" / "passes.json")
    asked = parser.parse_args()
    stored = json.loads(asked.json.read_text("utf-8"))["rows"] if asked.json.exists() else {}
    for over, curve in PATHS.items():
        for name, make in TASKS.items():
            if f"{name}, {over}" not in stored:
                stored[f"{name}, {over}"] = measure(make, curve)
                text = json.dumps({"command": "python benchmarks/passes.py", "rows": stored})
                asked.json.write_text(text + "\n", "utf-8")
    columns = ("runs", "labels", "clusters", "rand", "null_95", "p", "within", "between", "order_p")
    print(f"{'task':40}" + "".join(f"{column:>10}" for column in columns))
    for name, row in sorted(stored.items()):
        shown = ("–" if row[c] is None else f"{row[c]:.3g}" if isinstance(row[c], float) else row[c] for c in columns)
        print(f"{name:40}" + "".join(f"{cell:>10}" for cell in shown))
        print("    at other levels:", {s: f"{v[0]:.2f} ({v[1]} clusters)" for s, v in row["other_levels"].items()})


if __name__ == "__main__":
    main()
