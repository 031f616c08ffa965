"""What a study stored, as the report reads it: its tables and a summary that says what they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from allroads.errors import StoreError

SCHEMA_VERSION = 2

ALWAYS = ("runs", "curves")
"""Tables that every study has."""

TYPES = {str(kind): kind for kind in (pl.String, pl.Int64, pl.Float64, pl.Boolean, pl.Int32, pl.Float32, pl.UInt32)}
"""Types that a summary names; a column of any other is taken as it is."""


@dataclass(frozen=True)
class Stored:
    """The tables and the summary of one run directory.

    Attributes:
        directory: The run directory.
        tables: By name; ``runs`` (one row per run) and ``curves`` (one row per run and recorded step) among them.
        summary: ``summary.json``, as a dict.
    """

    directory: Path
    tables: Mapping[str, pl.DataFrame]
    summary: dict[str, Any]

    @property
    def runs(self) -> pl.DataFrame:
        """One row per run."""
        return self.tables["runs"]

    @property
    def curves(self) -> pl.DataFrame:
        """One row per run and recorded step."""
        return self.tables["curves"]

    @property
    def measures(self) -> list[dict[str, Any]]:
        """What the summary says of each measure that the study took."""
        return list(self.summary.get("measures") or [])


def read_stored(directory: str | Path) -> Stored:
    """Read what the report needs from a run directory.

    Args:
        directory: The run directory; its folder ``tables`` is read and nothing else.

    Raises:
        StoreError: The study is unfinished, or a table or the summary is missing, cannot be read, lacks a column, or
            has a newer schema.
    """
    folder = Path(directory) / "tables"
    if not folder.is_dir() and (Path(directory) / "study.json").is_file():
        raise StoreError(
            f"the study in {directory} is unfinished: it stopped before its tables were written. Run the same "
            "`allroads run` command again: what it finished is kept."
        )
    if not folder.is_dir():
        raise StoreError(
            f"{directory} holds no folder 'tables', so it is not the directory of a study that ran: "
            f"give the directory that `allroads run STUDY --out DIR` wrote to."
        )
    summary = _read_summary(folder / "summary.json")
    schemas: dict[str, dict[str, str]] = {**{name: {} for name in ALWAYS}, **(summary.get("tables") or {})}
    tables = {name: _read_table(folder / f"{name}.parquet", schema) for name, schema in schemas.items()}
    tables["runs"] = tables["runs"].sort("grid", "target", "architecture", "explorer", "seed")
    ordered = {name: t.sort("run", "step") if {"run", "step"} <= set(t.columns) else t for name, t in tables.items()}
    return Stored(Path(directory), ordered, summary)


_REMEDY = "Run the study again (`allroads run` with the same study and directory): finished cells are kept."


def _read_table(path: Path, schema: Mapping[str, str]) -> pl.DataFrame:
    if not path.is_file():
        raise StoreError(f"{path} is missing. {_REMEDY}")
    try:
        table = pl.read_parquet(path, glob=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise StoreError(f"{path} cannot be read as a parquet table ({error}). {_REMEDY}") from error
    if missing := [column for column in schema if column not in table.columns]:
        raise StoreError(f"{path} lacks the columns {', '.join(missing)}. {_REMEDY}")
    try:
        table = table.select(
            pl.col(column).cast(TYPES[kind]) if kind in TYPES else pl.col(column) for column, kind in schema.items()
        )
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
