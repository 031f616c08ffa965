"""Calibration of `allroads.attribute` on simulated tables whose truth is known.

Coverage of the 95 % intervals of ω², partial ω², Sobol indices and Shapley shares; false positives of the nulls;
verdicts of the second-order criterion at its boundary; and the bias of information under four corrections.

    python benchmarks/attribution.py    # about four minutes of one thread
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from allroads import AttributionOptions, SecondOrder, attribute
from allroads.studies.attribution.design import Design
from allroads.studies.attribution.information import information, subsets, unseen
from allroads.studies.attribution.label_null import permuted_information
from allroads.studies.attribution.label_world import label_world
from allroads.studies.attribution.shapley import shapley

RESULT = Path(__file__).parent / "results" / "attribution.json"
OPTIONS = AttributionOptions(resamples=399)
NAMES = "abc"
PARTS = ("numbers", "labels", "criterion", "bias")
TILTS = ((0.0, 0.0, 0.0), (0.8, 0.5, 0.4), (2.5, 1.5, 1.0))


def runs_of(shape: tuple[int, ...], seeds: int) -> dict[str, np.ndarray]:
    """The columns of the factors, runs of a cell together."""
    cells = np.indices(shape).reshape(len(shape), -1).repeat(seeds, axis=1)
    return dict(zip(NAMES, cells, strict=False))


# --- numbers


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.normal(size=shape)


def skewed(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.exponential(size=shape) - 1


def unequal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Cells whose standard deviations go from 1/2 to 3/2, with mean square 1."""
    scale = np.linspace(0.5, 1.5, math.prod(shape[:-1])).reshape(*shape[:-1], 1)
    return rng.normal(size=shape) * scale / np.sqrt((scale**2).mean())


def planted(shape: tuple[int, ...], sizes: dict[str, float]) -> np.ndarray:
    """Cell means whose terms have these variances; all other terms have none."""
    design = Design(shape, 2, len(shape))
    directions = np.random.default_rng(5).normal(size=shape)
    means = np.zeros(shape)
    for term, effects in zip(design.terms, design.effects(directions[None, ..., None]), strict=True):
        held = np.broadcast_to(effects[0, ..., 0], shape)
        size = sizes.get(" × ".join(NAMES[axis] for axis in term), 0.0)
        means = means + held * math.sqrt(size / (held**2).mean())
    return means


NUMBERS: tuple[tuple[str, tuple[int, ...], int, Callable[..., np.ndarray], dict[str, float]], ...] = (
    ("normal, 3 × 4 cells of 8", (3, 4), 8, normal, {"a": 0.3, "a × b": 0.1}),
    ("normal, 2 × 2 cells of 5", (2, 2), 5, normal, {"a": 0.5}),
    ("normal, 2 × 3 × 4 cells of 5", (2, 3, 4), 5, normal, {"a": 0.05, "b": 0.5, "b × c": 0.2}),
    ("exponential, 3 × 4 cells of 16", (3, 4), 16, skewed, {"a": 0.3, "a × b": 0.1}),
    ("unequal variances, 3 × 4 cells of 8", (3, 4), 8, unequal, {"a": 0.3, "a × b": 0.1}),
    ("nothing, 3 × 4 cells of 8", (3, 4), 8, normal, {}),
)


def number_coverage(case: Any, tables: int) -> dict[str, Any]:
    name, shape, seeds, noise, sizes = case
    means = planted(shape, sizes)
    total, between = 1 + sum(sizes.values()), sum(sizes.values())
    design = Design(shape, seeds, len(shape))
    inside: dict[str, list[bool]] = {}
    false: dict[str, list[bool]] = {"p": [], "p_any": []}
    for index in range(tables):
        rng = np.random.default_rng([1, index])
        y = means[..., None] + noise(rng, (*shape, seeds))
        found = attribute(runs_of(shape, seeds) | {"y": y.ravel()}, "y", list(NAMES[: len(shape)]), OPTIONS, seed=index)
        for term, factors in zip(found.terms, design.terms, strict=True):
            row, size = found.row(term), sizes.get(term, 0.0)
            truths = {
                "omega2": size / total,
                "partial_omega2": size / (size + 1),
            }
            if between:
                truths["sobol"] = size / between
                inside_total = sum(v for t, v in sizes.items() if set(NAMES[a] for a in factors) <= set(t.split(" × ")))
                if len(factors) == 1:
                    truths["sobol_total"] = inside_total / between
                    if not inside_total:
                        false["p_any"].append(row["p_any"] <= 0.05)
            elif len(factors) == 1:
                false["p_any"].append(row["p_any"] <= 0.05)
            if not size:
                false["p"].append(row["p"] <= 0.05)
            for quantity, truth in truths.items():
                if not np.isnan(row[quantity]):
                    held = row[f"{quantity}_low"] - 1e-9 <= truth <= row[f"{quantity}_high"] + 1e-9
                    inside.setdefault(f"{quantity} of {'zero' if not truth or not size else 'some'}", []).append(held)
    return {
        "case": name,
        "tables": tables,
        "coverage": {key: round(float(np.mean(held)), 4) for key, held in sorted(inside.items())},
        "false_positives": {key: round(float(np.mean(held)), 4) for key, held in false.items() if held},
    }


