"""Volumes against known ones: learning coefficients of the zoo, Boolean functions, ellipsoids.

Prints three tables. λ: every zoo case with λ up to 3, one setting for all (a cube of edge 1 around the point, ε from
1e-3 to 1e-10, 8192 particles), with m known and with m selected. Functions: log P(f) of a small network beside brute
force. Ellipsoids: log-volume of a quadratic basin with curvatures 1e-3 … 1e3 beside its closed form.
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

from allroads import float64
from allroads.networks.mlp import mlp
from allroads.points.volume import Box, function_log_probability, local_volume, volume_scaling
from allroads.points.zoo import (
    normal_crossings,
    quadratic,
    shifted_component,
    sum_of_powers,
    tanh_units,
    two_components,
)

CASES = (
    lambda: quadratic((4.0, 1.0, 0.25), examples=4),
    lambda: quadratic((4.0, 1.0, 0.0), examples=4),
    lambda: quadratic((1.0,) * 6, examples=8),
    lambda: normal_crossings((1, 1), examples=4),
    lambda: normal_crossings((1, 2), examples=4),
    lambda: normal_crossings((1, 1, 1), examples=4),
    lambda: normal_crossings((1, 2), prior_powers=(0, 1), examples=4),
    lambda: sum_of_powers((2, 1), examples=4),
    lambda: tanh_units(1, examples=16),
    lambda: tanh_units(2, examples=16),
    lambda: tanh_units(3, examples=16),
    lambda: tanh_units(4, examples=16),
    lambda: shifted_component(examples=64),
    lambda: two_components(examples=64),
)


def coefficients(seed: int) -> list[dict]:
    print(f"{'':55}{'λ':>7}{'m':>3}{'found':>8}{'±':>7}{'off':>8}{'m free':>8}{'found':>8}{'±':>7}  status     seconds")
    rows = []
    for build in CASES:
        truth, start = build(), time.perf_counter()
        found = volume_scaling(
            truth.network,
            truth.params,
            truth.loss,
            truth.inputs,
            truth.labels,
            cutoffs=(1e-3, 1e-10),
            measure=Box(0.5),
            log_prior=truth.log_prior,
            particles=8192,
            seed=seed,
        )
        value, error = found.stats["by_multiplicity"][truth.multiplicity]
        row = {
            "model": truth.name,
            "lambda": truth.learning_coefficient,
            "multiplicity": truth.multiplicity,
            "found": round(value, 4),
            "error": round(error, 4),
            "off": round(value - truth.learning_coefficient, 4),
            "selected_multiplicity": found.multiplicity,
            "found_selected": round(found.value, 4),
            "error_selected": round(found.error, 4),
            "status": found.status.value,
            "levels": len(found.cutoffs),
            "evaluations": found.stats["evaluations"],
            "seconds": round(time.perf_counter() - start, 1),
        }
        rows.append(row)
        print(
            f"{row['model']:55}{row['lambda']:7.3f}{row['multiplicity']:3}{row['found']:8.3f}{row['error']:7.3f}"
            f"{row['off']:+8.3f}{row['selected_multiplicity']:8}{row['found_selected']:8.3f}{row['error_selected']:7.3f}"
            f"  {row['status']}  {row['seconds']}",
            flush=True,
        )
    print(f"largest error with m known: {max(abs(row['off']) for row in rows):.3f}\n")
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
        start = time.perf_counter()
        labels = (f >> np.arange(2**bits)) & 1
        found = function_log_probability(network, inputs, labels, particles=8192, seed=seed)
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
                "seconds": round(time.perf_counter() - start, 1),
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


def ellipsoids(seed: int) -> list[dict]:
    """Splitting at 50 and 100 parameters, rays with and without an exact preconditioner up to 1000."""
    print(f"{'d':>5}{'method':>26}{'off':>10}{'±':>8}  status           seconds")
    cutoff, rows = 1e-4, []
    for d, method in [(d, m) for d in (50, 100, 1000) for m in ("rays", "rays, exact", "rays, hessian", "splitting")]:
        if method == "splitting" and d > 100:
            continue
        curvatures = np.logspace(-3, 3, d)
        truth, start = quadratic(curvatures, examples=d), time.perf_counter()
        options = {"rays, exact": np.sqrt(2 * cutoff / curvatures), "rays, hessian": "hessian"}
        found = local_volume(
            truth.network,
            truth.params,
            truth.loss,
            truth.inputs,
            truth.labels,
            cutoff=cutoff,
            measure=Box(1.0),
            method="splitting" if method == "splitting" else "ray",
            preconditioner=options.get(method),
            particles=2048,
            replicas=4,
            seed=seed,
        )
        exact = 0.5 * d * math.log(2 * math.pi * cutoff) - math.lgamma(d / 2 + 1) - 0.5 * np.log(curvatures).sum()
        row = {
            "parameters": d,
            "method": method,
            "exact": round(exact, 3),
            "off": round(found.log_volume - exact, 4),
            "error": round(found.error, 4),
            "status": found.status.value,
            "seconds": round(time.perf_counter() - start, 1),
        }
        rows.append(row)
        print(
            f"{d:5}{method:>26}{row['off']:10.3f}{row['error']:8.3f}  {row['status']:16} {row['seconds']}", flush=True
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="also write the rows there")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rows = {
        "coefficients": coefficients(arguments.seed),
        "functions": functions(2, 1_000_000, 5000, 8, arguments.seed) + functions(3, 4_000_000, 300, 8, arguments.seed),
        "ellipsoids": ellipsoids(arguments.seed),
    }
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
