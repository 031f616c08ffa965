"""What the factorial says: shares of each factor, the verdict on "second order", and which rivals are refuted.

    python benchmarks/factorial/judge.py    # after run.py; about twenty minutes of one thread

Writes `benchmarks/results/factorial.json`.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import sys
import tomllib
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = os.environ["NPROC"] = "1"
sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

from allroads import AttributionOptions, SecondOrder, attribute
from factorial.world import AGES, BITS, LOSSES, MAPS, OPTIMISERS, ROWS, SEEDS, SIZES, STEPS, TARGETS, training_rows

HERE = Path(__file__).parent
RESULT = HERE.parent / "results" / "factorial.json"
FACTORS = ("optimiser", "loss", "map", "target", "data")
OPTIONS = AttributionOptions(order=2, resamples=399)
Runs = dict[str, Any]


def gather(kept: Path) -> tuple[Runs, list[float]]:
    """All runs as columns, with truth tables ``bits`` of shape ``[runs, ages, 32]``, and the seconds of each group.

    Raises:
        SystemExit: If a cell is missing.
    """
    groups = list(itertools.product(OPTIMISERS, LOSSES, MAPS, SIZES))
    missing = [number for number in range(len(groups)) if not (kept / f"{number}.npz").exists()]
    if missing:
        raise SystemExit(f"{len(missing)} of {len(groups)} groups of cells are missing; run run.py first.")
    columns: dict[str, list[Any]] = {name: [] for name in FACTORS}
    codes, first, seconds = [], [], []
    for number, (optimiser, loss, map_name, size) in enumerate(groups):
        with np.load(kept / f"{number}.npz") as held:
            codes.append(held["codes"].reshape(-1, len(AGES)))
            first.append(held["first"].ravel())
            seconds.append(float(held["seconds"]))
        for target in TARGETS:
            for name, level in zip(FACTORS, (optimiser, loss, map_name, target, size), strict=True):
                columns[name] += [level] * SEEDS
    bits = (np.concatenate(codes)[..., None] >> np.arange(ROWS, dtype=np.uint32)) & 1
    return columns | {"bits": bits.astype(bool), "first": np.concatenate(first)}, seconds


def influence(bits: np.ndarray) -> np.ndarray:
    """Total influence of truth tables ``[…, 32]``: how many single bits change the answer, mean over rows."""
    rows = np.arange(ROWS)
    flips = [(bits != bits[..., rows ^ (1 << bit)]).mean(axis=-1) for bit in range(BITS)]
    return np.sum(flips, axis=0)


def errors(runs: Runs) -> np.ndarray:
    """Share of the rows that were not learned from and are answered wrongly, ``[runs, ages]``."""
    wrong = np.empty(runs["bits"].shape[:2])
    targets, sizes = np.array(runs["target"]), np.array(runs["data"])
    for target, size in itertools.product(TARGETS, SIZES):
        chosen = (targets == target) & (sizes == size)
        rows = np.setdiff1d(np.arange(ROWS), training_rows(target, size))
        wrong[chosen] = (runs["bits"][chosen][..., rows] != (TARGETS[target][rows] > 0)).mean(axis=-1)
    return wrong


def responses(runs: Runs) -> dict[str, tuple[int | None, np.ndarray]]:
    """Every response by name: its age, and its values."""
    complexity, wrong = influence(runs["bits"]), errors(runs)
    found: dict[str, tuple[int | None, np.ndarray]] = {
        "steps": (None, np.log2(1.0 + np.where(runs["first"] < 0, STEPS, runs["first"])))
    }
    for place, age in enumerate(AGES):
        found[f"complexity at {age}"] = age, complexity[:, place]
        found[f"error at {age}"] = age, wrong[:, place]
        found[f"function at {age}"] = age, runs["bits"][:, place]
    return found


def judge(runs: Runs, name: str, values: np.ndarray, criterion: SecondOrder) -> dict[str, Any]:
    """Shares of the factors and pairs, and the verdict, in all and within each level of each other factor."""
    table = {factor: runs[factor] for factor in FACTORS}
    response: Any = values
    if values.ndim == 1:
        table[name], response = values.tolist(), name
    shares = attribute(table, response, FACTORS, OPTIONS, progress=False)
    verdict = criterion.evaluate(table, response, FACTORS, OPTIONS, progress=False)
    rows = [
        {key: row[key] for key in ("term", "omega2", "omega2_low", "omega2_high", "p")}
        for row in shares.table.to_dicts()
    ]
    ratio = verdict.factor_share / verdict.reference_share
    print(
        f"{name:20} optimiser {verdict.factor_share:6.3f}   map {verdict.reference_share:6.3f}   ratio {ratio:7.2f}   "
        f"{verdict.verdict:10} [{verdict.low:+.4f}, {verdict.high:+.4f}]",
        flush=True,
    )
    return {
        "response": name,
        "verdict": verdict.verdict,
        "difference": verdict.value,
        "low": verdict.low,
        "high": verdict.high,
        "optimiser": verdict.factor_share,
        "map": verdict.reference_share,
        "within": verdict.table.to_dicts(),
        "shares": rows,
    }


def compare(values: np.ndarray, first: str, second: str) -> tuple[float, float, float]:
    """Mean difference of two optimisers over all cells, with its 95 % interval; runs within cells are independent."""
    cells = values.reshape(len(OPTIMISERS), -1, SEEDS)
    a, b = (cells[list(OPTIMISERS).index(name)] for name in (first, second))
    error = math.sqrt((a.var(axis=1, ddof=1) + b.var(axis=1, ddof=1)).sum() / SEEDS) / len(a)
    mean = float(a.mean() - b.mean())
    return mean, mean - 1.96 * error, mean + 1.96 * error


def rivals(runs: Runs, held: dict[str, Any], judged: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Each rival hypothesis with what the runs say of it: refuted, held or undecided."""
    rows = []
    for hypothesis in tomllib.loads((HERE / "hypotheses.toml").read_text())["hypothesis"]:
        row = {"name": hypothesis["name"], "says": hypothesis["says"]}
        if "compares" in hypothesis:
            values = held[f"{hypothesis['response']} at 0"][1]
            mean, low, high = compare(values, *hypothesis["compares"])
            margin = hypothesis["margin"]
            row |= {"difference": mean, "low": low, "high": high, "margin": margin}
            row["outcome"] = "refuted" if high < margin else "held" if low > margin else "undecided"
        elif "depth" in hypothesis["name"]:
            pairs = {
                name: (judged[f"{name} at 0"]["verdict"], judged[f"{name} at 500"]["verdict"])
                for name in ("complexity", "error", "function")
            }
            outcomes = {
                name: "undecided" if "undecided" in pair else "refuted" if pair[0] == pair[1] else "held"
                for name, pair in pairs.items()
            }
            row |= {"verdicts": pairs, "outcome": outcomes}
        elif "more data" in hypothesis["name"]:
            ratios = {}
            for name in ("complexity", "error", "function"):
                within = [r for r in judged[f"{name} at 0"]["within"] if r["factor"] == "data"]
                ratios[name] = {r["level"]: r["factor_share"] / r["reference_share"] for r in within}
            few, many = (str(size) for size in SIZES)
            row |= {"ratios": ratios}
            row["outcome"] = {name: "refuted" if of[many] > of[few] else "held" for name, of in ratios.items()}
        else:
            row["outcome"] = {
                name: {"yes": "held", "no": "refuted"}.get(found["verdict"], "undecided")
                for name, found in judged.items()
            }
        print(f"{row['name']:45} {row['outcome']}", flush=True)
        rows.append(row)
    return rows