# --- labels


def zipf(labels: int) -> np.ndarray:
    share: np.ndarray = 1 / np.arange(1, labels + 1)
    return share / share.sum()


def tilted(shape: tuple[int, ...], labels: int, sizes: tuple[float, ...]) -> np.ndarray:
    """Distributions of labels in which the factors and their interaction tilt a common one."""
    rng = np.random.default_rng(7)
    logits = np.log(zipf(labels)) + np.zeros((*shape, labels))
    for axis, size in enumerate(sizes[:-1]):
        own = [shape[axis] if other == axis else 1 for other in range(len(shape))]
        logits = logits + size * rng.normal(size=(*own, labels))
    logits = logits + sizes[-1] * rng.normal(size=logits.shape)
    shares: np.ndarray = np.exp(logits)
    return shares / shares.sum(axis=-1, keepdims=True)


LABELS: tuple[tuple[str, tuple[int, ...], int, int, tuple[float, ...]], ...] = (
    ("4 labels, one factor, 16 seeds", (3, 4), 16, 4, (0.8, 0.0, 0.0)),
    ("4 labels, two factors, 16 seeds", (3, 4), 16, 4, (0.8, 0.5, 0.4)),
    ("20 labels, two factors, 32 seeds", (3, 4), 32, 20, (0.8, 0.5, 0.4)),
    ("20 labels, nearly decided, 16 seeds", (3, 4), 16, 20, (2.5, 1.5, 1.0)),
    ("100 labels, two factors, 64 seeds", (3, 4), 64, 100, (1.2, 0.8, 0.5)),
    ("8 labels, nothing, 16 seeds", (3, 4), 16, 8, (0.0, 0.0, 0.0)),
)


def label_coverage(case: Any, tables: int) -> dict[str, Any]:
    name, shape, seeds, labels, sizes = case
    shares = tilted(shape, labels, sizes)
    truth = information(shares[None])[0]
    phi = shapley(truth[None], 2)[0]
    inside: dict[str, list[bool]] = {}
    false: list[bool] = []
    statuses: dict[str, int] = {}
    for index in range(tables):
        rng = np.random.default_rng([2, index])
        counts = rng.multinomial(seeds, shares).reshape(-1, labels)
        codes = np.concatenate([np.repeat(np.arange(labels), row) for row in counts])
        found = attribute(runs_of(shape, seeds) | {"f": codes}, "f", ["a", "b"], OPTIONS, kind="labels", seed=index)
        statuses[found.status.value] = statuses.get(found.status.value, 0) + 1
        pairs = {"total bits": (truth[-1], found.stats["value_low"], found.stats["value_high"])}
        for place, factor in enumerate("ab"):
            row = found.row(factor)
            some = "some" if sizes[place] else "zero"
            pairs[f"bits of {some} {factor}"] = (phi[place], row["shapley_low"], row["shapley_high"])
            if not np.isnan(row["share"]) and truth[-1] > 1e-9:
                pairs[f"share of {some} {factor}"] = (phi[place] / truth[-1], row["share_low"], row["share_high"])
            if not sizes[place] and not sizes[-1]:
                false.append(row["p_any"] <= 0.05)
        for key, (value, low, high) in pairs.items():
            inside.setdefault(key, []).append(low - 1e-9 <= value <= high + 1e-9)
    return {
        "case": name,
        "tables": tables,
        "bits": round(float(truth[-1]), 4),
        "shares": [round(float(part / truth[-1]), 4) if truth[-1] > 1e-9 else None for part in phi],
        "coverage": {key: round(float(np.mean(held)), 4) for key, held in sorted(inside.items())},
        "false_positives": {"p_any": round(float(np.mean(false)), 4)} if false else {},
        "statuses": statuses,
    }


