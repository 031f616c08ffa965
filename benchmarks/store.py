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

from allroads.studies.canonical import canonical
from allroads.studies.graph import Node, plan_study
from allroads.studies.store import SCHEMA_VERSION, Store
from allroads.studies.threads import cores
from allroads.studies.toml import load_study
from allroads.studies.trajectories import Recorded, write_cell
from allroads.studies.units import chunk_files

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

LENGTH = 16
"""Records of a run."""


def made_up_run(member: int, params: int) -> Recorded:
    """Weights of one run, random; its first array is ``params`` units wide."""
    random = np.random.default_rng(member)
    weights = {"layers": [{"weight": random.random((LENGTH, 7, params), np.float32)}]}
    return Recorded(np.arange(LENGTH), weights, "made up", "ok", 100, gradients=100, examples=10200)


def made_up_chunk(node: Node, chunk: tuple[int, ...]) -> tuple[dict, dict[str, bytes]]:
    """An entry with results of one measure for some runs: the same number everywhere."""
    made_up = {pl.String: "ok", pl.Int64: 1, pl.Float64: 0.5, pl.Boolean: True}
    row = {name: made_up[kind] for name, kind in node.measure.stored.items()}
    along = {name: [made_up[kind]] * LENGTH for name, kind in node.measure.along.items()}
    arrays = {} if row else {"values": np.full((LENGTH, 128, 1), 0.5, np.float32)}
    tables = (pl.DataFrame([row]) if row else pl.DataFrame(), pl.DataFrame(along), arrays)
    return {"units": [node.keys[index] for index in chunk]}, chunk_files([tables] * len(chunk))


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
        plan, graph = plan_study(*load_study(study))
        store = Store(directory)

        began = time.perf_counter()
        for combination in plan.combinations:
            for member, cell in enumerate(combination.cells):
                identity = {**combination.recipe.identity, "member": member}
                write_cell(store, cell, {**combination.labels, "identity": identity}, made_up_run(member, 40))
        for node in graph.nodes.values():
            for chunk in node.chunks:
                store.write("measures", node.chunk_key(chunk), *made_up_chunk(node, chunk))
        seconds = {"write": time.perf_counter() - began}
        store.put("study.json", canonical({"schema_version": SCHEMA_VERSION}).encode())

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