def cell_means(runs: Runs, held: dict[str, Any]) -> list[dict[str, Any]]:
    """Means of the responses for each optimiser on each map, which is what a reader wants to see of the cells."""
    rows = []
    optimisers, maps = np.array(runs["optimiser"]), np.array(runs["map"])
    for optimiser, map_name in itertools.product(OPTIMISERS, MAPS):
        chosen = (optimisers == optimiser) & (maps == map_name)
        row: dict[str, Any] = {
            "optimiser": optimiser,
            "map": map_name,
            "fit": float((runs["first"][chosen] >= 0).mean()),
        }
        row |= {name: float(v[chosen].mean()) for name, (_, v) in held.items() if v.ndim == 1}
        rows.append(row)
    return rows


def main() -> None:
    """Gather, judge, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kept", type=Path, default=HERE / "work", help="folder of finished cells")
    parser.add_argument("--json", type=Path, default=RESULT, help="where the tables are written")
    given = parser.parse_args()
    runs, seconds = gather(given.kept)
    held = responses(runs)
    criterion = SecondOrder.read(HERE / "second_order.toml")
    print(f"{len(runs['first'])} runs, {np.mean(runs['first'] >= 0):.3f} fit, {sum(seconds):.0f} processor seconds")
    judged = {name: judge(runs, name, values, criterion) for name, (_, values) in held.items()}
    found = {
        "command": "python benchmarks/factorial/run.py; python benchmarks/factorial/judge.py",
        "runs": len(runs["first"]),
        "processor_seconds": sum(seconds),
        "fit": float(np.mean(runs["first"] >= 0)),
        "rates": json.loads((HERE / "rates.json").read_text()),
        "judged": list(judged.values()),
        "hypotheses": rivals(runs, held, judged),
        "means": cell_means(runs, held),
    }
    given.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
