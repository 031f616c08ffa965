"""The local learning coefficient against exact values, with default options: is a converged number right?

    python benchmarks/llc.py                     # all cases; an hour and a half on one thread
    python benchmarks/llc.py --shard 0/2 &       # or in parts, side by side; run again without to gather
    python benchmarks/llc.py --family singular   # one family
    python benchmarks/llc.py --gather            # what is finished

Families of cases, all with λ exactly known:

- ``full-rank``: deep linear networks as Furman and Lau draw them: depth 2–5, widths 5–50, up to 10⁴ parameters,
  weights uniform in ±1/√(fan in), inputs uniform in ±10, noiseless; 200 examples;
- ``singular``: two-layer linear networks of at most 100 parameters at points of random ranks;
- ``rank-deficient``: deep linear networks whose layers all have a smaller rank;
- ``large``: the same with 10⁵ parameters and more;
- ``zoo``: one small model of each kind in ``allroads.points.zoo``;
- ``temperature``: singular points at nβ = n/ln n, where λ̂ need not have reached λ;
- ``samplers``: singular points by every other sampler.

Each finished case is kept, and a second run takes up what is missing. The tables have, by family, errors and gradients
beside those of the same cases with the schedule of version 0.1 (``results/llc_0.1.json``), and status against error. No
case may be converged and off by more than 10 %.
"""

import argparse
import dataclasses
import itertools
import json
import math
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
os.environ["OMP_NUM_THREADS"] = os.environ["NPROC"] = "1"

import numpy as np

from allroads.points.llc import llc
from allroads.points.sampling import Chains
from allroads.points.zoo import GroundTruth, deep_linear, deep_linear_learning_coefficient, specimens, two_layer_linear
from allroads.points.zoo.deep_linear import linear_truth

RESULT = Path(__file__).parent / "results" / "llc.json"
BEFORE = RESULT.with_name("llc_0.1.json")
EXAMPLES = 200


def furman_lau(index: int) -> GroundTruth:
    """A full-rank deep linear network drawn at random; the same for the same index."""
    rng = np.random.default_rng([index, 1])
    while True:
        widths = tuple(int(w) for w in rng.integers(5, 51, int(rng.integers(2, 6)) + 1))
        if sum(a * b for a, b in itertools.pairwise(widths)) <= 10_000:
            break
    weights = [rng.uniform(-1, 1, shape) / shape[0] ** 0.5 for shape in itertools.pairwise(widths)]
    exact, multiplicity = deep_linear_learning_coefficient(widths, min(widths))
    truth = linear_truth(
        f"deep linear {'-'.join(map(str, widths))}", weights, exact, multiplicity, "aoyagi2024", EXAMPLES, index
    )
    inputs = rng.uniform(-10, 10, truth.inputs.shape)
    labels = inputs
    for weight in weights:
        labels = labels @ weight
    return dataclasses.replace(truth, inputs=inputs, labels=labels)


def singular(index: int) -> GroundTruth:
    """A two-layer linear network of at most 100 parameters at a point of random ranks below the full ones."""
    rng = np.random.default_rng([index, 2])
    while True:
        before, hidden, after = (int(w) for w in rng.integers(2, 11, 3))
        first, second = (int(rng.integers(0, min(side, hidden) + 1)) for side in (before, after))
        least, most = max(0, first + second - hidden), min(first, second)
        if (before + after) * hidden <= 100 and least <= most and (first, second) != (hidden, hidden):
            break
    product = int(rng.integers(least, most + 1))
    return two_layer_linear((before, hidden, after), (first, second, product), examples=100, seed=index)


def rank_deficient(index: int) -> GroundTruth:
    """A deep linear network of depth 2–4 and up to 4,000 parameters, all layers of one smaller rank."""
    rng = np.random.default_rng([index, 3])
    while True:
        widths = tuple(int(w) for w in rng.integers(4, 31, int(rng.integers(2, 5)) + 1))
        if sum(a * b for a, b in itertools.pairwise(widths)) <= 4_000:
            break
    return deep_linear(widths, int(rng.integers(1, min(widths))), examples=100, seed=index)


LARGE = (((50,) * 5, 10, 200), ((100,) * 3, 30, 200), ((200,) * 4, 20, 400), ((250,) * 3, 25, 500))
LARGE += (((400,) * 7, 40, 420),)
SHORT = {"chains": Chains(burn_in=30, max_draws=20)}
"""Of a million parameters: an hour. The defaults tune and measure up to 70 rounds of two minutes at the last level."""


def cases(families: set[str]) -> Iterator[tuple[str, str, Any, dict[str, Any]]]:
    """``(family, key, how to build the model, options)``."""
    for i in range(30):
        yield "full-rank", f"full-rank {i}", lambda i=i: furman_lau(i), {}
    for i in range(50):
        yield "singular", f"singular {i}", lambda i=i: singular(i), {}
    for i in range(12):
        yield "rank-deficient", f"rank-deficient {i}", lambda i=i: rank_deficient(i), {}
    for i, (widths, rank, examples) in enumerate(LARGE):
        build = lambda widths=widths, rank=rank, examples=examples: deep_linear(widths, rank, examples=examples)  # noqa: E731
        yield "large", f"large {i}", build, SHORT if i == len(LARGE) - 1 else {}
    if "zoo" in families:
        for i, truth in enumerate(t for t in specimens() if t.log_prior is None):
            yield "zoo", f"zoo {i}", lambda truth=truth: truth, {}
    usual = {"nbeta": 100 / math.log(100)}
    for i in range(20):
        yield "temperature", f"temperature singular {i}", lambda i=i: singular(i), usual
    for sampler in ("sgld", "rmsprop_sgld", "sgnht", "mala", "mclmc"):
        for i in range(4):
            yield "samplers", f"{sampler} singular {i}", lambda i=i: singular(i), {"sampler": sampler}


