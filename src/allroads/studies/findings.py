"""What was found, in sentences made from the measurements, each with its spread and the chart that shows it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

RESAMPLES = 2000
"""Bootstrap samples behind an interval of a rank correlation."""


def findings(tables: Mapping[str, pl.DataFrame], summary: Mapping[str, Any]) -> list[dict[str, str]]:
    """Sentences for the top of the report and the end of a run.

    Medians come with the middle half of the values in brackets, rank correlations with a 95 % bootstrap interval over
    targets.

    Args:
        tables: ``runs``, ``pairs``, and ``llc`` and ``forecasts`` where they were asked for.
        summary: The study's summary, for the order of the grids.

    Returns:
        One dictionary a sentence: ``text``, ``chart`` (``learning``, ``llc``, ``roads``, ``directness``,
        ``forecasts``, ``pairs`` or ``runs``) and ``grid``.
    """
    grids = [grid["name"] for grid in summary["grids"]]
    runs = {name: tables["runs"].filter(pl.col("grid") == name) for name in grids}
    runs = {name: table for name, table in runs.items() if not table.is_empty()}
    pairs = {name: tables["pairs"].filter(pl.col("grid") == name) for name in runs}
    found = [(name, "runs", _diverged(table)) for name, table in runs.items()]
    found += [(name, "learning", _learned(table)) for name, table in runs.items()]
    found.append((next(iter(runs), ""), "roads", _certified(runs)))
    found += [(name, "directness", _directness(table)) for name, table in runs.items()]
    if "llc" in tables:
        found += [(name, "llc", _degeneracy(table, tables["llc"])) for name, table in runs.items()]
    if "forecasts" in tables:
        found += [(name, "forecasts", _predicted(tables["forecasts"].filter(pl.col("grid") == name))) for name in runs]
    found.append(
        (next(iter(runs), ""), "pairs", _ends({n: table for n, table in pairs.items() if not table.is_empty()}))
    )
    return [{"text": text, "chart": chart, "grid": name} for name, chart, text in found if text]


def _diverged(runs: pl.DataFrame) -> str:
    count = runs.filter(pl.col("status") != "ok").height
    return (
        f"{count} of {runs.height} runs diverged; every figure below is read up to their last finite step."
        if count
        else ""
    )


def _learned(runs: pl.DataFrame) -> str:
    targets = runs["target"].unique(maintain_order=True).to_list()
    return _learned_one(runs, targets[0]) if len(targets) == 1 else _learned_many(runs)


def _learned_one(runs: pl.DataFrame, target: str) -> str:
    fitted, generalised = runs["steps_to_fit"].drop_nulls(), runs["steps_to_generalise"].drop_nulls()
    text = f"{_share(len(fitted), runs.height)} fitted the training examples of {target}"
    text += f" ({_middle(fitted, 'median step {}')})" if len(fitted) else ""
    if runs["held_out_accuracy"].null_count() == runs.height:
        return text + "."
    text += f"; {_share(len(generalised), runs.height).lower()} generalised"
    if len(generalised):
        text += f" ({_middle(generalised, 'median step {}')})"
        delay = (runs["steps_to_generalise"] / runs["steps_to_fit"].clip(lower_bound=1)).drop_nulls()
        if len(delay) and float(delay.median()) >= 2:  # type: ignore[arg-type]
            text += f", {_middle(delay, '{} times later')}"
    accuracy, baseline = runs["held_out_accuracy"], runs["baseline_held_out_accuracy"].max()
    text += f". Held-out accuracy ends at {_middle(accuracy, '{}', 3)}"
    return text + (f"; a constant answer gives {baseline:.3f}." if baseline is not None else ".")


def _learned_many(runs: pl.DataFrame) -> str:
    by_target = runs.group_by("target", maintain_order=True).agg(
        pl.col("steps_to_fit").count().alias("fitted"),
        pl.col("steps_to_generalise").count().alias("generalised"),
        pl.len().alias("runs"),
        pl.col("steps_to_fit").median().alias("step"),
    )
    whole = by_target.filter(pl.col("fitted") == pl.col("runs")).sort("step")
    never = by_target.filter(pl.col("fitted") == 0)["target"].to_list()
    part = by_target.height - whole.height - len(never)
    text = f"Of {by_target.height} targets, {whole.height} were fitted by all their runs"
    if whole.height > 1:
        first, last = whole.row(0, named=True), whole.row(-1, named=True)
        text += f", from {first['target']} (median step {first['step']:.0f}) to {last['target']} ({last['step']:.0f})"
    text += f"; {part} by some of them" if part else ""
    text += f"; none fitted {_listed(never)} in {runs['steps'].max()} steps" if never else ""
    if runs["held_out_accuracy"].null_count() < runs.height:
        general = by_target.filter(pl.col("generalised") == pl.col("runs")).height
        lost = by_target.filter(pl.col("generalised") == 0)["target"].to_list()
        text += f". {general} were generalised by all their runs" + (f", {_listed(lost)} by none" if lost else "")
    return text + "."


def _directness(runs: pl.DataFrame) -> str:
    """Whether less direct roads take longer, where a grid has the five targets that it takes to ask."""
    measured = runs.drop_nulls(["directness", "steps_to_fit"])
    targets = measured["target"].n_unique()
    if targets < 5:
        return ""
    value, low, high = _rank_correlation(measured, "directness", "steps_to_fit")
    if np.isnan(value):
        return ""
    clear = "are not clearly related" if low <= 0 <= high else "go together"
    if high < 0:
        clear = "run against each other: less direct roads take longer"
    return (
        f"Directness of the road in function space ({runs['chart'][0]} chart) and steps to fit {clear}; over "
        f"{measured.height} fitted runs of {targets} targets their rank correlation is {_signed(value)} (95 % interval "
        f"over targets {_signed(low)} to {_signed(high)})."
    )


def _certified(grids: Mapping[str, pl.DataFrame]) -> str:
    """How much of the roads is certified and in how many stages they go, grid by grid."""
    shares, counts = [], []
    for name, table in grids.items():
        share, count = table["certified_share"].drop_nulls(), table["stages"].drop_nulls()
        if not share.is_empty():
            shares.append(f"{_middle(share * 100, '{} %')} ({name})")
            counts.append(f"{_middle(count, '{}')} ({name})")
    if not shares:
        return ""
    return (
        f"The median road is certified on {_listed(shares)} of its length: there the loss on its probes must fall. It "
        f"goes in direct stages, {_listed(counts)} of them."
    )


def _predicted(forecasts: pl.DataFrame) -> str:
    """How the predictions from the map at the start turned out; a correlation where there are five targets."""
    held = forecasts.drop_nulls(["run", "predicted"]).with_columns(pl.col("actual").fill_null(pl.col("budget")))
    if held.is_empty():
        return ""
    targets = held["target"].n_unique()
    text = "Predicted from the maps at the start, the steps to learn"
    if targets >= 5:
        value, low, high = _rank_correlation(held, "predicted", "actual")
        if not np.isnan(value):
            interval = f"95 % interval over {targets} targets {_signed(low)} to {_signed(high)}"
            text += f" have a rank correlation of {_signed(value)} with the actual ones ({interval}), and"
    return f"{text} lie in the predicted 90 % interval in {_share(held['within'].sum(), held.height).lower()}."


def _degeneracy(runs: pl.DataFrame, coefficients: pl.DataFrame) -> str:
    """What the learning coefficients of the last checkpoints come to; only the sound ones are numbers."""
    mine = coefficients.join(runs.select("run", "parameters"), on="run", maintain_order="left")
    ends = mine.filter(pl.col("step") == pl.col("step").max().over("run"))
    if ends.is_empty():
        return ""
    sound = ends.filter(pl.col("status").is_in(["converged", "scale-dependent"]))
    if sound.is_empty():
        counts = ", ".join(f"{count} {status}" for status, count in sorted(Counter(ends["status"]).items()))
        return f"No run ends at a point with a learning coefficient at nβ = n/ln n: {counts}."
    text = f"Where they end, {_share(len(sound), len(ends)).lower()} have a learning coefficient at nβ = n/ln n"
    value = f"{_middle(sound['value'], 'median {}', 1)}, of {_middle(sound['parameters'] / 2, '{}', 1)} at most"
    return f"{text}: {value}."


def _ends(pairs: Mapping[str, pl.DataFrame]) -> str:
    """Whether two runs of one setting end alike, grid by grid."""
    parts = []
    for name, table in pairs.items():
        held_out = table["barrier_held_out"].drop_nulls()
        barrier = table["barrier_train"] if held_out.is_empty() else held_out
        alike = _middle(table["agreement"] * 100, "{} %", 1)
        parts.append(f"{alike} of answers and a rise of {_middle(barrier, '{}', 2)} ({name})")
    if not parts:
        return ""
    return (
        "Two runs of one setting answer alike on held-out examples (training ones where none are held out), yet on the "
        f"straight line between their weights the loss rises: {'; '.join(parts)}."
    )


def _signed(number: float) -> str:
    return f"{number:+.2f}".replace("-", "−")


def _middle(values: pl.Series, form: str, digits: int = 0) -> str:
    """A median in its sentence, with the middle half of the values where they differ."""
    median, low, high = (float(np.quantile(values.to_numpy(), q)) for q in (0.5, 0.25, 0.75))
    shown = [f"{number:.{digits}f}" for number in (median, low, high)]
    spread = "" if shown[1] == shown[2] else f" [{shown[1]}–{shown[2]}]"
    return form.format(shown[0] + spread)


def _share(count: int, of: int) -> str:
    if count == of:
        return f"All {of} runs" if of > 1 else "The run"
    return f"{count} of {of} runs" if count else f"None of {of} runs"


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _rank_correlation(runs: pl.DataFrame, a: str, b: str) -> tuple[float, float, float]:
    """Spearman's coefficient with its 95 % interval: whole targets are drawn again, since their runs go together."""
    groups = [part.select(a, b).to_numpy() for part in runs.partition_by("target", maintain_order=True)]
    rng = np.random.default_rng(0)
    samples = [
        _spearman(np.concatenate([groups[i] for i in rng.integers(len(groups), size=len(groups))]))
        for _ in range(RESAMPLES)
    ]
    low, high = np.nanquantile(samples, [0.025, 0.975])
    return _spearman(np.concatenate(groups)), float(low), float(high)


def _spearman(table: np.ndarray) -> float:
    ranks = [pl.Series(column).rank().to_numpy() for column in table.T]
    if any(np.ptp(rank) == 0 for rank in ranks):
        return float("nan")
    return float(np.corrcoef(ranks)[0, 1])
