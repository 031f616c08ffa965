"""Boolean functions learned by small networks and read out again as formulas: all 256 of 3 inputs, 300 of 4.

    python benchmarks/boolean_programs.py    # some minutes; writes benchmarks/results/boolean_programs.json

A network n-24-1 (ReLU) is trained by Adam on the whole cube for each function, in packs by `vmap`. A network that does
not fit is trained again from another start, up to three times. The formula that `extract` reads is compared with the
function on all rows. Its number of two-input gates stands beside the least that any formula of the function has, from
the tables of all functions by size; their counts are compared with a second enumeration, written here.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import numpy as np
from program_networks import fit

from allroads import Target, extract
from allroads.networks.mlp import mlp
from allroads.programs.boolean import exact_sizes
from allroads.programs.boolean.encoding import cube

RESULT = Path(__file__).parent / "results" / "boolean_programs.json"
SAMPLED, SEED = 300, 18
WIDTH, STEPS, RATE, STARTS = 24, 1000, 0.02, 3
PACK = 64


def counts_by_size(bits: int) -> list[int]:
    """Functions by the fewest two-input gates of a formula, negation free: breadth-first, on its own."""
    full = (1 << (1 << bits)) - 1
    literals = [sum(1 << row for row in range(1 << bits) if row >> i & 1) for i in range(bits)]
    layers = [{value for literal in literals for value in (literal, full ^ literal)} | {0, full}]
    seen = set(layers[0])
    while len(seen) <= full:
        size = len(layers)
        new: set[int] = set()
        for left in range((size - 1) // 2 + 1):
            right = np.array(sorted(layers[size - 1 - left]))
            for value in layers[left]:
                for both in (right & value, right | value, right ^ value):
                    new.update(both.tolist())
        layers.append({v for value in new for v in (value, full ^ value)} - seen)
        seen |= layers[-1]
    return [len(layer) for layer in layers]


def learned(bits: int, numbers: list[int]) -> tuple[list[Any], np.ndarray, float]:
    """A trained point per function, whether it fits, and the seconds of the last pass of all."""
    network = mlp((bits,), 1, widths=(WIDTH,))
    rows = np.array(cube((1, -1), bits), np.float32)
    points: list[Any] = [None] * len(numbers)
    fits = np.zeros(len(numbers), bool)
    seconds = 0.0
    for start in range(STARTS):
        waiting = np.flatnonzero(~fits)
        for first in range(0, len(waiting), PACK):
            chosen = waiting[first : first + PACK]
            padded = np.resize(chosen, PACK)
            labels = np.array([_table(numbers[i], bits) for i in padded], np.float32)
            seed = 1000 * start + first
            began = time.perf_counter()
            found = fit(network, "bce", rows, labels[..., None], [STEPS] * PACK, rate=RATE, seed=seed)
            seconds += time.perf_counter() - began
            for i, point, label in zip(chosen, found, labels, strict=False):
                points[i] = point
                fits[i] = ((np.asarray(network.apply(point, rows))[:, 0] > 0) == label).all()
    return points, fits, seconds


def _table(number: int, bits: int) -> np.ndarray:
    return np.array([number >> row & 1 for row in range(1 << bits)])


def read(bits: int, numbers: list[int], points: list[Any]) -> list[dict[str, Any]]:
    """What is extracted of each network."""
    network, least = mlp((bits,), 1, widths=(WIDTH,)), exact_sizes(bits)
    rows = np.array(cube((1, -1), bits), np.float32)
    found = []
    for number, point in zip(numbers, points, strict=True):
        table = _table(number, bits)
        constant = np.ptp(table) == 0
        # A target has two answers; of a constant function another one says how answers are read.
        asked = _table(0b10, bits) if constant else table
        target = Target("rule", inputs=rows, labels=asked.astype(float), loss="bce", complete=True, train_fraction=1)
        began = time.perf_counter()
        result = extract(network, point, target)
        formula = result.program
        found.append({
            "function": number,
            "status": result.status.value,
            "equal": formula is not None and formula.table.tolist() == table.tolist()
            and formula.run(rows.astype(int).tolist()) == table.tolist()
            and result.equivalence.proved and (constant or result.correct.equal),
            "gates": None if formula is None else formula.gates,
            "least": int(least[number]),
            "bits": None if formula is None else round(formula.bits, 2),
            "formula": None if formula is None else str(formula.root),
            "interchange": None if result.interchange is None else round(result.interchange.value, 4),
            "seconds": time.perf_counter() - began,
        })  # fmt: skip
    return found


def main() -> None:
    """Train, extract, print and write."""
    report: dict[str, Any] = {"command": "python benchmarks/boolean_programs.py", "width": WIDTH, "steps": STEPS}
    sampled = np.random.default_rng(SEED).choice(1 << 16, SAMPLED, replace=False)
    for bits, numbers in ((3, list(range(256))), (4, sorted(map(int, sampled)))):
        counts, sizes = counts_by_size(bits), np.bincount(exact_sizes(bits)).tolist()
        assert counts == sizes, f"the tables of sizes differ: {counts} and {sizes}"
        points, fits, seconds = learned(bits, numbers)
        rows = read(bits, numbers, points)
        each = sorted(row["seconds"] for row in rows)
        summary = {
            "functions": len(rows),
            "trained": int(fits.sum()),
            "equal": sum(row["equal"] for row in rows),
            "statuses": dict(sorted(Counter(row["status"] for row in rows).items())),
            "gates_above_least": dict(sorted(Counter(row["gates"] - row["least"] for row in rows).items())),
            "functions_by_least_gates": dict(sorted(Counter(row["least"] for row in rows).items())),
            "all_functions_by_least_gates": counts,
            "training_seconds_per_network": round(seconds / len(rows), 4),
            "extraction_seconds_median": round(each[len(each) // 2], 4),
            "extraction_seconds_total": round(sum(each), 1),
        }
        print(f"{bits} inputs")
        for name, value in summary.items():
            print(f"  {name:32} {value}")
        report[f"bits_{bits}"] = summary | {"rows": [row | {"seconds": round(row["seconds"], 4)} for row in rows]}
    RESULT.write_text(json.dumps(report, indent=1, default=lambda value: value.item()) + "\n")


if __name__ == "__main__":
    main()