def measure(family: str, key: str, truth: GroundTruth, options: dict[str, Any]) -> dict[str, Any]:
    began = time.perf_counter()
    found = llc(truth.problem, truth.params, **options)
    exact = truth.learning_coefficient
    return {
        "family": family,
        "case": key,
        "model": truth.name,
        "parameters": truth.dimension,
        "exact": exact,
        "multiplicity": truth.multiplicity,
        "found": found.value,
        "error": found.error,
        "relative": found.value / exact - 1,
        "covered": bool(abs(found.value - exact) <= found.error),
        "status": found.status.value,
        "sampler": found.stats["sampler"],
        "nbeta": found.stats["nbeta"],
        "localisation": found.stats["localisation"],
        "r_hat": found.stats["r_hat"],
        "ess": found.stats["ess"],
        "gradients": found.stats["gradients"],
        "error_parts": {name: float(part) for name, part in found.stats["error_parts"].items()},
        "seconds": time.perf_counter() - began,
    }


def family_row(family: str, rows: list[dict[str, Any]]) -> str:
    """A line of the table in README.md: errors, verdicts and gradients, these two beside those of version 0.1.

    The last number is the median, over the cases, of how many times fewer gradients a case took.
    """
    old = {row["case"]: row for row in json.loads(BEFORE.read_text("utf-8"))["rows"]}
    pairs = [(old[row["case"]], row) for row in rows if row["case"] in old]
    size = np.array([abs(row["relative"]) for row in rows])
    sizes = (np.median(size), np.quantile(size, 0.95), size.max())
    errors = " | ".join(f"{100 * x:.1f} %" if x < 10 else "> 1,000 %" for x in sizes)
    held = sum(row["covered"] for row in rows)
    converged, before = (sum(row["status"] == "converged" for row in some) for some in (rows, [a for a, _ in pairs]))
    gradients = round(float(np.median([row["gradients"] for row in rows])), -2)
    fewer = np.median([a["gradients"] / b["gradients"] for a, b in pairs])
    return f"| {family} | {len(rows)} | {errors} | {held} | {converged} | {before} | {gradients:,.0f} | {fewer:.1f} |"


def summary(rows: list[dict[str, Any]]) -> None:
    errors = "median error | 95 % within | worst"
    print(f"\n| family | cases | {errors} | held | converged | with 0.1 | gradients | times fewer |")
    for family in dict.fromkeys(row["family"] for row in rows):
        print(family_row(family, [row for row in rows if row["family"] == family]))
    print(f"\n{'status':20}{'≤ 3 %':>8}{'3–10 %':>8}{'> 10 %':>8}")
    for status in sorted({row["status"] for row in rows}):
        size = np.array([abs(row["relative"]) for row in rows if row["status"] == status])
        print(f"{status:20}{(size <= 0.03).sum():8}{((size > 0.03) & (size <= 0.1)).sum():8}{(size > 0.1).sum():8}")
    wrong = [row["case"] for row in rows if row["status"] == "converged" and abs(row["relative"]) > 0.1]
    print(f"{len(rows)} cases; converged and off by more than 10 %: {wrong or 'none'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shard", default="0/1", help="i/k: every k-th case from the i-th on")
    parser.add_argument("--family", action="append", help="only these families")
    parser.add_argument("--kept", type=Path, default=Path("llc-cases"), help="folder of finished cases")
    parser.add_argument("--gather", action="store_true", help="start nothing: a table of what is finished")
    parser.add_argument("--json", type=Path, default=RESULT, help="where the rows are written")
    arguments = parser.parse_args()
    part, parts = map(int, arguments.shard.split("/"))
    arguments.kept.mkdir(exist_ok=True)
    families = set(
        arguments.family or ["full-rank", "singular", "rank-deficient", "large", "zoo", "temperature", "samplers"]
    )
    wanted = [case for case in cases(families) if case[0] in families]
    rows, missing = [], []
    for family, key, build, options in wanted[part::parts]:
        path = arguments.kept / f"{key.replace(' ', '-')}.json"
        if arguments.gather and not path.exists():
            missing.append(key)
            continue
        if not path.exists():
            path.write_text(json.dumps(measure(family, key, build(), options)))
        row = json.loads(path.read_text())
        rows.append(row)
        print(
            f"{row['case']:26}{row['model'][:44]:46}{row['parameters']:8}{row['exact']:9.2f}{row['found']:9.2f}"
            f" ±{row['error']:7.2f}{row['relative']:+8.1%}  {row['status']:17}{row['seconds']:6.0f} s",
            flush=True,
        )
    summary(rows)
    if parts == 1:
        chosen = "".join(f" --family {family}" for family in arguments.family or [])
        found = {"command": f"python benchmarks/llc.py{chosen}", "not run": missing, "rows": rows}
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
