"""Time to align two networks against their size, and how it grows.

    python benchmarks/alignment_growth.py    # three minutes; writes benchmarks/results/alignment_growth.json

Relu MLPs 64-W-W-10: one at its initialisation and itself moved by a drawn symmetry, so that the answer is known; by
weights, and by activations on 1,000 inputs. The largest difference of the two functions after alignment is printed, in
units of the largest output. The first call at a size, which derives the symmetries and compiles, is timed apart. Growth
exponents are slopes in log time over log parameters from a width of 256 on.
"""

import json
import os
import time
from pathlib import Path
from typing import Any

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
os.environ["OMP_NUM_THREADS"] = os.environ["NPROC"] = "1"

import jax
import numpy as np

from allroads import align, symmetries
from allroads.networks.mlp import mlp

RESULT = Path(__file__).parent / "results" / "alignment_growth.json"
WIDTHS = (64, 128, 256, 512, 1024)


def measure(width: int, method: str) -> dict[str, Any]:
    network = mlp((64,), 10, widths=(width, width))
    params = network.init(jax.random.key(0))
    inputs = np.random.default_rng(0).normal(size=(1000, 64)).astype(np.float32)
    group = symmetries(network, params, inputs)
    moved = group.act(group.random(np.random.default_rng(1)), params)
    times = []
    for _ in range(3):
        began = time.perf_counter()
        found = align(network, params, moved, inputs, method=method)
        times.append(time.perf_counter() - began)
    expected, given = (np.asarray(network.apply(p, inputs)) for p in (params, found.params))
    return {
        "method": method,
        "width": width,
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(params)),
        "first": times[0],
        "seconds": min(times[1:]),
        "distance": float(np.abs(given - expected).max() / np.abs(expected).max()),
    }


def main() -> None:
    print(f"{'method':12}{'width':>6}{'parameters':>12}{'first':>9}{'seconds':>10}{'distance':>11}")
    rows, exponents = [], {}
    for method in ("weights", "activations"):
        for width in WIDTHS:
            row = measure(width, method)
            rows.append(row)
            print(
                f"{method:12}{width:6}{row['parameters']:12,}{row['first']:9.2f}{row['seconds']:10.2f}"
                f"{row['distance']:11.1e}",
                flush=True,
            )
        large = [row for row in rows if row["method"] == method and row["width"] >= 256]
        logs = np.log([row["parameters"] for row in large])
        exponents[method] = float(np.polyfit(logs, np.log([row["seconds"] for row in large]), 1)[0])
    print(f"growth exponents: {exponents}")
    found = {"command": "python benchmarks/alignment_growth.py", "exponents": exponents, "rows": rows}
    RESULT.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
