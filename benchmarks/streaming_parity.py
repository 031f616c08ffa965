"""Streaming parity along training: which machine a network of saturating units is, from random weights to the proof.

    python benchmarks/streaming_parity.py     # a few minutes; writes benchmarks/results/streaming_parity.json

One network is trained on the parities of all prefixes of words of 10 bits. Its machine is extracted before training and
at 24 checkpoints. The states *merge* at the first checkpoint from which on every machine has two states and is the
parity machine.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from mips.judge import judge
from mips.networks import Plan
from mips.train import train

from allroads import extract
from allroads.programs.mealy import Machine
from allroads.programs.mealy.cells import Steps
from allroads.programs.mealy.read import read
from allroads.programs.subject import Subject, subject_of
from allroads.targets import build_target

RESULT = Path(__file__).parent / "results" / "streaming_parity.json"
PLAN = Plan("second order", 8, 1200, 2e-3, noise=0.5, gain=4.0, decay=1.0, batch=64)
CHECKPOINTS = 24
LENGTH, HALF = 10, 5
SECONDS = 3.0
"""Time that a search for states, or a proof, may take at one checkpoint."""


def halfway(subject: Subject) -> int:
    """States after five letters that the network tells apart by its answers to all words of five more: up to 32."""
    steps = Steps(subject)
    words = np.indices((2,) * LENGTH).reshape(LENGTH, -1).T
    answers = steps.run(np.repeat(steps.start(), len(words), axis=0), words)[1][..., 0]
    # Words with one beginning lie side by side.
    return len({row.tobytes() for row in answers[:, HALF:].reshape(2**HALF, -1)})


def main() -> None:
    """Train, extract at each checkpoint, print and write."""
    target = build_target("sequence", task="Parity_All", length=LENGTH)
    truth = Machine.of(target.truth["machine"])
    every = PLAN.steps // CHECKPOINTS
    trained = train(target, PLAN, 0, every=every, stop=False)
    network = PLAN.network(target.interface)
    rows = []
    print(f"{'step':>5} {'accuracy':>8} {'halfway':>9} {'states':>6} {'scope':12} parity")
    for step, point, accuracy in trained.kept:
        found = read(subject_of(network, point, target), 0, seconds=SECONDS)
        machine = found.program if isinstance(found.program, Machine) else None
        equal = found.equivalence is not None and found.equivalence.equal
        seen = halfway(subject_of(network, point, target))
        row = {
            "step": step,
            "states_halfway": seen,
            "held_out_accuracy": accuracy,
            "states": None if machine is None else machine.states,
            "scope": found.equivalence.scope if found.equivalence is not None and equal else None,
            "parity": machine is not None and machine.equals(truth).equal,
            "interchange": None if found.interchange is None else found.interchange.value,
            "why": found.why,
        }
        rows.append(row)
        states = "–" if machine is None else str(machine.states)
        print(
            f"{step:5} {accuracy:8.4f} {seen:>9} {states:>6} {row['scope'] or '–':12} {row['parity']}",
            flush=True,
        )
    wrong = [i for i, row in enumerate(rows) if not (row["parity"] and row["states"] == 2)]
    later = rows[wrong[-1] + 1 :] if wrong else rows
    proved = [row["step"] for row in rows if row["scope"] == "all lengths" and row["parity"]]
    last = extract(network, trained.kept[-1][1], target)
    summary = {
        "merged_at_step": later[0]["step"] if later else None,
        "first_proved_at_step": proved[0] if proved else None,
        "final": str(last.equivalence),
        "final_margin": None if last.equivalence is None else last.equivalence.margin,
        "final_source": None if last.program is None else last.program.source,
        "fresh_sequences_equal": last.program is not None and judge(last.program, target).equal,
        "states_halfway": [row["states_halfway"] for row in rows],
    }
    print(json.dumps(summary, indent=1))
    RESULT.write_text(
        json.dumps({"command": "python benchmarks/streaming_parity.py", **summary, "rows": rows}, indent=1) + "\n"
    )


if __name__ == "__main__":
    main()
