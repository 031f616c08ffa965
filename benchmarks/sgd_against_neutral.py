"""Is SGD neutral? What it reaches, beside what guessing and checking reaches, on balanced functions of five bits.

Maps × targets × data sizes. The neutral distribution is the initialisation's own, P(f), given the data; one set of
draws per map. SGD's is counted over runs at their first fit and some steps later. Functions are identified exactly, by
their answers on all 32 inputs. Distances are over functions, and over their number of sensitive edges, a coarse measure
of complexity, which gives a lower bound that needs few runs. Cells that are in the JSON are left out, so the command
may be stopped and started again.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import time
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np

from allroads import SGD, Network, Problem, complexity, function_posterior, function_prior
from allroads.distributions import clopper_pearson, collision, effective_number
from allroads.errors import TooFewSamplesError
from allroads.networks.mlp import mlp
from allroads.points.complexity.lz76 import first_bit_most_significant, lz76
from allroads.studies.reached import distribution_distance, reached_functions

BITS = 5
ROWS = np.arange(1 << BITS)
INPUTS = (ROWS[:, None] >> np.arange(BITS) & 1).astype(np.float32)
SIZES = (4, 8, 12, 16)
BATCH = 4
STEPS = 20_000
COMPLEXITIES = ("edges", "lz76", "walsh_degree")


def tanh_map(sigma_w: float) -> Network:
    """Three tanh layers of width 20; weights N(0, σ_w² / fan_in), biases N(0, 0.2²)."""
    options = {"widths": (20, 20, 20), "activation": "tanh", "init": "lecun", "bias": "normal", "bias_scale": 0.2}
    return mlp((BITS,), 1, scale=sigma_w, **options)


MAPS = {  # network, learning rate
    "relu": (mlp((BITS,), 1, widths=(40,), init="lecun", bias="normal"), 0.1),
    "tanh σ_w=1": (tanh_map(1.0), 0.1),
    "tanh σ_w=4": (tanh_map(4.0), 0.02),
}


def targets() -> dict[str, np.ndarray]:
    """Balanced functions: 16 ones in 32 rows; bit i of row r is (r >> i) & 1."""
    x = [ROWS >> i & 1 for i in range(BITS)]
    found = {f"parity {n}": np.bitwise_xor.reduce(x[:n]) for n in range(1, BITS + 1)}
    weights = {"majority 5": (1, 1, 1, 1, 1), "majority 3": (1, 1, 1, 0, 0), "threshold 31111": (3, 1, 1, 1, 1)}
    weights |= {
        "threshold 22111": (2, 2, 1, 1, 1),
        "threshold 32211": (3, 2, 2, 1, 1),
        "threshold 21110": (2, 1, 1, 1, 0),
    }
    for name, of in weights.items():
        signed = sum(w * (2 * bit - 1) for w, bit in zip(of, x, strict=True))
        found[name] = np.where(signed == 0, x[0], signed > 0).astype(int)
    found["multiplexer 3"] = np.where(x[0], x[1], x[2])
    found["multiplexer of parities"] = np.where(x[0], x[1] ^ x[2], x[3] ^ x[4])
    found["multiplexer of majority"] = np.where(x[0], (x[1] + x[2] + x[3]) >= 2, x[4]).astype(int)
    found["x0 + x1 x2"] = x[0] ^ (x[1] & x[2])
    found["x0 + x1 x2 x3 x4"] = x[0] ^ (x[1] & x[2] & x[3] & x[4])
    found["x0 + majority of the rest"] = x[0] ^ ((x[1] + x[2] + x[3] + x[4]) >= 3)
    found["x0 + x1 x2 + x3 x4"] = x[0] ^ (x[1] & x[2]) ^ (x[3] & x[4])
    found["x0 xor majority 3"] = x[0] ^ ((x[1] + x[2] + x[3]) >= 2)
    rng = np.random.default_rng(0)
    random = [rng.permutation(np.repeat([0, 1], 16)) for _ in range(2000)]
    order = sorted(range(len(random)), key=lambda k: (measures(code_of(random[k]))[0], k))
    for quantile in (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0):
        found[f"random, edges at {quantile:.0%}"] = random[order[round(quantile * (len(order) - 1))]]
    assert all(table.sum() == 16 for table in found.values()) and len(found) >= 24
    return found


def code_of(table: np.ndarray) -> int:
    return int(np.asarray(table, np.int64).ravel() @ (1 << ROWS))


@cache
def measures(code: int) -> tuple[int, float, int]:
    """Sensitive edges of the cube (16 times the total influence), LZ76 in the published order of rows, Walsh degree."""
    table = code >> ROWS & 1
    edges = sum(int((table != table[ROWS ^ 1 << i]).sum()) for i in range(BITS)) // 2
    return edges, lz76(first_bit_most_significant(table)), complexity(table).walsh_degree


def edges_of(codes: np.ndarray) -> np.ndarray:
    """Sensitive edges of many codes."""
    found = np.zeros(len(codes), np.int64)
    for i in range(BITS):
        low = sum(1 << int(row) for row in ROWS if not row >> i & 1)
        found += np.bitwise_count((codes ^ codes >> np.uint64(1 << i)) & np.uint64(low)).astype(np.int64)
    return found


def edge_counts(side) -> dict[int, int]:
    """How many runs or draws have each number of sensitive edges."""
    counts = np.bincount(edges_of(side.codes[:, 0]), weights=draws_of(side))
    return {edges: int(count) for edges, count in enumerate(counts) if count}


def chosen(target: str, size: int) -> np.ndarray:
    """Training inputs: the first of one random order per target, both labels among the first two."""
    table = targets_cached()[target]
    order = np.random.default_rng(list(targets_cached()).index(target)).permutation(32)
    other = next(k for k in range(1, 32) if table[order[k]] != table[order[0]])
    order[[1, other]] = order[[other, 1]]
    return np.sort(order[:size])


@cache
def targets_cached() -> dict[str, np.ndarray]:
    return targets()


def summary(codes: np.ndarray, counts: np.ndarray, table: np.ndarray, at: np.ndarray) -> dict:
    """Of one distribution: complexity and accuracy on the other inputs, mean and half-width of the 95 % interval."""
    total = counts.sum()
    rest = np.setdiff1d(ROWS, at)
    right = np.zeros(len(codes))
    for row in rest:
        right += (codes >> np.uint64(row) & np.uint64(1)).astype(int) == table[row]
    columns = {"edges": edges_of(codes).astype(float), "test_accuracy": right / len(rest)}
    found = {}
    for name, values in columns.items():
        mean = float(counts @ values / total)
        spread = math.sqrt(max(float(counts @ (values - mean) ** 2) / total, 0.0))
        found[name] = [mean, 1.96 * spread / math.sqrt(total)]
    drawn = np.random.default_rng(0).choice(len(codes), min(int(total), 1024), p=counts / total)
    for k, name in enumerate(COMPLEXITIES[1:], start=1):
        values = np.array([measures(int(codes[i]))[k] for i in drawn], float)
        found[name] = [float(values.mean()), 1.96 * float(values.std()) / math.sqrt(len(values))]
    exact = np.flatnonzero(codes == np.uint64(code_of(table)))
    return found | {"target_probability": float(counts[exact].sum() / total)}


def distances(reached, neutral) -> dict:
    """Over functions and over sensitive edges."""
    found = {}
    pairs = {
        "functions": (reached, neutral),
        "edges": tuple(edge_counts(side) for side in (reached, neutral)),
    }
    for name, sides in pairs.items():
        distance = distribution_distance(*sides, resamples=199)
        found[name] = {
            part: [getattr(distance, part).value, *(getattr(distance, part).stats[key] for key in KEYS)]
            for part in ("total_variation", "jensen_shannon")
        } | {"unseen": distance.unseen, "status": distance.status.value}
    return found


KEYS = ("low", "high", "counted", "null_mean", "null_high", "p")
"""What follows the value of a distance in the JSON."""


def together(reached, neutral) -> dict:
    """The most frequent functions of the runs: their mass in both, and the correlation of log probabilities."""
    places = {int(code): int(count) for code, count in zip(neutral.codes[:, 0], draws_of(neutral), strict=True)}
    mine = reached.counts / reached.samples
    theirs = np.array([places.get(int(code), 0) for code in reached.codes[:, 0]]) / neutral.effective
    often = (reached.counts >= 5) & (theirs * neutral.effective >= 5)
    logs = np.log2(mine[often]), np.log2(theirs[often])
    known = often.sum() >= 5 and min(np.ptp(logs[0]), np.ptp(logs[1])) > 0
    return {
        "top": [float(mine[0]), float(theirs[0])],
        "top_ten": [float(mine[:10].sum()), float(theirs[:10].sum())],
        "correlation_of_logs": float(np.corrcoef(*logs)[0, 1]) if known else None,
        "functions_in_correlation": int(often.sum()),
        "distinct": [reached.distinct, neutral.distinct],
    }


def cell(name: str, prior, other, target: str, size: int, given: argparse.Namespace) -> dict:
    network, rate = MAPS[name]
    table, at = targets_cached()[target], chosen(target, size)
    row = {"map": name, "target": target, "size": size, "runs": given.runs, "age": given.age}
    row |= {"target_complexity": dict(zip(COMPLEXITIES, measures(code_of(table)), strict=True))}
    most = Counter(table[at].tolist()).most_common()
    tie = len(most) == 2 and most[0][1] == most[1][1]
    rest = np.setdiff1d(ROWS, at)
    row["majority_accuracy"] = 0.5 if tie else float((table[rest] == most[0][0]).mean())
    try:
        neutral = posterior(name, prior, at, table)
    except TooFewSamplesError as error:
        return row | {"refused": str(error)}
    start = time.process_time()
    explorer = SGD(learning_rate=rate, batch_size=BATCH)
    problem = Problem(network, "bce", INPUTS[at], table[at])
    found = reached_functions(
        problem, explorer, INPUTS, given.runs, steps=STEPS, ages=given.age, seed=given.seed, progress=False
    )
    row["train_cpu_seconds"] = time.process_time() - start
    evidence = neutral.log_evidence
    row["log_evidence"] = [evidence.value, evidence.stats["low"], evidence.stats["high"]]
    row["effective_sample_size"] = neutral.effective
    row["fitted"] = found.fit.samples
    row["median_steps"] = float(np.median(found.fit.steps[found.fit.steps >= 0]))
    row["neutral"] = summary(neutral.codes[:, 0], draws_of(neutral), table, at)
    row["neutral"] |= {"effective": _effective(collision(draws_of(neutral)))}
    for moment, reached in (("fit", found.fit), ("age", found.at_age[given.age])):
        row[moment] = summary(reached.codes[:, 0], reached.counts, table, at) | {
            "effective": _effective(reached.collision)
        }
        row[moment] |= {"distance": distances(reached, neutral)} | together(reached, neutral)
    row["fit_to_age"] = distances(found.at_age[given.age], found.fit)
    row["control"] = control(name, neutral, other, at, table)
    row["cpu_seconds"] = time.process_time() - start
    return row


def control(name: str, neutral, other, at: np.ndarray, table: np.ndarray) -> dict | None:
    """The same distances between two neutral distributions, from draws of other seeds."""
    try:
        return distances(posterior(name, other, at, table), neutral)
    except TooFewSamplesError:
        return None


def posterior(name: str, prior, at: np.ndarray, table: np.ndarray):
    return function_posterior(MAPS[name][0], INPUTS[at], table[at], INPUTS, prior=prior, progress=False)


def draws_of(found) -> np.ndarray:
    """How many draws or runs gave each function."""
    return found.counts if hasattr(found, "counts") else np.rint(found.probabilities * found.effective).astype(int)


def _effective(same) -> list[float]:
    """The effective number of functions and its 95 % interval, from the collision probability."""
    number = effective_number(same)
    return [number.value, number.stats["low"], number.stats["high"]]


def table_of(rows: list[dict]) -> None:
    """Medians over the targets of each map and data size, and in how many cells the distributions differ."""
    print("total variation, medians over targets: value [low, high]; differ: p of the divergence ≤ .025, or low > 0")
    for name, size in itertools.product(MAPS, SIZES):
        every = [row for row in rows if row["map"] == name and row["size"] == size]
        done = [row for row in every if "refused" not in row]
        print(f"{name}, {size} data: {len(done)} cells, {len(every) - len(done)} refused")
        if not done:
            continue
        for moment, of in itertools.product(("fit", "age"), ("functions", "edges")):
            found = [row[moment]["distance"][of] for row in done]
            tv = np.array([one["total_variation"] for one in found])
            p = np.array([one["jensen_shannon"][6] for one in found])
            value, low, high = np.median(tv[:, :3], axis=0)
            differ = int(((p <= 0.025) | (tv[:, 1] > 0)).sum())
            ends = ", ".join(f"{end:.2f}" for end in clopper_pearson(differ, len(done)))
            print(f"  {moment}, {of}: {value:.3f} [{low:.3f}, {high:.3f}], {differ} of {len(done)} differ [{ends}]")
        for of in ("edges", "lz76", "walsh_degree", "test_accuracy"):
            means = np.array([[row[at][of][0] for at in ("neutral", "fit", "age")] for row in done])
            text = ", ".join(
                f"{at} − neutral {change.mean():+.3f} ± {1.96 * change.std(ddof=1) / math.sqrt(len(done)):.3f}"
                for at, change in (("fit", means[:, 1] - means[:, 0]), ("age", means[:, 2] - means[:, 0]))
                if len(done) > 1
            )
            print(f"  {of}: {', '.join(f'{mean:.3f}' for mean in means.mean(axis=0))}; {text}")
        print(f"  majority predictor: {np.mean([row['majority_accuracy'] for row in done]):.3f}")
    for of in ("functions", "edges"):
        p = [row["control"][of]["jensen_shannon"][6] for row in rows if row.get("control")]
        print(f"control, {of}: {sum(one <= 0.05 for one in p)} of {len(p)} pairs of neutral distributions have p ≤ .05")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=10_000_000, help="draws of the prior of each map")
    parser.add_argument("--runs", type=int, default=1024, help="runs of SGD in each cell")
    parser.add_argument("--age", type=int, default=300, help="steps after the first fit")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--maps", nargs="*", choices=MAPS, default=list(MAPS))
    parser.add_argument("--sizes", nargs="*", type=int, choices=SIZES, default=list(SIZES))
    parser.add_argument("--seconds", type=float, default=math.inf, help="no new cell after so many")
    parser.add_argument("--table", action="store_true", help="print the table of the JSON and end")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/sgd_against_neutral.json"))
    given = parser.parse_args()
    if given.table:
        table_of(json.loads(given.json.read_text())["cells"])
        return
    began = time.monotonic()
    setting = {"samples": given.samples, "runs": given.runs, "age": given.age, "seed": given.seed}
    setting |= {"batch": BATCH, "steps": STEPS, "learning_rates": {name: rate for name, (_, rate) in MAPS.items()}}
    found = json.loads(given.json.read_text()) if given.json.exists() else {"setting": setting, "maps": {}, "cells": []}
    if found["setting"] != setting:
        raise SystemExit(f"{given.json} was made with {found['setting']}; give the same options or another --json.")
    have = {(row["map"], row["target"], row["size"]) for row in found["cells"]}
    todo = [key for key in itertools.product(given.sizes, targets_cached(), given.maps) if key[::-1] not in have]
    priors = {}
    for name in dict.fromkeys(key[2] for key in todo):
        start = time.process_time()
        prior = function_prior(MAPS[name][0], INPUTS, given.samples, seed=given.seed)
        seconds = time.process_time() - start
        other = function_prior(MAPS[name][0], INPUTS, given.samples // 20, seed=given.seed + 1)
        priors[name] = prior, other
        found["maps"][name] = {
            "distinct": prior.distinct, "effective": _effective(prior.collision),
            "missing": [prior.missing.value, prior.missing.error], "cpu_seconds": seconds,
        }  # fmt: skip
        print(name, found["maps"][name], flush=True)
    for size, target, name in todo:
        if time.monotonic() - began > given.seconds:
            break
        found["cells"].append(cell(name, *priors[name], target, size, given))
        given.json.write_text(json.dumps(found, ensure_ascii=False, default=float) + "\n")
    table_of(found["cells"])


if __name__ == "__main__":
    main()
