"""The store: 10,000 cells written and listed, and the resume of a finished study of that size.

The cells hold what a run of a small network leaves behind, made up here instead of trained: ten architectures
× 1,000 seeds on one Boolean target. Prints a table and writes ``benchmarks/results/store.json``.

    python benchmarks/store.py [--cells 10000]
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
from command_line import command_line

from allroads.studies.plan import make_plan
from allroads.studies.store import Store, arrays_bytes, table_bytes
from allroads.studies.threads import cores
from allroads.studies.toml import load_study

LIMITS = {"list": 2.0, "resume": 3.0}
"""Seconds that must not be exceeded."""

STUDY = """
name = "ten thousand"
question = "How fast is the store?"

[measures]
pairs = false
embedding = false

[[grid]]
name = "bits"
seeds = {seeds}
steps = 100
records = 16

[[grid.target]]
kind = "boolean"
bits = 7
rule = "majority"

{architectures}

[[grid.explorer]]
kind = "adam"
"""

SCALARS = {
    "status": "ok",
    "last_step": 100,
    "parameters": 337,
    "steps_to_fit": 50,
    "train_loss": 0.1,
    "train_accuracy": 1.0,
    "chart": "sphere",
    "directness": 0.5,
    "directness_status": "ok",
    "turning": 1.5,
    "turning_status": "ok",
    "gradients": 100,
    "forwards": 0,
    "examples": 10200,
}


def made_up_cell(member: int) -> dict[str, bytes]:
    """Curves, weights and values of one run, random."""
    random = np.random.default_rng(member)
    steps = np.arange(16)
    curves = {"step": steps, "train_loss": random.random(16), "train_accuracy": random.random(16)}
    weights = {
        "layers.0.weight": random.random((4, 7, 40), np.float32),
        "layers.1.weight": random.random((4, 40), np.float32),
    }
    return {
        "curves.parquet": table_bytes(pl.DataFrame(curves)),
        "weights.safetensors": arrays_bytes(weights),
        "values.safetensors": arrays_bytes({"values": random.random((16, 128, 1), np.float32), "steps": steps}),
    }


def timed(command: list[str]) -> float:
    """Seconds that a command takes, its start included."""
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cells", type=int, default=10_000)
    cells = parser.parse_args().cells
    with tempfile.TemporaryDirectory(prefix="allroads-store-") as folder:
        study, directory = Path(folder, "study.toml"), Path(folder, "run")
        widths = "\n".join(f'[[grid.architecture]]\nkind = "mlp"\nwidths = [{8 + n}]\n' for n in range(10))
        study.write_text(STUDY.format(seeds=cells // 10, architectures=widths))
        plan = make_plan(*load_study(study))
        store = Store(directory)

        began = time.perf_counter()
        for combination in plan.combinations:
            for member, cell in enumerate(combination.cells):
                identity = {**combination.recipe.identity, "member": member}
                header = {**combination.labels, "identity": identity, "scalars": SCALARS}
                store.write("cells", cell, header, made_up_cell(member))
        seconds = {"write": time.perf_counter() - began}
        store.put("study.json", b'{"schema_version":1}')

        allroads = [sys.executable, "-c", "from allroads.cli import main; main()"]
        run = [*allroads, "run", str(study), "--out", str(directory), "--no-report", "--engine", "process"]
        seconds["tables"] = timed(run)
        seconds["list"] = min(timed([*allroads, "list", str(directory), "--json"]) for _ in range(3))
        seconds["resume"] = min(timed(run) for _ in range(3))
        size = sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())

    print(f"{cells} cells, {size / 2**20:.0f} MiB; {platform.processor() or platform.machine()}, {cores()} cores")
    names = {
        "write": "write (fsync, checksum, rename)",
        "tables": "verify all, make the tables",
        "list": "allroads list DIR",
        "resume": "allroads run, finished",
    }
    for key, name in names.items():
        limit = f"  (limit {LIMITS[key]:.0f} s)" if key in LIMITS else ""
        print(f"{name:<34}{seconds[key]:8.2f} s{limit}")
    results = Path(__file__).parent / "results"
    results.mkdir(exist_ok=True)
    reached = all(seconds[key] < limit for key, limit in LIMITS.items())
    body = {
        "command": command_line(),
        "cells": cells,
        "bytes": size,
        "seconds": seconds,
        "limits": LIMITS,
        "reached": reached,
        "cores": cores(),
    }
    (results / "store.json").write_text(json.dumps(body, indent=1) + "\n")
    sys.exit(0 if reached else 1)


if __name__ == "__main__":
    main()
