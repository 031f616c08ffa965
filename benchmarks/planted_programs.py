"""Programs written into weights and read out again: the finite-state tasks of the MIPS benchmark.

    python benchmarks/planted_programs.py    # some minutes; writes benchmarks/results/planted_programs.json

Each task's minimal machine is compiled into an Elman network. What `extract` reads is held against the task: equality
with the definition on the target's examples, the scope of the proof for the network, whether short formulas were found
for the transition, and the length beside the table's.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

from allroads import compile_program, extract
from allroads.programs.mealy import Machine
from allroads.targets import build_target
from allroads.targets.mips import MIPS_TASKS

RESULT = Path(__file__).parent / "results" / "planted_programs.json"


def main() -> None:
    """Compile, extract, print and write."""
    rows = []
    print(f"{'task':28} {'states':>6} {'status':12} {'scope':12} {'equal':5} {'formula':7} {'bits':>7} {'seconds':>7}")
    for task in MIPS_TASKS:
        target = build_target("sequence", task=task)
        if "machine" not in target.truth or target.interface.vocabulary is None:
            continue
        machine = Machine.of(target.truth["machine"])
        began = time.perf_counter()
        length = target.interface.input_shape[0]
        found = extract(*compile_program(machine, length=length), target)
        row = {
            "task": task,
            "states": machine.states,
            "status": found.status.value,
            "scope": None if found.equivalence is None else found.equivalence.scope,
            "equal": bool(found.correct and found.correct.equal),
            "formula": found.program is not None and getattr(found.program, "rule", None) is not None,
            "bits": found.value,
            "seconds": round(time.perf_counter() - began, 1),
            "source": None if found.program is None else found.program.source,
        }
        rows.append(row)
        print(
            f"{task:28} {row['states']:6} {row['status']:12} {row['scope'] or '–':12} {row['equal']!s:5} "
            f"{row['formula']!s:7} {row['bits']:7.0f} {row['seconds']:7}",
            flush=True,
        )
    summary = {
        "tasks": len(rows),
        "equal": sum(row["equal"] for row in rows),
        "all_lengths": sum(row["scope"] == "all lengths" for row in rows),
        "formulas": sum(row["formula"] for row in rows),
    }
    print(summary)
    RESULT.write_text(
        json.dumps({"command": "python benchmarks/planted_programs.py", **summary, "rows": rows}, indent=1) + "\n"
    )


if __name__ == "__main__":
    main()
