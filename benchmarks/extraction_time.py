"""Time of extraction beside time of training, and its growth with states and with hidden size.

    python benchmarks/extraction_time.py    # some minutes; writes benchmarks/results/extraction_time.json

Training: a GRU of width 16 learns a task at length 8 by Adam, and is read. Growth with states: the sum modulo m of
m letters, compiled. Growth with hidden size: the sum modulo 5, its units copied with shared weights to larger sizes.
All on one thread; a first extraction of another network comes before each, so that only its own is compiled anew.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
from program_networks import fit

from allroads import Network, Target, compile_program, extract
from allroads.networks.recurrent import recurrent
from allroads.programs.mealy import Machine
from allroads.targets import build_target

RESULT = Path(__file__).parent / "results" / "extraction_time.json"
TRAINED = (("Parity_All", 400), ("Div_3", 600), ("Bit_Shift_Right", 300))
STATES = (3, 4, 6, 8, 12, 16, 24, 32)
COPIES = (1, 2, 4, 8)


def timed(network: Network, params: Any, target: Target) -> dict[str, Any]:
    """What is read, and the seconds that it takes: wall clock, and of this process."""
    began, own = time.perf_counter(), time.process_time()
    found = extract(network, params, target)
    return {
        "seconds": round(time.perf_counter() - began, 2),
        "cpu_seconds": round(time.process_time() - own, 2),
        "status": found.status.value,
        "scope": None if found.equivalence is None else found.equivalence.scope,
        "equal": bool(found.correct and found.correct.equal),
        "states": getattr(found.program, "states", None),
        "width": int(params["layers"][0]["bias"].size // (3 if "bias_new" in params["layers"][0] else 1)),
    }


def trained() -> list[dict[str, Any]]:
    """Training beside extraction."""
    rows = []
    for task, steps in TRAINED:
        target = build_target("sequence", task=task, length=8)
        network = recurrent((8,), 2, vocabulary=2, per_position=True, cell="gru", width=16)
        began, own = time.perf_counter(), time.process_time()
        assert target.full is not None
        labels = target.full.labels[None]
        [params] = fit(network, "cross_entropy", target.full.inputs, labels, [steps], rate=0.01, seed=1)
        training = {"training_seconds": round(time.perf_counter() - began, 2),
                    "training_cpu_seconds": round(time.process_time() - own, 2)}  # fmt: skip
        rows.append({"task": task, "steps": steps, **training, **timed(network, params, target)})
        print(rows[-1], flush=True)
    return rows


def addition(m: int) -> tuple[Machine, Target]:
    """The sum modulo m of letters 0, 1 and 2."""
    target = Target(f"sum modulo {m}", alphabet=3, length=6, initial_state=0,
                    step=lambda s, x: ((s + x) % m, (s + x) % m), output_alphabet=m)  # fmt: skip
    return Machine.of(target.truth["machine"]), target


def by_states() -> list[dict[str, Any]]:
    """Growth with the number of states."""
    rows = []
    for m in STATES:
        machine, target = addition(m)
        rows.append({"modulus": m, **timed(*compile_program(machine, length=6, output_alphabet=m), target)})
        print(rows[-1], flush=True)
    return rows


def by_width() -> list[dict[str, Any]]:
    """Growth with the hidden size: every unit k times, each with 1/k of the weights that leave it."""
    rows = []
    machine, target = addition(5)
    _, params = compile_program(machine, length=6, output_alphabet=5)
    layer, readout = params["layers"][0], params["readout"]
    for copies in COPIES:
        width = layer["bias"].size * copies
        network = recurrent((6,), 5, vocabulary=3, per_position=True, cell="elman", width=width)
        order = np.random.default_rng(0).permutation(width)
        wide = {
            "input": np.tile(layer["input"], (1, copies))[:, order],
            "hidden": (np.tile(layer["hidden"], (copies, copies)) / copies)[np.ix_(order, order)],
            "bias": np.tile(layer["bias"], copies)[order],
        }
        point = {"layers": [wide], "readout": {"weight": (np.tile(readout["weight"], (copies, 1)) / copies)[order],
                                               "bias": np.asarray(readout["bias"])}}  # fmt: skip
        rows.append({"copies": copies, **timed(network, point, target)})
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    """Measure, print and write."""
    machine, target = addition(4)
    timed(*compile_program(machine, length=6, output_alphabet=4), target)
    found: dict[str, Any] = {"command": "python benchmarks/extraction_time.py"}
    for name, measure in (("trained", trained), ("by_states", by_states), ("by_width", by_width)):
        found[name] = measure()
        RESULT.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
