"""Time of a kernel against the size of the network, beside the product of matrices that a held Jacobian would take.

    python benchmarks/kernel_speed.py    # ten minutes on one thread, 8 GB; writes benchmarks/results/kernel_speed.json

Relu MLPs 64-W-W-1 on 2,000 examples and 64-W-W-10 on 200, so 2,000 outputs each, from 10⁴ to 10⁶ parameters, in single
precision on one thread. ``plain`` contracts whole rows of the Jacobian and is the check: the largest difference to it,
in units of the largest entry, is printed; its time is of one run with compilation. ``product`` is what
``2 · 2000² · parameters`` operations take at the highest rate that a product of two matrices of 2,000 × 2,000 reached
here so far. Growth exponents are slopes in log time over log parameters from 10⁵ on.
"""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
os.environ["OMP_NUM_THREADS"] = os.environ["NPROC"] = "1"

import jax
import jax.numpy as jnp
import numpy as np

from allroads.networks.mlp import mlp
from allroads.pfmap.kernel import kernel_function, plan_kernel

RESULT = Path(__file__).parent / "results" / "kernel_speed.json"
WIDTHS = (76, 135, 286, 450, 670, 967)
MEMORY = 2**33


def seconds(call: Callable[[], Any], repeats: int) -> float:
    """The shortest of some runs after one that compiles."""
    jax.block_until_ready(call())
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        jax.block_until_ready(call())
        times.append(time.perf_counter() - began)
    return min(times)


def peak() -> float:
    """Operations a second of a product of two matrices."""
    square = jax.random.normal(jax.random.key(0), (2000, 2000))
    product = jax.jit(jnp.matmul)
    return 2 * 2000**3 / seconds(lambda: product(square, square), 5)


def measure(width: int, outputs: int) -> dict[str, Any]:
    network = mlp((64,), outputs, widths=(width, width))
    params = network.init(jax.random.key(0))
    inputs = jax.random.normal(jax.random.key(1), (2000 // outputs, 64))
    plan = plan_kernel(network, params, inputs, True, MEMORY)
    by_rows = plan_kernel(network, params, inputs, True, MEMORY, factored=False)
    factored, plain = kernel_function(network, plan), kernel_function(network, by_rows)
    began = time.perf_counter()
    expected = np.asarray(plain(params, inputs))
    by_rows_seconds = time.perf_counter() - began
    difference = np.abs(np.asarray(factored(params, inputs)) - expected).max() / np.abs(expected).max()
    return {
        "outputs_an_example": outputs,
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(params)),
        "factored": seconds(lambda: factored(params, inputs), 3),
        "plain": by_rows_seconds,
        "difference": float(difference),
    }


def main() -> None:
    rows = []
    rate = peak()
    print(f"{'outputs':>8}{'parameters':>12}{'factored':>11}{'plain':>9}{'product':>9}{'share':>8}{'difference':>12}")
    for outputs in (1, 10):
        for width in WIDTHS:
            row = measure(width, outputs)
            rate = max(rate, peak())
            row["product"] = 2 * 2000**2 * row["parameters"] / rate
            print(
                f"{outputs:8}{row['parameters']:12,}{row['factored']:9.2f} s{row['plain']:7.1f} s"
                f"{row['product']:7.1f} s{row['factored'] / row['product']:8.3f}{row['difference']:12.1e}",
                flush=True,
            )
            rows.append(row)
    exponents = {}
    for outputs in (1, 10):
        large = [row for row in rows if row["outputs_an_example"] == outputs and row["parameters"] > 90_000]
        logs = np.log([row["parameters"] for row in large])
        for way in ("factored", "plain"):
            exponents[f"{way}, {outputs}"] = float(np.polyfit(logs, np.log([row[way] for row in large]), 1)[0])
    print(f"peak {rate / 1e9:.0f} GFLOP/s; growth exponents: {exponents}")
    command = "python benchmarks/kernel_speed.py"
    found = {"command": command, "peak": rate, "exponents": exponents, "rows": rows}
    RESULT.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
