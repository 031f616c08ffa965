"""The two tables: targets and runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from .domain import DOMAINS, load_domain

DATA = Path(__file__).parent / "data"

TARGETS = {
    "target": pl.String,
    "family": pl.String,
    "domain": pl.String,
    "examples": pl.Int32,
    "train_examples": pl.Int32,
    "outputs": pl.Int32,
    "loss": pl.String,
    "majority_baseline": pl.Float32,
    "constant_loss": pl.Float32,
    "threshold": pl.Float32,
}
RUNS = {
    "target": pl.String,
    "family": pl.String,
    "domain": pl.String,
    "map": pl.String,
    "depth": pl.Int32,
    "width": pl.Int32,
    "activation": pl.String,
    "parameters": pl.Int32,
    "explorer": pl.String,
    "learning_rate": pl.Float64,
    "batch": pl.Int32,
    "seed": pl.Int32,
    "loss_name": pl.String,
    "budget": pl.Int32,
    "threshold": pl.Float32,
    "steps_to_learn": pl.Float32,
    "learned": pl.Boolean,
    "examples_seen": pl.Float32,
    "final_train_loss": pl.Float32,
    "train_accuracy": pl.Float32,
    "held_out_accuracy": pl.Float32,
    "stage_count": pl.Int32,
    "directness": pl.Float32,
    "turning": pl.Float32,
    "status": pl.String,
    "steps": pl.List(pl.Int32),
    "losses": pl.List(pl.Float32),
    "cell": pl.String,
    "pack": pl.String,
}


def target_rows() -> list[dict[str, Any]]:
    """One row a target."""
    return [
        {
            "target": name,
            "family": task.family,
            "domain": domain,
            "examples": len(data.inputs),
            "train_examples": len(data.train),
            "outputs": data.labels(name)[0].size if data.loss == "mse" else data.outputs,
            "loss": data.loss,
            "majority_baseline": data.majority_baseline(name),
            "constant_loss": data.constant_loss(name),
            "threshold": data.threshold(name),
        }
        for domain in DOMAINS
        for data in [load_domain(domain)]
        for name, task in data.tasks.items()
    ]


def cells_in(folder: Path) -> int:
    """How many cells the table in a folder has, 0 where there is none."""
    path = folder / "runs.parquet"
    return pl.scan_parquet(path).select(pl.len()).collect().item() if path.exists() else 0


def write_tables(rows: list[dict[str, Any]], folder: Path = DATA) -> None:
    """Both tables, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content, schema in (("targets", target_rows(), TARGETS), ("runs", rows, RUNS)):
        beside = folder / f"{name}.parquet.tmp"
        pl.DataFrame(content, schema=schema).write_parquet(beside, compression="zstd", compression_level=15)
        beside.replace(folder / f"{name}.parquet")
