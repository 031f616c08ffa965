"""Neutral explorers beside brute force: sequential Monte Carlo, rejection, guess and check, splitting.

Cases are a map, a Boolean function of three or four bits and a training set. For each, P(f | S) and log P(S) come once
from one prior of many draws, by rejection, and once from sequential Monte Carlo. A case counts as possible by brute
force where 2,000 of its draws fit, and where a sample of that size would differ from its law by half of the criterion
at most; where it is not, sequential Monte Carlo is not run. Members are doubled while the error that it states is above
0.1, or while two samples of the effective sizes would differ by more than half of the criterion. The criterion,
fixed beforehand, is a Jensen–Shannon divergence of at most 0.007 bits and log P(S) within 0.1 nats. `exact` does the
same on a map that is enumerated, where no draws are needed for the truth. `rare` compares log P(f) of rare functions
with that of splitting, which is another algorithm. `guesses` holds guess and check against the exact law of the
enumerated map, by χ².

    python benchmarks/neutral.py    # resumable: rows that are in the JSON are not made again, but with --fresh
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import sys
import time
from pathlib import Path

import numpy as np
from scipy.stats import chisquare

from allroads import (
    GuessAndCheck,
    Network,
    Problem,
    Splitting,
    explore,
    function_log_probability,
    function_posterior,
    function_prior,
)
from allroads.errors import TooFewSamplesError
from allroads.explorers.neutral.invariant import known_of
from allroads.explorers.recording import Recording
from allroads.networks.mlp import mlp
from allroads.points.prior import FunctionPosterior, FunctionPrior

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "points"))

from ternary import cube, functions, ternary

RESULT = Path(__file__).parent / "results" / "neutral.json"
POSSIBLE = 2000
"""Fitting draws from which on brute force counts as possible."""
DIVERGENCE, NATS = 0.007, 0.1

MAPS: dict[str, tuple[int, Network]] = {
    "(3,8,1) relu": (3, mlp((3,), 1, widths=(8,), init="lecun", bias="normal")),
    "(4,8,1) tanh": (4, mlp((4,), 1, widths=(8,), activation="tanh", init="lecun", bias="normal")),
    "(4,16,16,1) relu": (4, mlp((4,), 1, widths=(16, 16), init="lecun", bias="normal")),
    "(4,12,1) relu, uniform biases": (4, mlp((4,), 1, widths=(12,), init="he", bias="uniform_fan_in")),
}
TARGETS = {
    "x0": lambda x: x[0],
    "x0 and x1": lambda x: x[0] & x[1],
    "x0 xor x1": lambda x: x[0] ^ x[1],
    "mux": lambda x: np.where(x[0], x[1], x[2]),
    "majority of three": lambda x: x[0] + x[1] + x[2] > 1,
    "x0 and (x1 or x2)": lambda x: x[0] & (x[1] | x[2]),
    "at least three": lambda x: x.sum(0) > 2,
    "parity": lambda x: x.sum(0) % 2,
}
SIZES = {3: (4, 6), 4: (8, 12)}


def table_of(target: str, bits: int) -> np.ndarray:
    return np.asarray(TARGETS[target](np.arange(1 << bits) >> np.arange(bits)[:, None] & 1)).astype(int)


def divergence(p: np.ndarray, q: np.ndarray) -> float:
    """Jensen–Shannon divergence in bits."""
    middle = (p + q) / 2
    return sum(float((a[a > 0] * np.log2(a[a > 0] / middle[a > 0])).sum()) / 2 for a in (p, q))


def beside(a: FunctionPosterior, b: FunctionPosterior) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of all functions that one of both has."""
    codes = {code.tobytes(): place for place, code in enumerate(np.unique(np.concatenate([a.codes, b.codes]), axis=0))}
    found = np.zeros((2, len(codes)))
    for row, posterior in zip(found, (a, b), strict=True):
        row[[codes[code.tobytes()] for code in posterior.codes]] = posterior.probabilities
    return found[0], found[1]


def floor(p: np.ndarray, first: float, second: float) -> float:
    """Mean divergence of two samples of these sizes of one distribution; of infinite size it is the distribution."""
    generator = np.random.default_rng(0)

    def drawn(size: float) -> np.ndarray:
        return p if math.isinf(size) else generator.multinomial(max(int(size), 1), p) / max(int(size), 1)

    return float(np.mean([divergence(drawn(first), drawn(second)) for _ in range(20)]))


def by_smc(
    network: Network, inputs, labels, probes, given: argparse.Namespace, brute: FunctionPosterior | None = None
) -> tuple[FunctionPosterior | None, dict]:
    """Sequential Monte Carlo with twice as many members while its own error, or chance alone, is too large."""
    members, row = given.members, {}
    while True:
        try:
            smc = function_posterior(network, inputs, labels, probes, method="smc", samples=members, progress=False)
        except TooFewSamplesError as error:
            smc, row = None, {"members": members, "refused": str(error)}
        else:
            row = {"members": members, "log_p": smc.value, "log_p_error": smc.error, "effective": smc.effective}
            row |= {"forwards": smc.stats["forwards"], "levels": int(smc.stats["levels"].max())}
            if brute is not None:
                row["floor"] = floor(brute.probabilities, brute.effective, smc.effective)
            if smc.error <= NATS and row.get("floor", 0.0) <= DIVERGENCE / 2:
                return smc, row
        if 2 * members > given.most_members:
            return smc, row
        members *= 2


