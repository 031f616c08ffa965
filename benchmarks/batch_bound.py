"""Which bound holds for batches of 500 at a million parameters: matrix products at the peak of one thread.

    python benchmarks/batch_bound.py    # half a minute; writes benchmarks/results/batch_bound.json

A relu MLP 784-W-W-10 in single precision. ``gradient`` is the time of one gradient of the mean loss of 500 examples,
the step that a chain on batches takes. ``products`` is the time of its eight matrix products alone: one forward and two
backward for each layer, of which the first needs one. ``peak`` is what their operations take at the highest rate that a
product of two matrices of 2,000 × 2,000 reached here. The three are measured in turn, and medians are given.
"""

import itertools
import json
import os
import time
from pathlib import Path

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
os.environ["OMP_NUM_THREADS"] = os.environ["NPROC"] = "1"

import jax
import jax.numpy as jnp
import numpy as np

from allroads import Problem
from allroads.networks.mlp import mlp

RESULT = Path(__file__).parent / "results" / "batch_bound.json"
WIDTHS, BATCH, ROUNDS = (784, 672, 672, 10), 500, 15


def products(examples, weights):
    """The products of a gradient: activations of each layer, then gradients of weights and of activations."""
    kept = [examples]
    for weight in weights:
        kept.append(kept[-1] @ weight)
    back, found = kept[-1], []
    for before, weight in zip(kept[-2::-1], weights[::-1], strict=True):
        found.append(before.T @ back)
        if before is not examples:
            back = back @ weight.T
    return found


def main() -> None:
    rng = np.random.default_rng(0)
    inputs, labels = rng.normal(size=(BATCH, WIDTHS[0])).astype("float32"), rng.integers(0, 10, BATCH)
    network = mlp(WIDTHS[:1], WIDTHS[-1], widths=WIDTHS[1:-1])
    problem = Problem(network, "cross_entropy", inputs, labels)
    params = network.init(jax.random.key(0))
    weights = [leaf for leaf in jax.tree.leaves(params) if leaf.ndim == 2]
    shapes = list(itertools.pairwise(WIDTHS))
    assert sorted(w.shape for w in weights) == sorted(shapes)
    weights = [jnp.asarray(rng.normal(size=shape) / shape[0] ** 0.5, jnp.float32) for shape in shapes]
    square = jnp.asarray(rng.normal(size=(2000, 2000)), jnp.float32)
    gradient, alone, product = jax.jit(jax.grad(problem.objective.mean)), jax.jit(products), jax.jit(jnp.matmul)
    data, examples = problem.data, jnp.asarray(inputs)
    calls = {
        "gradient": lambda: gradient(params, data),
        "products": lambda: alone(examples, weights),
        "square": lambda: product(square, square),
    }
    for call in calls.values():
        jax.block_until_ready(call())
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            began = time.perf_counter()
            jax.block_until_ready(call())
            seconds[name].append(time.perf_counter() - began)
    middle = {name: float(np.median(times)) for name, times in seconds.items()}
    operations = 2 * BATCH * sum(a * b for a, b in shapes) * 3 - 2 * BATCH * shapes[0][0] * shapes[0][1]
    rate = 2 * 2000**3 / min(seconds["square"])
    found = {
        "command": "python benchmarks/batch_bound.py",
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(params)),
        "batch": BATCH,
        "gradient_seconds": middle["gradient"],
        "products_seconds": middle["products"],
        "peak_seconds": operations / rate,
        "gigaflops_of_peak": rate / 1e9,
    }
    for name, value in found.items():
        print(f"{name:20}{value}")
    print(f"a gradient takes {middle['gradient'] / middle['products']:.2f} of its products")
    print(f"a gradient takes {middle['gradient'] * rate / operations:.2f} of the peak")
    RESULT.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
