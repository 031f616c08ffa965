"""Peak memory and time of the kernel K = J J^T within a budget, each row in a fresh process.

    python benchmarks/kernel_memory.py [--json FILE] [--case EXAMPLES OUTPUTS WIDTH BUDGET_MIB
    {separate,coupled}]

The network is a relu MLP 64-WIDTH-WIDTH-OUTPUTS. Extra memory is the peak resident size of the process less
its size just before the kernel is asked for, so compilation is in it. The last column
compares K v with J (J^T v) for a random v.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from command_line import command_line

CASES = (
    (2000, 1, 967, 2048, "separate"),
    (200, 10, 963, 2048, "separate"),
    (2000, 1, 967, 512, "separate"),
    (100, 1, 967, 2048, "coupled"),
)
COLUMNS = (
    "outputs",
    "parameters",
    "kind",
    "jacobian_mib",
    "budget_mib",
    "extra_mib",
    "seconds",
    "cpu_seconds",
    "product_error",
)


def resident_mib(field: str) -> float:
    """``VmRSS`` now, or ``VmHWM`` at its peak since this program began."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith(field + ":")) / 1024


def measure(examples: int, outputs: int, width: int, budget_mib: int, kind: str) -> dict:
    """One kernel in this process."""
    import jax
    import numpy as np

    from allroads import Network, ParameterFunctionMap

    def init(key):
        shapes = ((64, width), (width, width), (width, outputs))
        keys = jax.random.split(key, len(shapes))
        return [jax.random.normal(k, s) * (2 / s[0]) ** 0.5 for k, s in zip(keys, shapes, strict=True)]

    def apply(params, x):
        first, second, last = params
        hidden = x @ first
        hidden = hidden - hidden.mean(0) if kind == "coupled" else hidden
        return jax.nn.relu(jax.nn.relu(hidden) @ second) @ last

    rng = np.random.default_rng(0)
    network = Network(init, apply)
    params = jax.block_until_ready(network.init(jax.random.key(0)))
    inputs = rng.normal(size=(examples, 64)).astype(np.float32)
    F = ParameterFunctionMap(network, inputs, memory=budget_mib * 2**20)
    v = rng.normal(size=examples * outputs).astype(np.float32)
    product = np.asarray(F.kernel_product(params, v))
    before, start, cpu = resident_mib("VmRSS"), time.perf_counter(), time.process_time()
    kernel = jax.block_until_ready(F.kernel(params))
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu
    extra = resident_mib("VmHWM") - before
    parameters = sum(leaf.size for leaf in params)
    error = np.linalg.norm(kernel @ v - product) / np.linalg.norm(product)
    return {
        "outputs": v.size,
        "parameters": parameters,
        "kind": kind,
        "jacobian_mib": round(v.size * parameters * 4 / 2**20),
        "budget_mib": budget_mib,
        "extra_mib": round(extra),
        "seconds": round(seconds, 2),
        "cpu_seconds": round(cpu_seconds, 2),
        "product_error": float(f"{error:.2g}"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="also write the rows there")
    parser.add_argument("--case", nargs=5, metavar=("EXAMPLES", "OUTPUTS", "WIDTH", "BUDGET_MIB", "KIND"))
    arguments = parser.parse_args()
    if arguments.case:
        *numbers, kind = arguments.case
        print(json.dumps(measure(*map(int, numbers), kind)))
        return
    print("".join(f"{column:>14}" for column in COLUMNS))
    rows = []
    for case in CASES:
        command = [sys.executable, __file__, "--case", *map(str, case)]
        rows.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
        print("".join(f"{rows[-1][column]!s:>14}" for column in COLUMNS), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps({"command": command_line(), "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