def case_row(name: str, target: str, size: int, prior: FunctionPrior, given: argparse.Namespace) -> dict:
    bits, network = MAPS[name]
    inputs, labels = cube(bits), table_of(target, bits)
    seed = [bits, size, list(TARGETS).index(target)]
    chosen = np.sort(np.random.default_rng(seed).choice(1 << bits, size, replace=False))
    row = {"map": name, "target": target, "examples": size, "rows": chosen.tolist(), "draws": prior.samples}
    start = time.process_time()
    try:
        brute = function_posterior(network, inputs[chosen], labels[chosen], inputs, prior=prior)
    except TooFewSamplesError as error:
        brute, row["bound"] = None, error.bound
    row |= {"fitting": 0 if brute is None else brute.log_evidence.stats["fitting"], "possible": False}
    if brute is not None:
        row |= {"brute_log_p": brute.value, "brute_error": brute.error}
        row["brute_floor"] = floor(brute.probabilities, brute.effective, math.inf)
        row["possible"] = row["fitting"] >= POSSIBLE and row["brute_floor"] <= DIVERGENCE / 2
    if row["possible"]:
        smc, told = by_smc(network, inputs[chosen], labels[chosen], inputs, given, brute)
        row |= told | {"passed": False}
        if smc is not None:
            p, q = beside(brute, smc)
            row |= {"functions": len(p), "divergence": divergence(p, q), "difference": abs(brute.value - smc.value)}
            row["passed"] = row["divergence"] <= DIVERGENCE and row["difference"] <= NATS
    row["cpu_seconds"] = round(time.process_time() - start, 2)
    return row


def cases(given: argparse.Namespace, found: dict) -> None:
    done = {(row["map"], row["target"], row["examples"]) for row in found.setdefault("cases", [])}
    priors: dict[str, FunctionPrior] = {}
    for target, place, name in itertools.product(TARGETS, (0, 1), given.maps):
        bits, network = MAPS[name]
        size = SIZES[bits][place]
        if (name, target, size) in done:
            continue
        if name not in priors:
            start = time.process_time()
            priors[name] = function_prior(network, cube(bits), given.draws)
            seconds = time.process_time() - start
            print(f"{name}: {given.draws:,} draws in {seconds:.0f} s, {known_of(network, None)[0]}", flush=True)
        row = case_row(name, target, size, priors[name], given)
        found["cases"].append(row)
        store(found, given)
        print(json.dumps({key: row[key] for key in row if key != "rows"}), flush=True)


def exact(given: argparse.Namespace, found: dict) -> None:
    """The ternary map on three bits, whose law is known by enumeration: no brute force and no noise but that of SMC."""
    network, inputs, points = ternary(3), cube(3), functions(3)
    done = {(row["target"], row["examples"]) for row in found.setdefault("exact", [])}
    for size, target in itertools.product((4, 6), TARGETS):
        labels = table_of(target, 3)
        chosen = np.sort(np.random.default_rng([3, size, list(TARGETS).index(target)]).choice(8, size, replace=False))
        fits = ((points[:, None] >> chosen & 1) == labels[chosen]).all(1)
        if (target, size) in done or not fits.any():
            continue
        law, log_p = np.bincount(points[fits], minlength=256) / fits.sum(), math.log(fits.mean())
        start = time.process_time()
        row = {"target": target, "examples": size, "rows": chosen.tolist(), "exact": log_p}
        smc, told = by_smc(network, inputs[chosen], labels[chosen], inputs, given)
        row |= told
        if smc is not None:
            p = np.zeros(256)
            p[smc.codes[:, 0].astype(int)] = smc.probabilities
            row |= {"functions": int((law > 0).sum()), "divergence": divergence(p, law)}
            row |= {"difference": abs(smc.value - log_p)}
            row["passed"] = row["divergence"] <= DIVERGENCE and row["difference"] <= NATS
        row["cpu_seconds"] = round(time.process_time() - start, 2)
        found["exact"].append(row)
        store(found, given)
        print(json.dumps(row), flush=True)


