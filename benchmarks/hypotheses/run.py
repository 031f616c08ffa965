"""H1, H2 and H3 in five worlds, with intervals, nulls and power; and how far the tests can be trusted.

    python benchmarks/hypotheses/run.py [--only WORLD …] [--fresh]

Worlds: ``planted`` (calibration), ``exhaustive`` (all points of a small map), ``reach wide`` and ``reach narrow`` (the
complete matrices of `benchmarks/reach/`), ``overlaps`` (these three with more held fixed), ``definitions`` (meanings of
adjacency compared), ``random starts 16`` and ``3`` (three bits from random weights), ``machines`` (Mealy machines in
recurrent networks), ``modular`` (sums by waves), ``circuits`` (matched pairs of two-output functions). A world that has
a result is not run again.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from scipy.stats import t as student

from allroads.atlases.hypotheses import adjacency_hypothesis, direct_path_hypothesis, stepping_stone_hypothesis
from hypotheses import (
    boolean_networks,
    circuits,
    definitions,
    distances,
    exhaustive,
    machines,
    modular,
    planted,
    reach_matrices,
)

OUT = Path(__file__).parents[1] / "results" / "hypotheses.json"
PERMUTATIONS, ORDERS = 10_000, 2_000
Rows = list[dict[str, Any]]
NUMBERS = ("low", "high", "p", "detectable")


def slopes(name: str, test: Any, **held: Any) -> Rows:
    """The slopes of one test as rows."""
    return [
        {
            "edges": name,
            "predictor": predictor,
            "given": [*slope.stats.get("given", ()), *(["each node"] if slope.stats.get("node_effects") else [])],
            "slope": slope.value,
            "low": slope.low,
            "high": slope.high,
            "p": slope.p,
            "detectable": slope.detectable,
            "correlation": slope.correlation,
            "beta": slope.stats.get("beta"),
            "unadjusted": test.unadjusted[predictor],
            "pairs": slope.pairs,
            "nodes": slope.nodes,
            "verdict": test.verdict[predictor],
            "status": slope.status.value,
            **held,
        }
        for predictor, slope in test.slopes.items()
    ]


HELD = ("quantities", "nodes", "levels")
"""What H1 holds fixed beside function distance: quantities of nodes; node effects; these and each function distance."""


def h1(
    edges: np.ndarray,
    name: str,
    edge: str,
    programs: dict,
    function: np.ndarray,
    nodes: dict,
    given: dict,
    held: tuple[str, ...] = HELD,
) -> Rows:
    """H1 by every program distance and everything that is held fixed; levels where there are fewer than twelve."""
    rows: Rows = []
    levels = np.unique(function[~np.eye(len(function), dtype=bool)])
    apart = {f"function distance {k:g}": (function == k).astype(float) for k in levels[1:-1]}
    for label, distance in programs.items():
        for what in held:
            if what == "levels" and len(levels) > 11:
                continue
            test = adjacency_hypothesis(
                edges, distance, function, edge=edge, given={**given, **(apart if what == "levels" else {})},
                nodes=nodes if what == "quantities" else {}, node_effects=what != "quantities",
                permutations=PERMUTATIONS,
            )  # fmt: skip
            rows += slopes(name, test, distance=label, apart=what == "levels")
    return rows


def h2(
    edges: np.ndarray,
    name: str,
    road: Any,
    direct: Any,
    function: np.ndarray,
    nodes: dict,
    given: dict,
    held: tuple[bool, ...] = (False, True),
) -> Rows:
    """H2 given node quantities and given node effects."""
    rows: Rows = []
    for effects in held:
        test = direct_path_hypothesis(
            edges, road, direct, function, given=given, nodes={} if effects else nodes, node_effects=effects,
            permutations=PERMUTATIONS,
        )  # fmt: skip
        rows += slopes(name, test)
    return rows


def h3(walks: list, lengths: dict, parts: dict | None) -> Rows:
    """H3 with free and with fixed ends."""
    rows: Rows = []
    for fixed in (False, True):
        found = stepping_stone_hypothesis(walks, lengths, parts, fixed_ends=fixed, permutations=ORDERS)
        for name in ("lengthening", "precedence"):
            share = getattr(found, name)
            kept = {k: getattr(share, k) for k in ("value", "low", "high", "null", "p", "detectable", "events", "runs")}
            rows.append({"share": name, "fixed ends": fixed, **kept, "verdict": found.verdict[name]})
            rows[-1] |= {"status": share.status.value, "left_out": found.stats["left_out"]}
    return rows


def of_exhaustive() -> dict:
    found = exhaustive.world()
    chosen = found["present"]
    within = np.ix_(chosen, chosen)
    function = distances.HAMMING[within]
    programs = {label: distance[within] for label, distance in program_distances().items()}
    nodes = {"log frequency": found["log frequency"], "gates": distances.SIZES[chosen]}
    gates = {"gates to add": programs["gates to add"]}
    rows = h1(found["log share"], "log₂ φ", "nearness", programs, function, nodes, {})
    rows += h1(found["adjacent"], "adjacent", "nearness", gates, function, nodes, {})
    reach = found["walk cost"]
    return {
        "adjacent by function distance": [float(found["adjacent"][function == k].mean()) for k in range(1, 9)],
        "gates to add by function distance": [
            float(programs["gates to add"][function == k].mean()) for k in range(1, 9)
        ],
        "H1": rows + h1(reach, "log₂ moves of an adaptive walk", "cost", gates, function, nodes, {}),
        "H2": h2(reach, "log₂ moves of an adaptive walk", None, found["walk directness"], function, nodes, {}),
        "H3": h3(found["walks"], dict(enumerate(distances.SIZES.tolist())), dict(enumerate(distances.parts()))),
    }


def of_reach(name: str, measured: tuple[str, ...], held: tuple[str, ...]) -> dict:
    found = reach_matrices.world(name)
    function = distances.HAMMING
    programs = {label: program_distances()[label] for label in measured}
    nodes = {"gates": distances.SIZES}
    rows = h1(found["cost"], "log₂ steps", "cost", programs, function, nodes, {}, held)
    if np.nanmin(found["reach"]) < 1:
        gates = {"gates to add": distances.GATES_TO_ADD}
        rows += h1(found["reach"], "reach", "nearness", gates, function, nodes, {}, held)
    direct, road = filled(found["directness"]), found["road cost"]
    followed = np.where(np.isfinite(road), found["cost"], np.nan)
    second = h2(found["cost"], "log₂ steps", None, direct, function, nodes, {})
    second += h2(followed, "log₂ steps, pairs with a road", filled(road), direct, function, nodes, {})
    second += h2(followed, "log₂ steps, log₂ road cost", filled(np.log2(road)), direct, function, nodes, {})
    return {
        "roads": int(np.isfinite(road).sum()),
        "H1": rows,
        "H2": second,
        "H3": h3(found["walks"], dict(enumerate(distances.SIZES.tolist())), dict(enumerate(distances.parts()))),
    }


def program_distances() -> dict[str, np.ndarray]:
    """The three distances of Boolean programs, ``[256, 256]``."""
    return {
        "gates to add": distances.GATES_TO_ADD,
        "tree edits": distances.edits(),
        "parts not shared": distances.parts_not_shared(),
    }


def of_overlaps() -> dict:
    """H1 given node effects, each function distance apart, and the overlap of the functions degree by degree."""
    small = exhaustive.world()
    here = np.ix_(small["present"], small["present"])
    edges = {"exhaustive, −log₂ φ": (-small["log share"], here)}
    everywhere = np.ix_(range(distances.ALL), range(distances.ALL))
    for name in ("wide", "narrow"):
        edges[f"reach {name}, log₂ steps"] = (reach_matrices.world(name)["cost"], everywhere)
    rows: Rows = []
    for name, (values, within) in edges.items():
        function = distances.HAMMING[within]
        given = {f"function distance {k}": (function == k).astype(float) for k in range(1, 8)}
        given |= {degree: overlap[within] for degree, overlap in distances.overlaps().items()}
        for label in ("tree edits", "gates to add"):
            distance = program_distances()[label]
            test = adjacency_hypothesis(
                values, distance[within], function, edge="cost", given=given, node_effects=True,
                permutations=PERMUTATIONS,
            )  # fmt: skip
            rows += slopes(name, test, distance=label, overlaps=True)
    return {"H1": rows}


def of_random_starts(width: int) -> dict:
    walks, arrived = boolean_networks.walks(width)
    rows = h3(walks, dict(enumerate(distances.SIZES.tolist())), dict(enumerate(distances.parts())))
    return {"arrived": arrived, "H3": rows}


def of_machines() -> dict:
    found = machines.world()
    programs = {name: found[name] for name in ("table distance", "transitions", "parts")}
    nodes = {"log₂ steps from scratch": found["scratch"], "bits": found["bits"]}
    return {
        "reached": found["reached"],
        "machines": [[machine.transitions, machine.outputs] for machine in found["machines"]],
        "H1": h1(found["cost"].mean(0), "log₂ steps", "cost", programs, found["function"], nodes, {}),
        "H2": both_paths(found, found["function"], nodes, {}),
        "H3": h3(found["walks"], found["lengths"], found["named parts"]),
    }


def of_modular() -> dict:
    found = modular.world()
    programs = {"program": found["program"], "frequencies": found["frequencies"]}
    given, nodes = {"distance of scores": found["scores"]}, {"bits": found["bits"]}
    lengths = {node.frequencies: node.bits for node in found["programs"]}
    parts = {waves: frozenset(waves) for waves in lengths}
    return {
        "reached": found["reached"],
        "H1": h1(found["cost"].mean(0), "log₂ steps", "cost", programs, found["answers"], nodes, given),
        "H2": both_paths(found, found["answers"], nodes, given),
        "H3": h3(found["walks"], lengths, parts),
    }


def both_paths(found: dict, function: np.ndarray, nodes: dict, given: dict) -> Rows:
    """H2 by directness among all programs, and by road cost and directness among those that have roads.

    The cost is that from one start of each program; directness and roads are those from another.
    """
    road, direct, cost = found["road cost"], found["directness"], found["cost"][0]
    rows = h2(cost, "log₂ steps", None, filled(direct), function, nodes, given)
    some = np.flatnonzero(np.isfinite(road).any(1) | np.isfinite(road).any(0))
    within = np.ix_(some, some)
    held = {name: values[some] for name, values in nodes.items()}, {n: m[within] for n, m in given.items()}
    return rows + h2(cost[within], "log₂ steps", filled(road[within]), filled(direct[within]), function[within], *held)


def filled(matrix: np.ndarray) -> np.ndarray:
    """A predictor without gaps: missing entries are set to the mean, and their number is printed."""
    inside = ~np.eye(len(matrix), dtype=bool)
    gaps = ~np.isfinite(matrix) & inside
    if gaps.any():
        print("entries set to the mean:", int(gaps.sum()), "of", int(inside.sum()))
    return np.where(np.isfinite(matrix), matrix, np.nanmean(matrix[inside]))


def paired(difference: np.ndarray) -> dict:
    """Mean difference over designs with its 95 % interval of Student, p of sign flips, and the detectable mean."""
    count, rng = len(difference), np.random.default_rng(0)
    mean, error = float(difference.mean()), float(difference.std(ddof=1) / np.sqrt(count))
    flips = np.abs((rng.choice([-1.0, 1.0], (PERMUTATIONS, count)) * difference).mean(1))
    half, most = student.ppf([0.975, 0.8], count - 1)
    return {
        "mean": mean,
        "low": mean - half * error,
        "high": mean + half * error,
        "p": (1 + int((flips >= abs(mean) - 1e-12).sum())) / (1 + PERMUTATIONS),
        "detectable": (half + most) * error,
        "designs": count,
        "share above 0": float((difference > 0).mean()),
    }


def of_circuits() -> dict:
    found = circuits.world()
    rows = []
    for control in circuits.TARGETS[1:]:
        for what in ("", " from scratch", " directness"):
            difference = (found[control + what] - found["target" + what]).mean(1)
            rows.append({"control": control, "difference": what.strip() or "log₂ steps", **paired(difference)})
    return {"H1": rows, "controls": [design["controls"] for design in found["designs"]]}


WORLDS = {
    "planted": lambda: {"rows": planted.calibration()},
    "exhaustive": of_exhaustive,
    "definitions": definitions.agreement,
    "reach wide": lambda: of_reach("wide", tuple(program_distances()), HELD),
    "reach narrow": lambda: of_reach("narrow", ("gates to add", "tree edits"), HELD[2:]),
    "overlaps": of_overlaps,
    "random starts 16": lambda: of_random_starts(16),
    "random starts 3": lambda: of_random_starts(3),
    "modular": of_modular,
    "circuits": of_circuits,
    "machines": of_machines,
}


def shown(name: str, result: dict) -> None:
    """The rows of one world."""
    print(f"\n{name} ({result['seconds']:.0f} s)")
    for row in result.get("rows", []):
        print("  ", row)
    for hypothesis in ("H1", "H2", "H3"):
        for row in result.get(hypothesis, []):
            head = row.get("edges") or row.get("share") or row.get("difference")
            what = [row.get(k) for k in ("distance", "predictor", "control") if row.get(k)]
            held = "each node" if "each node" in row.get("given", ()) else ""
            held += " apart" if row.get("apart") else ""
            held += "fixed ends" if row.get("fixed ends") else ""
            value = next(row[k] for k in ("slope", "value", "mean") if k in row)
            value, *rest = (
                float("nan") if number is None else number for number in (value, *(row[k] for k in NUMBERS))
            )
            words = f"{head:32s} {' / '.join(what):34s} {held:18s}"
            numbers = "{:8.3f} [{:.3f}, {:.3f}] p {:.4f} detectable {:.3f}".format(value, *rest)
            print(f"  {hypothesis} {words} {numbers} {row.get('verdict', '')}")


def plain(value: Any) -> Any:
    """A result in JSON's own types, rounded to six digits; what is not finite becomes null."""
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if value is None or isinstance(value, bool | str | int):
        return value
    return float(f"{value:.6g}") if np.isfinite(value) else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=WORLDS, default=list(WORLDS))
    parser.add_argument("--fresh", action="store_true", help="run again what has a result")
    options = parser.parse_args()
    for name in options.only:
        results = json.loads(OUT.read_text()) if OUT.exists() else {}
        if name not in results or options.fresh:
            began = time.process_time()
            found = WORLDS[name]()
            results = json.loads(OUT.read_text()) if OUT.exists() else {}  # another run may have written meanwhile
            results[name] = {"seconds": time.process_time() - began, **found}
            OUT.write_text(json.dumps(plain(results), indent=1, ensure_ascii=False, allow_nan=False) + "\n")
        shown(name, results[name])


if __name__ == "__main__":
    main()
