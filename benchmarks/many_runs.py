"""A study of 100,000 runs: seconds and memory to plan it, list it, make its tables and write its report.

Twenty Boolean targets × ten architectures × 500 seeds. The cells and the results of measures are made up by formulas
and written by the store's own writer, which waits for no disk here; the plan, the list, the tables and the page are
made by the package as for any study. Every step is a process of its own, whose largest memory is taken. Prints a table
and writes ``benchmarks/results/many_runs.json``.

    python benchmarks/many_runs.py [--seeds 500] [--keep DIR]

With ``--keep`` the run directory stays, and a second call goes on where the first one stopped.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
from command_line import command_line

from allroads.studies.canonical import canonical
from allroads.studies.graph import Graph, Node, plan_study
from allroads.studies.plan import Plan
from allroads.studies.store import SCHEMA_VERSION, Store
from allroads.studies.threads import cores
from allroads.studies.toml import load_study
from allroads.studies.trajectories import Recorded, write_cell
from allroads.studies.units import KIND, chunk_files

TARGETS, WIDTHS, RECORDS, STEPS = 20, 10, 16, 3000
PROGRAMS, READ = 3000, 4
"""Programs that occur, and records of a run at which one is read."""
DISTINCT = 64
"""Seeds of a group after which what is made up begins again."""

LIMITS = {"plan": 10.0, "list": 10.0, "report": 60.0}
"""Seconds of processors that are not exceeded: those of the clock are no more where the machine does nothing else."""
MEGABYTES, GIGABYTES = 10.0, 2.0
"""Size of the page, and memory of each step."""

STUDY = """
name = "many runs"
question = "Which of twenty functions of five bits do ten widths learn, and by which programs?"

[measures]
pairs = false
embedding = false
certified = false
stages = false
turning = false
atlas = true

[measures.programs]
checkpoints = {read}

[[grid]]
name = "bits"
seeds = {seeds}
steps = {steps}
records = {records}

{targets}
{architectures}
[[grid.explorer]]
kind = "adam"
"""

AT = np.unique(np.concatenate([[0], np.geomspace(1, STEPS, RECORDS - 1).round()])).astype(int)
"""Steps of the records."""


def study_text(seeds: int) -> str:
    """The study's file."""
    target = (
        '[[grid.target]]\nkind = "boolean"\nbits = 5\nrule = "random"\nfunction_seed = {0}\nlabel = "function {0}"\n'
    )
    targets = "\n".join(target.format(at) for at in range(TARGETS))
    widths = "\n".join(f'[[grid.architecture]]\nkind = "mlp"\nwidths = [{4 + 4 * at}]\n' for at in range(WIDTHS))
    return STUDY.format(seeds=seeds, steps=STEPS, records=RECORDS, read=READ, targets=targets, architectures=widths)


