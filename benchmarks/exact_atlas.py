"""What lies next to a program: exactly on maps that are enumerated, and by draws beside what is exact.

The enumerated world is a network n-2-1 with weights and biases −1, 0 and 1, steps ±1 as activation, and one bit as
output; a move changes one weight. Parts:

- `exact`: sizes, robustness, evolvability, adjacent pairs and the adjacent share by Hamming distance for n = 2 and 3.
- `navigability`: ψ beside its two nulls.
- `random`: peaks and adaptive basins of random landscapes beside the closed forms.
- `perceptron`: the counts of a theorem.
- `coverage`: how often the 95 % intervals of neighbour shares by draws hold the exact shares, over 200 seeds,
  and how often the test of detailed balance refuses what is balanced.
- `simplicity`: whether frequency is explained by robustness, and shares against the bound 2^(−aK(q|p) − b) with edit
  distances of shortest formulas as K(q|p). An output negation is one edit.
- `network`: a network 3-8-1 with normal weights under moves of all weights at once.

    python benchmarks/exact_atlas.py    # some ten minutes; resumable: parts that are in the JSON are not made again
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import jax.numpy as jnp
import numpy as np
from scipy.stats import spearmanr

from allroads import Network, enumerate_map, exact_neighbour_share, navigability, neighbour_share
from allroads.atlases.landscapes import adaptive_basins, grid_of, peaks, random_basin, random_peaks
from allroads.atlases.neighbours import EnumeratedMap, Neighbours, neutral_components
from allroads.distributions import clopper_pearson, clustered_interval
from allroads.networks.mlp import mlp
from allroads.programs.boolean.edit_distance import edit_distance
from allroads.programs.boolean.exact import exact_formula, exact_sizes

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "points"))

from ternary import cube, one_weight, ternary

RESULT = Path(__file__).parent / "results" / "exact_atlas.json"
SEEDS = 200
DESIGNS = ((500, 1), (500, 8), (5000, 1), (5000, 8))
"""Starts and moves per start."""
BINS = (0.0, 1.0, 5.0, 30.0, np.inf)
"""Expected numbers of moves between which pairs are put together."""
NAMED = {"majority": lambda x: x.sum(1) > 1, "x0 and x1 and x2": lambda x: x.all(1), "parity": lambda x: x.sum(1) % 2}


def world(bits: int) -> EnumeratedMap:
    return enumerate_map(ternary(bits), (-1, 0, 1), cube(bits), progress=False)


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    began = time.process_time()
    found = call()
    return found, round(time.process_time() - began, 2)


def tables(programs: Any) -> np.ndarray:
    return np.array([[int(bit) for bit in program] for program in programs])


def by_distance(found: Neighbours) -> list[list[float]]:
    """Hamming distance, the share of ordered pairs that are adjacent, and the mean share φ of all such pairs."""
    rows = tables(found.programs)
    apart = (rows[:, None] != rows).sum(-1)
    shares = found.matrix()
    kept = found.tried > 0
    return [
        [
            d,
            *(
                round(float(part), 6)
                for part in ((shares[kept] > 0)[apart[kept] == d].mean(), shares[kept][apart[kept] == d].mean())
            ),
        ]
        for d in range(1, rows.shape[1] + 1)
    ]


def exact() -> dict[str, Any]:
    report = {}
    for bits in (2, 3):
        grid, enumerating = timed(lambda bits=bits: world(bits))
        found, counting = timed(lambda grid=grid: exact_neighbour_share(grid))
        parts = neutral_components(grid)
        rows = np.arange(1 << bits)[:, None] >> np.arange(bits) & 1
        named = {
            name: dict(zip(grid.programs, grid.counts.tolist(), strict=True)).get(
                "".join(map(str, rule(rows).astype(int).tolist())), 0
            )
            for name, rule in NAMED.items()
            if bits == 3
        }
        flow = found.matrix("boundary")
        report[str(bits)] = {
            "points": len(grid.labels),
            "programs": len(grid.programs),
            "sizes": sorted(grid.counts.tolist(), reverse=True)[:6],
            "smallest": int(grid.counts.min()),
            "named": named,
            "mean_robustness": found.value,
            "null": found.null.value,
            "robustness": [float(found.robustness.min()), float(found.robustness.max())],
            "correlation_robustness_log_frequency": found.robustness_by_frequency.value,
            "spearman_robustness_evolvability": found.robustness_by_evolvability.value,
            "evolvability": [int(found.evolvability.min()), int(found.evolvability.max())],
            "adjacent_ordered_pairs": int((found.source != found.target).sum()),
            "ordered_pairs": len(grid.programs) * (len(grid.programs) - 1),
            "largest_asymmetry": float(np.abs(flow - flow.T).max()),
            "by_hamming_distance": by_distance(found),
            "neutral_components": len(parts.sizes),
            "programs_in_one_component": int((parts.per_program() == 1).sum()),
            "most_components": int(parts.per_program().max()),
            "seconds": {"enumerate": enumerating, "shares": counting},
        }
    return report


def navigable() -> dict[str, Any]:
    report = {}
    for bits in (2, 3):
        found, seconds = timed(
            lambda bits=bits: navigability(world(bits), 690, null_draws=64, shuffles=8, progress=False)
        )
        parts = {
            "psi": found.navigability,
            "by_programs": found.by_programs,
            "random": found.random,
            "shuffled": found.shuffled,
        }
        report[str(bits)] = {name: [part.value, part.error] for name, part in parts.items()} | {
            "draws": found.stats["targets"],
            "least_share": float(found.shares.min()),
            "seconds": seconds,
        }
    return report


def random_landscapes() -> list[dict[str, Any]]:
    report = []
    generator = np.random.default_rng(0)
    for size, length, landscapes, tops in (
        (2, 8, 400, 60), (2, 10, 200, 60), (2, 12, 100, 60), (2, 14, 40, 40), (2, 16, 16, 20), (3, 6, 100, 50),
        (3, 8, 40, 40), (4, 4, 200, 50), (4, 6, 60, 40), (4, 8, 16, 20),
    ):  # fmt: skip
        cells = enumerate_map(lambda x: np.arange(len(x)), range(size), coordinates=length, batch=2**24, progress=False)
        graph, counts, basins = grid_of(cells), [], []
        for _ in range(landscapes):
            fitness = generator.random(size**length)
            found = peaks(graph, fitness)
            counts.append(len(found))
            basins.append(adaptive_basins(graph, fitness, generator.permutation(found)[:tops]).mean())
        error = 1.96 / landscapes**0.5
        report.append(
            {
                "values": size, "coordinates": length, "landscapes": landscapes,
                "peaks": [float(np.mean(counts)), error * float(np.std(counts, ddof=1))],
                "peaks_expected": random_peaks(size, length),
                "basin": [float(np.mean(basins)), error * float(np.std(basins, ddof=1))],
                "basin_limit": random_basin(size),
            }
        )  # fmt: skip
    return report


def perceptron() -> dict[str, Any]:
    report = {}
    for bits in (2, 3, 4):
        inputs = (np.arange(1 << bits)[:, None] >> np.arange(bits) & 1).astype(float)
        unit = Network(lambda key, bits=bits: jnp.zeros(bits), lambda w, x: x @ w)
        values = [(-(4.0**d), -(2 * 4.0**d), 4.0**d, 2 * 4.0**d) for d in range(bits)]
        grid = enumerate_map(unit, values, inputs, progress=False)
        ones = [program.count("1") for program in grid.programs]
        report[str(bits)] = np.bincount(ones, grid.counts, minlength=len(inputs) + 1).astype(int).tolist()
    return report


def coverage() -> dict[str, Any]:
    grid = world(2)
    exact = exact_neighbour_share(grid)
    truth, flow = exact.matrix(), exact.matrix("boundary")
    report = {}
    for starts, moves in DESIGNS:
        held = {name: np.zeros((len(BINS) - 1, 2)) for name in ("share", "as_independent", "boundary")}
        each, mean, null, balance, seconds = np.zeros((16, 16, 2)), 0, 0, [], 0.0
        for seed in range(SEEDS):
            found, took = timed(
                lambda seed=seed, starts=starts, moves=moves: neighbour_share(
                    ternary_two(), starts, cube(2), move=one_weight, moves=moves, seed=seed, progress=False
                )
            )
            seconds += took
            place = np.array([grid.programs.index(program) for program in found.programs])
            low, high = np.zeros((16, 16)), np.ones((16, 16))
            below, above = np.zeros((16, 16)), np.full((16, 16), clopper_pearson(0, starts)[1])
            free_low, free_high = np.zeros((16, 16)), np.ones((16, 16))
            for own, count in zip(place, found.starts, strict=True):
                if count:
                    high[own], free_high[own] = clopper_pearson(0, count)[1], clopper_pearson(0, count * moves)[1]
            at = place[found.source], place[found.target]
            low[at], high[at], below[at], above[at] = found.low, found.high, found.flow_low, found.flow_high
            hits = np.rint(found.share * found.tried[found.source])
            free_low[at], free_high[at] = clustered_interval(hits, hits, found.tried[found.source], 1)
            tried = np.zeros(16)
            tried[place] = found.tried
            known = (tried > 0)[:, None] & (truth > 0)
            expected = (grid.frequency * starts * moves)[:, None] * truth
            inside = {
                "share": (low <= truth) & (truth <= high),
                "as_independent": (free_low <= truth) & (truth <= free_high),
                "boundary": (below <= flow) & (flow <= above),
            }
            for name, holds in inside.items():
                for place_of, (least, most) in enumerate(itertools.pairwise(BINS)):
                    chosen = known & (least <= expected) & (expected < most)
                    held[name][place_of] += holds[chosen].sum(), chosen.sum()
            each[known] += np.stack([inside["share"], np.ones((16, 16))], axis=-1)[known]
            mean += abs(found.value - exact.value) <= found.error
            null += found.null.stats["low"] <= exact.null.value <= found.null.stats["high"]
            balance.append(found.balance.value)
        often = (grid.frequency * starts * moves)[:, None] * truth >= 5
        report[f"{starts} x {moves}"] = {
            "by_expected_moves": {
                f"{least:g} to {most:g}": {
                    name: [round(float(part[place_of, 0] / part[place_of, 1]), 4), int(part[place_of, 1])]
                    for name, part in held.items()
                }
                for place_of, (least, most) in enumerate(itertools.pairwise(BINS))
                if held["share"][place_of, 1]
            },
            "least_of_a_pair_with_5_moves": round(float((each[..., 0] / np.maximum(each[..., 1], 1))[often].min()), 4),
            "mean_robustness": mean / SEEDS,
            "null": null / SEEDS,
            "balance_refused_at_5_percent": float(np.mean(np.array(balance) <= 0.05)),
            "seconds_per_call": round(seconds / SEEDS, 3),
        }
    return report


_TWO = ternary(2)


def ternary_two() -> Network:
    """One object, so that it is compiled once."""
    return _TWO


def fit(y: np.ndarray, *columns: np.ndarray) -> float:
    """R² of a linear regression."""
    x = np.stack([np.ones_like(y), *columns], axis=1)
    rest = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    return float(1 - rest @ rest / ((y - y.mean()) ** 2).sum())


def nodes_of(node: Any) -> int:
    """Gates, negations, variables and constants of a formula."""
    return 1 + sum(map(nodes_of, node.args))


def simplicity() -> dict[str, Any]:
    grid = world(3)
    found = exact_neighbour_share(grid)
    numbers = [sum(int(bit) << row for row, bit in enumerate(program)) for program in grid.programs]
    formulas = [exact_formula(number, 3) for number in numbers]
    gates = exact_sizes(3)[numbers].astype(float)
    log_f, rho = np.log2(grid.frequency), found.robustness
    size = len(numbers)
    edits = np.array(
        [[edit_distance(p, q) if i < j else 0 for j, q in enumerate(formulas)] for i, p in enumerate(formulas)]
    )
    edits = edits + edits.T
    nodes = np.array([nodes_of(formula) for formula in formulas])
    # of an edit script that turns p into q, insertions and half of the renamings: what q adds to p
    inserted = (edits + nodes - nodes[:, None]) / 2
    rows = tables(grid.programs)
    hamming = (rows[:, None] != rows).sum(-1)
    off = ~np.eye(size, dtype=bool)
    share = found.matrix()
    log_share = np.log2(np.where(share > 0, share, np.nan))
    target = np.broadcast_to(log_f, (size, size))
    report: dict[str, Any] = {
        "r2_log_frequency": {
            "robustness": fit(log_f, rho),
            "gates": fit(log_f, gates),
            "robustness and gates": fit(log_f, rho, gates),
        },
        "spearman": {
            "frequency, gates": float(spearmanr(log_f, gates).statistic),
            "robustness, gates": float(spearmanr(rho, gates).statistic),
            "frequency, robustness": float(spearmanr(log_f, rho).statistic),
        },
        "bound": {},
    }
    seen = off & (share > 0)
    own = log_share[seen]
    report["r2_log_share"] = {"log frequency of the target": fit(own, target[seen])}
    for name, distance in (
        ("edits", edits),
        ("insertions", inserted),
        ("hamming", hamming),
        ("gates of the target", np.tile(gates, (size, 1))),
    ):
        steps = np.unique(distance[off])
        tops = {
            round(float(step), 1): float(np.nanmax(log_share[off & (distance == step)]))
            for step in steps
            if (seen & (distance == step)).any()
        }
        where, top = np.array(list(tops)), np.array(list(tops.values()))
        slope, height = np.polyfit(where, top, 1)
        line = max(top - slope * where)  # the line of that slope above all
        report["bound"][name] = {
            "largest_log2_share_by_distance": {step: round(value, 3) for step, value in tops.items()},
            "a": -float(slope), "b": -float(line), "b_of_the_fit": -float(height),
            "bits_below_the_bound": np.quantile(line + slope * distance[seen] - own, (0.1, 0.5, 0.9)).round(2).tolist(),
            "spearman_share": float(spearmanr(distance[off], share[off]).statistic),
            "r2_log_share_with_frequency": fit(own, target[seen], distance[seen].astype(float)),
        }  # fmt: skip
    return report


def network() -> dict[str, Any]:
    net = mlp((3,), 1, widths=(8,), init="lecun", bias="normal")
    report = {}
    for move, sigma in (("additive", 0.1), ("additive", 0.3), ("reversible", 0.1), ("reversible", 0.3)):
        found, seconds = timed(
            lambda move=move, sigma=sigma: neighbour_share(
                net, 200_000, cube(3), sigma, move=move, moves=4, progress=False
            )
        )
        report[f"{move} {sigma}"] = {
            "programs": len(found.programs),
            "mean_robustness": [found.value, found.error],
            "null": [found.null.value, found.null.error],
            "correlation_robustness_log_frequency": found.robustness_by_frequency.value,
            "pairs_seen": int((found.source != found.target).sum()),
            "balance": found.balance.value,
            "status": found.status.value,
            "by_hamming_distance": by_distance(found),
            "seconds": seconds,
        }
    return report


PARTS: dict[str, Callable[[], Any]] = {
    "exact": exact,
    "navigability": navigable,
    "random": random_landscapes,
    "perceptron": perceptron,
    "coverage": coverage,
    "simplicity": simplicity,
    "network": network,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fresh", action="store_true", help="make every part again")
    parser.add_argument("parts", nargs="*", help="some parts alone: " + ", ".join(PARTS))
    given = parser.parse_args()
    report = json.loads(RESULT.read_text()) if RESULT.exists() and not given.fresh else {}
    report["command"] = "python benchmarks/exact_atlas.py"
    for name in given.parts or PARTS:
        if name not in report or given.parts:
            began = time.monotonic()
            report[name] = PARTS[name]()
            RESULT.write_text(json.dumps(report, indent=1) + "\n")
            print(f"-- {name}, {time.monotonic() - began:.0f} s")
            print(json.dumps(report[name], indent=1), flush=True)


if __name__ == "__main__":
    main()
