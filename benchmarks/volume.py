"""Volumes against known ones: ellipsoids and their kin, learning coefficients of the zoo, Boolean functions.

Prints three tables. Basins: log-volume beside its closed form, of ellipsoids with curvatures 1e-3 … 1e3, and of Σ c w⁴
with c from 1e-3 to 1e3, where the Hessian says nothing. λ: zoo cases with λ up to 3, one setting for all (a cube of
edge 1 around the point, ε from 1e-3 to 1e-10), with m known and with m weighed. Functions: log P(f) of a small network
beside brute force. The file is written after each table, with the seconds of computing and of waiting; ``--only`` puts
new tables beside those that stand there.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from allroads import Network, Problem, float64
from allroads.networks.mlp import mlp
from allroads.points.volume import Box, RayCasting, Splitting, function_log_probability, local_volume, volume_scaling
from allroads.points.zoo import (
    deep_linear,
    normal_crossings,
    quadratic,
    reduced_rank,
    shifted_component,
    sum_of_powers,
    tanh_units,
    two_components,
    two_layer_linear,
)

CASES = (
    lambda: quadratic((4.0, 1.0, 0.25), examples=4),
    lambda: quadratic((4.0, 1.0, 0.0), examples=4),
    lambda: quadratic((1.0,) * 6, examples=8),
    lambda: normal_crossings((1, 1), examples=4),
    lambda: normal_crossings((1, 2), examples=4),
    lambda: normal_crossings((1, 1, 1), examples=4),
    lambda: normal_crossings((1, 2), prior_powers=(0, 1), examples=4),
    lambda: normal_crossings((1, 1, 1, 1), examples=4),
    lambda: sum_of_powers((2, 1), examples=4),
    lambda: deep_linear((2, 2, 2, 2), 0, examples=4),
    lambda: reduced_rank((2, 1, 2), 0, examples=4),
    lambda: reduced_rank((2, 2, 2), 1, examples=4),
    lambda: reduced_rank((3, 2, 3), 0, examples=4),
    lambda: two_layer_linear((2, 2, 2), (0, 2, 0), examples=4),
    lambda: two_layer_linear((2, 3, 2), (1, 1, 1), examples=4),
    lambda: tanh_units(1, examples=16),
    lambda: tanh_units(2, examples=16),
    lambda: tanh_units(3, examples=16),
    lambda: tanh_units(4, examples=16),
    lambda: shifted_component(examples=40),
    lambda: two_components(examples=40),
)


QUARTIC = Network(jax.random.normal, lambda w, scales: scales * w**4)


def coefficients(particles: int, seed: int) -> list[dict]:
    print(f"{'':50}{'λ':>7}{'m':>3}{'found':>8}{'±':>7}{'off':>8}{'m free':>8}{'P(m)':>6}{'found':>8}{'±':>7}  status")
    rows = []
    for build in CASES:
        truth, start = build(), time.process_time()
        found = volume_scaling(
            Problem(truth.network, truth.loss, truth.inputs, truth.labels),
            truth.params,
            cutoffs=(1e-3, 1e-10),
            measure=Box(0.5),
            log_prior=truth.log_prior,
            method=Splitting(particles),
            seed=seed,
        )
        value, error = found.stats["by_multiplicity"][truth.multiplicity]
        weights = found.stats["weights"]
        row = {
            "model": truth.name,
            "lambda": round(truth.learning_coefficient, 4),
            "multiplicity": truth.multiplicity,
            "found": round(value, 4),
            "error": round(error, 4),
            "off": round(value - truth.learning_coefficient, 4),
            "resolved_multiplicity": found.multiplicity,
            "likeliest_multiplicity": max(weights, key=weights.get),
            "weights": {m: round(weight, 3) for m, weight in weights.items()},
            "found_free": round(found.value, 4),
            "error_free": round(found.error, 4),
            "status": found.status.value,
            "levels": len(found.cutoffs),
            "evaluations": found.stats["evaluations"],
            "seconds": round(time.process_time() - start, 1),
        }
        rows.append(row)
        print(
            f"{row['model'][:49]:50}{row['lambda']:7.3f}{row['multiplicity']:3}{row['found']:8.3f}{row['error']:7.3f}"
            f"{row['off']:+8.3f}{found.multiplicity!s:>8}{weights[truth.multiplicity]:6.2f}{row['found_free']:8.3f}"
            f"{row['error_free']:7.3f}  {row['status']}  {row['seconds']}",
            flush=True,
        )
    likeliest = sum(row["likeliest_multiplicity"] == row["multiplicity"] for row in rows)
    resolved = [row for row in rows if row["resolved_multiplicity"]]
    right = sum(row["resolved_multiplicity"] == row["multiplicity"] for row in resolved)
    held = sum(abs(row["found_free"] - row["lambda"]) <= row["error_free"] for row in rows)
    print(f"largest error with m known: {max(abs(row['off']) for row in rows):.3f}")
    print(f"m free: likeliest is right in {likeliest} of {len(rows)}; resolved in {len(resolved)}, right in {right}; ")
    print(f"the interval of λ holds the truth in {held}\n")
    return rows


def functions(bits: int, draws: int, fewest: int, at_most: int, seed: int) -> list[dict]:
    """Splitting beside brute force for functions that brute force met often enough."""
    inputs = 2.0 * np.array(list(itertools.product((0, 1), repeat=bits))) - 1
    network = mlp((bits,), 1, widths=(8,), activation="tanh")
    with float64():
        flat, unravel = ravel_pytree(network.init(jax.random.key(0)))
        weights = 2 ** jnp.arange(2**bits)

        @jax.jit
        def codes(key):
            drawn = jax.random.normal(key, (100_000, flat.size))
            return (jax.vmap(lambda w: network.apply(unravel(w), inputs)[:, 0])(drawn) > 0) @ weights

        keys = jax.random.split(jax.random.key(seed), draws // 100_000)
        counts = sum(np.bincount(np.asarray(codes(key)), minlength=2**2**bits) for key in keys)
    known = [f for f in np.argsort(-counts) if counts[f] >= fewest]
    chosen = [known[i] for i in np.unique(np.linspace(0, len(known) - 1, at_most).astype(int))]
    print(f"{bits} bits, {network.name}, {draws:,} draws: {len(known)} functions met {fewest} times or more")
    print(f"{'function':>18}{'brute':>9}{'±':>7}{'found':>9}{'±':>7}{'off':>8}  status  seconds")
    rows = []
    for f in chosen:
        start = time.process_time()
        labels = (f >> np.arange(2**bits)) & 1
        problem = Problem(network, "bce", inputs, labels)
        found = function_log_probability(problem, method=Splitting(8192), seed=seed)
        brute, brute_error = math.log(counts[f] / draws), 1.96 / math.sqrt(counts[f])
        rows.append(
            {
                "bits": bits,
                "function": "".join(map(str, labels)),
                "brute": round(brute, 4),
                "brute_error": round(brute_error, 4),
                "found": round(found.value, 4),
                "error": round(found.error, 4),
                "off": round(found.value - brute, 4),
                "status": found.status.value,
                "seconds": round(time.process_time() - start, 1),
            }
        )
        row = rows[-1]
        print(
            f"{row['function']:>18}{brute:9.3f}{brute_error:7.3f}{found.value:9.3f}{found.error:7.3f}{row['off']:+8.3f}"
            f"  {row['status']}  {row['seconds']}",
            flush=True,
        )
    print(f"largest difference: {max(abs(row['off']) for row in rows):.3f}\n")
    return rows


def basins(seed: int) -> list[dict]:
    """Splitting at 10 to 300 parameters; rays with and without an exact preconditioner."""
    print(f"{'d':>5}{'shape':>11}{'method':>24}{'exact':>11}{'off':>10}{'±':>8}  status")
    cutoff, rows = 1e-4, []
    cells = [(d, "ellipsoid", m) for d in (10, 30, 100, 300) for m in ("rays", "rays, hessian", "splitting")]
    for d, shape, method in [*cells, (10, "quartic", "splitting"), (30, "quartic", "splitting")]:
        start, scales, power = time.process_time(), np.logspace(-3, 3, d), 2 if shape == "ellipsoid" else 4
        factors = scales / 2 if shape == "ellipsoid" else scales  # K = Σ factors |w|^power
        truth = quadratic(scales, examples=d)
        problem = Problem(truth.network, truth.loss, truth.inputs, truth.labels)
        if shape == "quartic":
            problem = Problem(QUARTIC, _total, scales[None], np.zeros(1))
        found = local_volume(
            problem,
            truth.params,
            cutoff=cutoff,
            measure=Box(1.0),
            method=Splitting(1024, 4) if method == "splitting" else RayCasting(),
            preconditioner="hessian" if method == "rays, hessian" else None,
            seed=seed,
        )
        # a cube as large as the longest axis cuts off nothing: axes are at most (1e-4 / 5e-4)^(1/2) or (0.1)^(1/4)
        exact = d * math.log(2) + d * math.lgamma(1 + 1 / power) - math.lgamma(1 + d / power)
        exact += (d * math.log(cutoff) - np.log(factors).sum()) / power
        row = {
            "parameters": d,
            "shape": shape,
            "method": method,
            "exact": round(exact, 3),
            "off": round(found.log_volume - exact, 4),
            "error": round(found.error, 4),
            "status": found.status.value,
            "levels": found.stats.get("levels"),
            "decorrelation": found.stats.get("decorrelation"),
            "restored": found.stats.get("restored"),
            "evaluations": found.stats["evaluations"],
            "seconds": round(time.process_time() - start, 1),
        }
        rows.append(row)
        print(
            f"{d:5}{shape:>11}{method:>24}{row['exact']:11.2f}{row['off']:10.3f}{row['error']:8.3f}  {row['status']}"
            f"  {row['seconds']}",
            flush=True,
        )
    return rows


def _total(outputs: jax.Array, labels: jax.Array) -> jax.Array:
    return outputs.sum(-1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="also write the rows there")
    parser.add_argument("--only", nargs="+", choices=("basins", "coefficients", "functions"), help="these tables")
    parser.add_argument("--particles", type=int, default=4096, help="of the table of coefficients")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    seed = arguments.seed
    tables = {
        "basins": lambda: basins(seed),
        "coefficients": lambda: coefficients(arguments.particles, seed),
        "functions": lambda: functions(2, 1_000_000, 5000, 4, seed) + functions(3, 4_000_000, 600, 6, seed),
    }
    known = arguments.only and arguments.json and arguments.json.exists()
    rows = json.loads(arguments.json.read_text()) if known else {}
    rows["command"] = "python benchmarks/volume.py --json benchmarks/results/volume.json"
    for name in arguments.only or tables:
        start = time.process_time(), time.perf_counter()
        rows[name] = tables[name]()
        spent = {"computing": round(time.process_time() - start[0]), "wall": round(time.perf_counter() - start[1])}
        rows["seconds"] = rows.get("seconds", {}) | {name: spent}
        if arguments.json:
            arguments.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
