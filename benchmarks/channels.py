"""The race, the funnel and the traps on trained networks.

    python benchmarks/channels.py

Race: Adam on half of the truth table of a function of four bits, which 256 functions fit. Steps to the first fit stand
against the complexity of the function that is reached. Funnel: the same runs beside draws of the prior with the same
training loss. Traps: two-layer linear networks, which wait at saddles whose learning coefficient is known.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from pathlib import Path

import jax
import numpy as np
from scipy.stats import t as student
from search_cost import inputs, network

from allroads import GD, Adam, Network, Problem, Recording, complexity, explore, funnel, race, traps
from allroads.points.zoo.two_layer_linear import reduced_rank_learning_coefficient
from allroads.studies.channels import first_fit, plateaus
from allroads.targets.rules import all_bits

BITS, TRAINED = 4, 8
MEASURES = ("circuit_size", "total_influence", "lz76", "walsh_l1")
SIZE, RANK = 6, 4


def chosen_rows(data: int) -> np.ndarray:
    return np.sort(np.random.default_rng(data).permutation(1 << BITS)[:TRAINED])


def labels_of(data: int, rows: np.ndarray) -> np.ndarray:
    """Balanced labels: of majority with one bit doubled, parity of two bits, and random functions."""
    bits = all_bits(BITS).astype(int)
    known = [bits @ [2, 1, 1, 1] > 2, bits[:, 0] ^ bits[:, 1], bits[:, 0] & bits[:, 1] | bits[:, 2] & bits[:, 3]]
    if data < len(known):
        return np.asarray(known[data]).astype(int)[rows]
    return np.random.default_rng(100 + data).permutation(np.arange(TRAINED) % 2)


def trained(data: int, members: int, steps: int):
    rows = chosen_rows(data)
    problem = Problem(network(BITS), "bce", inputs(BITS)[rows], labels_of(data, rows))
    record = Recording(records=192, checkpoints=2)
    runs = explore(
        problem, Adam(learning_rate=0.02), members, steps=steps, record=record, probes=inputs(BITS), seed=data
    )
    return problem, runs


def races(sets: int, members: int, steps: int) -> tuple[list[dict], list[tuple]]:
    times, labels, fitted, codes, kept = [], [], [], [], []
    for data in range(sets):
        problem, runs = trained(data, members, steps)
        fit = first_fit(runs, problem)
        kept.append((problem, runs))
        times += fit.steps.tolist()
        labels += [data] * members
        fitted += fit.fitted.tolist()
        codes += fit.codes()
    rows = []
    found_of = {code: complexity(code) for code in set(codes)}
    for measure in MEASURES:
        values = [float(getattr(found_of[code], measure)) for code in codes]
        found = race(times, values, fitted=fitted, data=labels)
        rows.append({
            "measure": measure, "data_sets": sets, "members": members, "rho": found.value, "low": found.stats["low"],
            "high": found.stats["high"], "p": found.stats["p"], "left_out": found.stats["left_out"],
            "functions": len(found_of),
        })  # fmt: skip
        print(rows[-1], flush=True)
    return rows, kept


def funnels(kept: list[tuple], draws: int, edges: list[float]) -> list[dict]:
    net = network(BITS)
    params = jax.vmap(net.init)(jax.random.split(jax.random.key(7), draws))
    values = np.asarray(jax.jit(jax.vmap(net.apply, in_axes=(0, None)))(params, inputs(BITS)))
    rows = []
    for data, (problem, runs) in enumerate(kept):
        signs = 2 * problem.labels.reshape(-1) - 1
        losses = np.logaddexp(0, -signs * values[:, chosen_rows(data), 0]).mean(axis=1)
        for chart in ("outputs", "probabilities"):
            ours, theirs = (runs, (values, losses)) if chart == "outputs" else _probabilities(runs, values, losses)
            found = funnel(ours, theirs, "bce" if chart == "outputs" else "mse", edges=edges)
            for b, (one, other, ratio) in enumerate(zip(found.runs, found.neutral, found.ratios, strict=True)):
                if ratio is None:
                    continue
                rows.append({
                    "data": data, "chart": chart, "loss": [edges[b], edges[b + 1]], "log2_ratio": ratio.value,
                    "error": ratio.error, "members": [one.members, other.members],
                    "disagreement": [[p.disagreement.value, p.disagreement.error] for p in (one, other)],
                    "dimension": [[p.dimension.value, *p.dimension.stats.values()] for p in (one, other)],
                })  # fmt: skip
                print(rows[-1], flush=True)
    return rows


def _probabilities(runs, values, losses):
    """The same ensembles with probabilities of the answer 1 in place of logits."""
    return dataclasses.replace(runs, values=1 / (1 + np.exp(-runs.values))), (1 / (1 + np.exp(-values)), losses)


def over_data(rows: list[dict]) -> list[dict]:
    """Means over data sets of each bin and chart, with the 95 % interval of Student's t over data sets."""
    found = []
    keys = sorted({(row["chart"], *row["loss"]) for row in rows})
    for chart, *bin_ in keys:
        mine = [row for row in rows if row["chart"] == chart and row["loss"] == bin_]
        columns = {
            "log2_ratio": [row["log2_ratio"] for row in mine],
            "disagreement": [row["disagreement"][0][0] - row["disagreement"][1][0] for row in mine],
            "log2_dimension": [np.log2(row["dimension"][0][0] / row["dimension"][1][0]) for row in mine],
        }
        if len(mine) < 3:
            continue
        means = {name: [float(np.mean(c)), half_width(np.array(c))] for name, c in columns.items()}
        found.append({"chart": chart, "loss": bin_, "data_sets": len(mine), **means})
        print(found[-1], flush=True)
    return found


