"""What a study stored, as the report reads it: its tables and a summary."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from allroads.errors import StoreError

SCHEMA_VERSION = 1

_GROUP = {"grid": pl.String, "target": pl.String, "architecture": pl.String, "explorer": pl.String}

RUNS = {
    "run": pl.String,
    "cell": pl.String,
    **_GROUP,
    "seed": pl.Int64,
    "status": pl.String,
    "steps": pl.Int64,
    "last_step": pl.Int64,
    "parameters": pl.Int64,
    "steps_to_fit": pl.Int64,
    "steps_to_generalise": pl.Int64,
    "train_loss": pl.Float64,
    "train_accuracy": pl.Float64,
    "held_out_loss": pl.Float64,
    "held_out_accuracy": pl.Float64,
    "baseline_train_accuracy": pl.Float64,
    "baseline_held_out_accuracy": pl.Float64,
    "chart": pl.String,
    "directness": pl.Float64,
    "directness_status": pl.String,
    "turning": pl.Float64,
    "turning_status": pl.String,
    "certified_share": pl.Float64,
    "certified_status": pl.String,
    "stages": pl.Int64,
    "gradients": pl.Float64,
    "forwards": pl.Float64,
    "examples": pl.Float64,
}
CURVES = {
    "run": pl.String,
    "step": pl.Int64,
    "train_loss": pl.Float64,
    "train_accuracy": pl.Float64,
    "held_out_loss": pl.Float64,
    "held_out_accuracy": pl.Float64,
    "certified": pl.Boolean,
    "joint": pl.Boolean,
}
LATER = {"certified_share", "certified_status", "stages", "certified", "joint"}
"""Columns that studies stored before there were any lack: null there."""
PAIRS = {
    **_GROUP,
    "run_a": pl.String,
    "run_b": pl.String,
    "barrier_train": pl.Float64,
    "barrier_held_out": pl.Float64,
    "agreement": pl.Float64,
}
EMBEDDING = {
    "grid": pl.String,
    "target": pl.String,
    "point": pl.String,
    "run": pl.String,
    "step": pl.Int64,
    "x": pl.Float64,
    "y": pl.Float64,
    "z": pl.Float64,
}
LLC = {
    "run": pl.String,
    "step": pl.Int64,
    "value": pl.Float64,
    "error": pl.Float64,
    "status": pl.String,
    "stage": pl.Boolean,
}
FORECASTS = {
    **_GROUP,
    "run": pl.String,
    "actual": pl.Float64,
    "within": pl.Boolean,
    "budget": pl.Int64,
    "predicted": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "probability": pl.Float64,
    "status": pl.String,
    "reason": pl.String,
}


@dataclass(frozen=True)
class Stored:
    """The tables and the summary of one run directory.

    Attributes:
        directory: The run directory.
        runs: One row a run.
        curves: One row a run and recorded step.
        pairs: One row a pair of runs of one group.
        embedding: One row a point of the function-space picture of one target.
        llc: One row a run and checkpoint; empty where learning coefficients were not asked for.
        forecasts: One row a run, or a prediction of which none is finished; empty where none were asked for.
        summary: ``summary.json``, as a dict.
    """

    directory: Path
    runs: pl.DataFrame
    curves: pl.DataFrame
    pairs: pl.DataFrame
    embedding: pl.DataFrame
    llc: pl.DataFrame
    forecasts: pl.DataFrame
    summary: dict[str, Any]

    def explained_stress(self, grid: str, target: str) -> list[float]:
        """Cumulative explained stress of the first axes for one target; empty where it was not measured."""
        for entry in self.summary.get("grids", []):
            if entry.get("name") == grid:
                return list((entry.get("explained_stress") or {}).get(target) or [])
        return []


def read_stored(directory: str | Path) -> Stored:
    """Read what the report needs from a run directory.

    Args:
        directory: The run directory; its folder ``tables`` is read and nothing else.

    Raises:
        StoreError: The study is unfinished, or a table or the summary is missing, cannot be read, lacks a column, or
            has a newer schema.
    """
    tables = Path(directory) / "tables"
    if not tables.is_dir() and (Path(directory) / "study.json").is_file():
        raise StoreError(
            f"the study in {directory} is unfinished: it stopped before its tables were written. Run the same "
            "`allroads run` command again: what it finished is kept."
        )
    if not tables.is_dir():
        raise StoreError(
            f"{directory} holds no folder 'tables', so it is not the directory of a study that ran: "
            f"give the directory that `allroads run STUDY --out DIR` wrote to."
        )
    return Stored(
        directory=Path(directory),
        runs=_read_table(tables / "runs.parquet", RUNS).sort("grid", "target", "architecture", "explorer", "seed"),
        curves=_read_table(tables / "curves.parquet", CURVES).sort("run", "step"),
        pairs=_read_table(tables / "pairs.parquet", PAIRS),
        embedding=_read_table(tables / "embedding.parquet", EMBEDDING).sort("run", "step"),
        llc=_read_asked(tables / "llc.parquet", LLC).sort("run", "step"),
        forecasts=_read_asked(tables / "forecasts.parquet", FORECASTS),
        summary=_read_summary(tables / "summary.json"),
    )


def _read_asked(path: Path, schema: dict[str, Any]) -> pl.DataFrame:
    """A table that is there only where a study asked for it."""
    return _read_table(path, schema) if path.exists() else pl.DataFrame(schema=schema)


_REMEDY = "Run the study again (`allroads run` with the same study and directory): finished cells are kept."


def _read_table(path: Path, schema: dict[str, Any]) -> pl.DataFrame:
    if not path.is_file():
        raise StoreError(f"{path} is missing. {_REMEDY}")
    try:
        table = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise StoreError(f"{path} cannot be read as a parquet table ({error}). {_REMEDY}") from error
    absent = [column for column in schema if column not in table.columns]
    missing = [column for column in absent if column not in LATER]
    if missing:
        raise StoreError(f"{path} lacks the columns {', '.join(missing)}. {_REMEDY}")
    table = table.with_columns(pl.lit(None).alias(column) for column in absent)
    try:
        table = table.select(pl.col(column).cast(dtype) for column, dtype in schema.items())
    except pl.exceptions.PolarsError as error:
        raise StoreError(f"{path} has a column of another kind than expected ({error}). {_REMEDY}") from error
    finite = pl.selectors.float()
    return table.with_columns(pl.when(finite.is_finite()).then(finite))


def _read_summary(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise StoreError(f"{path} is missing. {_REMEDY}")
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise StoreError(f"{path} cannot be read as JSON ({error}). {_REMEDY}") from error
    if not isinstance(summary, dict) or summary.get("schema_version") != SCHEMA_VERSION:
        found = summary.get("schema_version") if isinstance(summary, dict) else type(summary).__name__
        raise StoreError(
            f"{path} has schema version {found!r}, and this allroads reads version {SCHEMA_VERSION}: "
            f"use the version of allroads that wrote it, or run the study again."
        )
    return summary
