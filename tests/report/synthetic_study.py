"""A run directory as a study leaves it, made of numbers from formulas: quick to write and the same every time."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import polars as pl

from allroads.report.stored import SCHEMA_VERSION
from allroads.studies.measures.measure import QUESTIONS, Measure, Schema
from allroads.studies.measures.registry import known_measures
from allroads.studies.tables import schemas

MEASURES = {name: measure for name, measure in known_measures().items() if measure.options().enabled}
"""Those that a study takes where nothing is said."""
RUNS, CURVES, PAIRS, EMBEDDING = (schemas(MEASURES.values())[n] for n in ("runs", "curves", "pairs", "embedding"))
STRESS = {"explained_x": 0.58, "explained_y": 0.76, "explained_z": 0.83}

TRUTH = (3.0, 0.4)
ENDS = ("train_loss", "train_accuracy", "held_out_loss", "held_out_accuracy")


@dataclass(frozen=True)
class Task:
    """One target of a synthetic study: when its runs fit and generalise, and how many there are."""

    grid: str
    target: str
    fit: float = 100
    generalise: float | None = 300
    seeds: int = 8
    steps: int = 5000
    baseline: float = 0.5
    diverge: tuple[int, ...] = ()
    held_out: bool = True
    architectures: tuple[str, ...] = ("mlp 64-64",)
    accuracy: bool = True


BOOLEAN = (
    "and",
    "majority",
    "linear threshold",
    "junta of 3",
    "mux",
    "staircase",
    "random sparse",
    "parity of 2",
    "x0 & (x1 ^ x2)",
    "parity of 4",
    "random",
    "parity of 7",
)


def quickstart() -> list[Task]:
    """16 runs of modular addition, 12 Boolean targets × 8 seeds, 8 runs of the digits."""
    boolean = [
        Task("boolean", name, fit=12 * 1.55**i, generalise=None if name == "random" else 15 * 1.7**i, steps=3000)
        for i, name in enumerate(BOOLEAN)
    ]
    return [
        Task("modular", "a + b mod 53", fit=80, generalise=640, seeds=16, baseline=1 / 53),
        *boolean,
        Task(
            "digits",
            "digits 8×8",
            fit=40,
            generalise=60,
            steps=1000,
            baseline=0.1,
            diverge=(5,),
            architectures=("convolutional 8-16",),
        ),
    ]


def write_study(
    directory: Path,
    tasks: list[Task],
    *,
    name: str = "quickstart",
    records: int = 64,
    pairs: bool = True,
    embedding: bool = True,
    question: str | None = None,
) -> Path:
    """Write tables and summary of a study into ``directory`` and return it."""
    rng = np.random.default_rng(0)
    runs, curves, pair_rows, points = [], [], [], []
    for task in tasks:
        for architecture in task.architectures:
            group = {"grid": task.grid, "target": task.target, "architecture": architecture, "explorer": "adam"}
            ids = []
            for seed in range(task.seeds):
                cell = hashlib.sha256(repr((group, seed)).encode()).hexdigest()
                ids.append(cell[:10])
                run, curve, road = _run(task, seed, rng, records)
                runs.append({"run": cell[:10], "cell": cell, **group, "seed": seed, **run})
                curves += [{"run": cell[:10], **row} for row in curve]
                points += [
                    {"grid": task.grid, "target": task.target, "point": "run", "run": cell[:10], **row, **STRESS}
                    for row in road
                ]
            program = rng.integers(0, 3, size=len(ids))
            for a, b in combinations(range(len(ids)), 2) if pairs else ():
                same = program[a] == program[b]
                height = abs(rng.normal(0.05 if same else 0.9, 0.05))
                pair_rows.append(
                    {
                        **group,
                        "run_a": ids[a],
                        "run_b": ids[b],
                        "barrier_train": height,
                        "barrier_held_out": height * 1.3 if task.held_out else None,
                        "aligned_train": 0.3 * height,
                        "aligned_held_out": 0.39 * height if task.held_out else None,
                        "chance": task.baseline,
                        "agreement": min(1.0, 0.99 if same else 0.8 + rng.normal(0, 0.02)),
                    }
                )
        for point, x, y in (("start", 0.0, 0.0), ("target", *TRUTH)):
            points.append(
                {
                    "grid": task.grid,
                    "target": task.target,
                    "point": point,
                    "run": None,
                    "step": None,
                    "x": x,
                    "y": y,
                    "z": 0.0,
                    **STRESS,
                }
            )
    tables = directory / "tables"
    tables.mkdir(parents=True, exist_ok=True)
    for file, rows, schema in (
        ("runs", runs, RUNS),
        ("curves", curves, CURVES),
        ("pairs", pair_rows, PAIRS),
        ("embedding", points if embedding else [], EMBEDDING),
    ):
        pl.DataFrame(rows, schema=schema).write_parquet(tables / f"{file}.parquet")
    summary = _summary(tasks, runs, name, question)
    (tables / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    return directory


def described(measure: Measure) -> dict:
    """A measure as a summary has it."""
    columns = {"columns": list(measure.schema), "along": list(measure.along)}
    return {"name": measure.name, "scope": measure.scope, "table": measure.table, **columns}


def as_text(schema: Schema) -> dict[str, str]:
    """A schema as a summary has it."""
    return {column: str(kind) for column, kind in pl.Schema(schema).items()}


def add_table(directory: Path, measure: Measure, table: pl.DataFrame) -> None:
    """Put the table of one more measure beside those of a study."""
    table.write_parquet(directory / f"tables/{measure.table}.parquet")
    path = directory / "tables/summary.json"
    summary = json.loads(path.read_text(encoding="utf-8"))
    others = [known for known in summary["measures"] if known["name"] != measure.name]
    summary["measures"] = [*others, described(measure)]
    summary["tables"][measure.table] = as_text(table.schema)
    path.write_text(json.dumps(summary), encoding="utf-8")


def _run(task: Task, seed: int, rng: np.random.Generator, records: int) -> tuple[dict, list[dict], list[dict]]:
    steps = np.unique(np.concatenate([[0], np.geomspace(1, task.steps, records - 1).round()])).astype(int)
    diverged = seed in task.diverge
    if diverged:
        steps = steps[: len(steps) // 3]
    fit = task.fit * np.exp(rng.normal(0, 0.15))
    slow = (task.generalise or 1e9) * np.exp(rng.normal(0, 0.3))
    chance = task.baseline
    rise = [1 / (1 + (middle / np.maximum(steps, 0.5)) ** 4) for middle in (fit, slow)]
    train, held = (chance + (1 - chance) * r for r in rise)
    losses = [1e-4 + (1 - r) * -np.log(chance) + 0.0 * r for r in rise]
    losses[1] = losses[1] + (2.0 * (rise[0] - rise[1]) if task.generalise and slow > 2 * fit else 0.05)
    if diverged:
        losses[0] = losses[0] * np.exp(np.linspace(0, 4, len(steps)))
    learned = {}
    for key, accuracy in (("steps_to_fit", train), ("steps_to_generalise", held if task.held_out else 0 * held)):
        above = np.flatnonzero(accuracy >= 0.98)
        learned[key] = int(steps[above[0]]) if above.size and not diverged else None
    bend = rng.normal(1.2, 0.35)
    x, y = 3 * (0.3 * rise[0] + 0.7 * rise[1]), bend * np.sin(np.pi * rise[0]) + 0.4 * rise[1] + 0.1 * rng.normal()
    road = [{"step": int(s), "x": float(a), "y": float(b), "z": 0.0} for s, a, b in zip(steps, x, y, strict=True)]
    certified, joint, share = _stretches(x, y)
    directness = None if diverged else float(np.clip(0.95 - 0.06 * np.log(slow) - 0.1 * abs(bend), 0.05, 1))
    none = [None] * len(steps)
    accuracy = [a.tolist() for a in (train, held)] if task.accuracy else [none, none]
    curve = [
        {
            "step": int(s),
            "train_loss": a,
            "train_accuracy": b,
            "held_out_loss": c if task.held_out else None,
            "held_out_accuracy": d if task.held_out else None,
            "certified": falls,
            "joint": ends,
        }
        for s, a, b, c, d, falls, ends in zip(
            steps, losses[0].tolist(), accuracy[0], losses[1].tolist(), accuracy[1], certified, joint, strict=True
        )
    ]
    last = {key: curve[-1][key] for key in curve[-1] if key in ENDS}
    run = {
        "status": "diverged" if diverged else "ok",
        "steps": task.steps,
        "last_step": int(steps[-1]),
        "parameters": 12_480,
        **learned,
        **last,
        "baseline_train_accuracy": chance if task.accuracy else None,
        "baseline_held_out_accuracy": chance if task.accuracy and task.held_out else None,
        "chart": "sphere",
        "directness": directness,
        "directness_status": "diverged" if diverged else "ok",
        "turning": None if diverged else 3 + 6 * abs(bend) + np.log(slow),
        "turning_status": "diverged" if diverged else "ok",
        "certified_share": share,
        "certified_status": "ok",
        "stages": sum(joint) + 1,
        "gradients": int(steps[-1]),
        "forwards": records,
        "examples": int(steps[-1] * 128),
    }
    return run, curve, road


def _stretches(x: np.ndarray, y: np.ndarray) -> tuple[list[bool | None], list[bool], float]:
    """Stretches that head for the target within 60 degrees, a joint at the bend, and their share of the length."""
    dx, dy = np.diff(x), np.diff(y)
    to_x, to_y = TRUTH[0] - x[1:], TRUTH[1] - y[1:]
    lengths = np.hypot(dx, dy)
    falls = dx * to_x + dy * to_y > 0.5 * lengths * np.hypot(to_x, to_y)
    joint = np.arange(len(x)) == np.clip(y.argmax(), 1, len(x) - 2)
    return [None, *falls.tolist()], joint.tolist(), float(lengths[falls].sum() / lengths.sum())


def _summary(tasks: list[Task], runs: list[dict], name: str, question: str | None) -> dict:
    grids: dict[str, dict] = {}
    questions = {
        "modular": "Do small networks memorise the addition table first and find the rule later?",
        "boolean": "Which Boolean functions of seven bits does one architecture learn, and how slowly?",
        "digits": "Does the same picture hold on real images?",
    }
    for task in tasks:
        entry = grids.setdefault(
            task.grid,
            {"name": task.grid, "question": questions.get(task.grid, ""), "targets": []},
        )
        entry["targets"].append(
            {
                "name": task.target,
                "loss": "cross_entropy",
                "train_examples": 842,
                "truth": {"degree": 3},
                "held_out_examples": 1967 if task.held_out else None,
                "baseline": {"train_accuracy": task.baseline, "held_out_accuracy": task.baseline},
            }
        )
    findings = [
        {
            "text": "All 16 runs learned a + b mod 53: the median run fitted the training pairs at step 80 and "
            "generalised at step 640, 8 times later.",
            "chart": "learning",
            "grid": "modular",
            "question": "learnable",
            "headline": True,
        },
        {
            "text": "10 of 12 Boolean targets were learned by every seed; the slowest needed 110 times the steps of "
            "the fastest.",
            "chart": "learning",
            "grid": "boolean",
            "question": "learnable",
            "headline": False,
        },
        {
            "text": "Runs on direct roads learned sooner: the rank correlation of directness with steps to learn is "
            "−0.81 (95 % interval −0.87 to −0.72).",
            "chart": "directness",
            "grid": "boolean",
            "question": "road",
            "headline": True,
        },
        {
            "text": "Independent runs of modular addition agree on 91 % of held-out pairs, and 40 of 120 pairs have no "
            "barrier between them.",
            "chart": "pairs",
            "grid": "modular",
            "question": "elsewhere",
            "headline": True,
        },
        {
            "text": "7 of 8 runs learned the digits, to 97.1 % ± 0.4 of held-out images.",
            "chart": "runs",
            "grid": "digits",
        },
    ]
    counts: dict[str, int] = {}
    for run in runs:
        counts[run["status"]] = counts.get(run["status"], 0) + 1
    return {
        "schema_version": SCHEMA_VERSION,
        "measures": [described(measure) for measure in MEASURES.values()],
        "tables": {name: as_text(schema) for name, schema in schemas(MEASURES.values()).items()},
        "name": name,
        "question": question
        or "Which roads does learning take through function space, and do direct ones get there first?",
        "grids": list(grids.values()),
        "questions": dict(QUESTIONS),
        "findings": findings if set(grids) >= {"modular", "boolean", "digits"} else [],
        "quantities": [
            {
                "name": "directness",
                "symbol": "d",
                "definition": "Chord over arc of the path of outputs on the probes.",
                "conventions": "Resampled to 256 points of equal arc length.",
                "source": "this library",
            },
            {
                "name": "turning",
                "symbol": "τ",
                "definition": "Total turning of the path's tangent, in radians.",
                "conventions": "On the same resampled path.",
                "source": "lucas2021",
            },
            {
                "name": "barrier",
                "symbol": "B",
                "definition": "Largest excess of the loss on the straight segment "
                "between two ends over the line between their losses.",
                "conventions": "25 points.",
                "source": "frankle2020",
            },
            {
                "name": "InPCA",
                "symbol": "",
                "definition": "Embedding of probability vectors by Bhattacharyya distance.",
                "conventions": "Axes sorted by absolute eigenvalue.",
                "source": "mao2024",
            },
        ],
        "status_counts": counts,
        "cost": {"seconds": 212.4, "gradients": 481_000, "examples": 4.9e8},
        "provenance": {
            "versions": {"allroads": "0.1.0", "jax": "0.10.2"},
            "device": "cpu",
            "threads": 2,
            "command": "allroads run quickstart",
            "git": {"commit": "abc123", "dirty": False},
        },
        "config_toml": '[study]\nname = "quickstart"\nseed = 0\n\n[[grid]]\nname = "modular"\n'
        'target = { kind = "modular", p = 53 }\nseeds = 16\n',
    }
