"""The core on whatever device JAX finds, a GPU for one: is it right there, and how fast?

    python benchmarks/accelerator.py [--json benchmarks/results/accelerator.json]    # eight minutes on a GPU

Right: the kernel of three networks against an explicit Jacobian in both precisions; 200 steps of Adam on the device
against the same on the processor; `llc` at default options against exact values. Fast: member-steps a second of packed
training against the width of the pack, 1,000 steps with 64 records and 16 checkpoints; gradients a second of SGLD
chains once compiled; seconds for a kernel of 2,000 outputs on a million parameters; with JAX's default products, which
on NVIDIA's GPUs round single precision to ten bits, and with the highest. A run that compiles comes before each that is
timed.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from command_line import command_line

from allroads import ParameterFunctionMap, Problem, explore, float64, llc
from allroads.explorers.recording import Recording
from allroads.explorers.samplers import SGLD
from allroads.networks.convolutional import convolutional
from allroads.networks.mlp import mlp
from allroads.networks.transformer import transformer
from allroads.points.sampling import Chains
from allroads.points.zoo import deep_linear, two_layer_linear


def seconds(call: Callable[[], Any], repeats: int = 3) -> float:
    """The shortest of some runs after one that compiles."""
    times = []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        jax.block_until_ready(call())
        times.append(time.perf_counter() - began)
    return min(times[1:])


def kernels() -> list[dict[str, Any]]:
    """Largest error of the kernel, relative to its largest entry, against J Jᵀ in double precision."""
    rng = np.random.default_rng(0)
    networks = {
        "mlp": (mlp((6,), 2, widths=(32, 32)), rng.normal(size=(24, 6))),
        "convolutional": (convolutional((8, 8, 1), 3, channels=(4, 8)), rng.normal(size=(8, 8, 8, 1))),
        "transformer": (transformer((4,), 3, vocabulary=5, d_model=16), rng.integers(0, 5, (16, 4))),
    }
    rows = []
    for name, (network, inputs) in networks.items():
        params = network.init(jax.random.key(0))
        with float64():
            double = jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf), jnp.float64), params)
            own = jnp.asarray(inputs, jnp.float64) if inputs.dtype == float else jnp.asarray(inputs)
            jacobian = jax.jacrev(lambda p: network.apply(p, own).reshape(-1))(double)  # noqa: B023
            rows_of = np.concatenate([np.asarray(leaf).reshape(len(leaf), -1) for leaf in jax.tree.leaves(jacobian)], 1)
            exact = rows_of @ rows_of.T
            found = np.asarray(ParameterFunctionMap(network, own).kernel(double))
        single = np.asarray(
            ParameterFunctionMap(network, inputs.astype("f4") if inputs.dtype == float else inputs).kernel(params)
        )
        scale = np.abs(exact).max()
        rows.append(
            {
                "network": name,
                "double": float(np.abs(found - exact).max() / scale),
                "single": float(np.abs(single - exact).max() / scale),
            }
        )
        print(f"kernel of {name:14} off by {rows[-1]['double']:.1e} in double, {rows[-1]['single']:.1e} in single")
    return rows


def task() -> tuple[Any, np.ndarray, np.ndarray]:
    cube = 1.0 - 2 * (np.arange(128)[:, None] >> np.arange(7) & 1)
    return mlp((7,), 1, widths=(40, 40)), cube.astype("f4"), (cube[:, :3].prod(1) < 0).astype("f4")


def same_training() -> float:
    """Largest difference of training losses over 200 steps of Adam in double precision, device against processor."""
    network, inputs, labels = task()

    def losses() -> np.ndarray:
        with float64():
            start = jax.tree.map(
                lambda leaf: jnp.asarray(np.asarray(leaf), jnp.float64)[None], network.init(jax.random.key(1))
            )
            run = explore(Problem(network, "bce", inputs, labels), "adam", 1, steps=200, start=start)
        return run.curves["train_loss"]

    here = losses()
    with jax.default_device(jax.devices("cpu")[0]):
        there = losses()
    return float(np.abs(here - there).max())


def packed(width: int) -> dict[str, Any]:
    problem = Problem(task()[0], "bce", *task()[1:])

    def run() -> Any:
        return explore(problem, "adam", width, steps=1000, record=Recording(pack=width, memory=2**34)).values

    row = {"members": width, "microseconds_per_member_step": seconds(run, 2) / width / 1000 * 1e6}
    print(f"{width:6} MLPs 7-40-40-1 side by side: {row['microseconds_per_member_step']:8.3f} µs a member-step")
    return row


def coefficients() -> list[dict[str, Any]]:
    rows = []
    cases = (deep_linear((10, 20, 10), examples=100), two_layer_linear((8, 4, 8), (2, 2, 2), examples=100))
    for truth in cases:
        began = time.perf_counter()
        found = llc(truth.problem, truth.params)
        row = {"model": truth.name, "exact": truth.learning_coefficient, "found": found.value, "error": found.error}
        rows.append(row | {"status": found.status.value, "seconds": time.perf_counter() - began})
        print(
            f"{truth.name}: {found.value:.2f} ± {found.error:.2f} of {truth.learning_coefficient}, {found.status.value}"
        )
    return rows


def chains(widths: tuple[int, ...], examples: int, count: int) -> dict[str, Any]:
    """Of batches of 500, from what a hundred further draws of twenty gradients take more."""
    truth = deep_linear(widths, examples=examples)

    def run(draws: int) -> tuple[float, int]:
        began = time.perf_counter()
        chains = Chains(count=count, draws=draws, burn_in=0, metric="none", ladder=False, dtype="float32", memory=2**35)
        sampler = SGLD(step_size=0.03, batch_size=500)
        found = llc(truth.problem, truth.params, sampler=sampler, nbeta=1e7, localisation=1.0, chains=chains)
        return time.perf_counter() - began, found.stats["gradients"]

    run(10)
    (short, few), (long, many) = run(10), run(110)
    rate = (many - few) / (long - short)
    print(f"{count} SGLD chains of {truth.dimension:,} parameters: {rate:,.0f} gradients a second")
    return {"parameters": truth.dimension, "chains": count, "gradients_per_second": rate}


CHAINS = (((50,) * 5, 10_000, 4), ((50,) * 5, 10_000, 64), ((578,) * 4, 2_000, 4))
"""Widths, examples, chains."""


def large_kernel() -> float:
    network = mlp((64,), 1, widths=(967, 967))
    params, inputs = network.init(jax.random.key(0)), jax.random.normal(jax.random.key(1), (2000, 64))
    functions = ParameterFunctionMap(network, inputs)
    return seconds(lambda: functions.kernel(params))


def speed(widths: list[int]) -> dict[str, Any]:
    """What single precision has to do with."""
    found: dict[str, Any] = {"kernels": kernels()}
    found["packed training"] = [packed(width) for width in widths]
    found["seconds of a kernel of 2,000 outputs on a million parameters"] = large_kernel()
    print(f"kernel of 2,000 outputs on a million parameters: {list(found.values())[-1]:.3f} s")
    found["chains"] = [chains(*case) for case in CHAINS]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--widths", type=int, nargs="+", default=[64, 1024, 8192])
    arguments = parser.parse_args()
    device = jax.devices()[0]
    print(device.device_kind, jax.__version__)
    found: dict[str, Any] = {"command": command_line()}
    found |= {"device": device.device_kind, "jax": jax.__version__}
    found["training, device against processor"] = same_training()
    print(f"200 steps of Adam differ from the processor's by {found['training, device against processor']:.1e}")
    for products in ("default", "highest"):
        print(f"products of single precision: {products}")
        with jax.default_matmul_precision(products):
            found[f"products: {products}"] = speed(arguments.widths)
    found["coefficients"] = coefficients()
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