def run_of(target: int, width: int, seed: int) -> dict:
    """What the measures of one run say, by formulas: when it fits and generalises, its curves, roads and programs."""
    random = np.random.default_rng([target, width, seed])
    fit = 30 * 1.15**target * 0.95**width * np.exp(random.normal(0, 0.25))
    slow = 2.5 * fit * np.exp(random.normal(0, 0.4)) if random.random() < 0.9 else np.inf
    rise = [1 / (1 + (middle / np.maximum(AT, 0.5)) ** 4) for middle in (fit, slow)]
    train, held = (0.5 + 0.5 * each for each in rise)
    losses = [1e-4 + 0.69 * (1 - each) for each in rise]
    walk = (random.normal(target * PROGRAMS / TARGETS, 60, READ - 1).astype(int)) % PROGRAMS
    end = (target * PROGRAMS // TARGETS) if np.isfinite(slow) else int(walk[-1])
    return {
        "along": {
            "train_loss": losses[0],
            "held_out_loss": losses[1],
            "train_accuracy": train,
            "held_out_accuracy": held,
        },
        "chart": "sphere",
        "train_loss": losses[0][-1],
        "held_out_loss": losses[1][-1],
        "train_accuracy": train[-1],
        "held_out_accuracy": held[-1],
        "baseline_train_accuracy": 0.5,
        "baseline_held_out_accuracy": 0.5,
        "steps_to_fit": _first(train),
        "steps_to_generalise": _first(held),
        "directness": float(np.clip(0.9 - 0.1 * np.log(fit / 30) + random.normal(0, 0.05), 0.05, 1)),
        "directness_status": "ok",
        "programs": [int(at) for at in (*walk, end)],
    }


def _first(accuracy: np.ndarray) -> int | None:
    above = np.flatnonzero(accuracy >= 0.98)
    return int(AT[above[0]]) if above.size else None


def program_rows(read: list[int]) -> pl.DataFrame:
    """Rows of the measure of programs."""
    steps = AT[np.linspace(0, len(AT) - 1, len(read)).round().astype(int)]
    names = [f"x{at % 5} & x{at % 3} | x{at % 4} ^ {at}" for at in read]
    return pl.DataFrame(
        {
            "step": steps,
            "status": "computes",
            "function": [f"{at % 40:032b}" for at in read],
            "language": "boolean",
            "bits": [float(8 + at % 57) for at in read],
            "equal": True,
            "scope": "exhaustive",
            "checked": 32,
            "correct": [False] * (len(read) - 1) + [read[-1] % (PROGRAMS // TARGETS) == 0],
            "interchange": 0.9,
            "source": [f"def program(x):\n    return {name}\n" for name in names],
            "canonical": [f"def program(x):\n    return {name}\n" for name in names],
            "parts": [["x0"]] * len(read),
            "why": "",
            "table_bits": 32.0,
        }
    )


def made_up(node: Node, runs: list[dict]) -> dict[str, bytes]:
    """The files of an entry with what one measure says of some runs."""
    measure = node.measure
    parts = []
    for said in runs:
        along = pl.DataFrame({name: said["along"][name] for name in measure.along}, strict=False)
        if measure.name == "programs":
            rows = program_rows(said["programs"])
            rows = rows.select(pl.col(name).cast(kind) for name, kind in measure.stored.items() if name in rows.columns)
        else:
            rows = pl.DataFrame([{name: said[name] for name in measure.stored}], schema=dict(measure.stored))
        arrays = {"values": np.zeros((len(AT), 4, 1), np.float32)} if measure.name == "values" else {}
        parts.append((rows, along, arrays))
    return chunk_files(parts)


def write_all(plan: Plan, graph: Graph, store: Store) -> None:
    """Every cell and every result that is not there yet; of each group, seeds that lie DISTINCT apart are alike."""
    os.fsync = lambda _: None  # what is measured here is not the disk
    weights = {"layers": [{"weight": np.full((2, 5, 4), 0.5, np.float32)}]}
    recorded = Recorded(AT, weights, "made up", "ok", STEPS, gradients=STEPS, examples=STEPS * 25)
    for run in graph.runs:
        if not store.has("cells", run.cell):
            identity = {**run.recipe.identity, "member": run.member}
            write_cell(store, run.cell, {**run.labels, "identity": identity}, recorded)
    said = cache(run_of)
    for node in graph.nodes.values():
        known: dict[tuple, dict[str, bytes]] = {}
        for chunk in node.chunks:
            name = node.chunk_key(chunk)
            if store.has(KIND, name):
                continue
            header = {"units": [node.keys[index] for index in chunk]}
            if node.measure.scope == "study":
                row = node.measure.compute(None, node.asked.options)
                store.write(KIND, name, header, chunk_files([(pl.DataFrame(row), pl.DataFrame(), {})]))
                continue
            runs = [node.units[index].runs[0] for index in chunk]
            alike = tuple(
                (*divmod(run.index // len(plan.combinations[0].cells), WIDTHS), run.member % DISTINCT) for run in runs
            )
            if alike not in known:
                known[alike] = made_up(node, [said(*one) for one in alike])
            store.write(KIND, name, header, known[alike])
    store.put("study.json", canonical({"schema_version": SCHEMA_VERSION, "study": {"name": plan.study.name}}).encode())


PLAN = "import sys; from allroads.studies.graph import plan_study; from allroads.studies.toml import load_study; "
PLAN += "plan_study(*load_study(sys.argv[1]))"


def timed(command: list[str]) -> dict[str, float]:
    """Seconds of the clock and of the processor that a process takes, its start included, and its largest memory."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, *command], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command} ended with code {process.returncode}")
    return {
        "seconds": time.perf_counter() - began,
        "processor": used.ru_utime + used.ru_stime,
        "gigabytes": used.ru_maxrss / 2**20,
    }


def measured(folder: Path, steps: dict[str, Callable[[], dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Each step with a line about it; those that were measured before are read again."""
    kept = folder / "steps.json"
    found: dict[str, dict[str, float]] = json.loads(kept.read_text()) if kept.is_file() else {}
    for name, step in steps.items():
        if name not in found:
            found[name] = step()
            kept.write_text(json.dumps(found))
        limit = f"  (limit {LIMITS[name]:.0f} s)" if name in LIMITS else ""
        told = "{processor:7.1f} s of processors, {seconds:7.1f} of the clock, {gigabytes:5.2f} GB"
        print(f"{name:<8}{told.format(**found[name])}{limit}", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=500)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--make", action="store_true", help="write the cells alone")
    given = parser.parse_args()
    folder = given.keep or Path(tempfile.mkdtemp(prefix="allroads-many-"))
    folder.mkdir(parents=True, exist_ok=True)
    study, directory = folder / "study.toml", folder / "run"
    study.write_text(study_text(given.seeds))
    if given.make:
        write_all(*plan_study(*load_study(study)), Store(directory))
        return
    # In a process of its own: Linux counts the memory of a parent to that of its children.
    subprocess.run([sys.executable, __file__, "--make", "--keep", folder, "--seeds", str(given.seeds)], check=True)
    allroads = ["-c", "from allroads.cli import main; main()"]
    run = [*allroads, "run", str(study), "--out", str(directory), "--no-report", "--engine", "process"]
    found = measured(
        folder,
        {
            "plan": lambda: timed(["-c", PLAN, str(study)]),
            "tables": lambda: timed(run),
            "list": lambda: timed([*allroads, "list", str(directory), "--json"]),
            "report": lambda: timed([*allroads, "report", str(directory)]),
        },
    )
    megabytes = (directory / "report.html").stat().st_size / 1e6
    groups = TARGETS * WIDTHS
    print(f"{groups * given.seeds} runs, {PROGRAMS} programs: a page of {megabytes:.1f} MB")
    in_time = all(found[name]["processor"] < limit for name, limit in LIMITS.items())
    reached = in_time and megabytes < MEGABYTES and all(step["gigabytes"] < GIGABYTES for step in found.values())
    body = {
        "command": command_line(),
        "runs": groups * given.seeds,
        "programs": PROGRAMS,
        "groups": groups,
        "steps": found,
        "megabytes": megabytes,
        "limits": {**LIMITS, "megabytes": MEGABYTES, "gigabytes": GIGABYTES},
        "reached": reached,
        "cores": cores(),
    }
    (Path(__file__).parent / "results/many_runs.json").write_text(json.dumps(body, indent=1) + "\n")
    if given.keep is None:
        shutil.rmtree(folder)
    sys.exit(0 if reached else 1)


if __name__ == "__main__":
    main()
