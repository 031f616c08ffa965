"""Which factor decides the function that is reached: optimiser, loss, map, target or data?

Five optimisers × three losses × four maps × eight targets × two sizes of the training set, 64 seeds: 61,440 networks.
The criterion of "second order" (`second_order.toml`), the rival hypotheses (`hypotheses.toml`) and the learning rates
(`rates.json`) were committed before the first cell ran.

    python benchmarks/factorial/run.py --tune      # learning rates; ten minutes of one thread
    python benchmarks/factorial/run.py             # all cells that are missing; half an hour
    python benchmarks/factorial/run.py --shard 0/2 &    # or in parts
    python benchmarks/factorial/judge.py           # the tables and the verdicts

Finished cells are kept, and a second run takes up what is missing.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import time
from pathlib import Path

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
os.environ["OMP_NUM_THREADS"] = os.environ["NPROC"] = "1"
sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

from allroads import explore
from allroads.explorers.recording import Recording
from factorial.world import (
    INPUTS,
    LOSSES,
    MAPS,
    OPTIMISERS,
    RATES,
    SEEDS,
    SIZES,
    STEPS,
    TARGETS,
    Reached,
    optimiser,
    problem,
    reached,
)

HERE = Path(__file__).parent
PILOT = ("parity of three", "majority", "random A")
PILOT_MAPS = ("relu", "tanh, five layers")
PILOT_SEEDS = 16


def runs(name: str, rate: float, loss: str, map_name: str, target: str, size: int, members: int, seed: int) -> Reached:
    """Train one cell."""
    found = explore(
        problem(map_name, loss, target, size),
        optimiser(name, rate),
        members,
        steps=STEPS,
        seed=seed,
        probes=INPUTS,
        record=Recording(records=STEPS + 1, checkpoints=2),
    )
    return reached(np.asarray(found.values)[..., 0], target, size)


def tune() -> None:
    """For each optimiser and loss the rate at which most pilot runs fit on both pilot maps; ties by fewest steps."""
    rates: dict[str, dict[str, float]] = {}
    for name, loss in itertools.product(OPTIMISERS, LOSSES):
        scores = []
        for rate in RATES[name]:
            first = [
                runs(name, rate, loss, map_name, target, max(SIZES), PILOT_SEEDS, 10**6).first
                for map_name in PILOT_MAPS
                for target in PILOT
            ]
            share = min(float((f >= 0).mean()) for f in first)
            steps = float(np.mean([np.where(f >= 0, f, STEPS).mean() for f in first]))
            scores.append((-share, steps, rate))
            print(f"{name:18}{loss:15}{rate:8g}{share:8.2f} fit on the worst pilot, {steps:6.0f} steps", flush=True)
        rates.setdefault(name, {})[loss] = min(scores)[2]
    (HERE / "rates.json").write_text(json.dumps(rates, indent=1) + "\n")


def main() -> None:
    """Tune, or run the cells that are missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tune", action="store_true", help="choose the learning rates")
    parser.add_argument("--shard", default="0/1", help="i/k: every k-th group of cells from the i-th on")
    parser.add_argument("--kept", type=Path, default=HERE / "work", help="folder of finished cells")
    given = parser.parse_args()
    if given.tune:
        return tune()
    rates = json.loads((HERE / "rates.json").read_text())
    given.kept.mkdir(exist_ok=True)
    part, parts = map(int, given.shard.split("/"))
    groups = list(enumerate(itertools.product(OPTIMISERS, LOSSES, MAPS, SIZES)))
    for number, (name, loss, map_name, size) in groups[part::parts]:
        path = given.kept / f"{number}.npz"
        if path.exists():
            continue
        began = time.process_time()
        cells = [
            runs(name, rates[name][loss], loss, map_name, target, size, SEEDS, number * len(TARGETS) + place)
            for place, target in enumerate(TARGETS)
        ]
        spent = time.process_time() - began
        partial = path.with_suffix(".partial.npz")
        np.savez(
            partial,
            codes=np.stack([cell.codes for cell in cells]),
            first=np.stack([cell.first for cell in cells]),
            seconds=spent,
        )
        partial.rename(path)
        fit = np.mean([cell.first >= 0 for cell in cells])
        print(f"{number:4} {name:18}{loss:15}{map_name:20}{size:4}{fit:7.3f} fit{spent:7.1f} s", flush=True)


if __name__ == "__main__":
    main()
