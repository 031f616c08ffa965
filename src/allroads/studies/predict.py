"""What a study's targets will take to learn, before anything runs: predicted, and shown on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from allroads.errors import WorkerError

if TYPE_CHECKING:
    import polars as pl


def predict_study(
    config: str | Path | Mapping[str, Any], overrides: Sequence[str] = (), learn: int = 0
) -> pl.DataFrame:
    """Predict every target of a study from the maps at the start; nothing is written.

    Args:
        config: A TOML file, the name of a built-in study, or the configuration as nested dicts and lists.
        overrides: ``key=value`` strings such as ``grid.0.steps=4000``.
        learn: Targets of each network and explorer to learn first, so that the law knows the map; else nothing is
            trained.

    Returns:
        One row a target, architecture and explorer, with the columns of ``forecasts.parquet`` that need no run.

    Raises:
        ConfigError: If the study cannot be used.
        WorkerError: If the user's own target or network fails.

    Example:
        A sampler has no goal to arrive at:

        >>> study = {
        ...     "name": "a sampler",
        ...     "grid": [{
        ...         "name": "a", "seeds": 1, "steps": 200,
        ...         "target": [{"kind": "boolean", "bits": 4, "rule": "parity"}],
        ...         "architecture": [{"kind": "mlp", "widths": [16]}],
        ...         "explorer": [{"kind": "sgld", "nbeta": 4.0}],
        ...     }],
        ... }
        >>> predict_study(study).select("predicted", "status").rows()
        [(None, 'not applicable')]
    """
    import polars as pl

    from allroads.studies.built import precision
    from allroads.studies.failures import Failure, reason
    from allroads.studies.graph import plan_runs, units_of
    from allroads.studies.measures.forecasts import MEASURE, PREDICTED, ForecastOptions, predict
    from allroads.studies.measures.measure import LABELS, checked_table
    from allroads.studies.plan import make_plan
    from allroads.studies.toml import load_study
    from allroads.studies.units import Reader, Unit

    plan = make_plan(*load_study(config, overrides))
    tables = [pl.DataFrame(schema={**LABELS, **PREDICTED})]
    for ref in units_of("map", plan, plan_runs(plan)):
        unit = Unit(ref, Reader())
        try:
            with precision(unit.run.recipe.precision):
                rows = predict(unit, ForecastOptions(learn=learn))
            table = checked_table(rows, PREDICTED)
        except Exception as error:
            raise WorkerError(str(Failure(plan.study.name, MEASURE.name, ref.describe, reason(error)))) from error
        labels = [pl.Series(name, [run.labels[name] for run in unit.firsts]) for name in LABELS]
        tables.append(table.with_columns(labels).select(*LABELS, *PREDICTED))
    return pl.concat(tables)


def show_predictions(forecasts: pl.DataFrame, console: Console) -> None:
    """Print one table a grid, architecture and explorer, what is learned first on top.

    Args:
        forecasts: As :func:`predict_study` gives them.
        console: Where to.
    """
    for names, part in forecasts.group_by("grid", "architecture", "explorer", maintain_order=True):
        grid, architecture, explorer = names
        budget = part["budget"][0]
        console.print(f"\n{escape(architecture)} × {escape(explorer)}, {escape(grid)}", style="bold")
        if part["predicted"].null_count() == part.height and part["reason"].n_unique() == 1:
            console.print(escape(_why(part.row(0, named=True))))
            continue
        table = Table(box=None, pad_edge=False, header_style="")
        table.add_column("target", overflow="fold")
        for title in ("steps", "90 % interval", f"chance in {budget:,}"):
            table.add_column(title, justify="right", no_wrap=True)
        table.add_column("")
        for row in part.sort("predicted", nulls_last=True, maintain_order=True).iter_rows(named=True):
            table.add_row(*(escape(cell) for cell in _cells(row)))
        console.print(table)
    console.print("\nSteps until the training loss is a tenth of the best constant answer's.", style="dim")


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    if row["predicted"] is None:
        return row["target"], "–", "–", "–", _why(row)
    outside = f"outside of what the law was fitted on: {row['outside']}" if row["outside"] else ""
    interval = f"{row['low']:,.0f} … {row['high']:,.0f}"
    return row["target"], f"{row['predicted']:,.0f}", interval, f"{row['probability']:.0%}", outside


def _why(row: Mapping[str, Any]) -> str:
    """Why there is no prediction."""
    return f"{row['status']}: {row['reason']}"
