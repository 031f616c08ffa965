"""What pairs of runs say: whether another run ends at another function, and what lies between two ends."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import polars as pl

from allroads.studies.measures.intervals import median_over_pairs
from allroads.studies.measures.measure import LABELS, Finding, Tables
from allroads.studies.measures.sentences import by_grid, listed, middle, short

LEVEL = 0.01
"""A barrier that is not clearly above this share of the loss at the start is called no rise."""

Estimate = tuple[float, float, float]
"""A number with the ends of its interval, which are NaN where it has none."""


def findings(tables: Tables, grids: Sequence[str]) -> list[Finding]:
    """How alike two runs of one setting end, and how the loss goes on the straight line between them."""
    starts = _losses_at_start(tables)
    return [
        *by_grid(_agreement, "pairs", "elsewhere")(tables["pairs"], grids),
        *by_grid(lambda pairs: _barriers(pairs, starts), "pairs", "around")(tables["pairs"], grids),
    ]


def _agreement(pairs: pl.DataFrame) -> str:
    """Agreement beside chance: more than chance, less, or neither."""
    held = pairs.drop_nulls("agreement")
    if held.is_empty():
        return ""
    examples = "held-out" if held["barrier_held_out"].is_not_null().any() else "training"
    text = (
        f"The median pair gives the same answer on {middle(held['agreement'] * 100, '{} %', 1)} of {examples} examples"
    )
    known = held.drop_nulls("chance").with_columns(excess=pl.col("agreement") - pl.col("chance"))
    if known.is_empty():
        return f"{text}."
    text += f"; by chance it would be {middle(known['chance'] * 100, '{} %', 1)}."
    parts = [median_over_pairs(part, "excess") for part in _settings(known)]
    if len(parts) > 1:
        words = {1: "more than chance explains", -1: "less than chance would", 0: "no more than chance explains"}
        return f"{_counted(parts, _against(0.0), 'two runs agree', words)} {text}"
    excess, low, high = parts[0]
    text += f" The difference of {100 * excess:.1f} points"
    if math.isnan(low):
        return f"{text} has no interval: there are fewer than three runs."
    text += f" (95 % interval {100 * low:.1f} to {100 * high:.1f})"
    verdict = _against(0.0)(parts[0])
    if verdict > 0:
        return f"{text} is above zero: runs agree more than chance explains."
    if verdict < 0:
        return f"{text} is below zero: runs agree less than chance would."
    return f"{text} may be zero: agreement is no more than chance explains."


def _barriers(pairs: pl.DataFrame, starts: dict[str, float]) -> str:
    """How far the loss rises between ends, and what matching hidden units leaves of it."""
    held = pairs.drop_nulls("barrier_train")
    if held.is_empty():
        return ""
    parts = [(median_over_pairs(part, "barrier_train"), _start(part, starts)) for part in _settings(held)]
    rise, low, high = median_over_pairs(held, "barrier_train")
    number = f"median {short(rise)}" + ("" if math.isnan(low) else f", 95 % interval {short(low)}–{short(high)}")
    start = _start(held, starts)
    number += f", {short(100 * rise / start)} % of the loss at the start" if start and math.isfinite(rise) else ""
    where = "the training loss on the straight line between two ends"
    verdicts = [_against(LEVEL * (start or 0.0))(part) for part, start in parts]
    if len(parts) > 1:
        count = verdicts.count(1)
        text = f"In {count} of {len(parts)} settings {where} clearly rises ({number})."
    else:
        text = f"{where[0].upper()}{where[1:]} {'rises' if verdicts[0] > 0 else 'does not clearly rise'} ({number})."
    return f"{text} {_matched(held)}".rstrip()


def _matched(pairs: pl.DataFrame) -> str:
    """Whether matching hidden units lowers the barrier."""
    finite = pl.col("barrier_train").is_finite() & pl.col("aligned_train").is_finite()
    both = pairs.filter(finite).with_columns(fall=pl.col("barrier_train") - pl.col("aligned_train"))
    if both.is_empty():
        return ""
    parts = [median_over_pairs(part, "fall") for part in _settings(both)]
    left = f"median {short(median_over_pairs(both, 'aligned_train')[0])}"
    fewer = both.filter(pl.col("aligned_train") < pl.col("barrier_train")).height
    left += f"; lower in {fewer} of {both.height} pairs"
    words = {1: "lower", -1: "higher", 0: "not clearly lower or higher"}
    if len(parts) > 1:
        count = _counted(parts, _against(0.0), "the barrier is", words, " once hidden units are matched")
        return f"{count.removesuffix('.')} ({left})."
    return f"Once hidden units are matched, the barrier is {words[_against(0.0)(parts[0])]} ({left})."


def _settings(pairs: pl.DataFrame) -> list[pl.DataFrame]:
    """The pairs of each setting."""
    return pairs.partition_by([*LABELS], maintain_order=True)


def _against(level: float) -> Callable[[Estimate], int]:
    """1 where a number is clearly above a level, −1 where it is clearly below, 0 where neither can be said."""

    def verdict(estimate: Estimate) -> int:
        _, low, high = estimate
        return int(low > level) - int(high < level)

    return verdict


def _counted(
    parts: Sequence[Estimate],
    verdict: Callable[[Estimate], int],
    what: str,
    words: Mapping[int, str],
    after: str = "",
) -> str:
    """In how many settings it is more, less, or neither, by the word of each verdict.

    Example:
        >>> _counted([(2.0, 1.0, 3.0), (0.0, -1.0, 1.0)], _against(0.0), "it is", {1: "up", -1: "down", 0: "neither"})
        'In 1 of 2 settings it is up and in 1 neither.'
    """
    counts = Counter(verdict(part) for part in parts)
    said = [(counts[sign], word) for sign, word in words.items() if counts[sign]]
    first, others = said[0], said[1:]
    text = [
        f"In {first[0]} of {len(parts)} settings {what} {first[1]}{after}",
        *(f"in {n} {word}" for n, word in others),
    ]
    return f"{listed(text)}."


def _losses_at_start(tables: Tables) -> dict[str, float]:
    """Training loss of the first record of each run."""
    curves = tables["curves"].sort("run", "step").group_by("run", maintain_order=True).first()
    return dict(curves.select("run", "train_loss").drop_nulls().iter_rows())


def _start(pairs: pl.DataFrame, starts: dict[str, float]) -> float | None:
    """Median training loss at the start of the runs in these pairs."""
    runs = {*pairs["run_a"], *pairs["run_b"]} & set(starts)
    return float(np.median([starts[run] for run in runs])) if runs else None
