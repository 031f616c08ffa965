"""Runs steered to a chosen one of two programs that fit the same data: by weights, by starts, by explorers.

    python benchmarks/atlas_steering.py

A tanh network 4-8-1 sees all rows but one of a truth table of four bits. Two functions fit, which differ on that row.
Runs are gradient descent on the 15 rows for 800 steps. A run counts for a function when it gives its answer on all 16
rows. Each of both functions is steered to in three ways.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

from allroads import GD, SGD, Adam, Muon, PatternSearch, Problem, steer
from allroads.networks.mlp import mlp
from allroads.targets.rules import all_bits

RESULT = Path(__file__).parent / "results" / "atlas_steering.json"
X = all_bits(4).astype(int)
A, B, C, D = X.T
RANDOM = np.random.default_rng(0)
TABLES = {
    "x0 & x1 | x2 & x3": A & B | C & D,
    "x0 ^ (x1 & x2)": A ^ (B & C),
    "x1 if x0 else x2": np.where(A, B, C),
    "random 0": RANDOM.permutation(np.arange(16) % 2),
    "random 1": RANDOM.permutation(np.arange(16) % 2),
}
TASKS = {f"{name}, row {row} open": (name, row) for name, row in (
    ("x0 & x1 | x2 & x3", 6), ("x0 ^ (x1 & x2)", 14), ("x1 if x0 else x2", 4), ("random 0", 13), ("random 1", 11),
)}  # fmt: skip
EXPLORERS = {
    "GD 0.1": GD(learning_rate=0.1),
    "GD 5": GD(learning_rate=5.0),
    "SGD, one example": SGD(learning_rate=0.1, batch_size=1),
    "Adam": Adam(learning_rate=0.01),
    "Muon": Muon(learning_rate=0.01),
    "pattern search": PatternSearch(),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", default=list(TASKS))
    parser.add_argument("--by", nargs="*", default=["weights", "start", "explorer"])
    parser.add_argument("--runs", type=int, default=400)
    parser.add_argument("--json", type=Path, default=RESULT)
    chosen = parser.parse_args()
    rows = json.loads(chosen.json.read_text()) if chosen.json.is_file() else []
    inputs = 2.0 * X - 1
    network = mlp((4,), 1, widths=(8,), activation="tanh")
    for name in chosen.only:
        table, row = TASKS[name]
        f = np.asarray(TABLES[table]).astype(int)
        seen = np.arange(16) != row
        problem = Problem(network, "bce", inputs[seen], f[seen])
        for program, answers in ((table, f), (f"the same with row {row} flipped", f ^ ~seen)):
            for by in chosen.by:
                if any((row["task"], row["chosen"], row["by"]) == (name, program, by) for row in rows):
                    continue
                began = time.perf_counter()
                explorers = list(EXPLORERS.values()) if by == "explorer" else ()
                found = steer(
                    problem, GD(learning_rate=1.0), answers, inputs, steps=800, by=by, explorers=explorers,
                    runs=chosen.runs, seed=1, progress=False,
                )  # fmt: skip
                row = {
                    "task": name, "chosen": program, "by": by, "seen": int(seen.sum()), "status": found.status.value,
                    "before": [found.before.value, found.before.stats["low"], found.before.stats["high"]],
                    "after": [found.after.value, found.after.stats["low"], found.after.stats["high"]],
                    "stats": found.to_dict()["stats"], "seconds": round(time.perf_counter() - began, 1),
                }  # fmt: skip
                if by == "weights":
                    row["weights"] = [round(float(weight), 3) for weight in found.weights]
                if by == "explorer":
                    row["explorer"] = next(key for key, value in EXPLORERS.items() if value == found.explorer)
                rows.append(row)
                chosen.json.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", "utf-8")
                before, after = (
                    f"{100 * s[0]:.0f} [{100 * s[1]:.0f}, {100 * s[2]:.0f}]" for s in (row["before"], row["after"])
                )
                print(
                    f"{name}, to {program} by {by}: {before} → {after} %; {row['status']}, {row['seconds']} s",
                    flush=True,
                )


if __name__ == "__main__":
    main()