# --- the bias of counted information


def naive(counts: np.ndarray) -> float:
    """What Miller and Madow's correction of all entropies adds to information counted from ``[*shape, labels]``."""
    labels = {}
    for chosen in subsets(counts.ndim - 1):
        others = tuple(axis for axis in range(counts.ndim - 1) if axis not in chosen)
        labels[chosen] = ((counts.sum(axis=others) > 0).sum(axis=-1) - 1).sum()
    every = tuple(range(counts.ndim - 1))
    return float((labels[()] - labels[every]) / (2 * counts.sum() * math.log(2)))


def bias_row(labels: int, seeds: int, sizes: tuple[float, ...], tables: int) -> dict[str, Any]:
    """Mean error in bits of the total of 3 × 4 cells under each correction."""
    shape = (3, 4)
    shares = tilted(shape, labels, sizes)
    truth = float(information(shares[None])[0, -1])
    errors: dict[str, list[float]] = {"none": [], "Miller–Madow": [], "permutation": [], "shrunken bootstrap": []}
    new = []
    for index in range(tables):
        rng = np.random.default_rng([3, index])
        counts = rng.multinomial(seeds, shares)
        codes = np.stack([np.repeat(np.arange(labels), row) for row in counts.reshape(-1, labels)]).reshape(3, 4, seeds)
        plain = float(information(counts[None] / seeds)[0, -1])
        errors["none"].append(plain - truth)
        errors["Miller–Madow"].append(plain + naive(counts) - truth)
        errors["permutation"].append(plain - permuted_information(codes, labels, None, 50, rng).mean() - truth)
        world = label_world(counts, Design(shape, seeds, 2), 100, rng)
        errors["shrunken bootstrap"].append(float(world.corrected[-1]) - truth)
        new.append(unseen(counts.reshape(-1, labels)))
    means = {key: round(float(np.mean(held)), 4) for key, held in errors.items()}
    spread = round(float(np.std(errors["shrunken bootstrap"])), 4)
    found = {"labels": labels, "seeds": seeds, "tilt": list(sizes), "bits": round(truth, 4)}
    return found | {"unseen": round(float(np.mean(new)), 3), "mean_error": means, "spread": spread}


# --- the criterion


def verdicts(ratio: float, tables: int, cell: tuple[tuple[int, ...], int] = ((3, 4, 2), 8)) -> dict[str, Any]:
    """Verdicts where the optimiser's ω² is a multiple of a tenth of the map's; at 1 both answers are wrong."""
    shape, seeds = cell
    criterion = SecondOrder(factor="a", reference="b", ratio=0.1)
    means = planted(shape, {"a": 0.03 * ratio, "a × c": 0.02 * ratio, "b": 0.5})
    counts = {"yes": 0, "no": 0, "undecided": 0}
    for index in range(tables):
        rng = np.random.default_rng([4, index])
        y = means[..., None] + rng.normal(size=(*shape, seeds))
        table = runs_of(shape, seeds) | {"y": y.ravel()}
        found = criterion.evaluate(table, "y", ["a", "b", "c"], OPTIONS, within=False, seed=index)
        counts[found.verdict] += 1
    return {"multiple": ratio, "runs": math.prod(shape) * seeds, "tables": tables, **counts}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, default=500, help="simulated tables per case")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="parts to renew in the JSON")
    parser.add_argument("--json", type=Path, default=RESULT, help="where the rows go")
    arguments = parser.parse_args()
    sizes = [(labels, seeds, tilt) for tilt in TILTS for labels in (4, 20, 100) for seeds in (16, 64)]
    made: dict[str, Iterator[dict[str, Any]]] = {
        "numbers": (number_coverage(case, arguments.tables) for case in NUMBERS),
        "labels": (label_coverage(case, arguments.tables) for case in LABELS),
        "criterion": (verdicts(multiple, arguments.tables) for multiple in (0.2, 1.0, 3.0)),
        "bias": (bias_row(*size, tables=arguments.tables // 10) for size in sizes),
    }
    found = json.loads(arguments.json.read_text()) if arguments.json.exists() else {}
    for name in arguments.only:
        began, rows = time.process_time(), []
        for row in made[name]:
            rows.append(row)
            print(json.dumps(row, ensure_ascii=False), f"[{time.process_time() - began:.0f} s]", flush=True)
        found[name] = {"cpu_seconds": round(time.process_time() - began), "rows": rows}
        found["command"] = f"python benchmarks/{Path(__file__).name}"
        arguments.json.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
