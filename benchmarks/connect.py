"""Curves between trained networks: barriers on training and held-out data, lengths, seconds, and REPAIR beside them.

Every network is trained from scratch here, in pairs of seeds, and every method sees the training data alone. All pairs
of a network are connected side by side in one call.

    cd benchmarks && python connect.py    # 17 minutes beside other work; writes results/connect.json
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from alignment import digits, train

from allroads import ParameterFunctionMap, Problem, barrier, directness
from allroads.networks.convolutional import convolutional
from allroads.networks.mlp import mlp
from allroads.paths.align import align
from allroads.paths.connect import connect

METHODS = {
    "bezier": {},
    "polygon": {},
    "short": {},
    "neb": {},
    "geodesic": {},
    "aligned bezier": {"align": "weights"},
    "aligned short": {"align": "weights"},
    "aligned neb": {"align": "weights"},
    "aligned geodesic": {"align": "weights"},
}
LOSS = "cross_entropy"


def networks():
    mlp_options = {"init": "lecun", "scale": 3**-0.5, "bias": "uniform_fan_in"}
    yield "digits mlp 2 x 64", mlp((64,), 10, widths=(64, 64), **mlp_options), (64,), 60
    yield "digits mlp 2 x 256", mlp((64,), 10, widths=(256, 256), **mlp_options), (64,), 60
    yield "digits cnn 8-16", convolutional((8, 8, 1), 10), (8, 8, 1), 20


def stacked(points):
    return jax.tree.map(lambda *leaves: jnp.stack([jnp.asarray(leaf) for leaf in leaves]), *points)


def function_directness(network, found, inputs):
    """Directness of the image of a curve in the outputs on a few inputs."""
    path = found.params_at(np.linspace(0, 1, 65))
    F = ParameterFunctionMap(network, inputs[:256])
    return float(directness(np.asarray(jax.lax.map(F.values, path))))


def row_of(name, method, values, seconds):
    row = {"network": name, "method": method, "seconds": seconds / len(values["train"])}
    row |= {key: float(np.mean(value)) for key, value in values.items() if key != "status"}
    row["single"] = values
    shown = ("train", "held_out", "error", "length", "direct")
    cells = " ".join(f"{row[key]:9.4f}" if key in row else " " * 9 for key in shown)
    print(f"{name:20} {method:18} {cells} {row['seconds']:8.1f}  {' '.join(values.get('status', []))}", flush=True)
    return row


def straight_rows(name, network, ends, data):
    """The straight segment as it is, aligned, and repaired."""
    for method in ("straight", "aligned", "repaired", "aligned, repaired"):
        start = time.perf_counter()
        values = {"train": [], "held_out": [], "error": [], "length": []}
        for a, b in ends:
            if "aligned" in method:
                b = align(network, a, b, data[0], method="weights").params
            fixed = {"repair": "units", "calibration": data[0]} if "repaired" in method else {}
            for key, part in (("train", data[:2]), ("held_out", data[2:])):
                found = barrier(Problem(network, LOSS, *part), a, b, points=61, **fixed)
                values[key].append(found.height)
            values["error"].append(found.error_height)
            apart = jax.tree.map(lambda p, q: float(((p - q) ** 2).sum()), a, b)
            values["length"].append(float(np.sqrt(sum(jax.tree.leaves(apart)))))
        yield row_of(name, method, values, time.perf_counter() - start)


def curve_rows(name, network, ends, data):
    a, b = (stacked(side) for side in zip(*ends, strict=True))
    for method, options in METHODS.items():
        start = time.perf_counter()
        problem = Problem(network, LOSS, *data[:2])
        found = connect(problem, a, b, method=method.split()[-1], held_out=tuple(data[2:]), population=True, **options)
        seconds = time.perf_counter() - start
        values = {
            "train": [c.height for c in found],
            "held_out": [c.held_out_height for c in found],
            "error": [c.held_out.error_height for c in found],
            "length": [c.length for c in found],
            "direct": [function_directness(network, c, data[2]) for c in found],
            "status": [c.status.value for c in found],
        }
        yield row_of(name, method, values, seconds)


def star_row(name, network, ends, data):
    """One centre for all networks, and the barriers of its arms."""
    points = [point for pair in ends for point in pair]
    start = time.perf_counter()
    problem = Problem(network, LOSS, *data[:2])
    found = connect(problem, points[0], stacked(points[1:]), method="star", align="weights")
    seconds = time.perf_counter() - start
    centre = found[0].params_at(0.5)
    moved = [points[0], *(c.params_at(1.0) for c in found)]
    values = {
        key: [barrier(Problem(network, LOSS, *part), centre, p, points=61).height for p in moved]
        for key, part in (("train", data[:2]), ("held_out", data[2:]))
    }
    return row_of(name, f"star of {len(points)}, arms", values | {"status": [found[0].status.value]}, seconds)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, default=Path(__file__).parent / "results" / "connect.json")
    parser.add_argument("--pairs", type=int, default=2)
    args = parser.parse_args()
    rows = []
    heads = ("train", "held-out", "error", "length", "direct", "seconds")
    print(f"{'network':20} {'method':18} " + " ".join(f"{head:>9}" for head in heads))
    for name, network, shape, epochs in networks():
        data = digits()
        data = (data[0].reshape(-1, *shape), data[1], data[2].reshape(-1, *shape), data[3])
        points = [train(network, seed, data, epochs) for seed in range(2 * args.pairs)]
        ends = list(zip(points[::2], points[1::2], strict=True))
        rows += straight_rows(name, network, ends, data)
        rows += curve_rows(name, network, ends, data)
        rows.append(star_row(name, network, ends, data))
    versions = {"python": sys.version.split()[0], "jax": jax.__version__}
    command = " ".join(["cd benchmarks && python connect.py", *sys.argv[1:]])
    args.json.write_text(json.dumps({"command": command, "rows": rows} | versions, indent=1))


if __name__ == "__main__":
    main()