def half_width(values: np.ndarray) -> float:
    count = len(values)
    return float(student.ppf(0.975, count - 1) * values.std(ddof=1) / np.sqrt(count))


def linear_traps(runs: int, steps: int) -> dict:
    """Square two-layer linear networks of small start on maps of rank 4; the plateau of rank k has Aoyagi's λ."""
    held, coefficients, labels, ended = [], [], [], []
    shape = (SIZE, SIZE)
    small = Network(
        lambda key: [1e-5 * jax.random.normal(k, shape) for k in jax.random.split(key)],
        lambda p, x: x @ p[0] @ p[1],
        name="two layers",
    )
    known = [reduced_rank_learning_coefficient((SIZE,) * 3, rank)[0] for rank in range(RANK + 1)]
    for run in range(runs):
        rng = np.random.default_rng(run)
        u, v = (np.linalg.qr(rng.normal(size=shape))[0] for _ in range(2))
        strengths = 1 / np.cumsum(rng.uniform(0.25, 1, RANK))  # gaps of 1/s decide how long each plateau lasts
        target = (u[:, :RANK] * strengths) @ v[:, :RANK].T
        problem = Problem(small, "mse", np.eye(SIZE), target)
        record = Recording(records=steps + 1, checkpoints=2)
        found = explore(problem, GD(learning_rate=2.0), 1, steps=steps, seed=run, record=record)
        loss = found.curves["train_loss"][0]
        # The rank of a plateau is that whose loss is nearest.
        levels = np.array([(strengths[k:] ** 2).sum() for k in range(RANK + 1)]) / SIZE**2
        for one in plateaus(found.steps[::8], loss[::8], width=0.005):
            held.append(one.residence)
            coefficients.append(known[int(np.abs(levels - one.loss).argmin())])
            labels.append(run)
            ended.append(one.ended)
    found = traps(held, coefficients, labels, ended=ended)
    row = {"runs": runs, "rho": found.value, "lambda": known, **found.stats}
    print(row, flush=True)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=12)
    parser.add_argument("--members", type=int, default=128)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--draws", type=int, default=50_000)
    parser.add_argument("--runs", type=int, default=64)
    parser.add_argument("--json", type=Path, default=Path(__file__).parent / "results" / "channels.json")
    given = parser.parse_args()
    start = time.process_time()
    race_rows, kept = races(given.sets, given.members, given.steps)
    edges = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]
    found = {
        "race": race_rows, "funnel": (rows := funnels(kept, given.draws, edges)), "funnel_over_data": over_data(rows),
        "traps": linear_traps(given.runs, 2500),
        "settings": {name: value for name, value in vars(given).items() if name != "json"},
        "cpu_seconds": round(time.process_time() - start, 1),
    }  # fmt: skip
    given.json.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()
