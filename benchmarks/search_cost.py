"""What it costs to find one function: gradient descent, blind draws, formulas in order of length, SAT, elimination.

    python benchmarks/search_cost.py --sat PYTHON

The same truth tables for all searches, each given all 2^n rows. PYTHON is one that has python-sat, in an environment of
its own; without it the column of exact synthesis stays empty. A target that stands in the file with the same settings
is not run again, so a run that was stopped goes on. docs/channels.md says what each number is.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import subprocess
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import jax
import numpy as np

from allroads import (
    Adam,
    Network,
    Problem,
    Recording,
    Splitting,
    channel_gain,
    complexity,
    explore,
    function_log_probability,
    function_prior,
)
from allroads.results import Measurement
from allroads.studies.channels import ChannelGain, neutral_cost
from allroads.targets.rules import RULES, all_bits

WIDTH = 32
SEEN = 25
"""Draws of a function from which on its share is measured by them; below, by splitting."""
MOST_FUNCTIONS = 500_000


@dataclasses.dataclass(frozen=True)
class Settings:
    """What decides the numbers of a row."""

    members: int = 64
    steps: int = 1024
    learning_rate: float = 0.05
    draws: int = 1 << 18
    particles: int = 1024
    splitting_bits: int = 4
    sat_conflicts: int = 50_000


def tables() -> Iterator[tuple[str, str, np.ndarray]]:
    """Family, name and truth table of every target."""

    def named(family: str, name: str, bits: int, rule: str, **options) -> tuple[str, str, np.ndarray]:
        return family, name, RULES[rule](all_bits(bits), **options).astype(int)

    for n in range(2, 9):
        yield named("parity", f"parity {n}", bits=n, rule="parity")
    for n, k in ((3, 3), (5, 5), (7, 7), (7, 3)):
        yield named("staircase", f"staircase {k} of {n}", bits=n, rule="staircase", k=k)
    for n in (3, 5, 7):
        yield named("majority", f"majority {n}", bits=n, rule="majority")
    yield named("multiplexer", "multiplexer 3", bits=3, rule="mux", address=1)
    yield named("multiplexer", "multiplexer 6", bits=6, rule="mux", address=2)
    for n in (4, 8):
        yield named("and", f"and {n}", bits=n, rule="and")
    ones = {n: all_bits(n).sum(axis=1) for n in (4, 5, 6)}
    for name, n, chosen in (
        ("exactly 1 of 4", 4, [1]), ("exactly 2 of 4", 4, [2]), ("at least 3 of 4", 4, [3, 4]),
        ("exactly 2 of 5", 5, [2]), ("0 or 3 of 5", 5, [0, 3]), ("exactly 3 of 6", 6, [3]),
    ):  # fmt: skip
        yield "symmetric", name, np.isin(ones[n], chosen).astype(int)
    rng = np.random.default_rng(0)
    for n, largest in ((3, 4), (4, 7)):
        codes = rng.permutation(1 << (1 << n))
        rows = [[int(code) >> r & 1 for r in range(1 << n)] for code in codes]
        for size in range(1, largest + 1):
            table = next(row for row in rows if complexity(row).circuit_size == size)
            yield "random", f"random {n} bits, {size} gates", np.array(table)


@cache
def network(bits: int) -> Network:
    """(n, 32, 1) ReLU with standard normal parameters; the layers divide by the root of their inputs."""

    def init(key):
        keys = jax.random.split(key, 4)
        shapes = {"in": (bits, WIDTH), "shift": (WIDTH,), "out": (WIDTH,), "bias": (1,)}
        return {name: jax.random.normal(k, shape) for k, (name, shape) in zip(keys, shapes.items(), strict=True)}

    def apply(p, x):
        hidden = jax.nn.relu(x @ p["in"] / math.sqrt(bits) + p["shift"])
        return (hidden @ p["out"] / math.sqrt(WIDTH))[:, None] + p["bias"]

    return Network(init, apply, name=f"({bits},{WIDTH},1) relu")


def inputs(bits: int) -> np.ndarray:
    return (1 - 2 * all_bits(bits)).astype(np.float32)


@cache
def prior(bits: int, draws: int):
    """The prior over functions, and the CPU seconds of one draw, compilation apart."""
    first = function_prior(network(bits), inputs(bits), draws // 8, progress=False)
    start = time.process_time()
    found = function_prior(network(bits), inputs(bits), draws, resume=first, progress=False)
    return found, (time.process_time() - start) / (draws - first.samples)


def neutral(problem: Problem, table: np.ndarray, bits: int, settings: Settings) -> tuple:
    """What P(f) rests on, and the CPU seconds of one draw."""
    found, each = prior(bits, settings.draws)
    share = found.probability(table)
    if share.stats["count"] < SEEN and bits <= settings.splitting_bits:
        volume = function_log_probability(problem, method=Splitting(particles=settings.particles))
        if volume.status == "ok":
            return volume, each
    return share, each


def descent(problem: Problem, settings: Settings):
    """Runs, and the CPU seconds that one forward-equivalent takes, compilation apart."""
    explorer = Adam(learning_rate=settings.learning_rate)
    record = Recording(records=384, checkpoints=2)
    given = {"steps": settings.steps, "record": record, "probes": problem.inputs[:1]}
    runs = explore(problem, explorer, settings.members, **given)
    start = time.process_time()
    again = explore(problem, explorer, settings.members, **given)
    forwards = 3 * int(again.cost.gradients.sum()) + settings.members * len(again.steps)
    return runs, (time.process_time() - start) / forwards


def formulas(table: np.ndarray, bits: int) -> dict:
    """Functions in order of formula length until the target comes, equal ones once; negation is free."""
    start = time.process_time()
    full = (1 << (1 << bits)) - 1
    goal = int("".join(map(str, table[::-1])), 2)
    goal = goal if not goal & 1 else full ^ goal
    rows = np.arange(1 << bits)
    layers = [[0, *(int("".join(map(str, (rows >> i & 1)[::-1])), 2) for i in range(bits))]]
    known, tried = set(layers[0]), len(layers[0])
    while goal not in known and len(known) < MOST_FUNCTIONS:
        new, fresh = len(layers), []
        for a, b in ((g, h) for k in range((new - 1) // 2 + 1) for g in layers[k] for h in layers[new - 1 - k]):
            tried += 5
            for made in (a & b, a & ~b, ~a & b, a | b, a ^ b):
                if made not in known:
                    known.add(made)
                    fresh.append(made)
            if goal in known or len(known) >= MOST_FUNCTIONS:
                break
        layers.append(fresh)
    found = goal in known
    return {
        "found": found, "tried": tried, "different": len(known), "length": len(layers) - 1 if found else None,
        "seconds": time.process_time() - start,
    }  # fmt: skip


def elimination(table: np.ndarray, bits: int, repeats: int = 100) -> dict:
    """An affine function from random examples: elimination over GF(2) until they fix it, checked on all rows."""
    rng, rows = np.random.default_rng(0), all_bits(bits)
    examples, operations, solved = [], [], True
    start = time.process_time()
    for _ in range(repeats):
        basis: dict[int, int] = {}
        order = rng.permutation(len(rows))
        for row in order:
            # Bit n is the constant, bit n + 1 the label.
            equation = int(rows[row] @ (1 << np.arange(bits))) | 1 << bits | int(table[row]) << (bits + 1)
            for pivot, other in basis.items():
                if equation >> pivot & 1:
                    equation ^= other
                    operations.append(bits + 2)
            left = equation & ((1 << (bits + 1)) - 1)
            if left:
                basis[left.bit_length() - 1] = equation
            elif equation:
                solved = False
            if len(basis) == bits + 1 or not solved:
                break
        solution = 0
        for pivot, equation in sorted(basis.items()):
            below = equation & solution & ((1 << pivot) - 1)
            solution |= ((equation >> (bits + 1)) ^ below.bit_count() & 1) << pivot
        said = [(((r | 1 << bits) & solution).bit_count()) & 1 for r in range(len(rows))]
        solved &= said == table.tolist()
        examples.append(int(np.flatnonzero(order == row)[0]) + 1)
        if not solved:
            return {"found": False}
    seconds = (time.process_time() - start) / repeats
    return {
        "found": True, "examples": float(np.mean(examples)), "queries": bits + 1,
        "operations": sum(operations) / repeats, "seconds": seconds,
    }  # fmt: skip


def synthesis(python: str | None, table: np.ndarray, conflicts: int) -> dict | None:
    """Smallest circuit by SAT, in another process."""
    if python is None:
        return None
    script = Path(__file__).with_name("search_cost_sat.py")
    given = json.dumps({"table": table.tolist(), "conflicts": conflicts})
    done = subprocess.run([python, script], input=given, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def ends_of(found: Measurement | ChannelGain) -> list[float | None]:
    ends = (found.value, found.stats["low"], found.stats["high"])
    return [round(end, 3) if math.isfinite(end) else None for end in ends]


def row_of(family: str, name: str, table: np.ndarray, settings: Settings, sat: str | None) -> dict:
    bits = int(math.log2(len(table)))
    problem = Problem(network(bits), "bce", inputs(bits), table)
    start = time.process_time()
    blind, each = neutral(problem, table, bits, settings)
    runs, forward = descent(problem, settings)
    gain = channel_gain(blind, runs, problem)
    cost = neutral_cost(blind)
    size = complexity(table).circuit_size if bits <= 4 else None
    return {
        "family": family, "target": name, "bits": bits, "examples": len(table), "circuit_size": size,
        "settings": dataclasses.asdict(settings),
        "gain": ends_of(gain),
        "gain_status": gain.status.value,
        "neutral_log2_draws": ends_of(cost), "neutral_by": cost.stats["by"], "neutral_seconds_per_draw": each,
        "descent_log2_forwards": ends_of(gain.explorer), "descent_status": gain.explorer.status.value,
        "descent_fitted": gain.explorer.stats["fitted"], "descent_runs": gain.explorer.stats["runs"],
        "descent_seconds_per_forward": forward, "resolution": round(gain.stats["resolution"], 4),
        "operations_per_forward": len(table) * (bits + 2) * WIDTH,
        "formulas": formulas(table, bits), "sat": synthesis(sat, table, settings.sat_conflicts),
        "elimination": elimination(table, bits), "cpu_seconds": round(time.process_time() - start, 1),
    }  # fmt: skip


def shown(row: dict) -> str:
    value, low, high = row["gain"]
    gain = (
        "—"
        if value is None
        else f"{value:6.2f} [{low if low is not None else '−∞'}, {high if high is not None else '∞'}]"
    )
    sat, eliminated = row["sat"], row["elimination"]
    return (
        f"{row['target']:24} gain {gain:28} {row['gain_status']:13} draws 2^{row['neutral_log2_draws'][0]} "
        f"({row['neutral_by']}) forwards 2^{row['descent_log2_forwards'][0]} fits {row['descent_fitted']}/"
        f"{row['descent_runs']} formulas {row['formulas']['tried']}{'' if row['formulas']['found'] else '+'} "
        f"sat {sat['conflicts'] if sat else '—'} elimination {eliminated.get('examples', '—')} {row['cpu_seconds']} s"
    )


COLUMNS = (
    "target", "gates", "blind draws, log₂", "descent, log₂ forward passes", "runs that fit", "gain, bits",
    "formulas tried", "SAT conflicts", "examples of elimination",
)  # fmt: skip
CLOCK = (
    "target", "multiplications of descent", "bit operations of elimination", "s, blind draws", "s, descent",
    "s, formulas", "s, SAT", "s, elimination",
)  # fmt: skip


def markdown(row: dict) -> str:
    """The row of the table of costs in docs/channels.md."""
    formula, sat, eliminated = row["formulas"], row["sat"], row["elimination"]
    gates = sat["gates"] if sat and sat["found"] else row["circuit_size"]
    cells = [
        row["target"], str(gates) if gates is not None else f"{sat['least']} or more" if sat else "",
        _interval(row["neutral_log2_draws"]), _interval(row["descent_log2_forwards"]),
        f"{row['descent_fitted']} of {row['descent_runs']}", _interval(row["gain"], 1),
        f"{formula['tried']:,}" if formula["found"] else f"> {formula['tried']:,}",
        "" if sat is None else f"{sat['conflicts']:,}" if sat["found"] else f"> {sat['conflicts']:,}",
        f"{eliminated['examples']:.1f}" if eliminated["found"] else "",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def clock(row: dict) -> str:
    """The row of operations and CPU seconds: measured seconds of an evaluation times the expected number of them."""
    formula, sat, eliminated = row["formulas"], row["sat"], row["elimination"]
    blind = row["neutral_seconds_per_draw"] * 2 ** row["neutral_log2_draws"][0]
    descent = row["descent_seconds_per_forward"] * 2 ** row["descent_log2_forwards"][0]
    cells = [
        row["target"], f"{row['operations_per_forward'] * 2 ** row['descent_log2_forwards'][0]:.1e}",
        f"{eliminated['operations']:.0f}" if eliminated["found"] else "",
        f"{'> ' if row['neutral_log2_draws'][2] is None else ''}{blind:.1e}", f"{descent:.1e}",
        f"{'' if formula['found'] else '> '}{formula['seconds']:.1e}",
        "" if sat is None else f"{'' if sat['found'] else '> '}{sat['seconds']:.1e}",
        f"{eliminated['seconds']:.1e}" if eliminated["found"] else "",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _interval(ends: list[float | None], digits: int = 2) -> str:
    value, low, high = ends
    if high is None:
        return f"> {low:.{digits}f}"
    if low is None:
        return f"< {high:.{digits}f}"
    return f"{value:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for field in dataclasses.fields(Settings):
        name = f"--{field.name.replace('_', '-')}"
        parser.add_argument(name, type=type(field.default), default=field.default)
    parser.add_argument("--sat", help="a Python with python-sat")
    parser.add_argument("--only", nargs="*", help="families")
    parser.add_argument("--json", type=Path, default=Path(__file__).parent / "results" / "search_cost.json")
    parser.add_argument("--table", action="store_true", help="print the tables of docs/channels.md from the file")
    given = vars(parser.parse_args())
    if given["table"]:
        rows = json.loads(given["json"].read_text("utf-8"))["rows"]
        for columns, line in ((COLUMNS, markdown), (CLOCK, clock)):
            print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
            print("\n".join(line(row) for row in rows) + "\n")
        return
    settings = Settings(**{field.name: given[field.name] for field in dataclasses.fields(Settings)})
    stored = json.loads(given["json"].read_text("utf-8")) if given["json"].exists() else {"rows": []}
    known = {row["target"]: row for row in stored["rows"] if row["settings"] == dataclasses.asdict(settings)}
    chosen = [one for one in tables() if given["only"] is None or one[0] in given["only"]]
    for family, name, table in chosen:
        if name not in known or (given["sat"] and known[name]["sat"] is None):
            known[name] = row_of(family, name, table, settings, given["sat"])
            order = [one[1] for one in tables()]
            rows = sorted(known.values(), key=lambda row: order.index(row["target"]))
            given["json"].write_text(json.dumps({"rows": rows}, indent=1, ensure_ascii=False) + "\n", "utf-8")
        print(shown(known[name]), flush=True)


if __name__ == "__main__":
    main()