def rare(given: argparse.Namespace, found: dict) -> None:
    """log P(f) beside splitting, which moves on other lines through other sets; standard normal parameters."""
    network = mlp((4,), 1, widths=(8,), activation="tanh", init="normal", bias="normal")
    done = {row["target"] for row in found.setdefault("rare", [])}
    for target in ("x0 xor x1", "mux", "at least three", "parity"):
        if target in done:
            continue
        inputs, labels = cube(4), table_of(target, 4)
        start = time.process_time()
        split = function_log_probability(Problem(network, "bce", inputs, labels), method=Splitting(given.members // 4))
        middle = time.process_time()
        row = {"target": target, "splitting": split.value, "splitting_error": split.error, "status": split.status.value}
        try:
            smc = function_posterior(network, inputs, labels, method="smc", samples=given.members, progress=False)
            row |= {"log_p": smc.value, "log_p_error": smc.error, "forwards": smc.stats["forwards"]}
        except TooFewSamplesError as error:
            row["refused"] = str(error)
        row |= {"members": given.members, "splitting_seconds": round(middle - start, 1)}
        row["cpu_seconds"] = round(time.process_time() - middle, 1)
        found["rare"].append(row)
        store(found, given)
        print(json.dumps(row), flush=True)


def guesses(given: argparse.Namespace, found: dict) -> None:
    """Functions at the first fit, and the number of guesses, against the exact law of the ternary map on three bits."""
    network, inputs = ternary(3), cube(3)
    tables = functions(3)[:, None] >> np.arange(8) & 1
    found["guesses"] = []
    for target, chosen in (("majority of three", [0, 3, 5]), ("x0 and x1", [3, 4, 7]), ("mux", [0, 1, 2, 6])):
        labels = table_of(target, 3)
        fits = tables[(tables[:, chosen] == labels[chosen]).all(1)]
        codes, counts = np.unique(fits @ (1 << np.arange(8)), return_counts=True)
        problem = Problem(network, "bce", inputs[chosen], labels[chosen])
        run = explore(
            problem, GuessAndCheck(), given.guessers, steps=math.ceil(12 * len(tables) / len(fits)), probes=inputs,
            record=Recording(records=2, checkpoints=2),
        )  # fmt: skip
        ends = (run.values[:, -1, :, 0] > 0) if run.values.ndim == 4 else run.values[:, -1] > 0
        ended = (ends[:, chosen] == labels[chosen]).all(1)
        said = ends[ended].astype(int) @ (1 << np.arange(8))
        often = counts / counts.sum() * ended.sum() >= 5
        observed = np.array([(said == code).sum() for code in codes])
        expected = counts / counts.sum() * ended.sum()
        pooled = [np.append(a[often], a[~often].sum()) for a in (observed, expected)]
        pooled = [a[: len(a) - (pooled[1][-1] == 0)] for a in pooled]
        p = len(fits) / len(tables)
        row = {
            "target": target, "rows": chosen, "members": given.guessers, "fitted": int(ended.sum()),
            "functions": len(codes), "cells": len(pooled[0]), "p_value": float(chisquare(*pooled).pvalue),
            "p_fit": p, "mean_guesses": float(run.cost.forwards[ended].mean()), "expected_guesses": 1 / p,
            "guesses_error": 1.96 * math.sqrt((1 - p) / p**2 / ended.sum()),
        }  # fmt: skip
        found["guesses"].append(row)
        store(found, given)
        print(json.dumps(row), flush=True)


def store(found: dict, given: argparse.Namespace) -> None:
    compared = [row for row in found.get("cases", []) if row["possible"]]
    found["criterion"] = {"divergence_bits": DIVERGENCE, "nats": NATS, "fitting_draws": POSSIBLE}
    for name, rows in (("cases", compared), ("exact", [row for row in found.get("exact", []) if "passed" in row])):
        found[f"summary of {name}"] = {
            "rows": len(found.get(name, [])), "compared": len(rows), "passed": sum(row["passed"] for row in rows),
            "refused": sum("refused" in row for row in rows),
            "largest_divergence": max((row["divergence"] for row in rows if "divergence" in row), default=None),
            "largest_difference": max((row["difference"] for row in rows if "difference" in row), default=None),
        }  # fmt: skip
    found["command"] = f"python benchmarks/{Path(__file__).name}"
    given.json.write_text(json.dumps(found, indent=1, ensure_ascii=False, default=float) + "\n")


TABLES = {"guesses": guesses, "exact": exact, "cases": cases, "rare": rare}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=10_000_000, help="networks of each prior")
    parser.add_argument("--members", type=int, default=8192, help="of all populations together, at first")
    parser.add_argument("--most-members", type=int, default=65_536, help="where its own error is above 0.1 nats")
    parser.add_argument("--maps", nargs="*", choices=MAPS, default=list(MAPS), help="of the cases")
    parser.add_argument("--guessers", type=int, default=20_000)
    parser.add_argument("--only", nargs="*", choices=TABLES, default=list(TABLES))
    parser.add_argument("--fresh", action="store_true", help="make all rows anew")
    parser.add_argument("--json", type=Path, default=RESULT)
    given = parser.parse_args()
    found = json.loads(given.json.read_text()) if given.json.exists() and not given.fresh else {}
    for name in given.only:
        TABLES[name](given, found)
    print(json.dumps({name: found[name] for name in found if name.startswith("summary")}))


if __name__ == "__main__":
    main()
