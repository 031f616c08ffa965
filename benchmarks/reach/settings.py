"""How far the reach matrices depend on their settings: the loss at which starts are left, the rate, the explorer.

    python benchmarks/reach/settings.py          # some minutes; adds to benchmarks/results/reach.json

Eight sources, drawn, each with four starts, and all 256 targets on the maps `narrow` and `wide`.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import Any

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import numpy as np
from findings import RESULT
from maps import MAPS, MARGIN, RATE
from scipy.stats import spearmanr

from allroads import SGD, Adam, reach

SETTINGS: dict[str, dict[str, Any]] = {
    "as in the tables": {},
    "starts of loss 0.3": {"margin": 0.3},
    "starts of loss 0.03": {"margin": 0.03},
    "SGD, batches of 4": {"explorer": SGD(learning_rate=RATE, batch_size=4)},
    "Adam, rate 0.01": {"explorer": Adam(learning_rate=0.01)},
}


def main() -> None:
    stored = json.loads(RESULT.read_text())
    stored["settings"] = {"command": "python benchmarks/reach/settings.py"}
    codes = np.sort(np.random.default_rng(0).choice(256, 8, replace=False))
    for name in ("narrow", "wide"):
        made, base = replace(MAPS[name], starts=4), None
        for setting, changed in SETTINGS.items():
            options = {"margin": MARGIN, "explorer": made.explorer, "steps": made.steps} | changed
            found = reach(made.network, made.inputs, made.answers(codes), made.answers(made.targets), starts=4,
                start_steps=20_000, draws=256, progress=False, **options)  # fmt: skip
            known = np.isfinite(found.cost) & found.others
            base = found if base is None else base
            both = known & np.isfinite(base.cost)
            row = {
                "R": found.value, "error": found.error, "mean cost": float(found.cost[known].mean()),
                "Spearman of cost with the first row": float(spearmanr(found.cost[both], base.cost[both])[0]),
                "Spearman of R with the first row": None if base.value == 1 or found.value == 1 else float(
                    spearmanr(found.probability[found.others], base.probability[base.others])[0]),
            }  # fmt: skip
            stored["settings"].setdefault(name, {})[setting] = row
            print(name, setting, json.dumps(row), flush=True)
            RESULT.write_text(json.dumps(stored, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
